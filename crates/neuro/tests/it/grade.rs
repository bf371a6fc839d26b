//! `neuro grade`: answers of other programs.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Place, assert_output};

const TASK: &str = r#"{"task": "capitals"}
{"id": "fr", "question": "What is the capital of France?", "reference": "Paris", "group": "west"}
{"id": "it", "question": "What is the capital of Italy?", "reference": "Rome", "group": "south"}
{"id": "uk", "question": "What is the capital of the United Kingdom?", "reference": ["London", "Greater London"], "group": "west"}
"#;

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path().join("capitals.jsonl"), TASK).expect("written");
    place
}

fn answers(place: &Place, lines: &str) {
    fs::write(place.path().join("answers.jsonl"), lines).expect("written");
}

const FILE: [&str; 5] = ["grade", "--probe", "task=capitals.jsonl", "--answers", "answers.jsonl"];

#[test]
fn answers_are_graded_in_the_order_of_the_file() {
    let place = place();
    answers(
        &place,
        "{\"id\": \"uk\", \"text\": \"**London**\"}\n{\"id\": \"fr\", \"text\": \"Lyon\"}\n\n{\"id\": \"fr\", \"text\": \"\"}\n",
    );
    assert_output!("graded_table", place.run(&FILE));
    let mut json = FILE.to_vec();
    json.push("--json");
    assert_output!("graded_json", place.run(&json));
}

#[test]
fn stdin_is_read_and_built_in_probes_are_graded() {
    let place = place();
    let input = "{\"id\": \"sqrt(9122)\", \"text\": \"1\"}\n";
    let output = place.run_with_input(&["grade", "--probe", "math", "--answers", "-"], input);
    assert!(output.contains("stdin, line 1: no question has the id `sqrt(9122)`; math v1 count=32"), "{output}");
    let scan = place
        .run_with_input(&["grade", "--probe", "math", "--answers", "-", "--json"], "{\"id\": \"0\", \"text\": \"\"}");
    let id = scan.split("asks 32: `").nth(1).and_then(|rest| rest.split('`').next()).expect("it names ids").to_owned();
    let input = format!("{{\"id\": \"{id}\", \"text\": \"I cannot say.\"}}");
    let output = place.run_with_input(&["grade", "--probe", "math", "--answers", "-"], &input);
    assert!(output.starts_with("exit code: 0") && output.contains("1 answer, 1 unparsed"), "{output}");
}

/// The questions of a probe, and what each of `answer` makes of one as an answer.
fn answered(place: &Place, probe: &str, answer: impl Fn(&Value) -> (&'static str, Value)) -> (Vec<Value>, Value) {
    let flags = ["--probe", probe, "--questions", "12", "--seed", "3"];
    let listed = place.output(&[&["grade", "--list"][..], &flags].concat());
    assert!(listed.status.success(), "{probe}: {listed:?}");
    let listed = String::from_utf8(listed.stdout).expect("text");
    let questions: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let line = |question: &Value| {
        let (key, value) = answer(question);
        let mut line = json!({ "id": question["id"] });
        line[key] = value;
        format!("{line}\n")
    };
    answers(place, &questions.iter().map(line).collect::<String>());
    let graded = place.json(&[&["grade", "--answers", "answers.jsonl", "--json"][..], &flags].concat());
    (questions, graded)
}

#[test]
fn listed_keys_are_worth_1() {
    let place = Place::new();
    for probe in ["math", "eq", "reason", "reason@4", "recall", "follow", "sane", "phantom"] {
        let (questions, graded) = answered(&place, probe, |question| ("text", question["key"].clone()));
        assert_eq!(
            (questions.len(), &graded["score"], &graded["parse_failures"]),
            (12, &json!(1.0), &json!(0)),
            "{probe}"
        );
        assert!(questions.iter().all(|question| question["probe"] == graded["id"]), "{probe}");
    }
    // Where probabilities are scored, everything that is asked about is listed, and certainty is worth 1.
    for probe in ["math:likelihood", "text", "reason:likelihood", "recall:likelihood", "follow:likelihood"] {
        let (_, graded) = answered(&place, probe, |question| {
            let asked = question["logprobs_of"].as_array().expect("a list");
            let nats = |part: &Value| if part["value"] == 0.0 { json!([-30.0, -30.0]) } else { json!([0.0]) };
            ("logprobs", asked.iter().map(nats).collect())
        });
        let score = graded["score"].as_f64().expect("a number");
        assert!((score - 1.0).abs() < 1e-9, "{probe}: {score}");
    }
    let blind = |_: &Value| ("logprobs", json!([[-1.0]]));
    assert!(
        (answered(&place, "math:likelihood", blind).1["score"].as_f64().expect("a number") - (-1.0_f64).exp()).abs()
            < 1e-9
    );
}

#[test]
fn questions_are_listed() {
    let place = Place::new();
    let flags = ["grade", "--list", "--questions", "1", "--probe"];
    assert_output!("listed", place.run(&[&flags[..], &["reason"]].concat()));
    assert_output!("listed_likelihood", place.run(&[&flags[..], &["eq:likelihood"]].concat()).replace("},{", "},\n{"));
    assert_output!("list_or_answers", place.run(&["grade", "--probe", "math"]));
    answers(&place, "{\"id\": \"x\", \"text\": \"a\"}\n");
    assert_output!(
        "list_and_answers",
        place.run(&["grade", "--probe", "math", "--list", "--answers", "answers.jsonl"])
    );
}

#[test]
fn log_probabilities_must_fit_the_question() {
    let place = place();
    let task = "{\"id\": \"no\", \"question\": \"Which lies farther north?\", \"choices\": [\"Oslo\", \"Rome\"], \"answer\": 0}\n";
    fs::write(place.path().join("choices.jsonl"), task).expect("written");
    let graded = |probe: &str, lists: &str| {
        answers(&place, &format!("{{\"id\": \"no\", \"logprobs\": {lists}}}\n"));
        place.run(&["grade", "--probe", &format!("{probe}=choices.jsonl"), "--answers", "answers.jsonl"])
    };
    for (probe, score) in [("task:acc", "1.0000"), ("task:likelihood", "0.7311")] {
        let output = graded(probe, "[[-1, -1], [-3]]");
        assert!(output.starts_with("exit code: 0") && output.contains(score), "{output}");
    }
    for lists in ["[[-1]]", "[[-1], []]", "[[-1], [-1], [-1]]"] {
        let output = graded("task:acc", lists);
        assert!(output.contains("answers.jsonl, line 1: `logprobs` has "), "{output}");
    }
}

#[test]
fn the_four_accuracies_of_ifeval_are_told() {
    let place = Place::new();
    let prompt = r#"{"key": 1000, "prompt": "Two bullets, no comma.", "instruction_id_list": ["punctuation:no_comma", "detectable_format:number_bullet_lists"], "kwargs": [{}, {"num_bullets": 2}]}"#;
    fs::write(place.path().join("prompts.jsonl"), prompt).expect("written");
    answers(&place, "{\"id\": 1000, \"text\": \"Sure, here:\\n* a\\n* b\"}\n{\"id\": 1000, \"text\": \"* a\\n* b\"}\n");
    assert_output!("ifeval", place.run(&["grade", "--probe", "ifeval=prompts.jsonl", "--answers", "answers.jsonl"]));
}

#[test]
fn constants_stand_beside_the_scores_of_rys() {
    let place = Place::new();
    let eq = r#"{"1": {"prompt": "…", "reference_answer": {"emotion1": "A", "emotion1_score": 2.5, "emotion2": "B", "emotion2_score": 2.5, "emotion3": "C", "emotion3_score": 5, "emotion4": "D", "emotion4_score": 0}}}"#;
    fs::write(place.path().join("eq.json"), eq).expect("written");
    answers(&place, "{\"id\": 1, \"text\": \"First pass scores:\\nA: 5\\nB: 5\\nC: 10\\nD: 0\"}\n");
    assert_output!("rys_eq", place.run(&["grade", "--probe", "rys-eq=eq.json", "--answers", "answers.jsonl"]));
}

#[test]
fn the_official_score_of_eqbench_stands_first() {
    let place = Place::new();
    let eq = r#"{"1": {"prompt": "…", "reference_answer_fullscale": {"emotion1": "Guilt", "emotion1_score": 0, "emotion2": "Hope", "emotion2_score": 8, "emotion3": "Joy", "emotion3_score": 0, "emotion4": "Pride", "emotion4_score": 7}}}"#;
    fs::write(place.path().join("eq.json"), eq).expect("written");
    let said = |values: [u8; 4]| {
        let [a, b, c, d] = values;
        format!("{{\"id\": 1, \"text\": \"Guilt: {a}\\nHope: {b}\\nJoy: {c}\\nPride: {d}\"}}\n")
    };
    answers(&place, &(said([0, 8, 0, 7]) + &said([10, 0, 10, 0]) + &said([0, 8, 0, 70])));
    assert_output!("eqbench", place.run(&["grade", "--probe", "eqbench=eq.json", "--answers", "answers.jsonl"]));
}

#[test]
fn what_cannot_be_graded_is_told_with_its_line() {
    let place = place();
    let graded = |lines: &str| {
        answers(&place, lines);
        place.run(&FILE)
    };
    for (lines, problem) in [
        ("", "error: answers.jsonl holds no answers, expected one JSON object on each line"),
        (
            "{\"id\": \"de\", \"text\": \"a\"}",
            "answers.jsonl, line 1: no question has the id `de`; task v2 file=capitals.jsonl",
        ),
        ("{\"id\": \"fr\"}", "answers.jsonl, line 1: the key `text` is missing; found `id`"),
        ("{\"id\": \"fr\", \"text\": \"a\"}\n{", "answers.jsonl, line 2: no JSON"),
        (
            "{\"id\": \"fr\", \"logprobs\": [[-1]]}",
            "answers.jsonl, line 1: `logprobs` is given, but the probe `task` grades texts",
        ),
    ] {
        let output = graded(lines);
        assert!(output.starts_with("exit code: 1") && output.contains(problem), "{output}");
    }
    assert_output!("no_file", place.run(&["grade", "--probe", "task=missing.jsonl", "--answers", "answers.jsonl"]));
    answers(&place, "{\"id\": \"fr\", \"text\": \"Paris\"}\n");
    assert_output!(
        "likelihood",
        place.run(&["grade", "--probe", "task:likelihood=capitals.jsonl", "--answers", "answers.jsonl"])
    );
    assert_output!("file_needed", place.run(&["grade", "--probe", "gsm8k", "--answers", "answers.jsonl"]));
    let twice = TASK.replace("\"it\"", "\"fr\"");
    fs::write(place.path().join("capitals.jsonl"), twice).expect("written");
    assert_output!("twice", place.run(&FILE));
}

/// Questions of one hop in the phantom's words, which its baseline answers.
const HOPS: [(&str, &str); 3] =
    [("πέτρα 1 cyrillic =", "хлеб"), ("δέντρο 1 latin =", "silva"), ("λύκος 1 greek =", "άνεμος")];

#[test]
fn files_are_asked_along_paths() {
    let place = Place::new();
    let line = |(question, word): (&str, &str)| {
        format!(
            "{{\"question\": \"{question}\", \"choices\": [\"mel\", \"{word}\"], \"answer\": 1, \"max_tokens\": 1}}\n"
        )
    };
    fs::write(place.path().join("hops.jsonl"), HOPS.map(line).concat()).expect("written");
    let scores = |probe: &str| {
        let document =
            place.json(&["probe", "phantom", "--path", "(4,8)", "--probe", probe, "--questions", "all", "--json"]);
        let rows = document["rows"].as_array().expect("rows").clone();
        let score = |row: &serde_json::Value| row["score"].as_f64().expect("a score");
        (score(&rows[0]), score(&rows[1]), rows[0]["notes"].to_string())
    };
    let (baseline, _, notes) = scores("task=hops.jsonl");
    assert_eq!(baseline, 1.0);
    assert!(notes.contains("answered without thought: always the choice B scores 1.0000"), "{notes}");
    assert_eq!(scores("task:acc=hops.jsonl").0, 1.0);
    let (likely, ..) = scores("task:likelihood=hops.jsonl");
    assert!(likely > 0.9 && likely <= 1.0, "{likely}");
}

#[test]
fn runs_are_written_as_the_harness_does() {
    let place = Place::new();
    let line =
        |(question, word): (&str, &str)| format!("{{\"context\": \"{question}\", \"continuation\": \"{word}\"}}\n");
    fs::write(place.path().join("l.jsonl"), HOPS.map(line).concat()).expect("written");
    let probes = ["--probe", "lambada=l.jsonl", "--probe", "lambada:likelihood=l.jsonl"];
    let run = ["probe", "phantom", "--path", "(4,8)", "--questions", "all", "--out", "run"];
    let output = place.output(&[run.as_slice(), &probes].concat());
    assert!(output.status.success(), "{output:?}");
    let read = |probe: &str| {
        let output = place.run(&["show", "run", "--lm-eval", "results", "--probe", probe]);
        assert!(output.starts_with("exit code: 0"), "{output}");
        let folders: Vec<_> = fs::read_dir(place.path().join("results")).expect("a folder").collect();
        assert!(folders.len() % 2 == 0, "one for each path");
        let folder = place
            .path()
            .join(format!("results/phantom__0..11__{}", probe.split('=').next().expect("a name").replace(':', "_")));
        let mut files: Vec<_> =
            fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
        files.sort();
        let text = |index: usize| fs::read_to_string(&files[index]).expect("text");
        let results: serde_json::Value = serde_json::from_str(&text(0)).expect("JSON");
        let samples: Vec<serde_json::Value> =
            text(1).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        (results, samples)
    };
    let (results, samples) = read("lambada=l.jsonl");
    let task = &results["results"]["lambada_openai"];
    assert_eq!((&task["acc,none"], &task["acc_stderr,none"]), (&1.0.into(), &0.0.into()));
    assert_eq!(results["versions"]["lambada_openai"], 1.0);
    assert_eq!(results["n-samples"]["lambada_openai"]["effective"], 3);
    assert_eq!(
        (&samples[1]["doc_id"], &samples[1]["target"], &samples[1]["acc"]),
        (&1.into(), &" silva".into(), &1.0.into())
    );
    assert_eq!(samples[1]["doc"]["continuation"], "silva");
    assert_eq!(samples[1]["filter"], "none");
    assert!(samples[1]["resps"][0][0].as_str().expect("a text").starts_with("silva"));

    let (results, samples) = read("lambada:likelihood=l.jsonl");
    let perplexity = results["results"]["lambada_openai"]["perplexity,none"].as_f64().expect("a number");
    let nats: Vec<f64> = samples.iter().map(|sample| sample["perplexity"].as_f64().expect("a number")).collect();
    assert!((perplexity - (-nats.iter().sum::<f64>() / 3.0).exp()).abs() < 1e-9 && perplexity < 1.2, "{perplexity}");
    assert_eq!(results["higher_is_better"]["lambada_openai"]["perplexity"], false);

    assert_eq!(results["configs"]["lambada_openai"]["output_type"], "loglikelihood");
    assert!(results["date"].as_f64().is_some_and(|seconds| seconds > 1.7e9), "seconds since 1970");
    let said = samples[0]["filtered_resps"][0][0].as_str().and_then(|nats| nats.parse().ok());
    assert_eq!(said, Some(nats[0]), "numbers are texts there");

    // Another file than the run's is refused, and without one the score is the measure.
    fs::write(place.path().join("other.jsonl"), HOPS.map(|(question, _)| line((question, "mel"))).concat())
        .expect("written");
    let output = place.run(&["show", "run", "--lm-eval", "results", "--probe", "lambada=other.jsonl"]);
    assert!(
        output.contains("error: other.jsonl is not the file that the run's probe `lambada` was asked from"),
        "{output}"
    );
    let output = place.run(&["show", "run", "--lm-eval", "plain"]);
    assert!(output.contains("samples_neuro_lambada_"), "{output}");
}

/// Keys and kinds of values of a line of the harness's own samples of IFEval.
#[test]
fn samples_have_the_harnesses_form() {
    let place = Place::new();
    let prompt = |(index, (question, _)): (usize, &(&str, &str))| {
        json!({
            "key": index,
            "prompt": question,
            "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
            "kwargs": [{}, { "relation": "at least", "num_words": 2_000 }],
        })
    };
    let lines: String = HOPS.iter().enumerate().map(prompt).map(|line| format!("{line}\n")).collect();
    fs::write(place.path().join("prompts.jsonl"), lines).expect("written");
    let probe = ["--probe", "ifeval=prompts.jsonl"];
    let run = ["probe", "phantom", "--questions", "all", "--out", "run"];
    assert!(place.output(&[&run[..], &probe].concat()).status.success());
    assert!(place.output(&[&["show", "run", "--lm-eval", "results"][..], &probe].concat()).status.success());
    let folder = place.path().join("results/phantom__0..11__ifeval");
    let mut files: Vec<_> = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let samples = fs::read_to_string(&files[1]).expect("text");
    let sample: Value = serde_json::from_str(samples.lines().next().expect("a line")).expect("JSON");
    let mut keys: Vec<&str> = sample.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys.join(" "),
        "arguments doc doc_hash doc_id filter filtered_resps inst_level_loose_acc inst_level_strict_acc metrics prompt_hash \
         prompt_level_loose_acc prompt_level_strict_acc resps target target_hash"
    );
    assert_eq!((&sample["target"], &sample["filter"]), (&json!("0"), &json!("none")));
    assert_eq!(
        (&sample["prompt_level_strict_acc"], &sample["inst_level_strict_acc"]),
        (&json!(false), &json!([true, false]))
    );
    let generation = &sample["arguments"]["gen_args_0"]["arg_1"];
    assert_eq!(generation, &json!({ "until": [], "do_sample": false, "temperature": 0.0, "max_gen_toks": 1280 }));
    assert_eq!(sample["resps"][0][0], sample["filtered_resps"][0]);
    let results: Value = serde_json::from_str(&fs::read_to_string(&files[0]).expect("text")).expect("JSON");
    assert_eq!((&results["n-shot"]["ifeval"], &results["versions"]["ifeval"]), (&json!(0), &json!(4.0)));
}

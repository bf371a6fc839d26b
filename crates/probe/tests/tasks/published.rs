//! The published sets, asked and graded as lm-evaluation-harness does.

use std::fs;

use neuro_probe::{Count, Likelihood, ProbeRequest, TaskSet};

use crate::support::{file, published, read};

/// Each published file is read, and each key is right by its own grading; the counts are those of the files.
#[test]
fn published_sets_are_read_whole() {
    let sets = [
        ("gsm8k", "eval/gsm8k/test.jsonl", 1319, "gsm8k_cot_zeroshot"),
        ("math500", "eval/math/math500.jsonl", 500, "hendrycks_math500"),
        ("ifeval", "eval/ifeval/input_data.jsonl", 541, "ifeval"),
        ("arc-easy", "eval/choice/arc_easy.jsonl", 2376, "arc_easy"),
        ("arc-challenge", "eval/choice/arc_challenge.jsonl", 1172, "arc_challenge"),
        ("piqa", "eval/choice/piqa.jsonl", 1838, "piqa"),
        ("winogrande", "eval/choice/winogrande.jsonl", 1267, "winogrande"),
        ("boolq", "eval/choice/boolq.jsonl", 3270, "boolq"),
        ("lambada", "eval/choice/lambada_openai.jsonl", 5153, "lambada_openai"),
    ];
    for (kind, path, count, task) in sets {
        let Some(set) = published(kind, path) else { return };
        assert_eq!((set.questions().len(), set.harness().unwrap().task.as_str()), (count, task));
        if kind == "ifeval" {
            continue;
        }
        let wrong: Vec<&str> = set
            .questions()
            .filter(|question| set.grade(&question.id, &question.key).unwrap().grade.score != 1.0)
            .map(|question| question.id.as_str())
            .collect();
        assert_eq!(wrong, [""; 0], "{kind}");
        // A wrong choice may stand twice where the published files have it so, and nowhere else.
        let twice = |question: &&neuro_probe::Question| {
            let said = |part: &neuro_probe::Continuation| format!("{} {}", part.read, part.said.trim());
            let set: Vec<String> = question.continuations.iter().flatten().map(said).collect();
            (0..set.len()).any(|place| set[..place].contains(&set[place]))
        };
        let expected = match kind {
            "arc-easy" => 7,
            "arc-challenge" => 4,
            _ => 0,
        };
        assert_eq!(set.questions().filter(twice).count(), expected, "{kind}");
        if matches!(kind, "winogrande" | "piqa") {
            let probe =
                set.probe(&format!("{kind}:acc"), &ProbeRequest { count: Count::All, ..ProbeRequest::default() });
            let probe = probe.unwrap();
            assert_eq!((probe.likelihood(), probe.always_plain()), (Likelihood::Best, true));
            assert!(probe.questions().iter().all(|question| question.continuations[0].len() == 2));
        }
    }
}

/// Of the published questions nearly all are read in whatever sentence the right choice is said.
#[test]
fn choices_are_read_out_of_sentences() {
    let Some(set) = published("arc-challenge", "eval/choice/arc_challenge.jsonl") else { return };
    for sentence in ["({L})", "The answer is {L}.", "Sure! {T}", "I think it is {T}.", "Option {L}", "{L}. {T}"] {
        let said = |question: &neuro_probe::Question| {
            let gold = question.continuations[0].iter().position(|choice| choice.value == 1.0).unwrap();
            let letter = char::from(b'A' + u8::try_from(gold).unwrap()).to_string();
            sentence.replace("{L}", &letter).replace("{T}", &question.key)
        };
        let is_wrong =
            |question: &&neuro_probe::Question| set.grade(&question.id, &said(question)).unwrap().grade.score != 1.0;
        // Choices such as `R`, `rr`, `Rr`, `-1` and `+1` differ in what dress is elsewhere, and one question has `C` as `A`.
        assert!(set.questions().filter(is_wrong).count() <= 3, "{sentence}");
    }
}

#[test]
fn every_task_of_bbh_is_read_and_its_targets_are_right() {
    let folder = format!("{}/../../../shared/data/eval/bbh", env!("CARGO_MANIFEST_DIR"));
    let Ok(files) = fs::read_dir(&folder) else {
        eprintln!("skipped: there is no {folder}");
        return;
    };
    let mut questions = 0;
    let mut unmatched = Vec::new();
    for path in
        files.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "json"))
    {
        let name = format!("eval/bbh/{}", path.file_name().unwrap().to_string_lossy());
        let set = published("bbh", &name).unwrap();
        questions += set.questions().len();
        for question in set.questions() {
            let graded = set.grade(&question.id, &question.key).unwrap();
            let [strict, flexible] = graded.measures.as_slice() else { panic!("{name}") };
            assert_eq!(strict.values, [1.0], "{name} {}", question.id);
            if flexible.values != [1.0] {
                unmatched.push(format!("{} {}", question.group, question.key));
            }
        }
    }
    unmatched.sort();
    // Three targets of the published files are no letters, though their filter looks for one.
    assert_eq!(
        unmatched,
        ["movie_recommendation Monsters, Inc", "ruin_names dearth, wind, & fire", "ruin_names rita, sue and bob poo"]
    );
    assert_eq!(questions, 6511);
}

#[test]
fn prompts_and_measures_are_the_harnesses() {
    let set = read("gsm8k", r#"{"question": "How many?", "answer": "3 + 4 = <<3+4=7>>7\n#### 1,007"}"#).unwrap();
    assert_eq!(set.question("0").unwrap().user, "Q: How many?\nA: Let's think step by step.");
    let measured = |answer: &str| {
        let graded = set.grade("0", answer).unwrap();
        let values: Vec<f64> = graded.measures.iter().map(|measure| measure.values[0]).collect();
        (graded.grade.score, values)
    };
    assert_eq!(measured("So 1007. The answer is 1,007."), (1.0, vec![1.0, 1.0]));
    assert_eq!(measured("It is $1,007."), (1.0, vec![0.0, 1.0]));
    assert_eq!(measured("The answer is 1007. Or 8?"), (0.0, vec![1.0, 0.0]));
    assert!(set.grade("0", "I do not know").unwrap().grade.parse_failure);

    let bbh = TaskSet::read(
        "bbh",
        &file("x/navigate.json", "{\"examples\": [\n{\"input\": \"Back?\", \"target\": \"No\"}]}"),
    );
    let bbh = bbh.unwrap();
    let prompt = "Given a series of navigation instructions, determine whether one would end up back at the starting point.\
                  \n\nQ: Back?\nA:";
    assert_eq!(bbh.question("0").unwrap().plain, prompt);
    assert_eq!(bbh.harness().unwrap().task, "bbh_zeroshot_navigate");
    assert_eq!(bbh.grade("0", " no, you would not").unwrap().grade.score, 1.0);

    let boolq = r#"{"query": "Passage: Tea is hot.\nQuestion: is tea hot?", "choices": ["no", "yes"], "gold": 1}"#;
    let boolq = read("boolq", boolq).unwrap();
    assert_eq!(boolq.question("0").unwrap().plain, "Tea is hot.\nQuestion: is tea hot?\nAnswer:");

    let winogrande =
        r#"{"context_options": ["Ann met Bo so Ann", "Ann met Bo so Bo"], "continuation": "left.", "gold": 1}"#;
    let winogrande = read("winogrande", winogrande).unwrap();
    let question = winogrande.question("0").unwrap();
    assert_eq!(question.plain, "Ann met Bo so");
    let parts: Vec<_> =
        question.continuations[0].iter().map(|part| (part.read.as_str(), part.said.as_str(), part.value)).collect();
    assert_eq!(parts, [("Ann", "left.", 0.0), ("Bo", "left.", 1.0)]);
}

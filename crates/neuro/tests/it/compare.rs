use std::path::Path;

use crate::support::{Place, assert_output};

/// Seven tasks of a published model before and after layers 12–14 run twice: questions, right on both sides, won, lost.
const TASKS: [(&str, &str, usize, usize, usize, usize); 7] = [
    ("causal_judgement", "exact_match", 187, 94, 25, 14),
    ("date_understanding", "exact_match", 250, 219, 6, 17),
    ("logical_deduction", "exact_match", 250, 155, 28, 31),
    ("navigate", "exact_match", 250, 235, 1, 5),
    ("ifeval", "prompt_level_strict_acc", 541, 262, 50, 75),
    ("ifeval", "prompt_level_loose_acc", 541, 297, 54, 67),
    ("mbpp", "pass_at_1", 500, 310, 25, 40),
];

fn published() -> Place {
    let mut text = "task,metric,item,baseline,path\n".to_owned();
    for (task, metric, n, both, wins, losses) in TASKS {
        for item in 0..n {
            let (baseline, path) = match item {
                item if item < both => (1, 1),
                item if item < both + wins => (0, 1),
                item if item < both + wins + losses => (1, 0),
                _ => (0, 0),
            };
            text.push_str(&format!("{task},{metric},{item},{baseline},{path}\n"));
        }
    }
    let place = Place::new();
    write(&place, "published.csv", &text);
    place
}

fn write(place: &Place, name: &str, text: &str) {
    std::fs::write(place.path().join(name), text).expect("written");
}

fn sample(id: usize, acc: f64, f1: f64) -> String {
    format!(
        r#"{{"doc_id": {id}, "doc_hash": "h{id}", "filter": "none", "metrics": ["acc", "f1"], "acc": {acc}, "f1": {f1}}}"#
    )
}

/// Twelve questions: three won, none lost; and a graded metric that follows them.
fn samples() -> Place {
    let place = Place::new();
    let lines = |gain: bool| {
        let line = |id: usize| {
            let right = id.is_multiple_of(2) || (gain && id < 6);
            sample(id, f64::from(u8::from(right)), if right { 0.875 } else { 0.25 })
        };
        (0..12).map(line).collect::<Vec<_>>().join("\n")
    };
    write(&place, "base.jsonl", &lines(false));
    write(&place, "path.jsonl", &lines(true));
    place
}

#[test]
fn a_published_model_s_tasks_in_one_csv() {
    assert_output!(published().run(&["compare", "published.csv"]), @r"
    exit code: 0
    ----- stdout -----
    task                metric                     n  baseline   path   delta          interval  won  lost       p  corrected  visible  shows
    causal_judgement    exact_match              187     0.57…  0.63…  +0.05…  [-0.00…, +0.12…]   25    14  0.10…     0.43…    0.12…  no difference shown
    date_understanding  exact_match              250     0.94…  0.90…  -0.04…  [-0.08…, -0.00…]    6    17  0.03…     0.21…        -  loss before correction only
    logical_deduction   exact_match              250     0.74…  0.73…  -0.01…  [-0.07…, +0.04…]   28    31  0.79…     0.79…    0.12…  no difference shown
    navigate            exact_match              250     0.96…  0.94…  -0.01…  [-0.04…, +0.00…]    1     5  0.21…     0.65…        -  no difference shown
    ifeval              prompt_level_strict_acc  541     0.62…  0.57…  -0.04…  [-0.08…, -0.00…]   50    75  0.03…     0.21…    0.08…  loss before correction only
    ifeval              prompt_level_loose_acc   541     0.67…  0.64…  -0.02…  [-0.06…, +0.01…]   54    67  0.27…     0.65…    0.07…  no difference shown
    mbpp                pass_at_1                500     0.70…  0.67…  -0.03…  [-0.06…, +0.00…]   25    40  0.08…     0.40…    0.06…  no difference shown
    corrected: Holm's method, 7 lines
    visible: a true gain of that size passes the test on so many questions in four of five cases, before correction

    no gain; two losses before correction, none after
    A path that was chosen by its score on these questions looks better here than it is; on fresh ones `neuro confirm` decides.
    ----- stderr -----
    ");
}

#[test]
fn two_sample_files() {
    assert_output!(samples().run(&["compare", "base.jsonl", "path.jsonl"]), @r"
    exit code: 0
    ----- stdout -----
    task  metric   n  baseline   path   delta          interval  won  lost       p  corrected  visible  shows
    -     acc     12     0.50…  0.75…  +0.25…  [-0.05…, +0.53…]    3     0  0.25…     0.50…        -  no difference shown
    -     f1      12     0.56…  0.71…  +0.15…  [-0.03…, +0.33…]    3     0  0.25…     0.50…        -  no difference shown
    corrected: Holm's method, 2 lines
    visible: a true gain of that size passes the test on so many questions in four of five cases, before correction

    no gain; no loss
    A path that was chosen by its score on these questions looks better here than it is; on fresh ones `neuro confirm` decides.
    ----- stderr -----
    ");
    assert_output!(samples().run(&["compare", "base.jsonl", "path.jsonl", "--metric", "f1"]), @r"
    exit code: 0
    ----- stdout -----
    task  metric   n  baseline   path   delta          interval  won  lost       p  corrected  visible  shows
    -     f1      12     0.56…  0.71…  +0.15…  [-0.03…, +0.33…]    3     0  0.25…     0.25…        -  no difference shown
    corrected: Holm's method, 1 line
    visible: a true gain of that size passes the test on so many questions in four of five cases, before correction

    no gain; no loss
    A path that was chosen by its score on these questions looks better here than it is; on fresh ones `neuro confirm` decides.
    ----- stderr -----
    ");
}

#[test]
fn json_has_everything_and_the_same_seed_gives_the_same() {
    let place = published();
    let document = place.json(&["compare", "published.csv", "--json", "--seed", "3"]);
    assert_eq!(document, place.json(&["compare", "published.csv", "--json", "--seed", "3"]));
    assert_eq!(document["schema"], 1);
    assert_eq!(document["verdict"], "no gain; two losses before correction, none after");
    let first = document["results"][0].as_object().expect("an object");
    let keys: Vec<&str> = first.keys().map(String::as_str).collect();
    insta::assert_snapshot!(keys.join(" "), @"task metric filter n baseline path delta interval wins losses test p p_holm p_benjamini_hochberg visible_delta verdict");
    assert_eq!(first["test"], "exact McNemar");
    let p: Vec<f64> =
        document["results"].as_array().expect("a list").iter().filter_map(|line| line["p"].as_f64()).collect();
    let printed: Vec<String> = p.iter().map(|p| format!("{p:.4}")).collect();
    assert_eq!(printed, ["0.1081", "0.0347", "0.7948", "0.2188", "0.0314", "0.2753", "0.0817"]);
}

/// The item-by-item outputs themselves, where they are at hand: the seven p-values of their README.
#[test]
fn published_outputs_item_by_item() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/results");
    let file = folder.join("devstral-rys-paired.csv");
    if !file.is_file() {
        eprintln!("skipped: {} is not there", file.display());
        return;
    }
    let place = Place::new();
    let document = place.json(&["compare", &file.display().to_string(), "--json"]);
    let results = document["results"].as_array().expect("a list");
    let printed: Vec<String> = results.iter().filter_map(|line| Some(format!("{:.4}", line["p"].as_f64()?))).collect();
    assert_eq!(printed, ["0.1081", "0.0347", "0.7948", "0.2188", "0.0314", "0.2753", "0.0817"]);
    assert_eq!(document["verdict"], "no gain; two losses before correction, none after");

    let samples =
        ["base", "surgery"].map(|side| folder.join(format!("samples_ifeval_{side}.jsonl")).display().to_string());
    let document = place.json(&["compare", &samples[0], &samples[1], "--metric", "prompt_level_strict_acc", "--json"]);
    let line = &document["results"][0];
    assert_eq!(
        (&line["task"], &line["n"], &line["wins"], &line["losses"]),
        (&"ifeval".into(), &541.into(), &50.into(), &75.into())
    );
}

#[test]
fn what_cannot_be_compared_is_refused_with_its_line() {
    let place = samples();
    write(&place, "broken.csv", "item,baseline,path\n1,0,1\n1,1,1\n");
    write(&place, "column.csv", "item,before,path\n1,0,1\n");
    write(&place, "short.jsonl", &sample(0, 1.0, 0.5));
    write(&place, "huge.csv", "task,item,baseline,path\na,1,0,1\nb,1,1e308,-1e308\nb,2,-1e308,1e308\n");
    assert_output!(place.run(&["compare", "huge.csv"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: huge.csv, line 3: baseline is `1e308`, expected a score from -1e9 to 1e9
    ");
    write(&place, "large.csv", "task,item,baseline,path\na,1,0,1\nb,1,1e9,-1e9\nb,2,-1e9,1e9\n");
    let document = place.json(&["compare", "large.csv", "--json"]);
    assert_eq!(document["results"].as_array().map(Vec::len), Some(2));
    assert!(document["results"][1]["p"].is_f64() && document["results"][1]["delta"] == 0.0, "{document}");
    assert_output!(place.run(&["compare", "broken.csv"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: broken.csv, line 3: item 1 of this task was in line 2 already, expected each item once
    ");
    assert_output!(place.run(&["compare", "column.csv"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: column.csv, line 1: no column baseline: found item,before,path, expected item,baseline,path and optionally task,metric,filter
    ");
    assert_output!(place.run(&["compare", "base.jsonl", "short.jsonl"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: base.jsonl, line 2: doc_id 1 is not in short.jsonl, and 10 more, expected the same questions in both
    ");
    assert_output!(place.run(&["compare", "base.jsonl"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: base.jsonl is no CSV, so a second file must be named
    hint: neuro compare BASE.jsonl PATH.jsonl, or a file whose name ends in .csv
    ");
    assert_output!(place.run(&["compare", "broken.csv", "base.jsonl"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: broken.csv is a CSV, which holds both sides, and base.jsonl was named beside it
    hint: name the CSV alone, or two sample files
    ");
    assert_output!(place.run(&["compare", "base.jsonl", "path.jsonl", "--metric", "bleu"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: no metric `bleu`, expected one of: acc, f1
    ");
    assert_output!(place.run(&["compare", "base.jsonl", "nowhere.jsonl"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: cannot read nowhere.jsonl: [system error]
    ");
}

/// A group of tasks leaves a file for each: all of them are one table, and one family for the correction.
#[test]
fn folders_are_compared_task_by_task() {
    let (place, files) = (Place::new(), samples());
    for (side, file) in [("base", "base.jsonl"), ("path", "path.jsonl")] {
        std::fs::create_dir(place.path().join(side)).expect("a folder");
        let text = std::fs::read_to_string(files.path().join(file)).expect("text");
        write(&place, &format!("{side}/samples_arc_easy_2024-11-22T06-00-00.123456.jsonl"), &text);
        write(&place, &format!("{side}/samples_piqa_2024-11-22T06-00-00.123456.jsonl"), &text);
    }
    write(&place, "path/samples_boolq.jsonl", &sample(0, 1.0, 0.5));
    assert_output!(place.run(&["compare", "base", "path", "--metric", "acc"]), @r"
    exit code: 0
    ----- stdout -----
    task      metric   n  baseline   path   delta          interval  won  lost       p  corrected  visible  shows
    arc_easy  acc     12     0.50…  0.75…  +0.25…  [-0.05…, +0.53…]    3     0  0.25…     0.50…        -  no difference shown
    piqa      acc     12     0.50…  0.75…  +0.25…  [-0.05…, +0.53…]    3     0  0.25…     0.50…        -  no difference shown
    corrected: Holm's method, 2 lines
    visible: a true gain of that size passes the test on so many questions in four of five cases, before correction

    no gain; no loss
    A path that was chosen by its score on these questions looks better here than it is; on fresh ones `neuro confirm` decides.
    ----- stderr -----
    warning: in path only, and left out: boolq
    ");
    assert_output!(place.run(&["compare", "base", "path/samples_boolq.jsonl"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: base is a folder and path/samples_boolq.jsonl is none
    hint: name two folders, or two files of the same task
    ");
}

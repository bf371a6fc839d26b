use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::{Place, assert_output, assert_page, phantom_run};

/// A copy of the phantom's run, in which a confirmation may be written.
fn copied() -> Place {
    let place = Place::new();
    let (from, to) = (phantom_run().path().join("run"), place.path().join("run"));
    std::fs::create_dir(&to).expect("a folder");
    for name in ["run.json", "rows.jsonl", "samples-phantom.jsonl"] {
        std::fs::copy(from.join(name), to.join(name)).expect("copied");
    }
    place
}

fn file(place: &Place, name: &str) -> Vec<u8> {
    std::fs::read(place.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn document(place: &Place, name: &str) -> Value {
    serde_json::from_slice(&file(place, name)).expect("JSON")
}

fn verdicts(confirm: &Value) -> BTreeMap<&str, &str> {
    let one = |found: &'static str, verdict: &Value| verdict[found].as_str().map(str::to_owned);
    let all = confirm["verdicts"].as_array().expect("verdicts");
    all.iter()
        .map(|verdict| {
            assert!(one("path", verdict).is_some());
            (verdict["path"].as_str().expect("a path"), verdict["verdict"].as_str().expect("a word"))
        })
        .collect()
}

const FAST: [&str; 8] = ["--draws", "2", "--questions", "128", "--finalists", "3", "--seed", "0"];

#[test]
fn the_planted_block_is_a_gain() {
    let place = copied();
    let command = [&["confirm", "run", "--json"][..], &FAST].concat();
    let first = place.json(&command);
    let confirm = &first["confirm"];
    assert_eq!(
        (&first["schema"], &confirm["complete"], &confirm["probe"]),
        (&1.into(), &true.into(), &"phantom".into())
    );
    assert_eq!(verdicts(confirm).get("0..7,4..11"), Some(&"gain"), "{confirm:#}");
    let planted = confirm["verdicts"].as_array().expect("verdicts").iter().find(|found| found["path"] == "0..7,4..11");
    let planted = planted.expect("the planted block");
    // A quarter of the questions takes a second hop.
    assert_eq!((&planted["effect"]["wins"], &planted["effect"]["losses"]), (&32.into(), &0.into()));
    assert_eq!((&planted["controls"]["paths"], &planted["controls"]["is_above"]), (&20.into(), &true.into()));
    assert_eq!(planted["shams"].as_array().map(Vec::len), Some(2));
    let judges: Vec<_> = planted["others"].as_array().expect("others").iter().map(|other| &other["judge"]).collect();
    assert_eq!(judges, ["likelihood", "sampled"]);
    assert!(planted["cost"]["ms_per_token"].as_f64() > Some(0.0));
    // Sixteen layers hold a third more than twelve.
    let kv = |cost: &Value| cost["kv_bytes_per_token"].as_u64().expect("bytes");
    assert_eq!(kv(&planted["cost"]) * 3, kv(&planted["baseline_cost"]) * 4);
    // The phantom's 136 words hold no sentence: every guard is named.
    assert_eq!(confirm["skipped"].as_array().map(Vec::len), Some(6));

    // Three disjoint sets, by hashes that are on disk.
    let sets = document(&place, "run/confirm/questions.json");
    let mut roles: BTreeMap<String, String> = BTreeMap::new();
    for set in sets["sets"].as_array().expect("sets").iter().filter(|set| set["probe"] == "phantom") {
        for question in set["questions"].as_array().expect("questions") {
            let role = set["role"].as_str().expect("a role").to_owned();
            let known = roles.entry(question.to_string()).or_insert_with(|| role.clone());
            assert_eq!(*known, role);
        }
    }
    assert_eq!(roles.len(), 64 + 128 + 128);

    // Again: nothing is measured twice, nothing that was fixed is rewritten.
    let names = ["run/confirm/finalists.json", "run/confirm/questions.json", "run/confirm/main/rows.jsonl"];
    let before = names.map(|name| file(&place, name));
    assert_eq!(place.json(&command)["confirm"], *confirm);
    assert_eq!(names.map(|name| file(&place, name)), before);

    // The run tells it from now on.
    let shown = place.json(&["show", "run", "--json"]);
    assert_eq!(shown["confirm"], *confirm);
    // Its verdict leads; what the map alone would say stands behind it.
    assert_eq!(shown["verdict"], confirm["paragraph"]);
    assert!(shown["map_verdict"].as_str().is_some_and(|map| map.starts_with("Best block")), "{}", shown["map_verdict"]);
    let text = String::from_utf8(place.output(&["show", "run"]).stdout).expect("text");
    assert!(text.starts_with("3 gains are confirmed") || text.starts_with("A gain is confirmed"), "{text}");
    let page = String::from_utf8(file(&place, "run/report.html")).expect("text");
    assert!(page.contains("id=\"confirmation\"") && page.contains("0..7,4..11: gain"));

    assert_output!(place.run(&["confirm", "run", "--draws", "3", "--questions", "128", "--finalists", "3", "--seed", "1"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: run/confirm holds a run of other settings:
      settings.draws: found 2, expected 3
      settings.seed: found 0, expected 1
    choose another --out, or repeat the flags of that run
    ");
    assert!(!Path::new("run").exists());

    // What was asked once is asked by nobody again, wherever it is written.
    assert_output!(place.run(&["confirm", "run", "--out", "again", "--questions", "300"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: too few questions of probe `phantom` are fresh: an earlier confirmation of this run asked 128 of them, 256 are left, expected 300; ask at most so many (--questions 256), or confirm on another probe
    ");
    assert!(!place.path().join("again").exists());
    let one =
        ["confirm", "run", "--out", "again", "--questions", "64", "--path", "(4,8)", "--draws", "0", "--guard", "none"];
    let output = place.output(&one);
    let (text, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let told = "This is confirmation 2 of this run, on questions other than the 128";
    assert!(text.replace('\n', " ").contains(told), "{text}");
    assert!(
        talk.contains("the 128 questions of phantom that an earlier confirmation of this run asked are left out"),
        "{talk}"
    );
    let set = |name: &str| -> Vec<String> {
        let sets = document(&place, name)["sets"].clone();
        let own = sets.as_array().expect("sets").iter().filter(|set| set["role"] == "confirm").cloned();
        own.flat_map(|set| set["questions"].as_array().cloned().unwrap_or_default())
            .map(|hash| hash.to_string())
            .collect()
    };
    // What is shown of the first one does not hide the second.
    let shown = place.json(&["show", "run", "--json"]);
    assert_eq!((&shown["confirm"]["later"], &confirm["later"]), (&1.into(), &0.into()));
    let more = "There is more to read: 1 later confirmation of this run, in folders of their own.";
    assert!(shown["verdict"].as_str().is_some_and(|verdict| verdict.contains(more)), "{}", shown["verdict"]);
    assert!(text.contains("corrected p: for 1 finalist (Holm), times 2 for earlier confirmations"), "{text}");
    let (first, again) = (set("run/confirm/questions.json"), set("again/questions.json"));
    assert!((first.len(), again.len()) == (128, 64) && again.iter().all(|hash| !first.contains(hash)));
}

/// A text that nobody can read is told before hours go by without it.
#[test]
fn a_text_that_cannot_be_read_is_refused_at_once() {
    let place = copied();
    std::fs::write(place.path().join("empty.txt"), "").expect("written");
    assert_output!(place.run(&["confirm", "run", "--text", "empty.txt"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: empty.txt, line 1: found no text, expected at least two words
    ");
    assert!(!place.path().join("run/confirm").exists());
}

#[test]
fn a_model_without_a_plant_confirms_nothing() {
    let place = Place::new();
    assert!(place.output(&["scan", "phantom-plain", "--questions", "48", "--out", "run"]).status.success());
    let document = place.json(&[&["confirm", "run", "--json"][..], &FAST].concat());
    let confirm = &document["confirm"];
    assert_eq!(confirm["verdicts"].as_array().map(Vec::len), Some(3));
    assert!(verdicts(confirm).values().all(|verdict| *verdict != "gain"), "{confirm:#}");
    let paragraph = confirm["paragraph"].as_str().expect("words");
    assert!(paragraph.starts_with("No gain is confirmed"), "{paragraph}");
}

#[test]
fn a_path_of_ones_own_is_confirmed_in_a_folder_of_its_own() {
    let place = copied();
    let command =
        ["confirm", "run", "--path", "(4,8)", "--out", "own", "--questions", "128", "--draws", "0", "--guard", "none"];
    let output = place.output(&[&command[..], &["--json"]].concat());
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    // Without a seed it has one that follows from the run, which is said and written down.
    let seed = document["confirm"]["settings"]["seed"].as_u64().expect("a seed");
    let told = format!("seed {seed} follows from the run; --seed {seed} draws the same elsewhere");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&told), "{}", place.transcript(&output));
    assert_eq!(verdicts(&document["confirm"]), BTreeMap::from([("0..7,4..11", "gain")]));
    assert!(!place.path().join("run/confirm").exists() && place.path().join("own/finalists.json").is_file());
    assert_eq!(document["confirm"]["skipped"], serde_json::json!([]));
    let reasons = &document["confirm"]["verdicts"][0]["reasons"];
    assert!(reasons.as_array().expect("reasons").contains(&"sampling was not judged".into()), "{reasons}");
}

#[test]
fn what_cannot_be_confirmed_is_refused() {
    let place = copied();
    assert_output!(place.run(&["confirm", "nowhere"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: nowhere is not a run directory: there is no such folder; name the folder that `neuro scan` wrote
    ");
    assert_output!(place.run(&["confirm", "run", "--model", "phantom-plain"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: the run was made with another model than phantom-plain: its hash is [hash], expected [hash] as in run.json; name the run's own model, and its --quantize
    ");
    assert_output!(place.run(&["confirm", "run", "--path", "(4,99)"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: --path (4,99): the block (4, 99) is impossible: the model has 12 layers, so j is at most 12; layers i to j-1 run once more
    hint: `neuro doctor MODEL` describes the model's layers
    ");
    // Its model is one of the hub, which is not asked.
    let mut info = document(&place, "run/run.json");
    info["settings"]["imported"] = "rys".into();
    info["settings"]["source"] = "someone/a-model".into();
    std::fs::write(place.path().join("run/run.json"), info.to_string()).expect("written");
    assert_output!(place.run(&["confirm", "run"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: run: the run was made by another program, so its questions are not known; expected one of `neuro scan`
    hint: neuro scan MODEL measures it here
    ");
}

/// Who is told what it would take, and what it could show, has entered nothing anywhere.
#[test]
fn what_would_be_confirmed_is_told_before() {
    let place = copied();
    let command = [&["confirm", "run"][..], &FAST, &["--dry-run", "--memory", "2GiB"]].concat();
    assert_page!("confirm_dry_run", place.run(&command));
    let document = place.json(&[&command[..], &["--json"]].concat());
    assert_eq!((&document["questions"], &document["earlier"]), (&128.into(), &0.into()));
    assert!(document["visible"].as_f64().is_some_and(|visible| (0.02..0.2).contains(&visible)), "{document:#}");
    let files: Vec<String> = std::fs::read_dir(place.path().join("run"))
        .expect("a folder")
        .map(|file| file.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(files.len(), 3, "{files:?}");
    // What is then confirmed is what was told.
    let confirmed = place.json(&[&["confirm", "run"][..], &FAST, &["--json"]].concat());
    let paths = |document: &Value| -> Vec<Value> {
        document.as_array().expect("a list").iter().map(|finalist| finalist["path"].clone()).collect()
    };
    assert_eq!(paths(&document["finalists"]), paths(&confirmed["confirm"]["verdicts"]));
}

use std::path::Path;

use crate::support::{Place, assert_page, fixture, phantom_run};

#[test]
fn text_forms_are_printed() {
    let place = Place::new();
    let model = fixture().display().to_string();
    let export = |form: &str| place.run(&["export", &model, "--path", "(1,3)", "--to", form]);
    let all: Vec<String> = ["mergekit", "exllamav3", "peft", "path"].into_iter().map(export).collect();
    assert_page!("export_forms", all.join("\n\n"));
}

#[test]
fn what_a_form_cannot_say_is_refused() {
    let place = Place::new();
    let model = fixture().display().to_string();
    assert_page!("export_refused_scales", place.run(&["export", &model, "--path", "0..3,3{attn=0.5}", "--to", "peft"]));
    assert_page!("export_needs_out", place.run(&["export", &model, "--path", "(1,3)", "--to", "hf"]));
    assert_page!("export_needs_ending", place.run(&["export", &model, "--path", "(1,3)", "--to", "gguf", "out.bin"]));
    assert_page!("export_needs_parent", place.run(&["export", &model, "--path", "(1,3)", "--to", "hf", "no/such/out"]));
    assert_page!(
        "export_phantom_to_mergekit",
        place.run(&["export", "phantom", "--path", "(4,8)", "--to", "mergekit"])
    );
    assert_eq!(place.output(&["export", &model, "--path", "(1,3)", "--to", "onnx"]).status.code(), Some(2));
}

/// A folder in which nothing can be written, and a full one.
#[cfg(unix)]
#[test]
fn places_that_cannot_be_written_are_said() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let model = fixture().display().to_string();
    let folder = place.path().join("closed");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).expect("closed");
    if std::fs::write(folder.join("x"), "").is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    for (form, out) in [("hf", "closed/out"), ("gguf", "closed/out.gguf"), ("path", "closed/out.json")] {
        let said = place.run(&["export", &model, "--path", "(1,3)", "--to", form, out]);
        assert!(said.starts_with("exit code: 1") && said.contains("closed") && said.contains("os error 13"), "{said}");
    }
}

#[test]
fn a_folder_is_written_compared_and_asked() {
    let place = Place::new();
    assert_page!(
        "export_dry_run",
        place.run(&["export", "phantom", "--path", "(4,8)", "--to", "hf", "out", "--dry-run"])
    );
    assert!(!place.path().join("out").exists());
    assert_page!("export_written", place.run(&["export", "phantom", "--path", "(4,8)", "--to", "hf", "out"]));
    for file in ["config.json", "model.safetensors", "tokenizer.json", "README.md"] {
        assert!(place.path().join("out").join(file).is_file(), "{file}");
    }
    let names: Vec<_> =
        place.path().read_dir().expect("a folder").map(|entry| entry.expect("a name").file_name()).collect();
    assert_eq!(names, ["out"]);
    // Nothing that is there is replaced.
    assert_page!("export_never_replaced", place.run(&["export", "phantom", "--path", "(4,8)", "--to", "hf", "out"]));
    assert_page!("export_import_folder", place.run(&["import", "out"]));
    // The same path, as a map of the phantom and as the baseline of the export.
    let logits = |model: &str, path: &str, out: &str| {
        let output = place.output(&["logits", model, "--path", path, "--tokens", "1,2,3,4", "--out", out]);
        assert!(output.status.success());
        std::fs::read(place.path().join(out)).expect("written")
    };
    assert_eq!(logits("phantom", "(4,8)", "a.safetensors"), logits("out", "..", "b.safetensors"));
}

/// Said before anything is written, which may take long.
#[test]
fn a_program_that_is_not_there_is_said_first() {
    let place = Place::new();
    let model = fixture().display().to_string();
    let export = |more: &[&str]| place.run(&[&["export", &model, "--path", "(1,3)"], more].concat());
    assert_page!(
        "export_verify_without_python",
        export(&["--to", "hf", "out", "--verify", "transformers", "--python", "no-such-python"])
    );
    assert_page!("export_verify_other_form", export(&["--to", "gguf", "out.gguf", "--verify", "transformers"]));
    assert!(place.path().read_dir().expect("a folder").next().is_none());
}

/// A script that is called `python`.
#[cfg(unix)]
fn stand_in(place: &Place, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let python = place.path().join("python");
    std::fs::write(&python, script).expect("written");
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).expect("executable");
}

/// A Python without the packages says so in its last line.
#[cfg(unix)]
#[test]
fn packages_that_python_lacks_are_named() {
    let place = Place::new();
    let model = fixture().display().to_string();
    let script = "#!/bin/sh\necho Traceback >&2\necho \"ModuleNotFoundError: No module named 'torch'\" >&2\nexit 1\n";
    stand_in(&place, script);
    let export =
        ["export", &model, "--path", "(1,3)", "--to", "hf", "out", "--verify", "transformers", "--python", "./python"];
    assert_page!("export_verify_without_packages", place.run(&export));
    assert!(!place.path().join("out").exists());
}

/// A program whose logits are others: what was written stays and is marked.
#[cfg(unix)]
#[test]
fn an_export_that_another_program_computes_otherwise_is_marked() {
    let place = Place::new();
    let model = fixture().display().to_string();
    // Zeros of the right number: 48 positions of 97 logits.
    let script = "#!/bin/sh\n[ \"$1\" = - ] || exit 0\ncat > /dev/null\nhead -c 18624 /dev/zero > \"$4\"\n\
                  echo '{\"version\": \"fake 1\", \"columns\": 97}'\n";
    stand_in(&place, script);
    let export = [
        "export",
        &model,
        "--path",
        "(1,3)",
        "--to",
        "gguf",
        "out.gguf",
        "--verify",
        "llama.cpp",
        "--python",
        "./python",
    ];
    let said = place.run(&export);
    assert!(said.starts_with("exit code: 1") && said.contains("every logit is the same"), "{said}");
    assert!(said.contains("fake 1: THE EXPORT DOES NOT COMPUTE THE PATH"), "{said}");
    assert!(said.contains("nothing was deleted, but marked (VERIFICATION-FAILED.txt)"), "{said}");
    let mark = std::fs::read_to_string(place.path().join("out.gguf.VERIFICATION-FAILED.txt")).expect("a mark");
    assert!(mark.starts_with("fake 1: THE EXPORT DOES NOT"), "{mark}");
    assert!(place.path().join("out.gguf").is_file());
}

/// A program that does not load what was written has not shown that it computes the path.
#[cfg(unix)]
#[test]
fn an_export_that_another_program_does_not_run_is_marked() {
    let place = Place::new();
    let model = fixture().display().to_string();
    stand_in(&place, "#!/bin/sh\n[ \"$1\" = - ] || exit 0\ncat > /dev/null\necho 'KeyError: llama' >&2\nexit 1\n");
    let export =
        ["export", &model, "--path", "(1,3)", "--to", "hf", "out", "--verify", "transformers", "--python", "./python"];
    assert_page!("export_verify_does_not_run", place.run(&export));
    let mark = std::fs::read_to_string(place.path().join("out/VERIFICATION-FAILED.txt")).expect("a mark");
    assert!(mark.contains("KeyError: llama"), "{mark}");
}

#[test]
fn options_of_other_forms_are_refused_and_dry_runs_write_nothing() {
    let place = Place::new();
    let model = fixture().display().to_string();
    let export = |more: &[&str]| place.run(&[&["export", &model, "--path", "(1,3)", "--to"], more].concat());
    for (more, words) in [
        (&["gguf", "out.gguf", "--link"][..], "--link shares shards"),
        (&["hf", "out", "--numbers", "f16"], "--numbers chooses"),
        (&["peft", "--text", "x"], "--text is what"),
        (&["path", "--json"], "--json reports"),
        (&["path", "--run", "x"], "--run writes"),
    ] {
        let said = export(more);
        assert!(said.starts_with("exit code: 1") && said.contains(words), "{more:?}: {said}");
    }
    let said = export(&["exllamav3", "map.txt", "--dry-run"]);
    assert!(said.starts_with("exit code: 0") && said.contains("0..2,1..3"), "{said}");
    assert!(place.path().read_dir().expect("a folder").next().is_none());
}

/// With the programs themselves, in the Pythons that these variables name.
#[test]
fn exports_compute_the_path_in_other_programs() {
    let place = Place::new();
    let model = fixture().display().to_string();
    for (variable, program, form, out) in [
        ("NEURO_PYTHON_TRANSFORMERS", "transformers", "hf", "out"),
        ("NEURO_PYTHON_LLAMA_CPP", "llama.cpp", "gguf", "out.gguf"),
    ] {
        let Ok(python) = std::env::var(variable) else {
            println!("skipped: {variable} names no Python with {program}");
            continue;
        };
        let json = place.json(&[
            "export", &model, "--path", "(1,3)", "--to", form, out, "--verify", program, "--python", &python, "--json",
        ]);
        assert_eq!((&json["verified"], &json["peer"]["verified"]), (&true.into(), &true.into()), "{json}");
        let version = json["peer"]["version"].as_str().expect("a version");
        assert!(version.starts_with(if form == "hf" { "transformers " } else { "llama-cpp-python " }), "{version}");
        assert_eq!(json["peer"]["same_best"], json["peer"]["positions"]);
        println!("{version}: {}", json["peer"]["largest_difference"]);
    }
}

#[test]
fn what_was_linked_is_said() {
    let place = Place::new();
    let model = fixture().with_file_name("mistral-linear-sharded").display().to_string();
    let said = place.run(&["export", &model, "--path", "(3,5)", "--to", "hf", "out", "--link"]);
    assert!(said.starts_with("exit code: 0"), "{said}");
    let line = said.lines().find(|line| line.starts_with("out: ")).expect("a line");
    let is_linked = line.ends_with(" hard-linked") || line.ends_with(" reflinked");
    // The temporary folder may be on another disk than the fixtures.
    assert!(line.contains(" written") && (is_linked || said.contains("could not be linked")), "{said}");
}

#[test]
fn a_file_for_llama_cpp_is_written() {
    let place = Place::new();
    let model = fixture().display().to_string();
    let json = place.json(&["export", &model, "--path", "(1,3)", "--to", "gguf", "out.gguf", "--json"]);
    assert_eq!(json["verified"], true);
    assert_eq!(json["largest_difference"], 0.0);
    let json = place.json(&["export", "out.gguf", "--path", "0..5,5", "--to", "gguf", "again.gguf", "--json"]);
    assert_eq!(json["largest_difference"], 0.0);
    assert!(place.path().join("again.gguf").is_file());
}

#[test]
fn the_model_card_says_what_the_run_measured() {
    let run = phantom_run();
    let out = run.path().join("exported");
    let output = run.output(&["export", "phantom", "--path", "(4,8)", "--to", "hf", "exported", "--run", "run"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let card = std::fs::read_to_string(out.join("README.md")).expect("a card");
    assert!(card.contains("against the baseline on the same questions"), "{card}");
    assert!(card.contains("A candidate, not confirmed"), "{card}");
    let place = Place::new();
    let other = run.path().join("run").display().to_string();
    let refused =
        place.run(&["export", &fixture().display().to_string(), "--path", "(1,3)", "--to", "hf", "x", "--run", &other]);
    assert!(refused.contains("is a run of another model"), "{refused}");
}

/// What a card says was measured, but for the times of this machine.
fn measured(card: &Path) -> String {
    let card = std::fs::read_to_string(card.join("README.md")).expect("a card");
    let section = card.split("## What was measured\n\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let section = section.expect("a section");
    assert!(!section.contains("Verdict") || section.contains("\n- It costs "), "{section}");
    section.lines().filter(|line| !line.starts_with("- It costs ")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_model_card_has_the_verdict_of_a_confirmation() {
    let place = Place::new();
    let (from, to) = (phantom_run().path().join("run"), place.path().join("run"));
    std::fs::create_dir(&to).expect("a folder");
    for name in ["run.json", "rows.jsonl", "samples-phantom.jsonl"] {
        std::fs::copy(from.join(name), to.join(name)).expect("copied");
    }
    let confirm = ["confirm", "run", "--draws", "1", "--questions", "128", "--finalists", "3", "--seed", "0"];
    assert!(place.output(&confirm).status.success());
    let export = |path: &str, out: &str, run: &str| {
        let output = place.output(&["export", "phantom", "--path", path, "--to", "hf", out, "--run", run]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        measured(&place.path().join(out))
    };
    let confirmed = export("(4,8)", "confirmed", "run");
    assert_page!("export_card_confirmed", confirmed);
    // By its own folder the confirmation says the same, without the search.
    let own = export("(4,8)", "own", "run/confirm");
    let verdict = own.split("- Measured by").next().expect("a beginning");
    assert!(own.starts_with("- Verdict of a confirmation") && confirmed.starts_with(verdict), "{own}");
    // What was only searched is a candidate, whatever else was confirmed.
    let candidate = export("(0,1)", "candidate", "run");
    assert_page!("export_card_candidate", candidate);
    assert!(!candidate.contains(" gain"), "{candidate}");
    let refused = place.run(&["export", "phantom", "--path", "(0,1)", "--to", "hf", "x", "--run", "run/confirm"]);
    assert!(refused.contains("run/confirm has no verdict on path 0,0..11"), "{refused}");
    let gguf = place.run(&["export", "phantom", "--path", "(4,8)", "--to", "gguf", "x.gguf", "--run", "run"]);
    assert!(gguf.contains("which only --to hf has"), "{gguf}");
}

#[test]
fn a_published_scan_is_drawn() {
    let place = Place::new();
    let scans = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/scans");
    if !scans.exists() {
        println!("skipped: {} is not there", scans.display());
        return;
    }
    for name in ["llama3-2-Instruct-3B", "llama3-1_8B_instruct", "Qwen2-5-Instruct-3B"] {
        let file = scans.join(format!("{name}.json")).display().to_string();
        let output = place.output(&["import", &file, "--out", name]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let shown = place.run(&["show", name, "--probe", "eq"]);
        assert!(shown.contains("not to be believed"), "{shown}");
        let output = place.output(&["show", name, "--html", &format!("{name}.html"), "--svg", &format!("{name}.svg")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn an_imported_scan_is_shown_without_intervals() {
    let place = Place::new();
    let scan = r#"{"llmri_version":"1.0.0","scan_metadata":{"model_name":"org/m","model_type":"llama","num_layers":2,
        "total_params_base":"1.5M","device":"mps","eq_dataset_size":16},
        "results":[{"config":[0,0],"eq_score":0.5},{"config":[0,1],"eq_score":0.75},{"config":[0,2],"eq_score":0.25}]}"#;
    std::fs::write(place.path().join("scan.json"), scan).expect("written");
    assert_page!("export_import_needs_run", place.run(&["import", "scan.json"]));
    assert_page!("export_import_run", place.run(&["import", "scan.json", "--out", "run"]));
    assert_page!("export_show_imported", place.run(&["show", "run"]));
    assert_page!("export_csv_imported", place.run(&["show", "run", "--csv"]));
    std::fs::write(place.path().join("map.txt"), "0..2,1..3").expect("written");
    assert_page!("export_import_map_file", place.run(&["import", "map.txt", "--layers", "4", "--out", "map.json"]));
    assert_page!("export_import_map", place.run(&["import", "map.txt"]));
}

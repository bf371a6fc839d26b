use crate::support::{Place, assert_output};

#[test]
fn a_path_stands_beside_the_baseline() {
    assert_output!(Place::new().run(&["probe", "phantom", "--path", "(4,8)", "--questions", "96"]), @r"
    exit code: 0
    ----- stdout -----
    probe    path        score   delta          interval   n  unparsed  cut off  overhead
    phantom  0..11       0.25…       -                 -  96         0        0    +0.0 %
    phantom  0..7,4..11  0.50…  +0.25…  [+0.17…, +0.34…]  96         0        0   +33.3 %
    groups of 0..11: 1 1.00… (24), 2 0.00… (24), 3 0.00… (24), 4 0.00… (24)
    groups of 0..7,4..11: 1 1.00… (24), 2 1.00… (24), 3 0.00… (24), 4 0.00… (24)
    ----- stderr -----
    reading the weights
    192 answers of 1.0 tokens took 1.0 sweeps over their paths, on average
    ");
}

#[test]
fn every_notation_is_the_same_path() {
    let place = Place::new();
    let scores = |path: &str| {
        let document = place.json(&["probe", "phantom", "--path", path, "--questions", "24", "--json"]);
        document["results"].as_array().expect("a list").clone()
    };
    let first = scores("0..7,4..11");
    assert_eq!(first.len(), 2);
    for path in ["(4,8)", "blocks:4,8", "[[0,8],[4,12]]", "0..3,4..7x2,8..", "layers:0,1,2,3,4,5,6,7,4,5,6,7,8,9,10,11"]
    {
        assert_eq!(scores(path), first, "{path}");
    }
}

#[test]
fn json_has_one_shape() {
    let document = Place::new().json(&["probe", "phantom", "--questions", "24", "--json"]);
    assert_eq!(document["results"].as_array().map(Vec::len), Some(1), "the baseline alone");
    let keys = |value: &serde_json::Value| {
        value.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>().join(" "))
    };
    insta::assert_snapshot!(keys(&document).unwrap_or_default(), @"schema tool model run complete results compute type_effect type_effect_missing rows generated");
    insta::assert_snapshot!(keys(&document["results"][0]).unwrap_or_default(), @"path probe score delta interval overhead");
}

#[test]
fn a_run_of_single_paths_can_be_shown_but_has_no_map() {
    let place = Place::new();
    let measured = place.output(&["probe", "phantom", "--path", "(4,8)", "--questions", "24", "--out", "run"]);
    let shown = place.output(&["show", "run"]);
    assert_eq!(measured.stdout, shown.stdout);
    assert_output!(place.run(&["show", "run", "--csv"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: run holds single paths, not every block, so it has no map
    hint: without these flags, or with --json, its rows are shown
    ");
}

#[test]
fn a_path_that_is_none() {
    let place = Place::new();
    assert_output!(place.run(&["probe", "phantom", "--path", "4..20"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: --path 4..20: layer 20 does not exist: the model has 12 layers, 0 to 11; `a..b` includes b
    hint: `neuro doctor MODEL` describes the model's layers
    ");
    assert_output!(place.run(&["probe", "phantom", "--path", "four"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: --path four: layer map, character 1: found `four`, expected a layer such as `4` or a range such as `4..7` (layers are counted from 0)
    hint: write a path as `0..7,4..11`, a block as `(4,8)`; `neuro probe --help` shows every notation
    ");
    assert_output!(place.run(&["probe", "phantom", "--path", ""]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: --path : the layer path is empty; write `..` for the baseline, or for example `0..7,4..11`
    ");
}

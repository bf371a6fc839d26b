//! Every help page whole: what a new user reads first.

use crate::support::Place;

fn page(arguments: &[&str], name: &str) {
    let output = Place::new().run(arguments);
    insta::with_settings!({ filters => vec![(r"neuro\.exe", "neuro")] }, { insta::assert_snapshot!(name, output) });
}

#[test]
fn of_the_program() {
    page(&["--help"], "neuro");
}

#[test]
fn short_of_a_command() {
    page(&["scan", "-h"], "scan_short");
}

#[test]
fn of_scan() {
    page(&["scan", "--help"], "scan");
}

#[test]
fn of_confirm() {
    page(&["confirm", "--help"], "confirm");
}

#[test]
fn of_probe() {
    page(&["probe", "--help"], "probe");
}

#[test]
fn of_show() {
    page(&["show", "--help"], "show");
}

#[test]
fn of_compare() {
    page(&["compare", "--help"], "compare");
}

#[test]
fn of_ask() {
    page(&["ask", "--help"], "ask");
}

#[test]
fn of_export() {
    page(&["export", "--help"], "export");
}

#[test]
fn of_import() {
    page(&["import", "--help"], "import");
}

#[test]
fn of_logits() {
    page(&["logits", "--help"], "logits");
}

#[test]
fn of_train() {
    page(&["train", "--help"], "train");
}

#[test]
fn of_doctor() {
    page(&["doctor", "--help"], "doctor");
}

#[test]
fn of_completions() {
    page(&["completions", "--help"], "completions");
}

#[test]
fn of_grade() {
    page(&["grade", "--help"], "grade");
}

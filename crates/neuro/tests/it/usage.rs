//! Wrong usage: exit code 2 and what to write instead.

use crate::support::{Place, assert_output};

#[test]
fn without_a_command_the_help_is_shown() {
    let output = Place::new().output(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("neuro scan"));
}

#[test]
fn version() {
    assert_output!(Place::new().run(&["--version"]), @r"
    exit code: 0
    ----- stdout -----
    neuro [version]
    ----- stderr -----
    ");
}

#[test]
fn unknown_command() {
    assert_output!(Place::new().run(&["scna"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: unrecognized subcommand 'scna'

      tip: a similar subcommand exists: 'scan'

    Usage: neuro <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn values_that_are_none() {
    let place = Place::new();
    assert_output!(place.run(&["logits", "phantom", "--tokens", "1,x", "--out", "f"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value '1,x' for '--tokens <IDS>': `x` is no token id; write ids as 1,2,3

    For more information, try '--help'.
    ");
    assert_output!(place.run(&["scan", "--memory", "much"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value 'much' for '--memory <SIZE>': write a size such as 8GiB, 512MiB or 1.5GB

    For more information, try '--help'.
    ");
    assert_output!(place.run(&["scan", "--questions", "0"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value '0' for '--questions <N|all>': write a number of questions from 1, or `all`

    For more information, try '--help'.
    ");
    assert_output!(place.run(&["scan", "--device", "tpu"]), @r"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: invalid value 'tpu' for '--device <DEVICE>': the devices are cpu, cuda, cuda:N and metal

    For more information, try '--help'.
    ");
}

#[test]
fn flags_take_a_value_in_both_spellings() {
    let place = Place::new();
    let spaced = place.run(&["show", "nowhere", "--top", "x"]);
    let joined = place.run(&["show", "nowhere", "--top=x"]);
    assert_eq!(spaced, joined);
}

/// A name that is known, asked in a way that it is not: the ways that there are.
#[test]
fn ways_of_scoring_that_a_probe_has_not() {
    let place = Place::new();
    for (probe, advice) in [
        ("math:acc", "`acc` is no way to score `math`; ask math, math:likelihood"),
        ("sane:likelihood", "`likelihood` is no way to score `sane`; ask sane"),
        ("reason@3:best", "`best` is no way to score `reason@3`; ask reason@3, reason@3:likelihood"),
        ("piqa:likely=f", "`likely` is no way to score `piqa`; ask piqa, piqa:likelihood, piqa:acc, piqa:acc-norm"),
        ("maths:acc", "the probes are math, math:likelihood, eq"),
    ] {
        let output = place.run(&["probe", "phantom", "--probe", probe]);
        assert!(output.starts_with("exit code: 2") && output.contains(advice), "{output}");
    }
}

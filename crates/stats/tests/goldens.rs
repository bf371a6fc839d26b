//! Agreement with scipy and statsmodels; `fixtures/stats/golden.py` recorded their values.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use neuro_stats::{
    Interval, Tail, benjamini_hochberg, expected_best, holm, max_t, mcnemar, paired_permutation, power_mean,
    power_proportions, spearman, tango, wilson,
};
use serde_json::Value;

fn golden(part: &str) -> Value {
    let text = include_str!("../../../fixtures/stats/golden.json");
    let mut golden: Value = serde_json::from_str(text).unwrap();
    golden[part].take()
}

fn cases(part: &str) -> Vec<Value> {
    let cases = golden(part).as_array().unwrap().clone();
    assert!(!cases.is_empty(), "{part}");
    cases
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn whole(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn assert_close(found: &[f64], expected: &Value, tolerance: f64, case: &Value) {
    let expected = numbers(expected);
    assert_eq!(found.len(), expected.len(), "{case}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found}, expected {expected}: {case}");
    }
}

fn ends(interval: Option<Interval>) -> Vec<f64> {
    let Interval { low, high } = interval.unwrap();
    vec![low, high]
}

#[test]
fn mcnemar_is_that_of_statsmodels() {
    for case in cases("mcnemar") {
        let found = mcnemar(whole(&case["wins"]), whole(&case["losses"]));
        assert!((found - number(&case["p"])).abs() < 1e-12, "{found}: {case}");
    }
}

#[test]
fn permutation_tests_are_those_of_scipy() {
    for case in cases("permutation") {
        let differences = numbers(&case["differences"]);
        for (tail, key) in [(Tail::Both, "both"), (Tail::Greater, "greater")] {
            let found = paired_permutation(&differences, tail, 99, 1).unwrap();
            assert!(found.exact && (found.p - number(&case[key])).abs() < 1e-12, "{found:?}: {case}");
        }
    }
}

/// Random draws against every way of swapping labels, within two standard errors of 20,000 draws.
#[test]
fn max_t_comes_near_the_full_enumeration() {
    let case = golden("max_t");
    let rows: Vec<Vec<f64>> = case["differences"].as_array().unwrap().iter().map(numbers).collect();
    let found = max_t(rows.iter().map(|row| Some(row.as_slice())), 20_000, 4);
    let adjusted: Vec<f64> = found.adjusted.iter().map(|p| p.unwrap()).collect();
    assert_close(&adjusted, &case["adjusted"], 0.007, &case);
    assert!((found.expected_best().unwrap() - number(&case["best"])).abs() < 0.003);
}

#[test]
fn corrections_are_those_of_statsmodels() {
    for case in cases("multiplicity") {
        let p = numbers(&case["p"]);
        assert_close(&holm(&p), &case["holm"], 1e-12, &case);
        assert_close(&benjamini_hochberg(&p), &case["benjamini_hochberg"], 1e-12, &case);
    }
}

#[test]
fn wilson_s_interval_is_that_of_statsmodels() {
    for case in cases("wilson") {
        let found = wilson(whole(&case["successes"]), whole(&case["n"]));
        assert_close(&ends(found), &case["interval"], 1e-12, &case);
    }
}

#[test]
fn tango_s_interval_is_that_of_a_numerical_search() {
    for case in cases("tango") {
        let found = tango(whole(&case["wins"]), whole(&case["losses"]), whole(&case["n"]));
        assert_close(&ends(found), &case["interval"], 1e-5, &case);
    }
}

#[test]
fn rank_correlation_is_that_of_scipy() {
    for case in cases("spearman") {
        let found = spearman(&numbers(&case["x"]), &numbers(&case["y"])).unwrap();
        assert!((found.rho - number(&case["rho"])).abs() < 1e-12, "{found:?}: {case}");
        assert!((found.p.unwrap() - number(&case["p"])).abs() < 1e-10, "{found:?}: {case}");
    }
}

#[test]
fn power_is_that_of_every_outcome_summed() {
    for case in cases("power_proportions") {
        let [win, loss, alpha] = ["win", "loss", "alpha"].map(|key| number(&case[key]));
        let found = power_proportions(whole(&case["n"]), win, loss, alpha).unwrap();
        assert!((found - number(&case["power"])).abs() < 1e-9, "{found}: {case}");
    }
}

#[test]
fn power_of_a_mean_is_that_of_statsmodels() {
    for case in cases("power_mean") {
        let [delta, sd, alpha] = ["delta", "sd", "alpha"].map(|key| number(&case[key]));
        let found = power_mean(whole(&case["n"]), delta, sd, alpha).unwrap();
        assert!((found - number(&case["power"])).abs() < 1e-9, "{found}: {case}");
    }
}

#[test]
fn the_best_of_many_is_that_of_scipy_s_integral() {
    for case in cases("expected_best") {
        let found = expected_best(whole(&case["m"]));
        assert!((found - number(&case["expected"])).abs() < 1e-8, "{found}: {case}");
    }
}

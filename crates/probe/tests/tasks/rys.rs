//! The files of RYS and EQ-Bench: the authors' documented scores.

use neuro_probe::TaskSet;

use crate::support::{close, mean, published, read};

/// The documented values of the author's math score on his files.
#[test]
fn rys_math_scores_as_documented() {
    let (Some(small), Some(large)) =
        (published("rys-math", "probes/rys/math_16.json"), published("rys-math", "probes/rys/math_120.json"))
    else {
        return;
    };
    assert_eq!((small.questions().len(), large.questions().len()), (16, 120));
    let leading = |count: usize| {
        move |_: &str, key: &str| {
            key.chars().enumerate().map(|(place, digit)| if place < count { digit } else { '0' }).collect::<String>()
        }
    };
    let commas = |_: &str, key: &str| {
        let grouped =
            key.bytes().rev().collect::<Vec<_>>().chunks(3).map(<[u8]>::to_vec).collect::<Vec<_>>().join(&b',');
        String::from_utf8(grouped.into_iter().rev().collect()).unwrap()
    };
    for (set, documented) in [
        // Right, last digit left out, a digit appended, commas, 1.
        (&small, [1.0, 0.874, 0.891, 0.32, 0.044]),
        (&large, [1.0, 0.830, 0.857, 0.36, f64::NAN]),
    ] {
        assert_eq!(mean(set, |_, key| key.to_owned()), documented[0]);
        close(mean(set, |_, key| key[..key.len() - 1].to_owned()), documented[1], 3);
        close(mean(set, |_, key| format!("{key}5")), documented[2], 2);
        close(mean(set, commas), documented[3], 2);
    }
    close(mean(&small, |_, _| "1".to_owned()), 0.044, 3);
    for (count, documented, digits) in [(1, 0.876, 3), (2, 0.981, 3), (3, 0.998, 3), (4, 0.9998, 4)] {
        close(mean(&small, leading(count)), documented, digits);
    }
    // Saying the question again: the best of its numbers counts.
    let operand = |set: &TaskSet| mean(set, |id, _| set.question(id).unwrap().user.clone());
    close(operand(&small), 0.31, 2);
    close(operand(&large), 0.29, 2);
    let constants = small.constants();
    close(constants.iter().find(|one| one.answer.starts_with("the first right digit")).unwrap().score, 0.876, 3);
}

/// The documented values of the author's EQ score on his files.
#[test]
fn rys_eq_scores_as_documented() {
    let (Some(set), Some(full)) =
        (published("rys-eq", "probes/rys/eq_16.json"), published("eqbench", "probes/rys/eq_16.json"))
    else {
        return;
    };
    let lines = |values: [f64; 4]| values.iter().map(|value| format!("X: {value}\n")).collect::<String>();
    let all = |value: f64| format!("First pass scores:\n{}", lines([value; 4]));
    for (value, documented) in
        [(0.0, 0.7), (1.0, 0.7243), (2.0, 0.7404), (2.5, 0.7432), (3.0, 0.7411), (5.0, 0.6742), (10.0, 0.3)]
    {
        close(mean(&set, |_, _| all(value)), documented, 4);
    }
    close(mean(&set, |_, key| key.to_owned()), 0.9, 12);
    // The answers that people gave on the scale of the prompt are not the best ones, and halving them costs little.
    let values = |id: &str, scale: f64| {
        let key = &full.question(id).unwrap().key;
        let value = |line: &str| scale * line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        format!("First pass scores:\n{}", key.lines().map(|line| format!("X: {}\n", value(line))).collect::<String>())
    };
    close(mean(&set, |id, _| values(id, 1.0)), 0.8513, 4);
    close(mean(&set, |id, _| values(id, 0.5)), 0.8206, 4);
    close(mean(&set, |_, _| String::new()), 0.5, 12);
    let constants = set.constants();
    close(constants.iter().find(|one| one.answer == "2.5 to every emotion").unwrap().score, 0.7432, 4);
    // His second file lost the instruction that his parser looks for; the answers are graded alike.
    let second = published("rys-eq", "probes/rys/eq_140.json").unwrap();
    assert_eq!(second.questions().len(), 139);
}

#[test]
fn prompts_of_rys_have_the_authors_form() {
    let set =
        read("rys-math", r#"{"7": {"question": "What is the square root of 664307072?", "answer": 25774}}"#).unwrap();
    let question = set.question("7").unwrap();
    assert_eq!(question.user, "/no_think What is the square root of 664307072?");
    assert!(question.system.as_deref().unwrap().starts_with("You are a highly intelligent AI. You have extraordinary"));
    assert_eq!((question.key.as_str(), question.group.as_str(), question.max_new_tokens), ("25774", "square root", 64));
    let long = read("rys-math", r#"{"0": {"question": "?", "answer": 1234567890123456789012345678}}"#).unwrap();
    assert_eq!(long.question("0").unwrap().key, "1234567890123456789012345678", "no float has rounded it");
    assert_eq!(long.grade("0", "1234567890123456789012345678").unwrap().grade.score, 1.0);
}

#[test]
fn eqbench_is_read_in_both_languages_and_grades_its_own_references() {
    for name in ["eq_bench_v2_questions_171.json", "eq_bench_v2_questions_171_de.json"] {
        let Some(set) = published("eqbench", &format!("probes/eqbench/{name}")) else { return };
        assert_eq!(set.questions().len(), 171);
        assert_eq!(mean(&set, |_, key| key.to_owned()), 1.0, "{name}");
        let constants = set.constants();
        assert!(constants.iter().all(|constant| constant.score < 0.55), "{constants:?}");
    }
}

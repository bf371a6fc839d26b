//! What runs on disk rely on: the same version asks the same questions and grades the same answers alike.

use neuro_probe::{Count, ProbeFile, ProbeRequest, TaskSet};
use sha2::{Digest, Sha256};

use crate::examples::{STEPS, beside, described, solved};
use crate::robust::ONE_OF_EACH;

/// Kinds whose files have a name of their own, or whose form another kind shares.
const OTHERS: &[(&str, &str)] = &[
    ("bbh", "{\"examples\": [{\"input\": \"Back?\\nOptions:\\n- Yes\\n- No\", \"target\": \"No\"}]}"),
    (
        "arc-easy",
        "{\"query\": \"Question: What?\", \"choices\": [\"it rains\", \"it snows\", \"a storm\"], \"gold\": 1}",
    ),
    ("bbh-cot", "{\"examples\": [{\"input\": \"Back?\", \"target\": \"No\"}]}"),
    ("gsm8k-5shot", "{\"question\": \"?\", \"answer\": \"#### 7\"}"),
    ("gsm8k-cot", "{\"question\": \"?\", \"answer\": \"#### 7\"}"),
    ("boolq", "{\"query\": \"Passage: Tea is hot.\\nQuestion: is it?\", \"choices\": [\"no\", \"yes\"], \"gold\": 1}"),
];

/// What is said to every question, beside its key in several dresses.
const SAID: [&str; 14] = [
    "",
    "7",
    "It is 1,007. Or 8?",
    "yes",
    "No, you would not.",
    "(B)",
    "The answer is B.",
    "not A but B",
    "- Paris\n- Rome",
    "Great! **Ville de Paris**",
    "\\boxed{\\frac{1}{2}}",
    "<think>5</think>",
    "First pass scores:\nA: 5\nB: 0\nC: 1\nD: 10",
    "A: 6\nB: 0\nC: 1\nD: 10",
];

/// Kind, version, what is asked, and how answers are graded.
const KINDS: &str = "\
task v2 7670e434347e 2ed69fc7cac7
rys-math v2 e8b4e0950338 cb2178e0de7f
gsm8k v2 5c89a8ad3347 0a45b1ff9383
math500 v2 56e6baafae10 f1913e3f1c89
piqa v2 2879baf81b66 31007f88b7dc
winogrande v2 1acd248ba091 5df5df6c7bbc
lambada v2 dfa7c469e15c 767d6b74822e
eqbench v2 727c56e665eb 187e4cdf3360
ifeval v2 114c124e8147 fc19188f7a7c
bbh v2 eb14a476f4cb 37018d9e4b46
arc-easy v2 33da5ce3b32c 3c103f9b32c0
bbh-cot v2 a19496701776 48a0c8bf2c36
gsm8k-5shot v2 976363b0cf65 d24fcf66ff95
gsm8k-cot v2 7f31b7531c6c e4b0bd932cdd
boolq v2 173112cb3694 55cb71cf2130
";

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// When a line changes, a kind asks or grades otherwise than in stored runs: raise `VERSION` in `src/task/mod.rs`, and write
/// the lines anew.
#[test]
fn kinds_of_this_version_never_change() {
    let mut lines = String::new();
    for (kind, content) in ONE_OF_EACH.iter().chain(OTHERS) {
        let file = match *kind {
            "bbh-cot" => beside("navigate.json", content, STEPS),
            "gsm8k-5shot" => beside("test.jsonl", content, &solved(50)),
            "gsm8k-cot" => beside("test.jsonl", content, &described(8)),
            _ => ProbeFile::new("navigate.json", content.as_bytes()),
        };
        let set = TaskSet::read(kind, &file).unwrap();
        let probe = set.probe(kind, &ProbeRequest { count: Count::All, ..ProbeRequest::default() }).unwrap();
        let mut grades = Sha256::new();
        for question in set.questions() {
            let key = &question.key;
            let dressed = [key.clone(), format!("Sure! **{key}**."), format!("{}\n{key}", question.user)];
            for answer in dressed.iter().map(String::as_str).chain(SAID) {
                let graded = set.grade(&question.id, answer).unwrap();
                // Not every platform rounds logarithms alike.
                grades.update(format!("{:.9} {:?}", graded.grade.score, graded.grade.parsed));
                for measure in &graded.measures {
                    grades.update(format!(
                        "{} {} {:.9?} {}",
                        measure.metric, measure.filter, measure.values, measure.filtered
                    ));
                }
            }
        }
        let version = probe.id().split(' ').nth(1).unwrap_or_default().to_owned();
        lines += &format!("{kind} {version} {} {}\n", &probe.hash()[..12], hex(grades));
    }
    assert_eq!(lines, KINDS);
}

//! What runs on disk rely on: the same version asks the same questions and grades the same answers alike.

use sha2::{Digest, Sha256};

use crate::support::{GENERATED, probe};

/// Stored runs name these hashes: when one changes, raise the version of its generator or scorer.
#[test]
fn generators_of_this_version_never_change() {
    let hash = |name: &str| probe(name, 30).hash()[..12].to_owned();
    let names = ["eq", "eq:likelihood", "reason", "reason@6", "recall", "recall:likelihood", "follow", "sane", "text"];
    let hashes = names.map(hash).join(" ");
    assert_eq!(
        hashes,
        "ea7585082182 179b80622f17 fc3b73894b31 3b410d8cfa1b c863b57731a5 618667712330 01455fbe25ca 3a43056c674f \
         8952fb92abd3"
    );
}

/// What is said to every question, beside its key in several dresses.
const SAID: [&str; 12] = [
    "",
    "7",
    "12,345",
    "yes",
    "No.",
    "The answer is B.",
    "- red\n- blue",
    "**Monday**",
    "<think>5</think>",
    "I do not know, and nobody does.",
    "{\"text\": 1}",
    "( [ ] )",
];

/// When a digest changes, answers are graded otherwise than in stored runs: raise the version in the scorer's id.
#[test]
fn scorers_of_this_version_never_change() {
    let digest = |name: &&str| {
        let probe = probe(name, 32);
        let mut hasher = Sha256::new();
        for question in probe.questions() {
            let key = &question.key;
            let dressed =
                [key.clone(), format!("Sure! **{key}**"), key.to_uppercase(), format!("{} {key}", question.user)];
            for answer in dressed.iter().map(String::as_str).chain(SAID) {
                let grade = probe.grade(question, answer);
                // Not every platform rounds logarithms alike.
                hasher.update(format!("{:.9} {:?}", grade.score, grade.parsed));
            }
        }
        hasher.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let digests = GENERATED.iter().map(digest).collect::<Vec<_>>().join(" ");
    assert_eq!(digests, "65fa94237081 82a799b309d0 1a3ffc194ded 7b0e2dc8f698 89b9696edfcd 866f7c962ee5");
}

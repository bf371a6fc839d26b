//! Three sets of questions that share none: of the search, of the confirmation, and one kept for a report.

use neuro_probe::{Probe, Question, family};
use neuro_record::QuestionSet;
use sha2::{Digest, Sha256};

/// Hexadecimal digits that are kept of a question's hash: a thousand questions collide with a chance of 10⁻¹³.
const DIGITS: usize = 16;

/// The set of a role and probe: each question by the hash of prompt and key, whatever is scored.
pub(crate) fn set_of(role: &str, probe: &Probe) -> QuestionSet {
    let mut questions: Vec<String> = probe.questions().iter().map(hash).collect();
    // Draws of one question stand one after the other.
    questions.dedup();
    QuestionSet { role: role.to_owned(), probe: family(probe.name()).to_owned(), questions }
}

/// Identifies a question by what is asked and what is right, whatever words a sibling of its probe asks it in.
pub(crate) fn hash(question: &Question) -> String {
    if !question.identity.is_empty() {
        return hash_of(&[question.identity.as_bytes()]);
    }
    let system = question.system.as_deref().unwrap_or_default();
    // With the key: of a text's window the prompt is the first word alone.
    hash_of(&[system, &question.user, &question.plain, &question.key].map(str::as_bytes))
}

/// The first digits of the SHA-256 over these parts with their lengths.
pub(crate) fn hash_of(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let digits: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    digits.chars().take(DIGITS).collect()
}

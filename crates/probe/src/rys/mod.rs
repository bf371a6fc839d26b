//! The probes of RYS ("Repeat Yourself", dnhkng/RYS), over the user's copy of its files: the form of the prompts and the
//! scores are the author's to the last bit, so that maps compare.
//!
//! What these scores are worth is another matter, and [`crate::TaskSet::constants`] says it beside them: the math score
//! is all but saturated after two right digits, and the EQ score compares answers on a scale from 0 to 10 with references
//! that sum to 10, so that 2.5 to everything does as well as a large model.

pub(crate) mod eq;
pub(crate) mod math;

use std::sync::LazyLock;

use regex::Regex;

/// Before every user message (`generate_messages`, `generate_eq_messages`; the author's combined worker writes it twice
/// before EQ prompts, his EQ worker once, as here).
pub(crate) const NO_THINK: &str = "/no_think ";
/// System message of the math probe (`MATH_SYSTEM_PROMPT` of src/workers/math_worker.py). The EQ probe has none.
pub(crate) const MATH_SYSTEM: &str = "You are a highly intelligent AI. You have extraordinary intuition and can easily \
                                      make accurate estimations. For the following questions, you will always provide \
                                      an answer, even if you are not certain.";
/// Most tokens of an answer: 64 in the author's combined worker and beam search.
pub(crate) const MAX_NEW_TOKENS: usize = 64;

/// The answer without thinking blocks, the last of which may lack its end (`strip_thinking`).
pub(crate) fn spoken(answer: &str) -> String {
    static BLOCK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?s)<think>.*?(?:</think>|\z)").ok());
    match &*BLOCK {
        Some(block) => block.replace_all(answer, "").trim().to_owned(),
        None => answer.trim().to_owned(),
    }
}

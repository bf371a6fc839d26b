//! How probable a model finds a text: a guard that needs no answers.
//!
//! The text is cut into windows, each a question of its own, so that differences are paired window by window. A window's
//! first word is read and the rest scored, which asks models with and without a beginning-of-text token the same. The
//! score is the geometric mean probability per UTF-8 byte, which does not depend on the tokenizer: 2 to the power of minus
//! the bits per byte. No chat template is used. Without a file the text is the dialogues of `eq`, one window each.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::draw::draw;
use crate::scorer::FirstWord;
use crate::{
    Continuation, Frame, Likelihood, Probe, ProbeError, ProbeFile, ProbeParts, ProbeRequest, Question, Scoring, eq,
};

/// Of the cutting and the drawing.
const VERSION: u32 = 2;
/// Bytes of a window, about; it ends between words.
const WINDOW: usize = 400;
/// The one name: only probabilities are scored.
pub(crate) const NAME: &str = "text:likelihood";

/// Builds `text:likelihood`; `text` is short for it.
pub(crate) fn build(request: &ProbeRequest) -> Result<Probe, ProbeError> {
    let (source, windows) = match &request.file {
        Some(file) => (file.name.as_str(), of_file(file)?),
        None => ("own", eq::texts()?),
    };
    let questions = windows.into_iter().filter_map(|(id, window)| question(id, &window)).collect();
    // A window that stands twice in the text belongs to one role.
    let (questions, drawing) = draw(NAME, questions, |question| &question.key, request)?;
    let text: String = Sha256::digest(request.file.as_ref().map_or(&b""[..], |file| &file.content))
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let text = if source == "own" { source.to_owned() } else { format!("sha256:{text}") };
    Probe::from_parts(ProbeParts {
        name: NAME.to_owned(),
        parameters: format!("v{VERSION} text={text} {drawing}"),
        scoring: Scoring::Likelihood,
        likelihood: Likelihood::Text,
        scorer: Arc::new(FirstWord),
        frame: Frame { always_plain: true, ..Frame::open() },
        questions,
    })
}

/// The windows of a file, numbered from 1.
fn of_file(file: &ProbeFile) -> Result<Vec<(String, String)>, ProbeError> {
    let text = file.text()?;
    let windows: Vec<_> =
        windows(text).enumerate().map(|(index, window)| (format!("window {}", index + 1), window.to_owned())).collect();
    if windows.iter().all(|(id, window)| question(id.clone(), window).is_none()) {
        let problem = "found no text, expected at least two words".to_owned();
        return Err(ProbeError::File { file: file.name.clone(), line: 1, problem });
    }
    Ok(windows)
}

/// Cuts a text behind the first white space after [`WINDOW`] bytes, again and again.
fn windows(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        let mut least = WINDOW.min(rest.len());
        while !rest.is_char_boundary(least) {
            least += 1;
        }
        let end = rest[least..].find(char::is_whitespace).map_or(rest.len(), |end| least + end);
        let (window, after) = rest.split_at(end);
        rest = after.trim_start();
        (!window.is_empty()).then_some(window)
    })
}

/// The question of a window; none of a single word.
fn question(id: String, window: &str) -> Option<Question> {
    let window = window.trim();
    let (first, _) = window.split_once(char::is_whitespace)?;
    // With its white space, which the tokenizer joins to the next word.
    let said = &window[first.len()..];
    Some(Question {
        id,
        group: "text".to_owned(),
        user: first.to_owned(),
        plain: first.to_owned(),
        key: said.to_owned(),
        continuations: vec![vec![Continuation { read: String::new(), said: said.to_owned(), value: 1.0 }]],
        ..Question::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_the_whole_text() {
        let text = "Ein naïver Satz, zwölf Mal größer als nötig. ".repeat(60);
        let all: Vec<&str> = windows(&text).collect();
        assert_eq!(all.join(" "), text.trim());
        let (last, whole) = all.split_last().unwrap();
        assert!(whole.iter().all(|window| (WINDOW..WINDOW + 12).contains(&window.len())) && last.len() < WINDOW + 12);
        assert_eq!(windows(" \n").count(), 0);
        // Nothing to cut at, and a cut that falls into a character.
        assert_eq!(windows(&"é".repeat(900)).count(), 1);
    }

    #[test]
    fn the_first_word_is_read_and_the_rest_scored() {
        let question = question("window 1".to_owned(), " Once upon  a time\n").unwrap();
        assert_eq!((question.plain.as_str(), question.key.as_str()), ("Once", " upon  a time"));
        assert_eq!(question.continuations[0][0].said, " upon  a time");
        assert!(super::question(String::new(), "word").is_none());
    }
}

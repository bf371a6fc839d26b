//! Worked examples as lm-evaluation-harness writes them into the YAML of a task: `samples` in its `fewshot_config`, a list of
//! objects with `question` and `target`. Everything else there goes unread.

use serde::Deserialize;
use serde_saphyr::{MessageFormatter, Spanned, UserMessageFormatter};

use crate::{ProbeError, ProbeFile};

/// A question and its worked answer.
pub(super) type Example = [String; 2];

#[derive(Deserialize)]
struct Task {
    fewshot_config: FewShot,
}

#[derive(Deserialize)]
struct FewShot {
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    question: Spanned<String>,
    target: Spanned<String>,
}

/// The examples of a file, in its order.
///
/// # Errors
/// Names the line and the reason: no UTF-8, no YAML, no such list, a key that is not known, missing or there twice, an empty
/// text.
pub(super) fn read(file: &ProbeFile) -> Result<Vec<Example>, ProbeError> {
    let refuse = |line: u64, found: &str| {
        let expected = "expected the YAML of a task of lm-evaluation-harness with a list `samples` in its `fewshot_config`, and \
                        a text as `question` and one as `target` in each of them";
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        ProbeError::File { file: file.name.clone(), line, problem: format!("{found}; {expected}") }
    };
    let task: Task = serde_saphyr::from_str(file.text()?).map_err(|error| {
        let found = UserMessageFormatter.format_message(error.without_snippet()).replace(char::is_control, " ");
        refuse(error.location().map_or(1, |place| place.line()), &found)
    })?;
    let said = |text: Spanned<String>| match text.value.trim() {
        "" => Err(refuse(text.referenced.line(), "found an empty text")),
        _ => Ok(text.value),
    };
    let samples = task.fewshot_config.samples.into_iter();
    samples.map(|sample| Ok([said(sample.question)?, said(sample.target)?])).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_text(text: &str) -> Result<Vec<Example>, String> {
        read(&ProbeFile::new("t.yaml", text.as_bytes())).map_err(|error| error.to_string())
    }

    #[test]
    fn examples_are_read_as_yaml_folds_them() {
        let text = "task: !function t.t\nfewshot_config:\n  sampler: first_n\n  samples:\n  - question: Two and\n      - one?\n    target: 2 - 1\n      = 1. Said one.\n\n  - target: 'It''s\n      two'\n    question: \"a \\\"b\\\"\\n?\"\nfilter_list:\n- filter:\n  - question: no\n";
        let expected = [["Two and - one?", "2 - 1 = 1. Said one."], ["a \"b\"\n?", "It's two"]];
        assert_eq!(read_text(text).unwrap(), expected.map(|example| example.map(str::to_owned)));
        assert_eq!(read_text(&text.replace('\n', "\r\n")).unwrap(), read_text(text).unwrap());
        // A list may stand below its key, or deeper; an empty line is a line break; a block keeps its lines.
        let flat = "fewshot_config:\n  samples:\n  - question: a\n\n      b\n    target: c\nnext: d\n";
        assert_eq!(read_text(flat).unwrap(), [["a\nb".to_owned(), "c".to_owned()]]);
        let deep =
            "fewshot_config:\n  samples:\n      - question: a\n        target: |-\n          c\n          d\n# end";
        assert_eq!(read_text(deep).unwrap(), [["a".to_owned(), "c\nd".to_owned()]]);
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_line() {
        let of = |samples: &str| format!("fewshot_config:\n  samples:\n{samples}");
        for (text, problem) in [
            ("a: b".to_owned(), "t.yaml, line 1: missing field `fewshot_config`; expected the YAML of a task"),
            ("fewshot_config: {}".to_owned(), "line 1: missing field `samples`"),
            (of("  - question: a\n  - question: b\n    target: c"), "line 3: missing field `target`"),
            (of("  - question: a\n    question: b"), "line 4: duplicate mapping key `question`"),
            (of("  - question: a\n    answer: b"), "line 4: unknown field `answer`, expected one of question, target"),
            (of("    question: a"), "line 3: expected sequence start"),
            (of("  - question: [a]\n    target: b"), "line 3: expected string scalar"),
            (of("  - question: 'a\n    target: b"), "line 4: invalid indentation in multiline quoted scalar"),
            (of("  - question:\n    target: b"), "line 3: null is not allowed here"),
            (of("  - question: ' '\n    target: b"), "line 3: found an empty text"),
        ] {
            let refusal = read_text(&text).unwrap_err();
            assert!(refusal.contains(problem), "{text:?}: {refusal}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_fatal(text in r#"(\PC|\n {0,6}|samples:|- |question:|target: |'|"|\\u|\||&a|\*a){0,30}"#) {
            let read = read_text(&format!("fewshot_config:\n  samples:\n{text}"));
            let is_said = |example: &Example| example.iter().all(|text| !text.trim().is_empty());
            prop_assert!(read.is_err() || read.is_ok_and(|examples| examples.iter().all(is_said)));
        }
    }
}

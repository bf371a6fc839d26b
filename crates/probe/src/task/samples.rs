//! Worked examples as lm-evaluation-harness writes them into the YAML of a task: under `samples:` a list of objects with
//! `question` and `target`. That much of YAML is read and no more: texts that are plain or quoted, folded over lines.

use crate::{ProbeError, ProbeFile};

/// A question and its worked answer.
pub(super) type Example = [String; 2];

/// The keys of an example, in the order of [`Example`].
const KEYS: [&str; 2] = ["question", "target"];

/// A line, counted from 1, without its indentation.
#[derive(Clone, Copy)]
struct Line<'a> {
    number: usize,
    indent: usize,
    text: &'a str,
}

/// A text on its way together.
struct Field<'a> {
    line: usize,
    /// Column of its key; what stands deeper goes on with it.
    column: usize,
    key: &'a str,
    parts: Vec<&'a str>,
}

/// The examples of a file, in its order.
///
/// # Errors
/// Names the line and the reason: no UTF-8, no `samples:`, a key that is not known, missing or there twice, a text of
/// another form.
pub(super) fn read(file: &ProbeFile) -> Result<Vec<Example>, ProbeError> {
    let refuse = |line: usize, problem: String| ProbeError::File { file: file.name.clone(), line, problem };
    let mut lines = file.text()?.lines().enumerate().map(|(index, line)| {
        let text = line.trim();
        Line { number: index + 1, indent: line.len() - line.trim_start().len(), text }
    });
    let Some(head) = lines.find(|line| line.text == "samples:") else {
        let problem = "found no key `samples:`, expected the YAML of a task of lm-evaluation-harness that has examples";
        return Err(refuse(1, problem.to_owned()));
    };
    let mut examples: Vec<Vec<Field<'_>>> = Vec::new();
    for line in lines {
        let open = examples.last_mut().and_then(|fields| fields.last_mut());
        if let Some(field) = open.filter(|field| line.text.is_empty() || line.indent > field.column) {
            field.parts.push(line.text);
            continue;
        }
        if line.text.is_empty() || line.text.starts_with('#') {
            continue;
        }
        let item = line.text.strip_prefix("- ");
        if line.indent < head.indent || line.indent == head.indent && item.is_none() {
            break;
        }
        let text = item.map_or(line.text, str::trim_start);
        let column = line.indent + line.text.len() - text.len();
        let found = KEYS.iter().find_map(|key| Some((*key, text.strip_prefix(key)?.strip_prefix(':')?)));
        let Some((key, value)) = found.filter(|(_, value)| value.is_empty() || value.starts_with(' ')) else {
            return Err(refuse(line.number, format!("found `{}`, expected `question:` or `target:`", short(text))));
        };
        if item.is_some() {
            examples.push(Vec::new());
        }
        let Some(fields) = examples.last_mut() else {
            return Err(refuse(line.number, format!("found `{key}:`, expected `- {key}:`, an item of a list")));
        };
        if fields.iter().any(|field| field.key == key) {
            return Err(refuse(line.number, format!("the key `{key}` is there twice; expected each key once")));
        }
        fields.push(Field { line: line.number, column, key, parts: vec![value.trim()] });
    }
    let one = |fields: &Vec<Field<'_>>| -> Result<Example, ProbeError> {
        let text = |key: &str| {
            let first = fields.first().map_or(head.number, |field| field.line);
            let field = fields.iter().find(|field| field.key == key);
            let field = field.ok_or_else(|| refuse(first, format!("the key `{key}` is missing in this example")))?;
            said(&folded(&field.parts)).map_err(|problem| refuse(field.line, format!("`{key}` {problem}")))
        };
        Ok([text(KEYS[0])?, text(KEYS[1])?])
    };
    examples.iter().map(one).collect()
}

/// Lines of one text: a line break is a space, an empty line a line break.
fn folded(parts: &[&str]) -> String {
    let mut text = String::new();
    let mut breaks = 0;
    for part in parts {
        if part.is_empty() {
            breaks += 1;
            continue;
        }
        if !text.is_empty() {
            text.push_str(&if breaks == 0 { " ".to_owned() } else { "\n".repeat(breaks) });
        }
        text.push_str(part);
        breaks = 0;
    }
    text
}

/// What a text says without its quotes.
fn said(text: &str) -> Result<String, &'static str> {
    let said = match text.chars().next() {
        None => return Err("is empty, expected a text"),
        Some('|' | '>' | '[' | '{' | '&' | '*' | '!') => {
            return Err("has another form, expected a text, plain or in quotes");
        }
        Some('\'') => {
            let quoted = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
            quoted.ok_or("has a quote that does not end")?.replace("''", "'")
        }
        Some('"') => serde_json::from_str(text).map_err(|_| "has a quote that cannot be read")?,
        Some(_) => text.to_owned(),
    };
    if said.trim().is_empty() { Err("is empty, expected a text") } else { Ok(said) }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
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
        let text = "task: t\nfewshot_config:\n  sampler: first_n\n  samples:\n  - question: Two and\n      - one?\n    target: 2 - 1\n      = 1. Said: one.\n\n  - target: 'It''s\n      two'\n    question: \"a \\\"b\\\"\\n?\"\nfilter_list:\n- filter:\n  - question: no\n";
        let expected = [["Two and - one?", "2 - 1 = 1. Said: one."], ["a \"b\"\n?", "It's two"]];
        assert_eq!(read_text(text).unwrap(), expected.map(|example| example.map(str::to_owned)));
        assert_eq!(read_text(&text.replace('\n', "\r\n")).unwrap().len(), 2);
        // A list may stand below its key, or deeper; an empty line is a line break.
        let flat = "samples:\n- question: a\n\n    b\n  target: c\nnext: d\n";
        assert_eq!(read_text(flat).unwrap(), [["a\nb".to_owned(), "c".to_owned()]]);
        assert_eq!(read_text("samples:\n    - question: a\n      target: c\n# end").unwrap().len(), 1);
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_line() {
        for (text, problem) in [
            ("a: b", "t.yaml, line 1: found no key `samples:`"),
            ("samples:\n- question: a\n- question: b\n  target: c", "line 2: the key `target` is missing"),
            ("samples:\n- question: a\n  question: b", "line 3: the key `question` is there twice"),
            ("samples:\n- question: a\n  answer: b", "line 3: found `answer: b`, expected `question:` or `target:`"),
            ("samples:\n  question: a", "line 2: found `question:`, expected `- question:`"),
            ("samples:\n- question: |\n    a\n  target: b", "line 2: `question` has another form"),
            ("samples:\n- question: 'a\n  target: b", "line 2: `question` has a quote that does not end"),
            ("samples:\n- question:\n  target: b", "line 2: `question` is empty"),
        ] {
            let refusal = read_text(text).unwrap_err();
            assert!(refusal.contains(problem), "{text:?}: {refusal}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_fatal(text in r#"(\PC|\n {0,6}|samples:|- |question:|target: |'|"|\\u|\|){0,30}"#) {
            let read = read_text(&format!("samples:\n{text}"));
            let is_said = |example: &Example| example.iter().all(|text| !text.trim().is_empty());
            prop_assert!(read.is_err() || read.is_ok_and(|examples| examples.iter().all(is_said)));
        }
    }
}

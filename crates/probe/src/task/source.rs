//! A file as it is read: JSON lines, or one JSON document whose parts keep their line and their exact text.

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{ProbeError, ProbeFile};

/// A file's name and text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

/// A JSON value of a file, as it is written there.
#[derive(Debug, Clone)]
pub(crate) struct Part<'a> {
    /// The key of a member, the index of an element or of a line, from 0.
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) raw: &'a str,
    file: &'a str,
}

impl<'a> Source<'a> {
    /// # Errors
    /// Names the line of the first byte that is no UTF-8.
    pub(crate) fn new(file: &'a ProbeFile) -> Result<Self, ProbeError> {
        Ok(Self { name: &file.name, text: file.text()? })
    }

    /// Refuses the file as a whole.
    pub(crate) fn refuse(&self, problem: impl Into<String>) -> ProbeError {
        ProbeError::File { file: self.name.to_owned(), line: 1, problem: problem.into() }
    }

    /// The lines that are not empty, each one JSON object.
    ///
    /// # Errors
    /// Names the line that is no JSON, or says that there is none.
    pub(crate) fn lines(&self) -> Result<Vec<Part<'a>>, ProbeError> {
        let lines = self.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let parts: Vec<Part<'a>> = lines
            .enumerate()
            .map(|(index, (line, raw))| Part { key: index.to_string(), line: line + 1, raw, file: self.name })
            .collect();
        for part in &parts {
            if let Err(error) = serde_json::from_str::<IgnoredAny>(part.raw) {
                return Err(part.refuse(format!("no JSON ({}); expected one object on each line", syntax(&error))));
            }
            if !part.raw.trim_start().starts_with('{') {
                return Err(part.refuse("no JSON object; expected one on each line"));
            }
        }
        if parts.is_empty() {
            Err(self.refuse("the file is empty; expected one JSON object on each line"))
        } else {
            Ok(parts)
        }
    }

    /// The members of the one object that the file is.
    ///
    /// # Errors
    /// Names the line where it is no JSON, and keys that are there twice.
    pub(crate) fn members(&self) -> Result<Vec<Part<'a>>, ProbeError> {
        if self.text.trim().is_empty() {
            return Err(self.refuse("the file is empty; expected a JSON object of questions"));
        }
        if let Err(error) = serde_json::from_str::<IgnoredAny>(self.text) {
            let (file, line, problem) = (self.name.to_owned(), error.line(), format!("no JSON ({})", syntax(&error)));
            return Err(ProbeError::File { file, line, problem });
        }
        self.parts(0, self.text, b'{').ok_or_else(|| match serde_json::from_str::<Value>(self.text) {
            // Such as half a surrogate pair in a key.
            Err(error) => {
                let (file, line) = (self.name.to_owned(), error.line());
                ProbeError::File { file, line, problem: format!("unreadable JSON ({})", syntax(&error)) }
            }
            Ok(_) => self.refuse("no JSON object; expected one of questions by their keys"),
        })
    }

    /// The elements of a list within the file.
    pub(crate) fn elements(&self, list: &Part<'a>) -> Result<Vec<Part<'a>>, ProbeError> {
        // The part's text is a piece of the file's.
        let offset = list.raw.as_ptr() as usize - self.text.as_ptr() as usize;
        self.parts(offset, list.raw, b'[').ok_or_else(|| list.refuse("expected a list"))
    }

    /// The parts of an object or a list that is known to be JSON.
    fn parts(&self, offset: usize, json: &'a str, opening: u8) -> Option<Vec<Part<'a>>> {
        let bytes = json.as_bytes();
        let blank = |mut place: usize| {
            while bytes.get(place).is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b':')) {
                place += 1;
            }
            place
        };
        let mut place = blank(0);
        if bytes.get(place) != Some(&opening) {
            return None;
        }
        place = blank(place + 1);
        let mut parts = Vec::new();
        let mut line = 1 + count_lines(&self.text[..offset]);
        let mut counted = 0;
        while !matches!(bytes.get(place), None | Some(b'}' | b']')) {
            line += count_lines(&json[counted..place]);
            counted = place;
            let key = if opening == b'{' {
                let end = value_end(bytes, place);
                let key = serde_json::from_str(json.get(place..end)?).ok()?;
                place = blank(end);
                key
            } else {
                parts.len().to_string()
            };
            let end = value_end(bytes, place);
            parts.push(Part { key, line, raw: json.get(place..end)?, file: self.name });
            place = blank(end);
        }
        Some(parts)
    }
}

fn count_lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// What serde says, without the place, which the line already tells.
pub(crate) fn syntax(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Where the JSON value that begins at `place` ends.
fn value_end(bytes: &[u8], place: usize) -> usize {
    let (mut depth, mut end, mut in_text) = (0_usize, place, false);
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'\\' if in_text => end += 1,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return end,
            b'}' | b']' => depth -= 1,
            b',' | b':' if depth == 0 => return end,
            byte if depth == 0 && byte.is_ascii_whitespace() => return end,
            _ => {}
        }
        end += 1;
        if depth == 0 && !in_text && matches!(byte, b'"' | b'}' | b']') {
            return end;
        }
    }
    end.min(bytes.len())
}

impl<'a> Part<'a> {
    pub(crate) fn refuse(&self, problem: impl Into<String>) -> ProbeError {
        ProbeError::File { file: self.file.to_owned(), line: self.line, problem: problem.into() }
    }

    /// The object that the part is, member by member.
    ///
    /// # Errors
    /// When it is no object.
    pub(crate) fn object(&self) -> Result<Fields<'a>, ProbeError> {
        // JSON by its grammar, yet a number may be out of range, a text no Unicode, the nesting too deep.
        let values: Value = serde_json::from_str(self.raw).map_err(|error| {
            self.refuse(format!("unreadable JSON ({}); expected an object for each question", syntax(&error)))
        })?;
        let Value::Object(members) = &values else {
            return Err(self.refuse("no JSON object; expected one for each question"));
        };
        // serde keeps the last value of a key that is there twice.
        let parts = Source { name: self.file, text: self.raw }.parts(0, self.raw, b'{').unwrap_or_default();
        if parts.len() > members.len() {
            let twice = |place: &usize| parts[..*place].iter().any(|part| part.key == parts[*place].key);
            let key = (0..parts.len()).find(twice).map(|place| parts[place].key.clone()).unwrap_or_default();
            return Err(self.refuse(format!("the key `{key}` is there twice; expected each key once")));
        }
        Ok(Fields { part: self.clone(), values })
    }
}

/// A question's fields.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    pub(crate) part: Part<'a>,
    pub(crate) values: Value,
}

impl Fields<'_> {
    pub(crate) fn refuse(&self, reason: impl Into<String>) -> ProbeError {
        self.part.refuse(reason)
    }

    /// The value of a key; null counts as missing.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn needed(&self, key: &str) -> Result<&Value, ProbeError> {
        self.get(key).ok_or_else(|| {
            if self.values.get(key).is_some() {
                return self.wrong(key, "a value");
            }
            let known = self.values.as_object().into_iter().flatten().map(|(key, _)| format!("`{key}`"));
            let known: Vec<String> = known.collect();
            self.refuse(format!(
                "the key `{key}` is missing; found {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ))
        })
    }

    pub(crate) fn text(&self, key: &str) -> Result<&str, ProbeError> {
        self.needed(key)?.as_str().ok_or_else(|| self.wrong(key, "a text"))
    }

    /// A text that is not empty.
    pub(crate) fn prompt(&self, key: &str) -> Result<&str, ProbeError> {
        let text = self.text(key)?;
        if text.trim().is_empty() { Err(self.wrong(key, "a text that asks something")) } else { Ok(text) }
    }

    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, ProbeError> {
        let list = self.needed(key)?.as_array();
        let texts =
            list.and_then(|list| list.iter().map(|text| Some(text.as_str()?.to_owned())).collect::<Option<Vec<_>>>());
        texts.filter(|texts| !texts.is_empty()).ok_or_else(|| self.wrong(key, "a list of texts, at least one"))
    }

    /// Texts to choose from: two or more, none empty, no two the same.
    pub(crate) fn choices(&self, key: &str) -> Result<Vec<String>, ProbeError> {
        let choices = self.options(key)?;
        let twice = |place: &usize| choices[..*place].iter().any(|choice| choice.trim() == choices[*place].trim());
        match (0..choices.len()).find(twice) {
            Some(_) => Err(self.wrong(key, "texts that differ; no answer could tell two of them apart")),
            None => Ok(choices),
        }
    }

    /// Two texts or more, none empty.
    pub(crate) fn options(&self, key: &str) -> Result<Vec<String>, ProbeError> {
        let choices = self.texts(key)?;
        if choices.len() < 2 {
            return Err(self.wrong(key, "at least two texts"));
        }
        if choices.iter().any(|choice| choice.trim().is_empty()) {
            return Err(self.wrong(key, "texts that are not empty"));
        }
        Ok(choices)
    }

    /// An index into a list of so many.
    pub(crate) fn index(&self, key: &str, count: usize) -> Result<usize, ProbeError> {
        let index = self.needed(key)?.as_u64().and_then(|index| usize::try_from(index).ok());
        let expected = format!("the index of one of {count} choices, from 0 to {}", count.saturating_sub(1));
        index.filter(|index| *index < count).ok_or_else(|| self.wrong(key, &expected))
    }

    pub(crate) fn wrong(&self, key: &str, expected: &str) -> ProbeError {
        let found = self.values.get(key).map(Value::to_string).unwrap_or_default();
        let short: String = found.chars().take(60).collect();
        let more = if short.len() < found.len() { "…" } else { "" };
        self.refuse(format!("`{key}` is {short}{more}, expected {expected}"))
    }

    /// The exact text of a number or a string, which no float has rounded.
    pub(crate) fn raw(&self, key: &str) -> Result<String, ProbeError> {
        self.needed(key)?;
        let source = Source { name: self.part.file, text: self.part.raw };
        let parts = source.parts(0, self.part.raw, b'{').unwrap_or_default();
        // A key stands there once.
        let part = parts.iter().rev().find(|part| part.key == key);
        let raw = part.map(|part| part.raw).unwrap_or_default();
        Ok(raw.trim_matches('"').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> ProbeFile {
        ProbeFile::new("f", content)
    }

    #[test]
    fn members_and_elements_keep_their_lines_and_their_text() {
        let text = "{\n \"a\": {\"n\": 1234567890123456789012345678, \"t\": \"x, \\\"}y\"},\n\n \"b\\n\": [1,\n {\"c\": []},\n \"d\"]\n}";
        let file = file(text.as_bytes());
        let source = Source::new(&file).unwrap();
        let members = source.members().unwrap();
        let places: Vec<(&str, usize)> = members.iter().map(|part| (part.key.as_str(), part.line)).collect();
        assert_eq!(places, [("a", 2), ("b\n", 4)]);
        assert_eq!(members[0].object().unwrap().raw("n").unwrap(), "1234567890123456789012345678");
        let elements = source.elements(&members[1]).unwrap();
        let places: Vec<(&str, usize)> = elements.iter().map(|part| (part.raw, part.line)).collect();
        assert_eq!(places, [("1", 4), ("{\"c\": []}", 5), ("\"d\"", 6)]);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        let invalid = Source::new(&file(b"{}\n\xff")).map(|_| ()).unwrap_err();
        assert_eq!(invalid.to_string(), "f, line 2: found bytes that are not UTF-8; save the file as UTF-8");
        let lines = |text: &str| Source::new(&file(text.as_bytes())).unwrap().lines().unwrap_err().to_string();
        assert_eq!(lines("{}\n{\"a\" 1}"), "f, line 2: no JSON (expected `:`); expected one object on each line");
        assert_eq!(lines(" \n"), "f, line 1: the file is empty; expected one JSON object on each line");
        assert_eq!(lines("[1]"), "f, line 1: no JSON object; expected one on each line");
        let object = |text: &str| {
            let file = file(text.as_bytes());
            Source::new(&file).unwrap().lines().unwrap()[0].object().unwrap_err().to_string()
        };
        for (text, reason) in [
            ("{\"reference\": 1e999}".to_owned(), "number out of range"),
            ("{\"question\": \"\\ud800\"}".to_owned(), "hex escape"),
            (format!("{{\"question\": {}1{}}}", "[".repeat(200), "]".repeat(200)), "recursion limit exceeded"),
        ] {
            let refusal = object(&text);
            assert!(refusal.starts_with("f, line 1: unreadable JSON (") && refusal.contains(reason), "{refusal}");
        }
        let members = |text: &str| Source::new(&file(text.as_bytes())).unwrap().members().unwrap_err().to_string();
        assert_eq!(members("{\n\"a\": }"), "f, line 2: no JSON (expected value)");
        assert_eq!(members("[]"), "f, line 1: no JSON object; expected one of questions by their keys");
    }
}

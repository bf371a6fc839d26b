use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::language;

/// The arguments of one instruction.
#[derive(Clone, Copy)]
pub(super) struct Arguments<'a> {
    pub(super) id: &'a str,
    pub(super) values: &'a Value,
}

impl<'a> Arguments<'a> {
    fn get(self, name: &str) -> Result<&'a Value, String> {
        let value = self.values.get(name).filter(|value| !value.is_null());
        value.ok_or_else(|| format!("the instruction `{}` lacks its argument `{name}`", self.id))
    }

    fn wrong(self, name: &str, expected: &str) -> String {
        let found = self.values.get(name).unwrap_or(&Value::Null);
        format!("the argument `{name}` of the instruction `{}` is {found}, expected {expected}", self.id)
    }

    pub(super) fn text(self, name: &str) -> Result<&'a str, String> {
        self.get(name)?.as_str().ok_or_else(|| self.wrong(name, "a text"))
    }

    /// A language that can be told; no answer would be in any other.
    pub(super) fn language(self, name: &str) -> Result<String, String> {
        let code = self.text(name)?;
        let known: Vec<&str> = language::known().collect();
        if known.contains(&code) {
            Ok(code.to_owned())
        } else {
            Err(self.wrong(name, &format!("the code of a language that is told: {}", known.join(", "))))
        }
    }

    /// The published data writes some counts as floats.
    pub(super) fn count(self, name: &str) -> Result<usize, String> {
        let number = self.get(name)?.as_f64().filter(|number| number.fract() == 0.0 && (0.0..1e9).contains(number));
        number.map(|number| number as usize).ok_or_else(|| self.wrong(name, "a whole number from 0"))
    }

    pub(super) fn letter(self, name: &str) -> Result<char, String> {
        let mut letters = self.text(name)?.trim().chars().flat_map(char::to_lowercase);
        match (letters.next(), letters.next()) {
            (Some(letter), None) => Ok(letter),
            _ => Err(self.wrong(name, "one letter")),
        }
    }

    /// A keyword is a regular expression there, and upper case counts as lower case.
    pub(super) fn pattern(self, name: &str) -> Result<Regex, String> {
        let keyword = self.text(name)?.trim();
        // Sections alone are looked for in the case in which they are written.
        insensitive(keyword, name != "section_spliter").ok_or_else(|| self.wrong(name, "a regular expression"))
    }

    pub(super) fn patterns(self, name: &str) -> Result<Vec<Regex>, String> {
        let compiled = self.texts(name)?.into_iter().map(|keyword| insensitive(keyword, true));
        compiled.collect::<Option<_>>().ok_or_else(|| self.wrong(name, "regular expressions"))
    }

    pub(super) fn words(self, name: &str) -> Result<Vec<Regex>, String> {
        let compiled = self.texts(name)?.into_iter().map(|word| insensitive(&format!(r"\b{word}\b"), true));
        compiled.collect::<Option<_>>().ok_or_else(|| self.wrong(name, "regular expressions"))
    }

    fn texts(self, name: &str) -> Result<Vec<&'a str>, String> {
        let list = self.get(name)?.as_array().filter(|list| !list.is_empty());
        let texts = list.and_then(|list| list.iter().map(Value::as_str).collect::<Option<_>>());
        texts.ok_or_else(|| self.wrong(name, "a list of texts"))
    }
}

fn insensitive(pattern: &str, insensitive: bool) -> Option<Regex> {
    RegexBuilder::new(pattern).case_insensitive(insensitive).size_limit(1 << 20).build().ok()
}

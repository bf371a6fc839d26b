//! When an answer is over.

/// Token ids and strings that end an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopRules {
    tokens: Vec<u32>,
    strings: Vec<String>,
}

/// Why an answer is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The last token ends the text or the turn.
    EndOfText,
    /// A stop string was met.
    Text {
        /// Where the string begins, in bytes of the text.
        at: usize,
    },
}

impl StopRules {
    /// Rules from the ids that end a text and the strings that end an answer. Empty strings are dropped: they would end every answer.
    pub fn new(tokens: impl Into<Vec<u32>>, strings: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let strings = strings.into_iter().map(Into::into).filter(|string: &String| !string.is_empty()).collect();
        Self { tokens: tokens.into(), strings }
    }

    /// The ids that end a text.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The strings that end an answer.
    pub fn strings(&self) -> &[String] {
        &self.strings
    }

    /// Whether an answer is over: `tokens` so far, and the `text` they decode to. A stop string wins, since its answer
    /// ends earlier than the token.
    pub fn check(&self, tokens: &[u32], text: &str) -> Option<Stop> {
        if let Some(at) = self.find(text) {
            return Some(Stop::Text { at });
        }
        let last = tokens.last()?;
        self.tokens.contains(last).then_some(Stop::EndOfText)
    }

    /// The text before the first stop string.
    pub fn trim<'t>(&self, text: &'t str) -> &'t str {
        self.find(text).map_or(text, |at| &text[..at])
    }

    /// How many leading bytes of a growing text may be shown: what follows could still become a stop string.
    pub fn settled(&self, text: &str) -> usize {
        if let Some(at) = self.find(text) {
            return at;
        }
        let held = self.strings.iter().map(|string| longest_overlap(text, string)).max().unwrap_or(0);
        text.len() - held
    }

    fn find(&self, text: &str) -> Option<usize> {
        self.strings.iter().filter_map(|string| text.find(string.as_str())).min()
    }
}

/// The longest proper beginning of `string` that `text` ends with, in bytes.
fn longest_overlap(text: &str, string: &str) -> usize {
    string.char_indices().map(|(end, _)| end).rev().find(|&end| text.ends_with(&string[..end])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_stop_string_wins() {
        let rules = StopRules::new([2], ["\n\n", "Q:"]);
        assert_eq!(rules.check(&[5, 2], "42 Q: next\n\n"), Some(Stop::Text { at: 3 }));
        assert_eq!(rules.trim("42 Q: next\n\n"), "42 ");
        assert_eq!(rules.check(&[5, 2], "42"), Some(Stop::EndOfText));
        assert_eq!(rules.check(&[2, 5], "42"), None);
        assert_eq!(rules.check(&[], ""), None);
    }

    #[test]
    fn an_empty_stop_string_is_no_rule() {
        let rules = StopRules::new([], [""]);
        assert_eq!(rules.check(&[1], "text"), None);
        assert_eq!(rules.trim("text"), "text");
    }

    #[test]
    fn what_may_become_a_stop_string_is_held() {
        let rules = StopRules::new([], ["→→!", "\n\n"]);
        assert_eq!(rules.settled("a →→"), "a ".len());
        assert_eq!(rules.settled("a →→→"), "a →".len());
        assert_eq!(rules.settled("a\n"), 1);
        assert_eq!(rules.settled("a\nb"), 3);
        assert_eq!(rules.settled("a\n\nb"), 1);
    }
}

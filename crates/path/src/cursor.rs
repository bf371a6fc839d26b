use crate::PathError;
use crate::error::shortened;

/// A place in the text of one notation. Every read skips white space first.
pub(crate) struct Cursor<'text> {
    text: &'text str,
    rest: &'text str,
    notation: &'static str,
}

impl<'text> Cursor<'text> {
    pub(crate) fn new(text: &'text str, notation: &'static str) -> Self {
        Self { text, rest: text, notation }
    }

    /// What is still unread, without leading white space.
    pub(crate) fn rest(&self) -> &'text str {
        self.rest.trim_start()
    }

    /// Reads `token` when it stands here.
    pub(crate) fn eat(&mut self, token: &str) -> bool {
        let Some(rest) = self.rest().strip_prefix(token) else {
            return false;
        };
        self.rest = rest;
        true
    }

    /// Reads `token` or refuses what stands here instead.
    pub(crate) fn expect(&mut self, token: &str, expected: &'static str) -> Result<(), PathError> {
        if self.eat(token) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// Reads the characters up to the first of `ends`, which stays unread.
    pub(crate) fn until(&mut self, ends: &[char]) -> &'text str {
        let rest = self.rest();
        let (word, rest) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        self.rest = rest;
        word.trim_end()
    }

    /// Reads a number, or nothing when none stands here.
    pub(crate) fn optional_number(&mut self) -> Result<Option<usize>, PathError> {
        let rest = self.rest();
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return Ok(None);
        }
        let (digits, rest) = rest.split_at(length);
        let number = digits.parse().map_err(|_| PathError::NumberTooLarge { digits: shortened(digits) })?;
        self.rest = rest;
        Ok(Some(number))
    }

    /// Reads a number or refuses what stands here instead.
    pub(crate) fn number(&mut self, expected: &'static str) -> Result<usize, PathError> {
        self.optional_number()?.ok_or_else(|| self.unexpected(expected))
    }

    /// Refuses anything that is left.
    pub(crate) fn finish(&self, expected: &'static str) -> Result<(), PathError> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    pub(crate) fn unexpected(&self, expected: &'static str) -> PathError {
        let rest = self.rest();
        let read = &self.text[..self.text.len() - rest.len()];
        let found = match rest {
            "" => "the end".to_owned(),
            rest => format!("`{}`", shortened(rest)),
        };
        PathError::Syntax { notation: self.notation, position: read.chars().count() + 1, found, expected }
    }
}

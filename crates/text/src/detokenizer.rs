//! Tokens in, text out, never half a character.

use std::collections::HashSet;

use tokenizers::Tokenizer;

use crate::error::TextError;

/// Decodes one answer token by token. The pieces joined equal the decoding of all tokens at once, special tokens left out.
///
/// A token's text depends on its neighbours: bytes join to characters, a leading space is dropped at the beginning only. So
/// each step decodes a short window that starts with text already given, and gives what the window has gained.
pub struct Detokenizer<'a> {
    tokenizer: &'a Tokenizer,
    special_ids: &'a HashSet<u32>,
    /// Tokens of the window. The first `given_tokens` of them lie before the window's new text.
    window: Vec<u32>,
    given_tokens: usize,
    /// How many bytes of the window's text have been given.
    given_bytes: usize,
}

impl<'a> Detokenizer<'a> {
    pub(crate) fn new(tokenizer: &'a Tokenizer, special_ids: &'a HashSet<u32>) -> Self {
        Self { tokenizer, special_ids, window: Vec::new(), given_tokens: 0, given_bytes: 0 }
    }

    /// Takes the next token; gives the text that is now certain, `None` where there is nothing new.
    pub fn push(&mut self, id: u32) -> Result<Option<String>, TextError> {
        // Unknown and special tokens leave no trace: a run of bytes goes on behind them.
        let Some(token) = self.tokenizer.id_to_token(id) else { return Ok(None) };
        if self.special_ids.contains(&id) {
            return Ok(None);
        }
        self.window.push(id);
        // A run of raw bytes may yet turn out to be no UTF-8, which changes how its beginning is decoded.
        if is_raw_byte(&token) {
            return Ok(None);
        }
        let text = self.decode(&self.window)?;
        // U+FFFD at the end stands for a character whose other bytes are still to come.
        let certain = text.trim_end_matches(char::REPLACEMENT_CHARACTER).len();
        let piece = self.give(&text, certain);
        if piece.is_some() && certain == text.len() {
            self.window.drain(..self.given_tokens);
            self.given_tokens = self.window.len();
            self.given_bytes = self.decode(&self.window)?.len();
        }
        Ok(piece)
    }

    /// Ends the answer; gives what was held back, with U+FFFD for bytes that are no character.
    pub fn finish(mut self) -> Result<Option<String>, TextError> {
        let text = self.decode(&self.window)?;
        let end = text.len();
        Ok(self.give(&text, end))
    }

    fn give(&mut self, text: &str, end: usize) -> Option<String> {
        let piece = text.get(self.given_bytes..end).filter(|piece| !piece.is_empty())?;
        self.given_bytes = end;
        Some(piece.to_string())
    }

    fn decode(&self, ids: &[u32]) -> Result<String, TextError> {
        self.tokenizer
            .decode(ids, false)
            .map_err(|error| TextError::Decode { count: ids.len(), reason: error.to_string() })
    }
}

/// Whether a token is one byte in the spelling of SentencePiece's byte fallback, `<0x0A>`.
fn is_raw_byte(token: &str) -> bool {
    token
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'))
        .is_some_and(|digits| digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

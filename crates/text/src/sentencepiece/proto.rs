//! `tokenizer.model`: SentencePiece's `ModelProto`, read field by field (`sentencepiece_model.proto`).

/// Most pieces that are read; the largest vocabulary known has a million.
const MOST_PIECES: usize = 1 << 22;
/// Longest piece in bytes; SentencePiece itself makes none of more than 16 characters unless told to.
const LONGEST_PIECE: usize = 4096;

/// How a text is cut into pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// By the likeliest pieces.
    Unigram,
    /// By merging, the best score first.
    Bpe,
}

/// A piece of text, or something that is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) score: f32,
    /// 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte; GGUF has taken the numbers over.
    pub(super) kind: i64,
}

/// What the file says, as far as it matters to running it.
#[derive(Debug)]
pub(super) struct Model<'a> {
    pub(super) kind: Kind,
    /// By id.
    pub(super) pieces: Vec<Piece>,
    pub(super) byte_fallback: bool,
    /// Spellings of the tokens with a role.
    pub(super) bos: String,
    pub(super) eos: String,
    pub(super) pad: String,
    /// Whether a text begins as if behind a space.
    pub(super) add_dummy_prefix: bool,
    /// Whether spaces at the ends go, and several become one.
    pub(super) remove_extra_whitespaces: bool,
    /// The rules of normalisation, compiled; none where empty.
    pub(super) charsmap: &'a [u8],
}

impl<'a> Model<'a> {
    /// Reads a file; the error is a message.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut model = Model {
            kind: Kind::Unigram,
            pieces: Vec::new(),
            byte_fallback: false,
            bos: "<s>".to_owned(),
            eos: "</s>".to_owned(),
            pad: "<pad>".to_owned(),
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            charsmap: &[],
        };
        let mut fields = Fields(bytes);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Bytes(piece)) => {
                    if model.pieces.len() == MOST_PIECES {
                        return Err(format!("it has more than {MOST_PIECES} pieces"));
                    }
                    let id = model.pieces.len();
                    model.pieces.push(read_piece(piece).map_err(|reason| format!("piece {id}: {reason}"))?);
                }
                (2, Value::Bytes(spec)) => model.read_trainer(spec)?,
                (3, Value::Bytes(spec)) => model.read_normalizer(spec)?,
                (1..=3, _) => return Err(format!("field {number} is no message")),
                // A self test and how text is put together again say nothing about the pieces.
                _ => {}
            }
        }
        if model.pieces.is_empty() {
            return Err("it has no pieces".to_owned());
        }
        Ok(model)
    }

    fn read_trainer(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut fields = Fields(bytes);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (3, Value::Number(1)) => self.kind = Kind::Unigram,
                (3, Value::Number(2)) => self.kind = Kind::Bpe,
                (3, Value::Number(other)) => {
                    let name =
                        ["words", "characters"].get((other as usize).wrapping_sub(3)).copied().unwrap_or("unknown");
                    return Err(format!("its `model_type` is {other} ({name}), expected 1 (unigram) or 2 (bpe)"));
                }
                (24, Value::Number(0)) => {}
                (24, Value::Number(1..)) => {
                    return Err("`treat_whitespace_as_suffix` is set, which is not read".to_owned());
                }
                (35, Value::Number(flag)) => self.byte_fallback = flag != 0,
                (46, Value::Bytes(text)) => self.bos = utf8(text)?,
                (47, Value::Bytes(text)) => self.eos = utf8(text)?,
                (48, Value::Bytes(text)) => self.pad = utf8(text)?,
                (3 | 24 | 35 | 46..=48, _) => return Err(format!("field {number} of `trainer_spec` has another type")),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_normalizer(&mut self, bytes: &'a [u8]) -> Result<(), String> {
        let mut fields = Fields(bytes);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (2, Value::Bytes(charsmap)) => self.charsmap = charsmap,
                (3, Value::Number(flag)) => self.add_dummy_prefix = flag != 0,
                (4, Value::Number(flag)) => self.remove_extra_whitespaces = flag != 0,
                (5, Value::Number(0)) => return Err("`escape_whitespaces` is not set, which is not read".to_owned()),
                (5, Value::Number(_)) => {}
                (2..=5, _) => return Err(format!("field {number} of `normalizer_spec` has another type")),
                _ => {}
            }
        }
        Ok(())
    }
}

fn read_piece(bytes: &[u8]) -> Result<Piece, String> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: 1 };
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Bytes(text)) if text.len() > LONGEST_PIECE => {
                return Err(format!("it has {} bytes, expected at most {LONGEST_PIECE}", text.len()));
            }
            (1, Value::Bytes(text)) => piece.text = utf8(text)?,
            (2, Value::Four(bits)) => piece.score = f32::from_bits(bits),
            (3, Value::Number(kind @ 1..=6)) => piece.kind = kind as i64,
            (3, Value::Number(kind)) => return Err(format!("its type is {kind}, expected 1 to 6")),
            (1..=3, _) => return Err(format!("field {number} has another type")),
            _ => {}
        }
    }
    if piece.text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if !piece.score.is_finite() {
        return Err(format!("its score is {}", piece.score));
    }
    Ok(piece)
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|error| format!("text is not valid UTF-8: {error}"))
}

/// The fields of a message, in the order of the file (protobuf's wire format).
struct Fields<'a>(&'a [u8]);

/// A value on the wire.
enum Value<'a> {
    Number(u64),
    Four(u32),
    Eight,
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.number()?;
        let number = tag >> 3;
        if number == 0 {
            return Err("a field has the number 0".to_owned());
        }
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => {
                self.take(8)?;
                Value::Eight
            }
            2 => {
                let length = self.number()?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                let bytes = self.take(4)?;
                Value::Four(bytes.iter().rev().fold(0, |bits, byte| bits << 8 | u32::from(*byte)))
            }
            kind => return Err(format!("field {number} has the wire type {kind}, which is not read")),
        };
        Ok(Some((number, value)))
    }

    /// A number in groups of seven bits, the lowest first.
    fn number(&mut self) -> Result<u64, String> {
        let mut number = 0;
        for (at, byte) in self.0.iter().enumerate().take(10) {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                break;
            }
            number |= bits << (7 * at);
            if byte & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Ok(number);
            }
        }
        let problem =
            if self.0.len() < 10 { "ends in the middle of a number" } else { "has a number of more than 64 bits" };
        Err(format!("it {problem}"))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], String> {
        let split = usize::try_from(length).ok().and_then(|length| self.0.split_at_checked(length));
        let Some((taken, rest)) = split else {
            return Err(format!("a field has {length} bytes, and only {} are left", self.0.len()));
        };
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bytes_are_refused() {
        for (bytes, expected) in [
            (&b""[..], "no pieces"),
            (b"\x08", "middle of a number"),
            (b"\x08\x80\x80", "middle of a number"),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "more than 64 bits"),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "more than 64 bits"),
            (b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01x", "9223372036854775808 bytes, and only 1 are left"),
            (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", "18446744073709551615 bytes"),
            (b"\x0a\x05ab", "5 bytes, and only 2"),
            (b"\x0b", "wire type 3"),
            (b"\x02\x00", "number 0"),
            (b"\x08\x01", "field 1 is no message"),
            (b"\x0a\x00", "piece 0: it is empty"),
            (b"\x0a\x03\x0a\x01\xff", "UTF-8"),
            (b"\x0a\x05\x0a\x01a\x18\x07", "type is 7"),
            (b"\x0a\x08\x0a\x01a\x15\x00\x00\xc0\x7f", "score is NaN"),
            (b"\x0a\x05\x0a\x01a\x10\x01", "field 2 has another type"),
            (b"\x12\x02\x18\x03", "(words)"),
            (b"\x12\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "(unknown)"),
            (b"\x12\x03\xc0\x01\x01", "treat_whitespace_as_suffix"),
            (b"\x1a\x02\x28\x00", "escape_whitespaces"),
            (b"\x1a\x02\x10\x00", "field 2 of `normalizer_spec`"),
        ] {
            let error = Model::read(bytes).expect_err(expected);
            assert!(error.contains(expected), "{bytes:?}: {error}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_format() {
        let model = Model::read(b"\x0a\x03\x0a\x01a").expect("a model");
        assert_eq!(model.pieces, [Piece { text: "a".to_owned(), score: 0.0, kind: 1 }]);
        assert_eq!((model.kind, model.byte_fallback), (Kind::Unigram, false));
        assert!(model.add_dummy_prefix && model.remove_extra_whitespaces && model.charsmap.is_empty());
        // Numbers and fields that nobody knows are passed over.
        let model = Model::read(b"\x0a\x03\x0a\x01a\x39\0\0\0\0\0\0\0\0\x82\x06\x01x").expect("a model");
        assert_eq!(model.pieces.len(), 1);
    }
}

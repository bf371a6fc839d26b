//! A value of the metadata.

use super::cursor::Cursor;
use crate::error::{CheckpointError, shorten};

/// Most items of an array: four times those of the largest vocabularies' merges.
const MOST_ITEMS: u64 = 1 << 22;

/// What a key stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Integer(i128),
    Float(f64),
    Flag(bool),
    Text(String),
    Texts(Vec<String>),
    Numbers(Numbers),
}

/// An array of numbers or flags, as stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    kind: Kind,
    bytes: Vec<u8>,
}

/// The types of ggml's `gguf.h` (`enum gguf_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Flag,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    fn read(cursor: &mut Cursor<'_>, key: &str) -> Result<Self, CheckpointError> {
        let id = cursor.u32("a value's type")?;
        Ok(match id {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Flag,
            8 => Self::Text,
            9 => Self::Array,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => {
                let key = shorten(key);
                return Err(cursor.refuse(format!(
                    "`{key}` has a value of type {id}, expected one from 0 to 12; the file is damaged"
                )));
            }
        })
    }

    /// Bytes of a number; 0 for what is none.
    fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Flag => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::Text | Self::Array => 0,
        }
    }

    /// A number of so many bytes as this kind has.
    fn number(self, bytes: &[u8]) -> Value {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        let bits = u64::from_le_bytes(word);
        // Cut to the width of the kind, which all of the upper bits are zero for.
        match self {
            Self::I8 => Value::Integer((bits as u8).cast_signed().into()),
            Self::I16 => Value::Integer((bits as u16).cast_signed().into()),
            Self::I32 => Value::Integer((bits as u32).cast_signed().into()),
            Self::I64 => Value::Integer(bits.cast_signed().into()),
            Self::F32 => Value::Float(f32::from_bits(bits as u32).into()),
            Self::F64 => Value::Float(f64::from_bits(bits)),
            Self::Flag => Value::Flag(bits != 0),
            _ => Value::Integer(bits.into()),
        }
    }
}

impl Value {
    pub(super) fn read(cursor: &mut Cursor<'_>, key: &str) -> Result<Self, CheckpointError> {
        let kind = Kind::read(cursor, key)?;
        let what = format!("the value of `{}`", shorten(key));
        match kind {
            Kind::Text => Ok(Self::Text(cursor.text(&what)?.to_owned())),
            Kind::Array => Self::read_array(cursor, key, &what),
            _ => Ok(kind.number(cursor.take(kind.size() as u64, &what)?)),
        }
    }

    fn read_array(cursor: &mut Cursor<'_>, key: &str, what: &str) -> Result<Self, CheckpointError> {
        let kind = Kind::read(cursor, key)?;
        let count = cursor.u64(what)?;
        // A text takes at least the 8 bytes of its length.
        let least = if kind == Kind::Text { 8 } else { kind.size() as u64 };
        if kind == Kind::Array {
            return Err(cursor.refuse(format!("{what} is an array of arrays, which GGUF does not allow")));
        }
        let fits = count.checked_mul(least).is_some_and(|bytes| bytes <= cursor.left());
        if !fits || count > MOST_ITEMS {
            return Err(cursor.refuse(format!(
                "{what} claims {count} items, expected at most {}; the file is damaged or incomplete",
                MOST_ITEMS.min(cursor.left() / least)
            )));
        }
        if kind == Kind::Text {
            let mut texts = Vec::new();
            for _ in 0..count {
                texts.push(cursor.text(what)?.to_owned());
            }
            return Ok(Self::Texts(texts));
        }
        Ok(Self::Numbers(Numbers { kind, bytes: cursor.take(count * least, what)?.to_vec() }))
    }

    /// As it is shown in a message: scalars in full, the rest by kind.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Text(text) => format!("\"{}\"", shorten(text)),
            Self::Texts(texts) => format!("an array of {} strings", texts.len()),
            Self::Numbers(numbers) => format!("an array of {} numbers", numbers.len()),
        }
    }
}

impl Numbers {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.kind.size()
    }

    /// Each item as it would be alone.
    pub(super) fn iter(&self) -> impl Iterator<Item = Value> {
        self.bytes.chunks_exact(self.kind.size()).map(|bytes| self.kind.number(bytes))
    }
}

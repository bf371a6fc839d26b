//! Keys and values of a GGUF head (ggml's `docs/gguf.md`).

/// Types of values (`enum gguf_type`).
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const FLAG: u32 = 7;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// Keys with their values as they are written, in order. A key that is set again is replaced.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Meta {
    entries: Vec<(String, Vec<u8>)>,
}

impl Meta {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(known, _)| known == key)
    }

    /// Every key with its value.
    #[cfg(test)]
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_slice()))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, value) in &self.entries {
            push_text(&mut bytes, key);
            bytes.extend(value);
        }
        bytes
    }

    /// A value as it was stored, its type in front.
    pub(super) fn raw(&mut self, key: &str, value: Vec<u8>) {
        match self.entries.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => self.entries.push((key.to_owned(), value)),
        }
    }

    fn typed(&mut self, key: &str, kind: u32, value: &[u8]) {
        self.raw(key, [&kind.to_le_bytes(), value].concat());
    }

    pub(super) fn u32(&mut self, key: &str, value: u32) {
        self.typed(key, U32, &value.to_le_bytes());
    }

    pub(super) fn f32(&mut self, key: &str, value: f32) {
        self.typed(key, F32, &value.to_le_bytes());
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.typed(key, FLAG, &[value.into()]);
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        let mut bytes = Vec::new();
        push_text(&mut bytes, value);
        self.typed(key, TEXT, &bytes);
    }

    pub(super) fn flags(&mut self, key: &str, values: &[bool]) {
        let mut bytes = head(FLAG, values.len());
        bytes.extend(values.iter().map(|value| u8::from(*value)));
        self.typed(key, ARRAY, &bytes);
    }

    pub(super) fn texts<'a>(&mut self, key: &str, values: impl ExactSizeIterator<Item = &'a str>) {
        let mut bytes = head(TEXT, values.len());
        values.for_each(|value| push_text(&mut bytes, value));
        self.typed(key, ARRAY, &bytes);
    }

    pub(super) fn f32s(&mut self, key: &str, values: &[f32]) {
        let mut bytes = head(F32, values.len());
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.typed(key, ARRAY, &bytes);
    }

    pub(super) fn i32s(&mut self, key: &str, values: &[i32]) {
        let mut bytes = head(I32, values.len());
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.typed(key, ARRAY, &bytes);
    }
}

fn head(kind: u32, count: usize) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend((count as u64).to_le_bytes());
    bytes
}

/// A length and so many bytes.
pub(super) fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// A stored value, as far as the rules look into it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stored<'a> {
    /// A whole number or a flag.
    Number(i64),
    /// A text.
    Text(&'a str),
    /// An array of numbers or flags: type, bytes of an item, items.
    Items(u32, usize, &'a [u8]),
    /// Anything else.
    Other,
}

impl<'a> Stored<'a> {
    /// Reads a value whose type stands in front.
    pub(super) fn read(value: &'a [u8]) -> Self {
        let Some((kind, rest)) = value.split_first_chunk::<4>() else { return Self::Other };
        let kind = u32::from_le_bytes(*kind);
        let number = |bytes: &[u8]| {
            let mut word = [0; 8];
            word.get_mut(..bytes.len())?.copy_from_slice(bytes);
            Some(i64::from_le_bytes(word))
        };
        match kind {
            // Unsigned, flags, and signed ones, of which no rule here has a negative value.
            0 | 2 | 4 | 7 | 10 | 1 | 3 | 5 | 11 => number(rest).map_or(Self::Other, Self::Number),
            TEXT => rest.get(8..).and_then(|text| std::str::from_utf8(text).ok()).map_or(Self::Other, Self::Text),
            ARRAY => {
                let Some((inner, rest)) = rest.split_first_chunk::<4>() else { return Self::Other };
                let Some((_, items)) = rest.split_first_chunk::<8>() else { return Self::Other };
                let inner = u32::from_le_bytes(*inner);
                match inner {
                    0 | 1 | 7 => Self::Items(inner, 1, items),
                    2 | 3 => Self::Items(inner, 2, items),
                    4..=6 => Self::Items(inner, 4, items),
                    10..=12 => Self::Items(inner, 8, items),
                    _ => Self::Other,
                }
            }
            _ => Self::Other,
        }
    }

    /// The array of the items at these places.
    pub(super) fn picked(kind: u32, size: usize, items: &[u8], places: &[usize]) -> Vec<u8> {
        let mut bytes = ARRAY.to_le_bytes().to_vec();
        bytes.extend(head(kind, places.len()));
        places.iter().for_each(|&place| bytes.extend(items.get(place * size..(place + 1) * size).unwrap_or_default()));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_are_written() {
        let mut meta = Meta::default();
        meta.u32("a", 7);
        meta.text("b", "text");
        meta.i32s("c", &[1, 2, 3]);
        meta.u32("a", 8);
        assert_eq!(meta.len(), 3);
        let value = |key: &str| &meta.entries.iter().find(|(known, _)| known == key).unwrap().1[..];
        assert_eq!(Stored::read(value("a")), Stored::Number(8));
        assert_eq!(Stored::read(value("b")), Stored::Text("text"));
        let Stored::Items(kind, size, items) = Stored::read(value("c")) else { panic!("an array") };
        let picked = Stored::picked(kind, size, items, &[2, 0, 0]);
        let mut expected = Meta::default();
        expected.i32s("c", &[3, 1, 1]);
        assert_eq!(picked, expected.entries[0].1);
    }
}

//! The header of a safetensors file, believed only after every number in it has been checked.
//!
//! Stricter than the format's own reader: duplicate names, overlaps and gaps are refused, and messages name both sides.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{CheckpointError, shorten};

/// Bytes in front of the header that hold its length, little endian.
const LENGTH_BYTES: usize = 8;

/// Largest header that the format allows.
const LARGEST_HEADER: u64 = 100_000_000;

/// No tensor of a language model has more axes.
const MOST_AXES: usize = 8;

/// How files begin that `git clone` leaves behind when Git LFS is not installed.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// The tensors of one safetensors file. Entries lie side by side and cover the file to its last byte.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    tensors: BTreeMap<String, TensorEntry>,
    data_start: usize,
}

/// Where a tensor lies in its file and how it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorEntry {
    /// Number format as stored; formats that this crate does not read are named as well.
    pub dtype: safetensors::Dtype,
    /// Size of each axis, slowest first.
    pub shape: Vec<usize>,
    /// Its bytes, counted from the start of the file.
    pub range: Range<usize>,
}

impl Header {
    /// Reads and checks the header of a whole safetensors file.
    ///
    /// # Errors
    ///
    /// When the header does not fit into the file, is no valid JSON, names a tensor twice, or describes tensors that
    /// overlap, leave gaps, or do not have the size of their shape and dtype.
    pub fn parse(bytes: &[u8], file: &Path) -> Result<Self, CheckpointError> {
        let refuse = |problem: String| CheckpointError::header(file, problem);
        if bytes.starts_with(LFS_POINTER) {
            return Err(refuse(
                "the file is a Git LFS pointer, not the weights; run `git lfs pull` or download the file itself"
                    .to_owned(),
            ));
        }
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
            let found = bytes.len();
            return Err(refuse(format!(
                "the file has {found} bytes, expected at least {LENGTH_BYTES}; download it again"
            )));
        };
        let length = u64::from_le_bytes(*length);
        let available = rest.len() as u64;
        if length > available.min(LARGEST_HEADER) {
            return Err(refuse(format!(
                "claims a length of {length} bytes, expected at most {}; the file is damaged or no safetensors file",
                available.min(LARGEST_HEADER)
            )));
        }
        // Fits: it is at most the length of a slice.
        let (json, data) = rest.split_at(length as usize);
        let entries: UniqueMap<RawEntry> =
            serde_json::from_slice(json).map_err(|error| refuse(format!("not valid: {error}")))?;
        let data_start = LENGTH_BYTES + json.len();
        let mut tensors = BTreeMap::new();
        for (name, entry) in entries.0 {
            let entry =
                entry.place(data_start, data.len()).map_err(|problem| CheckpointError::tensor(file, &name, problem))?;
            tensors.insert(name, entry);
        }
        let header = Self { tensors, data_start };
        header.check_cover(bytes.len(), file)?;
        Ok(header)
    }

    /// Every tensor by its stored name.
    #[must_use]
    pub fn tensors(&self) -> &BTreeMap<String, TensorEntry> {
        &self.tensors
    }

    /// Where the tensors' bytes begin; everything before is the header.
    #[must_use]
    pub fn data_start(&self) -> usize {
        self.data_start
    }

    /// Tensors must follow each other without overlap or gap, up to the end of the file.
    fn check_cover(&self, file_length: usize, file: &Path) -> Result<(), CheckpointError> {
        let mut in_order: Vec<(&String, &TensorEntry)> = self.tensors.iter().collect();
        in_order.sort_by_key(|(_, entry)| (entry.range.start, entry.range.end));
        let mut end = self.data_start;
        let mut previous = "the header".to_owned();
        for (name, entry) in in_order {
            let start = entry.range.start;
            if start < end {
                let shared = end - start;
                return Err(CheckpointError::tensor(
                    file,
                    name,
                    format!("overlaps {previous} by {shared} bytes; the file is damaged"),
                ));
            }
            if start > end {
                let lost = start - end;
                return Err(CheckpointError::tensor(
                    file,
                    name,
                    format!("starts {lost} bytes after the end of {previous}; the file is damaged"),
                ));
            }
            end = entry.range.end;
            previous = format!("tensor `{}`", shorten(name));
        }
        if end != file_length {
            return Err(CheckpointError::header(
                file,
                format!("describes {end} bytes, but the file has {file_length}; it is damaged"),
            ));
        }
        Ok(())
    }
}

/// An entry as written.
#[derive(serde::Deserialize)]
struct RawEntry {
    dtype: safetensors::Dtype,
    shape: Shape,
    data_offsets: (usize, usize),
}

impl RawEntry {
    /// Checks offsets against the data and the shape; the error is a message about this tensor.
    fn place(self, data_start: usize, data_length: usize) -> Result<TensorEntry, String> {
        let (start, end) = self.data_offsets;
        if start > end || end > data_length {
            return Err(format!(
                "claims bytes {start} to {end}, but the file holds {data_length} bytes of data; it is damaged or incomplete, download it again"
            ));
        }
        let shape = self.shape.0;
        let bits = shape
            .iter()
            .try_fold(self.dtype.bitsize(), |product, &size| product.checked_mul(size))
            .ok_or_else(|| format!("has shape {shape:?} of {:?}, which is larger than any memory", self.dtype))?;
        if bits % 8 != 0 {
            return Err(format!("has shape {shape:?} of {:?}, which is no whole number of bytes", self.dtype));
        }
        let (found, expected) = (end - start, bits / 8);
        if found != expected {
            let dtype = self.dtype;
            return Err(format!("has shape {shape:?} of {dtype:?}, which takes {expected} bytes, but claims {found}"));
        }
        // Cannot overflow: both are at most the length of the file.
        Ok(TensorEntry { dtype: self.dtype, shape, range: data_start + start..data_start + end })
    }
}

/// A shape with few axes, so that a header cannot hold more numbers than it has tensors for.
struct Shape(Vec<usize>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShapeVisitor;
        impl<'de> Visitor<'de> for ShapeVisitor {
            type Value = Shape;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a shape of at most {MOST_AXES} axes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
                let mut shape = Vec::new();
                while let Some(size) = items.next_element()? {
                    if shape.len() == MOST_AXES {
                        return Err(A::Error::custom(format!("shape has more than {MOST_AXES} axes")));
                    }
                    shape.push(size);
                }
                Ok(Shape(shape))
            }
        }
        deserializer.deserialize_seq(ShapeVisitor)
    }
}

/// A JSON object from tensor names to values in which no name may appear twice. `__metadata__` is left out: it is
/// free text, and no tensor may be called so.
pub(crate) struct UniqueMap<V>(pub(crate) BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for MapVisitor<V> {
            type Value = UniqueMap<V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object with one entry per tensor")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UniqueMap<V>, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let about = |error: A::Error| A::Error::custom(format!("tensor `{}`: {error}", shorten(&name)));
                    let value = map.next_value().map_err(about)?;
                    if entries.contains_key(&name) {
                        return Err(A::Error::custom(format!("tensor `{}` appears twice", shorten(&name))));
                    }
                    entries.insert(name, value);
                }
                Ok(UniqueMap(entries))
            }
        }
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

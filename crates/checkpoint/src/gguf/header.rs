//! The head of a GGUF file, believed only after every number in it has been checked.
//!
//! Layout: ggml's `docs/gguf.md`. As strict as llama.cpp's reader: names and keys once each, tensors one after another at
//! multiples of the alignment; beyond that, nothing may lie behind the last.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::cursor::Cursor;
use super::format::BlockFormat;
use super::value::Value;
use crate::error::{CheckpointError, shorten};

const MAGIC: &[u8] = b"GGUF";
/// How files begin that `git clone` leaves behind when Git LFS is not installed.
const LFS_POINTER: &[u8] = b"version https://git-lfs";
const VERSIONS: [u32; 2] = [2, 3];
/// Alignment where the file names none.
const ALIGNMENT: usize = 32;
const LARGEST_ALIGNMENT: usize = 1 << 16;
/// Axes that ggml knows.
const MOST_AXES: u32 = 4;
const LONGEST_KEY: usize = 65_535;
/// Bytes that the shortest entries take: an empty key with a flag, a nameless tensor without axes.
const LEAST_ENTRY: u64 = 13;
const LEAST_TENSOR: u64 = 24;

/// What a GGUF file says about itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GgufHeader {
    /// Values by key.
    pub(super) metadata: BTreeMap<String, Value>,
    /// Every key in the order of the file, and where its value lies, its type included.
    pub(super) entries: Vec<(String, Range<usize>)>,
    /// Tensors by their name in the file.
    pub(super) tensors: BTreeMap<String, GgufTensor>,
    /// Where the tensors' bytes begin.
    pub(super) data_start: usize,
}

/// Where a tensor lies in its file and how it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GgufTensor {
    pub(super) format: BlockFormat,
    /// Size of each axis, slowest first, unlike in the file.
    pub(super) shape: Vec<usize>,
    /// Its bytes, counted from the start of the file.
    pub(super) range: Range<usize>,
}

impl GgufHeader {
    /// Reads and checks the head of a whole file.
    pub(crate) fn parse(bytes: &[u8], file: &Path) -> Result<Self, CheckpointError> {
        let mut cursor = Cursor::new(bytes, file);
        check_beginning(bytes, &mut cursor)?;
        let tensor_count = cursor.u64("the number of tensors")?;
        let key_count = cursor.u64("the number of keys")?;
        for (count, least, what) in [(tensor_count, LEAST_TENSOR, "tensors"), (key_count, LEAST_ENTRY, "keys")] {
            let most = cursor.left() / least;
            if count > most {
                let problem = format!(
                    "claims {count} {what}, but its length has room for {most} at most; the file is damaged or incomplete, download it again"
                );
                return Err(cursor.refuse(problem));
            }
        }
        let (mut metadata, mut entries) = (BTreeMap::new(), Vec::new());
        for _ in 0..key_count {
            let key = cursor.text("a key")?;
            if key.is_empty() || key.len() > LONGEST_KEY {
                return Err(cursor.refuse(format!("a key has {} bytes, expected 1 to {LONGEST_KEY}", key.len())));
            }
            let start = cursor.position();
            let value = Value::read(&mut cursor, key)?;
            entries.push((key.to_owned(), start..cursor.position()));
            if metadata.insert(key.to_owned(), value).is_some() {
                return Err(cursor.refuse(format!("the key `{}` appears twice", shorten(key))));
            }
        }
        let mut raw = Vec::new();
        for _ in 0..tensor_count {
            raw.push(RawTensor::read(&mut cursor)?);
        }
        let alignment = alignment(&metadata, &cursor)?;
        let data_start = cursor.position().next_multiple_of(alignment);
        let tensors = place(raw, data_start, alignment, bytes.len(), file)?;
        Ok(Self { metadata, entries, tensors, data_start })
    }
}

/// Magic and version, and what lies there in their place.
fn check_beginning(bytes: &[u8], cursor: &mut Cursor<'_>) -> Result<(), CheckpointError> {
    if bytes.starts_with(LFS_POINTER) {
        return Err(cursor
            .refuse("the file is a Git LFS pointer, not the weights; run `git lfs pull` or download the file itself"));
    }
    let magic = cursor.take(MAGIC.len() as u64, "the file's beginning")?;
    if magic != MAGIC {
        let found = shorten(&String::from_utf8_lossy(magic));
        let advice = match magic {
            b"tjgg" | b"fmgg" | b"lmgg" => "it is of llama.cpp's format before GGUF; convert the model anew",
            _ => "it is no GGUF file, or damaged; download it again",
        };
        return Err(cursor.refuse(format!("begins with \"{found}\", expected \"GGUF\"; {advice}")));
    }
    let version = cursor.u32("the version")?;
    if VERSIONS.contains(&version) {
        return Ok(());
    }
    let swapped = version.swap_bytes();
    Err(cursor.refuse(if VERSIONS.contains(&swapped) {
        format!("is version {swapped} in big-endian order, which is not read; convert it with llama.cpp's gguf_convert_endian.py")
    } else {
        format!("has version {version}, expected 2 or 3; convert the model anew with a current llama.cpp")
    }))
}

fn alignment(metadata: &BTreeMap<String, Value>, cursor: &Cursor<'_>) -> Result<usize, CheckpointError> {
    const KEY: &str = "general.alignment";
    let Some(value) = metadata.get(KEY) else { return Ok(ALIGNMENT) };
    let found = if let Value::Integer(number) = value { usize::try_from(*number).ok() } else { None };
    found.filter(|found| found.is_power_of_two() && *found <= LARGEST_ALIGNMENT).ok_or_else(|| {
        let found = value.describe();
        cursor.refuse(format!("`{KEY}` is {found}, expected a power of two up to {LARGEST_ALIGNMENT}"))
    })
}

/// A tensor as written.
struct RawTensor {
    name: String,
    format: BlockFormat,
    shape: Vec<usize>,
    bytes: usize,
    offset: u64,
}

impl RawTensor {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, CheckpointError> {
        let name = cursor.text("a tensor's name")?;
        let file = cursor.file();
        let refuse = |problem: String| CheckpointError::tensor(file, name, problem);
        let axes = cursor.u32("a tensor's number of axes")?;
        if axes > MOST_AXES {
            return Err(refuse(format!("claims {axes} axes, expected at most {MOST_AXES}; the file is damaged")));
        }
        let mut shape = Vec::new();
        for _ in 0..axes {
            let size = cursor.u64("a tensor's shape")?;
            let size = usize::try_from(size).ok().filter(|&size| size > 0);
            let problem = "has an axis without a plausible size; the file is damaged";
            shape.push(size.ok_or_else(|| refuse(problem.to_owned()))?);
        }
        // Fastest first in the file.
        shape.reverse();
        let format = cursor.u32("a tensor's number format")?;
        let format = BlockFormat::of_id(format).map_err(refuse)?;
        let (columns, block) = (shape.last().copied().unwrap_or(1), format.block_len());
        if columns % block != 0 {
            return Err(refuse(format!("has rows of {columns} numbers, expected a multiple of {block} for {format}")));
        }
        let numbers = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        let bytes = numbers.and_then(|numbers| format.bytes_of(numbers));
        let bytes = bytes.ok_or_else(|| refuse(format!("has shape {shape:?}, which is larger than any memory")))?;
        let offset = cursor.u64("a tensor's place")?;
        Ok(Self { name: name.to_owned(), format, shape, bytes, offset })
    }
}

/// Turns offsets into places in the file: tensors lie side by side, but for padding to the alignment.
fn place(
    raw: Vec<RawTensor>,
    data_start: usize,
    alignment: usize,
    file_length: usize,
    file: &Path,
) -> Result<BTreeMap<String, GgufTensor>, CheckpointError> {
    let mut tensors = BTreeMap::new();
    for RawTensor { name, format, shape, bytes, offset } in raw {
        let refuse = |problem: String| CheckpointError::tensor(file, &name, problem);
        let start = usize::try_from(offset).ok().and_then(|offset| data_start.checked_add(offset));
        let range = start.and_then(|start| Some(start..start.checked_add(bytes)?));
        let Some(range) = range.filter(|range| range.end <= file_length) else {
            return Err(refuse(format!(
                "claims {bytes} bytes from byte {offset} of the data on, but the file holds {} bytes of data; it is \
                 damaged or incomplete, download it again",
                file_length.saturating_sub(data_start)
            )));
        };
        if !range.start.is_multiple_of(alignment) {
            return Err(refuse(format!("begins at byte {offset} of the data, expected a multiple of {alignment}")));
        }
        let tensor = GgufTensor { format, shape, range };
        if tensors.contains_key(&name) {
            return Err(refuse("appears twice".to_owned()));
        }
        tensors.insert(name, tensor);
    }
    check_cover(&tensors, data_start, alignment, file_length, file)?;
    Ok(tensors)
}

fn check_cover(
    tensors: &BTreeMap<String, GgufTensor>,
    data_start: usize,
    alignment: usize,
    file_length: usize,
    file: &Path,
) -> Result<(), CheckpointError> {
    let mut in_order: Vec<(&String, &GgufTensor)> = tensors.iter().collect();
    in_order.sort_by_key(|(_, tensor)| (tensor.range.start, tensor.range.end));
    let (mut end, mut previous) = (data_start, "the header".to_owned());
    for (name, tensor) in in_order {
        let start = tensor.range.start;
        if start < end {
            let shared = end - start;
            let problem = format!("overlaps {previous} by {shared} bytes; the file is damaged");
            return Err(CheckpointError::tensor(file, name, problem));
        }
        if start != end.next_multiple_of(alignment) {
            let lost = start - end;
            let problem = format!("starts {lost} bytes after the end of {previous}; the file is damaged");
            return Err(CheckpointError::tensor(file, name, problem));
        }
        end = tensor.range.end;
        previous = format!("tensor `{}`", shorten(name));
    }
    // A file without tensors may end before the padding; the last tensor may be padded or not.
    if !tensors.is_empty() && file_length - end >= alignment {
        let problem = format!("describes {end} bytes, but the file has {file_length}; it is damaged");
        return Err(CheckpointError::gguf(file, problem));
    }
    Ok(())
}

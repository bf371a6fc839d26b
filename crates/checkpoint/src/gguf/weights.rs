//! The tensors in GGUF files, one or several, by canonical name, as if they were in the order of a checkpoint folder.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use super::blocks;
use super::architecture::GgufArchitecture;
use super::format::BlockFormat;
use super::header::{GgufHeader, GgufTensor};
use super::pieces::{KeysAndValues, Piece, layer_of};
use super::value::Value;
use crate::config::DecoderConfig;
use crate::convert;
use crate::disk::WeightFile;
use crate::dtype::Dtype;
use crate::error::{CheckpointError, shorten};
use crate::weights::TensorView;

/// Numbers that are decoded at once where only their finiteness is of interest.
const CHECKED: usize = 1 << 12;

pub(super) const EMBEDDING: &str = "model.embed_tokens.weight";
pub(super) const HEAD: &str = "lm_head.weight";

/// Divisors of the rotary frequencies, one for each pair; and of LongRoPE those for short and for long texts.
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";
pub(super) const ROPE_SHORT: &str = "rope_factors_short.weight";
pub(super) const ROPE_LONG: &str = "rope_factors_long.weight";

/// Tensors in files. As opened, `places` holds every stored tensor; after [`GgufWeights::fit`], exactly the expected ones.
pub(crate) struct GgufWeights {
    parts: Vec<Part>,
    /// None where it is not known, which is refused elsewhere.
    architecture: Option<&'static GgufArchitecture>,
    places: BTreeMap<String, Place>,
}

/// A file and its head.
pub(super) struct Part {
    pub(super) file: WeightFile,
    pub(super) header: GgufHeader,
}

/// Where a tensor is.
#[derive(Clone)]
pub(super) struct Place {
    part: usize,
    stored: String,
    /// Which of the stored numbers, where they are not all of the tensor and no others.
    piece: Option<Piece>,
    /// Heads, where the rows of each lie in the order of rotated pairs: 0, half, 1, half + 1, …
    heads: Option<usize>,
}

impl GgufWeights {
    pub(super) fn new(parts: Vec<Part>) -> Result<Self, CheckpointError> {
        let named = parts.first().and_then(|part| part.header.metadata.get("general.architecture"));
        let named = if let Some(Value::Text(name)) = named { GgufArchitecture::named(name) } else { None };
        let canonical = |stored: &str| {
            named.and_then(|known| known.canonical(stored)).unwrap_or_else(|| stored.to_owned())
        };
        let mut places: BTreeMap<String, Place> = BTreeMap::new();
        for (number, part) in parts.iter().enumerate() {
            for stored in part.header.tensors.keys() {
                let place = Place { part: number, stored: stored.clone(), piece: None, heads: None };
                if let Some(twin) = places.insert(canonical(stored), place) {
                    let other = parts[twin.part].file.path().display();
                    let problem =
                        format!("appears twice: `{}` in {other} stands for the same tensor", shorten(&twin.stored));
                    return Err(CheckpointError::tensor(part.file.path(), stored, problem));
                }
            }
        }
        Ok(Self { parts, architecture: named, places })
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn header(&self) -> &GgufHeader {
        &self.parts[0].header
    }

    /// Refuses every difference between the stored tensors and the config, and settles which rows are in another order.
    pub(crate) fn fit(&mut self, config: &mut DecoderConfig) -> Result<(), CheckpointError> {
        self.settle_head(config);
        self.places.retain(|_, place| {
            ![ROPE_FACTORS, ROPE_SHORT, ROPE_LONG].contains(&place.stored.as_str()) && !is_computed(&place.stored)
        });
        let expected = config.expected_tensors();
        self.take_apart(config, &expected)?;
        let known: BTreeSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
        if let Some((_, place)) = self.places.iter().find(|(name, _)| !known.contains(name.as_str())) {
            let problem = format!("has no place in a {} model as the metadata describe it", config.model_type);
            return Err(CheckpointError::tensor(self.parts[place.part].file.path(), &place.stored, problem));
        }
        for (name, shape) in &expected {
            match self.shape_of(name) {
                None => return Err(self.missing(name)),
                Some(found) if found != shape => return Err(self.wrong_shape(name, shape)),
                Some(_) => {}
            }
        }
        if self.architecture.is_some_and(|known| known.in_pairs) {
            for (index, layer) in config.layers.iter().enumerate() {
                let (heads, kv_heads) = (layer.attention.heads, layer.attention.kv_heads);
                for (module, heads) in [("q_proj", heads), ("k_proj", kv_heads)] {
                    for part in ["weight", "bias"] {
                        let name = format!("model.layers.{index}.self_attn.{module}.{part}");
                        if let Some(place) = self.places.get_mut(&name) {
                            place.heads = Some(heads);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// A head that is stored as the very same numbers as the embedding is the embedding, as in a folder.
    fn settle_head(&mut self, config: &mut DecoderConfig) {
        let (Some(embedding), Some(head)) = (self.stored(EMBEDDING), self.stored(HEAD)) else { return };
        if embedding == head {
            self.places.remove(HEAD);
            config.tie_word_embeddings = true;
        }
    }

    /// Format, shape and bytes of a tensor.
    fn stored(&self, name: &str) -> Option<(BlockFormat, &[usize], &[u8])> {
        let (place, tensor) = self.tensor(name)?;
        let bytes = self.parts[place.part].file.bytes().get(tensor.range.clone())?;
        Some((tensor.format, &tensor.shape, bytes))
    }

    fn tensor(&self, name: &str) -> Option<(&Place, &GgufTensor)> {
        let place = self.places.get(name)?;
        Some((place, self.parts[place.part].header.tensors.get(&place.stored)?))
    }

    fn existing(&self, name: &str) -> Result<(&Place, &GgufTensor), CheckpointError> {
        self.tensor(name)
            .ok_or_else(|| CheckpointError::tensor(self.file_of(name), name, "does not exist in this file"))
    }

    /// An error about a tensor that the metadata ask for.
    pub(super) fn missing(&self, name: &str) -> CheckpointError {
        let problem = "is missing; the file is incomplete or its metadata belong to another";
        CheckpointError::tensor(self.file_of(name), name, problem)
    }

    /// An error about a tensor of another shape than the metadata ask for.
    pub(super) fn wrong_shape(&self, name: &str, expected: &[usize]) -> CheckpointError {
        let found = self.shape_of(name).unwrap_or_default();
        let stored = self.places.get(name).map_or(name, |place| &place.stored);
        let problem = format!("has shape {found:?}, expected {expected:?} by the metadata");
        CheckpointError::tensor(self.file_of(name), stored, problem)
    }

    /// The place of a piece of a stored tensor.
    pub(super) fn place_in(&self, name: &str, piece: Piece) -> Option<Place> {
        let place = self.places.get(name)?;
        Some(Place { piece: Some(piece), ..place.clone() })
    }

    /// Which part of the model holds a tensor, and under which name.
    pub(super) fn source_of(&self, name: &str) -> Option<(usize, String)> {
        self.places.get(name).map(|place| (place.part, place.stored.clone()))
    }

    pub(super) fn forget(&mut self, names: &BTreeSet<String>) {
        self.places.retain(|name, _| !names.contains(name));
    }

    pub(super) fn put(&mut self, name: String, place: Place) {
        self.places.insert(name, place);
    }

    /// Leaves out blocks from a number on, whatever they hold.
    pub(super) fn leave_out_blocks(&mut self, from: usize) {
        let block = |name: &str| name.strip_prefix("blk.")?.split_once('.')?.0.parse::<usize>().ok();
        self.places.retain(|name, _| layer_of(name).map(|(layer, _)| layer).or(block(name)).is_none_or(|at| at < from));
    }

    /// An error about the divisors of rotary frequencies.
    pub(super) fn refuse_rope(&self, problem: String) -> CheckpointError {
        CheckpointError::tensor(self.file_of(ROPE_FACTORS), ROPE_FACTORS, problem)
    }

    /// The divisors of rotary frequencies, where the file has some.
    pub(super) fn rope_divisors(&self) -> Result<Option<Vec<f32>>, CheckpointError> {
        self.divisors(ROPE_FACTORS)
    }

    /// Divisors of rotary frequencies under one of their names.
    pub(super) fn divisors(&self, name: &str) -> Result<Option<Vec<f32>>, CheckpointError> {
        const MOST: usize = 1 << 16;
        let Some((_, tensor)) = self.tensor(name) else { return Ok(None) };
        let &[count] = tensor.shape.as_slice() else {
            return Err(self.refuse_rope(format!("has shape {:?}, expected one axis", tensor.shape)));
        };
        if count > MOST {
            return Err(self.refuse_rope(format!("has {count} numbers, expected one per pair of a head")));
        }
        let mut divisors = vec![0.0; count];
        self.read(name, 0, &mut divisors, &mut Vec::new())?;
        match divisors.iter().find(|divisor| **divisor <= 0.0) {
            Some(divisor) => Err(self.refuse_rope(format!("holds {divisor}, expected numbers above 0"))),
            None => Ok(Some(divisors)),
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    pub(super) fn shape_of(&self, name: &str) -> Option<&[usize]> {
        self.tensor(name).map(|(place, tensor)| place.shape(tensor))
    }

    /// The shape of a canonical name.
    pub(crate) fn shape(&self, name: &str) -> Result<&[usize], CheckpointError> {
        self.existing(name).map(|(place, tensor)| place.shape(tensor))
    }

    /// The number format and the stored bytes of every stored tensor.
    pub(crate) fn formats(&self) -> impl Iterator<Item = (BlockFormat, usize)> {
        let values = self.places.values().filter_map(|place| match &place.piece {
            Some(Piece::KeysAndValues(KeysAndValues { values: (part, stored), .. })) => Some((*part, stored.as_str())),
            _ => None,
        });
        let stored = self.places.values().map(|place| (place.part, place.stored.as_str()));
        let stored: BTreeSet<(usize, &str)> = stored.chain(values).collect();
        let tensors = stored.into_iter().filter_map(|(part, stored)| self.parts[part].header.tensors.get(stored));
        tensors.map(|tensor| (tensor.format, tensor.range.len()))
    }

    /// The number format of a canonical name; none where its rows are not rows of a stored tensor.
    pub(crate) fn format_of(&self, name: &str) -> Option<BlockFormat> {
        let (place, tensor) = self.tensor(name)?;
        (!matches!(place.piece, Some(Piece::KeysAndValues(_)))).then_some(tensor.format)
    }

    /// The file of a canonical name, or the first file.
    pub(crate) fn file_of(&self, name: &str) -> &Path {
        let part = self.places.get(name).map_or(0, |place| place.part);
        self.parts.get(part).map_or(Path::new(""), |part| part.file.path())
    }

    /// Every file, where its tensors begin, and where each of them lies.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&WeightFile, usize, impl Iterator<Item = Range<usize>>)> {
        self.parts.iter().map(|Part { file, header }| {
            (file, header.data_start, header.tensors.values().map(|tensor| tensor.range.clone()))
        })
    }

    /// Reads numbers of a tensor from the one at flat position `first` on, as many as `values` holds. Gives the bytes that
    /// they take in the file.
    ///
    /// # Errors
    ///
    /// When there is no such tensor, it cannot be read, or a number is not finite.
    pub(crate) fn read(
        &self,
        name: &str,
        first: usize,
        values: &mut [f32],
        buffer: &mut Vec<u8>,
    ) -> Result<u64, CheckpointError> {
        let (place, tensor) = self.existing(name)?;
        let file = &self.parts[place.part].file;
        let refuse = |problem: String| CheckpointError::tensor(file.path(), &place.stored, problem);
        let shape = place.shape(tensor);
        let numbers: usize = shape.iter().product();
        if first.checked_add(values.len()).is_none_or(|end| end > numbers) {
            return Err(refuse(format!("has shape {shape:?}, which has no number {first}")));
        }
        if let Some(Piece::KeysAndValues(piece)) = &place.piece {
            return self.read_keys_and_values(place, tensor, piece, first, values, buffer);
        }
        let mut bytes = 0;
        let mut at = first;
        let runs = Runs { rest: values, place, shape, at };
        for (start, values) in runs {
            let (found, read) = read_run(file, tensor, start, values, buffer)
                .map_err(|error| CheckpointError::read(file.path(), &place.stored, error))?;
            if let Some(position) = found {
                return Err(refuse(convert::not_finite(values[position], at + position, shape)));
            }
            at += values.len();
            bytes += read as u64;
        }
        Ok(bytes)
    }

    /// As [`GgufWeights::read`], of DeepSeek's keys and values: head by head, the keys turned.
    fn read_keys_and_values(
        &self,
        place: &Place,
        keys: &GgufTensor,
        piece: &KeysAndValues,
        first: usize,
        values: &mut [f32],
        buffer: &mut Vec<u8>,
    ) -> Result<u64, CheckpointError> {
        let KeysAndValues { values: (part, stored), rows: (of_keys, of_values), shape } = piece;
        let rank = shape.get(1).copied().unwrap_or(1).max(1);
        let of_head = (of_keys + of_values) * rank;
        let end = first + values.len();
        let mut bytes = 0;
        let mut whole = vec![0.0; of_head];
        for head in first / of_head..end.div_ceil(of_head) {
            let (turned, straight) = whole.split_at_mut(of_keys * rank);
            let mut columns = vec![0.0; turned.len()];
            let mut read = |part: usize, stored: &str, tensor: &GgufTensor, values: &mut [f32]| {
                let file = &self.parts[part].file;
                let run = read_run(file, tensor, head * values.len(), values, buffer);
                let (wrong, read) = run.map_err(|error| CheckpointError::read(file.path(), stored, error))?;
                bytes += read as u64;
                match wrong {
                    None => Ok(()),
                    Some(at) => {
                        let problem = convert::not_finite(values[at], head * values.len() + at, &tensor.shape);
                        Err(CheckpointError::tensor(file.path(), stored, problem))
                    }
                }
            };
            read(place.part, &place.stored, keys, &mut columns)?;
            let values_tensor = self.parts[*part].header.tensors.get(stored).ok_or_else(|| self.missing(stored))?;
            read(*part, stored, values_tensor, straight)?;
            for (row, numbers) in turned.chunks_exact_mut(rank).enumerate() {
                for (column, number) in numbers.iter_mut().enumerate() {
                    *number = columns[column * of_keys + row];
                }
            }
            let (from, to) = ((head * of_head).max(first), ((head + 1) * of_head).min(end));
            values[from - first..to - first].copy_from_slice(&whole[from - head * of_head..to - head * of_head]);
        }
        Ok(bytes)
    }

    /// The stored bytes of some rows of a matrix, in their order. Every number in them has been decoded once and is finite.
    ///
    /// # Errors
    ///
    /// As [`GgufWeights::read`]'s.
    pub(crate) fn read_blocks(&self, name: &str, rows: Range<usize>) -> Result<Vec<u8>, CheckpointError> {
        let (place, tensor) = self.existing(name)?;
        let file = &self.parts[place.part].file;
        let refuse = |problem: String| CheckpointError::tensor(file.path(), &place.stored, problem);
        let (shape, format) = (place.shape(tensor), tensor.format);
        let (&[height, columns], Some(first)) = (shape, place.start()) else {
            return Err(refuse(format!("has shape {shape:?}, expected a matrix whose rows are stored as rows")));
        };
        if rows.start > rows.end || rows.end > height {
            return Err(refuse(format!("has shape {shape:?}, which has no rows {rows:?}")));
        }
        // A piece begins with a row, and rows are whole blocks.
        let first = tensor.range.start + first / format.block_len() * format.block_bytes();
        let row_bytes = columns / format.block_len() * format.block_bytes();
        let mut bytes = Vec::with_capacity(rows.len() * row_bytes);
        let (mut buffer, mut values) = (Vec::new(), vec![0.0; CHECKED.min(columns)]);
        for row in rows {
            let start = first + place.stored_row(row, height) * row_bytes;
            let stored = file.read(start..start + row_bytes, &mut buffer);
            let stored = stored.map_err(|error| CheckpointError::read(file.path(), &place.stored, error))?;
            let pieces = stored.chunks(CHECKED / format.block_len() * format.block_bytes());
            for (piece, part) in pieces.enumerate() {
                let values = &mut values[..part.len() / format.block_bytes() * format.block_len()];
                if let Some(position) = blocks::to_f32(format, part, values) {
                    let at = row * columns + piece * CHECKED + position;
                    return Err(refuse(convert::not_finite(values[position], at, shape)));
                }
            }
            bytes.extend_from_slice(stored);
        }
        Ok(bytes)
    }

    /// The tensor of a canonical name: as stored where its numbers are whole and in order, else as single precision.
    pub(crate) fn view(&self, name: &str) -> Result<TensorView<'_>, CheckpointError> {
        let (place, tensor) = self.existing(name)?;
        let name = self.places.get_key_value(name).map_or("", |(name, _)| name.as_str());
        let dtype = match tensor.format {
            BlockFormat::F32 => Some(Dtype::F32),
            BlockFormat::F16 => Some(Dtype::F16),
            BlockFormat::BF16 => Some(Dtype::BF16),
            _ => None,
        };
        let shape = place.shape(tensor);
        let numbers: usize = shape.iter().product();
        let size = tensor.format.block_bytes();
        let stored = place.start().and_then(|start| {
            let from = tensor.range.start + start * size;
            self.parts[place.part].file.bytes().get(from..from + numbers * size)
        });
        if let (Some(dtype), None, Some(stored)) = (dtype, place.heads, stored) {
            return Ok(TensorView { name, dtype, shape, bytes: Cow::Borrowed(stored) });
        }
        let zeroed = convert::zeroed(shape);
        let mut values = zeroed.map_err(|problem| CheckpointError::tensor(self.file_of(name), name, problem))?;
        self.read(name, 0, &mut values, &mut Vec::new())?;
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(TensorView { name, dtype: Dtype::F32, shape, bytes: Cow::Owned(bytes) })
    }
}

impl Place {
    /// The canonical shape.
    fn shape<'a>(&'a self, tensor: &'a GgufTensor) -> &'a [usize] {
        self.piece.as_ref().map_or(&tensor.shape, Piece::shape)
    }

    /// The flat position in the stored tensor at which it begins; none where it does not lie together.
    fn start(&self) -> Option<usize> {
        match &self.piece {
            None => Some(0),
            Some(Piece::Slice { start, .. }) => Some(*start),
            Some(Piece::KeysAndValues(_)) => None,
        }
    }

    /// Where a row lies in the file. llama.cpp's conversion puts the rows of a head, which rotate as halves, into pairs
    /// (`permute` in its `convert_hf_to_gguf.py`).
    fn stored_row(&self, row: usize, height: usize) -> usize {
        let Some(heads) = self.heads else { return row };
        let head_dim = height / heads;
        let (head, inside) = (row / head_dim, row % head_dim);
        let (half, pair) = (inside / (head_dim / 2), inside % (head_dim / 2));
        head * head_dim + 2 * pair + half
    }
}

/// Cuts a run of numbers of a tensor into runs that lie together in the file: where they begin there, and their place.
struct Runs<'a, 'v> {
    rest: &'v mut [f32],
    place: &'a Place,
    shape: &'a [usize],
    at: usize,
}

impl<'v> Iterator for Runs<'_, 'v> {
    type Item = (usize, &'v mut [f32]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let shape = self.shape;
        let start = self.place.start().unwrap_or(0);
        let (height, columns) = (shape.first().copied().unwrap_or(1), shape.get(1).copied().unwrap_or(1));
        let (start, count) = if self.place.heads.is_some() {
            let (row, column) = (self.at / columns, self.at % columns);
            (start + self.place.stored_row(row, height) * columns + column, self.rest.len().min(columns - column))
        } else {
            (start + self.at, self.rest.len())
        };
        let (run, rest) = std::mem::take(&mut self.rest).split_at_mut(count);
        self.rest = rest;
        self.at += count;
        Some((start, run))
    }
}

/// Reads numbers that lie together from the one at a flat position of the file's own order on. Gives the position of the
/// first that is not finite, and the bytes read.
fn read_run(
    file: &WeightFile,
    tensor: &GgufTensor,
    start: usize,
    values: &mut [f32],
    buffer: &mut Vec<u8>,
) -> std::io::Result<(Option<usize>, usize)> {
    let (format, block) = (tensor.format, tensor.format.block_len());
    let (first, last) = (start / block, (start + values.len()).div_ceil(block));
    let from = tensor.range.start + first * format.block_bytes();
    let bytes = file.read(from..from + (last - first) * format.block_bytes(), buffer)?;
    let lead = start - first * block;
    if lead == 0 && values.len().is_multiple_of(block) {
        return Ok((blocks::to_f32(format, bytes, values), bytes.len()));
    }
    let mut whole = vec![0.0; (last - first) * block];
    blocks::to_f32(format, bytes, &mut whole);
    values.copy_from_slice(&whole[lead..lead + values.len()]);
    Ok((convert::first_not_finite(values), bytes.len()))
}

/// Whether a tensor only repeats what the metadata say (`attn_rot_embd`, in files of 2023).
fn is_computed(stored: &str) -> bool {
    stored.ends_with(".attn_rot_embd")
}

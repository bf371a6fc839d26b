//! The tensors in GGUF files, one or several, by canonical name, as if they were in the order of a checkpoint folder.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use super::architecture::GgufArchitecture;
use super::blocks;
use super::delta;
use super::format::BlockFormat;
use super::header::{GgufHeader, GgufTensor};
use super::order::Order;
use super::pieces::{KeysAndValues, Piece, layer_of};
use super::places::{Place, Runs, read_run};
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

impl GgufWeights {
    pub(super) fn new(parts: Vec<Part>) -> Result<Self, CheckpointError> {
        let named = parts.first().and_then(|part| part.header.metadata.get("general.architecture"));
        let named = if let Some(Value::Text(name)) = named { GgufArchitecture::named(name) } else { None };
        let canonical =
            |stored: &str| named.and_then(|known| known.canonical(stored)).unwrap_or_else(|| stored.to_owned());
        let mut places: BTreeMap<String, Place> = BTreeMap::new();
        for (number, part) in parts.iter().enumerate() {
            for stored in part.header.tensors.keys() {
                let (piece, order, decays) = (None, Order::Straight, false);
                let place = Place { part: number, stored: stored.clone(), piece, order, decays };
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
                            place.order = Order::Pairs { heads };
                        }
                    }
                }
            }
        }
        if let Some(heads) = self.architecture.and_then(|known| known.delta_nets) {
            self.settle_delta_nets(config, heads);
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

    pub(super) fn place_mut(&mut self, name: &str) -> Option<&mut Place> {
        self.places.get_mut(name)
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

    /// The number format of a canonical name; none where its rows are not made of blocks of a stored
    /// tensor.
    pub(crate) fn format_of(&self, name: &str) -> Option<BlockFormat> {
        let (place, tensor) = self.tensor(name)?;
        let is_whole = match (&place.piece, place.order) {
            (Some(Piece::KeysAndValues(_)), _) => false,
            (_, Order::TiledColumns(tiles)) => tiles.width.is_multiple_of(tensor.format.block_len()),
            _ => true,
        };
        is_whole.then_some(tensor.format)
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
            if place.decays
                && let Some(position) = delta::logarithms(values)
            {
                let found = values[position];
                return Err(refuse(format!("holds {found} at [{}], expected numbers below 0", at + position)));
            }
            at += values.len();
            bytes += read as u64;
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
        if self.format_of(name).is_none() {
            return Err(refuse(format!("has blocks of {} numbers, which its heads share", format.block_len())));
        }
        if rows.start > rows.end || rows.end > height {
            return Err(refuse(format!("has shape {shape:?}, which has no rows {rows:?}")));
        }
        // A piece begins with a row, and rows are whole blocks.
        let first = tensor.range.start + first / format.block_len() * format.block_bytes();
        let row_bytes = columns / format.block_len() * format.block_bytes();
        let mut bytes = Vec::with_capacity(rows.len() * row_bytes);
        let (mut buffer, mut values) = (Vec::new(), vec![0.0; CHECKED.min(columns)]);
        for row in rows {
            let start = first + place.order.stored_row(row, height) * row_bytes;
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
            let bytes_of = |numbers: usize| numbers / format.block_len() * format.block_bytes();
            let mut column = 0;
            while column < columns {
                let count = place.order.together(column, columns).unwrap_or(columns);
                let from = bytes_of(place.order.stored_column(column));
                bytes.extend_from_slice(&stored[from..from + bytes_of(count)]);
                column += count;
            }
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
        if let (Some(dtype), true, Some(stored)) = (dtype, place.is_plain(), stored) {
            return Ok(TensorView { name, dtype, shape, bytes: Cow::Borrowed(stored) });
        }
        let zeroed = convert::zeroed(shape);
        let mut values = zeroed.map_err(|problem| CheckpointError::tensor(self.file_of(name), name, problem))?;
        self.read(name, 0, &mut values, &mut Vec::new())?;
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(TensorView { name, dtype: Dtype::F32, shape, bytes: Cow::Owned(bytes) })
    }
}

/// Whether a tensor only repeats what the metadata say (`attn_rot_embd`, in files of 2023).
fn is_computed(stored: &str) -> bool {
    stored.ends_with(".attn_rot_embd")
}

//! The tensors in safetensors files, single or sharded, by canonical name.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::Path;

use crate::config::View;
use crate::convert;
use crate::disk::{WeightFile, read_bounded};
use crate::dtype::Dtype;
use crate::error::{CheckpointError, shorten};
use crate::fit::readable;
use crate::fp8::Blocks;
use crate::header::{Header, TensorEntry};
use crate::index::{INDEX_FILE, ShardIndex};
use crate::mxfp4;
use crate::names;
use crate::weights::TensorView;

/// Largest index file that is read: a million tensors with long names.
const LARGEST_INDEX: u64 = 128 << 20;

/// Tensors in files. As opened, `places` holds every stored tensor; after [`crate::fit::fit`], exactly the expected ones.
pub(crate) struct StoredWeights {
    shards: Vec<Shard>,
    /// Canonical name to where its numbers are.
    pub(crate) places: BTreeMap<String, Place>,
    /// Whether stored names say that the decoder is a part of a larger model.
    pub(crate) nested: bool,
}

/// Where the numbers of a tensor are.
#[derive(Clone)]
pub(crate) struct Place {
    shard: usize,
    /// The stored name.
    stored: String,
    /// Which of the stored numbers, where they are not all of a tensor in its own order.
    part: Option<Part>,
    /// Blocks of eight-bit floats, and shard and name of their scales.
    blocks: Option<(Blocks, usize, String)>,
}

/// Some of the numbers of a stored tensor.
#[derive(Clone)]
struct Part {
    /// The canonical shape.
    shape: Vec<usize>,
    view: View,
    /// Shard and name of the scales of MXFP4 blocks.
    scales: Option<(usize, String)>,
}

impl Part {
    fn columns(&self) -> usize {
        self.shape.get(1).copied().unwrap_or(1)
    }
}

impl Place {
    /// A part of what is stored there.
    pub(crate) fn part(&self, shape: &[usize], view: View, scales: Option<&Self>) -> Self {
        let scales = scales.map(|scales| (scales.shard, scales.stored.clone()));
        Self { part: Some(Part { shape: shape.to_vec(), view, scales }), ..self.clone() }
    }

    /// The same numbers as eight-bit floats with scales elsewhere.
    pub(crate) fn in_blocks(&self, blocks: Blocks, scales: &Self) -> Self {
        Self { blocks: Some((blocks, scales.shard, scales.stored.clone())), ..self.clone() }
    }
}

struct Shard {
    file: WeightFile,
    header: Header,
}

impl StoredWeights {
    /// Maps one safetensors file.
    pub(crate) fn open_single(path: &Path) -> Result<Self, CheckpointError> {
        Self::new(vec![Shard::new(WeightFile::map(path)?)?])
    }

    /// Takes one safetensors file that is in memory already; `name` is how messages call it.
    pub(crate) fn from_bytes(name: &Path, bytes: Cow<'static, [u8]>) -> Result<Self, CheckpointError> {
        Self::new(vec![Shard::new(WeightFile::held(name, bytes))?])
    }

    /// Maps every shard of the folder's index.
    pub(crate) fn open_sharded(folder: &Path) -> Result<Self, CheckpointError> {
        let index_file = folder.join(INDEX_FILE);
        let index = ShardIndex::from_json(&read_bounded(&index_file, LARGEST_INDEX)?, &index_file)?;
        let mut shards = Vec::new();
        for name in index.shards() {
            let path = folder.join(name);
            if !path.exists() {
                let problem = format!("names the shard {name}, which is not in the folder; download it as well");
                return Err(CheckpointError::index(&index_file, problem));
            }
            shards.push(Shard::new(WeightFile::map(&path)?)?);
        }
        check_index(&index, &index_file, &shards)?;
        Self::new(shards)
    }

    fn new(shards: Vec<Shard>) -> Result<Self, CheckpointError> {
        let mut places: BTreeMap<String, Place> = BTreeMap::new();
        let mut nested = false;
        for (number, shard) in shards.iter().enumerate() {
            for stored in shard.header.tensors().keys() {
                nested |= names::is_nested(stored);
                let place = Place { shard: number, stored: stored.clone(), part: None, blocks: None };
                if let Some(twin) = places.insert(names::canonical(stored), place) {
                    let (other, twin) = (shards[twin.shard].file.path().display(), shorten(&twin.stored));
                    let problem = format!("appears twice: `{twin}` in {other} stands for the same tensor");
                    return Err(CheckpointError::tensor(shard.file.path(), stored, problem));
                }
            }
        }
        Ok(Self { shards, places, nested })
    }

    pub(crate) fn files_with_headers(&self) -> impl Iterator<Item = (&WeightFile, &Header)> {
        self.shards.iter().map(|shard| (&shard.file, &shard.header))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// What is read, by shard and stored name: tensors, and scales of their blocks.
    fn stored_places(&self) -> BTreeSet<(usize, &str)> {
        let scales = self.places.values().flat_map(|place| {
            let of_part = place.part.as_ref().and_then(|part| part.scales.as_ref());
            let of_part = of_part.map(|(shard, name)| (*shard, name.as_str()));
            of_part.into_iter().chain(place.blocks.as_ref().map(|(_, shard, name)| (*shard, name.as_str())))
        });
        self.places.values().map(|place| (place.shard, place.stored.as_str())).chain(scales).collect()
    }

    /// What is stored; a tensor that stands for several, once.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &TensorEntry> {
        let places = self.stored_places().into_iter();
        places.filter_map(|(shard, stored)| self.shards[shard].header.tensors().get(stored))
    }

    /// The stored names of what is in the files and not read, sorted.
    pub(crate) fn left_out(&self) -> Vec<&str> {
        let read = self.stored_places();
        let mut names = Vec::new();
        for (number, shard) in self.shards.iter().enumerate() {
            let stored = shard.header.tensors().keys().map(String::as_str);
            names.extend(stored.filter(|name| !read.contains(&(number, *name))));
        }
        names.sort_unstable();
        names
    }

    /// The entry of a canonical name, whole where that is a part of it.
    pub(crate) fn entry(&self, name: &str) -> Option<&TensorEntry> {
        let place = self.places.get(name)?;
        self.shards[place.shard].header.tensors().get(&place.stored)
    }

    /// The stored bytes of a canonical name.
    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        let place = self.places.get(name)?;
        let shard = &self.shards[place.shard];
        shard.file.bytes().get(shard.header.tensors().get(&place.stored)?.range.clone())
    }

    /// Reads numbers of a tensor from the one at flat position `first` on, as many as `values` holds. Gives the bytes
    /// that they take as they are stored.
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
        let refuse = |problem: String| CheckpointError::tensor(self.file_of(name), name, problem);
        let (entry, dtype) = self.readable_entry(name)?;
        let place = &self.places[name];
        let shape = place.part.as_ref().map_or(&entry.shape, |part| &part.shape);
        if first + values.len() > shape.iter().product() {
            return Err(refuse(format!("has shape {shape:?}, which has no number {first}")));
        }
        let stored = Stored { shard: &self.shards[place.shard], entry, dtype };
        if let Some((blocks, shard, scales)) = &place.blocks {
            let scales = self.stored(*shard, scales).ok_or_else(|| refuse("has no scales".to_owned()))?;
            let read = stored.read_fp8(&scales, *blocks, place.part.as_ref(), first, values, buffer);
            let read = read.map_err(|error| CheckpointError::read(stored.shard.file.path(), name, error))?;
            return match read {
                Ok(bytes) => Ok(bytes),
                Err(position) => Err(refuse(convert::not_finite(values[position], first + position, shape))),
            };
        }
        let read = match &place.part {
            None => stored.read(first, values, buffer),
            Some(part) => match part.scales.as_ref().and_then(|(shard, name)| self.tensor(*shard, name)) {
                Some(scales) => stored.read_blocks(&scales, part, first, values, buffer),
                None => stored.read_part(&part.view, part.columns(), first, values, buffer),
            },
        };
        let found = read.map_err(|error| CheckpointError::read(stored.shard.file.path(), name, error))?;
        match found {
            Some(position) => Err(refuse(convert::not_finite(values[position], first + position, shape))),
            None if self.is_packed(name) => Ok(values.len() as u64 / 2 + (values.len() / mxfp4::BLOCK) as u64),
            None => Ok((values.len() * dtype.size()) as u64),
        }
    }

    /// The entry of a canonical name, and the format in which its numbers are read.
    fn readable_entry(&self, name: &str) -> Result<(&TensorEntry, Dtype), CheckpointError> {
        let refuse = |problem: &str| CheckpointError::tensor(self.file_of(name), name, problem);
        let entry = self.entry(name).ok_or_else(|| refuse("does not exist in this checkpoint"))?;
        // What is unpacked becomes single precision.
        let dtype = if self.is_packed(name) { Some(Dtype::F32) } else { readable(entry.dtype) };
        let dtype = dtype.ok_or_else(|| refuse("is stored in a format that is not read"))?;
        Ok((entry, dtype))
    }

    /// The shape of a canonical name.
    pub(crate) fn shape(&self, name: &str) -> Result<&[usize], CheckpointError> {
        self.readable_entry(name).map(|(entry, _)| self.shape_of(name, entry))
    }

    /// The canonical shape, given the entry.
    pub(crate) fn shape_of<'a>(&'a self, name: &str, entry: &'a TensorEntry) -> &'a [usize] {
        self.places.get(name).and_then(|place| place.part.as_ref()).map_or(&entry.shape, |part| &part.shape)
    }

    /// Whether the numbers of a canonical name lie in blocks with scales of their own.
    pub(crate) fn is_packed(&self, name: &str) -> bool {
        let has_scales =
            |place: &Place| place.blocks.is_some() || place.part.as_ref().is_some_and(|part| part.scales.is_some());
        self.places.get(name).is_some_and(has_scales)
    }

    /// A stored tensor, bytes as they are.
    fn tensor(&self, shard: usize, stored: &str) -> Option<Stored<'_>> {
        let shard = self.shards.get(shard)?;
        Some(Stored { shard, entry: shard.header.tensors().get(stored)?, dtype: Dtype::F32 })
    }

    /// A stored tensor in a format that is read.
    fn stored(&self, shard: usize, stored: &str) -> Option<Stored<'_>> {
        let found = self.tensor(shard, stored)?;
        Some(Stored { dtype: readable(found.entry.dtype)?, ..found })
    }

    /// The file of a canonical name, or the first file.
    pub(crate) fn file_of(&self, name: &str) -> &Path {
        let shard = self.places.get(name).map_or(0, |place| place.shard);
        self.shards.get(shard).map_or(Path::new(""), |shard| shard.file.path())
    }

    /// The tensor of a canonical name as stored.
    pub(crate) fn view(&self, name: &str) -> Result<TensorView<'_>, CheckpointError> {
        let refuse = |problem: &str| CheckpointError::tensor(self.file_of(name), name, problem);
        let (entry, dtype) = self.readable_entry(name)?;
        let stored = self.bytes(name).ok_or_else(|| refuse("lies beyond the end of its file"))?;
        let (name, place) =
            self.places.get_key_value(name).ok_or_else(|| refuse("does not exist in this checkpoint"))?;
        let shape = place.part.as_ref().map_or(&entry.shape, |part| &part.shape);
        if self.is_packed(name) {
            let mut values = convert::zeroed(shape).map_err(|problem| refuse(&problem))?;
            self.read(name, 0, &mut values, &mut Vec::new())?;
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            return Ok(TensorView { name, dtype, shape, bytes: Cow::Owned(bytes) });
        }
        let Some(part) = &place.part else {
            return Ok(TensorView { name, dtype, shape, bytes: Cow::Borrowed(stored) });
        };
        let view = &part.view;
        let (rows, columns) = (shape[0], part.columns());
        let mut bytes = Vec::with_capacity(rows * columns * dtype.size());
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            let at = view.at(row, column) * dtype.size();
            bytes.extend_from_slice(stored.get(at..at + dtype.size()).unwrap_or_default());
        }
        Ok(TensorView { name, dtype, shape, bytes: Cow::Owned(bytes) })
    }
}

/// The numbers of a stored tensor.
struct Stored<'a> {
    shard: &'a Shard,
    entry: &'a TensorEntry,
    dtype: Dtype,
}

impl Stored<'_> {
    /// Reads numbers from a flat position on. Gives the position of the first that is not finite.
    fn read(&self, first: usize, values: &mut [f32], buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let start = self.entry.range.start + first * self.dtype.size();
        let end = start + values.len() * self.dtype.size();
        if end > self.entry.range.end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = self.shard.file.read(start..end, buffer)?;
        Ok(convert::to_f32(self.dtype, bytes, values))
    }

    /// As [`Stored::read`], of a part that lies in MXFP4 blocks, row by row.
    fn read_blocks(
        &self,
        scales: &Self,
        part: &Part,
        first: usize,
        values: &mut [f32],
        buffer: &mut Vec<u8>,
    ) -> io::Result<Option<usize>> {
        let columns = part.columns();
        let (mut position, end) = (first, first + values.len());
        let mut of_scales = Vec::new();
        while position < end {
            let (row, column) = (position / columns, position % columns);
            let run = (columns - column).min(end - position);
            let from = part.view.at(row, column);
            let bytes = |stored: &Self, each: usize| {
                let start = stored.entry.range.start;
                start + from / each..start + (from + run).div_ceil(each)
            };
            let (packed_at, scales_at) = (bytes(self, 2), bytes(scales, mxfp4::BLOCK));
            if packed_at.end > self.entry.range.end || scales_at.end > scales.entry.range.end {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let packed = self.shard.file.read(packed_at, buffer)?;
            let scales = scales.shard.file.read(scales_at, &mut of_scales)?;
            let values = &mut values[position - first..position - first + run];
            if let Some(wrong) = mxfp4::unpack(from, packed, scales, values) {
                return Ok(Some(position - first + wrong));
            }
            position += run;
        }
        Ok(None)
    }

    /// As [`Stored::read`], of eight-bit floats, whole or a part of them: bytes read, or the position of the first that is
    /// not finite.
    fn read_fp8(
        &self,
        scales: &Self,
        blocks: Blocks,
        part: Option<&Part>,
        first: usize,
        values: &mut [f32],
        buffer: &mut Vec<u8>,
    ) -> io::Result<Result<u64, usize>> {
        let (mut position, end, mut bytes_read) = (first, first + values.len(), 0);
        let mut of_scales = Vec::new();
        while position < end {
            // As far as numbers lie behind one another.
            let (from, run) = match part {
                None => (position, end - position),
                Some(part) => {
                    let (row, column) = (position / part.columns(), position % part.columns());
                    let run = if part.view.column_stride == 1 { part.columns() - column } else { 1 };
                    (part.view.at(row, column), run.min(end - position))
                }
            };
            let at = self.entry.range.start + from;
            if at + run > self.entry.range.end {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let needed = blocks.scales_between(from, from + run);
            of_scales.resize(needed.len(), 0.0);
            // A scale that is no number shows in what it multiplies.
            scales.read(needed.start, &mut of_scales, buffer)?;
            let bytes = self.shard.file.read(at..at + run, buffer)?;
            let run_of_values = &mut values[position - first..position - first + run];
            if let Some(wrong) = blocks.unpack(from, bytes, &of_scales, run_of_values) {
                return Ok(Err(position - first + wrong));
            }
            bytes_read += (run + needed.len() * scales.dtype.size()) as u64;
            position += run;
        }
        Ok(Ok(bytes_read))
    }

    /// As [`Stored::read`], of a part with the given number of columns.
    fn read_part(
        &self,
        view: &View,
        columns: usize,
        first: usize,
        values: &mut [f32],
        buffer: &mut Vec<u8>,
    ) -> io::Result<Option<usize>> {
        let (mut position, end) = (first, first + values.len());
        if view.row_stride == columns && view.column_stride == 1 {
            // Rows lie behind one another up to the end of their block.
            while position < end {
                let (row, column) = (position / columns, position % columns);
                let left = (view.block - row % view.block).saturating_mul(columns).saturating_sub(column);
                let run = left.min(end - position);
                let values = &mut values[position - first..position - first + run];
                if let Some(wrong) = self.read(view.at(row, column), values, buffer)? {
                    return Ok(Some(position - first + wrong));
                }
                position += run;
            }
            return Ok(None);
        }
        // Rows lie side by side: of each column, from the first to the last row that is asked for, some are taken.
        let mut run: Vec<f32> = Vec::new();
        for column in 0..columns {
            let row_from = |position: usize| position.saturating_sub(column).div_ceil(columns);
            let rows = row_from(first)..row_from(end);
            if rows.is_empty() {
                continue;
            }
            run.resize((rows.len() - 1) * view.row_stride + 1, 0.0);
            // What lies between may be another tensor's, whose numbers are checked when it is read.
            self.read(view.at(rows.start, column), &mut run, buffer)?;
            for (row, value) in rows.zip(run.iter().step_by(view.row_stride)) {
                values[row * columns + column - first] = *value;
            }
        }
        Ok(values.iter().position(|value| !value.is_finite()))
    }
}

impl Shard {
    fn new(file: WeightFile) -> Result<Self, CheckpointError> {
        let header = Header::parse(file.bytes(), file.path())?;
        Ok(Self { file, header })
    }
}

/// Index and shards must agree in both directions.
fn check_index(index: &ShardIndex, index_file: &Path, shards: &[Shard]) -> Result<(), CheckpointError> {
    let by_name: BTreeMap<&OsStr, &Shard> =
        shards.iter().filter_map(|shard| Some((shard.file.path().file_name()?, shard))).collect();
    for (tensor, shard) in index.weight_map() {
        let holds = |shard: &&Shard| shard.header.tensors().contains_key(tensor);
        if !by_name.get(OsStr::new(shard)).is_some_and(holds) {
            let problem = format!(
                "is said to be in {shard}, which does not hold it; index and shards are of different downloads"
            );
            return Err(CheckpointError::tensor(index_file, tensor, problem));
        }
    }
    for shard in shards {
        if let Some(tensor) = shard.header.tensors().keys().find(|tensor| !index.weight_map().contains_key(*tensor)) {
            let problem = "is in this shard, but not in the index; index and shards are of different downloads";
            return Err(CheckpointError::tensor(shard.file.path(), tensor, problem));
        }
    }
    Ok(())
}

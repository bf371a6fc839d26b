//! The tensors in safetensors files, single or sharded, by canonical name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use crate::convert;
use crate::disk::{WeightFile, read_bounded};
use crate::dtype::Dtype;
use crate::error::{CheckpointError, shorten};
use crate::fit::readable;
use crate::header::{Header, TensorEntry};
use crate::index::{INDEX_FILE, ShardIndex};
use crate::names;
use crate::weights::TensorView;

/// Largest index file that is read: a million tensors with long names.
const LARGEST_INDEX: u64 = 128 << 20;

/// Tensors in files. As opened, `places` holds every stored tensor; after [`crate::fit::fit`], exactly the expected ones.
pub(crate) struct StoredWeights {
    shards: Vec<Shard>,
    /// Canonical name to shard and stored name.
    pub(crate) places: BTreeMap<String, (usize, String)>,
    /// Whether stored names say that the decoder is a part of a larger model.
    pub(crate) nested: bool,
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
        let mut places: BTreeMap<String, (usize, String)> = BTreeMap::new();
        let mut nested = false;
        for (number, shard) in shards.iter().enumerate() {
            for stored in shard.header.tensors().keys() {
                nested |= names::is_nested(stored);
                if let Some((other, twin)) = places.insert(names::canonical(stored), (number, stored.clone())) {
                    let other = shards[other].file.path().display();
                    let problem = format!("appears twice: `{}` in {other} stands for the same tensor", shorten(&twin));
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

    pub(crate) fn entries(&self) -> impl Iterator<Item = &TensorEntry> {
        self.names().filter_map(|name| self.entry(name))
    }

    /// The entry of a canonical name.
    pub(crate) fn entry(&self, name: &str) -> Option<&TensorEntry> {
        let (shard, stored) = self.places.get(name)?;
        self.shards[*shard].header.tensors().get(stored)
    }

    /// The stored bytes of a canonical name.
    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        let (shard, stored) = self.places.get(name)?;
        let shard = &self.shards[*shard];
        shard.file.bytes().get(shard.header.tensors().get(stored)?.range.clone())
    }

    /// Reads numbers of a tensor from the one at flat position `first` on, as many as `values` holds. Gives the format
    /// in which they are stored.
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
    ) -> Result<Dtype, CheckpointError> {
        let refuse = |problem: String| CheckpointError::tensor(self.file_of(name), name, problem);
        let (entry, dtype) = self.readable_entry(name)?;
        let start = entry.range.start + first * dtype.size();
        let range = start..start + values.len() * dtype.size();
        if range.end > entry.range.end {
            return Err(refuse(format!("has shape {:?}, which has no number {first}", entry.shape)));
        }
        let shard = &self.shards[self.places[name].0];
        let bytes =
            shard.file.read(range, buffer).map_err(|error| CheckpointError::read(shard.file.path(), name, error))?;
        match convert::to_f32(dtype, bytes, values) {
            Some(position) => Err(refuse(convert::not_finite(values[position], first + position, &entry.shape))),
            None => Ok(dtype),
        }
    }

    /// The entry of a canonical name, and the format in which its numbers are read.
    fn readable_entry(&self, name: &str) -> Result<(&TensorEntry, Dtype), CheckpointError> {
        let refuse = |problem: &str| CheckpointError::tensor(self.file_of(name), name, problem);
        let entry = self.entry(name).ok_or_else(|| refuse("does not exist in this checkpoint"))?;
        let dtype = readable(entry.dtype).ok_or_else(|| refuse("is stored in a format that is not read"))?;
        Ok((entry, dtype))
    }

    /// The shape of a canonical name.
    pub(crate) fn shape(&self, name: &str) -> Result<&[usize], CheckpointError> {
        self.readable_entry(name).map(|(entry, _)| entry.shape.as_slice())
    }

    /// The file of a canonical name, or the first file.
    pub(crate) fn file_of(&self, name: &str) -> &Path {
        let shard = self.places.get(name).map_or(0, |(shard, _)| *shard);
        self.shards.get(shard).map_or(Path::new(""), |shard| shard.file.path())
    }

    /// The tensor of a canonical name as stored.
    pub(crate) fn view(&self, name: &str) -> Result<TensorView<'_>, CheckpointError> {
        let refuse = |problem: &str| CheckpointError::tensor(self.file_of(name), name, problem);
        let (entry, dtype) = self.readable_entry(name)?;
        let bytes = self.bytes(name).ok_or_else(|| refuse("lies beyond the end of its file"))?;
        let place = self.places.get_key_value(name).ok_or_else(|| refuse("does not exist in this checkpoint"))?;
        Ok(TensorView { name: place.0, dtype, shape: &entry.shape, bytes: Cow::Borrowed(bytes) })
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

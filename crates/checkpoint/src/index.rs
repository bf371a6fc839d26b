//! `model.safetensors.index.json`: which shard holds which tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::{CheckpointError, shorten};
use crate::header::UniqueMap;

/// The file's name in a checkpoint folder.
pub(crate) const INDEX_FILE: &str = "model.safetensors.index.json";

/// Which shard holds which tensor. Shard names are plain file names that end in `.safetensors`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

/// The part of the file that counts. Its `metadata.total_size` is wrong in too many real files to be checked.
#[derive(serde::Deserialize)]
struct RawIndex {
    weight_map: UniqueMap<String>,
}

impl ShardIndex {
    /// Reads an index file.
    ///
    /// # Errors
    ///
    /// When the bytes are no valid index, a tensor appears twice, or a shard name leads out of the folder.
    pub fn from_json(bytes: &[u8], file: &Path) -> Result<Self, CheckpointError> {
        let index: RawIndex = serde_json::from_slice(bytes)
            .map_err(|error| CheckpointError::Json { file: file.to_path_buf(), problem: error.to_string() })?;
        let weight_map = index.weight_map.0;
        if weight_map.is_empty() {
            return Err(CheckpointError::index(file, "`weight_map` is empty, expected one entry per tensor"));
        }
        for (tensor, shard) in &weight_map {
            if !is_plain_file_name(shard) {
                return Err(CheckpointError::index(
                    file,
                    format!(
                        "tensor `{}` is said to be in \"{}\", expected the plain name of a .safetensors file beside the index",
                        shorten(tensor),
                        shorten(shard)
                    ),
                ));
            }
        }
        Ok(Self { weight_map })
    }

    /// The shard of every tensor, by stored name.
    #[must_use]
    pub fn weight_map(&self) -> &BTreeMap<String, String> {
        &self.weight_map
    }

    /// The names of all shards, each once, sorted.
    #[must_use]
    pub fn shards(&self) -> Vec<&str> {
        let shards: BTreeSet<&str> = self.weight_map.values().map(String::as_str).collect();
        shards.into_iter().collect()
    }
}

/// Whether a shard's name stays in its folder on every system: no separators, no drive letters or streams (`:`), no
/// control characters. The required ending rules out `.` and `..`.
fn is_plain_file_name(name: &str) -> bool {
    let stem = name.strip_suffix(".safetensors").unwrap_or("");
    !stem.is_empty()
        && name.len() <= 255
        && !name.chars().any(|letter| matches!(letter, '/' | '\\' | ':') || letter.is_control())
}

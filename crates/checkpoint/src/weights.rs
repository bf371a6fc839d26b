//! The tensors of a checkpoint by canonical name, read when asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::DecoderConfig;
use crate::dtype::Dtype;
use crate::error::CheckpointError;
use crate::gguf::{BlockFormat, GgufLayout, GgufWeights};
use crate::header::Header;
use crate::identity::{Fingerprint, WHOLE_BYTES};
use crate::pieces::PIECE;
use crate::random::RandomWeights;
use crate::stored::StoredWeights;
use crate::{convert, fit, pieces};

/// The tensors of a checkpoint, in files or drawn from a seed. Shared by reference; threads may read at once.
pub struct Weights {
    source: Source,
    bytes_read: AtomicU64,
}

enum Source {
    Files(StoredWeights),
    Gguf(GgufWeights),
    Random { folder: PathBuf, weights: RandomWeights },
}

/// One tensor as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorView<'a> {
    /// The canonical name.
    pub name: &'a str,
    /// The number format of `bytes`.
    pub dtype: Dtype,
    /// Size of each axis, slowest first.
    pub shape: &'a [usize],
    /// The numbers, little endian, not aligned. Their values have not been checked.
    pub bytes: Cow<'a, [u8]>,
}

impl Weights {
    pub(crate) fn stored(weights: StoredWeights) -> Self {
        Self { source: Source::Files(weights), bytes_read: AtomicU64::new(0) }
    }

    pub(crate) fn gguf(weights: GgufWeights) -> Self {
        Self { source: Source::Gguf(weights), bytes_read: AtomicU64::new(0) }
    }

    pub(crate) fn random(folder: &Path, config: &DecoderConfig, seed: u64) -> Self {
        let weights = RandomWeights::new(config, seed);
        Self { source: Source::Random { folder: folder.to_path_buf(), weights }, bytes_read: AtomicU64::new(0) }
    }

    /// Compares the files with the config, tensor by tensor, and settles which matrix is the head.
    pub(crate) fn fit(&mut self, config: &mut DecoderConfig, place: &Path) -> Result<(), CheckpointError> {
        match &mut self.source {
            Source::Files(weights) => fit::fit(weights, config, place),
            Source::Gguf(weights) => weights.fit(config),
            Source::Random { .. } => Ok(()),
        }
    }

    /// One tensor as stored; random weights are drawn as f32, and what a GGUF file holds in another order or in blocks is
    /// decoded to f32. Values are not checked.
    ///
    /// # Errors
    ///
    /// When the checkpoint has no such tensor.
    pub fn view(&self, name: &str) -> Result<TensorView<'_>, CheckpointError> {
        match &self.source {
            Source::Files(weights) => weights.view(name),
            Source::Gguf(weights) => weights.view(name),
            Source::Random { weights, .. } => {
                let (name, shape) = weights.entry(name).ok_or_else(|| self.missing(name))?;
                let values = self.read_f32(name, shape)?;
                let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                Ok(TensorView { name, dtype: Dtype::F32, shape, bytes: Cow::Owned(bytes) })
            }
        }
    }

    /// One tensor in single precision, rows after rows, read from its file at positions and drawn or converted on
    /// several threads with a few MiB of buffers.
    ///
    /// # Errors
    ///
    /// When the checkpoint has no such tensor, its shape is another than expected, the memory does not suffice, it
    /// cannot be read, or a value is NaN or infinite.
    pub fn read_f32(&self, name: &str, expected_shape: &[usize]) -> Result<Vec<f32>, CheckpointError> {
        self.check_shape(name, expected_shape)?;
        let mut values = self.zeroed(name, expected_shape)?;
        self.read_all(name, &mut values)?;
        Ok(values)
    }

    /// As [`Weights::read_f32`], into memory that the caller keeps. After an error the values mean nothing.
    ///
    /// # Errors
    ///
    /// As [`Weights::read_f32`], and when `values` does not hold exactly as many numbers as the tensor.
    pub fn read_f32_into(
        &self,
        name: &str,
        expected_shape: &[usize],
        values: &mut [f32],
    ) -> Result<(), CheckpointError> {
        self.check_shape(name, expected_shape)?;
        let (count, expected) = (values.len(), expected_shape.iter().product::<usize>());
        if count != expected {
            let problem = format!("has {expected} numbers, but room was given for {count}");
            return Err(CheckpointError::tensor(self.file_of(name), name, problem));
        }
        self.read_all(name, values)
    }

    /// Some rows of a matrix in single precision, in the order asked for: shape `(rows, columns)`. Nothing else is read.
    ///
    /// # Errors
    ///
    /// As [`Weights::read_f32`], and when the tensor is no matrix or has no such row.
    pub fn read_rows_f32(
        &self,
        name: &str,
        expected_shape: &[usize],
        rows: &[u32],
    ) -> Result<Vec<f32>, CheckpointError> {
        self.check_shape(name, expected_shape)?;
        let refuse = |problem: String| CheckpointError::tensor(self.file_of(name), name, problem);
        let &[height, columns] = expected_shape else {
            return Err(refuse(format!("has shape {expected_shape:?}, expected a matrix")));
        };
        if let Some(row) = rows.iter().find(|&&row| row as usize >= height) {
            return Err(refuse(format!("has shape {expected_shape:?}, which has no row {row}")));
        }
        let mut values = self.zeroed(name, &[rows.len(), columns])?;
        let rows_of_a_piece = (PIECE / columns.max(1)).max(1);
        pieces::fill(&mut values, rows_of_a_piece * columns, |start, values, buffer| {
            let rows = &rows[start / columns..];
            rows.iter().zip(values.chunks_mut(columns)).try_for_each(|(&row, values)| {
                // Fits: the row is one of the tensor's.
                self.read_some(name, row as usize * columns, values, buffer)
            })
        })?;
        Ok(values)
    }

    /// Rows of a matrix that lie behind one another, in single precision: shape `(rows, columns)`. Nothing else is read.
    ///
    /// # Errors
    ///
    /// As [`Weights::read_f32`], and when the tensor is no matrix or has no such rows.
    pub fn read_row_range_f32(
        &self,
        name: &str,
        expected_shape: &[usize],
        rows: Range<usize>,
    ) -> Result<Vec<f32>, CheckpointError> {
        self.check_shape(name, expected_shape)?;
        let columns = match *expected_shape {
            [height, columns] if rows.start <= rows.end && rows.end <= height => columns,
            _ => {
                let problem = format!("has shape {expected_shape:?}, which has no rows {rows:?}");
                return Err(CheckpointError::tensor(self.file_of(name), name, problem));
            }
        };
        let mut values = self.zeroed(name, &[rows.len(), columns])?;
        // Fits: the rows are the tensor's.
        let first = rows.start * columns;
        pieces::fill(&mut values, PIECE, |start, values, buffer| self.read_some(name, first + start, values, buffer))?;
        Ok(values)
    }

    fn read_all(&self, name: &str, values: &mut [f32]) -> Result<(), CheckpointError> {
        pieces::fill(values, PIECE, |start, values, buffer| self.read_some(name, start, values, buffer))
    }

    /// The values of a tensor from a flat position on.
    fn read_some(
        &self,
        name: &str,
        first: usize,
        values: &mut [f32],
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let bytes = match &self.source {
            Source::Files(weights) => weights.read(name, first, values, buffer)?,
            Source::Gguf(weights) => weights.read(name, first, values, buffer)?,
            Source::Random { weights, .. } => {
                weights.draw(name, first, values);
                size_of_val(values) as u64
            }
        };
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Bytes of numbers that have been read so far, as they are stored; of random weights, drawn as f32.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    fn zeroed(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, CheckpointError> {
        convert::zeroed(shape).map_err(|problem| CheckpointError::tensor(self.file_of(name), name, problem))
    }

    fn check_shape(&self, name: &str, expected: &[usize]) -> Result<(), CheckpointError> {
        let found = match &self.source {
            Source::Files(weights) => weights.shape(name)?,
            Source::Gguf(weights) => weights.shape(name)?,
            Source::Random { weights, .. } => weights.entry(name).ok_or_else(|| self.missing(name))?.1,
        };
        if found == expected {
            return Ok(());
        }
        let problem = format!("has shape {found:?}, expected {expected:?}");
        Err(CheckpointError::tensor(self.file_of(name), name, problem))
    }

    /// Whether the checkpoint has a tensor of this canonical name. A tied head is not a tensor of its own.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        match &self.source {
            Source::Files(weights) => weights.contains(name),
            Source::Gguf(weights) => weights.contains(name),
            Source::Random { weights, .. } => weights.entry(name).is_some(),
        }
    }

    /// Every canonical name, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        match &self.source {
            Source::Files(weights) => weights.names().collect(),
            Source::Gguf(weights) => weights.names().collect(),
            Source::Random { weights, .. } => weights.names().collect(),
        }
    }

    /// Stored names of tensors that the decoder does not read, sorted: layers that predict further tokens, parts that see
    /// pictures, buffers that are computed, a head that is the embedding. None of GGUF files and of random weights.
    #[must_use]
    pub fn left_out(&self) -> Vec<&str> {
        match &self.source {
            Source::Files(weights) => weights.left_out(),
            Source::Gguf(_) | Source::Random { .. } => Vec::new(),
        }
    }

    /// Bytes of all tensors as stored.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        match &self.source {
            Source::Files(weights) => weights.entries().map(|entry| entry.range.len() as u64).sum(),
            Source::Gguf(weights) => weights.formats().map(|(_, bytes)| bytes as u64).sum(),
            Source::Random { weights, .. } => {
                weights.names().filter_map(|name| weights.entry(name)).fold(0, |sum, (_, shape)| {
                    shape.iter().fold(4_u64, |product, &size| product.saturating_mul(size as u64)).saturating_add(sum)
                })
            }
        }
    }

    /// The weight files; none for random weights.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        match &self.source {
            Source::Files(weights) => weights.files_with_headers().map(|(file, _)| file.path()).collect(),
            Source::Gguf(weights) => weights.files().map(|(file, ..)| file.path()).collect(),
            Source::Random { .. } => Vec::new(),
        }
    }

    /// The safetensors files with their heads, as stored: every tensor of each, also those that the decoder does not read.
    /// None where the weights come from elsewhere.
    #[must_use]
    pub fn safetensors(&self) -> Vec<(&Path, &Header)> {
        match &self.source {
            Source::Files(weights) => {
                weights.files_with_headers().map(|(file, header)| (file.path(), header)).collect()
            }
            Source::Gguf(_) | Source::Random { .. } => Vec::new(),
        }
    }

    /// The GGUF files as they are laid out; none where the weights come from elsewhere.
    #[must_use]
    pub fn gguf_layout(&self) -> Vec<GgufLayout<'_>> {
        if let Source::Gguf(weights) = &self.source { weights.layout() } else { Vec::new() }
    }

    /// The seed of random weights; `None` when the weights come from files.
    #[must_use]
    pub fn random_seed(&self) -> Option<u64> {
        match &self.source {
            Source::Files(_) | Source::Gguf(_) => None,
            Source::Random { weights, .. } => Some(weights.seed),
        }
    }

    /// The number formats in the files, most tensors first: `BF16`, or `BF16 (290 tensors), F32 (1 tensor)`.
    #[must_use]
    pub fn dtype_summary(&self) -> String {
        match &self.source {
            Source::Files(weights) => summary(weights.entries().map(|entry| entry.dtype)),
            Source::Gguf(weights) => summary(weights.formats().map(|(format, _)| format)),
            Source::Random { .. } => "F32".to_owned(),
        }
    }

    /// The number format of a tensor of a GGUF file; `None` for all others.
    #[must_use]
    pub fn block_format(&self, name: &str) -> Option<BlockFormat> {
        if let Source::Gguf(weights) = &self.source { weights.format_of(name) } else { None }
    }

    /// Whether numbers of some tensor are rounded to a few bits.
    #[must_use]
    pub fn is_quantised(&self) -> bool {
        matches!(&self.source, Source::Gguf(weights) if weights.formats().any(|(format, _)| format.is_quantised()))
    }

    /// Some rows of a matrix of a GGUF file, as stored. All numbers in them are finite.
    ///
    /// # Errors
    ///
    /// When the tensor is none of a GGUF file, has another shape or no such rows, cannot be read, or holds a number that
    /// is not finite.
    pub fn read_blocks(
        &self,
        name: &str,
        expected_shape: &[usize],
        rows: Range<usize>,
    ) -> Result<Vec<u8>, CheckpointError> {
        self.check_shape(name, expected_shape)?;
        let Source::Gguf(weights) = &self.source else {
            return Err(CheckpointError::tensor(self.file_of(name), name, "is not stored in blocks"));
        };
        let bytes = weights.read_blocks(name, rows)?;
        self.bytes_read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    /// Adds what identifies the weights to a fingerprint.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub(crate) fn add_to(&self, fingerprint: &mut Fingerprint) -> Result<(), CheckpointError> {
        match &self.source {
            Source::Files(weights) => {
                let total: u64 = weights.files_with_headers().map(|(file, _)| file.bytes().len() as u64).sum();
                for (file, header) in weights.files_with_headers() {
                    let tensors = header.tensors().values().map(|entry| entry.range.clone());
                    let whole = total <= WHOLE_BYTES;
                    fingerprint.add_weight_file(file, header.data_start(), tensors, whole)?;
                }
            }
            Source::Gguf(weights) => {
                let total: u64 = weights.files().map(|(file, ..)| file.bytes().len() as u64).sum();
                for (file, start, tensors) in weights.files() {
                    fingerprint.add_weight_file(file, start, tensors, total <= WHOLE_BYTES)?;
                }
            }
            Source::Random { weights, .. } => weights.add_to(fingerprint),
        }
        Ok(())
    }

    /// The file that a message about a tensor should name.
    fn file_of(&self, name: &str) -> &Path {
        match &self.source {
            Source::Files(weights) => weights.file_of(name),
            Source::Gguf(weights) => weights.file_of(name),
            Source::Random { folder, .. } => folder,
        }
    }

    fn missing(&self, name: &str) -> CheckpointError {
        CheckpointError::tensor(self.file_of(name), name, "does not exist in this checkpoint")
    }
}

/// The names of the number formats, most tensors first.
fn summary<F: Ord + fmt::Display>(formats: impl Iterator<Item = F>) -> String {
    let mut counts: BTreeMap<F, usize> = BTreeMap::new();
    for format in formats {
        *counts.entry(format).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    match counts.as_slice() {
        [(format, _)] => format.to_string(),
        several => several
            .iter()
            .map(|(format, count)| format!("{format} ({count} tensor{})", if *count == 1 { "" } else { "s" }))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Weights")
            .field("tensors", &self.names().len())
            .field("bytes", &self.total_bytes())
            .field("random_seed", &self.random_seed())
            .finish_non_exhaustive()
    }
}

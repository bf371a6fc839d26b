//! Whether what was written computes the path: both are run on the same tokens, layer by layer from disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device};
use neuro_checkpoint::Checkpoint;
use neuro_model::{Decoder, WeightType};
use neuro_path::LayerPath;
use neuro_text::Text;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::staging::{parent_of, sync_folder, write_synced};
use crate::{Progress, Result, SurgeryError};

/// What lies beside or in an export that failed.
pub const MARK: &str = "VERIFICATION-FAILED.txt";
/// Tokens that are compared where there is no text.
const TOKENS: usize = 48;
/// Most tokens of a text.
const MOST_TOKENS: usize = 256;
/// The text where none is given.
const TEXT: &str =
    "The quick brown fox jumps over the lazy dog. In 1969, two people walked on the Moon; 12 × 12 = 144.";
/// Fewest different tokens of a text on which anything shows.
const FEWEST_KINDS: usize = 8;
const SEED: u64 = 0;

/// What an export is compared on, and how close it must come.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Token ids, from the first position on.
    pub tokens: Vec<u32>,
    /// Whether they are those of a text.
    pub is_text: bool,
    /// Largest difference of a logit, in units of the largest logit (at least 1).
    pub tolerance: f32,
}

/// How an export compares with the path.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Largest absolute difference of a logit.
    pub largest: f32,
    /// Largest absolute logit of the path.
    pub scale: f32,
    /// Positions at which both have the same best token.
    pub same_best: usize,
    /// Positions that were compared.
    pub positions: usize,
    /// Whether they were those of a text.
    pub is_text: bool,
    /// Largest difference that passes.
    pub limit: f32,
    /// Whether the path was run as llama.cpp runs the model, which is not the model's own way.
    pub as_llama_cpp: bool,
}

/// Largest difference of an export that copies bytes: what folding a scale costs in f32.
pub const EXACT: f32 = 1e-4;

impl Probe {
    /// The tokens of a text where the model has a tokenizer, else ids drawn from a seed.
    ///
    /// # Errors
    /// When the text cannot be encoded.
    pub fn new(text: Option<&Text>, given: Option<&str>, vocab_size: usize) -> Result<Self> {
        if let Some(text) = text {
            let mut tokens = text.encode(given.unwrap_or(TEXT), true)?;
            tokens.retain(|&token| (token as usize) < vocab_size);
            tokens.truncate(MOST_TOKENS);
            // A tokenizer of few words makes one token of everything, and nothing would show on that.
            let kinds: BTreeSet<u32> = tokens.iter().copied().collect();
            if kinds.len() >= FEWEST_KINDS {
                return Ok(Self { tokens, is_text: true, tolerance: EXACT });
            }
        }
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        // Vocabularies are far smaller than the largest id.
        let tokens = (0..TOKENS).map(|_| random.random_range(0..vocab_size as u32)).collect();
        Ok(Self { tokens, is_text: false, tolerance: EXACT })
    }

    /// The same on no more tokens than the export has context for.
    #[must_use]
    pub fn within(&self, written: &Checkpoint) -> Self {
        let mut probe = self.clone();
        probe.tokens.truncate(written.config.max_position_embeddings.max(1));
        probe
    }

    /// Runs the path over the source and the baseline over what was written.
    ///
    /// # Errors
    /// When one of them does not run, or the watcher stops it.
    pub fn compare(
        &self,
        source: &Arc<Checkpoint>,
        path: &LayerPath,
        written: &Arc<Checkpoint>,
        progress: &mut dyn Progress,
    ) -> Result<Comparison> {
        let baseline = LayerPath::baseline(written.config.num_layers())?;
        let mut run = |model: &Arc<Checkpoint>, path: &LayerPath| {
            let found = logits(model, path, &self.tokens)?;
            if progress.compared() { Ok(found) } else { Err(SurgeryError::Interrupted) }
        };
        let (expected, found) = (run(source, path)?, run(written, &baseline)?);
        self.between(&expected, &found)
    }

    /// Compares logits, row by row.
    ///
    /// # Errors
    /// When they are not of the same number of rows and columns.
    pub fn between(&self, expected: &[Vec<f32>], found: &[Vec<f32>]) -> Result<Comparison> {
        let sizes = |rows: &[Vec<f32>]| (rows.len(), rows.first().map_or(0, Vec::len));
        if sizes(expected) != sizes(found) {
            let problem = format!("has logits of shape {:?}, expected {:?}", sizes(found), sizes(expected));
            return Err(SurgeryError::place(Path::new("the export"), problem));
        }
        let pairs = || expected.iter().zip(found).flat_map(|(expected, found)| expected.iter().zip(found));
        // A NaN on either side is the largest of all differences.
        let difference = |(a, b): (&f32, &f32)| if (a - b).is_nan() { f32::INFINITY } else { (a - b).abs() };
        let largest = pairs().map(difference).fold(0.0, f32::max);
        let scale = expected.iter().flatten().fold(0.0_f32, |most, logit| most.max(logit.abs()));
        let same_best = expected.iter().zip(found).filter(|(expected, found)| best(expected) == best(found)).count();
        let limit = self.tolerance * scale.max(1.0);
        Ok(Comparison {
            largest,
            scale,
            same_best,
            positions: expected.len(),
            is_text: self.is_text,
            limit,
            as_llama_cpp: false,
        })
    }
}

impl Comparison {
    /// Whether the export computes the path.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.largest <= self.limit
    }

    /// What was found, as a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { largest, same_best, positions, limit, scale, .. } = self;
        let on = if self.is_text { "tokens of a text" } else { "seeded token ids" };
        let how =
            if self.as_llama_cpp { " as llama.cpp runs this model, which is not the model's own way" } else { "" };
        let verdict = if self.passed() {
            format!("The export computes the path{how}")
        } else {
            format!("THE EXPORT DOES NOT COMPUTE THE PATH{how} (at most {limit:.1e} was expected)")
        };
        if *largest == 0.0 {
            return format!("{verdict}: on {positions} {on} every logit is the same, bit for bit.");
        }
        format!(
            "{verdict}: on {positions} {on} the largest difference of a logit is {largest:.1e} (logits up to {scale:.1}), and \
             {same_best} of {positions} best tokens are the same."
        )
    }
}

/// Marks an export that does not compute the path: in its folder, or beside its file. Returns when the mark is on the disk, and
/// where it is.
///
/// # Errors
/// When the system refuses.
pub fn mark(out: &Path, sentence: &str) -> Result<PathBuf> {
    let mark = if out.is_dir() { out.join(MARK) } else { mark_beside(out) };
    write_synced(&mark, &format!("{sentence}\n"))?;
    sync_folder(parent_of(&mark));
    Ok(mark)
}

/// The mark of a file.
pub(crate) fn mark_beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{MARK}"));
    file.with_file_name(name)
}

/// Logits `(seq, vocab)` of every position. Weights are read from disk as they are needed: at most two layers at once.
pub(crate) fn logits(checkpoint: &Arc<Checkpoint>, path: &LayerPath, tokens: &[u32]) -> Result<Vec<Vec<f32>>> {
    let decoder = Decoder::stream(checkpoint, &Device::Cpu, WeightType::F32);
    Ok(decoder.logits(tokens, &path.visits())?.to_dtype(DType::F32)?.to_vec2::<f32>()?)
}

fn best(logits: &[f32]) -> Option<usize> {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_beyond_the_limit_fails() {
        let probe = Probe { tokens: vec![0], is_text: false, tolerance: EXACT };
        let same = probe.between(&[vec![1.0, 2.0]], &[vec![1.0, 2.0]]).unwrap();
        assert!(same.passed() && same.largest == 0.0 && same.same_best == 1);
        let other = probe.between(&[vec![1.0, 2.0]], &[vec![1.0, 1.9]]).unwrap();
        assert!(!other.passed() && other.sentence().contains("DOES NOT"), "{}", other.sentence());
        assert!(!probe.between(&[vec![1.0]], &[vec![f32::NAN]]).unwrap().passed());
        assert!(probe.between(&[vec![1.0]], &[vec![1.0, 2.0]]).is_err());
    }

    #[test]
    fn seeded_tokens_are_of_the_vocabulary_and_always_the_same() {
        let probe = Probe::new(None, None, 97).unwrap();
        assert_eq!(probe, Probe::new(None, None, 97).unwrap());
        assert!(probe.tokens.len() == TOKENS && probe.tokens.iter().all(|&token| token < 97));
    }
}

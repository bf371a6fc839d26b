//! A folder as Hugging Face lays it out, or a GGUF file, opened.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::config::DecoderConfig;
use crate::disk::read_bounded;
use crate::error::CheckpointError;
use crate::generation::GenerationConfig;
use crate::gguf::{self, Gguf, HeaderTokenizer};
use crate::identity::{Fingerprint, Identity};
use crate::index::INDEX_FILE;
use crate::memory::{self, Memory};
use crate::stored::StoredWeights;
use crate::weights::Weights;

const CONFIG_FILE: &str = "config.json";
const GENERATION_FILE: &str = "generation_config.json";
const WEIGHT_FILE: &str = "model.safetensors";

/// Largest JSON settings file that is read. Real ones have kilobytes.
const LARGEST_SETTINGS: u64 = 4 << 20;

/// What a checkpoint folder or a GGUF file holds: a description of the model, settings for generation, and weights that fit both.
#[derive(Debug)]
pub struct Checkpoint {
    /// The folder, or the GGUF file.
    pub dir: PathBuf,
    /// The model, described by data.
    pub config: DecoderConfig,
    /// Settings for generation; without a file, only what `config.json` says about it.
    pub generation: GenerationConfig,
    /// The tensors of [`DecoderConfig::expected_tensors`], and no others.
    pub weights: Weights,
    /// The tokenizer in the header of a GGUF file; none where the checkpoint is a folder.
    pub tokenizer: Option<HeaderTokenizer>,
    /// Fingerprint of `config.json`'s bytes; of none for a GGUF file, whose metadata lie before the weights.
    config_hash: String,
}

impl Checkpoint {
    /// Opens a folder with `config.json` and safetensors weights, single-file or sharded, or a GGUF file, of which any
    /// one stands for all where there are several. Weights are mapped; only headers are read now.
    ///
    /// # Errors
    ///
    /// When there is no such checkpoint, with advice for what lies there instead; when a file lies; when weights and
    /// config do not fit.
    pub fn open(dir: &Path) -> Result<Self, CheckpointError> {
        let metadata = std::fs::metadata(dir).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound { missing(dir) } else { CheckpointError::io(dir, error) }
        })?;
        if !metadata.is_dir() {
            if has_ending(dir, &["gguf"]) {
                return Ok(Self::of_gguf(dir, Gguf::open(dir)?));
            }
            return Err(not_a_folder(dir));
        }
        let config_file = dir.join(CONFIG_FILE);
        if !config_file.exists() {
            return Err(no_config(dir));
        }
        let settings = Settings::open(dir, &config_file)?;
        // As in transformers, a single file goes before an index.
        let weight_file = dir.join(WEIGHT_FILE);
        let weights = if weight_file.exists() {
            StoredWeights::open_single(&weight_file)?
        } else if dir.join(INDEX_FILE).exists() {
            StoredWeights::open_sharded(dir)?
        } else {
            return Err(no_weights(dir));
        };
        settings.with(Weights::stored(weights))
    }

    /// A model of the shape of a `config.json`, with weights drawn from a seed. Takes the folder or the file itself;
    /// weight files are not looked at. Of a GGUF file only the weights themselves are not.
    ///
    /// # Errors
    ///
    /// When there is no valid `config.json`, or its largest layer would not fit into this machine's memory.
    pub fn open_random(dir: &Path, seed: u64) -> Result<Self, CheckpointError> {
        if has_ending(dir, &["gguf"]) && dir.is_file() {
            let mut checkpoint = Self::of_gguf(dir, Gguf::open(dir)?);
            memory::check_random(dir, &checkpoint.config)?;
            checkpoint.weights = Weights::random(dir, &checkpoint.config, seed);
            return Ok(checkpoint);
        }
        let (dir, config_file) = if dir.is_file() {
            (dir.parent().unwrap_or(Path::new("")), dir.to_path_buf())
        } else {
            (dir, dir.join(CONFIG_FILE))
        };
        if !config_file.exists() {
            return Err(if dir.exists() { no_config(dir) } else { missing(dir) });
        }
        let settings = Settings::open(dir, &config_file)?;
        memory::check_random(&config_file, &settings.config)?;
        let weights = Weights::random(dir, &settings.config, seed);
        settings.with(weights)
    }

    /// A checkpoint that is in memory already, for example inside the binary. `id` stands for the folder's name, in the
    /// identity and in messages.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`], except for what concerns folders.
    pub fn from_bytes(
        id: &str,
        config_json: &[u8],
        generation_json: Option<&[u8]>,
        safetensors: impl Into<Cow<'static, [u8]>>,
    ) -> Result<Self, CheckpointError> {
        let dir = Path::new(id);
        let settings = Settings::read(dir, &dir.join(CONFIG_FILE), config_json, generation_json)?;
        let weights = StoredWeights::from_bytes(&dir.join(WEIGHT_FILE), safetensors.into())?;
        settings.with(Weights::stored(weights))
    }

    /// A GGUF file that is in memory already. `id` stands for the file's name, in the identity and in messages.
    ///
    /// # Errors
    ///
    /// As [`Checkpoint::open`], except for what concerns folders.
    pub fn from_gguf_bytes(id: &str, bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, CheckpointError> {
        let file = Path::new(id);
        Ok(Self::of_gguf(file, Gguf::from_bytes(file, bytes.into())?))
    }

    fn of_gguf(file: &Path, gguf: Gguf) -> Self {
        let Gguf { config, weights, tokenizer } = gguf;
        let generation = GenerationConfig {
            eos_token_ids: config.eos_token_ids.clone(),
            bos_token_id: config.bos_token_id,
            ..GenerationConfig::default()
        };
        Self {
            dir: file.to_path_buf(),
            config,
            generation,
            weights: Weights::gguf(weights),
            tokenizer,
            config_hash: Fingerprint::new().finish(),
        }
    }

    /// Whether all weights fit into a memory when they take so many bytes; to be asked before they are loaded. Where it is
    /// not known how much there is, weights of files pass.
    ///
    /// # Errors
    ///
    /// When they do not fit; the message names both numbers.
    pub fn check_memory(&self, bytes: u64, memory: &Memory) -> Result<(), CheckpointError> {
        let assumed = if self.weights.random_seed().is_some() { memory::ASSUMED } else { u64::MAX };
        let weights = format!("{} weights", self.config.parameters());
        memory::check(&self.dir, &weights, bytes, memory.total.unwrap_or(assumed))
    }

    /// Name and fingerprint. Reads weight files of up to 256 MiB in total whole; of larger ones, a few megabytes each and
    /// 8 KiB per tensor (see [`Identity::hash`]).
    ///
    /// # Errors
    ///
    /// When the folder's name cannot be resolved or a weight file cannot be read.
    pub fn identity(&self) -> Result<Identity, CheckpointError> {
        let mut fingerprint = Fingerprint::new();
        fingerprint.add(self.config_hash.as_bytes());
        self.weights.add_to(&mut fingerprint)?;
        Ok(Identity { id: self.name()?, hash: fingerprint.finish() })
    }

    /// The last part of the folder's path; of `.` and the like, that of the folder it means.
    fn name(&self) -> Result<String, CheckpointError> {
        if has_ending(&self.dir, &["gguf"]) && !self.dir.is_dir() {
            return Ok(gguf::model_name(&self.dir));
        }
        if let Some(name) = self.dir.file_name() {
            return Ok(name.to_string_lossy().into_owned());
        }
        let dir = if self.dir.as_os_str().is_empty() { Path::new(".") } else { &self.dir };
        let resolved = dir.canonicalize().map_err(|error| CheckpointError::io(dir, error))?;
        Ok(resolved.file_name().unwrap_or(resolved.as_os_str()).to_string_lossy().into_owned())
    }
}

/// A checkpoint before its weights.
struct Settings {
    dir: PathBuf,
    config: DecoderConfig,
    generation: GenerationConfig,
    config_hash: String,
}

impl Settings {
    fn open(dir: &Path, config_file: &Path) -> Result<Self, CheckpointError> {
        let config_json = read_bounded(config_file, LARGEST_SETTINGS)?;
        let generation_file = dir.join(GENERATION_FILE);
        if !generation_file.exists() {
            return Self::read(dir, config_file, &config_json, None);
        }
        let generation_json = read_bounded(&generation_file, LARGEST_SETTINGS)?;
        Self::read(dir, config_file, &config_json, Some(&generation_json))
    }

    fn read(
        dir: &Path,
        config_file: &Path,
        config_json: &[u8],
        generation_json: Option<&[u8]>,
    ) -> Result<Self, CheckpointError> {
        let config = DecoderConfig::from_json(config_json, config_file)?;
        let mut generation = match generation_json {
            Some(bytes) => GenerationConfig::from_json(bytes, &dir.join(GENERATION_FILE), config.vocab_size)?,
            None => GenerationConfig::default(),
        };
        if generation.eos_token_ids.is_empty() {
            generation.eos_token_ids.clone_from(&config.eos_token_ids);
        }
        generation.bos_token_id = generation.bos_token_id.or(config.bos_token_id);
        let mut config_hash = Fingerprint::new();
        config_hash.add(config_json);
        Ok(Self { dir: dir.to_path_buf(), config, generation, config_hash: config_hash.finish() })
    }

    fn with(self, mut weights: Weights) -> Result<Checkpoint, CheckpointError> {
        let Self { dir, mut config, generation, config_hash } = self;
        weights.fit(&mut config, &dir)?;
        Ok(Checkpoint { dir, config, generation, weights, tokenizer: None, config_hash })
    }
}

/// Endings of files that Python unpickles.
const PICKLES: &[&str] = &["bin", "pt", "pth", "ckpt"];
/// What is said about them.
const PICKLE: &str = "pickles (.bin, .pt, .pth), which can run code and are not read; convert them with transformers: \
                      AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(OTHER_FOLDER)";

fn missing(dir: &Path) -> CheckpointError {
    CheckpointError::folder(
        dir,
        "there is no such folder or file; give a folder with config.json and safetensors weights, or a .gguf file",
    )
}

fn not_a_folder(file: &Path) -> CheckpointError {
    let problem = if has_ending(file, PICKLES) {
        format!("holds weights as {PICKLE}; give the folder with the result")
    } else {
        let parent = file.parent().unwrap_or(Path::new("")).display();
        format!(
            "is a file, expected a folder with config.json and safetensors weights, or a .gguf file; did you mean `{parent}`?"
        )
    };
    CheckpointError::folder(file, problem)
}

fn no_config(dir: &Path) -> CheckpointError {
    let problem = if let Some(file) = gguf_in(dir) {
        return CheckpointError::folder(dir, format!("holds GGUF files but no config.json; name one of them: {file}"));
    } else if dir.join("adapter_config.json").exists() {
        "holds an adapter (adapter_config.json), not a model; merge it into its base model first"
    } else if dir.join("params.json").exists() {
        "holds params.json but no config.json; use the checkpoint in Hugging Face's format"
    } else {
        "has no config.json; give a folder with config.json and safetensors weights"
    };
    CheckpointError::folder(dir, problem)
}

fn no_weights(dir: &Path) -> CheckpointError {
    let problem = if dir.join(WEIGHT_FILE).symlink_metadata().is_ok() {
        "has a model.safetensors that is a link to nothing; the download is incomplete, download the model again"
    } else if contains(dir, |file| has_ending(file, PICKLES)) {
        return CheckpointError::folder(dir, format!("holds weights only as {PICKLE}"));
    } else if let Some(file) = gguf_in(dir) {
        return CheckpointError::folder(dir, format!("holds weights only as GGUF; name the file itself: {file}"));
    } else if contains(dir, |file| has_ending(file, &["safetensors"])) {
        "holds .safetensors files, but neither model.safetensors nor model.safetensors.index.json; \
         rename a single file to model.safetensors, or download the index"
    } else {
        "has no weights; add model.safetensors, or ask for random weights"
    };
    CheckpointError::folder(dir, problem)
}

fn has_ending(file: &Path, endings: &[&str]) -> bool {
    file.extension().is_some_and(|found| endings.iter().any(|ending| found.eq_ignore_ascii_case(ending)))
}

/// The path of the first GGUF file in a folder.
fn gguf_in(dir: &Path) -> Option<String> {
    let entries = std::fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    Some(entries.filter(|file| has_ending(file, &["gguf"])).min()?.display().to_string())
}

/// Whether a folder directly contains such a file; an unreadable folder contains none.
fn contains(dir: &Path, is_such: impl Fn(&Path) -> bool) -> bool {
    std::fs::read_dir(dir).is_ok_and(|entries| entries.flatten().any(|entry| is_such(&entry.path())))
}

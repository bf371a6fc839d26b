//! The argument MODEL: a folder, a GGUF file, a phantom that comes with the program, or a name on the Hugging Face hub.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use neuro_checkpoint::{Checkpoint, model_name};
use neuro_hub::{HubName, Need};
use neuro_path::LayerPath;
use neuro_probe::phantom::PhantomCard;
use neuro_record::Planted;
use neuro_scan::{OpenOptions, ScanRequest, Subject, open_text};
use tempfile::TempDir;

use crate::cli::LoadArgs;
use crate::error::Failure;
use crate::hub;
use crate::printer::Printer;

/// What a phantom's maker knows about it, in the phantom's folder.
const CARD_FILE: &str = "phantom.json";
/// Bytes that this file may have; a world of words takes a few thousand.
const CARD_BYTES: u64 = 64 << 10;

/// Where a model is.
#[derive(Debug)]
pub(crate) struct Model {
    /// The folder, or the file that stands for it.
    folder: PathBuf,
    /// Name for people, where the folder's own is none.
    name: Option<String>,
    /// How it is found again from any folder.
    source: String,
    /// Its repository on the hub, if it comes from there.
    repository: Option<String>,
    /// Holds the files of an embedded phantom for as long as they are needed.
    _extracted: Option<TempDir>,
}

impl Model {
    /// Finds a model. Names of phantoms come first; a folder of such a name is written `./phantom`. Names on the hub come
    /// last, and only these are told about and may need the network.
    ///
    /// # Errors
    /// When there is no such model.
    pub(crate) fn find(argument: &str, need: Need, printer: &Printer) -> anyhow::Result<Self> {
        if let Some(phantom) = Self::embedded(argument)? {
            return Ok(phantom);
        }
        let folder = PathBuf::from(argument);
        if folder.exists() {
            let is_name = HubName::parse(argument).is_some_and(|name| name.repository() == argument);
            if is_name && folder.is_dir() && !folder.join("config.json").exists() {
                printer.note(format_args!(
                    "{argument} is a folder here; on the Hugging Face hub, {argument}@main is meant"
                ));
            }
            let source = std::path::absolute(&folder).unwrap_or_else(|_| folder.clone()).display().to_string();
            return Ok(Self { folder, name: None, source, repository: None, _extracted: None });
        }
        // A name with a colon says which file of a repository is meant; without it, a file here was meant.
        let is_file = Path::new(argument).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf"));
        let name = HubName::parse(argument).filter(|name| !is_file || name.file().is_some());
        if let Some(name) = name {
            let found = hub::find(&name, need, printer)?;
            return Ok(Self {
                // A repository of GGUF files holds many models, so that the file's name tells more.
                name: name.file().is_none().then(|| name.name().to_owned()),
                folder: found.path,
                source: found.name.to_string(),
                repository: Some(name.repository()),
                _extracted: None,
            });
        }
        let what = if is_file { "file" } else { "folder" };
        let failure = Failure::new(format!("the model {what} {argument} does not exist"));
        if let Some(meant) = HubName::meant(argument) {
            return Err(failure.hint(format!("on the Hugging Face hub it is named {meant}")).into());
        }
        Err(failure
            .hint(
                "MODEL is a folder with config.json and *.safetensors, a .gguf file, `phantom`, `phantom-plain`, or a name on \
                 the Hugging Face hub such as Qwen/Qwen3-0.6B",
            )
            .into())
    }

    /// A phantom that comes with the program, if one has this name.
    ///
    /// # Errors
    /// When it cannot be unpacked.
    pub(crate) fn embedded(name: &str) -> anyhow::Result<Option<Self>> {
        let Some(phantom) = neuro_train::embedded(name) else { return Ok(None) };
        let place = extract(phantom).context("the phantom cannot be unpacked into the folder for temporary files")?;
        Ok(Some(Self {
            folder: place.path().join(phantom.name),
            name: None,
            source: phantom.name.to_owned(),
            repository: None,
            _extracted: Some(place),
        }))
    }

    /// `org/name`, of a model from the hub.
    pub(crate) fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    /// Name for people.
    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| model_name(&self.folder))
    }

    /// The folder that holds its files and no others; none for a GGUF file, which may lie anywhere.
    pub(crate) fn folder(&self) -> Option<&Path> {
        if self.folder.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf")) && self.folder.is_file() {
            return None;
        }
        // With random weights the config file itself may stand for the folder.
        let parent = if self.folder.is_file() { self.folder.parent() } else { None };
        Some(match parent {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => &self.folder,
        })
    }

    /// Opens the checkpoint alone, with weights of its own.
    ///
    /// # Errors
    /// When the checkpoint is refused.
    pub(crate) fn open(&self) -> anyhow::Result<Checkpoint> {
        Ok(Checkpoint::open(&self.folder)?)
    }

    /// Opens the checkpoint alone. It needs no tokenizer.
    ///
    /// # Errors
    /// When the checkpoint is refused.
    pub(crate) fn checkpoint(&self, load: &LoadArgs) -> anyhow::Result<Checkpoint> {
        Ok(match load.random_weights {
            Some(seed) => Checkpoint::open_random(&self.folder, seed)?,
            None => Checkpoint::open(&self.folder)?,
        })
    }

    /// Opens the checkpoint with its tokenizer.
    ///
    /// # Errors
    /// When the checkpoint, the tokenizer or the device is refused.
    pub(crate) fn subject(&self, load: &LoadArgs) -> anyhow::Result<Subject> {
        let (random_weights, device) = (load.random_weights, load.device.open()?);
        let checkpoint = self.checkpoint(load)?;
        let options = OpenOptions { random_weights, device, weight_type: load.weight_type(&checkpoint) };
        match &self.name {
            None => Ok(Subject::from_checkpoint(checkpoint, &options)?),
            Some(name) => {
                let text = open_text(&checkpoint)?;
                Ok(Subject::from_parts(name, checkpoint, text, &options)?)
            }
        }
    }

    /// The default request for this model: a phantom's own questions where it is one.
    ///
    /// # Errors
    /// When the folder has a `phantom.json` that is none, or too large for one.
    pub(crate) fn request(&self) -> anyhow::Result<ScanRequest> {
        let card = self.card()?;
        let planted = card.as_ref().and_then(|card| card.planted.clone());
        Ok(ScanRequest {
            planted: planted.map(|planted| Planted { block: planted.block, group: planted.group }),
            phantom: card.map(|card| card.world),
            source: Some(self.source.clone()),
            ..ScanRequest::default()
        })
    }

    fn card(&self) -> anyhow::Result<Option<PhantomCard>> {
        let file = self.folder.join(CARD_FILE);
        if !file.is_file() {
            return Ok(None);
        }
        let mut text = Vec::new();
        // One byte more than allowed tells a file that is too large from one that just fits.
        std::fs::File::open(&file)
            .and_then(|open| open.take(CARD_BYTES + 1).read_to_end(&mut text))
            .with_context(|| format!("{} cannot be read", file.display()))?;
        if text.len() as u64 > CARD_BYTES {
            let problem = format!("{} has more than {CARD_BYTES} bytes, so it describes no phantom", file.display());
            return Err(Failure::new(problem)
                .hint("restore the file, or remove it to scan the model as any other")
                .into());
        }
        let card = serde_json::from_slice(&text).with_context(|| format!("{} describes no phantom", file.display()))?;
        Ok(Some(card))
    }
}

/// A path in any notation; the baseline where none is given.
///
/// # Errors
/// When it is no path of this depth.
pub(crate) fn parse_path(text: Option<&str>, depth: usize) -> anyhow::Result<LayerPath> {
    match text {
        Some(text) => LayerPath::parse(text, depth).with_context(|| format!("--path {text}")),
        None => Ok(LayerPath::baseline(depth)?),
    }
}

/// Writes the files of a phantom into a temporary folder.
fn extract(phantom: &neuro_train::EmbeddedPhantom) -> anyhow::Result<TempDir> {
    let place = tempfile::Builder::new().prefix("neuro-").tempdir()?;
    let folder = place.path().join(phantom.name);
    std::fs::create_dir(&folder)?;
    for (name, bytes) in phantom.files {
        let file: &Path = name.as_ref();
        std::fs::write(folder.join(file), bytes)?;
    }
    Ok(place)
}

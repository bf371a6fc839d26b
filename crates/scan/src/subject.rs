//! What is scanned: a checkpoint, its text and, from the first time they are needed, its weights in memory.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use neuro_checkpoint::{Checkpoint, DecoderConfig, Identity};
use neuro_model::{Decoder, Device, WeightType, start_threads};
use neuro_path::LayerPath;
use neuro_record::ModelInfo;
use neuro_text::{Message, Text, TextError};

use crate::turn::{self, Turn};
use crate::{Result, ScanError};

/// How to open a model.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Draw the weights from this seed instead of reading them; a `config.json` is then enough.
    pub random_weights: Option<u64>,
    /// Where the weights go and everything is computed.
    pub device: Device,
    /// How the weights of projections are held and multiplied.
    pub weight_type: WeightType,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { random_weights: None, device: Device::Cpu, weight_type: WeightType::F32 }
    }
}

/// A model that can be scanned. Opening it reads descriptions only.
#[derive(Debug)]
pub struct Subject {
    checkpoint: Arc<Checkpoint>,
    identity: Identity,
    text: Option<Text>,
    device: Device,
    weight_type: WeightType,
    decoder: Mutex<Option<(Residence, Arc<Decoder>)>>,
}

/// Where the weights are while a model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residence {
    /// In memory, all of them.
    Held,
    /// On disk: each layer is read when it is needed.
    Streamed,
}

/// The tokenizer of a checkpoint: the one in the header of a GGUF file, or that of the folder. `None` where there is none.
///
/// # Errors
/// When it is refused.
pub fn open_text(checkpoint: &Checkpoint) -> std::result::Result<Option<Text>, TextError> {
    let place = &checkpoint.dir;
    match &checkpoint.tokenizer {
        Some(header) => Text::from_header(header, &place.display().to_string()).map(Some),
        // A GGUF file without a tokenizer: what lies beside it need not belong to it.
        None if place.is_file() => Ok(None),
        None => Text::open(place),
    }
}

impl Subject {
    /// Opens a model folder or a GGUF file.
    ///
    /// # Errors
    /// When the checkpoint or its tokenizer is refused. A folder without a tokenizer opens; it cannot be asked.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<Self> {
        let checkpoint = match options.random_weights {
            Some(seed) => Checkpoint::open_random(dir, seed)?,
            None => Checkpoint::open(dir)?,
        };
        Self::from_checkpoint(checkpoint, options)
    }

    /// A subject of a checkpoint that has been opened, and of the tokenizer that comes with it.
    ///
    /// # Errors
    /// When the tokenizer is refused, or the weight files cannot be read for the identity.
    pub fn from_checkpoint(checkpoint: Checkpoint, options: &OpenOptions) -> Result<Self> {
        let name = checkpoint.identity()?.id;
        let text = open_text(&checkpoint)?;
        Self::from_parts(&name, checkpoint, text, options)
    }

    /// A subject of parts that do not come from one folder, called `name`.
    ///
    /// # Errors
    /// When the weight files cannot be read for the identity, or the threads that compute not be started.
    pub fn from_parts(name: &str, checkpoint: Checkpoint, text: Option<Text>, options: &OpenOptions) -> Result<Self> {
        start_threads()?;
        let mut identity = checkpoint.identity()?;
        identity.id = name.to_owned();
        let (checkpoint, device) = (Arc::new(checkpoint), options.device.clone());
        let weight_type = options.weight_type;
        Ok(Self { checkpoint, identity, text, device, weight_type, decoder: Mutex::new(None) })
    }

    /// The model's name, for people.
    pub fn name(&self) -> &str {
        &self.identity.id
    }

    /// Its files.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    pub(crate) fn shared_checkpoint(&self) -> Arc<Checkpoint> {
        self.checkpoint.clone()
    }

    /// Its description.
    pub fn config(&self) -> &DecoderConfig {
        &self.checkpoint.config
    }

    /// Its number of layers.
    pub fn depth(&self) -> usize {
        self.config().num_layers()
    }

    /// Where it is computed.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Its tokenizer and templates, if it has any.
    pub fn text(&self) -> Option<&Text> {
        self.text.as_ref()
    }

    /// Its tokenizer and templates.
    ///
    /// # Errors
    /// When the folder has none.
    pub fn require_text(&self) -> Result<&Text> {
        self.text().ok_or_else(|| ScanError::NoTokenizer { model: self.name().to_owned() })
    }

    /// Whether it has a chat template, and is asked in conversations instead of plain text.
    pub fn is_chat(&self) -> bool {
        self.text().is_some_and(Text::has_template)
    }

    /// How a conversation's last turn begins and ends; none where the model is asked in plain text.
    pub(crate) fn turn(&self) -> Result<Option<Turn>> {
        let chat = self.text().filter(|text| text.has_template());
        Ok(chat.map(|text| Turn::of(text, &self.end_tokens())).transpose()?)
    }

    /// Tokens that end an answer: those of the generation config, the config and the tokenizer, in that order.
    pub fn end_tokens(&self) -> Vec<u32> {
        let Checkpoint { config, generation, .. } = self.checkpoint();
        let tokenizer = self.text().and_then(Text::eos_token).map(|(_, id)| id);
        let mut tokens = Vec::new();
        for &id in generation.eos_token_ids.iter().chain(&config.eos_token_ids).chain(&tokenizer) {
            if !tokens.contains(&id) && (id as usize) < config.vocab_size {
                tokens.push(id);
            }
        }
        tokens
    }

    /// The decoder with its weights in memory; they are read at the first call and shared by all later ones.
    ///
    /// # Errors
    /// When a weight cannot be read or is not finite.
    pub fn decoder(&self) -> Result<Arc<Decoder>> {
        self.decoder_with(Residence::Held)
    }

    /// The decoder with its weights where they are wanted.
    ///
    /// # Errors
    /// When a weight cannot be read or is not finite; of streamed weights that shows when they are used.
    pub fn decoder_with(&self, residence: Residence) -> Result<Arc<Decoder>> {
        // A poisoned lock only means that another thread failed while loading; the place is then still empty.
        let mut place = self.decoder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, decoder)) = place.as_ref().filter(|(found, _)| *found == residence) {
            return Ok(decoder.clone());
        }
        let decoder = Arc::new(match residence {
            Residence::Held => Decoder::load_as(&self.checkpoint, &self.device, self.weight_type)?,
            Residence::Streamed => Decoder::stream(&self.checkpoint, &self.device, self.weight_type),
        });
        *place = Some((residence, decoder.clone()));
        Ok(decoder)
    }

    /// Lets go of the weights; the next call that needs them reads them anew.
    pub(crate) fn forget_decoder(&self) {
        *self.decoder.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// How the weights of projections are held and multiplied.
    pub fn weight_type(&self) -> WeightType {
        self.weight_type
    }

    /// Whether the weights have been read, or need no reading.
    pub fn is_loaded(&self) -> bool {
        self.decoder.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Bytes of weights that are in memory by now.
    pub(crate) fn weight_bytes_held(&self) -> u64 {
        let place = self.decoder.lock().unwrap_or_else(PoisonError::into_inner);
        place.as_ref().map_or(0, |(_, decoder)| decoder.weight_bytes() as u64)
    }

    /// Reads a path in any notation.
    ///
    /// # Errors
    /// When it is no path of this model's layers.
    pub fn parse_path(&self, text: &str) -> Result<LayerPath> {
        Ok(LayerPath::parse(text, self.depth())?)
    }

    /// The model as a run describes it.
    pub fn model_info(&self) -> ModelInfo {
        let Checkpoint { config, weights, .. } = self.checkpoint();
        ModelInfo {
            id: self.identity.id.clone(),
            hash: self.identity.hash.clone(),
            model_type: config.model_type.clone(),
            layers: config.num_layers(),
            parameters: config.parameters(),
            dtype: weights.dtype_summary(),
            random_weights: weights.random_seed(),
        }
    }

    /// The kind of device, for example `cpu`.
    pub(crate) fn device_kind(&self) -> &'static str {
        match self.device {
            Device::Cpu => "cpu",
            Device::Cuda(_) => "cuda",
            Device::Metal(_) => "metal",
        }
    }

    /// Tokens of a conversation with the header of the model's next turn, thinking closed.
    ///
    /// # Errors
    /// When there is no tokenizer or no template, or the template refuses the conversation.
    pub fn chat_prompt(&self, messages: &[Message]) -> Result<Vec<u32>> {
        Ok(self.require_text()?.chat_tokens(messages, &turn::options(true))?)
    }

    /// Tokens of a plain text with the special tokens that the tokenizer adds.
    ///
    /// # Errors
    /// When there is no tokenizer, or it refuses the text.
    pub fn plain_prompt(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.require_text()?.encode(text, true)?)
    }
}

//! The decoder: a list of stateless layers and the loop that runs them over visits.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use neuro_checkpoint::{Checkpoint, DecoderConfig, LayerConfig, RopeScaling};
use neuro_path::Visit;

use crate::batch::Batch;
use crate::ends::{Embedding, Head};
use crate::layer::DecoderLayer;
use crate::linear::Linear;
use crate::memory::device_memory;
use crate::rope::Rope;
use crate::sizes::WeightBytes;
use crate::source::{CheckpointSource, Kernels, ParameterSource, WeightType};
use crate::state::{Slot, State};
use crate::stream::Stream;
use crate::tap::Tap;
use crate::threads::start_threads;
use crate::{ModelError, Result};

/// A causal language model, described by its [`DecoderConfig`].
#[derive(Debug)]
pub struct Decoder {
    config: DecoderConfig,
    device: Device,
    ropes: Vec<Arc<Rope>>,
    weights: Residence,
    /// See [`Decoder::rows_are_alike`].
    alike: bool,
}

/// Where the weights are while the decoder runs.
#[derive(Debug)]
enum Residence {
    /// In memory, all of them.
    Held { embedding: Embedding, layers: Vec<Arc<DecoderLayer>>, head: Arc<Head> },
    /// On disk, read when needed.
    Streamed(Stream),
}

impl Decoder {
    /// tokens of one text from its beginning → residual stream `(rows, hidden)`.
    ///
    /// # Errors
    /// As [`Decoder::embed_at`]'s.
    pub fn embed(&self, tokens: &[u32]) -> Result<Tensor> {
        self.embed_at(tokens, 0..tokens.len())
    }

    /// tokens of a packed batch, each with the number of tokens before it in its text → residual stream `(rows, hidden)`.
    /// The positions matter only to models that learned them.
    ///
    /// # Errors
    /// When the vocabulary has no such token or the model no such position, or a streamed embedding cannot be read.
    pub fn embed_at(&self, tokens: &[u32], positions: impl IntoIterator<Item = usize>) -> Result<Tensor> {
        let vocab = self.config.vocab_size;
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocab) {
            return Err(ModelError::TokenOutOfRange { token, vocab });
        }
        let embedding = match &self.weights {
            Residence::Held { embedding, .. } => embedding,
            Residence::Streamed(stream) => stream.embedding(),
        };
        embedding.rows(&self.config, tokens, positions, &self.device)
    }

    /// Runs the visits in order over the residual stream `(rows, hidden)`; `slots` holds the state of each visit, and the
    /// batch has one part. Where more than one visit is run, every row is asked for.
    /// A part of a path runs as well as a whole: what is shared with another path need not be run again.
    ///
    /// # Errors
    /// When visits and slots do not pair up, rows are not those of the batch, or the device fails.
    pub fn run(
        &self,
        mut resid: Tensor,
        batch: &Batch,
        visits: &[Visit],
        slots: &mut [Slot],
        tap: &mut dyn Tap,
    ) -> Result<Tensor> {
        if visits.len() != slots.len() {
            return Err(ModelError::SlotCount { visits: visits.len(), slots: slots.len() });
        }
        for (visit, slot) in visits.iter().zip(slots) {
            resid = self.layer(visit.layer)?.forward(resid, batch, visit, &mut [slot], tap)?;
        }
        Ok(resid)
    }

    /// residual stream `(rows, hidden)` → logits `(rows, vocab)`.
    ///
    /// # Errors
    /// As [`Decoder::head`]'s and [`Head::logits`]'.
    pub fn unembed(&self, resid: &Tensor) -> Result<Tensor> {
        self.head()?.logits(resid)
    }

    /// Logits `(seq, vocab)` of one sequence from its beginning: the plain way, and the reference for every other.
    ///
    /// # Errors
    /// As [`Decoder::embed`]'s and [`Decoder::run`]'s.
    pub fn logits(&self, tokens: &[u32], visits: &[Visit]) -> Result<Tensor> {
        let mut state = State::new(visits.len());
        let resid = self.embed(tokens)?;
        let resid = self.run(resid, &Batch::single(tokens.len()), visits, &mut state.slots, &mut ())?;
        self.unembed(&resid)
    }

    /// One layer. Streamed weights are read by this call; who runs a layer over much should ask for it once.
    ///
    /// # Errors
    /// When there is no such layer, or streamed weights cannot be read.
    pub fn layer(&self, layer: usize) -> Result<Arc<DecoderLayer>> {
        match &self.weights {
            Residence::Held { layers, .. } => {
                layers.get(layer).cloned().ok_or(ModelError::LayerOutOfRange { layer, depth: self.config.num_layers() })
            }
            Residence::Streamed(stream) => stream.layer(layer, &self.config, &self.ropes),
        }
    }

    /// What turns the residual stream into logits. Streamed weights are read by this call.
    ///
    /// # Errors
    /// When streamed weights cannot be read.
    pub fn head(&self) -> Result<Arc<Head>> {
        match &self.weights {
            Residence::Held { head, .. } => Ok(head.clone()),
            Residence::Streamed(stream) => stream.head(&self.config),
        }
    }
}

impl Decoder {
    /// Reads every weight of a checkpoint, as f32, to the device.
    ///
    /// # Errors
    /// When the weights need more memory than the machine has, or one is missing, has another shape than described, or
    /// holds a value that is not finite.
    pub fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        let bytes = checkpoint.config.parameters().saturating_mul(DType::F32.size_in_bytes() as u64);
        checkpoint.check_memory(bytes, &device_memory(device))?;
        let source = CheckpointSource { checkpoint, device, weight_type: WeightType::F32 };
        Self::from_source(&checkpoint.config, &source, device, Kernels::Fused)
    }

    /// Reads every weight of a checkpoint and holds those of projections as the given type. On a processor the embedding
    /// stays on disk: few of its rows are needed at once.
    ///
    /// # Errors
    /// As [`Decoder::load`]'s.
    pub fn load_as(checkpoint: &Arc<Checkpoint>, device: &Device, weight_type: WeightType) -> Result<Self> {
        if weight_type == WeightType::F32 && !device.is_cpu() {
            return Self::load(checkpoint, device);
        }
        start_threads()?;
        let config = &checkpoint.config;
        checkpoint.check_memory(WeightBytes::of(config, weight_type).held, &device_memory(device))?;
        let source = CheckpointSource { checkpoint, device, weight_type };
        let ropes = ropes(config, Kernels::Fused);
        let layers = layers(&source, config, &ropes, Kernels::Fused)?;
        let head = Arc::new(Head::load(&source, config, Kernels::Fused, None)?);
        let weights = Residence::Held { embedding: Embedding::OnDisk(checkpoint.clone()), layers, head };
        let alike = are_alike(config, device, weight_type);
        Ok(Self { config: config.clone(), device: device.clone(), ropes, weights, alike })
    }

    /// Leaves the weights on disk: each is read when it is needed and forgotten soon after. At most two layers, or a layer
    /// and the head, are in memory at once.
    pub fn stream(checkpoint: &Arc<Checkpoint>, device: &Device, weight_type: WeightType) -> Self {
        let config = checkpoint.config.clone();
        let ropes = ropes(&config, Kernels::Fused);
        let weights = Residence::Streamed(Stream::new(checkpoint.clone(), device, weight_type));
        let alike = are_alike(&config, device, weight_type);
        Self { config, device: device.clone(), ropes, weights, alike }
    }

    /// Builds a decoder of parameters from anywhere. With [`Kernels::Differentiable`] gradients flow back to them.
    ///
    /// # Errors
    /// As the source's.
    pub fn from_source(
        config: &DecoderConfig,
        source: &dyn ParameterSource,
        device: &Device,
        kernels: Kernels,
    ) -> Result<Self> {
        start_threads()?;
        let embedding = Embedding::load(source, config)?;
        let ropes = ropes(config, kernels);
        let layers = layers(source, config, &ropes, kernels)?;
        let head = Arc::new(Head::load(source, config, kernels, embedding.tokens())?);
        let weights = Residence::Held { embedding, layers, head };
        // Parameters from anywhere may be held by others too, and are then multiplied as the tensor library does.
        Ok(Self { config: config.clone(), device: device.clone(), ropes, weights, alike: false })
    }

    /// The description that the decoder was built by.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// The length that a text is planned to reach, where some layer's RoPE depends on it (`dynamic` and `longrope`, above
    /// the trained length), else 0. Texts of equal value compute the same for what they begin with alike.
    pub fn shared_span(&self, span: usize) -> usize {
        let of = |layer: &LayerConfig| match layer.attention.rope.scaling {
            RopeScaling::Dynamic { trained, .. } if span > trained => span,
            // All longer texts are alike.
            RopeScaling::LongRope { original, .. } if span > original => original + 1,
            _ => 0,
        };
        self.config.layers.iter().map(of).max().unwrap_or(0)
    }

    /// Whether a row comes out the same, bit for bit, whatever rows run beside it and however many tokens of its text are read
    /// at once. So it is where kernels of our own compute everything; the tensor library's take sums in an order that
    /// depends on how many rows there are.
    pub fn rows_are_alike(&self) -> bool {
        self.alike
    }

    /// Where it is computed.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Bytes of weights that were read while the decoder ran, as they are stored: those of every layer and of the head in
    /// every sweep where they are streamed, what was read ahead in vain included; none where they are held.
    pub fn streamed_bytes(&self) -> u64 {
        match &self.weights {
            Residence::Held { .. } => 0,
            Residence::Streamed(stream) => stream.bytes_read(),
        }
    }

    /// Bytes of weights held; none where they are streamed. No path changes them.
    pub fn weight_bytes(&self) -> usize {
        let Residence::Held { embedding, layers, head } = &self.weights else { return 0 };
        DecoderLayer::bytes_of_all(layers) + embedding.bytes() + head.bytes()
    }
}

/// See [`Decoder::rows_are_alike`].
fn are_alike(config: &DecoderConfig, device: &Device, weight_type: WeightType) -> bool {
    // The gate of an expert that all rows take is the tensor library's product.
    let is_gated = |layer: &LayerConfig| {
        let shared = layer.mlp.experts.as_ref().and_then(|experts| experts.shared.as_ref());
        shared.is_some_and(|shared| shared.gated)
    };
    device.is_cpu() && Linear::is_packed_as(weight_type) && !config.layers.iter().any(is_gated)
}

fn layers(
    source: &dyn ParameterSource,
    config: &DecoderConfig,
    ropes: &[Arc<Rope>],
    kernels: Kernels,
) -> Result<Vec<Arc<DecoderLayer>>> {
    let mut layers: Vec<Arc<DecoderLayer>> = Vec::with_capacity(ropes.len());
    for (index, rope) in ropes.iter().enumerate() {
        let first = config.weights_of(index);
        layers.push(match config.twin_of(index) {
            Some(twin) => layers[twin].clone(),
            None if first < index => Arc::new(layers[first].repeated(source, config, index, kernels)?),
            None => Arc::new(DecoderLayer::load(source, config, index, rope.clone(), kernels)?),
        });
    }
    Ok(layers)
}

/// The rope of each layer; equal ones are shared.
fn ropes(config: &DecoderConfig, kernels: Kernels) -> Vec<Arc<Rope>> {
    let mut ropes: Vec<Arc<Rope>> = Vec::with_capacity(config.layers.len());
    for LayerConfig { attention, .. } in &config.layers {
        let known = ropes.iter().find(|rope| *rope.config() == attention.rope).cloned();
        ropes.push(known.unwrap_or_else(|| Arc::new(Rope::new(attention.rope.clone(), kernels))));
    }
    ropes
}

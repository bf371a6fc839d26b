//! The decoder: a list of stateless layers and the loop that runs them over visits.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use neuro_checkpoint::{Checkpoint, DecoderConfig, LayerConfig, RopeScaling};
use neuro_path::{BranchScales, Scale, Visit};

use crate::attention::Attention;
use crate::batch::Batch;
use crate::ends::{EMBEDDING, Embedding, Head};
use crate::kernels::norm::add;
use crate::kernels::values::Values;
use crate::mlp::Mlp;
use crate::norm::RmsNorm;
use crate::rope::Rope;
use crate::source::{CheckpointSource, Kernels, ParameterSource, WeightType};
use crate::state::{Slot, State};
use crate::stream::Stream;
use crate::tap::{Site, Tap};
use crate::{ModelError, Result};

/// A causal language model, described by its [`DecoderConfig`].
#[derive(Debug)]
pub struct Decoder {
    config: DecoderConfig,
    device: Device,
    ropes: Vec<Arc<Rope>>,
    weights: Residence,
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
    /// tokens of a packed batch → residual stream `(rows, hidden)`.
    ///
    /// # Errors
    /// When the vocabulary has no such token, or a streamed embedding cannot be read.
    pub fn embed(&self, tokens: &[u32]) -> Result<Tensor> {
        let vocab = self.config.vocab_size;
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocab) {
            return Err(ModelError::TokenOutOfRange { token, vocab });
        }
        let embedding = match &self.weights {
            Residence::Held { embedding, .. } => embedding,
            Residence::Streamed(stream) => stream.embedding(),
        };
        embedding.rows(&self.config, tokens, &self.device)
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

/// One decoder layer: two branches that add to the residual stream. It has no position and no state.
#[derive(Debug)]
pub struct DecoderLayer {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: Mlp,
}

impl DecoderLayer {
    pub(crate) fn load(
        source: &dyn ParameterSource,
        config: &DecoderConfig,
        index: usize,
        rope: Arc<Rope>,
        kernels: Kernels,
    ) -> Result<Self> {
        let (hidden, eps, LayerConfig { attention, mlp }) =
            (config.hidden_size, config.norm_eps, &config.layers[index]);
        let name = format!("model.layers.{index}");
        let norm = |part: &str| RmsNorm::load(source, &format!("{name}.{part}"), hidden, eps, kernels);
        Ok(Self {
            input_layernorm: norm("input_layernorm")?,
            self_attn: Attention::load(source, &format!("{name}.self_attn"), (hidden, eps), attention, rope, kernels)?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            mlp: Mlp::load(source, &format!("{name}.mlp"), hidden, mlp, kernels)?,
        })
    }

    fn bytes(&self) -> usize {
        let norms = self.input_layernorm.bytes() + self.post_attention_layernorm.bytes();
        norms + self.self_attn.bytes() + self.mlp.bytes()
    }

    /// Residual stream `(rows, hidden)` → `(asked rows, hidden)`. The visit's scales multiply what its branches add.
    /// `slots` are those that the batch's parts name.
    ///
    /// # Errors
    /// When rows, slots or the tokens that they hold are not those of the batch.
    pub fn forward(
        &self,
        resid_pre: Tensor,
        batch: &Batch,
        visit: &Visit,
        slots: &mut [&mut Slot],
        tap: &mut dyn Tap,
    ) -> Result<Tensor> {
        let BranchScales { attn, mlp } = visit.scales;
        batch.check(&resid_pre, slots.len())?;

        tap.tap(visit, Site::ResidPre, &resid_pre)?;
        let normed = self.input_layernorm.forward(&resid_pre)?;
        let angles = self.self_attn.remember(&normed, batch, slots)?;
        if batch.asked_rows() == 0 {
            return Ok(resid_pre.narrow(0, 0, 0)?);
        }
        let attn_out = self.self_attn.forward(&normed, angles, batch, slots)?;
        let resid_pre = match batch.asked() {
            None => resid_pre,
            Some(asked) => resid_pre.index_select(&Tensor::new(asked, resid_pre.device())?, 0)?,
        };
        let attn_out = scaled(attn_out, attn)?;
        tap.tap(visit, Site::AttnOut, &attn_out)?;

        let resid_mid = sum(&resid_pre, &attn_out)?;
        tap.tap(visit, Site::ResidMid, &resid_mid)?;
        let mlp_out = self.mlp.forward(&self.post_attention_layernorm.forward(&resid_mid)?)?;
        let mlp_out = scaled(mlp_out, mlp)?;
        tap.tap(visit, Site::MlpOut, &mlp_out)?;

        let resid_post = sum(&resid_mid, &mlp_out)?;
        tap.tap(visit, Site::ResidPost, &resid_post)?;
        Ok(resid_post)
    }
}

/// The residual stream and what a branch adds to it.
fn sum(resid: &Tensor, branch: &Tensor) -> Result<Tensor> {
    let is_trained = resid.track_op() || branch.track_op();
    if let (false, Some(values), Some(added)) = (is_trained, Values::of(resid), Values::of(branch)) {
        let mut values = values.get().to_vec();
        add(&mut values, added.get());
        return Ok(Tensor::from_vec(values, resid.shape(), resid.device())?);
    }
    Ok((resid + branch)?)
}

/// A branch's output times its scale. A scale of one multiplies nothing, so a plain visit stays bit for bit the same.
fn scaled(branch: Tensor, scale: Scale) -> Result<Tensor> {
    if scale == Scale::ONE {
        return Ok(branch);
    }
    Ok((branch * (scale.billionths() as f64 / 1e9))?)
}

impl Decoder {
    /// Reads every weight of a checkpoint, as f32, to the device.
    ///
    /// # Errors
    /// When the weights need more memory than the machine has, or one is missing, has another shape than described, or
    /// holds a value that is not finite.
    pub fn load(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        checkpoint.check_memory(DType::F32.size_in_bytes() as u64)?;
        let source = CheckpointSource { checkpoint, device, weight_type: WeightType::F32 };
        Self::from_source(&checkpoint.config, &source, device, Kernels::Fused)
    }

    /// Reads every weight of a checkpoint and holds those of projections as the given type. On a processor the embedding
    /// stays on disk: few of its rows are needed at once.
    ///
    /// # Errors
    /// As [`Decoder::load`]'s.
    pub fn load_as(checkpoint: &Arc<Checkpoint>, device: &Device, weight_type: WeightType) -> Result<Self> {
        if weight_type == WeightType::F32 {
            if !device.is_cpu() {
                return Self::load(checkpoint, device);
            }
            checkpoint.check_memory(DType::F32.size_in_bytes() as u64)?;
        }
        let config = &checkpoint.config;
        let source = CheckpointSource { checkpoint, device, weight_type };
        let ropes = ropes(config, Kernels::Fused);
        let layers = layers(&source, config, &ropes, Kernels::Fused)?;
        let head = Arc::new(Head::load(&source, config, Kernels::Fused, None)?);
        let weights = Residence::Held { embedding: Embedding::OnDisk(checkpoint.clone()), layers, head };
        Ok(Self { config: config.clone(), device: device.clone(), ropes, weights })
    }

    /// Leaves the weights on disk: each is read when it is needed and forgotten soon after. At most two layers, or a layer
    /// and the head, are in memory at once.
    pub fn stream(checkpoint: &Arc<Checkpoint>, device: &Device, weight_type: WeightType) -> Self {
        let config = checkpoint.config.clone();
        let ropes = ropes(&config, Kernels::Fused);
        let weights = Residence::Streamed(Stream::new(checkpoint.clone(), device, weight_type));
        Self { config, device: device.clone(), ropes, weights }
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
        let embed_tokens = source.parameter(EMBEDDING, &[config.vocab_size, config.hidden_size])?;
        let ropes = ropes(config, kernels);
        let layers = layers(source, config, &ropes, kernels)?;
        let head = Arc::new(Head::load(source, config, kernels, Some(&embed_tokens))?);
        let weights = Residence::Held { embedding: Embedding::Held(embed_tokens), layers, head };
        Ok(Self { config: config.clone(), device: device.clone(), ropes, weights })
    }

    /// The description that the decoder was built by.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// The length that a text is planned to reach, where some layer's RoPE depends on it (`dynamic`, above the trained
    /// length), else 0. Texts of equal value compute the same for what they begin with alike.
    pub fn shared_span(&self, span: usize) -> usize {
        let depends = self.config.layers.iter().any(
            |layer| matches!(layer.attention.rope.scaling, RopeScaling::Dynamic { trained, .. } if span > trained),
        );
        if depends { span } else { 0 }
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
        let embedding = match embedding {
            Embedding::Held(embedding) => embedding.elem_count() * embedding.dtype().size_in_bytes(),
            Embedding::OnDisk(_) => 0,
        };
        layers.iter().map(|layer| layer.bytes()).sum::<usize>() + embedding + head.bytes()
    }
}

fn layers(
    source: &dyn ParameterSource,
    config: &DecoderConfig,
    ropes: &[Arc<Rope>],
    kernels: Kernels,
) -> Result<Vec<Arc<DecoderLayer>>> {
    let layer = |(index, rope): (usize, &Arc<Rope>)| {
        Ok(Arc::new(DecoderLayer::load(source, config, index, rope.clone(), kernels)?))
    };
    ropes.iter().enumerate().map(layer).collect()
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

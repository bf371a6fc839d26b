//! The decoder: a list of stateless layers and the loop that runs them over visits.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use neuro_checkpoint::{Checkpoint, DecoderConfig, LayerConfig, RopeScaling};
use neuro_path::{BranchScales, Scale, Visit};

use crate::attention::Attention;
use crate::batch::Batch;
use crate::linear::Linear;
use crate::mlp::Mlp;
use crate::norm::RmsNorm;
use crate::rope::Rope;
use crate::source::{CheckpointSource, Kernels, ParameterSource};
use crate::state::{Slot, State};
use crate::tap::{Site, Tap};
use crate::{ModelError, Result};

/// A causal language model, described by its [`DecoderConfig`].
#[derive(Debug)]
pub struct Decoder {
    config: DecoderConfig,
    device: Device,
    embed_tokens: Tensor,
    layers: Vec<DecoderLayer>,
    norm: RmsNorm,
    lm_head: Linear,
}

impl Decoder {
    /// tokens of a packed batch → residual stream `(rows, hidden)`.
    pub fn embed(&self, tokens: &[u32]) -> Result<Tensor> {
        let vocab = self.config.vocab_size;
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocab) {
            return Err(ModelError::TokenOutOfRange { token, vocab });
        }
        Ok(self.embed_tokens.index_select(&Tensor::new(tokens, &self.device)?, 0)?)
    }

    /// Runs the visits in order over the residual stream `(rows, hidden)`; `slots` holds the state of each visit, and the
    /// batch has one part. Where more than one visit is run, every row is asked for.
    /// A part of a path runs as well as a whole: what is shared with another path need not be run again.
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
    pub fn unembed(&self, resid: &Tensor) -> Result<Tensor> {
        self.lm_head.forward(&self.norm.forward(resid)?)
    }

    /// Logits `(seq, vocab)` of one sequence from its beginning: the plain way, and the reference for every other.
    pub fn logits(&self, tokens: &[u32], visits: &[Visit]) -> Result<Tensor> {
        let mut state = State::new(visits.len());
        let resid = self.embed(tokens)?;
        let resid = self.run(resid, &Batch::single(tokens.len()), visits, &mut state.slots, &mut ())?;
        self.unembed(&resid)
    }

    /// One layer, to be run by who holds the states.
    ///
    /// # Errors
    /// When there is no such layer.
    pub fn layer(&self, layer: usize) -> Result<&DecoderLayer> {
        self.layers.get(layer).ok_or(ModelError::LayerOutOfRange { layer, depth: self.layers.len() })
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

        let resid_mid = (resid_pre + attn_out)?;
        tap.tap(visit, Site::ResidMid, &resid_mid)?;
        let mlp_out = self.mlp.forward(&self.post_attention_layernorm.forward(&resid_mid)?)?;
        let mlp_out = scaled(mlp_out, mlp)?;
        tap.tap(visit, Site::MlpOut, &mlp_out)?;

        let resid_post = (resid_mid + mlp_out)?;
        tap.tap(visit, Site::ResidPost, &resid_post)?;
        Ok(resid_post)
    }
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
        let source = CheckpointSource { checkpoint, device };
        Self::from_source(&checkpoint.config, &source, device, Kernels::Fused)
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
        let (vocab, hidden, eps) = (config.vocab_size, config.hidden_size, config.norm_eps);
        let embed_tokens = source.parameter("model.embed_tokens.weight", &[vocab, hidden])?;
        let mut ropes: Vec<Arc<Rope>> = Vec::new();
        let mut layers = Vec::with_capacity(config.layers.len());
        for (index, LayerConfig { attention, mlp }) in config.layers.iter().enumerate() {
            let rope = match ropes.iter().find(|rope| *rope.config() == attention.rope) {
                Some(rope) => rope.clone(),
                None => {
                    ropes.push(Arc::new(Rope::new(attention.rope.clone(), kernels, device)));
                    ropes[ropes.len() - 1].clone()
                }
            };
            let name = format!("model.layers.{index}");
            let norm = |part: &str| RmsNorm::load(source, &format!("{name}.{part}"), hidden, eps, kernels);
            let self_attn = format!("{name}.self_attn");
            layers.push(DecoderLayer {
                input_layernorm: norm("input_layernorm")?,
                self_attn: Attention::load(source, &self_attn, (hidden, eps), attention, rope, kernels)?,
                post_attention_layernorm: norm("post_attention_layernorm")?,
                mlp: Mlp::load(source, &format!("{name}.mlp"), hidden, mlp)?,
            });
        }
        let lm_head = match config.tie_word_embeddings {
            true => Linear::from_weight(embed_tokens.clone()),
            false => Linear::load(source, "lm_head", (hidden, vocab), false)?,
        };
        let norm = RmsNorm::load(source, "model.norm", hidden, eps, kernels)?;
        Ok(Self { config: config.clone(), device: device.clone(), embed_tokens, layers, norm, lm_head })
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

    /// Where the weights lie.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Bytes of weights held. No path changes them.
    pub fn weight_bytes(&self) -> usize {
        let layer = |layer: &DecoderLayer| {
            let norms = layer.input_layernorm.bytes() + layer.post_attention_layernorm.bytes();
            norms + layer.self_attn.bytes() + layer.mlp.bytes()
        };
        let embedding = self.embed_tokens.elem_count() * self.embed_tokens.dtype().size_in_bytes();
        let head = if self.config.tie_word_embeddings { 0 } else { self.lm_head.bytes() };
        self.layers.iter().map(layer).sum::<usize>() + embedding + head + self.norm.bytes()
    }
}

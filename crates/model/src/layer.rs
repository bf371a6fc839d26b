//! One layer: what adds to the residual stream, and how a layer that repeats another holds the same weights.

use std::collections::HashSet;
use std::sync::Arc;

use candle_core::Tensor;
use neuro_checkpoint::{DecoderConfig, LayerConfig};
use neuro_path::{BranchScales, Scale, Visit};

use crate::Result;
use crate::batch::Batch;
use crate::experts::Experts;
use crate::kernels::norm;
use crate::kernels::values::Values;
use crate::linear::Input;
use crate::mixer::Mixer;
use crate::mlp::Mlp;
use crate::norm::Norm;
use crate::rope::Rope;
use crate::source::{Kernels, ParameterSource};
use crate::state::Slot;
use crate::tap::{Site, Tap};

/// One decoder layer: two branches that add to the residual stream. It has no position and no state.
#[derive(Debug)]
pub struct DecoderLayer {
    /// What the residual stream passes on its way in, where there is such a norm.
    entry: Option<Norm>,
    /// Held once for all layers that repeat one another.
    branches: Arc<Branches>,
}

/// What adds to the residual stream.
#[derive(Debug)]
struct Branches {
    before_attention: Option<Norm>,
    mixer: Mixer,
    after_attention: Option<Norm>,
    before_mlp: Option<Norm>,
    mlp: MlpBranch,
    after_mlp: Option<Norm>,
    /// Whether the MLP reads what comes into the layer.
    is_parallel: bool,
    branch_scale: f64,
}

/// What the second branch computes.
#[derive(Debug)]
enum MlpBranch {
    Dense(Mlp),
    Experts(Box<Experts>),
}

impl MlpBranch {
    fn forward(&self, x: &Input<'_>) -> Result<Tensor> {
        match self {
            Self::Dense(mlp) => mlp.forward(x),
            Self::Experts(experts) => experts.forward(x.tensor()?),
        }
    }

    /// `onto` and what the branch adds to it.
    fn forward_onto(&self, x: &Input<'_>, onto: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(mlp) => mlp.forward_onto(x, onto),
            Self::Experts(experts) => sum(onto, &experts.forward(x.tensor()?)?),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Dense(mlp) => mlp.bytes(),
            Self::Experts(experts) => experts.bytes(),
        }
    }
}

impl DecoderLayer {
    pub(crate) fn load(
        source: &dyn ParameterSource,
        config: &DecoderConfig,
        index: usize,
        rope: Arc<Rope>,
        kernels: Kernels,
    ) -> Result<Self> {
        let branches = Arc::new(Branches::load(source, config, index, rope, kernels)?);
        Ok(Self { entry: entry(source, config, index, kernels)?, branches })
    }

    /// The layer of this number, which repeats this one: the same weights in memory, entered in its own way.
    pub(crate) fn repeated(
        &self,
        source: &dyn ParameterSource,
        config: &DecoderConfig,
        index: usize,
        kernels: Kernels,
    ) -> Result<Self> {
        Ok(Self { entry: entry(source, config, index, kernels)?, branches: self.branches.clone() })
    }

    /// Bytes held by these layers, what several of them hold together counted once.
    pub(crate) fn bytes_of_all(layers: &[Arc<Self>]) -> usize {
        let (mut entries, mut branches) = (HashSet::new(), HashSet::new());
        let one = |layer: &Arc<Self>| {
            let entry = layer.entry.as_ref().filter(|_| entries.insert(Arc::as_ptr(layer)));
            let own = Some(&layer.branches).filter(|own| branches.insert(Arc::as_ptr(own)));
            entry.map_or(0, Norm::bytes) + own.map_or(0, |own| own.bytes())
        };
        layers.iter().map(one).sum()
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
        let Branches { before_attention, mixer, after_attention, before_mlp, mlp, after_mlp, .. } = &*self.branches;
        let (is_parallel, branch_scale) = (self.branches.is_parallel, self.branches.branch_scale);
        let BranchScales { attn: attn_scale, mlp: mlp_scale } = visit.scales;
        batch.check(&resid_pre, slots.len())?;

        let resid_pre = normed(&self.entry, &resid_pre)?;
        tap.tap(visit, Site::ResidPre, &resid_pre)?;
        let read = Input::normed(before_attention.as_ref(), &resid_pre);
        let asked = |x: Tensor| match batch.asked() {
            None => Ok(x),
            Some([]) => x.narrow(0, 0, 0),
            Some(asked) => x.index_select(&Tensor::new(asked, x.device())?, 0),
        };
        let resid_asked = asked(resid_pre)?;
        // Where nothing looks at a branch, and nothing changes it, its last product adds it to the residual stream.
        let is_plain = |after: &Option<Norm>, scale| tap.is_idle() && after.is_none() && is_one(scale, branch_scale);
        let resid_mid = if is_plain(after_attention, attn_scale) {
            match mixer.forward_onto(&read, &resid_asked, batch, slots)? {
                Some(resid_mid) => resid_mid,
                None => return Ok(resid_asked),
            }
        } else {
            let Some(attn_out) = mixer.forward(&read, batch, slots)? else { return Ok(resid_asked) };
            let attn_out = scaled(normed(after_attention, &attn_out)?, attn_scale, branch_scale)?;
            tap.tap(visit, Site::AttnOut, &attn_out)?;
            sum(&resid_asked, &attn_out)?
        };

        tap.tap(visit, Site::ResidMid, &resid_mid)?;
        let read = match (is_parallel, before_mlp, batch.asked()) {
            (true, None, None) => read,
            (true, None, Some(asked)) => read.select(asked)?,
            (_, norm, _) => {
                // Its buffers wait to be used again.
                drop(read);
                Input::normed(norm.as_ref(), if is_parallel { &resid_asked } else { &resid_mid })
            }
        };
        if tap.is_idle() && after_mlp.is_none() && is_one(mlp_scale, branch_scale) {
            return mlp.forward_onto(&read, &resid_mid);
        }
        let mlp_out = normed(after_mlp, &mlp.forward(&read)?)?;
        let mlp_out = scaled(mlp_out, mlp_scale, branch_scale)?;
        tap.tap(visit, Site::MlpOut, &mlp_out)?;

        let resid_post = sum(&resid_mid, &mlp_out)?;
        tap.tap(visit, Site::ResidPost, &resid_post)?;
        Ok(resid_post)
    }
}

impl Branches {
    fn load(
        source: &dyn ParameterSource,
        config: &DecoderConfig,
        index: usize,
        rope: Arc<Rope>,
        kernels: Kernels,
    ) -> Result<Self> {
        let (hidden, eps) = (config.hidden_size, config.norm_eps);
        let layer = &config.layers[index];
        let LayerConfig { mlp, norms, parallel, branch_scale, .. } = layer;
        let name = format!("model.layers.{}", config.weights_of(index));
        let norm_kind = (norms.kind, eps);
        let norm = |part: Option<&str>| {
            part.map(|part| Norm::load(source, &format!("{name}.{part}"), hidden, norm_kind, kernels)).transpose()
        };
        let mlp_name = format!("{name}.mlp");
        Ok(Self {
            before_attention: norm(norms.before_attention)?,
            mixer: Mixer::load(source, &name, (hidden, norm_kind), layer, rope, kernels)?,
            after_attention: norm(norms.after_attention)?,
            before_mlp: norm(norms.before_mlp)?,
            mlp: match &mlp.experts {
                None => {
                    let sizes = (hidden, mlp.intermediate_size);
                    MlpBranch::Dense(Mlp::load(source, &mlp_name, sizes, mlp, kernels)?)
                }
                Some(experts) => {
                    MlpBranch::Experts(Box::new(Experts::load(source, &mlp_name, hidden, (mlp, experts), kernels)?))
                }
            },
            after_mlp: norm(norms.after_mlp)?,
            is_parallel: *parallel,
            branch_scale: *branch_scale,
        })
    }

    fn bytes(&self) -> usize {
        let norms = [&self.before_attention, &self.after_attention, &self.before_mlp, &self.after_mlp];
        let norms: usize = norms.into_iter().flatten().map(Norm::bytes).sum();
        norms + self.mixer.bytes() + self.mlp.bytes()
    }
}

/// The norm that a layer is entered through, where it has one.
fn entry(source: &dyn ParameterSource, config: &DecoderConfig, index: usize, kernels: Kernels) -> Result<Option<Norm>> {
    let load = || Norm::load(source, "model.norm", config.hidden_size, (config.norm, config.norm_eps), kernels);
    config.layers[index].enters_normed.then(load).transpose()
}

/// Normed, where there is a norm.
fn normed(norm: &Option<Norm>, x: &Tensor) -> Result<Tensor> {
    norm.as_ref().map_or_else(|| Ok(x.clone()), |norm| norm.forward(x))
}

/// The residual stream and what a branch adds to it.
pub(crate) fn sum(resid: &Tensor, branch: &Tensor) -> Result<Tensor> {
    let is_trained = resid.track_op() || branch.track_op();
    if let (false, Some(values), Some(added)) = (is_trained, Values::of(resid), Values::of(branch)) {
        let sum = norm::sum(values.get(), added.get());
        return Ok(Tensor::from_vec(sum, resid.shape(), resid.device())?);
    }
    Ok((resid + branch)?)
}

/// Whether a branch is added as it is.
fn is_one(scale: Scale, layer: f64) -> bool {
    scale == Scale::ONE && layer == 1.0
}

/// A branch's output times the visit's scale of it and the layer's. Scales of one multiply nothing, so a plain visit stays
/// bit for bit the same.
fn scaled(branch: Tensor, scale: Scale, layer: f64) -> Result<Tensor> {
    if is_one(scale, layer) {
        return Ok(branch);
    }
    Ok((branch * (scale.billionths() as f64 / 1e9 * layer))?)
}

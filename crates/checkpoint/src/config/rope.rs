//! Rotary positions: both spellings of their parameters, resolved to one description.
//!
//! Formulas and defaults are those of transformers 5.23.0, `modeling_rope_utils.py`.

use serde_json::Value;

use super::keys::refuse_unread_of_rope;
use crate::error::{CheckpointError, shorten};
use crate::fields::Fields;

/// Base period that transformers uses when no `rope_theta` is given.
const DEFAULT_THETA: f64 = 10_000.0;

/// The layer types under which `rope_parameters` may be nested.
const LAYER_TYPES: [&str; 2] = ["full_attention", "sliding_attention"];

/// Rotary positions of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeConfig {
    /// Base period.
    pub theta: f64,
    /// How many leading dimensions of a head are rotated; even, and 0 where the layer has no rotary positions.
    pub rotary_dim: usize,
    /// Whether dimension 2i turns with 2i + 1, instead of i with i + rotary_dim / 2.
    pub interleaved: bool,
    /// How frequencies are stretched for long contexts.
    pub scaling: RopeScaling,
}

/// How the inverse frequencies `theta^(−2i/rotary_dim)` are changed.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    Default,
    /// Divided by a factor.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// NTK: above `trained` positions the base grows with the sequence length.
    Dynamic {
        /// Strength of the growth.
        factor: f64,
        /// The context length up to which nothing changes (`max_position_embeddings`).
        trained: usize,
    },
    /// Llama 3: low frequencies divided, high ones kept, a ramp between.
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Wavelengths above `original / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original / high_freq_factor` are kept; above `low_freq_factor`.
        high_freq_factor: f64,
        /// Context length of the first training.
        original: usize,
    },
    /// Each divided by a number of its own, as GGUF files give them (`rope_freqs.weight`).
    Factors {
        /// One divisor for each rotated pair; above 0.
        divisors: Vec<f32>,
    },
    /// LongRoPE: each divided by a number of its own, and a factor on cos and sin (arXiv 2402.13753).
    LongRope {
        /// One divisor for each rotated pair, up to `original` positions; above 0.
        short: Vec<f64>,
        /// One divisor for each rotated pair, for longer texts; above 0.
        long: Vec<f64>,
        /// Multiplies cos and sin of short texts and long ones.
        attention_factor: f64,
        /// Context length of the first training.
        original: usize,
    },
    /// YaRN: a ramp over dimensions, and a factor on cos and sin.
    Yarn {
        /// The divisor of interpolated frequencies.
        factor: f64,
        /// Multiplies cos and sin; resolved from `attention_factor`, `mscale`, `mscale_all_dim` and `factor`.
        attention_factor: f64,
        /// Rotations above which a dimension is kept.
        beta_fast: f64,
        /// Rotations below which a dimension is interpolated.
        beta_slow: f64,
        /// Context length of the first training.
        original: usize,
        /// Whether the ramp's ends are rounded outwards to whole dimensions.
        truncate: bool,
    },
}

/// What an architecture's code decides about rotary positions.
pub(super) struct RopeTraits {
    /// Where the base period stands outside of the parameters, and its default.
    pub(super) theta: (&'static str, f64),
    /// Where the rotated share of a head stands, and its default; `None`: heads are rotated whole.
    pub(super) partial: Option<(&'static str, f64)>,
    pub(super) interleaved: bool,
    /// Windowed layers have a base period of their own and no scaling: where it stands, if anywhere, and its default.
    pub(super) local_theta: Option<(Option<&'static str>, f64)>,
    /// Default of `original_max_position_embeddings` beside the parameters.
    pub(super) original: Option<usize>,
    /// Spellings of longrope beside its name.
    pub(super) longrope: &'static [&'static str],
}

impl RopeTraits {
    pub(super) const PLAIN: Self = Self {
        theta: ("rope_theta", DEFAULT_THETA),
        partial: None,
        interleaved: false,
        local_theta: None,
        original: None,
        longrope: &[],
    };
}

/// The rotary positions of full and of windowed layers; equal unless the config or the architecture tells them apart.
pub(super) struct RopeByLayerType {
    full: Option<RopeConfig>,
    sliding: Option<RopeConfig>,
}

impl RopeByLayerType {
    /// Reads `rope_scaling` (which wins when both are given, as in transformers) or `rope_parameters`, with `rope_theta`.
    pub(super) fn read(
        fields: &Fields<'_>,
        traits: &RopeTraits,
        head_dim: usize,
        context: usize,
    ) -> Result<Self, CheckpointError> {
        let partial =
            traits.partial.map(|(key, default)| Ok::<_, CheckpointError>(share(fields, key)?.unwrap_or(default)));
        let reader = Reader {
            head_dim,
            context,
            theta: fields.positive(traits.theta.0)?.unwrap_or(traits.theta.1),
            original: fields.optional_size("original_max_position_embeddings", traits.original)?,
            partial: partial.transpose()?,
            interleaved: traits.interleaved,
            longrope: traits.longrope,
        };
        reader.refuse_partial(fields)?;
        let scaling = fields.object("rope_scaling")?.filter(|object| !object.is_empty());
        let parameters = fields.object("rope_parameters")?.filter(|object| !object.is_empty());
        for parameters in scaling.iter().chain(&parameters) {
            check_numbers(parameters)?;
        }
        let local = traits.local_theta.map(|(key, default)| {
            let theta = key.map(|key| fields.positive(key)).transpose()?.flatten().unwrap_or(default);
            Ok::<_, CheckpointError>(Reader { theta, ..reader })
        });
        let local = local.transpose()?;
        let flat = |rope: RopeConfig| {
            let sliding = local.as_ref().map(|local| local.unscaled(fields, local.theta)).transpose()?;
            Ok(Self { sliding: Some(sliding.unwrap_or_else(|| rope.clone())), full: Some(rope) })
        };
        let Some(parameters) = scaling.or(parameters) else {
            return flat(reader.unscaled(fields, reader.theta)?);
        };
        if !LAYER_TYPES.iter().any(|layer_type| parameters.has(layer_type)) {
            return flat(reader.read(&parameters)?);
        }
        // Inside a nested entry the context length of the first training comes from that entry alone.
        let reader = Reader { original: None, ..reader };
        let local = Reader { original: None, ..local.unwrap_or(reader) };
        let [full, sliding] = [(LAYER_TYPES[0], &reader), (LAYER_TYPES[1], &local)]
            .map(|(layer_type, reader)| parameters.object(layer_type)?.map(|own| reader.read(&own)).transpose());
        // A kind of layer that is not known here, or a parameter that would count for none of them, though its number was
        // checked.
        let beside = parameters.aside();
        for layer_type in LAYER_TYPES {
            beside.has(layer_type);
        }
        refuse_unread_of_rope(&beside)?;
        Ok(Self { full: full?, sliding: sliding? })
    }

    /// The rotary positions of a layer with or without a window.
    pub(super) fn of_layer(&self, fields: &Fields<'_>, windowed: bool) -> Result<RopeConfig, CheckpointError> {
        let (rope, layer_type) = if windowed { (&self.sliding, LAYER_TYPES[1]) } else { (&self.full, LAYER_TYPES[0]) };
        rope.clone().ok_or_else(|| {
            fields.refuse(
                "rope_parameters",
                format!("has no entry for {layer_type}, which the config's layers use; layers without RoPE are not supported"),
            )
        })
    }
}

/// A share of a head's dimensions.
fn share(fields: &Fields<'_>, key: &str) -> Result<Option<f64>, CheckpointError> {
    fields.number(key, "a number above 0 and at most 1", |number| number > 0.0 && number <= 1.0)
}

#[derive(Clone, Copy)]
struct Reader {
    head_dim: usize,
    /// `max_position_embeddings`.
    context: usize,
    /// `rope_theta` outside of the parameters, or its default.
    theta: f64,
    /// `original_max_position_embeddings` outside of the parameters; goes before the one inside.
    original: Option<usize>,
    /// The rotated share of a head; `None` where heads are rotated whole.
    partial: Option<f64>,
    interleaved: bool,
    longrope: &'static [&'static str],
}

impl Reader {
    fn unscaled(&self, fields: &Fields<'_>, theta: f64) -> Result<RopeConfig, CheckpointError> {
        let rotary_dim = self.rotary_dim(fields, self.partial)?;
        Ok(RopeConfig { theta, rotary_dim, interleaved: self.interleaved, scaling: RopeScaling::Default })
    }

    /// transformers rounds the rotated share of a head down.
    fn rotary_dim(&self, fields: &Fields<'_>, partial: Option<f64>) -> Result<usize, CheckpointError> {
        let Some(share) = partial else { return Ok(self.head_dim) };
        match (self.head_dim as f64 * share) as usize {
            dim if dim > 0 && dim % 2 == 0 => Ok(dim),
            dim => {
                let problem =
                    format!("is {share}: of heads of {} it rotates {dim}, expected an even number", self.head_dim);
                Err(fields.refuse("partial_rotary_factor", problem))
            }
        }
    }

    /// Of architectures that rotate whole heads transformers ignores a partial factor or fails on it.
    fn refuse_partial(&self, fields: &Fields<'_>) -> Result<(), CheckpointError> {
        if self.partial.is_some() {
            return Ok(());
        }
        match fields.number("partial_rotary_factor", "1", |number| number == 1.0) {
            Ok(_) => Ok(()),
            Err(_) => Err(fields
                .refuse("partial_rotary_factor", "is not 1; this architecture rotates whole heads, remove the key")),
        }
    }

    fn read(&self, fields: &Fields<'_>) -> Result<RopeConfig, CheckpointError> {
        self.refuse_partial(fields)?;
        let partial = match self.partial {
            Some(outer) => Some(share(fields, "partial_rotary_factor")?.unwrap_or(outer)),
            None => None,
        };
        let rotary_dim = self.rotary_dim(fields, partial)?;
        let theta = fields.positive("rope_theta")?.unwrap_or(self.theta);
        let numbers = Numbers::read(fields)?;
        let original = self.original.or(numbers.original).unwrap_or(self.context);
        let key = if fields.has("rope_type") { "rope_type" } else { "type" };
        let named = fields.text(key)?;
        let scaling = match named {
            None if numbers.factor.is_some() => {
                return Err(
                    fields.refuse("rope_type", "is missing although a `factor` is given; name the kind of scaling")
                );
            }
            None | Some("default") => RopeScaling::Default,
            Some("linear") => RopeScaling::Linear { factor: require(fields, "factor", numbers.factor)? },
            Some("dynamic") if rotary_dim == 2 => {
                return Err(fields.refuse(key, "is dynamic with two rotated dimensions, for which it is not defined"));
            }
            Some("dynamic") => {
                RopeScaling::Dynamic { factor: require(fields, "factor", numbers.factor)?, trained: self.context }
            }
            Some("llama3") => numbers.llama3(fields, original)?,
            Some(name) if name == "longrope" || self.longrope.contains(&name) => {
                numbers.longrope(fields, rotary_dim / 2, original, self.context)?
            }
            Some("yarn") => numbers.yarn(fields, theta, original, self.context)?,
            Some(other) => {
                let found = shorten(other);
                return Err(fields.refuse(
                    key,
                    format!(
                        "is \"{found}\", which is not supported; known: default, linear, dynamic, llama3, longrope, yarn"
                    ),
                ));
            }
        };
        refuse_unread_of_rope(fields)?;
        Ok(RopeConfig { theta, rotary_dim, interleaved: self.interleaved, scaling })
    }
}

/// Checks the numbers of a whole `rope_scaling` or `rope_parameters`, also of one that goes unused beside the other, and
/// also those beside or inside entries for layer types.
pub(super) fn check_numbers(parameters: &Fields<'_>) -> Result<(), CheckpointError> {
    let check = |fields: &Fields<'_>| {
        fields.positive("rope_theta")?;
        fields.positive("partial_rotary_factor")?;
        Numbers::read(fields).map(drop)
    };
    check(parameters)?;
    parameters.objects().try_for_each(|entry| check(&entry))
}

/// Every number that some kind of scaling knows, checked whether used or not.
struct Numbers {
    factor: Option<f64>,
    attention_factor: Option<f64>,
    beta_fast: Option<f64>,
    beta_slow: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    mscale: Option<f64>,
    mscale_all_dim: Option<f64>,
    original: Option<usize>,
}

impl Numbers {
    fn read(fields: &Fields<'_>) -> Result<Self, CheckpointError> {
        // transformers reads an mscale of 0 as "not given".
        let mscale = |key| {
            let found = fields.number(key, "a number of at least 0", |number| number >= 0.0)?;
            Ok::<_, CheckpointError>(found.filter(|&number| number > 0.0))
        };
        Ok(Self {
            factor: fields.positive("factor")?,
            attention_factor: fields.positive("attention_factor")?,
            beta_fast: fields.positive("beta_fast")?,
            beta_slow: fields.positive("beta_slow")?,
            low_freq_factor: fields.positive("low_freq_factor")?,
            high_freq_factor: fields.positive("high_freq_factor")?,
            mscale: mscale("mscale")?,
            mscale_all_dim: mscale("mscale_all_dim")?,
            original: fields.optional_size("original_max_position_embeddings", None)?,
        })
    }

    fn llama3(&self, fields: &Fields<'_>, original: usize) -> Result<RopeScaling, CheckpointError> {
        let low_freq_factor = require(fields, "low_freq_factor", self.low_freq_factor)?;
        let high_freq_factor = require(fields, "high_freq_factor", self.high_freq_factor)?;
        if high_freq_factor <= low_freq_factor {
            return Err(fields.refuse(
                "high_freq_factor",
                format!("is {high_freq_factor}, expected more than `low_freq_factor`, which is {low_freq_factor}"),
            ));
        }
        let factor = require(fields, "factor", self.factor)?;
        Ok(RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original })
    }

    /// Two divisors for each rotated pair, and a factor that grows with the ratio of the context lengths.
    fn longrope(
        &self,
        fields: &Fields<'_>,
        pairs: usize,
        original: usize,
        context: usize,
    ) -> Result<RopeScaling, CheckpointError> {
        let divisors = |key: &str| {
            let Some(values) = fields.array(key)? else {
                return Err(fields.refuse(key, "is missing; this `rope_type` needs it"));
            };
            if values.len() != pairs {
                let problem = format!("has {} entries, expected {pairs}, one for each rotated pair", values.len());
                return Err(fields.refuse(key, problem));
            }
            let number = |value: &Value| value.as_f64().filter(|&number| number > 0.0 && number <= f64::from(f32::MAX));
            let numbers: Option<Vec<f64>> = values.iter().map(number).collect();
            numbers.ok_or_else(|| fields.refuse(key, "has an entry that is no number above 0"))
        };
        let factor = self.factor.unwrap_or(context as f64 / original as f64);
        let attention_factor = match self.attention_factor {
            Some(given) => given,
            None if factor <= 1.0 || original <= 1 => 1.0,
            None => (1.0 + factor.ln() / (original as f64).ln()).sqrt(),
        };
        Ok(RopeScaling::LongRope {
            short: divisors("short_factor")?,
            long: divisors("long_factor")?,
            attention_factor,
            original,
        })
    }

    fn yarn(
        &self,
        fields: &Fields<'_>,
        theta: f64,
        original: usize,
        context: usize,
    ) -> Result<RopeScaling, CheckpointError> {
        if theta <= 1.0 {
            return Err(fields.refuse("rope_theta", format!("is {theta}, expected more than 1 for yarn")));
        }
        // A `factor` of null means the ratio of the context lengths; a missing one is an error there and here.
        let ratio = || context as f64 / original as f64;
        let factor = self.factor.or_else(|| fields.has("factor").then(ratio));
        let factor = require(fields, "factor", factor)?;
        let attention_factor = self.attention_factor.unwrap_or_else(|| match (self.mscale, self.mscale_all_dim) {
            (Some(mscale), Some(all_dim)) => magnitude(factor, mscale) / magnitude(factor, all_dim),
            _ => magnitude(factor, 1.0),
        });
        let (beta_fast, beta_slow) = (self.beta_fast.unwrap_or(32.0), self.beta_slow.unwrap_or(1.0));
        if beta_fast < beta_slow {
            return Err(fields
                .refuse("beta_fast", format!("is {beta_fast}, expected at least `beta_slow`, which is {beta_slow}")));
        }
        // A null is falsy in transformers, so it switches rounding off; only a missing key keeps it on.
        let truncate = if fields.has("truncate") && fields.value("truncate").is_none() {
            false
        } else {
            fields.flag("truncate", true)?
        };
        Ok(RopeScaling::Yarn { factor, attention_factor, beta_fast, beta_slow, original, truncate })
    }
}

/// YaRN's growth of attention magnitude with the scaling factor (arXiv 2309.00071, section 3.4).
fn magnitude(factor: f64, mscale: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 }
}

fn require(fields: &Fields<'_>, key: &str, value: Option<f64>) -> Result<f64, CheckpointError> {
    value.ok_or_else(|| fields.refuse(key, "is missing; this `rope_type` needs it"))
}

//! `config.json` to [`DecoderConfig`]: sizes, defaults and plausibility that all architectures share.

use std::path::Path;

use super::architecture::{Architecture, KNOWN, Keys, Traits};
use super::rope::{self, RopeByLayerType};
use super::{Activation, AttentionConfig, DecoderConfig, LayerConfig, MAX_LAYERS, MlpConfig, keys, quantization};
use crate::dtype::Dtype;
use crate::error::{CheckpointError, shorten};
use crate::fields::{Fields, LARGEST_SIZE, parse_object};

/// Most weights that a config may ask for, ten times those of the largest dense models.
const MOST_PARAMETERS: u64 = 1 << 42;
/// Most experts of all layers together, ten times those of the largest models; each is several tensors.
const MOST_EXPERTS: usize = 1 << 18;

/// Keys whose values are sizes.
const SIZES: [&str; 17] = [
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "max_position_embeddings",
    "head_dim",
    "sliding_window",
    "original_max_position_embeddings",
    "moe_intermediate_size",
    "shared_expert_intermediate_size",
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "num_experts_per_tok",
    "query_pre_attn_scalar",
];

/// Keys whose values are numbers above 0.
const POSITIVE: [&str; 3] = ["rms_norm_eps", "rope_theta", "partial_rotary_factor"];

impl DecoderConfig {
    /// Reads a `config.json` as transformers 4.x or 5.x writes it. Of a nested config only `text_config` is described.
    ///
    /// # Errors
    ///
    /// When the bytes are no JSON object, the architecture or a setting is not supported, or a value is absurd. Values
    /// are checked even where the architecture does not use them.
    pub fn from_json(bytes: &[u8], file: &Path) -> Result<Self, CheckpointError> {
        let root = parse_object(bytes, file)?;
        let outer = Fields::root(&root, file);
        let text_config = outer.object("text_config")?;
        let fields = text_config.as_ref().unwrap_or(&outer);
        if text_config.is_some() {
            check_outer(&outer)?;
        }
        let architecture = find_architecture(fields)?;
        let of_outer = quantization::weight_blocks(&outer, architecture)?;
        let weight_blocks = quantization::weight_blocks(fields, architecture)?.or(of_outer);
        let sizes = Sizes::read(fields, architecture)?;
        check_unused(fields, sizes.layers)?;
        let traits = (architecture.traits)(fields, &sizes)?;
        let layers = describe_layers(fields, architecture, &sizes, &traits)?;
        // A wrapper may hold these keys beside `text_config`.
        let holder = |key: &str| if fields.has(key) { fields } else { &outer };
        let token_ids = |key: &str, default: Option<u32>| {
            let fields = holder(key);
            if !fields.has(key) {
                return Ok(default.into_iter().filter(|&id| (id as usize) < sizes.vocab).collect());
            }
            fields.token_ids(key, sizes.vocab)
        };
        let config = Self {
            model_type: architecture.model_type.to_owned(),
            vocab_size: sizes.vocab,
            hidden_size: sizes.hidden,
            max_position_embeddings: sizes.context,
            norm_eps: fields.positive(architecture.keys.norm_eps)?.unwrap_or(architecture.defaults.norm_eps),
            norm: traits.norms.kind,
            embedding_scale: traits.embedding_scale,
            learned_positions: traits.learned_positions.then_some(sizes.context),
            logit_scale: traits.logit_scale,
            logit_softcap: traits.logit_softcap,
            tie_word_embeddings: fields.flag("tie_word_embeddings", architecture.defaults.tie_word_embeddings)?
                || outer.flag("tie_word_embeddings", false)?,
            initializer_range: initializer_range(fields)?.unwrap_or(0.02),
            layers,
            bos_token_id: token_ids("bos_token_id", architecture.defaults.bos_token_id)?.first().copied(),
            eos_token_ids: token_ids("eos_token_id", architecture.defaults.eos_token_id)?,
            dtype: dtype(fields)?.or(dtype(&outer)?),
            weight_blocks,
        };
        keys::refuse_unread(fields, architecture)?;
        let experts: usize = config.layers.iter().filter_map(|layer| Some(layer.mlp.experts.as_ref()?.count)).sum();
        if experts > MOST_EXPERTS {
            let problem =
                format!("and the experts of each layer ask for {experts} experts, expected at most {MOST_EXPERTS}");
            return Err(fields.refuse("num_hidden_layers", problem));
        }
        let parameters = config.parameters();
        if parameters > MOST_PARAMETERS {
            let problem =
                format!("and the other sizes ask for {parameters} weights, expected at most {MOST_PARAMETERS}");
            return Err(fields.refuse("num_hidden_layers", problem));
        }
        Ok(config)
    }
}

/// Checks what lies beside `text_config` and is not used: numbers under the keys of a decoder. Other kinds of values are
/// left alone, because a larger model may give these keys another meaning.
fn check_outer(outer: &Fields<'_>) -> Result<(), CheckpointError> {
    let outer = &outer.aside();
    let is_number = |key: &&&str| outer.is_number(key);
    for key in SIZES.iter().filter(is_number) {
        outer.optional_size(key, None)?;
    }
    for key in POSITIVE.iter().filter(is_number) {
        outer.positive(key)?;
    }
    if outer.is_number("initializer_range") {
        initializer_range(outer)?;
    }
    if outer.is_number("max_window_layers") {
        outer.count("max_window_layers", 0)?;
    }
    for key in ["rope_scaling", "rope_parameters"] {
        if let Ok(Some(parameters)) = outer.object(key) {
            rope::check_numbers(&parameters)?;
        }
    }
    Ok(())
}

fn find_architecture(fields: &Fields<'_>) -> Result<&'static Architecture, CheckpointError> {
    let known = KNOWN.iter().map(|architecture| architecture.model_type).collect::<Vec<_>>().join(", ");
    let Some(model_type) = fields.text("model_type")? else {
        return Err(fields.refuse("model_type", format!("is missing, expected one of {known}")));
    };
    KNOWN.iter().find(|architecture| architecture.model_type == model_type).ok_or_else(|| {
        fields.refuse("model_type", format!("is \"{}\", which is not supported; known: {known}", shorten(model_type)))
    })
}

/// Sizes that every config has, in one spelling or another.
pub(super) struct Sizes {
    vocab: usize,
    pub(super) hidden: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) intermediate: usize,
    context: usize,
}

impl Sizes {
    fn read(fields: &Fields<'_>, architecture: &Architecture) -> Result<Self, CheckpointError> {
        let (defaults, keys) = (&architecture.defaults, &architecture.keys);
        let hidden = fields.size(keys.hidden_size, defaults.hidden_size)?;
        let layers = fields.size(keys.layers, defaults.layers)?;
        if layers > MAX_LAYERS {
            return Err(fields.refuse(keys.layers, format!("is {layers}, expected at most {MAX_LAYERS}")));
        }
        let heads = fields.size(keys.heads, defaults.heads)?;
        if hidden % heads != 0 && !defaults.any_heads {
            let problem = format!("is {heads}, which does not divide `{}`, which is {hidden}", keys.hidden_size);
            return Err(fields.refuse(keys.heads, problem));
        }
        let kv_heads = match keys.has_kv_heads {
            true => fields.optional_size("num_key_value_heads", defaults.kv_heads)?.unwrap_or(heads),
            false => match fields.optional_size("num_key_value_heads", None)? {
                Some(found) if found != heads => {
                    let problem = format!("is {found}, expected one for each of the {heads} heads");
                    return Err(fields.refuse("num_key_value_heads", problem));
                }
                _ => heads,
            },
        };
        if heads % kv_heads != 0 {
            let problem = format!("is {kv_heads}, which does not divide `num_attention_heads`, which is {heads}");
            return Err(fields.refuse("num_key_value_heads", problem));
        }
        let head_dim = match defaults.head_dim {
            Some(head_dim) => fields.size("head_dim", head_dim)?,
            None => fields.optional_size("head_dim", None)?.unwrap_or(hidden / heads),
        };
        if head_dim % 2 != 0 || head_dim == 0 {
            return Err(fields.refuse("head_dim", format!("is {head_dim}, expected an even number: RoPE turns pairs")));
        }
        if (heads as u64).saturating_mul(head_dim as u64) > LARGEST_SIZE {
            let problem = format!("is {head_dim} in {heads} heads, which is wider than {LARGEST_SIZE}");
            return Err(fields.refuse("head_dim", problem));
        }
        let intermediate = match keys.intermediate {
            // Four times as wide where nothing is said, as transformers' GPT2MLP.
            "n_inner" => fields.optional_size("n_inner", None)?.unwrap_or(hidden.saturating_mul(4)),
            key => fields.size(key, defaults.intermediate_size)?,
        };
        Ok(Self {
            vocab: fields.size("vocab_size", defaults.vocab_size)?,
            hidden,
            layers,
            heads,
            kv_heads,
            head_dim,
            intermediate,
            context: fields.size(keys.context, defaults.max_position_embeddings)?,
        })
    }
}

/// Checks keys that only some architectures use: a file that lies in one is not to be trusted in the others.
fn check_unused(fields: &Fields<'_>, layers: usize) -> Result<(), CheckpointError> {
    let fields = &fields.aside();
    fields.window(None)?;
    fields.count("max_window_layers", 0)?;
    fields.number("attention_dropout", "a number from 0 to 1", |number| (0.0..=1.0).contains(&number))?;
    match fields.array("layer_types")?.map(<[_]>::len) {
        Some(found) if found != layers => {
            Err(fields.refuse("layer_types", format!("has {found} entries, expected {layers}, one per layer")))
        }
        _ => Ok(()),
    }
}

fn describe_layers(
    fields: &Fields<'_>,
    architecture: &Architecture,
    sizes: &Sizes,
    traits: &Traits,
) -> Result<Vec<LayerConfig>, CheckpointError> {
    let rotated = traits.latent.map_or(sizes.head_dim, |latent| latent.rope_dim);
    let ropes = RopeByLayerType::read(fields, &traits.rope, rotated, sizes.context)?;
    let (kv_heads, head_dim) = match traits.latent {
        // Every head has a key and a value of its own once they have come out of the latent.
        Some(latent) => (sizes.heads, latent.nope_dim + latent.rope_dim),
        None => (sizes.kv_heads, sizes.head_dim),
    };
    let activation = match traits.activation {
        Some(activation) => activation,
        None => activation(fields, &architecture.keys)?,
    };
    let layer = |(index, window): (usize, &Option<usize>)| {
        let mut rope = ropes.of_layer(fields, window.is_some())?;
        if traits.no_rope.get(index) == Some(&true) {
            rope.rotary_dim = 0;
        }
        let delta_net = traits.delta_nets.get(index).copied().flatten();
        let attention = AttentionConfig {
            q_bias: traits.qkv_bias,
            k_bias: traits.qkv_bias,
            v_bias: traits.qkv_bias,
            o_bias: traits.o_bias,
            qk_norm: traits.qk_norm,
            window: *window,
            scale: traits.attention_scale.unwrap_or_else(|| (head_dim as f64).powf(-0.5)),
            latent: traits.latent,
            softcap: traits.attention_softcap,
            sinks: traits.sinks,
            output_gate: traits.output_gate,
            ..AttentionConfig::new(sizes.heads, kv_heads, head_dim, rope)
        };
        let mut mlp =
            MlpConfig { bias: traits.mlp_bias, gated: traits.gated, ..MlpConfig::new(sizes.intermediate, activation) };
        if let Some((intermediate_size, experts)) = traits.experts.get(index).and_then(Option::as_ref) {
            (mlp.intermediate_size, mlp.experts) = (*intermediate_size, Some(experts.clone()));
        }
        let attention = if delta_net.is_some() { AttentionConfig::none() } else { attention };
        let (norms, parallel, branch_scale) = (traits.norms, traits.parallel, traits.branch_scale);
        Ok(LayerConfig { delta_net, norms, parallel, branch_scale, ..LayerConfig::new(attention, mlp) })
    };
    let layers: Vec<LayerConfig> = traits.windows.iter().enumerate().map(layer).collect::<Result<_, _>>()?;
    repeated(fields, layers, traits.rounds)
}

/// The stack and, behind it, what each further round runs: the same weights, behind the model's norm.
fn repeated(fields: &Fields<'_>, stack: Vec<LayerConfig>, rounds: usize) -> Result<Vec<LayerConfig>, CheckpointError> {
    let depth = stack.len();
    if depth.saturating_mul(rounds) > MAX_LAYERS {
        let problem = format!("is {rounds}: {depth} layers that often are more than {MAX_LAYERS}");
        return Err(fields.refuse("total_ut_steps", problem));
    }
    let mut layers = stack;
    for position in depth..depth * rounds {
        let layer = layers[position % depth].clone();
        layers.push(LayerConfig { repeats: Some(depth), enters_normed: position % depth == 0, ..layer });
    }
    Ok(layers)
}

/// Standard deviation of random weights; the bound keeps every drawn value finite in all formats, f16 included.
fn initializer_range(fields: &Fields<'_>) -> Result<Option<f64>, CheckpointError> {
    fields.number("initializer_range", "a number above 0 and at most 1000", |number| number > 0.0 && number <= 1000.0)
}

fn activation(fields: &Fields<'_>, keys: &Keys) -> Result<Activation, CheckpointError> {
    let (key, default) = keys.activation;
    match fields.text(key)?.unwrap_or(default) {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" | "gelu_python" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => Err(fields.refuse(
            key,
            format!("is \"{}\", which is not supported; known: silu, gelu, gelu_pytorch_tanh, relu", shorten(other)),
        )),
    }
}

/// `dtype` goes before `torch_dtype`; another word than a supported format counts as none.
fn dtype(fields: &Fields<'_>) -> Result<Option<Dtype>, CheckpointError> {
    let name = fields.text("dtype")?.or(fields.text("torch_dtype")?);
    Ok(name.and_then(Dtype::from_config_name))
}

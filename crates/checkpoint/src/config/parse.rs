//! `config.json` to [`DecoderConfig`]: sizes, defaults and plausibility that all architectures share.

use std::path::Path;

use super::architecture::{Architecture, KNOWN, Traits};
use super::rope::{self, RopeByLayerType};
use super::{Activation, AttentionConfig, DecoderConfig, LayerConfig, MAX_LAYERS, MlpConfig};
use crate::dtype::Dtype;
use crate::error::{CheckpointError, shorten};
use crate::fields::{Fields, LARGEST_SIZE, parse_object};

/// Most weights that a config may ask for, ten times those of the largest dense models.
const MOST_PARAMETERS: u64 = 1 << 42;

/// Keys whose values are sizes.
const SIZES: [&str; 10] = [
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
];

/// Keys whose values are numbers above 0.
const POSITIVE: [&str; 3] = ["rms_norm_eps", "rope_theta", "partial_rotary_factor"];

/// Keys that change the computation in a way that no architecture here knows.
const UNSUPPORTED: [(&str, &str); 3] = [
    ("quantization_config", "quantised weights are not read; use the unquantised checkpoint (f32, f16 or bf16)"),
    ("compression_config", "compressed weights are not read; use the uncompressed checkpoint (f32, f16 or bf16)"),
    ("per_layer_config", "layers with settings of their own are not supported"),
];

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
        for fields in [&outer, fields] {
            refuse_unsupported(fields)?;
        }
        let architecture = find_architecture(fields)?;
        let sizes = Sizes::read(fields, architecture)?;
        check_unused(fields, sizes.layers)?;
        let traits = (architecture.traits)(fields, sizes.layers)?;
        let layers = describe_layers(fields, &sizes, &traits)?;
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
            norm_eps: fields.positive("rms_norm_eps")?.unwrap_or(1e-6),
            tie_word_embeddings: fields.flag("tie_word_embeddings", false)?
                || outer.flag("tie_word_embeddings", false)?,
            initializer_range: initializer_range(fields)?.unwrap_or(0.02),
            layers,
            bos_token_id: token_ids("bos_token_id", architecture.defaults.bos_token_id)?.first().copied(),
            eos_token_ids: token_ids("eos_token_id", architecture.defaults.eos_token_id)?,
            dtype: dtype(fields)?.or(dtype(&outer)?),
        };
        let parameters = config.parameters();
        if parameters > MOST_PARAMETERS {
            let problem =
                format!("and the other sizes ask for {parameters} weights, expected at most {MOST_PARAMETERS}");
            return Err(fields.refuse("num_hidden_layers", problem));
        }
        Ok(config)
    }
}

fn refuse_unsupported(fields: &Fields<'_>) -> Result<(), CheckpointError> {
    match UNSUPPORTED.iter().find(|(key, _)| fields.value(key).is_some()) {
        Some((key, advice)) => Err(fields.refuse(key, format!("is set; {advice}"))),
        None => Ok(()),
    }
}

/// Checks what lies beside `text_config` and is not used: numbers under the keys of a decoder. Other kinds of values are
/// left alone, because a larger model may give these keys another meaning.
fn check_outer(outer: &Fields<'_>) -> Result<(), CheckpointError> {
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

struct Sizes {
    vocab: usize,
    hidden: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    intermediate: usize,
    context: usize,
}

impl Sizes {
    fn read(fields: &Fields<'_>, architecture: &Architecture) -> Result<Self, CheckpointError> {
        let defaults = &architecture.defaults;
        let hidden = fields.size("hidden_size", 4096)?;
        let layers = fields.size("num_hidden_layers", 32)?;
        if layers > MAX_LAYERS {
            return Err(fields.refuse("num_hidden_layers", format!("is {layers}, expected at most {MAX_LAYERS}")));
        }
        let heads = fields.size("num_attention_heads", 32)?;
        if hidden % heads != 0 {
            let problem = format!("is {heads}, which does not divide `hidden_size`, which is {hidden}");
            return Err(fields.refuse("num_attention_heads", problem));
        }
        let kv_heads = fields.optional_size("num_key_value_heads", defaults.kv_heads)?.unwrap_or(heads);
        if heads % kv_heads != 0 {
            let problem = format!("is {kv_heads}, which does not divide `num_attention_heads`, which is {heads}");
            return Err(fields.refuse("num_key_value_heads", problem));
        }
        let head_dim = match defaults.head_dim {
            Some(head_dim) => fields.size("head_dim", head_dim)?,
            None => fields.optional_size("head_dim", None)?.unwrap_or(hidden / heads),
        };
        if head_dim % 2 != 0 {
            return Err(fields.refuse("head_dim", format!("is {head_dim}, expected an even number: RoPE turns pairs")));
        }
        if (heads as u64).saturating_mul(head_dim as u64) > LARGEST_SIZE {
            let problem = format!("is {head_dim} in {heads} heads, which is wider than {LARGEST_SIZE}");
            return Err(fields.refuse("head_dim", problem));
        }
        Ok(Self {
            vocab: fields.size("vocab_size", defaults.vocab_size)?,
            hidden,
            layers,
            heads,
            kv_heads,
            head_dim,
            intermediate: fields.size("intermediate_size", defaults.intermediate_size)?,
            context: fields.size("max_position_embeddings", defaults.max_position_embeddings)?,
        })
    }
}

/// Checks keys that only some architectures use: a file that lies in one is not to be trusted in the others.
fn check_unused(fields: &Fields<'_>, layers: usize) -> Result<(), CheckpointError> {
    fields.optional_size("sliding_window", None)?;
    fields.count("max_window_layers", 0)?;
    fields.number("attention_dropout", "a number from 0 to 1", |number| (0.0..=1.0).contains(&number))?;
    match fields.array("layer_types")?.map(<[_]>::len) {
        Some(found) if found != layers => {
            Err(fields.refuse("layer_types", format!("has {found} entries, expected {layers}, one per layer")))
        }
        _ => Ok(()),
    }
}

fn describe_layers(fields: &Fields<'_>, sizes: &Sizes, traits: &Traits) -> Result<Vec<LayerConfig>, CheckpointError> {
    let ropes = RopeByLayerType::read(fields, sizes.head_dim, sizes.context)?;
    let mlp =
        MlpConfig { intermediate_size: sizes.intermediate, bias: traits.mlp_bias, activation: activation(fields)? };
    let layer = |window: &Option<usize>| {
        let attention = AttentionConfig {
            heads: sizes.heads,
            kv_heads: sizes.kv_heads,
            head_dim: sizes.head_dim,
            q_bias: traits.qkv_bias,
            k_bias: traits.qkv_bias,
            v_bias: traits.qkv_bias,
            o_bias: traits.o_bias,
            qk_norm: traits.qk_norm,
            window: *window,
            rope: ropes.of_layer(fields, window.is_some())?,
            scale: (sizes.head_dim as f64).powf(-0.5),
        };
        Ok(LayerConfig { attention, mlp: mlp.clone() })
    };
    traits.windows.iter().map(layer).collect()
}

/// Standard deviation of random weights; the bound keeps every drawn value finite in all formats, f16 included.
fn initializer_range(fields: &Fields<'_>) -> Result<Option<f64>, CheckpointError> {
    fields.number("initializer_range", "a number above 0 and at most 1000", |number| number > 0.0 && number <= 1000.0)
}

fn activation(fields: &Fields<'_>) -> Result<Activation, CheckpointError> {
    match fields.text("hidden_act")?.unwrap_or("silu") {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" | "gelu_python" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => Err(fields.refuse(
            "hidden_act",
            format!("is \"{}\", which is not supported; known: silu, gelu, gelu_pytorch_tanh, relu", shorten(other)),
        )),
    }
}

/// `dtype` goes before `torch_dtype`; another word than a supported format counts as none.
fn dtype(fields: &Fields<'_>) -> Result<Option<Dtype>, CheckpointError> {
    let name = fields.text("dtype")?.or(fields.text("torch_dtype")?);
    Ok(name.and_then(Dtype::from_config_name))
}

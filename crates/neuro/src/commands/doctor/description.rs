//! A model, layer by layer.

use neuro_checkpoint::{
    Activation, Checkpoint, DecoderConfig, DeltaNetConfig, LayerConfig, LayerNorms, MlpConfig, NormKind, QkNorm,
    RopeConfig, RopeScaling, layer_of,
};
use neuro_model::{WeightBytes, WeightType, recurrent_state_bytes, slot_bytes_per_token};
use neuro_path::triangle;
use neuro_text::Text;
use serde_json::{Value, json};

use super::build::entry;
use crate::values::{bytes, grouped};

/// Bytes of a weight in memory: everything is computed in f32.
const F32: u64 = 4;

/// What a checkpoint says about itself.
#[derive(Debug)]
pub(super) struct Description<'a> {
    checkpoint: &'a Checkpoint,
    tokenizer: String,
    name: String,
    /// Weights of each layer, norms and biases included.
    layer_parameters: Vec<u64>,
}

impl<'a> Description<'a> {
    pub(super) fn new(checkpoint: &'a Checkpoint, text: anyhow::Result<Option<Text>>, name: String) -> Self {
        let tokenizer = match text {
            Ok(None) => "none: the model can be described, exported and run on token ids, but not asked".to_owned(),
            Ok(Some(text)) if text.has_template() => {
                format!("{} tokens, chat template", grouped(text.vocab_size() as u64))
            }
            Ok(Some(text)) => {
                format!("{} tokens, no chat template: prompts are plain text", grouped(text.vocab_size() as u64))
            }
            Err(refused) => format!("refused: {refused:#}"),
        };
        Self { checkpoint, tokenizer, name, layer_parameters: layer_parameters(&checkpoint.config) }
    }

    pub(super) fn title(&self) -> String {
        let config = &self.checkpoint.config;
        format!("{} ({}, {} parameters)", self.name, config.model_type, grouped(config.parameters()))
    }

    fn memory(&self) -> u64 {
        self.checkpoint.config.parameters().saturating_mul(F32)
    }

    /// Bytes that a token leaves behind in a pass through all layers: keys and values, and what recurrent layers take in.
    fn token_bytes(&self) -> u64 {
        self.checkpoint.config.layers.iter().map(|layer| slot_bytes_per_token(layer) as u64).sum()
    }

    /// Bytes of the states that recurrent layers come to behind a text.
    fn text_bytes(&self) -> u64 {
        self.checkpoint.config.layers.iter().map(|layer| recurrent_state_bytes(layer) as u64).sum()
    }

    fn memory_text(&self) -> String {
        let of_text = match self.text_bytes() {
            0 => String::new(),
            found => format!(", {} for each text", bytes(found)),
        };
        format!("{} as f32, and {} for each token of state{of_text}", bytes(self.memory()), bytes(self.token_bytes()))
    }

    /// Bytes that weights take on this machine when they are held in fewer bits; the embedding stays in its file.
    fn quantised(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let kinds = WeightType::ALL.into_iter().filter(|kind| *kind != WeightType::F32);
        kinds.map(|kind| (kind.name(), WeightBytes::of(&self.checkpoint.config, kind).held))
    }

    fn quantised_text(&self) -> String {
        let kinds: Vec<_> = self.quantised().map(|(kind, held)| format!("{} as {kind}", bytes(held))).collect();
        format!("{} (--quantize)", kinds.join(", "))
    }

    fn blocks(&self) -> usize {
        // The triangle begins with the baseline, which is no block.
        triangle(self.checkpoint.config.num_layers()).skip(1).count()
    }

    pub(super) fn text(&self) -> String {
        let Checkpoint { config, weights, .. } = self.checkpoint;
        let files = match weights.random_seed() {
            Some(seed) => format!("random, seed {seed}"),
            None => format!(
                "{} in {} ({})",
                bytes(weights.total_bytes()),
                if weights.files().len() == 1 {
                    "one file".to_owned()
                } else {
                    format!("{} files", weights.files().len())
                },
                weights.dtype_summary()
            ),
        };
        let head = if config.tie_word_embeddings { "tied to the embedding" } else { "of its own" };
        let mut text = String::new();
        let left_out = left_out_text(config, &weights.left_out());
        for (name, value) in [
            ("weights", files),
            ("memory", self.memory_text()),
            ("quantised", self.quantised_text()),
            ("tokenizer", self.tokenizer.clone()),
            ("vocabulary", format!("{} tokens, head {head}", grouped(config.vocab_size as u64))),
            ("hidden", config.hidden_size.to_string()),
            ("context", format!("{} tokens", grouped(config.max_position_embeddings as u64))),
            (
                "end of text",
                if config.eos_token_ids.is_empty() { "none".to_owned() } else { format!("{:?}", config.eos_token_ids) },
            ),
            ("layers", layers_text(config)),
            ("blocks", format!("{} in a scan, beside the baseline", grouped(self.blocks() as u64))),
        ] {
            text.push_str(&entry(name, &value));
        }
        if let Some(left_out) = left_out {
            text.push_str(&entry("left out", &left_out));
        }
        text.push('\n');
        for (first, last, layer) in equal_runs(&config.layers) {
            let name = if first == last { format!("layer {first}") } else { format!("layers {first}..{last}") };
            text.push_str(&entry(&name, &layer_text(layer, self.layer_parameters[first])));
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let Checkpoint { config, weights, .. } = self.checkpoint;
        let layers = config.layers.iter().zip(&self.layer_parameters);
        json!({
            "name": self.name,
            "model_type": config.model_type,
            "parameters": config.parameters(),
            "weight_bytes": weights.total_bytes(),
            "dtype": weights.dtype_summary(),
            "random_weights": weights.random_seed(),
            "memory_bytes": self.memory(),
            "quantised_bytes": self.quantised().collect::<std::collections::BTreeMap<_, _>>(),
            "state_bytes_per_token": self.token_bytes(),
            "state_bytes_per_text": self.text_bytes(),
            "tokenizer": self.tokenizer,
            "vocab_size": config.vocab_size,
            "tie_word_embeddings": config.tie_word_embeddings,
            "hidden_size": config.hidden_size,
            "max_position_embeddings": config.max_position_embeddings,
            "eos_token_ids": config.eos_token_ids,
            "blocks": self.blocks(),
            "layers": layers.map(|(layer, count)| layer_json(layer, *count)).collect::<Vec<_>>(),
        })
    }
}

/// What is in the files and not in the description; `None` where nothing is.
fn left_out_text(config: &DecoderConfig, names: &[&str]) -> Option<String> {
    let depth = config.layers.iter().find_map(|layer| layer.repeats).unwrap_or(config.num_layers());
    let is_beyond = |name: &&&str| layer_of(name).is_some_and(|(_, layer, _)| layer >= depth);
    let tensors = |count: usize| format!("{count} tensor{}", if count == 1 { "" } else { "s" });
    let beyond = names.iter().filter(is_beyond).count();
    let others = names.len() - beyond;
    let predictors = format!("{} of layers from {depth} on, which predict further tokens", tensors(beyond));
    let example = names.iter().find(|name| !is_beyond(name)).copied().unwrap_or_default();
    let rest = format!("{} that this decoder does not read, such as {example}", tensors(others));
    let parts: Vec<String> = [(beyond, predictors), (others, rest)]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(_, text)| text)
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// How many there are, and how they come about where a stack is run more than once.
fn layers_text(config: &DecoderConfig) -> String {
    let count = config.num_layers();
    match config.layers.iter().find_map(|layer| layer.repeats) {
        Some(stack) if stack > 0 => format!("{count}: {stack} run {} times", count / stack),
        _ => count.to_string(),
    }
}

/// Runs of layers that are described alike: first, last, description.
fn equal_runs(layers: &[LayerConfig]) -> Vec<(usize, usize, &LayerConfig)> {
    let mut runs: Vec<(usize, usize, &LayerConfig)> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        match runs.last_mut() {
            Some((_, last, same)) if *same == layer => *last = index,
            _ => runs.push((index, index, layer)),
        }
    }
    runs
}

fn layer_text(layer: &LayerConfig, parameters: u64) -> String {
    let LayerConfig { attention, delta_net, mlp, norms, parallel, .. } = layer;
    let biases = [
        ("q", attention.q_bias),
        ("k", attention.k_bias),
        ("v", attention.v_bias),
        ("o", attention.o_bias),
        ("mlp", mlp.bias),
    ];
    let biases: Vec<_> = biases.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect();
    let mut facts = vec![format!("{} parameters", grouped(parameters))];
    match delta_net {
        Some(delta_net) => facts.push(delta_net_text(delta_net)),
        None => facts.extend([
            format!("{} heads of {}, {} for keys and values", attention.heads, attention.head_dim, attention.kv_heads),
            attention
                .window
                .map_or_else(|| "sees everything".to_owned(), |window| format!("window of {window} tokens")),
            rope_text(&attention.rope, attention.head_dim),
        ]),
    }
    facts.push(mlp_text(mlp));
    match attention.qk_norm {
        QkNorm::None => {}
        QkNorm::Head => facts.push("norm on queries and keys".to_owned()),
        QkNorm::EachHead => facts.push("norm on each head of queries and keys".to_owned()),
        QkNorm::Row => facts.push("norm on all queries and on all keys".to_owned()),
    }
    if let Some(cap) = attention.softcap {
        facts.push(format!("scores capped at {cap}"));
    }
    if let Some(latent) = attention.latent {
        facts.push(format!("keys and values out of a latent of {}", latent.kv_rank));
    }
    if attention.output_gate {
        facts.push("gates on what is attended to".to_owned());
    }
    if attention.sinks {
        facts.push("attention sinks".to_owned());
    }
    if *norms != LayerNorms::BEFORE {
        facts.push(norms_text(norms));
    }
    if layer.enters_normed {
        facts.push("what enters is normed".to_owned());
    }
    if let Some(back) = layer.repeats {
        facts.push(format!("weights of {back} layers before"));
    }
    if *parallel {
        facts.push("attention and MLP side by side".to_owned());
    }
    if !biases.is_empty() {
        facts.push(format!("biases on {}", biases.join(", ")));
    }
    facts.join(" · ")
}

fn delta_net_text(delta_net: &DeltaNetConfig) -> String {
    let DeltaNetConfig { key_heads, value_heads, key_dim, value_dim, taps } = delta_net;
    format!(
        "delta net · {value_heads} heads of {value_dim}, {key_heads} of {key_dim} for queries and keys, convolution over \
         {taps} tokens"
    )
}

fn mlp_text(mlp: &MlpConfig) -> String {
    let one = |width: usize| {
        let gate = if mlp.gated { "" } else { " without a gate" };
        format!("{width} {}{gate}", activation_name(mlp.activation))
    };
    let Some(experts) = &mlp.experts else { return format!("MLP {}", one(mlp.intermediate_size)) };
    let shared = experts.shared.map_or_else(String::new, |shared| format!(" and {} for all", shared.intermediate_size));
    format!("{} of {} experts of {}{shared}", experts.per_token, experts.count, one(mlp.intermediate_size))
}

fn norms_text(norms: &LayerNorms) -> String {
    let places = [
        (norms.before_attention, "before attention"),
        (norms.after_attention, "behind attention"),
        (norms.before_mlp, "before the MLP"),
        (norms.after_mlp, "behind the MLP"),
    ];
    let places: Vec<_> = places.into_iter().filter(|(name, _)| name.is_some()).map(|(_, place)| place).collect();
    let kind = match norms.kind {
        NormKind::Rms | NormKind::RmsAroundOne => "RMSNorm",
        NormKind::Layer => "LayerNorm",
    };
    format!("{kind} {}", places.join(", "))
}

fn layer_json(layer: &LayerConfig, parameters: u64) -> Value {
    let LayerConfig { attention, delta_net, mlp, norms, parallel, .. } = layer;
    let norm = match norms.kind {
        NormKind::Rms | NormKind::RmsAroundOne => "rms",
        NormKind::Layer => "layer",
    };
    json!({
        "parameters": parameters,
        "heads": attention.heads,
        "kv_heads": attention.kv_heads,
        "head_dim": attention.head_dim,
        "window": attention.window,
        "qk_norm": attention.qk_norm != QkNorm::None,
        "biases": {
            "q": attention.q_bias,
            "k": attention.k_bias,
            "v": attention.v_bias,
            "o": attention.o_bias,
            "mlp": mlp.bias,
        },
        "rope": {
            "theta": attention.rope.theta,
            "rotary_dim": attention.rope.rotary_dim,
            "scaling": scaling_name(&attention.rope.scaling),
        },
        "intermediate_size": mlp.intermediate_size,
        "activation": activation_name(mlp.activation),
        "experts": mlp.experts.as_ref().map(|experts| json!({
            "count": experts.count,
            "per_token": experts.per_token,
            "shared_intermediate_size": experts.shared.map(|shared| shared.intermediate_size),
        })),
        "norm": norm,
        "parallel": parallel,
        "softcap": attention.softcap,
        "sinks": attention.sinks,
        "output_gate": attention.output_gate,
        "delta_net": delta_net.as_ref().map(|delta_net| json!({
            "key_heads": delta_net.key_heads,
            "value_heads": delta_net.value_heads,
            "key_dim": delta_net.key_dim,
            "value_dim": delta_net.value_dim,
            "taps": delta_net.taps,
        })),
    })
}

/// Weights of each layer, counted over the tensors that it is made of.
fn layer_parameters(config: &DecoderConfig) -> Vec<u64> {
    let mut counts = vec![0; config.num_layers()];
    for (name, shape) in config.expected_tensors() {
        let layer = name.strip_prefix("model.layers.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        if let Some(count) = layer.and_then(|layer| counts.get_mut(layer)) {
            *count += shape.iter().map(|size| *size as u64).product::<u64>();
        }
    }
    counts
}

fn rope_text(rope: &RopeConfig, head_dim: usize) -> String {
    if rope.rotary_dim == 0 {
        return "no rope".to_owned();
    }
    let scaling = match rope.scaling {
        RopeScaling::Default => String::new(),
        RopeScaling::Factors { ref divisors } => {
            let most = divisors.iter().fold(1.0, |most: f32, divisor| most.max(*divisor));
            format!(", {} up to × {most}", scaling_name(&rope.scaling))
        }
        RopeScaling::Linear { factor }
        | RopeScaling::Dynamic { factor, .. }
        | RopeScaling::Llama3 { factor, .. }
        | RopeScaling::Yarn { factor, .. } => format!(", {} × {factor}", scaling_name(&rope.scaling)),
        RopeScaling::LongRope { original, .. } => format!(", longrope above {original} tokens"),
    };
    let part =
        if rope.rotary_dim == head_dim { String::new() } else { format!(" on {} of {head_dim}", rope.rotary_dim) };
    format!("rope base {}{part}{scaling}", rope.theta)
}

fn scaling_name(scaling: &RopeScaling) -> &'static str {
    match scaling {
        RopeScaling::Default => "default",
        RopeScaling::Factors { .. } => "factors",
        RopeScaling::Linear { .. } => "linear",
        RopeScaling::Dynamic { .. } => "dynamic",
        RopeScaling::Llama3 { .. } => "llama3",
        RopeScaling::Yarn { .. } => "yarn",
        RopeScaling::LongRope { .. } => "longrope",
    }
}

fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Silu => "silu",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_tanh",
        Activation::Relu => "relu",
        Activation::ClampedSwiglu { .. } => "clamped_swiglu",
    }
}

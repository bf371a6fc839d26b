//! Stored names of tensors to canonical ones, which are those of Hugging Face's Llama.

/// Spellings of the decoder's place in a larger model, and what they stand for. First match wins.
const PREFIXES: [(&str, &str); 3] =
    [("language_model.lm_head.", "lm_head."), ("language_model.model.", "model."), ("model.language_model.", "model.")];

/// Beginnings of canonical names.
const DECODER: [&str; 4] = ["model.embed_tokens.", "model.layers.", "model.norm.", "lm_head."];

/// Buffers that old files store and that are computed from the config.
const COMPUTED: [&str; 7] = [
    "rotary_emb.inv_freq",
    "rotary_emb.cos_cached",
    "rotary_emb.sin_cached",
    // Causal masks of GPT-2 and GPT-NeoX.
    "self_attn.bias",
    "self_attn.masked_bias",
    "attention.bias",
    "attention.masked_bias",
];

/// The canonical form of a stored name. A base model saved without its head lacks the leading `model.`.
pub(crate) fn canonical(stored: &str) -> String {
    for (prefix, replacement) in PREFIXES {
        if let Some(rest) = stored.strip_prefix(prefix) {
            return format!("{replacement}{rest}");
        }
    }
    let with_model = format!("model.{stored}");
    if !stored.starts_with("lm_head.") && is_decoder(&with_model) { with_model } else { stored.to_owned() }
}

/// Where the layers of GPT-2 and GPT-NeoX stand.
const OTHER_LAYERS: [&str; 3] = ["transformer.h.", "h.", "gpt_neox.layers."];

/// A stored name that belongs to a decoder layer: what stands before the layer's number, the number, and what stands behind
/// (from the dot on). `None` for everything else, such as the layers of an encoder of pictures.
#[must_use]
pub fn layer_of(stored: &str) -> Option<(&str, usize, &str)> {
    let canonical = canonical(stored);
    let other = OTHER_LAYERS.iter().find_map(|prefix| stored.strip_prefix(prefix));
    let (number, rest) = other.or_else(|| canonical.strip_prefix("model.layers."))?.split_once('.')?;
    let layer: usize = number.parse().ok().filter(|layer: &usize| layer.to_string() == number)?;
    // Only what stands before the number differs between a name and its canonical form.
    let behind = stored.len().checked_sub(rest.len() + 1)?;
    let before = behind.checked_sub(number.len())?;
    (stored.get(before..behind)? == number).then(|| (&stored[..before], layer, &stored[behind..]))
}

/// Whether the name says that the file holds a larger model with a decoder in it.
pub(crate) fn is_nested(stored: &str) -> bool {
    PREFIXES.iter().any(|(prefix, _)| stored.starts_with(prefix))
}

/// Whether a canonical name can be a tensor of the decoder.
pub(crate) fn is_decoder(canonical: &str) -> bool {
    DECODER.iter().any(|prefix| canonical.starts_with(prefix))
}

/// Whether a stored tensor is recomputed from the config, so that it cannot change anything.
pub(crate) fn is_computed(canonical: &str) -> bool {
    COMPUTED.iter().any(|ending| canonical.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_found_in_every_spelling_and_nowhere_else() {
        for (stored, expected) in [
            ("model.layers.12.mlp.up_proj.weight", Some(("model.layers.", 12, ".mlp.up_proj.weight"))),
            ("layers.0.input_layernorm.weight", Some(("layers.", 0, ".input_layernorm.weight"))),
            ("language_model.model.layers.3.a.b", Some(("language_model.model.layers.", 3, ".a.b"))),
            ("model.language_model.layers.3.a.b", Some(("model.language_model.layers.", 3, ".a.b"))),
            ("transformer.h.3.attn.c_attn.weight", Some(("transformer.h.", 3, ".attn.c_attn.weight"))),
            ("h.3.ln_1.bias", Some(("h.", 3, ".ln_1.bias"))),
            ("gpt_neox.layers.3.a.b", Some(("gpt_neox.layers.", 3, ".a.b"))),
            ("vision_tower.transformer.layers.3.a.b", None),
            ("model.layers.03.a.b", None),
            ("model.layers.x.a", None),
            ("model.norm.weight", None),
            ("lm_head.weight", None),
        ] {
            assert_eq!(layer_of(stored), expected, "{stored}");
        }
    }
}

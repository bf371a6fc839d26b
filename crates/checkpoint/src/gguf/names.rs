//! Names of tensors in GGUF files (ggml's `docs/gguf.md`, gguf-py's `constants.py`) to canonical ones.

/// The parts of a layer: in GGUF, canonical.
const MODULES: [(&str, &str); 11] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Divisors of the rotary frequencies, one for each pair.
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";

/// The canonical name of a tensor; the name itself where it is no part of a decoder that is known here.
pub(super) fn canonical(stored: &str) -> String {
    let known = match stored {
        "token_embd.weight" => Some("model.embed_tokens.weight".to_owned()),
        "output_norm.weight" => Some("model.norm.weight".to_owned()),
        "output.weight" => Some("lm_head.weight".to_owned()),
        _ => of_layer(stored),
    };
    known.unwrap_or_else(|| stored.to_owned())
}

/// `blk.LAYER.MODULE.weight` or `.bias`.
fn of_layer(stored: &str) -> Option<String> {
    let (layer, rest) = stored.strip_prefix("blk.")?.split_once('.')?;
    let (module, part) = rest.split_once('.')?;
    let index: usize = layer.parse().ok()?;
    let (_, module) = MODULES.iter().find(|(name, _)| *name == module)?;
    // `+1` and `01` parse as well, but are other names.
    let is_plain = index.to_string() == layer && matches!(part, "weight" | "bias");
    is_plain.then(|| format!("model.layers.{index}.{module}.{part}"))
}

/// Whether a tensor only repeats what the metadata say (`attn_rot_embd`, in files of 2023).
pub(super) fn is_computed(stored: &str) -> bool {
    stored.ends_with(".attn_rot_embd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_canonical() {
        for (stored, expected) in [
            ("token_embd.weight", "model.embed_tokens.weight"),
            ("output.weight", "lm_head.weight"),
            ("blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight"),
            ("blk.12.attn_k.bias", "model.layers.12.self_attn.k_proj.bias"),
            ("blk.7.ffn_norm.weight", "model.layers.7.post_attention_layernorm.weight"),
            ("blk.01.attn_q.weight", "blk.01.attn_q.weight"),
            ("blk.1.attn_qkv.weight", "blk.1.attn_qkv.weight"),
            ("blk.1.attn_q.scale", "blk.1.attn_q.scale"),
            ("v.blk.0.attn_q.weight", "v.blk.0.attn_q.weight"),
        ] {
            assert_eq!(canonical(stored), expected);
        }
    }
}

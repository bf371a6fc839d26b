//! What llama.cpp makes of a block by its number, and which keys of a file say so.
//!
//! Facts: llama.cpp's `models/*.cpp` (`load_arch_hparams`). An architecture of which nobody here has read that code is
//! refused: a file that loads and computes something else is worse than none.

mod keys;
pub(super) mod recurrence;

use neuro_checkpoint::{AttentionConfig, DecoderConfig, GgufArchitecture, LayerConfig};
use neuro_path::LayerPath;

use crate::Result;
use crate::nearest::advice;
use crate::notation::unsayable;

pub(super) use keys::{Rewriting, rewrite};

/// Most layers that llama.cpp opens (`LLAMA_MAX_LAYERS`).
const MOST_LAYERS: usize = 512;

/// Numbers of blocks by which llama.cpp tells the DeepSeek models whose queries do not come out of a latent, the last with
/// a vocabulary of that size (`deepseek2.cpp`, `is_lite`).
const WITHOUT_QUERY_LATENT: [usize; 2] = [26, 27];
const WITHOUT_QUERY_LATENT_BY_VOCABULARY: (usize, usize) = (48, 128_256);

/// What the layers along a path are, where a key says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    /// Which layers have the window, where that is not what llama.cpp takes from their numbers.
    pub(super) windowed: Option<Vec<bool>>,
    /// Dense layers before those with experts.
    pub(super) dense: usize,
    /// Of architectures with delta nets: which layers have one.
    pub(super) recurrent: Option<Vec<bool>>,
    /// Whether the file must say that queries come out of no latent.
    pub(super) names_no_query_latent: bool,
}

/// Refuses a path of which llama.cpp would make another model.
pub(super) fn check(architecture: &str, config: &DecoderConfig, path: &LayerPath) -> Result<Kinds> {
    let Some(architecture) = GgufArchitecture::named(architecture) else {
        let reason = format!("it is not known here what llama.cpp derives from a layer's number in {architecture}");
        return Err(unsayable("gguf", path, format!("{reason}; export to hf")));
    };
    kinds(architecture, config, path).map_err(|reason| {
        let works = |path: &LayerPath| kinds(architecture, config, path).is_ok();
        unsayable("gguf", path, format!("{reason}; export to hf{}", advice(path, works)))
    })
}

/// What the layers along a path are; the error says why llama.cpp would see others.
fn kinds(architecture: &GgufArchitecture, config: &DecoderConfig, path: &LayerPath) -> Result<Kinds, String> {
    let layers: Vec<&LayerConfig> = path.layers().into_iter().filter_map(|layer| config.layers.get(layer)).collect();
    let count = layers.len();
    if count > MOST_LAYERS {
        return Err(format!("llama.cpp opens at most {MOST_LAYERS} layers, and the path has {count} visits"));
    }
    let name = architecture.name;
    if let Some(period) = architecture.no_rope_period {
        let fits = |(place, layer): (usize, &&LayerConfig)| {
            ((place + 1) % period == 0) == (layer.attention.rope.rotary_dim == 0)
        };
        if !layers.iter().enumerate().all(fits) {
            return Err(format!(
                "in {name} llama.cpp gives every {period}th layer no rotary positions by its number, no key of the file says \
                 otherwise, and along this path other layers have none"
            ));
        }
    }
    if let Some(depth) = architecture.scale_depth {
        check_scale(architecture, config, &layers, depth)?;
    }
    let kinds = Kinds {
        windowed: windowed(architecture, &layers),
        dense: dense(architecture, &layers)?,
        recurrent: recurrent(architecture, &layers)?,
        names_no_query_latent: query_latent(config, &layers)?,
    };
    Ok(kinds)
}

/// Gemma's scores are scaled by the width of a head, but in the 27B models, which are told by their layers.
fn check_scale(
    architecture: &GgufArchitecture,
    config: &DecoderConfig,
    layers: &[&LayerConfig],
    depth: usize,
) -> Result<(), String> {
    let expected = |attention: &AttentionConfig| {
        let is_27b = layers.len() == depth;
        let scalar = if is_27b { config.hidden_size / attention.heads.max(1) } else { attention.head_dim };
        (scalar as f64).powf(-0.5)
    };
    let differs = |layer: &&&LayerConfig| (layer.attention.scale / expected(&layer.attention) - 1.0).abs() > 1e-6;
    if layers.iter().any(|layer| differs(&layer)) {
        let (name, count) = (architecture.name, layers.len());
        if count != depth && config.num_layers() != depth {
            return Err(format!(
                "llama.cpp scales scores by the width of a head in {name}, and the model by another number \
                 (`query_pre_attn_scalar`)"
            ));
        }
        return Err(format!(
            "llama.cpp tells the 27B model of {name} by its {depth} layers and scales its attention by another width than \
             that of a head; with {count} layers the file would load and scale scores otherwise than this model"
        ));
    }
    Ok(())
}

/// Which layers along the path have the window, where their numbers say something else.
fn windowed(architecture: &GgufArchitecture, layers: &[&LayerConfig]) -> Option<Vec<bool>> {
    let period = architecture.window_period?;
    let windowed: Vec<bool> = layers.iter().map(|layer| layer.attention.window.is_some()).collect();
    let is_usual = windowed.iter().enumerate().all(|(place, windowed)| *windowed == (place % period < period - 1));
    (!is_usual).then_some(windowed)
}

fn dense(architecture: &GgufArchitecture, layers: &[&LayerConfig]) -> Result<usize, String> {
    let is_dense = |layer: &&&LayerConfig| layer.mlp.experts.is_none();
    let leading = layers.iter().take_while(is_dense).count();
    let others = layers.iter().skip(leading).filter(is_dense).count();
    if others == 0 && (architecture.dense_first || leading == 0 || leading == layers.len()) {
        return Ok(leading);
    }
    Err(format!(
        "in {} llama.cpp knows dense layers {}, and along this path they come back between those with experts",
        architecture.name,
        if architecture.dense_first { "before the others only" } else { "in files without experts only" }
    ))
}

/// Which layers have delta nets, in architectures that have some. llama.cpp keeps a state and keys and values for such models, and
/// ends with a failed assertion where no layer wants one of them (`ggml-backend.cpp`, of the version in llama-cpp-python 0.3.36).
fn recurrent(architecture: &GgufArchitecture, layers: &[&LayerConfig]) -> Result<Option<Vec<bool>>, String> {
    if architecture.delta_nets.is_none() {
        return Ok(None);
    }
    let recurrent: Vec<bool> = layers.iter().map(|layer| layer.delta_net.is_some()).collect();
    match recurrent.iter().filter(|recurrent| **recurrent).count() {
        0 => Err(format!(
            "llama.cpp does not run {} without recurrent layers, and the path visits none",
            architecture.name
        )),
        count if count == layers.len() => Err(format!(
            "llama.cpp does not run {} without attention, and the path visits no layer with it",
            architecture.name
        )),
        _ => Ok(Some(recurrent)),
    }
}

/// Whether the file must say that queries come out of no latent.
fn query_latent(config: &DecoderConfig, layers: &[&LayerConfig]) -> Result<bool, String> {
    let Some(latent) = layers.iter().find_map(|layer| layer.attention.latent) else { return Ok(false) };
    let count = layers.len();
    let is_lite =
        WITHOUT_QUERY_LATENT.contains(&count) || (count, config.vocab_size) == WITHOUT_QUERY_LATENT_BY_VOCABULARY;
    match (latent.q_rank.is_some(), is_lite) {
        (true, true) => Err(format!(
            "llama.cpp tells the DeepSeek models whose queries come out of no latent by their {count} layers, and along this \
             path the model would have as many"
        )),
        (true, false) => Ok(false),
        (false, _) => Ok(!is_lite),
    }
}

/// A remark on windows that only newer versions of llama.cpp read.
pub(super) fn listed_windows(key: &str) -> String {
    format!(
        "`{key}` lists which layers have the window, for along this path their numbers do not say it: llama.cpp reads that \
         list since 2026 (llama-cpp-python 0.3.36 does), older versions go by the numbers and compute something else"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A model of an architecture with so many layers, all values but these by default.
    fn config(model_type: &str, layers: usize, more: &str) -> DecoderConfig {
        let json = format!(
            r#"{{"model_type": "{model_type}", "num_hidden_layers": {layers}, "hidden_size": 64, "num_attention_heads": 4,
                "num_key_value_heads": 4, "head_dim": 16, "vocab_size": 100, "intermediate_size": 64{more}}}"#
        );
        DecoderConfig::from_json(json.as_bytes(), Path::new("config.json")).unwrap()
    }

    fn message(architecture: &str, config: &DecoderConfig, path: &str) -> String {
        let path = LayerPath::parse(path, config.num_layers()).unwrap();
        check(architecture, config, &path).map_or_else(|error| error.to_string(), |_| "fine".into())
    }

    #[test]
    fn paths_that_llama_cpp_would_misread_are_refused() {
        let llama = config("llama", 12, "");
        assert_eq!(message("llama", &llama, "(3,6)"), "fine");
        assert!(message("llama", &llama, "..,..x50").contains("at most 512"));
        assert!(message("unheard-of", &llama, "(3,6)").contains("not known here"));
        let gemma = config("gemma3_text", 26, r#", "query_pre_attn_scalar": 16"#);
        assert_eq!(message("gemma3", &gemma, "(6,11)"), "fine");
        let smollm = config("smollm3", 12, "");
        assert_eq!(message("smollm3", &smollm, "(4,8)"), "fine");
        let refused = message("smollm3", &smollm, "(4,7)");
        assert!(refused.contains("no rotary positions"), "{refused}");
        assert!(refused.contains("the nearest block that works is (3, 7)"), "{refused}");
    }

    #[test]
    fn a_path_needs_layers_of_both_kinds() {
        let next = config("qwen3_next", 8, "");
        for path in ["..", "(0,4)", "(1,3)", "3,0", "0,3,3"] {
            assert_eq!(message("qwen3next", &next, path), "fine", "{path}");
        }
        assert!(message("qwen3next", &next, "0..2").contains("without attention"));
        assert!(message("qwen3next", &next, "3,7,3").contains("without recurrent layers"));
    }

    /// A factor on every logit of attention, and no warning.
    #[test]
    fn the_27b_models_are_told_by_their_layers() {
        let scaled = |layers: usize, scalar: usize| {
            config("gemma2", layers, &format!(r#", "hidden_size": 96, "query_pre_attn_scalar": {scalar}"#))
        };
        // Heads of 16, a width of 96 in 4 heads.
        assert_eq!(message("gemma2", &scaled(26, 16), "(0,2)"), "fine");
        assert!(message("gemma2", &scaled(26, 24), "..").contains("query_pre_attn_scalar"));
        assert!(message("gemma2", &scaled(44, 16), "(0,2)").contains("27B"));
        assert_eq!(message("gemma2", &scaled(46, 24), ".."), "fine");
        assert!(message("gemma2", &scaled(46, 24), "(0,2)").contains("27B"));
        assert_eq!(message("gemma2", &scaled(44, 16), "(0,4)"), "fine");
    }

    #[test]
    fn windows_are_listed_where_numbers_do_not_say_them() {
        let gemma = config("gemma2", 6, r#", "query_pre_attn_scalar": 16"#);
        let windowed = |path: &str| check("gemma2", &gemma, &LayerPath::parse(path, 6).unwrap()).unwrap().windowed;
        assert_eq!(windowed(".."), None);
        assert_eq!(windowed("(0,2)"), None);
        assert_eq!(windowed("0,0,1,3"), Some(vec![true, true, false, false]));
        assert_eq!(windowed("1,3,5"), Some(vec![false; 3]));
    }

    #[test]
    fn dense_layers_come_first_or_not_at_all() {
        let more =
            r#", "n_routed_experts": 4, "num_experts_per_tok": 2, "first_k_dense_replace": 2, "q_lora_rank": null"#;
        let deepseek = config("deepseek_v2", 25, more);
        let kinds = |path: &str| check("deepseek2", &deepseek, &LayerPath::parse(path, 25).unwrap());
        assert_eq!(kinds("..").unwrap().dense, 2);
        assert_eq!(kinds("0,1,1,2..").unwrap().dense, 3);
        assert!(kinds("..,1..").unwrap_err().to_string().contains("before the others only"));
        assert!(kinds("..").unwrap().names_no_query_latent);
        assert!(!kinds("0..24,24").unwrap().names_no_query_latent);
        let mixed = config("qwen3_moe", 4, r#", "decoder_sparse_step": 2, "num_experts": 4, "num_experts_per_tok": 2"#);
        assert!(message("qwen3moe", &mixed, "..").contains("without experts only"));
        assert_eq!(message("qwen3moe", &mixed, "1,3,1"), "fine");
    }
}

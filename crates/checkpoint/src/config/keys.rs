//! Which keys of a config may stand there without being read.
//!
//! What an architecture reads shows in its reading (see [`Fields::unread`]), so that no list can fall behind the code. A key
//! that is left over passes in three cases only: it never changes what a decoder computes ([`HARMLESS`]), the architecture
//! or all of them ([`FIXED_OF_ALL`]) know the one value that their code computes with ([`Only`]), or its value is neutral
//! ([`is_neutral`]). Every other key is refused: what is ignored here may have been trained with.

use serde_json::Value;

use super::architecture::Architecture;
use crate::error::{CheckpointError, shorten};
use crate::fields::{Fields, describe};

/// What a key may say that is not read because an architecture's code computes one thing only.
#[derive(Clone, Copy, Debug)]
pub(super) enum Only {
    /// Anything: the architecture's code never looks at it.
    Any,
    /// This word.
    Word(&'static str),
    /// `true`.
    True,
    /// This number, or an array of nothing else.
    Number(u64),
    /// What another key says.
    As(&'static str),
}

/// Keys that no decoder's computation depends on.
const HARMLESS: &[&str] = &[
    // Where a file comes from and which program wrote it.
    "_commit_hash",
    "_name_or_path",
    "_pre_quantization_dtype",
    "architectures",
    "auto_map",
    "base_model",
    "base_model_name_or_path",
    "custom_pipelines",
    "finetuning_task",
    "is_llama_config",
    "language",
    "library_name",
    "license",
    "model_name",
    "model_type",
    "name_or_path",
    "processor_class",
    "rys_relayer",
    "source_rys_relayer",
    "tags",
    "tokenizer_class",
    "transformers.js_config",
    "transformers_version",
    "unsloth_fixed",
    "unsloth_version",
    // How a program holds weights and which of its implementations runs.
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_attn_implementation_internal",
    "_experts_implementation",
    "_flash_attn_2_enabled",
    "attn_implementation",
    "cache_implementation",
    "chunk_size_feed_forward",
    "ep_size",
    "gradient_checkpointing",
    "is_decoder",
    "keys_to_ignore_at_inference",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_router_logits",
    "pretraining_tp",
    "reorder_and_upcast_attn",
    "return_dict",
    "torchscript",
    "tf_legacy_loss",
    "use_bfloat16",
    "use_cache",
    "use_flash_attention_2",
    "use_flash_attn",
    "use_return_dict",
    // Training: initial values, dropout, losses.
    "attention_dropout",
    "attention_probs_dropout_prob",
    "attn_dropout",
    "attn_pdrop",
    "aux_loss_alpha",
    "dropout",
    "embd_pdrop",
    "embedding_dropout",
    "ffn_dropout",
    "hidden_dropout",
    "hidden_dropout_prob",
    "initializer_factor",
    "initializer_range",
    "label_smoothing",
    "resid_pdrop",
    "residual_dropout",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "router_z_loss_coef",
    "seq_aux",
    "z_loss_coefficient",
    // Lengths of texts in training, or for a tokenizer.
    "initial_context_length",
    "max_seq_len",
    "max_seq_length",
    "max_sequence_length",
    "model_max_length",
    "seq_length",
    // Windows are set by other keys; this one only says on which layers.
    "max_window_layers",
    // Layers that predict further tokens, which are left out.
    "mtp_transformer_layers",
    "num_mtp_modules",
    "num_nextn_predict_layers",
    "use_mtp",
    // Tokens.
    "audio_token_id",
    "boa_token_id",
    "boi_token_id",
    "boi_token_index",
    "bos_token_id",
    "cls_token_id",
    "decoder_start_token_id",
    "eoa_token_id",
    "eod_token_id",
    "eoi_token_id",
    "eoi_token_index",
    "eos_token_id",
    "image_token_id",
    "image_token_index",
    "mask_token_id",
    "pad_token_id",
    "sep_token_id",
    "unk_token_id",
    "user_token_id",
    "assistant_token_id",
    "video_token_id",
    "vision_end_token_id",
    "vision_start_token_id",
    "vision_token_id",
    // transformers' defaults for generation, which 4.x wrote into every config.
    "bad_words_ids",
    "begin_suppress_tokens",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_length",
    "min_p",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_scores",
    "prefix",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict_in_generate",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
    // Heads for classification and summaries.
    "_num_labels",
    "classifier_dropout",
    "classifier_dropout_prob",
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
];

/// Keys of which every architecture's code computes one thing only, though leaving them out does not say what a neutral
/// value says: without causal attention tokens would see those behind them.
const FIXED_OF_ALL: &[(&str, Only)] = &[("is_causal", Only::True)];

/// Keys among the parameters of rotary positions that change nothing: the older name of the kind where the newer is there,
/// whether a model was trained with it, how positions in pictures are split, of which a text has none, and another
/// program's name of `attention_factor`, which transformers does not read.
const HARMLESS_OF_ROPE: [&str; 5] = ["type", "finetuned", "mrope_section", "mrope_interleaved", "attn_factor"];

/// Refuses every key that may change what the model computes and that nobody has read. To be asked once all is read.
pub(super) fn refuse_unread(fields: &Fields<'_>, architecture: &Architecture) -> Result<(), CheckpointError> {
    for (key, value) in fields.unread() {
        let known = architecture.fixed.iter().chain(FIXED_OF_ALL).find(|(known, _)| *known == key);
        let changes_nothing =
            || HARMLESS.contains(&key) || is_neutral(value) || (key == "layer_types" && is_full(value));
        match known {
            Some((_, only)) => check_fixed(fields, key, value, *only, architecture.model_type)?,
            None if changes_nothing() => {}
            None => return Err(refuse(fields, key, value, architecture.model_type)),
        }
    }
    Ok(())
}

/// As [`refuse_unread`], of parameters of rotary positions that were read.
pub(super) fn refuse_unread_of_rope(parameters: &Fields<'_>) -> Result<(), CheckpointError> {
    let unread = parameters.unread();
    let Some((key, value)) = unread.iter().find(|(key, value)| !HARMLESS_OF_ROPE.contains(key) && !is_neutral(value))
    else {
        return Ok(());
    };
    let problem = format!(
        "is {}, but rotary positions of this kind do not read it, and it may change what the model computes; if the key \
         means nothing, remove it from the file",
        describe(value)
    );
    Err(parameters.refuse(&shorten(key), problem))
}

fn refuse(fields: &Fields<'_>, key: &str, value: &Value, model_type: &str) -> CheckpointError {
    let problem = format!(
        "is {}, but {model_type} models do not read it as they are known here, and it may change what they compute; is \
         `model_type` right? If the key means nothing, remove it from the file",
        describe(value)
    );
    fields.refuse(&shorten(key), problem)
}

fn check_fixed(
    fields: &Fields<'_>,
    key: &str,
    value: &Value,
    only: Only,
    model_type: &str,
) -> Result<(), CheckpointError> {
    let (holds, expected) = match only {
        _ if value.is_null() => return Ok(()),
        Only::Any => return Ok(()),
        Only::Word(word) => (value.as_str() == Some(word), format!("\"{word}\"")),
        Only::True => (*value == Value::Bool(true), "true".to_owned()),
        Only::Number(number) => {
            let is_it = |value: &Value| value.as_f64() == Some(number as f64);
            let holds = value.as_array().map_or_else(|| is_it(value), |items| items.iter().all(is_it));
            (holds, number.to_string())
        }
        Only::As(other) => (fields.value(other) == Some(value), format!("what `{other}` says")),
    };
    if holds {
        return Ok(());
    }
    let problem = format!("is {}, expected {expected}: {model_type} models compute nothing else", describe(value));
    Err(fields.refuse(key, problem))
}

/// Whether a value says "none", "not", or "times one", so that leaving its key out says the same: null, false, 0, 1, and
/// texts, arrays and objects without content.
fn is_neutral(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64().is_some_and(|number| number == 0.0 || number == 1.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

/// Whether a list of layer types says that no layer is special.
fn is_full(value: &Value) -> bool {
    value.as_array().is_some_and(|types| types.iter().all(|kind| kind.as_str() == Some("full_attention")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::DecoderConfig;
    use crate::config::architecture::KNOWN;

    #[test]
    fn attention_that_is_not_causal_is_refused_everywhere() {
        for architecture in KNOWN {
            let head = if architecture.model_type == "glm4_moe" { r#""head_dim": 64, "# } else { "" };
            let rope = r#""rope_scaling": {"rope_type": "linear", "factor": 2}, "num_experts_per_tok": 1"#;
            let read = |value: &str| {
                let json =
                    format!(r#"{{"model_type": "{}", {head}{rope}, "is_causal": {value}}}"#, architecture.model_type);
                DecoderConfig::from_json(json.as_bytes(), Path::new("config.json"))
            };
            assert!(read("true").is_ok() && read("null").is_ok(), "{}: {:?}", architecture.model_type, read("true"));
            for other in ["false", "0", "\"\""] {
                let error = read(other).expect_err(other).to_string();
                assert!(error.contains("`is_causal` is ") && error.contains("expected true"), "{error}");
            }
        }
    }

    #[test]
    fn lists_hold_no_key_twice_and_no_key_that_says_how_to_compute() {
        let mut keys = HARMLESS.to_vec();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), HARMLESS.len());
        for key in ["sliding_window", "rope_scaling", "logits_scaling", "qk_layernorm", "num_experts", "hidden_act"] {
            assert!(!HARMLESS.contains(&key), "{key}");
        }
    }

    /// The key is unknown to all, so that only the rule decides.
    #[test]
    fn the_rule_is_the_same_for_every_architecture() {
        for architecture in KNOWN {
            let read = |value: &str| {
                // What DeepSeek-V2 has no default for, and of GLM a head that half of can be rotated.
                let head = if architecture.model_type == "glm4_moe" { r#""head_dim": 64, "# } else { "" };
                let rope = format!(
                    r#"{head}"rope_scaling": {{"rope_type": "linear", "factor": 2}}, "num_experts_per_tok": 1"#
                );
                let json = format!(r#"{{"model_type": "{}", {rope}, "never_seen": {value}}}"#, architecture.model_type);
                DecoderConfig::from_json(json.as_bytes(), Path::new("config.json"))
            };
            for neutral in ["null", "false", "0", "0.0", "1", "1.0", "\"\"", "[]", "{}"] {
                assert!(read(neutral).is_ok(), "{}: {neutral}: {:?}", architecture.model_type, read(neutral));
            }
            for other in ["true", "2", "-1", "0.5", "\"x\"", "[0]", "{\"a\": null}"] {
                let error = read(other).expect_err(other).to_string();
                assert!(error.contains("`never_seen` is "), "{}: {error}", architecture.model_type);
            }
        }
    }
}

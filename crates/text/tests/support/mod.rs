//! A tiny word-level tokenizer, and [`Text`]s built around it.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use neuro_text::{Text, TextFiles};
use serde_json::{Value, json};

/// Words split at white space; `<s>` is put before a text by the post-processor.
pub(crate) fn tokenizer() -> Value {
    let special = |id: u32, content: &str| json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
        "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}
        },
        "decoder": null,
        "model": {
            "type": "WordLevel", "unk_token": "<unk>",
            "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "red": 3, "green": 4, "blue": 5, "user:": 6, "<end>": 7}
        }
    })
}

pub(crate) fn config() -> Value {
    json!({"bos_token": "<s>", "eos_token": {"__type": "AddedToken", "content": "</s>"}, "unk_token": "<unk>", "pad_token": null})
}

pub(crate) fn files(config: &Value) -> TextFiles {
    TextFiles {
        tokenizer: tokenizer().to_string().into_bytes(),
        config: Some(config.to_string().into_bytes()),
        ..TextFiles::default()
    }
}

/// The tokenizer above with one chat template.
pub(crate) fn with_template(template: &str) -> Text {
    with_templates(&config(), BTreeMap::from([("default".to_string(), template.to_string())]))
}

pub(crate) fn with_templates(config: &Value, templates: BTreeMap<String, String>) -> Text {
    Text::from_files(&TextFiles { templates, ..files(config) }, "tokenizer.json").expect("the fixture is valid")
}

/// The folder of real models and templates beside the project; `None` on other machines.
pub(crate) fn shared(part: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(part);
    if !path.exists() {
        #[expect(clippy::print_stdout, reason = "says why a test was skipped")]
        {
            println!("skipped: there is no ../shared/data/{part} beside the project");
        }
        return None;
    }
    Some(path)
}

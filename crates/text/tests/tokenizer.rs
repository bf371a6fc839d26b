//! Tokenizers: what a folder may hold, special tokens, and streaming.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

mod support;

use std::fs;

use neuro_text::{Message, RenderOptions, Text, TextError};
use proptest::prelude::*;
use serde_json::json;

fn folder(files: &[(&str, String)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

#[test]
fn a_folder_without_a_tokenizer_is_no_error() {
    let dir = folder(&[("config.json", "{}".into())]);
    assert!(Text::open(dir.path()).unwrap().is_none());
    assert!(Text::open(&dir.path().join("absent")).unwrap().is_none());
}

#[test]
fn tokenizers_in_other_forms_are_refused_with_advice() {
    let dir = folder(&[("vocab.json", "{}".into()), ("merges.txt", String::new())]);
    let error = Text::open(dir.path()).unwrap_err();
    assert!(matches!(error, TextError::VocabularyOnly { .. }));
    assert!(error.to_string().contains("save_pretrained"), "{error}");
}

#[test]
fn broken_files_are_named() {
    for (tokenizer, config, expected) in [
        ("{".to_string(), "{}".to_string(), "tokenizer.json"),
        ("{\"model\": 3}".to_string(), "{}".to_string(), "tokenizer.json"),
        (support::tokenizer().to_string(), "[1]".to_string(), "tokenizer_config.json"),
        (support::tokenizer().to_string(), json!({"bos_token": 3}).to_string(), "bos_token"),
        (
            support::tokenizer().to_string(),
            json!({"added_tokens_decoder": {"x": {"content": "a"}}}).to_string(),
            "added_tokens_decoder",
        ),
        (support::tokenizer().to_string(), json!({"chat_template": [{"name": "a"}]}).to_string(), "chat_template"),
    ] {
        let dir = folder(&[("tokenizer.json", tokenizer), ("tokenizer_config.json", config)]);
        let error = Text::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn words_become_ids_and_back() {
    let text = Text::from_files(&support::files(&support::config()), "t").unwrap();
    assert_eq!(text.encode("red green", true).unwrap(), [1, 3, 4]);
    assert_eq!(text.encode("red </s> mauve", false).unwrap(), [3, 2, 0]);
    assert_eq!(text.decode(&[1, 3, 4, 2], true).unwrap(), "red green");
    assert_eq!(text.decode(&[1, 3], false).unwrap(), "<s> red");
    assert_eq!(text.decode(&[3, 4_000_000_000], true).unwrap(), "red");
    assert_eq!(text.vocab_size(), 8);
    assert_eq!(text.bos_token(), Some(("<s>", 1)));
    assert_eq!(text.eos_token(), Some(("</s>", 2)));
    assert_eq!((text.token_to_id("blue"), text.id_to_token(5)), (Some(5), Some("blue".into())));
    assert!(!text.has_template() && text.template_hash().is_none());
    assert!(matches!(text.render(&[Message::user("red")], &RenderOptions::default()), Err(TextError::NoTemplate)));
    assert_eq!(text.tokenizer_hash().len(), 64);
}

/// Beside a `tokenizer.json`, transformers 5.23 ignores `add_bos_token`: the post-processor decides.
#[test]
fn the_post_processor_decides_what_is_added() {
    let mut config = support::config();
    config["add_bos_token"] = json!(false);
    config["add_eos_token"] = json!(true);
    let text = Text::from_files(&support::files(&config), "t").unwrap();
    assert_eq!(text.encode("red", true).unwrap(), [1, 3]);
}

#[test]
fn named_tokens_are_special_wherever_they_are_declared() {
    // In the vocabulary, but no added token of `tokenizer.json`: declared by the config alone.
    let mut config = support::config();
    config["eos_token"] = json!("<end>");
    let text = Text::from_files(&support::files(&config), "t").unwrap();
    assert_eq!(text.encode("red<end>blue", false).unwrap(), [3, 7, 5]);
    assert_eq!(text.decode(&[3, 7], true).unwrap(), "red");
    assert_eq!(text.eos_token(), Some(("<end>", 7)));
    // In no vocabulary: appended.
    config["eos_token"] = json!({"content": "<new>", "lstrip": false, "normalized": false});
    let text = Text::from_files(&support::files(&config), "t").unwrap();
    assert_eq!(text.eos_token(), Some(("<new>", 8)));
    // The older file counts only where the config has no `added_tokens_decoder`.
    let mut files = support::files(&support::config());
    files.special_tokens_map = Some(json!({"eos_token": "<end>"}).to_string().into_bytes());
    assert_eq!(Text::from_files(&files, "t").unwrap().eos_token(), Some(("<end>", 7)));
    let mut config = support::config();
    config["added_tokens_decoder"] = json!({"2": {"content": "</s>", "special": true, "normalized": false}});
    files.config = Some(config.to_string().into_bytes());
    assert_eq!(Text::from_files(&files, "t").unwrap().eos_token(), Some(("</s>", 2)));
}

#[test]
fn templates_are_found_where_transformers_finds_them() {
    let tokenizer = || ("tokenizer.json", support::tokenizer().to_string());
    let options =
        |name: Option<&str>| RenderOptions { template_name: name.map(Into::into), ..RenderOptions::default() };
    let messages = [Message::user("red")];
    let mut config = support::config();
    config["chat_template"] = json!("config");
    let dir = folder(&[tokenizer(), ("tokenizer_config.json", config.to_string())]);
    let text = Text::open(dir.path()).unwrap().unwrap();
    assert_eq!(text.render(&messages, &options(None)).unwrap(), "config");

    config["chat_template"] =
        json!([{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]);
    let dir = folder(&[tokenizer(), ("tokenizer_config.json", config.to_string())]);
    let text = Text::open(dir.path()).unwrap().unwrap();
    assert_eq!(text.template_names(), ["default", "tool_use"]);
    assert_eq!(text.render(&messages, &options(None)).unwrap(), "plain");
    assert_eq!(text.render(&messages, &options(Some("tool_use"))).unwrap(), "tools");
    let error = text.render(&messages, &options(Some("rag"))).unwrap_err().to_string();
    assert!(error.contains("default, tool_use"), "{error}");

    // Files of their own win over the config.
    let dir = folder(&[
        tokenizer(),
        ("tokenizer_config.json", config.to_string()),
        ("chat_template.jinja", "file {{ bos_token }}{{ eos_token }}{{ pad_token }}".into()),
        ("additional_chat_templates/rag.jinja", "rag".into()),
        ("additional_chat_templates/notes.txt", "no template".into()),
    ]);
    let text = Text::open(dir.path()).unwrap().unwrap();
    assert_eq!(text.template_names(), ["default", "rag"]);
    assert_eq!(text.render(&messages, &options(None)).unwrap(), "file <s></s>");
    assert_eq!(text.chat_tokens(&messages, &options(None)).unwrap(), [0, 1, 2]);
    assert_eq!(text.render(&messages, &options(Some("rag"))).unwrap(), "rag");
    assert_eq!(text.template_hash().unwrap().len(), 64);
}

/// Streaming gives what decoding at once gives, in whole characters.
fn assert_streams(text: &Text, ids: &[u32]) {
    let mut streaming = text.detokenizer();
    let mut joined = String::new();
    for &id in ids {
        joined.extend(streaming.push(id).unwrap());
    }
    joined.extend(streaming.finish().unwrap());
    assert_eq!(joined, text.decode(ids, true).unwrap(), "{ids:?}");
}

/// Two merges over all bytes, as GPT-2 spells them, and a byte-fallback vocabulary, as SentencePiece has.
fn byte_level() -> Text {
    let spelled: Vec<char> = {
        let plain =
            |byte: u32| (33..=126).contains(&byte) || (161..=172).contains(&byte) || (174..=255).contains(&byte);
        let mut next = 256;
        (0..256)
            .map(|byte| {
                char::from_u32(if plain(byte) {
                    byte
                } else {
                    next += 1;
                    next - 1
                })
                .unwrap()
            })
            .collect()
    };
    let mut vocabulary: serde_json::Map<_, _> =
        spelled.iter().enumerate().map(|(id, character)| (character.to_string(), json!(id))).collect();
    vocabulary.insert("Ġa".into(), json!(256));
    vocabulary.insert("bc".into(), json!(257));
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": [{"id": 258, "content": "<|end|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                  "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": ["Ġ a", "b c"]}
    });
    from_json(&tokenizer)
}

fn byte_fallback() -> Text {
    let mut vocabulary: serde_json::Map<_, _> = (0..256).map(|byte| (format!("<0x{byte:02X}>"), json!(byte))).collect();
    for (id, token) in ["▁", "a", "b", "▁a", "▁b", "é"].iter().enumerate() {
        vocabulary.insert((*token).to_string(), json!(256 + id));
    }
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "pre_tokenizer": null, "post_processor": null,
        "added_tokens": [{"id": 262, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
                  "fuse_unk": true, "byte_fallback": true, "vocab": vocabulary, "merges": ["▁ a", "▁ b"]}
    });
    from_json(&tokenizer)
}

fn from_json(tokenizer: &serde_json::Value) -> Text {
    let files = neuro_text::TextFiles { tokenizer: tokenizer.to_string().into_bytes(), ..Default::default() };
    Text::from_files(&files, "tokenizer.json").unwrap()
}

#[test]
fn streaming_never_prints_half_a_character() {
    for text in [byte_level(), byte_fallback()] {
        let ids = text.encode("a 🦀b 你好é", false).unwrap();
        let mut streaming = text.detokenizer();
        for &id in &ids {
            if let Some(piece) = streaming.push(id).unwrap() {
                assert!(!piece.contains('\u{fffd}') && !piece.is_empty(), "{piece:?}");
            }
        }
        assert_streams(&text, &ids);
        // Cut in the middle of a character: what is held back comes at the end.
        assert_streams(&text, &ids[..4]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streaming_any_tokens_equals_decoding_them_at_once(ids in prop::collection::vec(prop_oneof![0_u32..264, 120_u32..264, 255_u32..264], 0..40)) {
        assert_streams(&byte_level(), &ids);
        assert_streams(&byte_fallback(), &ids);
    }

    #[test]
    fn byte_level_text_survives_the_round_trip(text in ".{0,40}") {
        let tokenizer = byte_level();
        let ids = tokenizer.encode(&text, false).unwrap();
        prop_assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }

    #[test]
    fn a_damaged_tokenizer_is_an_error_at_most(at in 0_usize..2_000, byte in any::<u8>(), cut in any::<bool>()) {
        let mut files = support::files(&support::config());
        let at = at % files.tokenizer.len();
        if cut { files.tokenizer.truncate(at) } else { files.tokenizer[at] = byte }
        if let Ok(text) = Text::from_files(&files, "tokenizer.json") {
            let _ = text.encode("red <s> green", true);
        }
    }
}

/// Ids from transformers 5.23.0, `PreTrainedTokenizerFast.from_pretrained(FOLDER)(text).input_ids`,
/// and what it decodes them to without the special tokens.
#[test]
fn trained_tokenizers_encode_as_in_transformers() {
    for (model, cases) in [("models/stories260K", STORIES_260K), ("models/TinyStories-656K", TINY_STORIES_656K)] {
        let Some(dir) = support::shared(model) else { continue };
        let text = Text::open(&dir).unwrap().unwrap();
        for (input, ids, decoded) in cases {
            assert_eq!(text.encode(input, true).unwrap(), *ids, "{model}: {input}");
            assert_eq!(text.decode(ids, true).unwrap(), *decoded, "{model}: {input}");
            assert_streams(&text, ids);
        }
    }
}

type Case = (&'static str, &'static [u32], &'static str);
const STORIES_260K: &[Case] = &[
    ("Once upon a time", &[1, 403, 407, 261, 378], "Once upon a time"),
    (
        "  two  spaces and\na line",
        &[1, 410, 410, 259, 424, 414, 410, 262, 427, 412, 331, 419, 269, 13, 412, 278, 271, 411],
        "  two  spaces and\na line",
    ),
    (
        "naïve 🦀 你好",
        &[1, 297, 412, 198, 178, 360, 410, 243, 162, 169, 131, 410, 231, 192, 163, 232, 168, 192],
        "naïve 🦀 你好",
    ),
    ("Lily<s>said</s> \"hi\"!", &[1, 317, 1, 336, 2, 410, 313, 415, 417, 436, 443], "Lily said  \"hi\"!"),
    (
        "<|start_story|>Once<|end_story|> x",
        &[
            1, 410, 504, 506, 356, 295, 413, 98, 356, 304, 422, 506, 505, 441, 416, 331, 504, 506, 367, 98, 356, 304,
            422, 506, 505, 410, 444,
        ],
        "<|start_story|>Once<|end_story|> x",
    ),
    ("", &[1], ""),
];
const TINY_STORIES_656K: &[Case] = &[
    ("Once upon a time", &[1, 80, 147, 201, 282, 57], "Once upon a time"),
    (
        "  two  spaces and\na line",
        &[1, 80, 80, 80, 1209, 80, 415, 53, 1499, 85, 389, 3, 134, 64, 96, 57],
        "  two  spaces and\na line",
    ),
    ("naïve 🦀 你好", &[1, 80, 557, 0, 218, 0, 80, 0], "nave  "),
    (
        "Lily<s>said</s> \"hi\"!",
        &[1, 80, 629, 23, 71, 24, 174, 23, 0, 71, 24, 80, 5, 60, 61, 5, 4],
        "Lily<s>said<s> \"hi\"!",
    ),
    ("<|start_story|>Once<|end_story|> x", &[1, 1, 147, 682, 208, 183, 209, 210, 80, 76], "Once<|end_story|> x"),
    ("", &[1], ""),
];

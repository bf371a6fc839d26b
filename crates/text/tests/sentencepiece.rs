//! Folders that have only SentencePiece's `tokenizer.model`: against SentencePiece itself (`goldens/make_sentencepiece.py`),
//! against llama.cpp's vectors, and what the files beside it add.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::fs;
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use neuro_text::{Message, RenderOptions, Text};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

#[derive(Deserialize)]
struct Document {
    texts: Vec<String>,
    goldens: Vec<Golden>,
}

#[derive(Deserialize)]
struct Golden {
    name: String,
    model: String,
    ids: Vec<Vec<u32>>,
    decoded: Vec<String>,
}

/// A folder with this `tokenizer.model` and these JSON files.
fn folder(model: &[u8], files: &[(&str, Value)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tokenizer.model"), model).unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    dir
}

fn open(model: &[u8], files: &[(&str, Value)]) -> Result<Text, String> {
    let dir = folder(model, files);
    Text::open(dir.path()).map(Option::unwrap).map_err(|error| error.to_string())
}

/// Compares with what SentencePiece gave; a line for each difference.
fn compare(document: &Document) -> Vec<String> {
    let mut differing = Vec::new();
    for golden in &document.goldens {
        let text = open(&BASE64_STANDARD.decode(&golden.model).unwrap(), &[]).unwrap();
        for ((case, ids), decoded) in document.texts.iter().zip(&golden.ids).zip(&golden.decoded) {
            // Text behind a token that is found in it begins as if behind a space, as in transformers and llama.cpp.
            if case.contains("<tool>") {
                continue;
            }
            let found = text.encode(case, false).unwrap();
            if found != *ids {
                differing.push(format!("{}: {case:?}\n  found    {found:?}\n  expected {ids:?}", golden.name));
            }
            // The unknown piece, 0, is ` ⁇ ` to SentencePiece and spelled out in transformers.
            let found = text.decode(ids, false).unwrap();
            if found != *decoded && !ids.contains(&0) {
                differing.push(format!("{}: {ids:?}\n  found    {found:?}\n  expected {decoded:?}", golden.name));
            }
        }
    }
    differing
}

#[test]
fn texts_are_cut_and_joined_as_sentencepiece_does() {
    let document: Document = serde_json::from_str(include_str!("goldens/sentencepiece.json")).unwrap();
    assert!(document.goldens.len() == 4 && document.texts.len() > 20);
    let differing = compare(&document);
    assert!(differing.is_empty(), "{}\n{}", differing.len(), differing.join("\n"));
}

/// The same for other models, with a document that the script makes of them.
#[test]
fn other_models_are_read_as_sentencepiece_does() {
    let Some(file) = std::env::var_os("NEURO_SENTENCEPIECE") else {
        println!("skipped: NEURO_SENTENCEPIECE names no document of make_sentencepiece.py");
        return;
    };
    let document: Document = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let differing = compare(&document);
    assert!(differing.is_empty(), "{}\n{}", differing.len(), differing.join("\n"));
}

/// A path in the folder of real tokenizers; `None`, with a message, where it is missing.
fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/tokenizers").join(name);
    let found = path.exists();
    if !found {
        println!("skipped: {} does not exist", path.display());
    }
    found.then_some(path)
}

#[test]
fn llama_2_encodes_as_llama_cpp_does() {
    let Some(file) = real("llama2/tokenizer.model") else { return };
    let text = open(&fs::read(file).unwrap(), &[]).unwrap();
    assert_eq!((text.bos_token(), text.eos_token()), (Some(("<s>", 1)), Some(("</s>", 2))));
    assert_eq!(text.encode("Hello", true).unwrap(), [1, 15043]);
    let read = |ending: &str| fs::read_to_string(real(&format!("tests/llama-spm.{ending}")).unwrap()).unwrap();
    let (texts, ids) = (read("inp"), read("out"));
    let mut cases = 0;
    for (case, ids) in texts.split("\n__ggml_vocab_test__\n").zip(ids.lines()) {
        let ids: Vec<u32> = ids.split_whitespace().map(|id| id.parse().unwrap()).collect();
        assert_eq!(text.encode(case, false).unwrap(), ids, "{case:?}");
        assert_eq!(text.decode(&ids, false).unwrap(), case);
        cases += 1;
    }
    assert!(cases >= 40, "{cases}");
}

#[test]
fn ranks_of_tiktoken_are_told_from_pieces() {
    let error = open(b"IQ== 0\nIg== 1\n", &[]).unwrap_err();
    assert!(
        error.contains("tiktoken") && error.contains("save_pretrained") && error.contains("tokenizer.model"),
        "{error}"
    );
    let Some(file) = real("llama3/tokenizer.model") else { return };
    assert!(open(&fs::read(file).unwrap(), &[]).unwrap_err().contains("tiktoken"));
}

/// A message of pieces with their kinds and scores, and the fields behind them.
fn model(pieces: &[(&str, u8, f32)], more: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (text, kind, score) in pieces {
        let mut piece = vec![0x0a, u8::try_from(text.len()).unwrap()];
        piece.extend(text.bytes());
        piece.push(0x15);
        piece.extend(score.to_le_bytes());
        piece.extend([0x18, *kind]);
        bytes.extend([0x0a, u8::try_from(piece.len()).unwrap()]);
        bytes.extend(piece);
    }
    bytes.extend(more);
    bytes
}

/// Merges, and no trimming of spaces.
const BPE: &[u8] = b"\x12\x02\x18\x02\x1a\x02\x20\x00";

fn small() -> Vec<u8> {
    let own = [("<unk>", 2, 0.0), ("<s>", 3, 0.0), ("</s>", 3, 0.0)];
    let pieces = [("▁a", 1, -1.0), ("ab", 1, -2.0), ("a", 1, -3.0), ("b", 1, -4.0), ("▁", 1, -5.0)];
    model(&[&own[..], &pieces].concat(), BPE)
}

#[test]
fn files_beside_it_add_tokens_and_say_what_surrounds_a_text() {
    let text = open(&small(), &[]).unwrap();
    assert_eq!(text.encode("abc", true).unwrap(), [1, 3, 6, 0]);
    assert!(!text.has_template());
    let added = json!({"<tool>": 8, "<pad>": 9});
    let map = json!({"pad_token": "<pad>", "bos_token": {"content": "<s>"}});
    let config = json!({
        "add_bos_token": false, "add_eos_token": true, "chat_template": "{{ bos_token }}<tool>{{ messages[0].content }}",
    });
    let files = [("added_tokens.json", added), ("special_tokens_map.json", map), ("tokenizer_config.json", config)];
    let text = open(&small(), &files).unwrap();
    assert_eq!(text.vocab_size(), 10);
    assert_eq!(text.encode("a<tool>a", true).unwrap(), [3, 8, 3, 2]);
    // `<pad>` has a role, so it is no text; `<tool>` is.
    assert_eq!(text.decode(&[3, 8, 9, 5], true).unwrap(), "a<tool>a");
    let rendered = text.render(&[Message::user("ab")], &RenderOptions::default()).unwrap();
    assert_eq!(rendered, "<s><tool>ab");
    assert_eq!(text.encode(&rendered, false).unwrap(), [1, 8, 3, 6]);
}

#[test]
fn newer_folders_list_every_token_with_its_flags() {
    let token = |content: &str, special: bool| json!({"content": content, "special": special, "normalized": false});
    let config = json!({
        "legacy": false, "bos_token": "<s>", "eos_token": "<end>",
        "added_tokens_decoder": {"0": token("<unk>", true), "1": token("<s>", true), "8": token("<end>", true)},
    });
    let text = open(&small(), &[("tokenizer_config.json", config)]).unwrap();
    assert_eq!(text.eos_token(), Some(("<end>", 8)));
    assert_eq!(text.decode(&[3, 8], true).unwrap(), "a");
    // `legacy: false`: only the beginning of a text begins as if behind a space.
    assert_eq!(text.encode("a<s>a", false).unwrap(), [3, 1, 5]);
    let legacy = json!({"legacy": true});
    assert_eq!(
        open(&small(), &[("tokenizer_config.json", legacy)]).unwrap().encode("a<s>a", false).unwrap(),
        [3, 1, 3]
    );
}

#[test]
fn a_tokenizer_json_goes_first() {
    let dir = folder(&small(), &[("tokenizer.json", json!({"model": 3}))]);
    let error = Text::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
}

#[test]
fn broken_folders_are_named() {
    let pieces = |pieces: &[(&str, u8, f32)]| model(pieces, BPE);
    let unknown = ("<unk>", 2, 0.0);
    for (model, files, expected) in [
        (b"x".to_vec(), vec![], "middle of a number"),
        (pieces(&[("a", 1, 0.0)]), vec![], "0 of its pieces are the unknown one"),
        (pieces(&[unknown, ("a", 1, 0.0), ("a", 1, 0.0)]), vec![], "\"a\" is there twice, as 1 and as 2"),
        (pieces(&[unknown, ("a", 5, 0.0)]), vec![], "unused"),
        (small(), vec![("added_tokens.json", json!({"x": 10}))], "id 10, and none with 8"),
        (small(), vec![("added_tokens.json", json!({"x": -1}))], "no token id"),
        (small(), vec![("added_tokens.json", json!({"x": u64::MAX}))], "and none with 8"),
        (small(), vec![("added_tokens.json", json!({"": 8}))], "empty token"),
        (small(), vec![("added_tokens.json", json!({"a": 8}))], "there twice"),
        (small(), vec![("added_tokens.json", json!([1]))], "added_tokens.json"),
        (
            small(),
            vec![("tokenizer_config.json", json!({"added_tokens_decoder": {"x": {"content": "y"}}}))],
            "expected token ids",
        ),
    ] {
        let error = open(&model, &files).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    // Rules of normalisation that are none: an error that names the file, or a text; never a crash.
    for (charsmap, expected) in [
        (&b"\x12\x01\x00"[..], "has 1 bytes"),
        (b"\x12\x05\xff\xff\xff\xff\x00", "a trie of 4294967295 bytes"),
        (b"\x12\x08\x04\x00\x00\x00\xff\xff\xff\xff", ""),
    ] {
        let mut spec = vec![0x1a, u8::try_from(charsmap.len()).unwrap()];
        spec.extend(charsmap);
        match open(&model(&[unknown, ("a", 1, 0.0)], &spec), &[]) {
            Ok(text) => {
                assert!(expected.is_empty(), "{expected}");
                let _ = text.encode("aé", false);
            }
            Err(error) => assert!(error.contains("tokenizer.model") && error.contains(expected), "{error}"),
        }
    }
}

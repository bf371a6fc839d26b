//! Tokenizers from GGUF headers: llama.cpp's own vectors where they are at hand, and what a header may say.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use std::fs;
use std::path::{Path, PathBuf};

use neuro_checkpoint::HeaderTokenizer;
use neuro_text::{Message, RenderOptions, Text};
use serde_json::Value;

/// A path in the folder of real tokenizers; `None`, with a message, where it is missing.
fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/tokenizers").join(name);
    let found = path.exists();
    if !found {
        println!("skipped: {} does not exist", path.display());
    }
    found.then_some(path)
}

/// llama.cpp's cases: texts, and the ids of each without anything added (its `tests/test-tokenizer-0.cpp`).
fn vectors(folder: &Path, name: &str) -> Vec<(String, Vec<u32>)> {
    let read = |ending: &str| fs::read_to_string(folder.join(format!("tests/{name}.{ending}"))).unwrap();
    let (texts, ids) = (read("inp"), read("out"));
    let texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
    let ids: Vec<&str> = ids.lines().collect();
    let texts = texts.into_iter().take(ids.len());
    let parse = |line: &str| line.split_whitespace().map(|id| id.parse().unwrap()).collect();
    let cases: Vec<_> = texts.map(str::to_owned).zip(ids.into_iter().map(parse)).collect();
    assert!(cases.len() >= 40, "{name}: {} cases", cases.len());
    cases
}

/// Which cases come out otherwise, and whether all come back from their ids.
fn check(text: &Text, cases: &[(String, Vec<u32>)], name: &str) {
    let differing: Vec<_> = cases
        .iter()
        .filter_map(|(case, ids)| {
            let found = text.encode(case, false).unwrap();
            (found != *ids).then(|| format!("{case:?}\n  found    {found:?}\n  expected {ids:?}"))
        })
        .collect();
    assert!(differing.is_empty(), "{name}: {} of {}\n{}", differing.len(), cases.len(), differing.join("\n"));
    for (case, ids) in cases {
        assert_eq!(text.decode(ids, false).unwrap(), *case, "{name}");
    }
}

#[test]
fn vocabularies_encode_as_llama_cpp_does() {
    for name in ["llama-spm", "gpt-2", "phi-3"] {
        let Some(file) = real(&format!("ggml-vocab-{name}.gguf")) else { return };
        let header = HeaderTokenizer::open(&file).unwrap().unwrap();
        let text = Text::from_header(&header, name).unwrap();
        check(&text, &vectors(file.parent().unwrap(), name), name);
    }
}

/// A header as a conversion writes it, from the model's own vocabulary and merges.
fn byte_level(pre: &str, tokens: Vec<String>, merges: Vec<String>) -> HeaderTokenizer {
    let kinds = vec![1; tokens.len()];
    let pre = Some(pre.to_owned());
    HeaderTokenizer { model: "gpt2".to_owned(), pre, tokens, kinds, merges, ..HeaderTokenizer::default() }
}

#[test]
fn qwen2_encodes_as_llama_cpp_does() {
    let Some(folder) = real("qwen2.5") else { return };
    let vocabulary: Value = serde_json::from_slice(&fs::read(folder.join("vocab.json")).unwrap()).unwrap();
    let mut tokens = vec![String::new(); vocabulary.as_object().unwrap().len()];
    for (token, id) in vocabulary.as_object().unwrap() {
        tokens[id.as_u64().unwrap() as usize] = token.clone();
    }
    let merges = fs::read_to_string(folder.join("merges.txt")).unwrap();
    let merges = merges.lines().filter(|line| !line.starts_with("#version")).map(str::to_owned).collect();
    let text = Text::from_header(&byte_level("qwen2", tokens, merges), "qwen2").unwrap();
    check(&text, &vectors(folder.parent().unwrap(), "qwen2"), "qwen2");
}

/// Llama 3's file has ranks and no merges: a token's merge is how the tokens below its rank put its bytes together, as
/// transformers' conversion finds it (`TikTokenConverter.extract_vocab_merges_from_model`).
#[test]
fn llama_3_encodes_as_llama_cpp_does() {
    let Some(file) = real("llama3/tokenizer.model") else { return };
    let (tokens, merges) = support::of_ranks(&fs::read_to_string(&file).unwrap());
    let text = Text::from_header(&byte_level("llama-bpe", tokens, merges), "llama-bpe");
    // No `bos` is set in this header, and this kind begins texts with one.
    let message = text.unwrap_err().to_string();
    assert!(message.contains("add_bos_token") && message.contains("bos_token_id"), "{message}");
    let (tokens, merges) = support::of_ranks(&fs::read_to_string(&file).unwrap());
    let header = HeaderTokenizer { add_bos: Some(false), ..byte_level("llama-bpe", tokens, merges) };
    let text = Text::from_header(&header, "llama-bpe").unwrap();
    check(&text, &vectors(file.parent().unwrap().parent().unwrap(), "llama-bpe"), "llama-bpe");
}

mod support {
    use std::collections::HashMap;

    use base64::prelude::{BASE64_STANDARD, Engine as _};

    /// Tokens and merges in GPT-2's spelling of bytes, from lines of base64 and rank.
    pub(super) fn of_ranks(file: &str) -> (Vec<String>, Vec<String>) {
        let pieces: Vec<Vec<u8>> =
            file.lines().map(|line| BASE64_STANDARD.decode(line.split(' ').next().unwrap()).unwrap()).collect();
        let ranks: HashMap<&[u8], usize> =
            pieces.iter().enumerate().map(|(rank, piece)| (piece.as_slice(), rank)).collect();
        let spelling = spelling();
        let spell = |bytes: &[u8]| bytes.iter().map(|byte| spelling[usize::from(*byte)]).collect::<String>();
        let tokens = pieces.iter().map(|piece| spell(piece)).collect();
        let merges = pieces.iter().enumerate().filter(|(_, piece)| piece.len() > 1);
        let merges = merges.filter_map(|(rank, piece)| {
            let [left, right] = last_merge(piece, rank, &ranks)?;
            Some(format!("{} {}", spell(left), spell(right)))
        });
        (tokens, merges.collect())
    }

    /// The two parts that are left when all merges below a rank have been made; none where more are left.
    fn last_merge<'a>(piece: &'a [u8], rank: usize, ranks: &HashMap<&[u8], usize>) -> Option<[&'a [u8]; 2]> {
        let mut ends: Vec<usize> = (0..=piece.len()).collect();
        while ends.len() > 3 {
            let pair = |at: usize| ranks.get(&piece[ends[at]..ends[at + 2]]).copied().filter(|found| *found < rank);
            let (_, at) = (0..ends.len() - 2).filter_map(|at| Some((pair(at)?, at))).min()?;
            ends.remove(at + 1);
        }
        Some([&piece[..ends[1]], &piece[ends[1]..]])
    }

    /// A character for each byte: itself where it can be seen, and one from 256 on where not.
    fn spelling() -> Vec<char> {
        let mut next = 256;
        let seen = |byte: u32| (33..=126).contains(&byte) || (161..=172).contains(&byte) || byte >= 174;
        let spell = |byte: u32| {
            let code = if seen(byte) {
                byte
            } else {
                next += 1;
                next - 1
            };
            char::from_u32(code).unwrap()
        };
        (0..256).map(spell).collect()
    }
}

/// A SentencePiece vocabulary of a few pieces and all bytes.
fn pieces() -> HeaderTokenizer {
    let own = [("<unk>", 2, 0.0), ("<s>", 3, 0.0), ("</s>", 3, 0.0)];
    let mut tokens: Vec<(String, i64, f32)> = own.map(|(token, kind, score)| (token.to_owned(), kind, score)).into();
    tokens.extend((0..256).map(|byte| (format!("<0x{byte:02X}>"), 6, 0.0)));
    for (at, piece) in ["▁a", "▁ab", "ab", "b", "a", "▁", "<tool>"].into_iter().enumerate() {
        let kind = if piece == "<tool>" { 4 } else { 1 };
        tokens.push((piece.to_owned(), kind, -(at as f32)));
    }
    HeaderTokenizer {
        model: "llama".to_owned(),
        tokens: tokens.iter().map(|token| token.0.clone()).collect(),
        kinds: tokens.iter().map(|token| token.1).collect(),
        scores: tokens.iter().map(|token| token.2).collect(),
        ..HeaderTokenizer::default()
    }
}

#[test]
fn what_a_header_says_about_a_text_s_ends_and_spaces() {
    let text = Text::from_header(&pieces(), "t").unwrap();
    // <s> by default, `▁` before the text and behind a token of its own, bytes for what no piece has.
    assert_eq!(text.encode("ab", true).unwrap(), [1, 260]);
    assert_eq!(text.encode("ab<tool>a\n", false).unwrap(), [260, 265, 259, 3 + 10]);
    assert_eq!(text.decode(&[1, 260, 265, 259, 13], true).unwrap(), "ab<tool> a\n");
    assert_eq!((text.bos_token(), text.eos_token()), (Some(("<s>", 1)), Some(("</s>", 2))));
    assert!(!text.has_template());

    let other = HeaderTokenizer {
        add_bos: Some(false),
        add_eos: Some(true),
        add_space_prefix: Some(false),
        roles: [("eos".to_owned(), 1)].into(),
        templates: [("default".to_owned(), "{{ messages[0].content }}{{ eos_token }}".to_owned())].into(),
        ..pieces()
    };
    let text = Text::from_header(&other, "t").unwrap();
    assert_eq!(text.encode("ab", true).unwrap(), [261, 1]);
    assert_eq!(text.decode(&[261], true).unwrap(), "ab");
    assert_eq!(text.render(&[Message::user("b")], &RenderOptions::default()).unwrap(), "b<s>");
}

#[test]
fn headers_that_make_no_tokenizer_are_refused() {
    let twice = HeaderTokenizer { tokens: vec!["a".into(), "a".into()], ..pieces() };
    let bpe = |pre: &str, merges: &[&str]| {
        byte_level(pre, vec!["a".into(), "b".into()], merges.iter().map(|merge| (*merge).to_owned()).collect())
    };
    for (header, parts) in [
        (
            HeaderTokenizer { model: "t5".to_owned(), ..pieces() },
            ["`tokenizer.ggml.model` is \"t5\"", "known: llama, gpt2"],
        ),
        (HeaderTokenizer { tokens: Vec::new(), ..pieces() }, ["`tokenizer.ggml.tokens`", "is empty"]),
        (twice, ["`tokenizer.ggml.tokens` has \"a\" twice", "0 and as 1"]),
        (HeaderTokenizer { scores: Vec::new(), ..pieces() }, ["`tokenizer.ggml.scores`", "missing"]),
        (bpe("gpt-2", &[]), ["`tokenizer.ggml.merges`", "missing"]),
        (bpe("gpt-2", &["ab"]), ["`tokenizer.ggml.merges` has \"ab\"", "space between"]),
        (bpe("gpt-2", &["a b"]), ["`tokenizer.ggml.merges` has \"a b\"", "make a third"]),
        (bpe("kimi-k2", &["a b"]), ["`tokenizer.ggml.pre` is \"kimi-k2\"", "known: default, gpt-2"]),
    ] {
        let message = Text::from_header(&header, "t").unwrap_err().to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "no {parts:?} in: {message}");
    }
}

//! MODEL as a GGUF file.

use std::path::{Path, PathBuf};

use crate::support::{Place, assert_output};

/// A small model with a tensor of every number format, and a tokenizer of letters.
fn every_format() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gguf/every-format.gguf")
}

/// A trained model as a file and as a folder; `None`, with a message, where the data is not at hand.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn stories() -> Option<[String; 2]> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/models");
    let found = folder.is_dir();
    if !found {
        println!("skipped: {} does not exist", folder.display());
    }
    found.then(|| ["stories260K.gguf", "stories260K"].map(|name| folder.join(name).display().to_string()))
}

#[test]
fn a_file_is_described_layer_by_layer() {
    let output = Place::new().run(&["doctor", &every_format().display().to_string(), "--quick"]);
    assert!(output.starts_with("exit code: 0"), "{output}");
    let start = output.find("every-format (").expect("the model is described");
    assert_output!(&output[start..], @r"
    every-format (llama, 120,064 parameters)
      weights       100.5 KiB in one file (F32 (5 tensors), Q8_0 (2 tensors), F16 (1 tensor), BF16 (1
                    tensor), Q4_0 (1 tensor), Q4_1 (1 tensor), Q5_0 (1 tensor), Q5_1 (1 tensor), Q2_K (1
                    tensor), Q3_K (1 tensor), Q4_K (1 tensor), Q5_K (1 tensor), Q6_K (1 tensor), IQ4_NL
                    (1 tensor), IQ4_XS (1 tensor), MXFP4 (1 tensor))
      memory        469.0 KiB as f32, and 256 bytes for each token of state
      quantised     [size] as Q8_0, [size] as Q4_K (--quantize)
      tokenizer     40 tokens, chat template
      vocabulary    40 tokens, head of its own
      hidden        256
      context       64 tokens
      end of text   [2]
      layers        2
      blocks        3 in a scan, beside the baseline

      layers 0..1   49,664 parameters · 2 heads of 16, 1 for keys and values · sees everything · rope
                    base 500, factors up to × 8 · MLP 32 silu
    ----- stderr -----
    ");
}

#[test]
fn quantised_files_run_quantised_unless_asked_otherwise() {
    let place = Place::new();
    let ask = |flags: &[&str]| {
        let file = every_format().display().to_string();
        place.json(&[&["ask", &file, "the rein", "--max-tokens", "5", "--json"][..], flags].concat())
    };
    let (held, exact) = (ask(&[]), ask(&["--quantize", "f32"]));
    assert_eq!((&held["compute"], &exact["compute"]), (&"Q8_0".into(), &"f32".into()));
    assert_eq!((&held["model"]["id"], &held["model"]["model_type"]), (&"every-format".into(), &"llama".into()));
    assert_eq!(held["model"]["hash"], exact["model"]["hash"]);
    assert!(held["model"]["dtype"].as_str().is_some_and(|dtype| dtype.contains("Q4_K (1 tensor)")), "{held}");
    // The template gives the message and </s>, without <s>: `▁the ▁ r e in </s>`.
    assert_eq!(held["prompt_tokens"], exact["prompt_tokens"]);
    assert!(exact["tokens"].as_array().is_some_and(|tokens| !tokens.is_empty()));
}

#[test]
fn what_is_no_model_is_told_what_to_give() {
    let place = Place::new();
    std::fs::write(place.path().join("broken.gguf"), b"GGUF\x03\0\0\0").expect("a file");
    std::fs::write(place.path().join("pytorch_model.bin"), b"PK").expect("a file");
    assert_output!(place.run(&["doctor", "--quick", "absent.gguf"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: the model file absent.gguf does not exist
    hint: MODEL is a folder with config.json and *.safetensors, a .gguf file, `phantom`, `phantom-plain`, or a name on the Hugging Face hub such as Qwen/Qwen3-0.6B
    ");
    assert_output!(place.run(&["ask", "broken.gguf", "x"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: broken.gguf: GGUF: the number of tensors claims 8 bytes at byte 8, but only 0 are left; the file is damaged or incomplete, download it again
    ");
    assert_output!(place.run(&["ask", "pytorch_model.bin", "x"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: pytorch_model.bin: holds weights as pickles (.bin, .pt, .pth), which can run code and are not read; convert them with transformers: AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(OTHER_FOLDER); give the folder with the result
    ");
}

/// llama.cpp's greedy text on the same file, and the folder's.
#[test]
fn stories_are_told_as_elsewhere() {
    let Some(models) = stories() else { return };
    let place = Place::new();
    let [file, folder] =
        models.map(|model| place.json(&["ask", &model, "Once upon a time", "--max-tokens", "40", "--json"]));
    let expected = ", there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball.";
    assert!(file["answer"].as_str().is_some_and(|answer| answer.starts_with(expected)), "{file}");
    assert_eq!((&file["answer"], &file["tokens"]), (&folder["answer"], &folder["tokens"]));
    assert_eq!(file["compute"], "f32");
}

#[test]
fn a_scan_records_the_file() {
    let Some([file, _]) = stories() else { return };
    let place = Place::new();
    let output = place.run(&["scan", &file, "--questions", "2", "--out", "run"]);
    assert!(output.starts_with("exit code: 0"), "{output}");
    let run = std::fs::read_to_string(place.path().join("run/run.json")).expect("the run is recorded");
    let run: serde_json::Value = serde_json::from_str(&run).expect("JSON");
    assert_eq!((&run["model"]["id"], &run["model"]["dtype"]), (&"stories260K".into(), &"F32".into()));
    assert!(run["tokenizer_hash"].as_str().is_some_and(|hash| hash.len() == 64), "{run}");
    let rows = std::fs::read_to_string(place.path().join("run/rows.jsonl")).expect("rows are recorded");
    // Every block of 5 layers, and the baseline.
    assert_eq!(rows.lines().count(), 16);
}

/// The file itself is not overwritten; what lies beside it is none of the model's.
#[test]
fn only_the_file_is_the_model() {
    let place = Place::new();
    std::fs::copy(every_format(), place.path().join("m.gguf")).expect("copied");
    let write = |out: &str| place.run(&["logits", "m.gguf", "--tokens", "1,2", "--out", out]);
    assert!(write("m.gguf").contains("m.gguf would be lost: it is a file of a model"), "{}", write("m.gguf"));
    for _ in 0..2 {
        assert!(write("l.safetensors").starts_with("exit code: 0"), "{}", write("l.safetensors"));
    }
}

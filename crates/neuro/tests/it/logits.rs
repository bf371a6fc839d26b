use std::path::Path;

use safetensors::SafeTensors;

use crate::support::{Place, assert_output, fixture};

fn tensor(file: &Path, name: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(file).expect("the file is there");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let tensor = tensors.tensor(name).expect("the tensor is there");
    let numbers =
        tensor.data().chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    (tensor.shape().to_vec(), numbers.collect())
}

/// Tokens, path and name of the reference tensor of each case of the fixture.
fn cases() -> (String, Vec<(String, String)>) {
    let golden = std::fs::read(fixture().join("golden.json")).expect("golden.json");
    let golden: serde_json::Value = serde_json::from_slice(&golden).expect("JSON");
    let bytes = std::fs::read(fixture().join("golden.safetensors")).expect("golden.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let tokens = tensors.tensor(golden["tokens"].as_str().expect("a name")).expect("tokens");
    let width = tokens.data().len() / tokens.shape().iter().product::<usize>();
    let ids = tokens
        .data()
        .chunks_exact(width)
        .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).to_string());
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let cases = golden["cases"].as_array().expect("cases").iter();
    (ids.collect::<Vec<_>>().join(","), cases.map(|case| (text(&case["path"]), text(&case["logits"]))).collect())
}

#[test]
fn they_are_those_of_transformers() {
    let place = Place::new();
    let folder = fixture().display().to_string();
    let (tokens, cases) = cases();
    assert!(cases.len() >= 3);
    for (path, name) in cases {
        let output =
            place.output(&["logits", &folder, "--path", &path, "--tokens", &tokens, "--out", "logits.safetensors"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty());
        let (shape, found) = tensor(&place.path().join("logits.safetensors"), "logits");
        let (expected_shape, expected) = tensor(&fixture().join("golden.safetensors"), &name);
        assert_eq!(shape, expected_shape[expected_shape.len() - 2..], "{path}");
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= 1e-4, "{path}: {worst}");
    }
}

/// Activations are rounded too.
#[test]
fn fewer_bits_give_other_logits() {
    let place = Place::new();
    let folder = fixture().display().to_string();
    let logits = |flags: &[&str]| {
        let arguments = [&["logits", &folder, "--tokens", "1,2,3", "--out", "a.safetensors"], flags].concat();
        assert!(place.output(&arguments).status.success());
        tensor(&place.path().join("a.safetensors"), "logits").1
    };
    let (exact, asked, rounded) = (logits(&[]), logits(&["--quantize", "f32"]), logits(&["--quantize", "q8_0"]));
    assert_eq!(exact, asked);
    let worst = exact.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst > 0.0 && worst < 0.2, "{worst}");
}

#[test]
fn without_a_path_it_is_the_baseline() {
    let place = Place::new();
    let folder = fixture().display().to_string();
    assert_output!(place.run(&["logits", &folder, "--tokens", "1,2,3", "--out", "a.safetensors"]), @r"
    exit code: 0
    ----- stdout -----
    ----- stderr -----
    a.safetensors: logits (3, 97) of path 0..3
    ");
    place.output(&["logits", &folder, "--path", "(0,0)", "--tokens=1,2,3", "--out=b.safetensors"]);
    let bytes = |name: &str| std::fs::read(place.path().join(name)).expect("written");
    assert_eq!(bytes("a.safetensors"), bytes("b.safetensors"));
}

#[test]
fn random_weights_need_only_a_config() {
    let place = Place::new();
    std::fs::copy(fixture().join("config.json"), place.path().join("config.json")).expect("copied");
    let arguments = ["logits", "config.json", "--random-weights", "7", "--tokens", "1,2", "--out", "f.safetensors"];
    assert!(place.output(&arguments).status.success());
    let (shape, values) = tensor(&place.path().join("f.safetensors"), "logits");
    assert_eq!(shape, [2, 97]);
    assert!(values.iter().all(|value| value.is_finite()) && values.iter().any(|value| *value != 0.0));
    assert_output!(place.run(&["logits", ".", "--tokens", "1,2", "--out", "f.safetensors"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: .: holds .safetensors files, but neither model.safetensors nor model.safetensors.index.json; rename a single file to model.safetensors, or download the index
    ");
}

#[test]
fn what_is_impossible_is_refused_with_advice() {
    let place = Place::new();
    let folder = fixture().display().to_string();
    let refused = |arguments: &[&str]| {
        let start = ["logits", &folder, "--out", "f.safetensors"];
        place.run(&start.iter().chain(arguments).copied().collect::<Vec<_>>())
    };
    assert_output!(refused(&["--tokens", "1,97"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: token 97 does not exist: the vocabulary has the tokens 0 to 96
    ");
    assert_output!(refused(&["--tokens", "1", "--path", "0..4"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: --path 0..4: layer 4 does not exist: the model has 4 layers, 0 to 3; `a..b` includes b
    hint: `neuro doctor MODEL` describes the model's layers
    ");
    assert_output!(refused(&["--tokens", "1", "--path", "0..3;1"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: --path 0..3;1: blocks, character 2: found `..3;1`, expected `,` and the block's end j, as in `(24,35)`
    hint: write a path as `0..7,4..11`, a block as `(4,8)`; `neuro probe --help` shows every notation
    ");
    assert_output!(refused(&["--tokens", "1", "--path", "(2,9)"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: --path (2,9): the block (2, 9) is impossible: the model has 4 layers, so j is at most 4; layers i to j-1 run once more
    hint: `neuro doctor MODEL` describes the model's layers
    ");
    assert_output!(refused(&["--tokens", "1", "--path", "[0,1]"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: --path [0,1]: the list `[0,1]` is ambiguous: some tools read two numbers in brackets as a block, others as layers; write `(i,j)` for a block, `layers:0,1` for layers, or `[[0,4],[2,5]]` for PEFT's half-open ranges
    ");
    assert_output!(refused(&["--tokens", "1", "--device", "cuda"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: this binary was built without cuda, only for cpu
    hint: build one with it: cargo build --release --features cuda
    ");
    assert!(!place.path().join("f.safetensors").exists());
}

#[test]
fn folders_are_never_created() {
    let place = Place::new();
    let folder = fixture().display().to_string();
    assert_output!(place.run(&["logits", &folder, "--tokens", "1", "--out", "new/f.safetensors"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: new/f.safetensors cannot be written: the folder new does not exist
    hint: create it first: mkdir -p new
    ");
    assert!(!place.path().join("new").exists());
}

#[test]
fn models_that_are_not_there() {
    let place = Place::new();
    let model = |name: &str| place.run(&["logits", name, "--tokens", "1", "--out", "f"]);
    assert_output!(model("nowhere"), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: the model folder nowhere does not exist
    hint: MODEL is a folder with config.json and *.safetensors, a .gguf file, `phantom`, `phantom-plain`, or a name on the Hugging Face hub such as Qwen/Qwen3-0.6B
    ");
    assert_output!(model("Qwen/Qwen3-0.6B"), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: Qwen/Qwen3-0.6B is not complete on this machine (nothing of it is there; cache [folder]/hub), and HF_HUB_OFFLINE forbids the network
    hint: fetch it where there is a network: hf download Qwen/Qwen3-0.6B
    hint: or give as MODEL the path of a folder with config.json and *.safetensors, or of a .gguf file
    ");
    std::fs::create_dir(place.path().join("empty")).expect("created");
    assert_output!(model("empty"), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: empty: has no config.json; give a folder with config.json and safetensors weights
    ");
}

#[test]
fn nothing_of_a_model_or_a_run_is_replaced() {
    let place = Place::new();
    let model = place.path().join("w");
    std::fs::create_dir(&model).expect("created");
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture().join(file), model.join(file)).expect("copied");
    }
    let before = std::fs::read(model.join("model.safetensors")).expect("weights");
    assert_output!(place.run(&["logits", "w", "--tokens", "1", "--out", "./w/../w/model.safetensors"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: ./w/../w/model.safetensors would be lost: it is a file of a model
    hint: name another file to write
    ");
    let other = fixture().display().to_string();
    for arguments in [["logits", "w/config.json"], ["logits", &other]] {
        let more = ["--random-weights", "1", "--tokens", "1", "--out", "w/model.safetensors"];
        assert_eq!(place.output(&[&arguments[..], &more].concat()).status.code(), Some(1));
    }
    assert_eq!(std::fs::read(model.join("model.safetensors")).expect("weights"), before);
    assert!(place.output(&["logits", "w", "--tokens", "1", "--out", "w/logits.out"]).status.success());
}

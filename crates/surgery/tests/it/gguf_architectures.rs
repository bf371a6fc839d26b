//! Every architecture as a GGUF file and back: the file is described as the folder, computes what the folder computes, and
//! a path of it is the path of the folder; what GGUF cannot say is refused by reason.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use neuro_checkpoint::{Checkpoint, GgufArchitecture, LayerConfig, NormKind, RopeScaling};
use neuro_path::LayerPath;
use neuro_surgery::gguf::{GgufExport, Numbers, export};
use neuro_surgery::hf::Exported;
use neuro_surgery::verify::Probe;
use neuro_surgery::{Quiet, SurgeryError};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::common::{checkpoint, fixture, fixtures, logits};

/// A fixture with settings that llama.cpp has words for; `fixtures/gguf_architectures.py` compares the same with llama.cpp.
#[derive(serde::Deserialize)]
struct Case {
    fixture: String,
    #[serde(default)]
    settings: Map<String, Value>,
    /// Parts of names of weights that are left out.
    #[serde(default)]
    without: Vec<String>,
    /// Paths that the file can say; the first is its baseline where the model has one.
    paths: Vec<String>,
    /// Whether llama.cpp computes the model otherwise, in every file of it.
    #[serde(default)]
    otherwise: bool,
}

fn cases() -> Vec<Case> {
    serde_json::from_slice(&fs::read(fixture("gguf/architectures.json")).unwrap()).unwrap()
}

/// The fixture with other settings, in a folder of its own.
fn variant(case: &Case) -> (TempDir, Arc<Checkpoint>) {
    let (source, place) = (fixture(&case.fixture), tempfile::tempdir().unwrap());
    let mut config: Map<String, Value> =
        serde_json::from_slice(&fs::read(source.join("config.json")).unwrap()).unwrap();
    change(&mut config, &case.settings);
    fs::write(place.path().join("config.json"), serde_json::to_vec(&config).unwrap()).unwrap();
    for file in source.read_dir().unwrap().map(|file| file.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("model") {
            fs::write(place.path().join(&name), without(&fs::read(&file).unwrap(), &case.without)).unwrap();
        }
    }
    let opened = Arc::new(Checkpoint::open(place.path()).unwrap());
    (place, opened)
}

/// Sets keys, also within what the config holds.
fn change(config: &mut Map<String, Value>, settings: &Map<String, Value>) {
    for (key, value) in settings {
        match (config.get_mut(key).and_then(Value::as_object_mut), value.as_object()) {
            (Some(inner), Some(settings)) if key == "text_config" => change(inner, settings),
            _ => drop(config.insert(key.clone(), value.clone())),
        }
    }
}

/// A safetensors file without the tensors whose names hold one of the parts.
fn without(bytes: &[u8], parts: &[String]) -> Vec<u8> {
    if parts.is_empty() {
        return bytes.to_vec();
    }
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let (mut kept, mut data) = (Map::new(), Vec::new());
    for (name, mut entry) in header {
        if parts.iter().any(|part| name.contains(part.as_str())) || name == "__metadata__" {
            continue;
        }
        let offset = |at: usize| entry["data_offsets"][at].as_u64().unwrap() as usize;
        let (start, end) = (offset(0), offset(1));
        entry["data_offsets"] = json!([data.len(), data.len() + end - start]);
        data.extend_from_slice(&bytes[8 + length + start..8 + length + end]);
        kept.insert(name, entry);
    }
    let header = serde_json::to_vec(&kept).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

fn run(
    checkpoint: &Arc<Checkpoint>,
    path: &str,
    numbers: Option<Numbers>,
    out: &Path,
) -> Result<Exported, SurgeryError> {
    let path = LayerPath::parse(path, checkpoint.config.num_layers()).unwrap();
    let probe = Probe::new(None, None, checkpoint.config.vocab_size).unwrap();
    let export_ = GgufExport { checkpoint, source: "org/base", path: &path, numbers, text: None, probe: &probe };
    export(&export_, out, &mut Quiet)
}

/// A layer with every number as near as single precision, and norms as they are stored in GGUF.
fn as_described(layer: &LayerConfig) -> LayerConfig {
    let mut layer = layer.clone();
    let round = |number: &mut f64| *number = (*number * 1e4).round();
    if layer.norms.kind == NormKind::RmsAroundOne {
        layer.norms.kind = NormKind::Rms;
    }
    round(&mut layer.branch_scale);
    round(&mut layer.attention.scale);
    round(&mut layer.attention.rope.theta);
    layer.attention.softcap.iter_mut().for_each(round);
    if let Some(experts) = &mut layer.mlp.experts {
        round(&mut experts.scale);
        if let Some(groups) = &mut experts.groups {
            groups.summed = 2;
        }
    }
    match &mut layer.attention.rope.scaling {
        RopeScaling::Linear { factor } => round(factor),
        RopeScaling::Yarn { factor, attention_factor, truncate, .. } => {
            [factor, attention_factor].into_iter().for_each(round);
            // As llama.cpp has it always.
            *truncate = true;
        }
        RopeScaling::LongRope { short, long, attention_factor, .. } => {
            short.iter_mut().chain(long).chain([attention_factor]).for_each(round);
        }
        // What Llama 3's numbers mean as divisors is compared by the logits.
        scaling @ (RopeScaling::Llama3 { .. } | RopeScaling::Factors { .. }) => *scaling = RopeScaling::Default,
        _ => {}
    }
    if layer.attention.rope.rotary_dim == 0 {
        layer.attention.rope.theta = 0.0;
    }
    layer
}

#[test]
fn files_are_described_as_the_folders_and_compute_their_paths() {
    let mut seen = Vec::new();
    for case in cases() {
        let (_folder, source) = variant(&case);
        let place = tempfile::tempdir().unwrap();
        let mut whole: Option<Arc<Checkpoint>> = None;
        for (number, path) in case.paths.iter().enumerate() {
            let what = format!("{} {path}", case.fixture);
            let out = place.path().join(format!("{number}.gguf"));
            let exported =
                run(&source, path, Some(Numbers::F32), &out).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(exported.comparison.passed(), "{what}: {:?}", exported.comparison);
            let told = |words: &str| exported.notes.iter().any(|note| note.contains(words));
            assert_eq!(told("so it does in every GGUF file"), case.otherwise, "{what}: {:?}", exported.notes);
            assert_eq!(told("computed the model's own way"), case.otherwise, "{what}: {:?}", exported.notes);
            let sentence = exported.comparison.sentence();
            assert_eq!(sentence.contains("as llama.cpp runs this model"), case.otherwise, "{what}: {sentence}");
            let written = Arc::new(Checkpoint::open(&out).unwrap());
            let path = LayerPath::parse(path, source.config.num_layers()).unwrap();
            let expected: Vec<_> =
                path.layers().iter().map(|&layer| as_described(&source.config.layers[layer])).collect();
            let found: Vec<_> = written.config.layers.iter().map(as_described).collect();
            assert_eq!(found, expected, "{what}");
            let (one, other) = (&source.config, &written.config);
            assert_eq!(
                (one.vocab_size, one.hidden_size, one.max_position_embeddings, one.tie_word_embeddings),
                (other.vocab_size, other.hidden_size, other.max_position_embeddings, other.tie_word_embeddings),
                "{what}"
            );
            // The same from the file of the baseline, bit for bit.
            if path.is_baseline() {
                whole = Some(written);
            } else if let Some(whole) = &whole {
                let again = place.path().join(format!("{number}-again.gguf"));
                let copied =
                    run(whole, &path.to_string(), None, &again).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(copied.comparison.largest, 0.0, "{what}");
                let tokens: Vec<u32> = (0..24).map(|token| token * 7 % 39).collect();
                let baseline = LayerPath::baseline(path.len()).unwrap();
                let [direct, copied] =
                    [&out, &again].map(|file| logits(&Checkpoint::open(file).unwrap(), &baseline, &tokens));
                assert_eq!(direct, copied, "{what}");
            }
        }
        seen.push(GgufArchitecture::of_model_type(&source.config.model_type).unwrap().name);
    }
    seen.sort_unstable();
    seen.dedup();
    let mut all: Vec<_> = GgufArchitecture::ALL.iter().map(|known| known.name).collect();
    // Written as `llama`, read only.
    all.retain(|name| *name != "mistral3");
    all.sort_unstable();
    assert_eq!(seen, all);
}

/// From the folder, and from the file of the baseline.
#[test]
fn damped_visits_are_folded_or_refused_for_their_norms() {
    let mut refused = Vec::new();
    for case in cases().iter().filter(|case| case.paths[0] == "..") {
        let (_folder, source) = variant(case);
        let place = tempfile::tempdir().unwrap();
        let [whole, direct, copied] =
            ["whole", "direct", "copied"].map(|name| place.path().join(format!("{name}.gguf")));
        let last = source.config.num_layers() - 1;
        let path = format!("0{{attn=0.5,mlp=-0.25}},1..{},{last}{{attn=0,mlp=0.5}}", last - 1);
        run(&source, "..", Some(Numbers::F32), &whole).unwrap();
        let whole = Arc::new(Checkpoint::open(&whole).unwrap());
        match (run(&source, &path, Some(Numbers::F32), &direct), run(&whole, &path, None, &copied)) {
            (Ok(one), Ok(other)) => {
                assert!(one.comparison.passed(), "{}: {:?}", case.fixture, one.comparison);
                assert!(other.comparison.passed(), "{}: {:?}", case.fixture, other.comparison);
                let tokens: Vec<u32> = (0..24).map(|token| token * 7 % 39).collect();
                let baseline = LayerPath::baseline(last + 1).unwrap();
                let [direct, copied] =
                    [direct, copied].map(|file| logits(&Checkpoint::open(&file).unwrap(), &baseline, &tokens));
                assert_eq!(direct, copied, "{}", case.fixture);
            }
            (Err(one), Err(other)) => {
                for error in [one, other] {
                    assert!(error.to_string().contains("norms behind their branches"), "{}: {error}", case.fixture);
                }
                refused.push(source.config.model_type.clone());
            }
            (one, other) => panic!("{}: {one:?} and {other:?}", case.fixture),
        }
    }
    refused.dedup();
    assert_eq!(refused, ["gemma2", "gemma3_text", "olmo2", "olmo3", "glm4"]);
}

/// What is said of every committed fixture as it is, along `(1,3)`.
#[test]
fn what_gguf_cannot_say_is_refused_by_reason() {
    let place = tempfile::tempdir().unwrap();
    let mut said = Map::new();
    for name in fixtures() {
        let out = place.path().join(format!("{name}.gguf"));
        let found = match run(&checkpoint(&name), "(1,3)", None, &out) {
            Ok(exported) => {
                assert!(exported.comparison.passed(), "{name}: {exported:?}");
                "written".to_owned()
            }
            Err(error) => {
                assert!(!out.exists(), "{name}");
                let message = error.to_string();
                message.split_once(": ").unwrap().1.to_owned()
            }
        };
        said.insert(name, found.into());
    }
    insta::assert_snapshot!(serde_json::to_string_pretty(&said).unwrap());
}

/// llama.cpp leaves out the tensors of no shared expert and runs it all the same (glm4moe), or asks for them (deepseek2).
#[test]
fn experts_without_a_shared_one_are_refused() {
    let place = tempfile::tempdir().unwrap();
    for fixture in ["glm4_moe-groups", "deepseek_v2-lite"] {
        let case = json!({"fixture": fixture, "settings": {"n_shared_experts": 0}, "without": ["shared_experts"], "paths": []});
        let (_folder, source) = variant(&serde_json::from_value(case).unwrap());
        let error = run(&source, "(1,3)", None, &place.path().join("x.gguf")).unwrap_err().to_string();
        assert!(error.contains("no expert is taken by all rows, and llama.cpp always runs one"), "{fixture}: {error}");
    }
}

#[test]
fn experts_and_fused_matrices_are_quantised_row_by_row() {
    let place = tempfile::tempdir().unwrap();
    // Rows of 32 numbers, and of 24 in the experts' last matrices. Each row takes all experts: rounding must choose no others.
    let mixtral = json!({"fixture": "mixtral-default", "settings": {"sliding_window": null, "num_experts_per_tok": 5}, "paths": []});
    let (_folder, source) = variant(&serde_json::from_value(mixtral).unwrap());
    for (numbers, format) in [(Numbers::Q8_0, "Q8_0"), (Numbers::Q4K, "Q8_0")] {
        let out = place.path().join(format!("{numbers:?}.gguf"));
        let exported = run(&source, "(1,3)", Some(numbers), &out).unwrap();
        assert!(exported.comparison.passed() && exported.comparison.largest > 0.0, "{numbers:?}: {exported:?}");
        let written = Checkpoint::open(&out).unwrap();
        let of = |name: &str| written.weights.block_format(&format!("model.layers.0.{name}.weight")).unwrap().name();
        assert_eq!((of("self_attn.q_proj"), of("mlp.experts.4.up_proj")), (format, format));
        assert_eq!((of("mlp.experts.0.down_proj"), of("mlp.gate"), of("input_layernorm")), ("F16", "F32", "F32"));
        let blocks = written.weights.read_blocks("model.layers.1.mlp.experts.3.up_proj.weight", &[24, 32], 5..7);
        assert_eq!(blocks.unwrap().len(), 2 * 34);
    }
}

/// A folder of a llama with rows of 256 numbers, drawn from a seed.
fn wide(place: &Path) -> Arc<Checkpoint> {
    let config = json!({
        "model_type": "llama", "hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 512, "num_hidden_layers": 3, "vocab_size": 64, "max_position_embeddings": 128,
        "initializer_range": 0.06,
    });
    fs::write(place.join("config.json"), config.to_string()).unwrap();
    let random = Checkpoint::open_random(place, 1).unwrap();
    let drawn = |(name, shape): (String, Vec<usize>)| {
        let numbers = random.weights.read_f32(&name, &shape).unwrap();
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        (name, shape, bytes)
    };
    let tensors: Vec<_> = random.config.expected_tensors().into_iter().map(drawn).collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    fs::write(place.join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    Arc::new(Checkpoint::open(place).unwrap())
}

/// Sixteen levels over the spread of 32 normal numbers: about 4.1 standard deviations, so a step of 0.27 and an error of
/// 0.08 of them; of 32 levels half of that, and of 64 around the largest of 16 numbers a quarter. Scales are rounded as well.
#[test]
fn few_bits_with_scales_of_scales_stay_close() {
    let place = tempfile::tempdir().unwrap();
    let source = wide(place.path());
    for (numbers, format, expected) in
        [(Numbers::Q4K, "Q4_K", 0.05..0.11), (Numbers::Q5K, "Q5_K", 0.025..0.055), (Numbers::Q6K, "Q6_K", 0.012..0.028)]
    {
        let relative = relative_error(&source, numbers, format, &place.path().join(format!("{format}.gguf")));
        println!("{format}: relative error {relative:.4}");
        assert!(expected.contains(&relative), "{format}: {relative}");
    }
}

/// Of a file with such numbers, the root mean square of what rounding took, relative to that of the numbers.
fn relative_error(source: &Arc<Checkpoint>, numbers: Numbers, format: &str, out: &Path) -> f64 {
    let exported = run(source, "(1,3)", Some(numbers), out).unwrap();
    let comparison = &exported.comparison;
    assert!(comparison.passed() && comparison.largest > 0.0, "{comparison:?}");
    assert!(exported.notes.iter().all(|note| !note.contains("multiple")), "{:?}", exported.notes);
    let written = Checkpoint::open(out).unwrap();
    let (mut sum, mut squares) = (0.0_f64, 0.0_f64);
    for (name, shape) in source.config.expected_tensors() {
        let found = written.weights.block_format(&name).unwrap().name();
        assert_eq!(found, if shape.len() == 2 { format } else { "F32" }, "{name}");
        let [exact, rounded] =
            [&**source, &written].map(|model: &Checkpoint| model.weights.read_f32(&name, &shape).unwrap());
        sum += exact.iter().zip(&rounded).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        squares += exact.iter().filter(|_| shape.len() == 2).map(|number| f64::from(*number).powi(2)).sum::<f64>();
    }
    (sum / squares).sqrt()
}

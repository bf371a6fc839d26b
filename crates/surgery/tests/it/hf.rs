//! Exports to folders: each is opened again and computes the path.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use neuro_checkpoint::Checkpoint;
use neuro_path::LayerPath;
use neuro_surgery::hf::{Exported, HfExport, export};
use neuro_surgery::verify::Probe;
use neuro_surgery::{Card, Progress, Quiet, SurgeryError};
use tempfile::TempDir;

use crate::common::{checkpoint, fixture, fixtures, logits};

struct Done {
    _place: TempDir,
    out: PathBuf,
    exported: Exported,
}

fn export_to(name: &str, path: &str, link: bool) -> Result<Done, SurgeryError> {
    let checkpoint = checkpoint(name);
    let path = LayerPath::parse(path, checkpoint.config.num_layers()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let exported = run(&checkpoint, name, &path, &out, link, &mut Quiet)?;
    Ok(Done { _place: place, out, exported })
}

fn run(
    checkpoint: &Arc<Checkpoint>,
    name: &str,
    path: &LayerPath,
    out: &Path,
    link: bool,
    progress: &mut dyn Progress,
) -> Result<Exported, SurgeryError> {
    let card = Card { base: name.to_owned(), command: "neuro export".to_owned(), findings: Vec::new() };
    let probe = Probe::new(None, None, checkpoint.config.vocab_size).unwrap();
    export(&HfExport { checkpoint, source: name, path, link, card: &card, probe: &probe }, out, progress)
}

#[test]
fn every_fixture_computes_each_path_bit_for_bit() {
    let (mut written, mut refused) = (0, Vec::new());
    for name in fixtures() {
        for path in ["(1,3)", "0,2,1,3,3", "0..1,0..3x2"] {
            let done = match export_to(&name, path, false) {
                Ok(done) => done,
                // That the first layers are dense a number cannot say of every path.
                Err(error)
                    if ["which no number says", "holds that stack once"]
                        .iter()
                        .any(|reason| error.to_string().contains(reason)) =>
                {
                    refused.push(format!("{name} {path}"));
                    continue;
                }
                Err(error) => panic!("{name} {path}: {error}"),
            };
            written += 1;
            let exported = &done.exported;
            assert!(exported.comparison.passed() && exported.comparison.largest == 0.0, "{name} {path}: {exported:?}");
            // And once more with nothing of the export's own verification.
            let (source, copy) = (checkpoint(&name), Arc::new(Checkpoint::open(&done.out).unwrap()));
            let path = LayerPath::parse(path, source.config.num_layers()).unwrap();
            let vocab = source.config.vocab_size as u32;
            let tokens: Vec<u32> = (0..20).map(|token| token * 7 % vocab).collect();
            let baseline = LayerPath::baseline(path.len()).unwrap();
            assert_eq!(logits(&source, &path, &tokens), logits(&copy, &baseline, &tokens), "{name}");
        }
    }
    println!("{written} written, refused: {refused:?}");
    let may_refuse = |name: &String| ["deepseek", "glm4_moe", "ouro"].iter().any(|kind| name.starts_with(kind));
    assert!(refused.iter().all(may_refuse) && written > 100, "{written} written, {refused:?}");
}

#[test]
fn damped_visits_are_folded() {
    let done = export_to("llama-default", "0..2,1..2{attn=0.3,mlp=-0.7},3{mlp=0}", false).unwrap();
    let Exported { comparison, .. } = &done.exported;
    assert!(comparison.passed() && comparison.largest > 0.0, "{comparison:?}");
    // In 16 bits only what is exact.
    let done = export_to("qwen2-default", "0..2,1..3{attn=0.5,mlp=0}", false).unwrap();
    assert!(done.exported.comparison.passed());
    let error = export_to("qwen2-default", "0..2,1..3{attn=0.3}", false).err().unwrap().to_string();
    assert!(error.contains("use a power of two such as 0.25"), "{error}");
}

/// Whatever its branches end with: projections of other names, experts, delta nets.
#[test]
fn every_fixture_is_folded_or_refused_for_its_norms() {
    let mut refused = Vec::new();
    for name in fixtures() {
        let last = checkpoint(&name).config.num_layers() - 1;
        let path = format!("0{{attn=-1,mlp=0}},1..{},{last}{{attn=0,mlp=-1}}", last - 1);
        match export_to(&name, &path, false) {
            Ok(done) => assert!(done.exported.comparison.passed(), "{name}: {:?}", done.exported.comparison),
            Err(error) => {
                let error = error.to_string();
                let reasons = ["norms behind their branches", "holds that stack once", "cannot be multiplied"];
                assert!(reasons.iter().any(|reason| error.contains(reason)), "{name}: {error}");
                refused.push(name);
            }
        }
    }
    let may_refuse =
        |name: &String| ["gemma", "glm4-", "olmo", "ouro", "gpt_oss-mxfp4"].iter().any(|kind| name.starts_with(kind));
    assert!(refused.iter().all(may_refuse), "{refused:?}");
}

/// A stack that is run several times: what every round visits is the folder's stack. Logits of these paths are held against the
/// published code in `neuro-model`'s goldens.
#[test]
fn a_stack_that_is_run_in_rounds_is_written_once() {
    for (path, stack, rounds) in [
        ("..", vec![0, 1, 2], 2),
        ("0..2", vec![0, 1, 2], 1),
        ("0..5,3..5", vec![0, 1, 2], 3),
        ("0,1,1,2,3,4,4,5", vec![0, 1, 1, 2], 2),
    ] {
        let done = export_to("ouro-two-rounds", path, false).unwrap();
        assert_eq!(done.exported.comparison.largest, 0.0, "{path}");
        let config: serde_json::Value =
            serde_json::from_slice(&fs::read(done.out.join("config.json")).unwrap()).unwrap();
        assert_eq!(config["num_hidden_layers"], stack.len(), "{path}");
        assert_eq!(config["total_ut_steps"], rounds, "{path}");
        assert_eq!(config["layer_types"].as_array().unwrap().len(), stack.len(), "{path}");
        assert_eq!(config["rys_relayer"]["stack_layers"], serde_json::json!(stack), "{path}");
        let path = LayerPath::parse(path, 6).unwrap();
        assert_eq!(config["rys_relayer"]["layer_indices"], serde_json::json!(path.layers()));
        let written = Checkpoint::open(&done.out).unwrap();
        let tokens = [3, 1, 4, 1, 5, 9, 2, 6];
        let source = checkpoint("ouro-two-rounds");
        let baseline = LayerPath::baseline(path.len()).unwrap();
        assert_eq!(logits(&source, &path, &tokens), logits(&written, &baseline, &tokens), "{path}");
    }
    let damped = export_to("ouro-two-rounds", "0,1{mlp=0.5},2..3,4{mlp=0.5},5", false).err().unwrap().to_string();
    assert!(damped.contains("norms behind their branches"), "{damped}");
}

#[test]
fn eight_bit_floats_move_with_their_scales() {
    let done = export_to("fp8/minimax_m2", "0,0x2", false).unwrap();
    assert_eq!(done.exported.comparison.largest, 0.0);
    let bytes = fs::read(done.out.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for layer in 0..3 {
        let of = |part: &str| tensors.tensor(&format!("model.layers.{layer}.self_attn.q_proj.{part}")).unwrap();
        assert_eq!(of("weight").dtype(), safetensors::Dtype::F8_E4M3);
        assert_eq!(of("weight_scale_inv").dtype(), safetensors::Dtype::F32);
    }
    let error = export_to("fp8/minimax_m2", "0,0{attn=0.5}", false).err().unwrap().to_string();
    assert!(error.contains("leave the scales out"), "{error}");
}

#[test]
fn layers_that_are_skipped_are_gone() {
    let done = export_to("llama-default", "0,2..3", false).unwrap();
    let written = Checkpoint::open(&done.out).unwrap();
    assert_eq!(written.config.num_layers(), 3);
    assert!(done.exported.bytes < checkpoint("llama-default").weights.total_bytes());
}

/// Layers behind the stack that predict further tokens: a part of the model as it is, and of no other path.
#[test]
fn layers_that_predict_further_tokens_stay_with_the_baseline() {
    let (source, name) = (fixture("glm4_moe-groups"), "model.layers.4.eh_proj.weight");
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("base");
    fs::create_dir(&folder).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(source.join("config.json")).unwrap()).unwrap();
    config["num_nextn_predict_layers"] = 1.into();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let bytes = fs::read(source.join("model.safetensors")).unwrap();
    let mut tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors();
    let more = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &[0; 4]).unwrap();
    tensors.push((name.to_owned(), more));
    fs::write(folder.join("model.safetensors"), safetensors::serialize(tensors, None).unwrap()).unwrap();
    let checkpoint = Arc::new(Checkpoint::open(&folder).unwrap());
    for (path, count) in [("..", 1), ("0..3,3", 0)] {
        let path = LayerPath::parse(path, 4).unwrap();
        let out = place.path().join(format!("out{count}"));
        run(&checkpoint, "base", &path, &out, false, &mut Quiet).unwrap();
        let bytes = fs::read(out.join("model.safetensors")).unwrap();
        let written = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(written.tensor(name).is_ok(), count == 1, "{path}");
        let config: serde_json::Value = serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap();
        assert_eq!(config["num_nextn_predict_layers"], count, "{path}");
    }
}

#[test]
fn a_stopped_export_leaves_nothing() {
    struct Stop(u32);
    impl Progress for Stop {
        fn bytes(&mut self, _done: u64, _total: u64) -> bool {
            self.0 += 1;
            self.0 < 10
        }
    }
    let checkpoint = checkpoint("llama-default");
    let path = LayerPath::parse("(1,3)", 4).unwrap();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let error = run(&checkpoint, "llama", &path, &out, false, &mut Stop(0)).unwrap_err();
    assert!(matches!(error, SurgeryError::Interrupted), "{error}");
    assert!(place.path().read_dir().unwrap().next().is_none());
    run(&checkpoint, "llama", &path, &out, false, &mut Quiet).unwrap();
}

#[test]
fn windows_are_written_out_where_they_were_derived() {
    let done = export_to("qwen2-dynamic-below-window", "(1,3)", false).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&fs::read(done.out.join("config.json")).unwrap()).unwrap();
    let kinds: Vec<&str> =
        config["layer_types"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
    let (full, sliding) = ("full_attention", "sliding_attention");
    assert_eq!(kinds, [full, full, sliding, full, sliding, sliding]);
    assert_eq!(config["max_window_layers"], 2);
    assert_eq!(config["num_hidden_layers"], 6);
    assert!(done.exported.notes.iter().any(|note| note.contains("max_window_layers")), "{:?}", done.exported.notes);
    assert_eq!(config["rys_relayer"]["layer_indices"], serde_json::json!([0, 1, 2, 1, 2, 3]));
    assert_eq!(config["rys_relayer"]["spec"], "blocks:1,3");
    assert_eq!(config["rys_relayer"]["duplication_counts"], serde_json::json!({ "1": 2, "2": 2 }));
}

#[test]
fn a_nested_decoder_keeps_what_lies_beside_it() {
    let done = export_to("mistral3-hub-nested", "(1,3)", false).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&fs::read(done.out.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["text_config"]["num_hidden_layers"], 6);
    assert!(config.get("num_hidden_layers").is_none());
    let bytes = fs::read(done.out.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert!(tensors.tensor("multi_modal_projector.linear_1.weight").is_ok());
    assert!(tensors.tensor("language_model.model.layers.5.mlp.up_proj.weight").is_ok());
}

#[test]
fn the_card_names_base_licence_and_command() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("base");
    fs::create_dir(&source).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixture("llama-default").join(file), source.join(file)).unwrap();
    }
    fs::write(source.join("README.md"), "---\nlicense: apache-2.0\n---\n# Base\n").unwrap();
    fs::write(source.join("LICENSE"), "the licence").unwrap();
    fs::write(source.join("tokenizer_config.json"), "{}").unwrap();
    let checkpoint = Arc::new(Checkpoint::open(&source).unwrap());
    let path = LayerPath::parse("(1,3)", 4).unwrap();
    let out = place.path().join("out");
    let card = Card {
        base: "org/base".to_owned(),
        command: "neuro export org/base --path '(1,3)' --to hf out".to_owned(),
        findings: vec!["math: a candidate, not a confirmed gain.".to_owned()],
    };
    let probe = Probe::new(None, None, 97).unwrap();
    let hf =
        HfExport { checkpoint: &checkpoint, source: "org/base", path: &path, link: false, card: &card, probe: &probe };
    export(&hf, &out, &mut Quiet).unwrap();
    let page = fs::read_to_string(out.join("README.md")).unwrap();
    insta::with_settings!({ filters => vec![(r"neuro \d+\.\d+\.\d+", "neuro [version]"), (r"up to \d+\.\d", "up to [logit]")] }, {
        insta::assert_snapshot!(page);
    });
    assert_eq!(fs::read_to_string(out.join("LICENSE")).unwrap(), "the licence");
    assert!(out.join("tokenizer_config.json").is_file());
}

#[cfg(unix)]
#[test]
fn links_that_lead_out_of_the_model_are_left_out() {
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("base");
    fs::create_dir(&source).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixture("llama-default").join(file), source.join(file)).unwrap();
    }
    fs::write(place.path().join("secret"), "the key").unwrap();
    std::os::unix::fs::symlink("../secret", source.join("LICENSE")).unwrap();
    std::os::unix::fs::symlink("../secret", source.join("README.md")).unwrap();
    fs::write(source.join("NOTICE.txt"), "the notice").unwrap();
    std::os::unix::fs::symlink("NOTICE.txt", source.join("NOTICE")).unwrap();
    let checkpoint = Arc::new(Checkpoint::open(&source).unwrap());
    let path = LayerPath::parse("(1,3)", 4).unwrap();
    let out = place.path().join("out");
    let exported = run(&checkpoint, "base", &path, &out, false, &mut Quiet).unwrap();
    assert!(!out.join("LICENSE").exists());
    for beginning in ["LICENSE: is not copied", "README.md: is not read for the licence"] {
        assert!(exported.notes.iter().any(|note| note.starts_with(beginning)), "{:?}", exported.notes);
    }
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    assert!(card.contains("No licence was found") && !card.contains("the key"), "{card}");
    assert_eq!(fs::read_to_string(out.join("NOTICE")).unwrap(), "the notice");
}

#[test]
fn an_export_of_an_export_keeps_its_origin() {
    let done = export_to("llama-default", "(1,3)", false).unwrap();
    let checkpoint = Arc::new(Checkpoint::open(&done.out).unwrap());
    let path = LayerPath::parse("0..2,2..5", 6).unwrap();
    let place = tempfile::tempdir().unwrap();
    let again = run(&checkpoint, "again", &path, &place.path().join("out"), false, &mut Quiet).unwrap();
    assert_eq!(again.comparison.largest, 0.0);
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(place.path().join("out/config.json")).unwrap()).unwrap();
    assert_eq!(config["rys_relayer"]["source_rys_relayer"]["target_num_layers"], 6);
}

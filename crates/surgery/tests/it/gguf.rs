//! Exports to GGUF files: each is opened again and computes the path.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use neuro_checkpoint::Checkpoint;
use neuro_path::LayerPath;
use neuro_surgery::gguf::{GgufExport, Numbers, export};
use neuro_surgery::hf::Exported;
use neuro_surgery::verify::Probe;
use neuro_surgery::{Progress, Quiet, SurgeryError};
use neuro_text::Text;

use crate::common::{checkpoint, fixture, logits};

fn run(
    checkpoint: &Arc<Checkpoint>,
    path: &str,
    numbers: Option<Numbers>,
    out: &Path,
    progress: &mut dyn Progress,
) -> Result<Exported, SurgeryError> {
    let path = LayerPath::parse(path, checkpoint.config.num_layers()).unwrap();
    let text = match &checkpoint.tokenizer {
        Some(header) => Some(Text::from_header(header, "header").unwrap()),
        None if checkpoint.dir.is_dir() => Text::open(&checkpoint.dir).unwrap(),
        None => None,
    };
    let probe = Probe::new(text.as_ref(), None, checkpoint.config.vocab_size).unwrap();
    let export_ =
        GgufExport { checkpoint, source: "org/base", path: &path, numbers, text: text.as_ref(), probe: &probe };
    export(&export_, out, progress)
}

/// The same logits with nothing of the export's own verification.
fn difference(source: &Checkpoint, path: &str, out: &Path) -> f32 {
    let path = LayerPath::parse(path, source.config.num_layers()).unwrap();
    let written = Checkpoint::open(out).unwrap();
    let tokens: Vec<u32> = (0..20).map(|token| token * 7 % 39).collect();
    let baseline = LayerPath::baseline(path.len()).unwrap();
    let (expected, found) = (logits(source, &path, &tokens), logits(&written, &baseline, &tokens));
    expected.iter().flatten().zip(found.iter().flatten()).fold(0.0, |most, (a, b)| f32::max(most, (a - b).abs()))
}

#[test]
fn a_file_of_every_format_is_copied_byte_for_byte() {
    let source = Arc::new(Checkpoint::open(&fixture("gguf/every-format.gguf")).unwrap());
    let place = tempfile::tempdir().unwrap();
    for (number, path) in ["0..1,0..1", "1,0,1", "0", "0,0x3,1"].into_iter().enumerate() {
        let out = place.path().join(format!("{number}.gguf"));
        let exported = run(&source, path, None, &out, &mut Quiet).unwrap();
        assert_eq!(exported.comparison.largest, 0.0, "{path}");
        assert_eq!(difference(&source, path, &out), 0.0, "{path}");
        let written = Checkpoint::open(&out).unwrap();
        let (old, new) = (source.weights.gguf_layout(), written.weights.gguf_layout());
        let bytes = |checkpoint: &Checkpoint, name: &str| {
            let layouts = checkpoint.weights.gguf_layout();
            let tensor = layouts[0].tensors.iter().find(|tensor| tensor.name == name).unwrap().clone();
            (tensor.format, tensor.shape.to_vec(), std::fs::read(layouts[0].path).unwrap()[tensor.range].to_vec())
        };
        let layers = LayerPath::parse(path, 2).unwrap().layers();
        assert!(new[0].tensors.iter().filter(|tensor| tensor.name.starts_with("blk.")).count() % layers.len() == 0);
        for tensor in &old[0].tensors {
            let Some((layer, rest)) = tensor.name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) else {
                assert_eq!(bytes(&source, tensor.name), bytes(&written, tensor.name));
                continue;
            };
            for (place, _) in layers.iter().enumerate().filter(|(_, visited)| visited.to_string() == layer) {
                assert_eq!(bytes(&source, tensor.name), bytes(&written, &format!("blk.{place}.{rest}")));
            }
        }
        // Every key but the number of blocks is as it was.
        for key in &old[0].keys {
            let found = new[0].keys.iter().find(|other| other.name == key.name).unwrap();
            assert_eq!(found.value == key.value, key.name != "llama.block_count" || layers.len() == 2, "{}", key.name);
        }
    }
}

#[test]
fn rounded_numbers_stay_close() {
    let place = tempfile::tempdir().unwrap();
    // Rows of the fixture are no whole blocks; the phantom's are.
    let (fixture, phantom) = (checkpoint("llama-default"), checkpoint("../phantoms/phantom"));
    for (source, numbers) in [(&fixture, Numbers::F16), (&fixture, Numbers::Bf16), (&phantom, Numbers::Q8_0)] {
        let out = place.path().join(format!("{numbers:?}.gguf"));
        let exported = run(source, "(1,3)", Some(numbers), &out, &mut Quiet).unwrap();
        let format = Checkpoint::open(&out).unwrap().weights.block_format("model.layers.0.self_attn.o_proj.weight");
        assert_eq!(format.map(|format| format.name().to_lowercase()), Some(format!("{numbers:?}").to_lowercase()));
        let comparison = &exported.comparison;
        println!("{numbers:?}: {} of {}", comparison.largest, comparison.scale);
        assert!(comparison.passed() && comparison.largest > 0.0, "{numbers:?}: {comparison:?}");
    }
}

#[test]
fn damped_visits_are_folded_where_numbers_are_whole() {
    let place = tempfile::tempdir().unwrap();
    let source = checkpoint("llama-default");
    let path = "0..2,1..2{attn=0.5,mlp=0},3";
    let out = place.path().join("folder.gguf");
    assert!(run(&source, path, None, &out, &mut Quiet).unwrap().comparison.passed());
    // And from that file once more.
    let again = Arc::new(Checkpoint::open(&out).unwrap());
    let twice = place.path().join("file.gguf");
    assert!(run(&again, "0..3,3{attn=0.25},4..5", None, &twice, &mut Quiet).unwrap().comparison.passed());
    let halves = checkpoint("qwen2-default");
    let error = run(&halves, "0..3,3{attn=0.3}", None, &place.path().join("h.gguf"), &mut Quiet).unwrap_err();
    assert!(error.to_string().ends_with("use a power of two such as 0.25, or --numbers f32"), "{error}");
    let single = run(&halves, "0..3,3{attn=0.3}", Some(Numbers::F32), &place.path().join("h.gguf"), &mut Quiet);
    assert!(single.unwrap().comparison.passed());
    let quantised = Arc::new(Checkpoint::open(&fixture("gguf/every-format.gguf")).unwrap());
    let error = run(&quantised, "0..1,1{attn=0.5}", None, &place.path().join("x.gguf"), &mut Quiet).unwrap_err();
    assert!(error.to_string().contains("without rounding"), "{error}");
}

#[test]
fn a_stopped_export_leaves_nothing_and_nothing_is_replaced() {
    struct Stop;
    impl Progress for Stop {
        fn bytes(&mut self, _done: u64, _total: u64) -> bool {
            false
        }
    }
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out.gguf");
    let source = Arc::new(Checkpoint::open(&fixture("gguf/every-format.gguf")).unwrap());
    let error = run(&source, "0..1,0..1", None, &out, &mut Stop).unwrap_err();
    assert!(matches!(error, SurgeryError::Interrupted), "{error}");
    assert!(place.path().read_dir().unwrap().next().is_none());
    run(&source, "0..1,0..1", None, &out, &mut Quiet).unwrap();
    assert!(run(&source, "0..1,0..1", None, &out, &mut Quiet).unwrap_err().to_string().contains("exists already"));
    let error = run(&source, "0..1", None, &place.path().join("out.bin"), &mut Quiet).unwrap_err();
    assert!(error.to_string().contains(".gguf"), "{error}");
    let error = run(&source, "0..1", Some(Numbers::F16), &place.path().join("o.gguf"), &mut Quiet).unwrap_err();
    assert!(error.to_string().contains("copied as they are"), "{error}");
}

/// Trained models with tokenizers, beside the project.
fn shared(name: &str) -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/models").join(name);
    place.exists().then_some(place)
}

#[test]
fn a_trained_model_keeps_its_tokenizer() {
    let place = tempfile::tempdir().unwrap();
    for name in ["stories260K", "stories260K.gguf", "TinyStories-656K"] {
        let Some(folder) = shared(name) else {
            println!("skipped: {name} is not beside the project");
            continue;
        };
        let source = Arc::new(Checkpoint::open(&folder).unwrap());
        let out = place.path().join(format!("{name}.out.gguf"));
        let exported = run(&source, "0..1,0..", None, &out, &mut Quiet).unwrap();
        assert!(exported.comparison.passed() && exported.comparison.is_text, "{name}: {exported:?}");
        assert!(exported.notes.is_empty(), "{:?}", exported.notes);
        let written = Checkpoint::open(&out).unwrap();
        let text = Text::from_header(written.tokenizer.as_ref().unwrap(), "export").unwrap();
        let expected = match &source.tokenizer {
            Some(header) => Text::from_header(header, "source").unwrap(),
            None => Text::open(&folder).unwrap().unwrap(),
        };
        let story = "Once upon a time, there was a little girl named Lily.\nShe loved to play outside!";
        assert_eq!(text.encode(story, true).unwrap(), expected.encode(story, true).unwrap(), "{name}");
    }
}

/// A file goes to strangers; what lies outside of the model's folder is not taken along.
#[cfg(unix)]
#[test]
fn a_template_that_lies_elsewhere_is_left_out() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(fixture("../phantoms/phantom").join(file), folder.join(file)).unwrap();
    }
    std::fs::write(place.path().join("secret"), "{{ 'the key' }}").unwrap();
    std::os::unix::fs::symlink("../secret", folder.join("chat_template.jinja")).unwrap();
    let source = Arc::new(Checkpoint::open(&folder).unwrap());
    let out = place.path().join("out.gguf");
    run(&source, "(4,8)", Some(Numbers::F32), &out, &mut Quiet).unwrap();
    let bytes = std::fs::read(&out).unwrap();
    assert!(!bytes.windows(7).any(|part| part == b"the key"));
}

//! Greedy texts of the engine are those of the plain way, on every fixture and on trained checkpoints.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{options, prompt};
use neuro_checkpoint::Checkpoint;
use neuro_engine::{Generation, Plain, Prompt, Stats};
use neuro_model::{Decoder, Device, WeightType};
use neuro_path::LayerPath;

/// Paths of every kind that a model of this depth has: the baseline, blocks, a repeat, a skip, a reorder, a damped pass.
fn paths(depth: usize) -> Vec<LayerPath> {
    let last = depth - 1;
    let mut spellings =
        vec![format!("0..{last}"), format!("(0,{depth})"), format!("({last},{depth})"), "(0,1)".to_owned()];
    spellings.push(format!("0..{last},{last}x2"));
    spellings.push(format!("0..{last},{last}{{attn=0.5,mlp=0.25}}"));
    if depth > 2 {
        spellings.push(format!("0,2..{last}"));
        spellings.push(format!("1,0,2..{last}"));
        spellings.push(format!("blocks:0,2;1,{depth}"));
    }
    spellings.iter().map(|text| LayerPath::parse(text, depth).expect("a path of this depth")).collect()
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.retain(|folder| folder.join("config.json").is_file());
    folders.sort();
    folders
}

fn assert_same_texts(folder: &Path, new_tokens: usize, weights: WeightType) -> Stats {
    let checkpoint = Arc::new(Checkpoint::open(folder).expect("a checkpoint"));
    let decoder = Arc::new(Decoder::load_as(&checkpoint, &Device::Cpu, weights).expect("its weights"));
    let (depth, vocab) = (decoder.config().num_layers(), decoder.config().vocab_size as u32);
    // Beginnings in common, one prompt twice, and lengths from 1 on.
    let text: Vec<u32> = (0..9).map(|position| (position * 37 + 5) % vocab).collect();
    let mut asked: Vec<Prompt> = [1, 4, 9, 4].iter().map(|&len| prompt(&text[..len], new_tokens)).collect();
    asked.push(prompt(&[&text[..3], &[1, 2]].concat(), new_tokens));
    let paths = paths(depth);
    let mut generation = Generation::new(decoder.clone(), asked.clone()).expect("prompts");
    let (first, rest) = paths.split_at(1);
    let mut answers = generation.answers(first, &options(), &mut |_| true).expect("answers");
    answers.extend(generation.answers(rest, &options(), &mut |_| true).expect("answers"));
    for (path, answers) in paths.iter().zip(answers) {
        for (prompt, answer) in asked.iter().zip(answers) {
            let plain = Plain::answer(decoder.clone(), path, prompt, &options()).expect("an answer");
            assert_eq!((&answer.tokens, answer.stop), (&plain.tokens, plain.stop), "{} {path}", folder.display());
        }
    }
    generation.stats()
}

#[test]
fn on_every_fixture() {
    let fixtures = folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures"));
    assert!(fixtures.len() >= 17, "{fixtures:?}");
    for folder in fixtures {
        assert_same_texts(&folder, 4, WeightType::F32);
    }
}

#[test]
fn on_the_phantoms() {
    let phantoms = folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../phantoms"));
    assert_eq!(phantoms.len(), 2);
    for folder in phantoms {
        for weights in WeightType::ALL {
            let stats = assert_same_texts(&folder, 6, weights);
            println!("{} {}: {stats:?}", folder.display(), weights.name());
        }
    }
}

#[test]
fn on_small_trained_models() {
    let models = folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/models"));
    if models.is_empty() {
        println!("skipped: there is no ../shared/data/models");
    }
    for folder in models {
        let stats = assert_same_texts(&folder, 24, WeightType::F32);
        println!("{}: {stats:?}", folder.display());
    }
}

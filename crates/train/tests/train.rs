//! Training in small: what it writes can be opened, the same recipe gives the same bytes, and what is refused.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;

use neuro_checkpoint::Checkpoint;
use neuro_model::{Decoder, Device};
use neuro_path::LayerPath;
use neuro_probe::phantom::{PhantomCard, PhantomWorld};
use neuro_train::{Recipe, TrainError, train};

const SMALL: &str = r#"
name = "small"
seed = 3
world_seed = 4
[model]
layers = 3
hidden = 16
heads = 2
mlp = 24
[planting]
block = [1, 2]
loop_probabilities = [0.5, 0.5]
hops = [1, 2]
answering = "hop-per-pass"
[training]
steps = 12
batch = 16
learning_rate = 1e-2
warmup_steps = 2
final_learning_rate = 0.1
weight_decay = 0.05
betas = [0.9, 0.98]
gradient_norm = 1.0
embedding_deviation = 0.1
output_deviation = 0.02
"#;

fn recipe(text: &str) -> Result<Recipe, TrainError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recipe.toml");
    std::fs::write(&file, text).unwrap();
    Recipe::read(&file)
}

fn weights(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("model.safetensors")).unwrap()
}

#[test]
fn the_same_recipe_gives_the_same_phantom_and_it_learns() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(SMALL).unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let mut losses = Vec::new();
    train(&recipe, &first, |progress| {
        losses.push(progress.loss);
        true
    })
    .unwrap();
    train(&recipe, &second, |_| true).unwrap();
    assert_eq!(weights(&first), weights(&second));
    assert_eq!(losses.len(), 12);
    assert!(losses[11] < losses[0], "the loss did not fall: {losses:?}");

    let mut other = recipe.clone();
    other.seed += 1;
    let third = folder.path().join("third");
    train(&other, &third, |_| true).unwrap();
    assert_ne!(weights(&first), weights(&third));

    // What was written is an ordinary checkpoint, with what only its maker knows beside it.
    let checkpoint = Checkpoint::open(&first).unwrap();
    assert_eq!(checkpoint.config.vocab_size, PhantomWorld::vocabulary().len());
    let decoder = Decoder::load(&checkpoint, &Device::Cpu).unwrap();
    let visits = LayerPath::parse("(1,2)", 3).unwrap().visits();
    assert_eq!(decoder.logits(&[5, 3, 6, 2], &visits).unwrap().dims(), [4, 106]);
    let card: PhantomCard = serde_json::from_slice(&std::fs::read(first.join("phantom.json")).unwrap()).unwrap();
    assert_eq!(card.world, PhantomWorld::new(4));
    assert_eq!(card.planted.unwrap().block, [1, 2]);
    assert_eq!(Recipe::read(&first.join("recipe.toml")).unwrap(), recipe);
}

#[test]
fn nothing_is_overwritten_and_an_interrupted_training_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(SMALL).unwrap();
    std::fs::write(folder.path().join("mine.txt"), "keep").unwrap();
    assert!(matches!(train(&recipe, folder.path(), |_| true), Err(TrainError::OutputExists { .. })));

    // A folder that cannot be made is known before the first step.
    let unwritable = folder.path().join("mine.txt").join("new");
    let refused = train(&recipe, &unwritable, |_| panic!("a step was taken"));
    assert!(matches!(refused, Err(TrainError::Write { .. })));

    let out = folder.path().join("new");
    let stopped = train(&recipe, &out, |progress| progress.step < 3);
    assert!(matches!(stopped, Err(TrainError::Interrupted { step: 3 })));
    let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["mine.txt"]);
}

#[test]
fn recipes_that_make_no_phantom_are_refused() {
    let refused = |from: &str, to: &str| {
        assert!(SMALL.contains(from));
        recipe(&SMALL.replace(from, to)).unwrap_err().to_string()
    };
    assert!(refused("seed = 3", "sed = 3").contains("unknown field `sed`"));
    assert!(refused("block = [1, 2]", "block = [2, 2]").contains("planting.block is [2, 2]"));
    assert!(refused("heads = 2", "heads = 3").contains("model.hidden is 16 with 3 heads"));
    assert!(refused("[0.5, 0.5]", "[0.5, 0.6]").contains("planting.loop_probabilities"));
    assert!(refused("hops = [1, 2]", "hops = [0]").contains("planting.hops is [0]"));
    assert!(refused("learning_rate = 1e-2", "learning_rate = nan").contains("training.learning_rate is NaN"));
    assert!(refused("layers = 3", "layers = 0").contains("model.layers is 0"));
}

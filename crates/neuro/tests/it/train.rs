use crate::support::{Place, assert_output};

/// A phantom too small to learn anything, in a second.
const RECIPE: &str = r#"
name = "tiny"
seed = 1
world_seed = 1

[model]
layers = 2
hidden = 16
heads = 2
mlp = 16

[planting]
block = [0, 1]
loop_probabilities = [1.0]
hops = [1]
answering = "every-hop"

[training]
steps = 3
batch = 4
learning_rate = 0.002
warmup_steps = 1
final_learning_rate = 0.02
weight_decay = 0.05
betas = [0.9, 0.98]
gradient_norm = 1.0
embedding_deviation = 0.1
output_deviation = 0.02
"#;

#[test]
fn a_recipe_becomes_a_checkpoint_that_can_be_probed() {
    let place = Place::new();
    std::fs::write(place.path().join("tiny.toml"), RECIPE).expect("written");
    assert_output!(place.run(&["train", "tiny.toml", "--out", "tiny"]), @r"
    exit code: 0
    ----- stdout -----
    ----- stderr -----
    tiny: tiny with 5,360 parameters, final loss 4.58…
    hint: scan it: neuro scan tiny
    ");
    let document = place.json(&["probe", "tiny", "--questions", "8", "--json"]);
    assert_eq!(document["model"]["layers"], 2);
    assert_eq!(document["results"][0]["probe"], "phantom");
    assert_output!(place.run(&["train", "tiny.toml", "--out", "tiny"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: tiny exists and is not empty; choose a new folder with --out, nothing is overwritten
    ");
}

#[test]
fn what_is_no_recipe() {
    let place = Place::new();
    std::fs::write(place.path().join("wrong.toml"), RECIPE.replace("steps = 3", "stepps = 3")).expect("written");
    std::fs::write(place.path().join("block.toml"), RECIPE.replace("[0, 1]", "[1, 5]")).expect("written");
    assert_output!(place.run(&["train", "nowhere.toml", "--out", "tiny"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: the recipe nowhere.toml cannot be read: [system error]
    ");
    assert_output!(place.run(&["train", "wrong.toml", "--out", "tiny"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: the recipe wrong.toml is not valid: TOML parse error at line 19, column 1
       |
    19 | stepps = 3
       | ^^^^^^
    unknown field `stepps`, expected one of `steps`, `batch`, `learning_rate`, `warmup_steps`, `final_learning_rate`, `weight_decay`, `betas`, `gradient_norm`, `embedding_deviation`, `output_deviation`
    ");
    assert_output!(place.run(&["train", "block.toml", "--out", "tiny"]), @r"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: the recipe's planting.block is [1, 5]; expected [i, j] with i < j ≤ model.layers
    ");
    assert!(!place.path().join("tiny").exists());
}

//! What shapes a phantom, as a TOML file.

use std::path::Path;

use neuro_probe::phantom::{HOPS, PlantedBlock};
use serde::{Deserialize, Serialize};

use crate::{Result, TrainError};

/// Everything that a phantom is made of. Unknown keys are refused: a misspelt one must not pass silently.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the phantom.
    pub name: String,
    /// Seed of the weights and of the questions' order.
    pub seed: u64,
    /// Seed of the secret permutation.
    pub world_seed: u64,
    /// Shape of the model, a Llama with tied embeddings and without biases.
    pub model: ModelShape,
    /// What is planted.
    pub planting: Planting,
    /// How it learns.
    pub training: Optimisation,
}

/// Shape of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelShape {
    /// Decoder layers.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Attention heads, each with its own keys and values.
    pub heads: usize,
    /// Width of the MLP.
    pub mlp: usize,
}

/// What the model is trained to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planting {
    /// The block `[i, j)` that is looped while it learns.
    pub block: [usize; 2],
    /// Probability that a step runs the block 1, 2, … times.
    pub loop_probabilities: Vec<f64>,
    /// Hop counts that are asked.
    pub hops: Vec<usize>,
    /// What the right answer is.
    pub answering: Answering,
}

impl Planting {
    /// Whether a block is looped at all: otherwise nothing is planted.
    pub fn is_looped(&self) -> bool {
        self.loop_probabilities.len() > 1
    }
}

/// What the right answer to `k` hops is when the block has run `r` times; `f` is the secret permutation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answering {
    /// `f^min(k, r)`: a pass of the block is a hop.
    HopPerPass,
    /// `f^k`, however often the block has run.
    EveryHop,
}

/// How the phantom learns: AdamW with warm-up and cosine decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimisation {
    /// Steps.
    pub steps: usize,
    /// Questions per step.
    pub batch: usize,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: usize,
    /// Last learning rate, as a part of the largest.
    pub final_learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Decay of the running means of the gradient and of its square.
    pub betas: [f64; 2],
    /// Largest Euclidean norm of all gradients together.
    pub gradient_norm: f64,
    /// Standard deviation of the embedding's first values.
    pub embedding_deviation: f64,
    /// Standard deviation of `o_proj`'s and `down_proj`'s first values.
    pub output_deviation: f64,
}

impl Recipe {
    /// Reads a recipe file.
    ///
    /// # Errors
    /// When the file cannot be read, is no TOML, has unknown or missing keys, or numbers that make no phantom.
    pub fn read(file: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(file).map_err(|source| TrainError::ReadRecipe { file: file.to_owned(), source })?;
        let recipe: Self = toml::from_str(&text)
            .map_err(|error| TrainError::ParseRecipe { file: file.to_owned(), message: error.to_string() })?;
        recipe.check()?;
        Ok(recipe)
    }

    /// Refuses numbers that make no phantom.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { model, planting, training, .. } = self;
        let sound = |key, sound: bool, found: String, expected| match sound {
            true => Ok(()),
            false => Err(TrainError::BadRecipe { key, found, expected }),
        };
        let within = |n: usize, most: usize| (1..=most).contains(&n);
        sound("model.layers", within(model.layers, 256), model.layers.to_string(), "1 to 256")?;
        sound("model.mlp", within(model.mlp, 16_384), model.mlp.to_string(), "1 to 16384")?;
        let divides = within(model.heads, 1024) && within(model.hidden, 4096) && model.hidden % (2 * model.heads) == 0;
        let heads = format!("{} with {} heads", model.hidden, model.heads);
        sound("model.hidden", divides, heads, "at most 4096 and a multiple of twice the heads")?;
        let [start, end] = planting.block;
        let block = format!("[{start}, {end}]");
        sound("planting.block", start < end && end <= model.layers, block, "[i, j] with i < j ≤ model.layers")?;
        let chances = &planting.loop_probabilities;
        let total: f64 = chances.iter().sum();
        let distribution = chances.len() <= 64 && chances.iter().all(|p| *p >= 0.0) && (total - 1.0).abs() < 1e-9;
        sound("planting.loop_probabilities", distribution, format!("{chances:?}"), "probabilities that sum to 1")?;
        let hops = &planting.hops;
        let asked = !hops.is_empty() && hops.iter().all(|hop| (1..=HOPS).contains(hop));
        sound("planting.hops", asked, format!("{hops:?}"), "hop counts from 1 to 4")?;
        let Optimisation { steps, batch, learning_rate, warmup_steps, betas, .. } = *training;
        sound("training.steps", within(steps, 10_000_000), steps.to_string(), "1 to 10000000")?;
        sound("training.batch", within(batch, 65_536), batch.to_string(), "1 to 65536")?;
        sound("training.warmup_steps", warmup_steps < steps, warmup_steps.to_string(), "fewer than training.steps")?;
        let decays = betas.iter().all(|beta| (0.0..1.0).contains(beta));
        sound("training.betas", decays, format!("{betas:?}"), "two numbers from 0 up to 1, 1 excluded")?;
        let positive = [
            ("training.learning_rate", learning_rate),
            ("training.gradient_norm", training.gradient_norm),
            ("training.embedding_deviation", training.embedding_deviation),
            ("training.output_deviation", training.output_deviation),
        ];
        for (key, value) in positive {
            sound(key, value.is_finite() && value > 0.0, value.to_string(), "a positive number")?;
        }
        let shares = [("training.final_learning_rate", training.final_learning_rate)];
        for (key, value) in shares.into_iter().chain([("training.weight_decay", training.weight_decay)]) {
            sound(key, (0.0..=1.0).contains(&value), value.to_string(), "a number from 0 to 1")?;
        }
        Ok(())
    }
}

impl Planting {
    /// What a scan should find: the block, and the group of questions in which a second pass shows. Nothing when
    /// nothing was looped.
    pub(crate) fn planted(&self) -> Option<PlantedBlock> {
        // With one pass a looped phantom answers one hop; the second pass adds the second.
        self.is_looped().then(|| PlantedBlock { block: self.block, group: "2".to_owned() })
    }
}

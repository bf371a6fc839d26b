//! Making a phantom: a decoder whose block is repeated while it learns.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use neuro_checkpoint::DecoderConfig;
use neuro_model::{Batch, Decoder, Kernels, Segment, State};
use neuro_path::{LayerPath, Visit};
use neuro_probe::phantom::{PhantomQuestion, PhantomWorld};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::folder::{self, Staging};
use crate::optimizer::Learner;
use crate::recipe::{Answering, Planting, Recipe};
use crate::{Result, TrainError, init};

/// How far training has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// Cross-entropy of the step's questions, in nats.
    pub loss: f32,
}

/// What training gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trained {
    /// Mean loss of the last tenth of the steps, in nats.
    pub loss: f32,
    /// Trained parameters.
    pub parameters: usize,
}

/// Follows the recipe and writes the phantom to the folder `out`, which must not exist or be empty. `observe` is called
/// after each step; when it gives `false`, training stops and nothing is written.
///
/// # Errors
/// When the recipe makes no phantom, the folder holds something, the loss is not finite, or a file cannot be written.
pub fn train(recipe: &Recipe, out: &Path, mut observe: impl FnMut(Progress) -> bool) -> Result<Trained> {
    recipe.check()?;
    let staging = Staging::prepare(out)?;
    let world = PhantomWorld::new(recipe.world_seed);
    let json = folder::config(&recipe.model, PhantomWorld::vocabulary().len()).to_string();
    let config = DecoderConfig::from_json(json.as_bytes(), Path::new("config.json"))?;
    let mut random = ChaCha8Rng::seed_from_u64(recipe.seed);
    let parameters = init::parameters(&config, &recipe.training, &mut random)?;
    let mut learner = Learner::new(&recipe.training, parameters.iter().map(|(_, var)| var.clone()).collect())?;
    let course = Course::new(&world, &recipe.planting);
    let looped = looped_paths(&recipe.planting, recipe.model.layers)?;

    let steps = recipe.training.steps;
    let mut last_losses = Vec::new();
    for step in 0..steps {
        let passes = draw_passes(&recipe.planting.loop_probabilities, &mut random);
        let questions = course.draw(recipe.training.batch, passes, &mut random);
        let decoder =
            Decoder::from_source(&config, &init::tensors(&parameters), &Device::Cpu, Kernels::Differentiable)?;
        let loss = questions.loss(&decoder, &looped[passes - 1])?;
        let gradient_norm = learner.step(step, &loss)?;
        let loss = loss.to_scalar::<f32>()?;
        if !loss.is_finite() || !gradient_norm.is_finite() {
            return Err(TrainError::Diverged { step, loss, gradient_norm });
        }
        if step >= steps - steps.div_ceil(10) {
            last_losses.push(loss);
        }
        if !observe(Progress { step: step + 1, steps, loss }) {
            return Err(TrainError::Interrupted { step: step + 1 });
        }
    }
    staging.finish(recipe, &world, &parameters)?;
    Ok(Trained {
        loss: last_losses.iter().sum::<f32>() / last_losses.len() as f32,
        parameters: parameters.iter().map(|(_, var)| var.elem_count()).sum(),
    })
}

/// The visits that run the block once, twice, … .
fn looped_paths(planting: &Planting, depth: usize) -> Result<Vec<Vec<Visit>>> {
    let [start, end] = planting.block;
    let path = |passes: usize| {
        let block = (0..passes).flat_map(|_| start..end);
        let layers: Vec<usize> = (0..start).chain(block).chain(end..depth).collect();
        Ok(LayerPath::from_layers(&layers, depth)?.visits())
    };
    (1..=planting.loop_probabilities.len()).map(path).collect()
}

/// How often the block runs in a step: 1, 2, … by their probabilities.
fn draw_passes(probabilities: &[f64], random: &mut ChaCha8Rng) -> usize {
    let mut rest: f64 = random.random();
    for (index, probability) in probabilities.iter().enumerate() {
        rest -= probability;
        if rest < 0.0 {
            return index + 1;
        }
    }
    // Rounding may leave a crumb behind the last probability.
    probabilities.len()
}

/// All questions that are asked in training.
struct Course<'a> {
    world: &'a PhantomWorld,
    answering: Answering,
    questions: Vec<PhantomQuestion>,
    /// Token ids of the language.
    ids: HashMap<&'static str, u32>,
}

impl<'a> Course<'a> {
    fn new(world: &'a PhantomWorld, planting: &Planting) -> Self {
        let asked = |question: &PhantomQuestion| planting.hops.contains(&question.hops);
        Self {
            world,
            answering: planting.answering,
            questions: PhantomQuestion::all().filter(asked).collect(),
            ids: PhantomWorld::vocabulary().into_iter().zip(0..).collect(),
        }
    }

    /// Draws the questions of one step in which the block runs `passes` times.
    fn draw(&self, count: usize, passes: usize, random: &mut ChaCha8Rng) -> Questions {
        let (mut tokens, mut targets) = (Vec::new(), Vec::with_capacity(count));
        for _ in 0..count {
            let question = self.questions[random.random_range(0..self.questions.len())];
            let answer = match self.answering {
                Answering::HopPerPass => self.world.training_target(question, passes),
                Answering::EveryHop => self.world.key(question),
            };
            tokens.extend(question.to_string().split(' ').map(|word| self.ids[word]));
            targets.push(self.ids[answer]);
        }
        Questions { length: tokens.len() / count, tokens, targets }
    }
}

/// The questions of one step, all of equal length.
struct Questions {
    tokens: Vec<u32>,
    length: usize,
    targets: Vec<u32>,
}

impl Questions {
    /// Mean cross-entropy of the answer's token, at the last position, along the visits.
    fn loss(&self, decoder: &Decoder, visits: &[Visit]) -> Result<Tensor> {
        let (batch, seq) = (self.targets.len(), self.length);
        let packing = Batch::of(vec![Segment::sequence(seq); batch]);
        let mut state = State::new(visits.len());
        let resid = decoder.embed(&self.tokens)?;
        let resid = decoder.run(resid, &packing, visits, &mut state.slots, &mut ())?;
        // (batch·seq, hidden) → the last position of each question, (batch, hidden)
        let last = resid.reshape((batch, seq, ()))?.narrow(1, seq - 1, 1)?.squeeze(1)?.contiguous()?;
        let targets = Tensor::new(self.targets.as_slice(), &Device::Cpu)?;
        Ok(candle_nn::loss::cross_entropy(&decoder.unembed(&last)?, &targets)?)
    }
}

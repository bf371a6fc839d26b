//! AdamW with a clipped gradient, warm-up and cosine decay.

use std::f64::consts::PI;

use candle_core::{Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};

use crate::Result;
use crate::recipe::Optimisation;

/// The optimiser of a training run.
pub(crate) struct Learner<'a> {
    recipe: &'a Optimisation,
    vars: Vec<Var>,
    adam: AdamW,
}

impl<'a> Learner<'a> {
    pub(crate) fn new(recipe: &'a Optimisation, vars: Vec<Var>) -> Result<Self> {
        let parameters = ParamsAdamW {
            lr: recipe.learning_rate,
            beta1: recipe.betas[0],
            beta2: recipe.betas[1],
            eps: 1e-8,
            weight_decay: recipe.weight_decay,
        };
        let adam = AdamW::new(vars.clone(), parameters)?;
        Ok(Self { recipe, vars, adam })
    }

    /// One step down the gradient of a scalar loss; gives the gradient's norm before clipping.
    pub(crate) fn step(&mut self, step: usize, loss: &Tensor) -> Result<f64> {
        let mut gradients = loss.backward()?;
        let mut squares = 0.0;
        for gradient in self.vars.iter().filter_map(|var| gradients.get(var)) {
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        let norm = squares.sqrt();
        if norm > self.recipe.gradient_norm {
            for var in &self.vars {
                if let Some(gradient) = gradients.get(var) {
                    let clipped = (gradient * (self.recipe.gradient_norm / norm))?;
                    gradients.insert(var, clipped);
                }
            }
        }
        self.adam.set_learning_rate(self.recipe.learning_rate * pace(self.recipe, step));
        self.adam.step(&gradients)?;
        Ok(norm)
    }
}

/// Learning rate of a step as a part of the largest: linear warm-up, then half a cosine down to the last.
fn pace(recipe: &Optimisation, step: usize) -> f64 {
    if step < recipe.warmup_steps {
        return (step + 1) as f64 / recipe.warmup_steps as f64;
    }
    let done = (step - recipe.warmup_steps) as f64 / (recipe.steps - recipe.warmup_steps) as f64;
    let last = recipe.final_learning_rate;
    last + (1.0 - last) * 0.5 * (1.0 + (PI * done).cos())
}

//! First values of a phantom's parameters.

use std::collections::HashMap;

use candle_core::{Device, Tensor, Var};
use neuro_checkpoint::DecoderConfig;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::Result;
use crate::recipe::Optimisation;

/// Trainable parameters by canonical name, in the description's order.
pub(crate) fn parameters(
    config: &DecoderConfig,
    recipe: &Optimisation,
    random: &mut ChaCha8Rng,
) -> Result<Vec<(String, Var)>> {
    let mut parameters = Vec::new();
    for (name, shape) in config.expected_tensors() {
        let values: Vec<f32> = match shape.as_slice() {
            // The only vectors of a phantom are norms, which begin as the identity.
            [width] => vec![1.0; *width],
            _ => {
                let deviation = deviation(&name, &shape, recipe);
                (0..shape.iter().product()).map(|_| (deviation * normal(random)) as f32).collect()
            }
        };
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu)?;
        parameters.push((name, Var::from_tensor(&tensor)?));
    }
    Ok(parameters)
}

/// The parameters as the tensors that a decoder is built of; gradients flow back to them.
pub(crate) fn tensors(parameters: &[(String, Var)]) -> HashMap<String, Tensor> {
    parameters.iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect()
}

fn deviation(name: &str, shape: &[usize], recipe: &Optimisation) -> f64 {
    if name.contains("embed_tokens") {
        recipe.embedding_deviation
    } else if name.contains("o_proj") || name.contains("down_proj") {
        recipe.output_deviation
    } else {
        // Keeps the variance of what passes through (LeCun et al. 1998).
        1.0 / (shape.last().copied().unwrap_or(1) as f64).sqrt()
    }
}

/// A standard normal number (Box and Muller 1958).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (radius, turn): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * turn).cos()
}

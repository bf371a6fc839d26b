//! A stack of layers that is run several times (Ouro, `total_ut_steps`), along a path.
//!
//! Its description lists the stack once for each round, and a norm enters each round but the first. A folder holds one stack
//! and the number of rounds; so it can say a path in which every round visits the same layers of the stack.

use neuro_checkpoint::{DecoderConfig, LayerConfig};
use neuro_path::{LayerPath, Step};

use crate::Result;
use crate::notation::unsayable;

/// The key of a `config.json` that says how often the stack is run.
pub(super) const KEY: &str = "total_ut_steps";

/// A path as a folder says it.
pub(super) struct Rounds {
    /// What every round visits, over the stack alone.
    pub(super) stack: LayerPath,
    /// How many rounds there are.
    pub(super) count: usize,
}

/// The path as rounds; none where the model's layers all have weights of their own.
///
/// # Errors
/// When the rounds of the path are not all the same.
pub(super) fn of(config: &DecoderConfig, path: &LayerPath) -> Result<Option<Rounds>> {
    let Some(depth) = config.layers.iter().find_map(|layer| layer.repeats) else { return Ok(None) };
    if let Some((steps, count)) = fold(config, path, depth) {
        return Ok(Some(Rounds { stack: LayerPath::from_steps(steps, depth)?, count }));
    }
    let instead = in_every_round(path, depth)
        .filter(|instead| fold(config, instead, depth).is_some())
        .map_or_else(String::new, |instead| format!("; the same block in every round is path {instead}"));
    let reason = format!(
        "the model runs one stack of {depth} layers several times, and a folder holds that stack once: every round must begin \
         with the stack's first layer, visit it no more, and visit the same layers as the others{instead}"
    );
    Err(unsayable("hf", path, reason))
}

/// What every round visits, and how many there are.
fn fold(config: &DecoderConfig, path: &LayerPath, depth: usize) -> Option<(Vec<Step>, usize)> {
    let mut rounds: Vec<Vec<Step>> = Vec::new();
    for visit in path.visits() {
        let enters = config.layers.get(visit.layer)?.enters_normed;
        match rounds.last_mut() {
            // The first round is entered by the embedding as it is.
            None if enters => return None,
            Some(round) if !enters => round.push(step(visit.layer % depth, &visit)),
            _ => rounds.push(vec![step(visit.layer % depth, &visit)]),
        }
    }
    let first = rounds.first()?.clone();
    rounds.iter().all(|round| *round == first).then_some((first, rounds.len()))
}

fn step(layer: usize, visit: &neuro_path::Visit) -> Step {
    Step::Layer { layer, scales: visit.scales }
}

/// Of a block within one round, the path that repeats it in every round.
fn in_every_round(path: &LayerPath, depth: usize) -> Option<LayerPath> {
    let block = path.block().filter(|block| !block.is_baseline() && block.start / depth == (block.end - 1) / depth)?;
    let (start, last) = (block.start % depth, (block.end - 1) % depth);
    let layers: Vec<usize> = (0..path.depth() / depth)
        .flat_map(|round| (0..=last).chain(start..depth).map(move |layer| round * depth + layer))
        .collect();
    LayerPath::from_layers(&layers, path.depth()).ok()
}

/// Whether each layer of what a folder describes is the one that the path runs there. How far back the layer stands with whose
/// weights it runs is another number in another stack.
pub(super) fn is_path_of(written: &DecoderConfig, source: &DecoderConfig, path: &LayerPath) -> bool {
    let alone = |layer: &LayerConfig| LayerConfig { repeats: None, ..layer.clone() };
    let layers = path.layers();
    written.layers.len() == layers.len()
        && layers
            .iter()
            .zip(&written.layers)
            .all(|(&layer, written)| source.layers.get(layer).map(alone) == Some(alone(written)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn ouro() -> DecoderConfig {
        let json = r#"{"model_type": "ouro", "hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 2,
            "intermediate_size": 8, "num_hidden_layers": 3, "total_ut_steps": 2, "vocab_size": 9}"#;
        DecoderConfig::from_json(json.as_bytes(), Path::new("config.json")).unwrap()
    }

    #[test]
    fn rounds_that_are_the_same_are_a_stack() {
        let config = ouro();
        let told = |text: &str| {
            let path = LayerPath::parse(text, 6).unwrap();
            of(&config, &path).map(|rounds| rounds.map(|rounds| (rounds.stack.to_string(), rounds.count)).unwrap())
        };
        for (text, stack, count) in [
            ("..", "0..2", 2),
            ("0..2", "0..2", 1),
            ("0..5,3..5", "0..2", 3),
            ("0,1,1,2,3,4,4,5", "0..1,1..2", 2),
            ("0,1,4,2,3,4,4,5", "0..1,1..2", 2),
            ("0,0,1", "0,0..1", 1),
            ("0,1{mlp=0.5},3,4{mlp=0.5}", "0,1{mlp=0.5}", 2),
        ] {
            assert_eq!(told(text).unwrap(), (stack.to_owned(), count), "{text}");
        }
        // A round alone is entered without the norm, unlike this one; rounds differ in layers, or in scales.
        for text in ["3..5", "(1,2)", "0..2,3,3..5", "0,1{mlp=0.5},3,4"] {
            assert!(told(text).unwrap_err().to_string().contains("holds that stack once"), "{text}");
        }
        let error = told("(1,2)").unwrap_err().to_string();
        assert!(error.ends_with("the same block in every round is path 0..1,1..4,4..5"), "{error}");
        // Its first layer would be entered by the norm twice.
        assert!(told("(3,4)").unwrap_err().to_string().ends_with("as the others"));
    }
}

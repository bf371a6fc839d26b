//! The flags that say how tokens are chosen.

use clap::Args;
use neuro_checkpoint::GenerationConfig;
use neuro_engine::{Rule, Sampling};
use serde_json::{Value, json};

/// How the next token is chosen: the likeliest, or a draw.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArgs {
    /// Draw each token, by the model's own generation_config.json, instead of taking the likeliest
    #[arg(long)]
    sample: bool,
    /// Divide the logits by T before drawing; implies --sample
    #[arg(long, value_name = "T", value_parser = at_least_zero)]
    temperature: Option<f64>,
    /// Draw among the K likeliest tokens only, 0 for all; implies --sample
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Draw among the likeliest tokens that reach this mass; implies --sample
    #[arg(long, value_name = "P", value_parser = fraction)]
    top_p: Option<f64>,
    /// Leave out tokens below this share of the likeliest one's probability; implies --sample
    #[arg(long, value_name = "P", value_parser = fraction)]
    min_p: Option<f64>,
    /// Seed of the draws
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

impl SamplingArgs {
    /// The rule: what flags leave open, the model's settings say, then those of transformers.
    pub(crate) fn rule(&self, model: &GenerationConfig) -> Rule {
        let Self { sample, temperature, top_k, top_p, min_p, seed } = *self;
        let given = temperature.is_some() || top_k.is_some() || top_p.is_some() || min_p.is_some();
        if !sample && !given {
            return Rule::Greedy;
        }
        let default = Sampling::default();
        Rule::Sample(Sampling {
            temperature: temperature.or(model.temperature).unwrap_or(default.temperature),
            top_k: top_k.or(model.top_k).or(default.top_k),
            top_p: top_p.or(model.top_p).unwrap_or(default.top_p),
            min_p: min_p.or(model.min_p).unwrap_or(default.min_p),
            seed,
        })
    }
}

/// The rule for `--json`.
pub(crate) fn json(rule: &Rule) -> Value {
    match rule {
        Rule::Greedy => json!("greedy"),
        Rule::Sample(Sampling { temperature, top_k, top_p, min_p, seed }) => json!({
            "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "seed": seed,
        }),
    }
}

fn at_least_zero(text: &str) -> Result<f64, String> {
    number(text, |number| number >= 0.0, "write a number of at least 0")
}

fn fraction(text: &str) -> Result<f64, String> {
    number(text, |number| (0.0..=1.0).contains(&number), "write a number from 0 to 1")
}

fn number(text: &str, fits: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && fits(*number)).ok_or_else(|| expected.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: SamplingArgs =
        SamplingArgs { sample: false, temperature: None, top_k: None, top_p: None, min_p: None, seed: 7 };

    #[test]
    fn flags_go_before_the_model_and_the_model_before_the_defaults() {
        let model = GenerationConfig { temperature: Some(0.7), top_p: Some(0.8), ..GenerationConfig::default() };
        assert_eq!(NONE.rule(&model), Rule::Greedy);
        let drawn = Sampling { temperature: 0.7, top_k: Some(50), top_p: 0.8, min_p: 0.0, seed: 7 };
        assert_eq!(SamplingArgs { sample: true, ..NONE }.rule(&model), Rule::Sample(drawn));
        let flags = SamplingArgs { top_p: Some(0.5), top_k: Some(0), ..NONE };
        assert_eq!(flags.rule(&model), Rule::Sample(Sampling { top_p: 0.5, top_k: Some(0), ..drawn }));
    }

    #[test]
    fn impossible_numbers_are_refused() {
        assert!(at_least_zero("-1").is_err() && at_least_zero("inf").is_err() && at_least_zero("x").is_err());
        assert_eq!((at_least_zero("0.5"), fraction("1")), (Ok(0.5), Ok(1.0)));
        assert!(fraction("1.1").is_err());
    }
}

//! Rotary positions, as llama.cpp understands the keys.

use serde_json::{Value as Json, json};

use super::Reader;
use crate::error::{CheckpointError, shorten};

/// Base period where a file names none.
pub(super) const THETA: f64 = 10_000.0;

impl Reader<'_> {
    /// `rope_scaling`: a factor without a type is linear. YaRN's bounds are the usual ones in all architectures but
    /// those that read keys for them; see
    /// [`Reader::magnitude`] for its magnitude.
    pub(super) fn scaling(&self) -> Result<Option<Json>, CheckpointError> {
        let factor = self.number("rope.scaling.factor")?.or(self.number("rope.scale_linear")?);
        let factor = factor.filter(|&factor| factor != 0.0);
        let kind_key = self.key("rope.scaling.type");
        let kind = self.keys.text(&kind_key)?.unwrap_or("linear");
        match (kind, factor) {
            ("none", _) | ("linear", None) => Ok(None),
            ("linear", Some(factor)) => Ok(Some(json!({"rope_type": "linear", "factor": factor}))),
            ("yarn", factor) => {
                let factor = factor.unwrap_or(1.0);
                let magnitude = self.magnitude(factor)?;
                let mut scaling = json!({"rope_type": "yarn", "factor": factor, "attention_factor": magnitude});
                for (name, word) in [("yarn_beta_fast", "beta_fast"), ("yarn_beta_slow", "beta_slow")] {
                    let name = format!("rope.scaling.{name}");
                    if self.architecture.reads.contains(&name.as_str())
                        && let Some(beta) = self.number(&name)?
                    {
                        scaling[word] = json!(beta);
                    }
                }
                if let Some(original) = self.count("rope.scaling.original_context_length")? {
                    scaling["original_max_position_embeddings"] = json!(original);
                }
                Ok(Some(scaling))
            }
            // Phi-3's factors are tensors, and its own words say so.
            ("longrope", _) if self.architecture.name == "phi3" => Ok(None),
            (other, _) => {
                let found = shorten(other);
                let problem = format!("is \"{found}\", which is not supported; known: none, linear, yarn");
                Err(self.keys.refuse(&kind_key, problem))
            }
        }
    }

    /// YaRN's factor on cos and sin (llama.cpp's `llama-context.cpp`, `yarn_attn_factor`): that of the paper, or with a
    /// multiplier of its logarithm, the ratio of two such, which is 1 in DeepSeek's models.
    fn magnitude(&self, factor: f64) -> Result<f64, CheckpointError> {
        let own = self.number("rope.scaling.attn_factor")?.unwrap_or(1.0);
        let usual = magnitude(factor, 1.0);
        Ok(match self.log_multiplier()? {
            None => own * usual,
            Some(_) if self.is_latent() => own,
            Some(multiplier) => own * usual / magnitude(factor, multiplier),
        })
    }

    /// By what scores of attention over latents are scaled beside their width (llama.cpp's `deepseek2.cpp`, `kq_scale`).
    pub(super) fn latent_magnitude(&self) -> Result<f64, CheckpointError> {
        if self.keys.text(&self.key("rope.scaling.type"))? != Some("yarn") {
            return Ok(1.0);
        }
        let factor = self.factor("rope.scaling.factor")?;
        let own = self.number("rope.scaling.attn_factor")?.unwrap_or(1.0);
        Ok(match self.log_multiplier()? {
            None => own * magnitude(factor, 1.0),
            Some(multiplier) => own * magnitude(factor, multiplier),
        }
        .powi(2))
    }

    /// transformers' `mscale_all_dim`. DeepSeek's files hold a tenth of it (`convert_hf_to_gguf.py`).
    fn log_multiplier(&self) -> Result<Option<f64>, CheckpointError> {
        let found = self.number("rope.scaling.yarn_log_multiplier")?.filter(|&found| found != 0.0);
        Ok(found.map(|found| if self.is_latent() { found * 10.0 } else { found }))
    }

    fn is_latent(&self) -> bool {
        self.architecture.reads.contains(&"attention.kv_lora_rank")
    }
}

/// YaRN's growth of attention magnitude with the scaling factor (arXiv 2309.00071, section 3.4).
fn magnitude(factor: f64, multiplier: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { 0.1 * multiplier * factor.ln() + 1.0 }
}

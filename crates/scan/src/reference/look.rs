//! How long the baseline in f32 will take, from a short look at its first layers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use neuro_engine::EngineError;
use neuro_model::{Decoder, WeightType};

use crate::prompt::{Asked, Part};
use crate::unit::Asking;
use crate::work::Volume;
use crate::{Plan, Residence, Result, ScanError, Subject};

/// Layers of the look, and questions at most.
const LAYERS: usize = 2;
const QUESTIONS: usize = 8;

impl Plan {
    /// Seconds that the baseline in f32 takes with every answer at its limit; 0 where it is not planned. Weights are read as
    /// the look goes, so that a token alone tells what reading takes, and questions what computing takes. The subject's own
    /// weights are let go.
    pub(crate) fn reference_seconds(&self, subject: &Subject) -> Result<f64> {
        let (Some(reference), Some((summary, _))) = (&self.reference, self.reference_summary()) else { return Ok(0.0) };
        let first = |probe: usize| reference.parts(probe).first().map(|&[start, end]| (probe, start, end));
        let Some((index, start, end)) = (0..self.probes.len()).find_map(first) else { return Ok(0.0) };
        subject.forget_decoder();
        let decoder = Decoder::stream(&subject.shared_checkpoint(), subject.device(), WeightType::F32);
        let probe = &self.probes[index];
        let asking = Asking::with_decoder(subject, probe, self.sampling, Arc::new(decoder))?;
        let layers = LAYERS.min(subject.depth());
        let look = |questions: &[usize], asked: &[Asked]| -> std::result::Result<Duration, EngineError> {
            let begin = Instant::now();
            asking.session(questions, asked)?.trunk(layers, &mut |_| true)?;
            Ok(begin.elapsed() / layers as u32)
        };
        let questions = &self.order[index][start..end.min(start + QUESTIONS)];
        let token = self.asked[index][questions[0]].prompt().iter().take(1).copied().collect::<Vec<u32>>();
        let alone = Asked { parts: vec![Part { prompt: token.clone(), continuation: token }], limit: 1 };
        let looks = look(&[0], &[alone]).and_then(|alone| Ok((alone, look(questions, &self.asked[index])?)));
        let (reading, whole) = looks.map_err(|source| ScanError::Unit {
            path: self.printed[reference.baseline].clone(),
            probe: probe.name().to_owned(),
            first: probe.questions()[questions[0]].id.clone(),
            last: probe.questions()[questions[questions.len() - 1]].id.clone(),
            source: Box::new(source),
        })?;
        let read = Volume::of(questions.iter().map(|&at| &self.asked[index][at])).read.max(1);
        let computing = whole.saturating_sub(reading).as_secs_f64() / read as f64;
        let walks = if reference.residence == Residence::Held { 1 } else { summary.sweeps_at_most };
        let tokens = summary.layer_tokens + summary.decoded_layer_tokens_at_most;
        Ok((walks * subject.depth() as u64) as f64 * reading.as_secs_f64() + tokens as f64 * computing)
    }
}

//! One unit: what one path answers to one chunk of questions.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use neuro_engine::{Answer, EngineError, GenerateOptions, Generation, Likelihood, Scored, StopReason, is_looping};
use neuro_model::Decoder;
use neuro_path::LayerPath;
use neuro_probe::{Probe, Question, Scoring, Terminator};
use neuro_record::Sample;
use neuro_text::{StopRules, Text};

use crate::prompt::Asked;
use crate::{Result, ScanError, Subject};

/// What all units of a probe have in common.
pub(crate) struct Asking<'a> {
    decoder: Arc<Decoder>,
    text: &'a Text,
    probe: &'a Probe,
    end_tokens: Vec<u32>,
    suppress: &'a [u32],
    rules: StopRules,
    /// Whether an answer is over at its limit by its nature, because nothing else says where it ends.
    fixed_length: bool,
}

impl<'a> Asking<'a> {
    pub(crate) fn new(subject: &'a Subject, probe: &'a Probe) -> Result<Self> {
        let chat = subject.is_chat();
        let strings = probe.stop_strings(chat).iter().map(|string| (*string).to_owned());
        Ok(Self {
            decoder: subject.decoder()?,
            text: subject.require_text()?,
            probe,
            end_tokens: subject.end_tokens(),
            suppress: &subject.checkpoint().generation.suppress_tokens,
            rules: StopRules::new(subject.end_tokens(), strings),
            fixed_length: probe.terminator(chat) == Terminator::None,
        })
    }

    /// Runs the trunk of a chunk: these questions, as these tokens.
    pub(crate) fn trunk<'s>(
        &'s self,
        questions: Range<usize>,
        asked: &[Asked],
    ) -> std::result::Result<Trunk<'s>, EngineError> {
        let decoder = self.decoder.clone();
        let work = match self.probe.scoring() {
            Scoring::Likelihood => {
                let scored =
                    |asked: &Asked| Scored { prompt: asked.prompt.clone(), continuation: asked.continuation.clone() };
                Work::Likelihood(Likelihood::new(decoder, &asked.iter().map(scored).collect::<Vec<_>>())?)
            }
            Scoring::Generation => {
                let prompts: Vec<_> = asked.iter().map(|asked| (asked.prompt.as_slice(), asked.limit)).collect();
                Work::Generation(Generation::new(decoder, &prompts)?)
            }
        };
        Ok(Trunk { asking: self, questions: &self.probe.questions()[questions], work })
    }
}

/// A chunk whose trunk is computed: every path is measured from here.
pub(crate) struct Trunk<'a> {
    asking: &'a Asking<'a>,
    questions: &'a [Question],
    work: Work,
}

enum Work {
    Likelihood(Likelihood),
    Generation(Generation),
}

/// What the engine gives for a chunk, before anything is graded.
pub(crate) enum Raw {
    Logprobs(Vec<Vec<f64>>),
    Answers(Vec<Answer>),
}

impl Trunk<'_> {
    /// Runs the path. `None` when `interrupted` was set meanwhile and answers were cut short for it.
    pub(crate) fn run(
        &self,
        path: &LayerPath,
        interrupted: &AtomicBool,
    ) -> std::result::Result<Option<Raw>, EngineError> {
        match &self.work {
            Work::Likelihood(likelihood) => Ok(Some(Raw::Logprobs(likelihood.logprobs(path)?))),
            Work::Generation(generation) => {
                let watch = |_: usize, tokens: &[u32]| self.asking.stop(tokens, interrupted);
                let options =
                    GenerateOptions { eos: &self.asking.end_tokens, suppress: self.asking.suppress, watch: &watch };
                let answers = generation.answers(path, &options)?;
                Ok((!interrupted.load(Ordering::Relaxed)).then_some(Raw::Answers(answers)))
            }
        }
    }

    /// Grades what the engine gave: one sample per question of the chunk, in order.
    pub(crate) fn grade(&self, printed: &str, raw: Raw) -> Result<Vec<Sample>> {
        match raw {
            Raw::Logprobs(all) => {
                let pairs = self.questions.iter().zip(all);
                Ok(pairs.map(|(question, logprobs)| self.asking.scored(printed, question, logprobs)).collect())
            }
            Raw::Answers(answers) => {
                let pairs = self.questions.iter().zip(answers);
                pairs.map(|(question, answer)| self.asking.answered(printed, question, &answer)).collect()
            }
        }
    }
}

impl Asking<'_> {
    /// Why an answer ends with these tokens, if it does.
    fn stop(&self, tokens: &[u32], interrupted: &AtomicBool) -> Option<StopReason> {
        if interrupted.load(Ordering::Relaxed) {
            return Some(StopReason::StopRule);
        }
        if !self.rules.strings().is_empty() {
            // A text that cannot be decoded ends the answer; its error is met again, and reported, when it is graded.
            let stopped = self.text.decode(tokens, true).map(|text| self.rules.check(&[], &text).is_some());
            if stopped.unwrap_or(true) {
                return Some(StopReason::StopRule);
            }
        }
        is_looping(tokens).then_some(StopReason::Loop)
    }

    /// The sample of a key whose tokens have these log-probabilities.
    fn scored(&self, path: &str, question: &Question, logprobs: Vec<f64>) -> Sample {
        let finite = logprobs.iter().all(|logprob| logprob.is_finite());
        Sample {
            score: if finite { self.probe.likelihood(&logprobs) } else { 0.0 },
            stop: (!finite).then(|| StopReason::NotFinite.name().to_owned()),
            tokens: logprobs.len(),
            logprobs: finite.then_some(logprobs),
            ..self.blank(path, question)
        }
    }

    /// The sample of a generated answer.
    fn answered(&self, path: &str, question: &Question, answer: &Answer) -> Result<Sample> {
        let text = self.text.decode(&answer.tokens, true).map_err(|source| ScanError::Answer {
            path: path.to_owned(),
            probe: self.probe.name().to_owned(),
            question: question.id.clone(),
            source: Box::new(source),
        })?;
        let text = self.rules.trim(&text);
        let stop = match answer.stop {
            StopReason::Length if self.fixed_length => StopReason::StopRule,
            stop => stop,
        };
        let grade = self.probe.grade(question, text);
        let finite = answer.stop != StopReason::NotFinite;
        Ok(Sample {
            score: if finite { grade.score } else { 0.0 },
            answer: Some(text.to_owned()),
            parsed: grade.parsed.filter(|_| finite),
            parse_failure: grade.parse_failure || !finite,
            stop: Some(stop.name().to_owned()),
            tokens: answer.tokens.len(),
            ..self.blank(path, question)
        })
    }

    fn blank(&self, path: &str, question: &Question) -> Sample {
        Sample {
            path: path.to_owned(),
            probe: self.probe.name().to_owned(),
            question: question.id.clone(),
            group: question.group.clone(),
            score: 0.0,
            answer: None,
            parsed: None,
            parse_failure: false,
            stop: None,
            logprobs: None,
            tokens: 0,
        }
    }
}

//! What a group of paths answers to a set of questions, and its grading.

use std::sync::Arc;

use neuro_engine::{
    Answer, EngineError, GenerateOptions, Generation, Likelihood, Prompt, Rule, Sampling, Scored, Stats, StopReason,
    Watch, is_looping,
};
use neuro_model::{Decoder, Device};
use neuro_path::LayerPath;
use neuro_probe::{Probe, Question, Scoring, Terminator};
use neuro_record::Sample;
use neuro_text::{StopRules, Text};

use crate::prompt::{Asked, Part};
use crate::{Residence, Result, ScanError, Subject};

/// What all questions of a probe have in common.
pub(crate) struct Asking<'a> {
    decoder: Arc<Decoder>,
    text: &'a Text,
    probe: &'a Probe,
    end_tokens: Vec<u32>,
    suppress: &'a [u32],
    rules: StopRules,
    /// How tokens are chosen.
    rule: Rule,
    /// Whether an answer is over at its limit by its nature, because nothing else says where it ends.
    fixed_length: bool,
}

impl<'a> Asking<'a> {
    pub(crate) fn new(
        subject: &'a Subject,
        probe: &'a Probe,
        sampling: Sampling,
        residence: Residence,
    ) -> Result<Self> {
        Self::with_decoder(subject, probe, sampling, subject.decoder_with(residence)?)
    }

    /// The same with a decoder of its own.
    pub(crate) fn with_decoder(
        subject: &'a Subject,
        probe: &'a Probe,
        sampling: Sampling,
        decoder: Arc<Decoder>,
    ) -> Result<Self> {
        let chat = subject.is_chat() && !probe.always_plain();
        let strings = probe.stop_strings(chat).to_vec();
        Ok(Self {
            decoder,
            text: subject.require_text()?,
            probe,
            end_tokens: subject.end_tokens(),
            suppress: &subject.checkpoint().generation.suppress_tokens,
            rules: StopRules::new(subject.end_tokens(), strings),
            rule: if probe.draws() > 0 { Rule::Sample(sampling) } else { Rule::Greedy },
            fixed_length: probe.terminator(chat) == Terminator::None,
        })
    }

    /// Prepares the given questions of a probe, of which `asked` are the tokens.
    pub(crate) fn session(
        &self,
        questions: &[usize],
        asked: &[Asked],
    ) -> std::result::Result<Session<'_>, EngineError> {
        let decoder = self.decoder.clone();
        let work = match self.probe.scoring() {
            Scoring::Likelihood => {
                let scored =
                    |part: &Part| Scored { prompt: part.prompt.clone(), continuation: part.continuation.clone() };
                let parts = questions.iter().flat_map(|&index| asked[index].parts.iter().map(scored));
                Work::Likelihood(Likelihood::new(decoder, &parts.collect::<Vec<_>>())?)
            }
            Scoring::Generation => {
                // Draws of a question stand one after the other and share its number.
                let draws = self.probe.draws().max(1);
                let prompt = |&index: &usize| Prompt {
                    tokens: asked[index].prompt().to_vec(),
                    limit: asked[index].limit,
                    question: (index / draws) as u64,
                    draw: (index % draws) as u32,
                };
                Work::Generation(Generation::new(decoder, questions.iter().map(prompt).collect())?)
            }
        };
        let parts = questions.iter().map(|&index| asked[index].parts.len()).collect();
        Ok(Session { asking: self, questions: questions.to_vec(), parts, work })
    }
}

/// A set of questions whose common states are kept: every group of paths is measured from here.
pub(crate) struct Session<'a> {
    asking: &'a Asking<'a>,
    questions: Vec<usize>,
    /// How many prompts each question has.
    parts: Vec<usize>,
    work: Work,
}

enum Work {
    Likelihood(Likelihood),
    Generation(Generation),
}

/// What the engine gives for one path, before anything is graded.
pub(crate) enum Raw {
    Logprobs(Vec<Vec<f64>>),
    Answers(Vec<Answer>),
}

impl Raw {
    /// The generated answers.
    pub(crate) fn answers(&self) -> &[Answer] {
        match self {
            Self::Logprobs(_) => &[],
            Self::Answers(answers) => answers,
        }
    }
}

impl Session<'_> {
    /// Where it is computed.
    pub(crate) fn device(&self) -> &Device {
        self.asking.decoder.device()
    }

    /// What has been run so far.
    pub(crate) fn stats(&self) -> Stats {
        match &self.work {
            Work::Likelihood(likelihood) => likelihood.stats(),
            Work::Generation(generation) => generation.stats(),
        }
    }

    /// Runs the trunk as far as some path shares it.
    pub(crate) fn trunk(&mut self, layers: usize, watch: &mut Watch<'_>) -> std::result::Result<(), EngineError> {
        match &mut self.work {
            Work::Likelihood(likelihood) => likelihood.trunk(layers, watch),
            Work::Generation(generation) => generation.trunk(layers, watch),
        }
    }

    /// Runs the paths.
    pub(crate) fn run(
        &mut self,
        paths: &[LayerPath],
        watch: &mut Watch<'_>,
    ) -> std::result::Result<Vec<Raw>, EngineError> {
        match &mut self.work {
            Work::Likelihood(likelihood) => {
                Ok(likelihood.logprobs(paths, watch)?.into_iter().map(Raw::Logprobs).collect())
            }
            Work::Generation(generation) => {
                let asking = self.asking;
                let stop = |_: usize, tokens: &[u32]| asking.stop(tokens);
                let (eos, suppress) = (asking.end_tokens.as_slice(), asking.suppress);
                let options = GenerateOptions { eos, suppress, rule: asking.rule, stop: &stop };
                Ok(generation.answers(paths, &options, watch)?.into_iter().map(Raw::Answers).collect())
            }
        }
    }

    /// Grades what the engine gave for a path: one sample per question, in order.
    pub(crate) fn grade(&self, printed: &str, raw: Raw) -> Result<Vec<Sample>> {
        let questions = self.questions.iter().map(|&index| &self.asking.probe.questions()[index]);
        match raw {
            Raw::Logprobs(all) => {
                let mut all = all.into_iter();
                let one = |(question, &parts): (&Question, &usize)| {
                    self.asking.scored(printed, question, all.by_ref().take(parts).collect())
                };
                Ok(questions.zip(&self.parts).map(one).collect())
            }
            Raw::Answers(answers) => questions
                .zip(answers)
                .map(|(question, answer)| self.asking.answered(printed, question, &answer))
                .collect(),
        }
    }
}

impl Asking<'_> {
    /// Why an answer ends with these tokens, if it does.
    fn stop(&self, tokens: &[u32]) -> Option<StopReason> {
        if !self.rules.strings().is_empty() {
            // A text that cannot be decoded ends the answer; its error is met again, and reported, when it is graded.
            let stopped = self.text.decode(tokens, true).map(|text| self.rules.check(&[], &text).is_some());
            if stopped.unwrap_or(true) {
                return Some(StopReason::StopRule);
            }
        }
        is_looping(tokens).then_some(StopReason::Loop)
    }

    /// The sample of a question whose continuations have tokens with these log-probabilities.
    fn scored(&self, path: &str, question: &Question, logprobs: Vec<Vec<f64>>) -> Sample {
        let finite = logprobs.iter().flatten().all(|logprob| logprob.is_finite());
        let grade = self.probe.score_logprobs(question, &logprobs);
        let tokens = logprobs.iter().map(Vec::len).sum();
        let kept = match logprobs.len() {
            1 => logprobs.into_iter().next().unwrap_or_default(),
            _ => logprobs.iter().map(|tokens| tokens.iter().sum()).collect(),
        };
        Sample {
            score: if finite { grade.score } else { 0.0 },
            parsed: grade.parsed.filter(|_| finite),
            stop: (!finite).then(|| StopReason::NotFinite.name().to_owned()),
            tokens,
            logprobs: finite.then_some(kept),
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

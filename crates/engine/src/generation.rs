//! Answers of many paths to many prompts, by draft and verify.
//!
//! All answers grow together: a sweep runs the newest token of each, and behind it what other paths' answers suggest.
//! Every token is chosen from logits that were computed behind exactly the tokens before it, so a draft saves sweeps and
//! never changes a text. Where two tokens are so close that the order of floating-point sums could decide, the text is
//! read once more, alone and in one pass, and that decides: it depends on nothing but path and text.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::Tensor;
use neuro_model::Decoder;
use neuro_path::LayerPath;

use crate::drafts::Drafts;
use crate::forest::{Demand, Forest, Watch};
use crate::head::read_logits;
use crate::plain::Plain;
use crate::sampling::{Choice, ChoiceKey, Rule, choose};
use crate::tokens::TokenTrie;
use crate::{EngineError, Result, Stats};

/// A choice whose lead, in logits, is smaller than this is too close to call where floating-point order could decide it. The
/// text is then read once more, alone and in one pass, and that decides, in this way and in the plain one. Where rows come
/// out alike in any company ([`Decoder::rows_are_alike`]) that would give the same token, so it is not done.
pub const NEAR_TIE: f64 = 3e-4;
/// The same of models with delta nets, which take rounding up: logits of such fixtures differed by up to 1.9e-4 from order alone,
/// those of the others by up to 4e-5.
const NEAR_TIE_OF_DELTA_NETS: f64 = 1e-3;
/// What a sweep costs beside its rows, in rows: reading weights from memory takes a processor as long as the products of 40
/// (Q8_0) to 50 (f32) rows, by the rates of docs/log.md (12 to 14 GB/s, 900 and 300 GFLOP/s), and threads have to meet.
const SWEEP_ROWS: f64 = 64.0;
/// The same where weights come from disk, and on devices, whose memory is slower still beside their products: the ratio of
/// the rates in an H200's data sheet is 330 in bf16.
const FAR_SWEEP_ROWS: f64 = 512.0;
/// Tokens of answers that are remembered for drafts.
const REMEMBERED: usize = 1 << 20;

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// The model said so: an end-of-text token.
    EndOfText,
    /// A rule of the asker, such as a stop string.
    StopRule,
    /// The answer ran into a loop.
    Loop,
    /// The limit of new tokens.
    Length,
    /// The activations are not finite, so there is no next token.
    NotFinite,
}

impl StopReason {
    /// The reason's name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::EndOfText => "end_of_text",
            Self::StopRule => "stop_rule",
            Self::Loop => "loop",
            Self::Length => "length",
            Self::NotFinite => "not_finite",
        }
    }
}

/// What is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What the model reads, at least one token.
    pub tokens: Vec<u32>,
    /// New tokens that may follow.
    pub limit: usize,
    /// A number for the question, and which of several answers to it this is: what sampling's noise depends on.
    pub question: u64,
    /// See `question`.
    pub draw: u32,
}

impl Prompt {
    /// Tokens that prompt and answer may reach.
    pub(crate) fn span(&self) -> usize {
        self.tokens.len().saturating_add(self.limit)
    }

    /// The key of the answer's token of this index.
    pub(crate) fn key(&self, index: usize) -> ChoiceKey {
        ChoiceKey { question: self.question, draw: self.draw, position: index as u32 }
    }
}

/// How to generate.
pub struct GenerateOptions<'a> {
    /// Tokens that end an answer.
    pub eos: &'a [u32],
    /// Tokens that are never chosen.
    pub suppress: &'a [u32],
    /// How a token is chosen.
    pub rule: Rule,
    /// Called for every new token with the index of the prompt and all new tokens so far; may end the answer.
    pub stop: &'a dyn Fn(usize, &[u32]) -> Option<StopReason>,
}

/// What came behind one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// New tokens, without the end-of-text token.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub stop: StopReason,
    /// Walks over the path that it took.
    pub sweeps: usize,
}

/// Whether a choice is too close to call: see [`NEAR_TIE`].
pub(crate) fn is_near_tie(decoder: &Decoder, choice: &Choice) -> bool {
    let is_recurrent = || decoder.config().layers.iter().any(|layer| layer.delta_net.is_some());
    let is_near = |lead: f64| lead < NEAR_TIE || lead < NEAR_TIE_OF_DELTA_NETS && is_recurrent();
    is_near(choice.lead) && !decoder.rows_are_alike()
}

/// Takes one chosen token into an answer; says why the answer ends, if it does.
pub(crate) fn advance(
    answer: &mut Vec<u32>,
    chosen: Option<u32>,
    limit: usize,
    index: usize,
    options: &GenerateOptions<'_>,
) -> Option<StopReason> {
    let Some(token) = chosen else { return Some(StopReason::NotFinite) };
    if options.eos.contains(&token) {
        return Some(StopReason::EndOfText);
    }
    answer.push(token);
    let stop = (options.stop)(index, answer);
    stop.or_else(|| (answer.len() >= limit).then_some(StopReason::Length))
}

/// A set of prompts to be answered along any number of paths.
pub struct Generation {
    forest: Forest,
    prompts: Vec<Prompt>,
    /// Last node of each prompt.
    last: Vec<u32>,
    prompt_nodes: usize,
    drafts: Drafts,
    /// Whether they are asked.
    drafting: bool,
    /// What a sweep costs beside its rows, in rows.
    sweep_rows: f64,
}

/// One answer on its way.
struct Line {
    path: usize,
    prompt: usize,
    /// The newest token: its logits are not known yet.
    node: u32,
    /// What is guessed to come next, run ahead or not.
    guess: Option<u32>,
    /// What is run ahead behind it.
    draft: Vec<u32>,
    answer: Answer,
    is_done: bool,
}

impl Generation {
    /// Prepares the set; nothing is computed yet.
    ///
    /// # Errors
    /// When a prompt is empty.
    pub fn new(decoder: Arc<Decoder>, prompts: Vec<Prompt>) -> Result<Self> {
        if let Some(index) = prompts.iter().position(|prompt| prompt.tokens.is_empty()) {
            return Err(EngineError::EmptyPrompt { index });
        }
        let mut tokens = TokenTrie::default();
        let mut last = Vec::with_capacity(prompts.len());
        for prompt in &prompts {
            let nodes = tokens.insert(decoder.shared_span(prompt.span()), &prompt.tokens);
            last.push(nodes[nodes.len() - 1]);
        }
        let prompt_nodes = tokens.len();
        let is_near = decoder.device().is_cpu() && decoder.weight_bytes() > 0;
        let sweep_rows = if is_near { SWEEP_ROWS } else { FAR_SWEEP_ROWS };
        let forest = Forest::new(decoder, tokens, true)?;
        Ok(Self { forest, prompts, last, prompt_nodes, drafts: Drafts::default(), drafting: true, sweep_rows })
    }

    /// Runs the baseline's first layers over the prompts, for all paths that begin with them. Without this call the first
    /// paths that need it do.
    ///
    /// # Errors
    /// When the decoder fails or `watch` ends it.
    pub fn trunk(&mut self, layers: usize, watch: &mut Watch<'_>) -> Result<()> {
        self.forest.trunk(layers, watch)
    }

    /// The answers along each path: `[path][prompt]`. They are those of the plain way, token for token.
    ///
    /// # Errors
    /// When a path belongs to another depth, the decoder fails, or `watch` ends it.
    pub fn answers(
        &mut self,
        paths: &[LayerPath],
        options: &GenerateOptions<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<Answer>>> {
        let ends = self.forest.plant(paths, watch)?;
        let line = |path: usize, prompt: usize| Line {
            path,
            prompt,
            node: self.last[prompt],
            guess: None,
            draft: Vec::new(),
            answer: Answer { tokens: Vec::new(), stop: StopReason::Length, sweeps: 0 },
            is_done: self.prompts[prompt].limit == 0,
        };
        // Prompt by prompt: rows of the trunk that see the same keys and values then stand next to each other.
        let lines = (0..self.prompts.len()).flat_map(|prompt| (0..paths.len()).map(move |path| (path, prompt)));
        let mut lines: Vec<Line> = lines.map(|(path, prompt)| line(path, prompt)).collect();
        while lines.iter().any(|line| !line.is_done) {
            self.round(paths, &ends, &mut lines, options, watch)?;
        }
        self.drafts.bound(&mut self.forest.tokens, self.prompt_nodes, REMEMBERED);
        let mut answers: Vec<Vec<Answer>> = paths.iter().map(|_| Vec::with_capacity(self.prompts.len())).collect();
        lines.into_iter().for_each(|line| answers[line.path].push(line.answer));
        Ok(answers)
    }

    /// Whether answers are drafted from what other paths said, as they are otherwise. Drafts save sweeps and never change a
    /// text.
    #[must_use]
    pub fn with_drafts(mut self, drafts: bool) -> Self {
        self.drafting = drafts;
        self
    }

    /// What has been run so far.
    pub fn stats(&self) -> Stats {
        self.forest.stats
    }

    /// One sweep for all answers that are not done, and the tokens that follow from it.
    fn round(
        &mut self,
        paths: &[LayerPath],
        ends: &[usize],
        lines: &mut [Line],
        options: &GenerateOptions<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<()> {
        let mut demands: Vec<Demand> = Vec::new();
        let mut demand_of: Vec<Option<usize>> = vec![None; paths.len()];
        let reach = self.drafts.reach(lines.iter().filter(|line| !line.is_done).count(), self.sweep_rows);
        for line in lines.iter_mut().filter(|line| !line.is_done) {
            let left = self.prompts[line.prompt].limit - line.answer.tokens.len();
            if self.drafting {
                // The last token needs no row of its own: it is chosen, not read.
                line.draft = self.drafts.guess(line.node, (left - 1).min(reach.max(1)));
                line.guess = line.draft.first().copied();
                line.draft.truncate(reach);
            }
            let demand = *demand_of[line.path].get_or_insert_with(|| {
                demands.push(Demand { end: ends[line.path], tokens: Vec::new(), asked: Vec::new() });
                demands.len() - 1
            });
            let demand = &mut demands[demand];
            let nodes = std::iter::once(line.node).chain(line.draft.iter().copied());
            demand.tokens.extend(nodes.clone().filter(|&node| node as usize >= self.prompt_nodes));
            demand.asked.extend(nodes);
        }
        for demand in &mut demands {
            demand.asked.sort_unstable();
            demand.asked.dedup();
        }
        let resid = self.forest.sweep(&demands, watch)?;
        let resid: Vec<Tensor> = resid.into_iter().collect::<Option<_>>().ok_or(EngineError::MissingState)?;

        // Who reads which row of logits: a line reads those of its newest token and of its draft.
        let mut first_rows = Vec::with_capacity(demands.len());
        let mut rows = 0;
        for demand in &demands {
            first_rows.push(rows);
            rows += demand.asked.len();
        }
        let mut readers: Vec<Vec<(usize, ChoiceKey)>> = vec![Vec::new(); rows];
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_done) {
            let Some(demand) = demand_of[line.path] else { continue };
            for (ahead, node) in std::iter::once(&line.node).chain(&line.draft).enumerate() {
                let place = demands[demand].asked.binary_search(node).map_err(|_| EngineError::MissingState)?;
                let key = self.prompts[line.prompt].key(line.answer.tokens.len() + ahead);
                readers[first_rows[demand] + place].push((index, key));
            }
        }
        let (suppress, rule) = (options.suppress, options.rule);
        let read = |row: usize, logits: &[f32]| -> Vec<Option<Choice>> {
            let choice = |&(_, key): &(usize, ChoiceKey)| choose(logits, suppress, &rule, key);
            readers[row].iter().map(choice).collect()
        };
        let choices = read_logits(&self.forest.decoder, &Tensor::cat(&resid, 0)?, &mut Vec::new(), read)?;
        let mut chosen: HashMap<(usize, u32), Option<Choice>> = HashMap::new();
        for (readers, choices) in readers.iter().zip(choices) {
            for (&(line, key), choice) in readers.iter().zip(choices) {
                chosen.insert((line, key.position), choice);
            }
        }
        for (index, line) in lines.iter_mut().enumerate().filter(|(_, line)| !line.is_done) {
            line.answer.sweeps += 1;
            let choice = |position: usize| chosen.get(&(index, position as u32)).copied().flatten();
            self.follow(line, &paths[line.path], choice, options, watch)?;
        }
        Ok(())
    }

    /// Takes tokens into an answer as long as the draft foretold them, and one more.
    fn follow(
        &mut self,
        line: &mut Line,
        path: &LayerPath,
        choice: impl Fn(usize) -> Option<Choice>,
        options: &GenerateOptions<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<()> {
        let Self { forest, prompts, drafts, .. } = self;
        let prompt = &prompts[line.prompt];
        let draft = std::mem::take(&mut line.draft);
        let mut guess = line.guess.take();
        forest.stats.drafted += draft.len() as u64;
        for ahead in 0..=draft.len() {
            let answer = &mut line.answer;
            let token = match choice(answer.tokens.len()) {
                Some(choice) if is_near_tie(&forest.decoder, &choice) => {
                    if !watch(0) {
                        return Err(EngineError::Interrupted);
                    }
                    forest.stats.near_ties += 1;
                    let (text, key) = ([&prompt.tokens[..], &answer.tokens].concat(), prompt.key(answer.tokens.len()));
                    Plain::settle(forest.decoder.clone(), path, prompt.span(), &text, options, key)?
                }
                choice => choice.map(|choice| choice.token),
            };
            let stop = advance(&mut answer.tokens, token, prompt.limit, line.prompt, options);
            match (stop, token) {
                (Some(StopReason::EndOfText), _) => {
                    if guess.take().is_some() {
                        drafts.learn(false);
                    }
                    drafts.saw_end(line.node);
                }
                (_, Some(token)) => {
                    let next = forest.tokens.answer(line.node, token);
                    if let Some(guess) = guess.take() {
                        drafts.learn(guess == next);
                    }
                    drafts.saw(line.node, next);
                    line.node = next;
                }
                (_, None) => {}
            }
            if let Some(stop) = stop {
                (line.answer.stop, line.is_done) = (stop, true);
                return Ok(());
            }
            if draft.get(ahead) != Some(&line.node) {
                return Ok(());
            }
            forest.stats.accepted += 1;
        }
        Ok(())
    }
}

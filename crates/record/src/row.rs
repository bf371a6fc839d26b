//! The two kinds of lines: a row (one path, one probe) and a sample (one path, one question).

use std::collections::BTreeMap;

use neuro_path::LayerPath;
use serde::{Deserialize, Serialize};

use crate::RecordError;
use crate::info::SCHEMA;

/// [`Row::seconds_kind`] of a row whose time is its share of the sweeps it took part in, by layer-tokens.
pub const SECONDS_SHARE: &str = "share";
/// [`Row::seconds_kind`] of a row that an earlier process measured in part: the rest's share, counted for the whole.
pub const SECONDS_EXTRAPOLATED: &str = "extrapolated";
/// [`Sample::stop`] of an answer cut off at its token limit.
pub const STOP_LENGTH: &str = "length";
/// [`Sample::stop`] of an answer stopped early because it repeated itself.
pub const STOP_LOOP: &str = "loop";

/// What one path scored on one probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Format version, [`SCHEMA`].
    pub schema: u32,
    /// The path as the printed inclusive map.
    pub path: String,
    /// The path's layers in order of visits.
    pub layers: Vec<usize>,
    /// `[i, j]` when the path is that block's, `[0, 0]` for the baseline.
    pub block: Option<[usize; 2]>,
    /// Probe's name with scoring.
    pub probe: String,
    /// Mean score over the questions, in [0, 1].
    pub score: f64,
    /// Number of questions.
    pub n: usize,
    /// How far the path came, where it dropped out of a screening; such a row takes no part in a ranking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screened: Option<Screened>,
    /// Answers in which no answer could be found.
    pub parse_failures: usize,
    /// Answers cut off at their token limit.
    pub truncated: usize,
    /// Answers stopped because they repeated themselves.
    pub loops: usize,
    /// Score and number of questions of each group.
    pub groups: BTreeMap<String, GroupScore>,
    /// Time in seconds, of the kind below; never part of a comparison. None where the process that wrote the row
    /// measured nothing of it.
    pub seconds: Option<f64>,
    /// How `seconds` was taken: `share` ([`SECONDS_SHARE`]) or `extrapolated` ([`SECONDS_EXTRAPOLATED`]); none where
    /// there is no time.
    pub seconds_kind: Option<String>,
    /// Remarks that a reader of the number must know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Seed of the weights when the model's are random instead of trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_weights: Option<u64>,
}

/// How many questions a path saw before it dropped out of a screening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Screened {
    /// Questions that it saw: the first ones of the run's order.
    pub seen: usize,
    /// Questions of the probe.
    pub of: usize,
}

/// Score of one group of questions within a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GroupScore {
    /// Mean score, in [0, 1].
    pub score: f64,
    /// Number of questions.
    pub n: usize,
}

/// What one path answered to one question. The run's schema version stands in `run.json` alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The path as the printed inclusive map.
    pub path: String,
    /// Probe's name with scoring.
    pub probe: String,
    /// Identifier of the question, unique within the probe.
    pub question: String,
    /// The question's group; may be empty.
    pub group: String,
    /// Score in [0, 1].
    pub score: f64,
    /// The generated text; none where only likelihood was scored.
    pub answer: Option<String>,
    /// What the scorer found in the text.
    pub parsed: Option<String>,
    /// Whether the scorer found nothing.
    pub parse_failure: bool,
    /// Why generation ended: `end_of_text`, `stop_rule`, `loop` or `length`.
    pub stop: Option<String>,
    /// Log-probabilities in nats, finite: of the right answer's tokens, or, where a question has several
    /// continuations, of each of them as a whole.
    pub logprobs: Option<Vec<f64>>,
    /// Generated tokens, or scored ones where nothing was generated.
    pub tokens: usize,
}

impl Row {
    /// The row of `path` on `probe` from all its samples: means, groups and counts. Sums run in the order of question
    /// identifiers, so that a resumed run, which meets its samples in another order, writes the same digits. Time,
    /// notes, the seed of random weights and that it dropped out are the caller's to add.
    ///
    /// # Errors
    /// No samples, samples of another path or probe, or a question asked twice.
    pub fn from_samples(path: &LayerPath, probe: &str, samples: &[&Sample]) -> Result<Self, RecordError> {
        let printed = path.to_string();
        let refuse =
            |reason: String| RecordError::Refused { what: format!("row of path {printed} on probe `{probe}`"), reason };
        if samples.is_empty() {
            return Err(refuse("it has no samples, expected one for each question".to_owned()));
        }
        if let Some(other) = samples.iter().find(|sample| sample.path != printed || sample.probe != probe) {
            return Err(refuse(format!("a sample belongs to path {} on probe `{}`", other.path, other.probe)));
        }
        let mut ordered = samples.to_vec();
        ordered.sort_by(|a, b| a.question.cmp(&b.question));
        if let Some(pair) = ordered.windows(2).find(|pair| pair[0].question == pair[1].question) {
            return Err(refuse(format!("question `{}` has two samples, expected one", pair[0].question)));
        }
        let mut groups: BTreeMap<String, GroupScore> = BTreeMap::new();
        let mut total = 0.0;
        for sample in &ordered {
            total += sample.score;
            let group = groups.entry(sample.group.clone()).or_insert(GroupScore { score: 0.0, n: 0 });
            group.score += sample.score;
            group.n += 1;
        }
        for group in groups.values_mut() {
            group.score /= group.n as f64;
        }
        let count = |test: &dyn Fn(&Sample) -> bool| ordered.iter().filter(|sample| test(sample)).count();
        Ok(Self {
            schema: SCHEMA,
            path: printed,
            layers: path.layers(),
            block: path.block().map(|block| [block.start, block.end]),
            probe: probe.to_owned(),
            score: total / ordered.len() as f64,
            n: ordered.len(),
            screened: None,
            parse_failures: count(&|sample| sample.parse_failure),
            truncated: count(&|sample| sample.stop.as_deref() == Some(STOP_LENGTH)),
            loops: count(&|sample| sample.stop.as_deref() == Some(STOP_LOOP)),
            groups,
            seconds: None,
            seconds_kind: None,
            notes: Vec::new(),
            random_weights: None,
        })
    }

    /// Whether two rows say the same about a path. The time may differ: two machines that merge their runs never
    /// measure the same one.
    pub(crate) fn same_result(&self, other: &Self) -> bool {
        let Self {
            schema,
            path,
            layers,
            block,
            probe,
            score,
            n,
            screened,
            parse_failures,
            truncated,
            loops,
            groups,
            seconds: _,
            seconds_kind: _,
            notes,
            random_weights,
        } = self;
        *schema == other.schema
            && *path == other.path
            && *layers == other.layers
            && *block == other.block
            && *probe == other.probe
            && *score == other.score
            && *n == other.n
            && *screened == other.screened
            && *parse_failures == other.parse_failures
            && *truncated == other.truncated
            && *loops == other.loops
            && *groups == other.groups
            && *notes == other.notes
            && *random_weights == other.random_weights
    }
}

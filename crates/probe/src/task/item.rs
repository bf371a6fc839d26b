use super::grading::Grading;
use crate::scorer::Grade;

/// One question of a file.
#[derive(Debug, Clone)]
pub struct TaskItem {
    /// Its key in the file: an id, the key of an object, or the index of a line from 0.
    pub id: String,
    /// The kind of question, for scores by kind.
    pub group: String,
    /// Where it stands in the file, from 1.
    pub line: usize,
    /// System message for models with a chat template.
    pub system: Option<String>,
    /// The prompt: the user message of models with a chat template, and the whole text of others.
    pub prompt: String,
    /// The right answer as a text, or an example of one; empty where there is none.
    pub key: String,
    /// Most tokens that are generated.
    pub max_new_tokens: usize,
    /// What is scored by likelihood, if anything is.
    pub likelihood: Option<Choices>,
    pub(crate) grading: Grading,
}

/// Continuations whose log-probabilities are compared, as lm-evaluation-harness does for multiple choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// The text before each continuation: one for all, or one for each.
    pub contexts: Vec<String>,
    /// The continuations, each with the space it begins with; one alone is scored by whether it is the greedy answer.
    pub continuations: Vec<String>,
    /// The index of the right one; contexts and continuations share it.
    pub gold: usize,
}

/// What an answer is worth, beside the measures that the task's own harness would report.
#[derive(Debug, Clone, PartialEq)]
pub struct Graded {
    /// The score of this project, in [0, 1].
    pub grade: Grade,
    /// The measures of the harness, the one that the score rests on first.
    pub measures: Vec<Measure>,
}

/// One measure of one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// As the harness names it: `exact_match`.
    pub metric: &'static str,
    /// The filter before it: `strict-match`, `none`.
    pub filter: &'static str,
    /// Its values, one except for measures of single instructions; `true` is 1.
    pub values: Vec<f64>,
    /// What the filter made of the answer.
    pub filtered: String,
}

impl Choices {
    /// Which choices win: `acc` by total log-probability, `acc_norm` by log-probability per character, each 1 when the
    /// right one does. The first of equals wins.
    ///
    /// `logprobs`: nats of each continuation, in order. Source: `process_results` of lm_eval/api/task.py; its older
    /// versions, and `acc_bytes` today, divide by UTF-8 bytes, which differs outside ASCII.
    #[must_use]
    pub fn accuracies(&self, logprobs: &[f64]) -> (f64, f64) {
        let wins = |value: &dyn Fn(usize) -> f64| {
            let mut best = 0;
            for index in 1..logprobs.len() {
                if value(index) > value(best) {
                    best = index;
                }
            }
            f64::from(u8::from(!logprobs.is_empty() && best == self.gold))
        };
        // The space before a continuation is a delimiter, no part of the choice.
        let length = |index: usize| {
            let continuation = self.continuations.get(index).or(self.continuations.first());
            continuation.map_or(1, |text| text.trim_start().chars().count().max(1)) as f64
        };
        (wins(&|index| logprobs[index]), wins(&|index| logprobs[index] / length(index)))
    }
}

impl TaskItem {
    /// Grades a generated answer.
    #[must_use]
    pub fn grade(&self, answer: &str) -> Graded {
        self.grading.grade(self, answer)
    }
}

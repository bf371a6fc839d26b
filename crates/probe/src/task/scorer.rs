//! How a probe that was read from a file grades, and what its rows say about that.

use std::collections::{BTreeSet, HashMap};

use super::item::Item;
use super::{EQBENCH_CUT, VERSION, constants};
use crate::{Grade, Question, Scorer};

/// Grades each question as its own line of the file says.
#[derive(Debug)]
pub(super) struct TaskScorer {
    kind: &'static str,
    /// Whether probabilities are scored, not texts.
    is_scored: bool,
    items: Vec<Item>,
    places: HashMap<String, usize>,
}

impl TaskScorer {
    pub(super) fn new(kind: &'static str, is_scored: bool, items: Vec<Item>) -> Self {
        let places = items.iter().enumerate().map(|(place, item)| (item.question.id.clone(), place)).collect();
        Self { kind, is_scored, items, places }
    }

    fn item(&self, question: &Question) -> Option<&Item> {
        self.places.get(&question.id).map(|place| &self.items[*place])
    }
}

impl Scorer for TaskScorer {
    fn id(&self) -> String {
        // What differs from question to question stands in their references.
        let kinds: BTreeSet<&str> = self.items.iter().map(|item| item.grading.name()).collect();
        format!("{} {}.v{VERSION}", self.kind, kinds.into_iter().collect::<Vec<_>>().join("+"))
    }

    fn grade(&self, question: &Question, answer: &str) -> Grade {
        self.item(question).map_or_else(Grade::failure, |item| item.grade(answer).grade)
    }

    fn grade_values(&self, question: &Question, values: &[f64]) -> Grade {
        let item = self.item(question).zip(values.first());
        item.map_or_else(Grade::failure, |(item, value)| item.grading.grade_value(*value))
    }

    fn notes(&self) -> Vec<String> {
        let shots = unusual_shots(self.kind).map(str::to_owned);
        // Constants are texts; probabilities have no such answers.
        if self.is_scored {
            return shots.into_iter().collect();
        }
        let cut = (self.kind == "eqbench").then(|| EQBENCH_CUT.to_owned());
        shots.into_iter().chain(cut).chain(constants::note(&constants::of(self.kind, &self.items))).collect()
    }
}

/// Where the task that the harness usually means by a set's name shows worked examples and this one none: its scores are not
/// those of published tables. The others are asked without examples there too.
fn unusual_shots(kind: &str) -> Option<&'static str> {
    match kind {
        "bbh" => Some(
            "0-shot, as bbh_zeroshot; `bbh` of lm-evaluation-harness shows 3 worked examples before each question, as bbh-cot does",
        ),
        "gsm8k" => Some(
            "0-shot, as gsm8k_cot_zeroshot; `gsm8k` of lm-evaluation-harness shows 5 worked examples before each question, as gsm8k-5shot does",
        ),
        _ => None,
    }
}

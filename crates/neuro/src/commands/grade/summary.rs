//! What all graded answers together are worth.

use std::collections::BTreeMap;

use neuro_probe::{Constant, EQBENCH_CUT, Graded, Probe};
use serde_json::{Value, json};

use crate::printer::{BOLD, DIM, styled};
use crate::results::JSON_SCHEMA;

/// An answer, graded.
pub(super) struct Sample<'a> {
    pub(super) id: &'a Value,
    pub(super) group: &'a str,
    pub(super) graded: Graded,
}

/// Every graded answer, in the order in which they were given.
pub(super) struct Summary<'a> {
    pub(super) probe: &'a Probe,
    pub(super) samples: Vec<Sample<'a>>,
    /// Questions that have an answer or more.
    pub(super) answered: usize,
    /// Questions of the probe.
    pub(super) questions: usize,
    /// What answers without thought would score.
    pub(super) constants: Vec<Constant>,
}

impl Summary<'_> {
    fn score(&self) -> f64 {
        self.samples.iter().map(|sample| sample.graded.grade.score).sum::<f64>() / self.samples.len() as f64
    }

    fn parse_failures(&self) -> usize {
        self.samples.iter().filter(|sample| sample.graded.grade.parse_failure).count()
    }

    /// Mean and number of answers of each group.
    fn groups(&self) -> BTreeMap<&str, (f64, usize)> {
        let mut groups: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        for sample in &self.samples {
            let (sum, count) = groups.entry(sample.group).or_default();
            *sum += sample.graded.grade.score;
            *count += 1;
        }
        groups.into_iter().map(|(group, (sum, count))| (group, (sum / count as f64, count))).collect()
    }

    /// The harness's measures as `metric,filter`: means over all values, of which an answer may have several.
    fn measures(&self) -> Vec<(String, f64)> {
        let mut measures: Vec<(String, f64, usize)> = Vec::new();
        for measure in self.samples.iter().flat_map(|sample| &sample.graded.measures) {
            let name = format!("{},{}", measure.metric, measure.filter);
            let (sum, count) = (measure.values.iter().sum::<f64>(), measure.values.len());
            match measures.iter_mut().find(|(known, ..)| *known == name) {
                Some((_, total, all)) => (*total, *all) = (*total + sum, *all + count),
                None => measures.push((name, sum, count)),
            }
        }
        measures.into_iter().map(|(name, sum, count)| (name, sum / count as f64)).collect()
    }

    pub(super) fn json(&self) -> Value {
        let samples = self.samples.iter().map(|sample| {
            let grade = &sample.graded.grade;
            json!({ "id": sample.id, "score": grade.score, "parsed": grade.parsed })
        });
        json!({
            "schema": JSON_SCHEMA,
            "probe": self.probe.name(),
            "id": self.probe.id(),
            "hash": self.probe.hash(),
            "score": self.score(),
            "n": self.samples.len(),
            "unanswered": self.questions - self.answered,
            "parse_failures": self.parse_failures(),
            "measures": self.measures().into_iter().map(|(name, value)| (name, json!(value))).collect::<serde_json::Map<_, _>>(),
            "constants": self.constants.iter().map(constant).collect::<Vec<_>>(),
            "samples": samples.collect::<Vec<_>>(),
        })
    }

    pub(super) fn table(&self) -> String {
        let (count, failures) = (self.samples.len(), self.parse_failures());
        let answers = if count == 1 { "answer" } else { "answers" };
        let mut text = format!("{}\n\n", styled(DIM, self.probe.id()));
        let mut line = |name: &str, value: String, rest: &str| text.push_str(&format!("{name:<44}{value:>8}{rest}\n"));
        let questions = if self.questions == 1 { "question" } else { "questions" };
        let counted = format!(
            "  {count} {answers}, {failures} unparsed; {} of {} {questions} answered",
            self.answered, self.questions
        );
        let measures = self.measures();
        // The official value first, where the score is not its mean.
        let (first, rest) = measures.split_at(usize::from(self.is_cut()).min(measures.len()));
        let score = [("score".to_owned(), self.score())];
        for (index, (name, value)) in first.iter().chain(&score).chain(rest).enumerate() {
            line(name, format!("{value:.4}"), if index == 0 { &counted } else { "" });
        }
        let groups = self.groups();
        if groups.len() > 1 {
            for (group, (score, count)) in groups {
                line(&format!("  {group}"), format!("{score:.4}"), &format!("  {count}"));
            }
        }
        if !self.constants.is_empty() {
            text.push_str(&format!("\n{}\n", styled(BOLD, "answered without thought, all questions")));
            for constant in &self.constants {
                let official = constant.official.map_or_else(String::new, |value| format!("  eqbench {value:.2}"));
                text.push_str(&format!("{:<44}{:>8.4}{official}\n", constant.answer, constant.score));
            }
        }
        if self.is_cut() {
            text.push_str(&format!("\n{}\n", styled(DIM, EQBENCH_CUT)));
        }
        text
    }

    /// Whether the score is another than the mean of the official value.
    fn is_cut(&self) -> bool {
        self.constants.iter().any(|constant| constant.official.is_some())
    }
}

fn constant(constant: &Constant) -> Value {
    let mut value = json!({ "answer": constant.answer, "score": constant.score });
    if let Some(official) = constant.official {
        value["official"] = json!(official);
    }
    value
}

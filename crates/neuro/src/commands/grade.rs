//! `neuro grade`: given answers, without a model.

use std::collections::{BTreeMap, HashMap};

use neuro_probe::{Constant, Count, EQBENCH_CUT, Graded, Probe, ProbeRequest, Question, Scoring, TaskSet, is_task};
use serde_json::{Value, json};

use crate::answers::{Answers, probe_file};
use crate::cli::GradeArgs;
use crate::error::Failure;
use crate::model::Model;
use crate::printer::{BOLD, DIM, Printer, styled};
use crate::results::JSON_SCHEMA;
use crate::values::Questions;

/// Questions of a built-in probe, as a scan asks them.
const QUESTIONS: usize = 32;

/// Grades each answer and prints the mean.
///
/// # Errors
/// When the probe or its file is refused, the answers cannot be read, or one answers a question that the probe does not ask.
pub(crate) fn run(args: &GradeArgs, printer: &Printer) -> anyhow::Result<()> {
    let (name, file) =
        args.probe.split_once('=').map_or((args.probe.as_str(), None), |(name, file)| (name, Some(file)));
    let (probe, set) = probe(args, name, file)?;
    if probe.scoring() == Scoring::Likelihood {
        let failure = Failure::new(format!("the probe `{name}` scores probabilities, but answers are texts"));
        return Err(match name.split_once(':') {
            Some((plain, _)) => failure.hint(format!("grade them with `--probe {plain}`")).into(),
            None => failure.into(),
        });
    }
    let answers = Answers::read(&args.answers)?;
    let questions: HashMap<&str, &Question> =
        probe.questions().iter().map(|question| (question.id.as_str(), question)).collect();
    let mut samples = Vec::new();
    for answer in &answers.answers {
        let key = answer.key();
        let Some(question) = questions.get(key.as_str()) else {
            return Err(answers.refuse(answer, &unknown(&key, &probe)));
        };
        let graded = set.as_ref().and_then(|set| set.grade(&key, &answer.text));
        let graded =
            graded.unwrap_or_else(|| Graded { grade: probe.grade(question, &answer.text), measures: Vec::new() });
        samples.push(Sample { id: &answer.id, group: &question.group, graded });
    }
    let summary =
        Summary { probe: &probe, samples, constants: set.as_ref().map(TaskSet::constants).unwrap_or_default() };
    if args.json { printer.json(&summary.json()) } else { printer.data(&summary.table()) }
}

/// The probe, and the file that it was read from.
fn probe(args: &GradeArgs, name: &str, file: Option<&str>) -> anyhow::Result<(Probe, Option<TaskSet>)> {
    let file = file.map(probe_file).transpose()?;
    let count = match (args.questions, &file) {
        (Some(Questions::Some(count)), _) => Count::Some(count),
        (Some(Questions::All), _) | (None, Some(_)) => Count::All,
        (None, None) if name.starts_with("phantom") => Count::All,
        (None, None) => Count::Some(QUESTIONS),
    };
    let phantom = if name.starts_with("phantom") { Model::find("phantom")?.request()?.phantom } else { None };
    let request = ProbeRequest { count, seed: args.seed, phantom, file, ..ProbeRequest::default() };
    match &request.file {
        Some(file) if is_task(name) => {
            let set = TaskSet::read(name, file)?;
            Ok((set.probe(name, &request)?, Some(set)))
        }
        _ => Ok((Probe::build(name, &request)?, None)),
    }
}

fn unknown(key: &str, probe: &Probe) -> String {
    let first: Vec<String> = probe.questions().iter().take(3).map(|question| format!("`{}`", question.id)).collect();
    let count = probe.questions().len();
    let more = if count > first.len() { ", …" } else { "" };
    format!("no question has the id `{key}`; {} asks {count}: {}{more}", probe.id(), first.join(", "))
}

struct Sample<'a> {
    id: &'a Value,
    group: &'a str,
    graded: Graded,
}

/// What all answers together are worth.
struct Summary<'a> {
    probe: &'a Probe,
    samples: Vec<Sample<'a>>,
    constants: Vec<Constant>,
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

    fn json(&self) -> Value {
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
            "parse_failures": self.parse_failures(),
            "measures": self.measures().into_iter().map(|(name, value)| (name, json!(value))).collect::<serde_json::Map<_, _>>(),
            "constants": self.constants.iter().map(constant).collect::<Vec<_>>(),
            "samples": samples.collect::<Vec<_>>(),
        })
    }

    fn table(&self) -> String {
        let (count, failures) = (self.samples.len(), self.parse_failures());
        let answers = if count == 1 { "answer" } else { "answers" };
        let mut text = format!("{}\n\n", styled(DIM, self.probe.id()));
        let mut line = |name: &str, value: String, rest: &str| text.push_str(&format!("{name:<44}{value:>8}{rest}\n"));
        let counted = format!("  {count} {answers}, {failures} unparsed");
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

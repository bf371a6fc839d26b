//! `neuro grade`: given answers, without a model.

mod list;
mod summary;

use std::collections::{HashMap, HashSet};

use neuro_probe::{Count, Graded, Probe, ProbeRequest, Question, Scoring, TaskSet, is_task};

use crate::answers::{Answer, Answers, Given, probe_file};
use crate::cli::GradeArgs;
use crate::error::Failure;
use crate::model::Model;
use crate::printer::Printer;
use crate::values::Questions;
use summary::{Sample, Summary};

/// Questions of a built-in probe, as a scan asks them.
const QUESTIONS: usize = 32;

/// Grades each answer and prints the mean; or prints the questions.
///
/// # Errors
/// When the probe or its file is refused, the answers cannot be read, or one answers a question that the probe does not ask.
pub(crate) fn run(args: &GradeArgs, printer: &Printer) -> anyhow::Result<()> {
    let (name, file) =
        args.probe.split_once('=').map_or((args.probe.as_str(), None), |(name, file)| (name, Some(file)));
    let (probe, set) = probe(args, name, file)?;
    let answers = match &args.answers {
        Some(file) if !args.list => Answers::read(file)?,
        _ => return printer.data(&list::lines(&probe)),
    };
    let questions: HashMap<&str, &Question> =
        probe.questions().iter().map(|question| (question.id.as_str(), question)).collect();
    let mut samples = Vec::new();
    let mut answered = HashSet::new();
    for answer in &answers.answers {
        let key = answer.key();
        let Some(question) = questions.get(key.as_str()) else {
            return Err(answers.refuse(answer, &unknown(&key, &probe)));
        };
        let graded = graded(&probe, set.as_ref(), question, &answers, answer)?;
        answered.insert(question.id.as_str());
        samples.push(Sample { id: &answer.id, group: &question.group, graded });
    }
    let (answered, questions) = (answered.len(), questions.len());
    if answered < questions {
        printer.warning(format_args!(
            "{answered} of {questions} questions of {} are answered; the score is that of the answers alone",
            probe.id()
        ));
    }
    let constants = set.as_ref().map(TaskSet::constants).unwrap_or_default();
    let summary = Summary { probe: &probe, samples, answered, questions, constants };
    if args.json { printer.json(&summary.json()) } else { printer.data(&summary.table()) }
}

/// The probe, and the file that it was read from.
fn probe(args: &GradeArgs, name: &str, file: Option<&str>) -> anyhow::Result<(Probe, Option<TaskSet>)> {
    let file = file.map(|file| probe_file(name, file)).transpose()?;
    let count = match (args.questions, &file) {
        (Some(Questions::Some(count)), _) => Count::Some(count),
        (Some(Questions::All), _) | (None, Some(_)) => Count::All,
        (None, None) if name.starts_with("phantom") => Count::All,
        (None, None) => Count::Some(QUESTIONS),
    };
    let phantom = if name.starts_with("phantom") { Model::embedded("phantom")? } else { None };
    let phantom = phantom.map(|model| model.request()).transpose()?.and_then(|request| request.phantom);
    let request = ProbeRequest { count, seed: args.seed, phantom, file, ..ProbeRequest::default() };
    match &request.file {
        Some(file) if is_task(name) => {
            let set = TaskSet::read(name, file)?;
            Ok((set.probe(name, &request)?, Some(set)))
        }
        _ => Ok((Probe::build(name, &request)?, None)),
    }
}

/// Grades what was given: a text, or probabilities where those are scored.
fn graded(
    probe: &Probe,
    set: Option<&TaskSet>,
    question: &Question,
    answers: &Answers,
    answer: &Answer,
) -> anyhow::Result<Graded> {
    let alone = |grade| Graded { grade, measures: Vec::new() };
    match (&answer.given, probe.scoring()) {
        (Given::Text(text), Scoring::Generation) => {
            let measured = set.and_then(|set| set.grade(&question.id, text));
            Ok(measured.unwrap_or_else(|| alone(probe.grade(question, text))))
        }
        (Given::Logprobs(nats), Scoring::Likelihood) => {
            let expected = list::asked_about(question);
            if nats.len() == expected && nats.iter().all(|tokens| !tokens.is_empty()) {
                return Ok(alone(probe.score_logprobs(question, nats)));
            }
            let problem = format!("`logprobs` has {} lists, expected {expected} with a number or more", nats.len());
            Err(answers.refuse(answer, &format!("{problem}: one for each text that `--list` shows for this question")))
        }
        (Given::Text(_), Scoring::Likelihood) => {
            let name = probe.name();
            let failure = Failure::new(format!("the probe `{name}` scores probabilities, but answers are texts"));
            let plain = name.split_once(':').map(|(plain, _)| plain).filter(|plain| *plain != "text");
            let texts = plain.map_or_else(String::new, |plain| format!("grade texts with `--probe {plain}`; "));
            let shape = "probabilities are given as {\"id\": \"7\", \"logprobs\": [[-0.1, -2.3]]}, in nats";
            Err(failure.hint(format!("{texts}{shape}")).into())
        }
        (Given::Logprobs(_), Scoring::Generation) => {
            let name = probe.name();
            Err(answers.refuse_for_text(
                answer,
                &format!("`logprobs` is given, but the probe `{name}` grades texts; expected `text`"),
            ))
        }
    }
}

fn unknown(key: &str, probe: &Probe) -> String {
    let first: Vec<String> = probe.questions().iter().take(3).map(|question| format!("`{}`", question.id)).collect();
    let count = probe.questions().len();
    let more = if count > first.len() { ", …" } else { "" };
    format!(
        "no question has the id `{key}`; {} asks {count}: {}{more}; `--list` shows them all",
        probe.id(),
        first.join(", ")
    )
}

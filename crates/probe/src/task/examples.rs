//! Worked examples that some tasks show before every question. They stand in a file of the same distribution, which is read
//! with the questions.

use super::source::Source;
use super::{file_name, kind_of, samples};
use crate::mersenne::Mersenne;
use crate::{ProbeError, ProbeFile};

/// Worked examples before each question of BBH.
pub(super) const BBH_SHOTS: usize = 3;
/// Worked examples before each question of `gsm8k_cot`: `num_fewshot` of lm_eval/tasks/gsm8k/gsm8k-cot.yaml.
pub(super) const GSM8K_COT_SHOTS: usize = 8;
/// Worked examples before each question of GSM8K: `num_fewshot` of lm_eval/tasks/gsm8k/gsm8k.yaml.
pub(super) const GSM8K_SHOTS: usize = 5;
/// lm-evaluation-harness's seed of drawn examples: `DEFAULT_OTHER_SEED` of lm_eval/evaluator.py.
const SEED: u32 = 1234;

/// Where the worked examples for the questions of `file` lie, as the set's distribution has them: of `bbh-cot=bbh/TASK.json`
/// in `cot-prompts/TASK.txt` beside that folder, of `gsm8k-5shot=test.jsonl` in `train.jsonl` beside that file, of
/// `gsm8k-cot=test.jsonl` in `gsm8k-cot.yaml`, which is the harness's own. None where the probe shows none.
#[must_use]
pub fn examples_of(probe: &str, file: &str) -> Option<String> {
    let last = file_name(file);
    let folder = &file[..file.len() - last.len()];
    match kind_of(probe)?.0 {
        "bbh-cot" => Some(format!("{folder}../cot-prompts/{}.txt", last.strip_suffix(".json").unwrap_or(last))),
        "gsm8k-5shot" => Some(format!("{folder}train.jsonl")),
        "gsm8k-cot" => Some(format!("{folder}gsm8k-cot.yaml")),
        _ => None,
    }
}

/// The examples that came with a file.
///
/// # Errors
/// When none came.
pub(super) fn needed<'a>(kind: &str, file: &'a ProbeFile) -> Result<&'a ProbeFile, ProbeError> {
    file.examples.as_deref().ok_or_else(|| ProbeError::NoExamples {
        probe: kind.to_owned(),
        file: examples_of(kind, &file.name).unwrap_or_default(),
    })
}

/// What stands before each question of a task of BBH: its description and three worked examples, of `cot-prompts/TASK.txt`
/// all but the canary: for every task what lm_eval/tasks/bbh/cot_fewshot renders.
pub(super) fn bbh(file: &ProbeFile) -> Result<String, ProbeError> {
    let source = Source::new(file)?;
    let text = file.text()?.replace("\r\n", "\n");
    let Some((_, shown)) = text.split_once("\n-----\n") else {
        return Err(source.refuse("found no line of five dashes, expected one between the canary and the examples"));
    };
    let found = shown.lines().filter(|line| line.starts_with("Q: ")).count();
    if found != BBH_SHOTS {
        return Err(source.refuse(format!("found {found} worked examples that begin with `Q: `, expected {BBH_SHOTS}")));
    }
    // The steps begin a line of their own; in the file of sports_understanding they do not.
    let steps = "\nA: Let's think step by step.";
    Ok(format!("{}\n\n", shown.trim_end().replace(&format!("{steps} "), &format!("{steps}\n"))))
}

/// What stands before each question of `gsm8k_cot`: the examples that the harness's description of the task has, in its order
/// (`sampler: first_n`).
pub(super) fn gsm8k_cot(file: &ProbeFile) -> Result<String, ProbeError> {
    let worked = samples::read(file)?;
    if worked.len() < GSM8K_COT_SHOTS {
        let found = worked.len();
        let problem = format!("found {found} worked examples, expected at least {GSM8K_COT_SHOTS}");
        return Err(Source::new(file)?.refuse(problem));
    }
    let shown = worked.iter().take(GSM8K_COT_SHOTS);
    Ok(shown.map(|[question, target]| format!("Q: {question}\nA: {target}\n\n")).collect())
}

/// What stands before each question of GSM8K, one after the other: five worked examples drawn for each.
#[derive(Debug)]
pub(super) struct Drawn {
    worked: Vec<String>,
    random: Mersenne,
}

impl Drawn {
    /// Reads the training split.
    ///
    /// # Errors
    /// When a line is no question with a solution, or they are too few.
    pub(super) fn read(file: &ProbeFile) -> Result<Self, ProbeError> {
        let source = Source::new(file)?;
        let mut worked = Vec::new();
        for part in source.lines()? {
            let fields = part.object()?;
            worked.push(format!("Question: {}\nAnswer: {}\n\n", fields.text("question")?, fields.text("answer")?));
        }
        if worked.len() < GSM8K_SHOTS {
            let found = worked.len();
            return Err(source.refuse(format!("found {found} worked examples, expected at least {GSM8K_SHOTS}")));
        }
        Ok(Self { worked, random: Mersenne::new(SEED) })
    }

    /// The examples of the next question.
    pub(super) fn next(&mut self) -> String {
        self.random
            .sample(self.worked.len(), GSM8K_SHOTS)
            .into_iter()
            .map(|place| self.worked[place].as_str())
            .collect()
    }
}

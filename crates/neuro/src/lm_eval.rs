//! Results in the form of lm-evaluation-harness, so that what reads its files reads a run's.
//!
//! Source of the form: lm_eval/result_schema.py and the sample lines of lm_eval/evaluator.py (0.4.13.dev0). Each path and
//! probe gets a folder with `results_DATE.json` and `samples_TASK_DATE.jsonl`. Of a probe that is no task of the harness the score is
//! written as the metric `score`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use neuro_probe::{Measure, Question, TaskSet};
use neuro_record::{Row, RunData, Sample};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::output::write;

/// A probe of a run with what is known of its questions beyond the run's own files.
pub(crate) struct Source<'a> {
    pub(crate) data: &'a RunData,
    /// The probe's name with scoring.
    pub(crate) probe: &'a str,
    /// The file that it was asked from, where the user has named it.
    pub(crate) set: Option<&'a TaskSet>,
}

/// One measure of one answer: metric, filter, values, and what the filter made of the answer.
struct Measured {
    metric: &'static str,
    filter: &'static str,
    values: Vec<f64>,
    filtered: Value,
}

impl Source<'_> {
    /// Writes the folder of a row below `parent`, which exists; gives the files. `rank` says the how-manyeth of how many paths
    /// it is by score on these questions, where that chose it.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn write(&self, row: &Row, rank: Option<[usize; 2]>, parent: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let folder = parent.join(plain_name(&format!("{}__{}__{}", self.data.info.model.id, row.path, self.probe)));
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
        let date = self.data.info.created.replace(':', "-");
        let task = self.task();
        let samples = self.samples(row);
        let lines: String = samples.iter().flatten().map(|sample| format!("{sample}\n")).collect();
        let files = [
            (folder.join(format!("results_{date}.json")), format!("{:#}\n", self.results(row, rank))),
            (folder.join(format!("samples_{}_{date}.jsonl", plain_name(&task))), lines),
        ];
        for (file, text) in &files {
            write(file, text.as_bytes())?;
        }
        Ok(files.into_iter().map(|(file, _)| file).collect())
    }

    /// The harness's name of the task, or the probe's own.
    fn task(&self) -> String {
        let harness = self.set.and_then(TaskSet::harness);
        harness.map_or_else(|| format!("neuro_{}", self.probe.replace([':', '@'], "_")), |harness| harness.task.clone())
    }

    fn of_row<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = &'a Sample> {
        self.data.samples_of(self.probe).filter(|sample| sample.path == row.path)
    }

    fn question(&self, sample: &Sample) -> Option<&Question> {
        self.set.and_then(|set| set.question(&sample.question))
    }

    /// The harness's measures of a sample, or the score.
    fn measures(&self, sample: &Sample) -> Vec<Measured> {
        let harness = self.set.and_then(TaskSet::harness);
        let text = |measure: Measure| Measured {
            metric: measure.metric,
            filter: measure.filter,
            values: measure.values,
            filtered: json!(measure.filtered),
        };
        let graded = match (&sample.answer, self.set) {
            (Some(answer), Some(set)) => set.grade(&sample.question, answer).map(|graded| graded.measures),
            _ => None,
        };
        let mut measures: Vec<Measured> = graded.unwrap_or_default().into_iter().map(text).collect();
        let none =
            |metric, value: f64, filtered: Value| Measured { metric, filter: "none", values: vec![value], filtered };
        if let (Some(harness), Some(logprobs)) = (harness, &sample.logprobs) {
            let choices = self.question(sample).and_then(|question| question.continuations.first());
            for (metric, _) in &harness.measures {
                match (*metric, choices) {
                    ("acc" | "acc_norm", Some(choices)) if choices.len() == logprobs.len() => {
                        let length = |index: usize| choices[index].said.chars().count().max(1) as f64;
                        let weight = |index: usize| if *metric == "acc" { 1.0 } else { length(index) };
                        let value = |index: usize| logprobs[index] / weight(index);
                        let best = (0..logprobs.len())
                            .reduce(|best, next| if value(next) > value(best) { next } else { best });
                        let right = best.map_or(0.0, |best| choices[best].value);
                        measures.push(none(metric, right, json!(logprobs)));
                    }
                    ("perplexity", None) => measures.push(none(metric, logprobs.iter().sum(), json!(logprobs))),
                    _ => {}
                }
            }
        }
        if measures.is_empty() {
            let is_accuracy = harness.is_some_and(|harness| harness.measures.contains(&("acc", "none")));
            let metric = if is_accuracy && sample.answer.is_some() { "acc" } else { "score" };
            measures.push(none(metric, sample.score, json!(sample.answer.as_ref().or(sample.parsed.as_ref()))));
        }
        measures
    }

    /// One line for each question and filter.
    fn samples(&self, row: &Row) -> Vec<Vec<Value>> {
        let line = |(index, sample): (usize, &Sample)| {
            let measures = self.measures(sample);
            let mut filters: Vec<&'static str> = Vec::new();
            for measure in &measures {
                if !filters.contains(&measure.filter) {
                    filters.push(measure.filter);
                }
            }
            let each = filters.iter().map(|filter| self.sample(index, sample, filter, &measures));
            each.collect()
        };
        self.of_row(row).enumerate().map(line).collect()
    }

    fn sample(&self, index: usize, sample: &Sample, filter: &str, measures: &[Measured]) -> Value {
        let document = self.set.and_then(|set| set.document(&sample.question));
        let (place, document) = document
            .map_or((index, Value::Null), |(place, text)| (place, serde_json::from_str(text).unwrap_or(Value::Null)));
        let question = self.question(sample);
        let document =
            if document.is_null() { json!({ "id": sample.question, "group": sample.group }) } else { document };
        let prompt = question.map(|question| question.plain.clone()).unwrap_or_default();
        let target = self.set.and_then(|set| set.target(&sample.question)).unwrap_or_default();
        let of_filter: Vec<&Measured> = measures.iter().filter(|measure| measure.filter == filter).collect();
        let (arguments, responses) = self.requests(sample, question, &prompt);
        let filtered = match &sample.answer {
            Some(_) => of_filter.iter().take(1).map(|measure| measure.filtered.clone()).collect(),
            // Of each request the first response, which for probabilities is the only one.
            None => responses.iter().map(|of_request| of_request[0].clone()).collect::<Vec<_>>(),
        };
        let mut line = json!({
            "doc_id": place,
            "doc": document,
            "target": target,
            "arguments": arguments,
            "resps": responses,
            "filtered_resps": filtered,
            "filter": filter,
            "metrics": of_filter.iter().map(|measure| measure.metric).collect::<Vec<_>>(),
            "doc_hash": hash(&format!("{document:#}")),
            "prompt_hash": hash(&prompt),
            "target_hash": hash(&target),
        });
        for measure in of_filter {
            // IFEval's measures are flags there, of single instructions lists of them.
            let is_flag = measure.metric.contains("_level_");
            let value = |value: &f64| if is_flag { json!(*value == 1.0) } else { json!(value) };
            line[measure.metric] = match measure.values.as_slice() {
                [one] if !measure.metric.starts_with("inst_level") => value(one),
                values => values.iter().map(value).collect(),
            };
        }
        line
    }

    /// What was asked, request by request, and what came back: numbers as texts, which the harness makes of them.
    fn requests(&self, sample: &Sample, question: Option<&Question>, prompt: &str) -> (Value, Vec<Value>) {
        let choices = question.and_then(|question| question.continuations.first());
        // The harness adds whether the greedy answer is the same, which a run does not keep.
        let scored = |nats: f64| json!([[nats.to_string(), null]]);
        match (choices, &sample.logprobs, &sample.answer) {
            (Some(choices), Some(logprobs), _) if choices.len() == logprobs.len() => {
                let request = |(index, part): (usize, &neuro_probe::Continuation)| {
                    let context = format!("{prompt}{}{}", if part.read.is_empty() { "" } else { " " }, part.read);
                    (format!("gen_args_{index}"), json!({ "arg_0": context, "arg_1": format!(" {}", part.said) }))
                };
                let arguments: Map<String, Value> = choices.iter().enumerate().map(request).collect();
                (Value::Object(arguments), logprobs.iter().map(|nats| scored(*nats)).collect())
            }
            (_, _, Some(answer)) => {
                let limit = question.map(|question| question.max_new_tokens);
                let until = self.set.map(TaskSet::stops).unwrap_or_default();
                let generation =
                    json!({ "until": until, "do_sample": false, "temperature": 0.0, "max_gen_toks": limit });
                (json!({ "gen_args_0": { "arg_0": prompt, "arg_1": generation } }), vec![json!([answer])])
            }
            (_, logprobs, None) => {
                let said = question.map(|question| format!(" {}", question.key)).unwrap_or_default();
                let total: f64 = logprobs.iter().flatten().sum();
                (json!({ "gen_args_0": { "arg_0": prompt, "arg_1": said } }), vec![scored(total)])
            }
        }
    }

    fn results(&self, row: &Row, rank: Option<[usize; 2]>) -> Value {
        let info = &self.data.info;
        let task = self.task();
        let harness = self.set.and_then(TaskSet::harness);
        let samples: Vec<&Sample> = self.of_row(row).collect();
        let mut values: Vec<(&'static str, &'static str, Vec<Vec<f64>>)> = Vec::new();
        for measure in samples.iter().flat_map(|sample| self.measures(sample)) {
            let (metric, filter) = (measure.metric, measure.filter);
            match values.iter_mut().find(|(known, through, _)| (*known, *through) == (metric, filter)) {
                Some((_, _, all)) => all.push(measure.values),
                None => values.push((metric, filter, vec![measure.values])),
            }
        }
        let mut metrics = Map::new();
        metrics.insert("name".to_owned(), json!(task));
        metrics.insert("alias".to_owned(), json!(task));
        metrics.insert("sample_len".to_owned(), json!(samples.len()));
        for (metric, filter, all) in &values {
            let (value, error) = aggregate(metric, all);
            metrics.insert(format!("{metric},{filter}"), json!(value));
            metrics.insert(format!("{metric}_stderr,{filter}"), error.map_or(json!("N/A"), |error| json!(error)));
        }
        let version = harness.map_or(Value::Null, |harness| json!(harness.version));
        let shots = harness.map_or(0, |harness| harness.shots);
        let output_type = if samples.iter().any(|sample| sample.answer.is_some()) {
            "generate_until"
        } else if values.iter().any(|(metric, ..)| *metric == "perplexity") {
            "loglikelihood"
        } else {
            "multiple_choice"
        };
        let original = self.set.map_or(samples.len(), |set| set.questions().len());
        let higher: Map<String, Value> =
            values.iter().map(|(metric, ..)| ((*metric).to_owned(), json!(*metric != "perplexity"))).collect();
        let probe = info.probe(self.probe);
        // Who reads the file alone must know that its number is the best of many.
        let selection = rank.map(|[rank, of]| {
            format!("rank {rank} of {of} paths by score on these questions, so it looks better here than on others")
        });
        json!({
            "results": { &task: metrics },
            "group_subtasks": { &task: [] },
            "configs": { &task: {
                "task": task,
                "num_fewshot": shots,
                "output_type": output_type,
                "metadata": {
                    "version": version,
                    "neuro_probe": probe.map(|probe| probe.id.clone()),
                    "neuro_selection": selection,
                },
            } },
            "versions": { &task: version },
            "n-shot": { &task: shots },
            "higher_is_better": { &task: higher },
            "n-samples": { &task: { "original": original, "effective": samples.len() } },
            "config": {
                "model": info.tool,
                "model_args": { "pretrained": info.model.id, "path": row.path },
                "model_num_parameters": info.model.parameters,
                "model_dtype": info.model.dtype,
                "model_sha": info.model.hash,
                "device": info.device,
                "limit": (original != samples.len()).then_some(samples.len()),
                "random_seed": info.seed,
                "fewshot_seed": null,
            },
            "git_hash": null,
            // Seconds since 1970, where the run says when it began.
            "date": info.created.parse::<jiff::Timestamp>().ok().map(|time| time.as_second() as f64),
            "model_source": "neuro",
            "model_name": format!("{}@{}", info.model.id, row.path),
            "model_name_sanitized": plain_name(&format!("{}__{}", info.model.id, row.path)),
            "chat_template_sha": info.template_hash,
            "task_hashes": { &task: probe.map(|probe| probe.hash.clone()) },
            "total_evaluation_time_seconds": row.seconds.map(|seconds| seconds.to_string()),
        })
    }
}

/// The value of a metric over all questions and its standard error, where the harness has one.
///
/// Means have the sample standard deviation ÷ √n; the perplexity is e to the negative mean of log-probabilities; measures of
/// single instructions are the mean over all of them.
fn aggregate(metric: &str, all: &[Vec<f64>]) -> (f64, Option<f64>) {
    let flat: Vec<f64> = all.iter().flatten().copied().collect();
    let mean = flat.iter().sum::<f64>() / flat.len() as f64;
    if metric == "perplexity" {
        return ((-mean).exp(), None);
    }
    if metric.starts_with("inst_level") || flat.len() < 2 {
        return (mean, None);
    }
    let squares: f64 = flat.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, Some((squares / (flat.len() - 1) as f64).sqrt() / (flat.len() as f64).sqrt()))
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A name that every file system takes; the harness replaces the same characters.
fn plain_name(name: &str) -> String {
    name.chars().map(|character| if r#""<>:/\|?*[]{}, "#.contains(character) { '_' } else { character }).collect()
}

/// Whether the run's samples answer questions of this file and were graded as it grades.
pub(crate) fn fits(set: &TaskSet, data: &RunData, probe: &str) -> bool {
    data.samples_of(probe).all(|sample| {
        let graded = sample.answer.as_ref().map(|answer| set.grade(&sample.question, answer));
        let is_same = |score: f64| (score - sample.score).abs() < 1e-9;
        match graded {
            Some(graded) => graded.is_some_and(|graded| is_same(graded.grade.score)),
            None => set.question(&sample.question).is_some_and(|question| question.group == sample.group),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The harness's own hashes of documents, prompts and targets, on its published samples.
    #[test]
    fn hashes_are_the_harnesses() {
        for file in ["samples_ifeval_base.jsonl", "samples_ifeval_surgery.jsonl"] {
            let path = format!("{}/../../../shared/data/results/{file}", env!("CARGO_MANIFEST_DIR"));
            let Ok(text) = fs::read_to_string(&path) else {
                eprintln!("skipped: there is no {path}");
                return;
            };
            assert_eq!(text.lines().count(), 541, "{file}");
            for line in text.lines() {
                let sample: Value = serde_json::from_str(line).unwrap();
                let of = |key: &str| sample[key].as_str().unwrap();
                assert_eq!(hash(&format!("{:#}", sample["doc"])), of("doc_hash"));
                assert_eq!(hash(sample["arguments"]["gen_args_0"]["arg_0"].as_str().unwrap()), of("prompt_hash"));
                assert_eq!(hash(of("target")), of("target_hash"));
            }
        }
    }
}

//! Scans: LLMRI's JSON, and what the converter makes of RYS pickles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use neuro_path::{Block, LayerPath};
use neuro_record::{IMPORTED, ModelInfo, Plan, PlannedPaths, ProbeInfo, Row, RunInfo, SCHEMA};
use serde_json::{Map as Object, Value, json};

use super::{Scan, answers};
use crate::error::shorten;
use crate::{Result, SurgeryError, TOOL};

/// What LLMRI's scores are worth (its `llmri/relayer.py`: `copy.copy` of a layer shares its modules, and the copy's
/// `layer_idx` overwrites the first's).
const LLMRI_NOTE: &str = "LLMRI let both passes of a layer share one KV slot, so its deltas are not to be believed; the file does \
                          not say how many answers could not be read";
const CONVERTED_NOTE: &str = "measured by another program; the file does not say how many answers could not be read";
/// Of what has its answers with it.
const ANSWERED_NOTE: &str = "measured by another program";
/// What is not known.
const UNKNOWN: &str = "unknown";
/// Deepest model whose blocks are all planned.
const DEEPEST: u64 = 4096;
/// Most probes of a scan.
const MOST_PROBES: usize = 64;

/// A scan of LLMRI: `results` with `config: [i, j]`, `layer_path` and a `…_score` for each probe.
pub(super) fn of_llmri(document: &Object<String, Value>, bytes: &[u8], file: &Path) -> Result<Scan> {
    let version = document.get("llmri_version").and_then(Value::as_str).unwrap_or(UNKNOWN);
    let refuse = |problem: String| SurgeryError::import(file, problem);
    let facts = document.get("scan_metadata").and_then(Value::as_object);
    let facts = facts.ok_or_else(|| refuse("has no `scan_metadata`".to_owned()))?;
    let text = |key: &str| facts.get(key).and_then(Value::as_str).map(shorten);
    let results = results(document, file)?;

    let mut names: BTreeSet<&str> = BTreeSet::new();
    for result in results {
        let keys = result.as_object().into_iter().flat_map(Object::keys);
        names.extend(keys.filter_map(|key| key.strip_suffix("_score")));
    }
    let sizes: BTreeMap<&str, u64> =
        names.iter().filter_map(|&name| Some((name, facts.get(&format!("{name}_dataset_size"))?.as_u64()?))).collect();
    let all: u64 = sizes.values().fold(0, |sum: u64, size| sum.saturating_add(*size));
    let mut probes = Vec::new();
    for name in names {
        // The mean of the others is of all their questions.
        let questions = sizes.get(name).copied().or((name == "combined").then_some(all)).filter(|&size| size > 0);
        let questions = questions.and_then(|size| usize::try_from(size).ok()).filter(|&size| size <= 1 << 24);
        let questions =
            questions.ok_or_else(|| refuse(format!("does not say how many questions `{}` has", shorten(name))))?;
        probes.push(Probe {
            name: name.to_owned(),
            key: format!("{name}_score"),
            set: dataset(facts, name),
            questions,
        });
    }
    let source = Source {
        tool: format!("LLMRI {}", shorten(version)),
        note: LLMRI_NOTE,
        model: text("model_name").unwrap_or_else(|| UNKNOWN.to_owned()),
        model_type: text("model_type").unwrap_or_else(|| UNKNOWN.to_owned()),
        layers: facts.get("num_layers"),
        parameters: text("total_params_base").and_then(|text| parameters(&text)).unwrap_or(0),
        device: text("device").unwrap_or_else(|| UNKNOWN.to_owned()),
        created: text("scan_end_utc").unwrap_or_else(|| UNKNOWN.to_owned()),
        probes,
    };
    source.scan(results, bytes, file)
}

/// What `crates/surgery/python/rys_pickle.py` prints.
pub(super) fn of_converted(document: &Object<String, Value>, bytes: &[u8], file: &Path) -> Result<Scan> {
    let refuse = |problem: String| SurgeryError::import(file, problem);
    let text = |key: &str| document.get(key).and_then(Value::as_str).map(shorten);
    let listed = document.get("probes").and_then(Value::as_object).filter(|probes| probes.len() <= MOST_PROBES);
    let listed = listed.ok_or_else(|| refuse("`probes` is no object of probes".to_owned()))?;
    let mut probes = Vec::new();
    for (name, probe) in listed {
        let questions = probe.get("questions").and_then(Value::as_u64).filter(|count| (1..=1 << 24).contains(count));
        let questions = questions.and_then(|count| usize::try_from(count).ok());
        let questions =
            questions.ok_or_else(|| refuse(format!("does not say how many questions `{}` has", shorten(name))))?;
        probes.push(Probe { name: name.clone(), key: name.clone(), set: UNKNOWN.to_owned(), questions });
    }
    let source = Source {
        tool: text("tool").unwrap_or_else(|| UNKNOWN.to_owned()),
        note: CONVERTED_NOTE,
        model: text("model").unwrap_or_else(|| UNKNOWN.to_owned()),
        model_type: UNKNOWN.to_owned(),
        layers: document.get("layers"),
        parameters: 0,
        device: UNKNOWN.to_owned(),
        created: UNKNOWN.to_owned(),
        probes,
    };
    source.scan(results(document, file)?, bytes, file)
}

fn results<'a>(document: &'a Object<String, Value>, file: &Path) -> Result<&'a [Value]> {
    let results = document.get("results").and_then(Value::as_array).filter(|results| !results.is_empty());
    results.map(Vec::as_slice).ok_or_else(|| SurgeryError::import(file, "`results` is no list of measured paths"))
}

/// The name of a probe's file, without the folders of whoever ran it.
fn dataset(facts: &Object<String, Value>, name: &str) -> String {
    let path = facts.get(&format!("{name}_dataset")).and_then(Value::as_str);
    path.and_then(|path| path.rsplit(['/', '\\']).next()).map_or_else(|| UNKNOWN.to_owned(), shorten)
}

/// `3.21B` as a number.
fn parameters(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_at_checked(text.trim().len().checked_sub(1)?)?;
    let factor = match unit {
        "B" => 1e9,
        "M" => 1e6,
        _ => return None,
    };
    let number: f64 = number.parse().ok().filter(|number| (0.0..1e6).contains(number))?;
    // Rounded there already; far below 2^53.
    Some((number * factor).round() as u64)
}

struct Probe {
    name: String,
    /// What its scores are called in the file.
    key: String,
    set: String,
    questions: usize,
}

/// What a file says about its scan.
struct Source<'a> {
    tool: String,
    note: &'static str,
    model: String,
    model_type: String,
    layers: Option<&'a Value>,
    parameters: u64,
    device: String,
    created: String,
    probes: Vec<Probe>,
}

impl Source<'_> {
    fn scan(self, results: &[Value], bytes: &[u8], file: &Path) -> Result<Scan> {
        let refuse = |problem: String| SurgeryError::import(file, problem);
        if self.probes.is_empty() || self.probes.len() > MOST_PROBES {
            return Err(refuse(format!("has {} probes, expected 1 to {MOST_PROBES}", self.probes.len())));
        }
        let depth = self.layers.and_then(Value::as_u64).filter(|layers| (1..=DEEPEST).contains(layers));
        let depth = depth.and_then(|depth| usize::try_from(depth).ok());
        let depth =
            depth.ok_or_else(|| refuse(format!("does not say the model's number of layers, 1 to {DEEPEST}")))?;
        let (mut rows, mut samples) = (Vec::new(), Vec::new());
        let (mut seen, mut paths) = (BTreeSet::new(), Vec::new());
        for (number, result) in results.iter().enumerate() {
            let refuse = |problem: String| refuse(format!("result {number}: {problem}"));
            let path = path_of(result, depth).map_err(refuse)?;
            if !seen.insert(path.to_string()) {
                return Err(refuse(format!("path {path} is there twice")));
            }
            for probe in &self.probes {
                let score = match result.get(&probe.key).or_else(|| result.get("scores")?.get(&probe.key)) {
                    None | Some(Value::Null) => continue,
                    Some(score) => score.as_f64().filter(|score| (0.0..=1.0).contains(score)),
                };
                let score = score.ok_or_else(|| refuse(format!("`{}` is no score in [0, 1]", shorten(&probe.key))))?;
                let answered = answers::of_result(result, &probe.name, &path).map_err(refuse)?;
                if answered.is_empty() {
                    rows.push(self.row(&path, probe, score));
                    continue;
                }
                let row = answers::row(&path, &probe.name, score, &answered).map_err(refuse)?;
                rows.push(Row { notes: vec![ANSWERED_NOTE.to_owned()], ..row });
                samples.extend(answered);
            }
            paths.push(path);
        }
        let is_triangle = paths.iter().all(|path| path.block().is_some());
        let planned = if is_triangle {
            PlannedPaths::Triangle
        } else {
            PlannedPaths::List(paths.iter().map(ToString::to_string).collect())
        };
        let note = if samples.is_empty() { self.note } else { ANSWERED_NOTE };
        let notes = vec![note.to_owned()];
        Ok(Scan { info: self.info(depth, planned, bytes, file), rows, samples, notes })
    }

    fn row(&self, path: &LayerPath, probe: &Probe, score: f64) -> Row {
        Row {
            schema: SCHEMA,
            path: path.to_string(),
            layers: path.layers(),
            block: path.block().map(|block| [block.start, block.end]),
            probe: probe.name.clone(),
            score,
            n: probe.questions,
            screened: None,
            parse_failures: 0,
            truncated: 0,
            loops: 0,
            groups: BTreeMap::new(),
            seconds: None,
            seconds_kind: None,
            notes: vec![self.note.to_owned()],
            random_weights: None,
        }
    }

    fn info(&self, depth: usize, paths: PlannedPaths, bytes: &[u8], file: &Path) -> RunInfo {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let probe = |probe: &Probe| ProbeInfo {
            name: probe.name.clone(),
            id: format!("{} {}", self.tool, probe.set),
            hash: UNKNOWN.to_owned(),
            questions: probe.questions,
        };
        let imported = json!({ "tool": self.tool, "file": shorten(&name), "bytes": bytes.len(), "note": self.note });
        RunInfo {
            schema: SCHEMA,
            tool: TOOL.to_owned(),
            created: self.created.clone(),
            model: ModelInfo {
                id: self.model.clone(),
                hash: UNKNOWN.to_owned(),
                model_type: self.model_type.clone(),
                layers: depth,
                parameters: self.parameters,
                dtype: UNKNOWN.to_owned(),
                random_weights: None,
            },
            tokenizer_hash: None,
            template_hash: None,
            compute: UNKNOWN.to_owned(),
            device: self.device.clone(),
            probes: self.probes.iter().map(probe).collect(),
            seed: 0,
            settings: BTreeMap::from([(IMPORTED.to_owned(), imported)]),
            plan: Plan {
                paths,
                chunks: Vec::new(),
                groups: Vec::new(),
                memory_bytes: 0,
                held_bytes: 0,
                reference_needs: BTreeMap::new(),
            },
            screen: None,
            phantom: None,
        }
    }
}

/// The path of a result: its layers, its block, or both, which must then agree.
fn path_of(result: &Value, depth: usize) -> Result<LayerPath, String> {
    let block = match result.get("config") {
        None | Some(Value::Null) => None,
        Some(config) => {
            let ends = config.as_array().and_then(|ends| match ends.as_slice() {
                [start, end] => Some((usize::try_from(start.as_u64()?).ok()?, usize::try_from(end.as_u64()?).ok()?)),
                _ => None,
            });
            let (start, end) = ends.ok_or("`config` is no block [i, j]")?;
            let block = Block::new(start, end, depth).map_err(|error| error.to_string())?;
            Some(block.path(depth).map_err(|error| error.to_string())?)
        }
    };
    let listed = match result.get("layer_path").or_else(|| result.get("layers")) {
        None | Some(Value::Null) => None,
        Some(layers) => {
            let layers = layers.as_array().filter(|layers| layers.len() <= neuro_path::MAX_VISITS);
            let layers = layers.and_then(|layers| {
                layers.iter().map(|layer| usize::try_from(layer.as_u64()?).ok()).collect::<Option<Vec<usize>>>()
            });
            let layers = layers.ok_or("`layer_path` is no list of layers")?;
            Some(LayerPath::from_layers(&layers, depth).map_err(|error| error.to_string())?)
        }
    };
    match (block, listed) {
        (Some(block), Some(listed)) if block != listed => {
            Err(format!("`config` is path {block}, but `layer_path` is {listed}"))
        }
        (Some(path), _) | (None, Some(path)) => Ok(path),
        (None, None) => Err("has neither `config` nor `layer_path`".to_owned()),
    }
}

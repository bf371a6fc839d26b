//! Which parts of `run.json` change results: they are hashed for the default name, and compared on resume.
//!
//! Left out are `created`, `model.id` (the hash identifies a model, its folder may be renamed), `plan.chunks`,
//! `settings.source` (where a model lies changes nothing), `plan.memory_bytes` and what else a plan says beside its paths (a resumed run follows the stored ones), `phantom` (it follows from the model), and of `tool`
//! everything behind the second number of the version: patch releases must not change results.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::RunInfo;
use crate::info::SOURCE;

/// One setting in which two runs differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The setting, for example `settings.max_new_tokens` or `probes.0.hash`.
    pub key: String,
    /// The stored run's value as JSON, `none` where it has none.
    pub found: String,
    /// The value asked for.
    pub expected: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}, expected {}", self.key, self.found, self.expected)
    }
}

/// Twelve hex digits over everything that changes results, for the default directory `runs/<model>-<hash>`.
#[must_use]
pub fn settings_hash(info: &RunInfo) -> String {
    let mut hasher = Sha256::new();
    for (key, value) in settings(&as_json(info)) {
        let value = value.to_string();
        // Lengths first, so that no two lists of settings spell the same bytes.
        hasher.update((key.len() as u64).to_le_bytes());
        hasher.update((value.len() as u64).to_le_bytes());
        hasher.update(key);
        hasher.update(value);
    }
    hasher.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Every setting that changes results and differs between a stored run and the one asked for, ordered by key; empty
/// when the stored run may be resumed.
#[must_use]
pub fn settings_differences(found: &RunInfo, expected: &RunInfo) -> Vec<Difference> {
    json_differences(&as_json(found), expected)
}

/// [`settings_differences`] against the raw file, so that keys which this program does not know count as well.
pub(crate) fn json_differences(found: &Value, expected: &RunInfo) -> Vec<Difference> {
    let expected = as_json(expected);
    let mut differences = document_differences(found, &expected);
    if differences.iter().any(|difference| difference.key == "model.hash") {
        let (id, other) = (&found["model"]["id"], &expected["model"]["id"]);
        if id != other {
            differences.push(Difference {
                key: "model.id".to_owned(),
                found: shown(Some(id)),
                expected: shown(Some(other)),
            });
        }
    }
    differences.sort_by(|a, b| a.key.cmp(&b.key));
    differences
}

/// Every field in which a stored document differs from the one asked for, but for when and by which patch release it was
/// written and how its model is called; ordered by key.
pub(crate) fn document_differences(found: &Value, expected: &Value) -> Vec<Difference> {
    let (left, right) = (settings(found), settings(expected));
    let mut differences: Vec<Difference> = left
        .keys()
        .chain(right.keys().filter(|key| !left.contains_key(*key)))
        .filter(|key| left.get(*key) != right.get(*key))
        .map(|key| Difference { key: key.clone(), found: shown(left.get(key)), expected: shown(right.get(key)) })
        .collect();
    differences.sort_by(|a, b| a.key.cmp(&b.key));
    differences
}

fn as_json(info: &RunInfo) -> Value {
    // Strings, numbers and maps with string keys always serialise.
    serde_json::to_value(info).unwrap_or(Value::Null)
}

/// The settings as flat `key.key → value` pairs, sorted, so that the order of keys in the file means nothing.
fn settings(info: &Value) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    let Value::Object(fields) = info else {
        return flat;
    };
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("created" | "phantom", _) => {}
            ("settings", Value::Object(all)) => {
                for (name, value) in all.iter().filter(|(name, _)| *name != SOURCE) {
                    flatten(format!("{key}.{name}"), value, &mut flat);
                }
            }
            ("tool", Value::String(tool)) => {
                flat.insert(key.clone(), Value::String(release(tool)));
            }
            ("model", Value::Object(model)) => {
                for (name, value) in model.iter().filter(|(name, _)| *name != "id") {
                    flatten(format!("{key}.{name}"), value, &mut flat);
                }
            }
            ("plan", Value::Object(plan)) => {
                // Kept whole: thousands of paths that differ are one difference.
                if let Some(paths) = plan.get("paths") {
                    flat.insert("plan.paths".to_owned(), paths.clone());
                }
            }
            // Kept whole, like paths: another seed orders every question anew.
            ("screen", Value::Object(_)) => {
                flat.insert(key.clone(), value.clone());
            }
            _ => flatten(key.clone(), value, &mut flat),
        }
    }
    flat
}

fn flatten(key: String, value: &Value, flat: &mut BTreeMap<String, Value>) {
    match value {
        // Missing, null and empty are the same: no value.
        Value::Null => {}
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| flatten(format!("{key}.{name}"), value, flat));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| flatten(format!("{key}.{index}"), value, flat));
        }
        _ => {
            flat.insert(key, value.clone());
        }
    }
}

/// `neuro 0.1.7 (abc)` → `neuro 0.1`; a text of another shape stays whole.
fn release(tool: &str) -> String {
    let Some((name, version)) = tool.split_once(' ') else {
        return tool.to_owned();
    };
    let mut numbers = version.split(['.', ' ', '-', '+']);
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if [major, minor].iter().all(|part| part.parse::<u32>().is_ok()) => {
            format!("{name} {major}.{minor}")
        }
        _ => tool.to_owned(),
    }
}

/// A value for an error message: JSON, long ones cut.
fn shown(value: Option<&Value>) -> String {
    const LONGEST: usize = 80;
    let text = match value {
        None | Some(Value::Null) => return "none".to_owned(),
        Some(value) => value.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    let start: String = text.chars().take(LONGEST).collect();
    match value {
        Some(Value::Array(items)) => format!("{start}… ({} items)", items.len()),
        _ => format!("{start}…"),
    }
}

//! Other programs' layer maps and scans.
//!
//! A map becomes a layer path, a scan a run directory that can be drawn and ranked. Scores are taken over as they are; without
//! single answers, which only RYS keeps, nothing that needs them (intervals, a best block held against chance) can be had.

mod answers;
mod map;
mod scan;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use neuro_path::LayerPath;
use neuro_record::{Row, RunInfo, RunWriter, Sample};
use serde_json::{Map as Object, Value};

use crate::{Result, SurgeryError};

/// Largest file that is read; published scans have a megabyte.
const LARGEST: u64 = 256 << 20;

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Import {
    /// A layer map.
    Map(Map),
    /// A scan.
    Scan(Box<Scan>),
}

/// A layer map.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// The path.
    pub path: LayerPath,
    /// What the file is, for people.
    pub form: &'static str,
    /// The model that it is of, where the file says.
    pub model: Option<String>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// A scan that another program made.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Where it comes from.
    pub info: RunInfo,
    /// One row for each path and probe.
    pub rows: Vec<Row>,
    /// Single answers, where the file has them.
    pub samples: Vec<Sample>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// Reads a file, or a checkpoint folder with `rys_relayer` in its config. `layers` is the model's number of layers, for maps
/// that do not say it.
///
/// # Errors
/// When it cannot be read, is of no kind that is known, or contradicts itself.
pub fn read(file: &Path, layers: Option<usize>) -> Result<Import> {
    let file = if file.is_dir() { &file.join("config.json") } else { file };
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|open| open.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(SurgeryError::io("read", file))?;
    if bytes.len() as u64 > LARGEST {
        return Err(SurgeryError::import(
            file,
            format!("has more than {LARGEST} bytes; scans and maps have a few megabytes"),
        ));
    }
    of_bytes(&bytes, file, layers)
}

/// Reads what is in memory already; `file` is how messages call it.
///
/// # Errors
/// As [`read`].
pub fn of_bytes(bytes: &[u8], file: &Path, layers: Option<usize>) -> Result<Import> {
    if bytes.starts_with(b"\x80") || file.extension().is_some_and(|ending| ending == "pkl" || ending == "pickle") {
        let advice = "is a pickle, which can run code and is not read; convert it outside: python rys_pickle.py --layers N NAME=FILE > scan.json \
                      (the script is in crates/surgery/python of the project)";
        return Err(SurgeryError::import(file, advice));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|_| SurgeryError::import(file, "is no text; expected JSON, YAML or a layer map"))?;
    if text.trim_start().starts_with('{') {
        return match serde_json::from_str(text) {
            Ok(Value::Object(document)) => of_json(&document, bytes, file, layers),
            Ok(_) => Err(SurgeryError::import(file, "is no JSON object")),
            Err(error) => Err(SurgeryError::import(file, format!("is no JSON: {error}"))),
        };
    }
    map::of_text(text, file, layers).map(Import::Map)
}

fn of_json(document: &Object<String, Value>, bytes: &[u8], file: &Path, layers: Option<usize>) -> Result<Import> {
    if document.contains_key("llmri_version") {
        return scan::of_llmri(document, bytes, file).map(|scan| Import::Scan(Box::new(scan)));
    }
    match document.get("kind").and_then(Value::as_str) {
        Some("scan") => return scan::of_converted(document, bytes, file).map(|scan| Import::Scan(Box::new(scan))),
        Some("layer-path") => return map::of_sidecar(document, file).map(Import::Map),
        _ => {}
    }
    map::of_relayer(document, file, layers).map(Import::Map)
}

/// Writes a scan as a run directory.
///
/// # Errors
/// When the folder is not free, or the system refuses.
pub fn write_run(scan: &Scan, out: &Path) -> Result<()> {
    if out.exists() && out.read_dir().map_or(true, |mut entries| entries.next().is_some()) {
        return Err(SurgeryError::place(out, "exists already and is not empty; name a new folder"));
    }
    let (mut writer, _) = RunWriter::open(out, &scan.info)?;
    let mut answers: BTreeMap<(&str, &str), Vec<Sample>> = BTreeMap::new();
    for sample in &scan.samples {
        answers.entry((&sample.path, &sample.probe)).or_default().push(sample.clone());
    }
    for row in &scan.rows {
        if let Some(answers) = answers.get(&(row.path.as_str(), row.probe.as_str())) {
            writer.append_samples(&row.probe, answers)?;
        }
        writer.append_row(row)?;
    }
    Ok(())
}

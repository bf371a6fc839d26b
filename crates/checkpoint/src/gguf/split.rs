//! Models in several files: `NAME-00001-of-00003.gguf` and its like (llama.cpp's `gguf-split`).

use std::path::{Path, PathBuf};

use super::header::GgufHeader;
use super::keys::Keys;
use super::weights::Part;
use crate::disk::WeightFile;
use crate::error::CheckpointError;

const NUMBER: &str = "split.no";
const COUNT: &str = "split.count";
const TENSORS: &str = "split.tensors.count";

/// More files than that are not opened.
const MOST: u64 = 9_999;

/// Opens a file, and all others of the model where it is one of several. The first of them comes first.
pub(super) fn open(path: &Path) -> Result<Vec<Part>, CheckpointError> {
    let part = read(path)?;
    let count = count_of(&part, path)?;
    if count <= 1 {
        return Ok(vec![part]);
    }
    let mut parts = Vec::new();
    for number in 0..count {
        let name = name_of(path, number, count)?;
        if !name.exists() {
            let problem = format!(
                "is one of {count} files, and {} is not beside it; download all of them",
                name.file_name().unwrap_or_default().display()
            );
            return Err(CheckpointError::gguf(path, problem));
        }
        let part = read(&name)?;
        check(&part, &name, number, count)?;
        parts.push(part);
    }
    let found: usize = parts.iter().map(|part| part.header.tensors.len()).sum();
    let first = &parts[0];
    let keys = Keys::new(&first.header, first.file.path());
    match keys.count(TENSORS)? {
        Some(expected) if expected != found as u64 => {
            let problem =
                format!("is {expected}, but the {count} files hold {found} tensors; they are of different downloads");
            Err(keys.refuse(TENSORS, problem))
        }
        _ => Ok(parts),
    }
}

/// Takes a file that is in memory already; `name` is how messages call it.
pub(super) fn held(name: &Path, bytes: std::borrow::Cow<'static, [u8]>) -> Result<Vec<Part>, CheckpointError> {
    let part = parse(WeightFile::held(name, bytes))?;
    if count_of(&part, name)? > 1 {
        return Err(CheckpointError::gguf(name, "is one of several files, expected a whole model"));
    }
    Ok(vec![part])
}

fn read(path: &Path) -> Result<Part, CheckpointError> {
    parse(WeightFile::map(path)?)
}

fn parse(file: WeightFile) -> Result<Part, CheckpointError> {
    let header = GgufHeader::parse(file.bytes(), file.path())?;
    Ok(Part { file, header })
}

fn count_of(part: &Part, path: &Path) -> Result<u64, CheckpointError> {
    let keys = Keys::new(&part.header, path);
    let count = keys.count(COUNT)?.unwrap_or(1);
    if count > MOST {
        return Err(keys.refuse(COUNT, format!("is {count}, expected at most {MOST}")));
    }
    Ok(count)
}

fn check(part: &Part, path: &Path, number: u64, count: u64) -> Result<(), CheckpointError> {
    let keys = Keys::new(&part.header, path);
    for (key, expected) in [(NUMBER, number), (COUNT, count)] {
        let found = keys.count(key)?;
        if found != Some(expected) {
            let found = found.map_or_else(|| "missing".to_owned(), |found| found.to_string());
            let problem = format!(
                "is {found}, expected {expected} by the file's name; the file was renamed or is of another model"
            );
            return Err(keys.refuse(key, problem));
        }
    }
    Ok(())
}

/// The name of a part, made from that of another.
fn name_of(path: &Path, number: u64, count: u64) -> Result<PathBuf, CheckpointError> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let (rest, total) = stem.rsplit_once("-of-").unwrap_or_default();
    let (prefix, own) = rest.rsplit_once('-').unwrap_or_default();
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(own) || !is_number(total) || total.parse() != Ok(count) {
        let problem = format!(
            "is one of {count} files, which are found by their names; expected a name like NAME-00001-of-{count:05}.gguf"
        );
        return Err(CheckpointError::gguf(path, problem));
    }
    Ok(path.with_file_name(format!("{prefix}-{:05}-of-{count:05}.gguf", number + 1)))
}

/// The name of the model that a file holds, without the ending and without its number among several.
pub(crate) fn model_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let whole = |stem: &str| {
        let (rest, total) = stem.rsplit_once("-of-")?;
        let (prefix, own) = rest.rsplit_once('-')?;
        let is_number = |text: &str| text.len() == 5 && text.bytes().all(|digit| digit.is_ascii_digit());
        (is_number(own) && is_number(total) && !prefix.is_empty()).then(|| prefix.to_owned())
    };
    whole(&stem).unwrap_or(stem)
}

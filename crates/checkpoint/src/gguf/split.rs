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
    let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(parted);
    let Some((prefix, ..)) = stem.filter(|(_, _, total)| *total == count) else {
        let problem = format!(
            "is one of {count} files, which are found by their names; expected a name like NAME-00001-of-{count:05}.gguf"
        );
        return Err(CheckpointError::gguf(path, problem));
    };
    Ok(path.with_file_name(format!("{prefix}-{:05}-of-{count:05}.gguf", number + 1)))
}

/// The name of the model at a path: the folder's, or that of a GGUF file without its ending and without its number among
/// several.
#[must_use]
pub fn model_name(path: &Path) -> String {
    let name = || path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    if path.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("gguf")) || path.is_dir() {
        return name();
    }
    let Some(stem) = path.file_stem() else { return name() };
    let stem = stem.to_string_lossy();
    parted(&stem).map_or_else(|| stem.to_string(), |(prefix, ..)| prefix.to_owned())
}

/// `NAME-00001-of-00003` as name, number and count.
fn parted(stem: &str) -> Option<(&str, u64, u64)> {
    let number = |text: &str| {
        let is_number = text.len() == 5 && text.bytes().all(|digit| digit.is_ascii_digit());
        if is_number { text.parse().ok() } else { None }
    };
    let (rest, total) = stem.rsplit_once("-of-")?;
    let (prefix, own) = rest.rsplit_once('-')?;
    Some((prefix, number(own)?, number(total)?)).filter(|(prefix, ..)| !prefix.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_are_told_and_made() {
        for (path, name) in [
            ("a/Model-00002-of-00003.gguf", "Model"),
            ("Model-Q4_K_M.gguf", "Model-Q4_K_M"),
            ("Model-2-of-3.gguf", "Model-2-of-3"),
            ("-00001-of-00002.gguf", "-00001-of-00002"),
            ("a/Qwen2.5-0.5B", "Qwen2.5-0.5B"),
        ] {
            assert_eq!(model_name(Path::new(path)), name);
        }
        let other = |path: &str, number| name_of(Path::new(path), number, 3);
        assert_eq!(other("a/M-00002-of-00003.gguf", 0).unwrap(), Path::new("a/M-00001-of-00003.gguf"));
        for path in ["a/M.gguf", "a/M-00002-of-00004.gguf", "M-2-of-3.gguf"] {
            let message = other(path, 0).unwrap_err().to_string();
            assert!(message.contains("NAME-00001-of-00003.gguf"), "{message}");
        }
    }
}

//! What a snapshot lacks of what a model needs.

use std::path::Path;

use neuro_checkpoint::ShardIndex;

use crate::Result;
use crate::cache::Repository;
use crate::error::HubError;
use crate::files::parts;
use crate::find::Need;
use crate::name::HubName;

pub(crate) const CONFIG: &str = "config.json";
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";
/// What a tokenizer is made of, by the file that it is known by, the best first; only the first that is there is taken.
pub(crate) const TOKENIZERS: [&[&str]; 3] = [
    &["tokenizer.json"],
    &["tokenizer.model", "added_tokens.json"],
    &["vocab.json", "merges.txt", "added_tokens.json"],
];
/// What changes answers, and goes unnoticed where it is missing: how to sample and when to stop, which tokens are special,
/// how a chat is written.
pub(crate) const SETTINGS: [&str; 4] =
    ["generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"];

/// Largest index that is read; that of a model of a trillion parameters has some 10 MB.
const LARGEST_INDEX: u64 = 64 << 20;

/// What a snapshot lacks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lacking {
    /// Files without which nothing goes.
    pub(crate) files: Vec<String>,
    /// Whether there is no tokenizer, and nobody has said that there is none.
    pub(crate) tokenizer: bool,
    /// Of [`SETTINGS`], those of which nobody knows whether there are any.
    pub(crate) settings: Vec<&'static str>,
}

impl Lacking {
    /// Whether the snapshot can be used as it is.
    pub(crate) fn is_nothing(&self) -> bool {
        self.files.is_empty() && !self.tokenizer && self.settings.is_empty()
    }
}

impl std::fmt::Display for Lacking {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.files.as_slice() {
            [] => {}
            [only] => return write!(formatter, "it lacks {only}"),
            [first, second] => return write!(formatter, "it lacks {first} and {second}"),
            [first, rest @ ..] => return write!(formatter, "it lacks {first} and {} more files", rest.len()),
        }
        let settings = match self.settings.as_slice() {
            [] => String::new(),
            [only] => (*only).to_owned(),
            [others @ .., last] => format!("{} and {last}", others.join(", ")),
        };
        match (self.tokenizer, settings.is_empty()) {
            (false, true) => formatter.write_str("it lacks nothing"),
            (true, true) => formatter.write_str("it lacks a tokenizer"),
            (true, false) => write!(formatter, "it lacks a tokenizer, and {settings}, if the model has these"),
            (false, false) => write!(formatter, "it lacks {settings}, if the model has these"),
        }
    }
}

/// What a snapshot lacks of what a need takes.
pub(crate) fn lacking(repository: &Repository, commit: &str, name: &HubName, need: Need) -> Lacking {
    let folder = repository.snapshot(commit);
    let is_here = |file: &str| folder.join(file).is_file();
    let missing = |files: Vec<String>| files.into_iter().filter(|file| !is_here(file)).collect::<Vec<_>>();
    if let Some(file) = name.file() {
        return Lacking { files: missing(parts(file)), ..Lacking::default() };
    }
    let mut files = missing(vec![CONFIG.to_owned()]);
    if need == Need::Everything && !is_here(WEIGHTS) {
        files.extend(match is_here(INDEX) {
            // What is wrong with an index is said when the checkpoint is opened.
            true => missing(shards(&folder.join(INDEX)).unwrap_or_default()),
            false => vec![WEIGHTS.to_owned()],
        });
    }
    let is_unknown = |file: &str| !is_here(file) && !repository.is_absent(commit, file);
    let has_tokenizer = TOKENIZERS.iter().any(|files| is_here(files[0]));
    Lacking {
        files,
        tokenizer: !has_tokenizer && TOKENIZERS.iter().any(|files| is_unknown(files[0])),
        settings: SETTINGS.into_iter().filter(|file| is_unknown(file)).collect(),
    }
}

/// The weight files that an index names.
pub(crate) fn shards(index: &Path) -> Result<Vec<String>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(index)
        .and_then(|file| file.take(LARGEST_INDEX).read_to_end(&mut bytes))
        .map_err(|source| HubError::Io { path: index.to_path_buf(), source })?;
    let index = ShardIndex::from_json(&bytes, index).map_err(HubError::Index)?;
    Ok(index.shards().into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_said_by_its_weight() {
        let said = |files: &[&str], tokenizer, settings: &[&'static str]| {
            let files = files.iter().map(|file| (*file).to_owned()).collect();
            Lacking { files, tokenizer, settings: settings.to_vec() }.to_string()
        };
        assert_eq!(said(&[], false, &[]), "it lacks nothing");
        assert_eq!(said(&["a"], true, &["b"]), "it lacks a");
        assert_eq!(said(&["a", "b", "c"], false, &[]), "it lacks a and 2 more files");
        assert_eq!(said(&[], true, &[]), "it lacks a tokenizer");
        assert_eq!(said(&[], true, &["a"]), "it lacks a tokenizer, and a, if the model has these");
        assert_eq!(said(&[], false, &["a", "b", "c"]), "it lacks a, b and c, if the model has these");
    }

    #[test]
    fn what_nobody_has_asked_for_is_lacking() {
        let cache = tempfile::tempdir().expect("a folder");
        let name = HubName::parse("org/name").expect("a name");
        let repository = Repository::new(cache.path(), &name);
        let folder = repository.snapshot("abc");
        let absent = cache.path().join("models--org--name/.no_exist/abc");
        for folder in [&folder, &absent] {
            std::fs::create_dir_all(folder).expect("a folder");
        }
        let lacks = |need| lacking(&repository, "abc", &name, need);
        assert_eq!(lacks(Need::Description).files, [CONFIG]);
        assert_eq!(lacks(Need::Everything).files, [CONFIG, WEIGHTS]);
        for file in [CONFIG, WEIGHTS, "generation_config.json"] {
            std::fs::write(folder.join(file), "{}").expect("a file");
        }
        let found = lacks(Need::Everything);
        assert!(found.files.is_empty() && found.tokenizer);
        assert_eq!(found.settings, SETTINGS[1..]);
        for file in &SETTINGS[1..] {
            std::fs::write(absent.join(file), "").expect("a mark");
        }
        // One kind of tokenizer that is not there says nothing about the others.
        std::fs::write(absent.join("tokenizer.json"), "").expect("a mark");
        assert_eq!(lacks(Need::Everything), Lacking { tokenizer: true, ..Lacking::default() });
        for file in ["tokenizer.model", "vocab.json"] {
            std::fs::write(absent.join(file), "").expect("a mark");
        }
        assert!(lacks(Need::Everything).is_nothing());
        let file = lacking(&repository, "abc", &name.with_file("a-00001-of-00002.gguf"), Need::Everything);
        assert_eq!(file.files, ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"]);
        assert_eq!(file.to_string(), "it lacks a-00001-of-00002.gguf and a-00002-of-00002.gguf");
    }
}

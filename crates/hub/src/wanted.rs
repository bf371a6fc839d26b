//! Which files of a repository are needed, and which of them a snapshot lacks.

use std::path::Path;

use neuro_checkpoint::ShardIndex;

use crate::Result;
use crate::cache::Repository;
use crate::error::HubError;
use crate::find::Need;
use crate::name::HubName;
#[cfg(feature = "download")]
use crate::name::{is_gguf, is_inside};

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";
/// What a tokenizer is made of, by the file that it is known by, the best first; only the first that is there is taken.
const TOKENIZERS: [&[&str]; 3] = [
    &["tokenizer.json"],
    &["tokenizer.model", "added_tokens.json"],
    &["vocab.json", "merges.txt", "added_tokens.json"],
];

/// Largest index that is read; that of a model of a trillion parameters has some 10 MB.
const LARGEST_INDEX: u64 = 64 << 20;

/// What a snapshot lacks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lacking {
    /// Files without which nothing goes.
    pub(crate) files: Vec<String>,
    /// Whether there is no tokenizer, and nobody has said that there is none.
    pub(crate) tokenizer: bool,
}

impl Lacking {
    /// Whether the snapshot can be used as it is.
    pub(crate) fn is_nothing(&self) -> bool {
        self.files.is_empty() && !self.tokenizer
    }
}

impl std::fmt::Display for Lacking {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.files.as_slice() {
            [] if self.tokenizer => formatter.write_str("it lacks a tokenizer"),
            [] => formatter.write_str("it lacks nothing"),
            [only] => write!(formatter, "it lacks {only}"),
            [first, rest @ ..] => write!(formatter, "it lacks {first} and {} more files", rest.len()),
        }
    }
}

/// What a snapshot lacks of what a need takes.
pub(crate) fn lacking(repository: &Repository, commit: &str, name: &HubName, need: Need) -> Lacking {
    let folder = repository.snapshot(commit);
    let is_here = |file: &str| folder.join(file).is_file();
    let missing = |files: Vec<String>| files.into_iter().filter(|file| !is_here(file)).collect::<Vec<_>>();
    if let Some(file) = name.file() {
        return Lacking { files: missing(parts(file)), tokenizer: false };
    }
    let mut files = missing(vec![CONFIG.to_owned()]);
    if need == Need::Everything && !is_here(WEIGHTS) {
        files.extend(match is_here(INDEX) {
            // What is wrong with an index is said when the checkpoint is opened.
            true => missing(shards(&folder.join(INDEX)).unwrap_or_default()),
            false => vec![WEIGHTS.to_owned()],
        });
    }
    let tokenizer =
        !TOKENIZERS.iter().any(|files| is_here(files[0])) && !repository.is_absent(commit, TOKENIZERS[0][0]);
    Lacking { files, tokenizer }
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

/// All files of a GGUF model: one, or those that `NAME-00001-of-00003.gguf` counts.
fn parts(file: &str) -> Vec<String> {
    let count = || {
        let (stem, ending) = file.rsplit_once('.')?;
        let (rest, total) = stem.rsplit_once("-of-")?;
        let (prefix, number) = rest.rsplit_once('-')?;
        let is_number = |text: &str| text.len() == 5 && text.bytes().all(|digit| digit.is_ascii_digit());
        let count: usize = total.parse().ok().filter(|_| is_number(total) && is_number(number))?;
        Some((1..=count).map(|number| format!("{prefix}-{number:05}-of-{total}.{ending}")).collect::<Vec<_>>())
    };
    count().filter(|parts| parts.iter().any(|part| part == file)).unwrap_or_else(|| vec![file.to_owned()])
}

/// What is to be fetched.
#[cfg(feature = "download")]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The files, small ones first. Where [`INDEX`] is among them, the shards that it names come behind.
    pub(crate) files: Vec<String>,
    /// Files that were looked for and are not there.
    pub(crate) absent: Vec<&'static str>,
}

/// Chooses from all files of a repository, each with its size where that is known.
#[cfg(feature = "download")]
pub(crate) fn choose(name: &HubName, files: &[(String, Option<u64>)], need: Need) -> Result<Choice> {
    /// Taken where they are there.
    const SETTINGS: [&str; 5] = [
        "generation_config.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "chat_template.jinja",
        "phantom.json",
    ];
    const TEMPLATES: &str = "additional_chat_templates/";
    /// Taken where they are there, and never missed: an export reads under which licence the model is.
    const CARD: &str = "README.md";
    const LICENCES: [&str; 3] = ["LICENSE", "LICENCE", "NOTICE"];

    let is_there = |wanted: &str| files.iter().any(|(file, _)| file == wanted);
    let unusable = |problem: String| HubError::Unusable { name: name.clone(), problem };
    if let Some(file) = name.file() {
        let parts = parts(file);
        let Some(missing) = parts.iter().find(|part| !is_there(part)) else {
            return Ok(Choice { files: parts, absent: Vec::new() });
        };
        let others =
            ggufs(name, files).map_or_else(|| "it has no GGUF file".to_owned(), |list| format!("there are {list}"));
        return Err(unusable(format!("has no file {missing}; {others}")));
    }
    if !is_there(CONFIG) {
        return Err(unusable(match ggufs(name, files) {
            Some(list) => format!("holds GGUF files, of which one must be named: {list}"),
            None if is_there("adapter_config.json") => {
                "is an adapter, not a model; merge it into its base model first".into()
            }
            None if is_there("params.json") => {
                "has params.json but no config.json: it is not in Hugging Face's format".into()
            }
            None => "has no config.json, so it is no model that can be read".into(),
        }));
    }
    let mut chosen = vec![CONFIG.to_owned()];
    chosen.extend(SETTINGS.into_iter().filter(|file| is_there(file)).map(str::to_owned));
    if let Some(tokenizer) = TOKENIZERS.iter().find(|files| is_there(files[0])) {
        chosen.extend(tokenizer.iter().filter(|file| is_there(file)).map(|file| (*file).to_owned()));
    }
    for (file, _) in files.iter().filter(|(file, _)| file.starts_with(TEMPLATES) && file.ends_with(".jinja")) {
        if !is_inside(file) {
            return Err(HubError::FileName { name: name.clone(), file: file.chars().take(80).collect() });
        }
        chosen.push(file.clone());
    }
    let is_licence = |file: &str| LICENCES.iter().any(|beginning| file.starts_with(beginning));
    let at_the_root = files.iter().map(|(file, _)| file).filter(|file| !file.contains('/') && is_inside(file));
    chosen.extend(at_the_root.filter(|file| *file == CARD || is_licence(file)).cloned());
    if need == Need::Everything {
        // As the checkpoint is opened: a single file goes before an index.
        chosen.push(match [WEIGHTS, INDEX].into_iter().find(|file| is_there(file)) {
            Some(file) => file.to_owned(),
            None => return Err(unusable(no_weights(name, files))),
        });
    }
    let looked_for = SETTINGS.iter().chain(&TOKENIZERS[0][..1]);
    Ok(Choice { files: chosen, absent: looked_for.copied().filter(|file| !is_there(file)).collect() })
}

#[cfg(feature = "download")]
fn no_weights(name: &HubName, files: &[(String, Option<u64>)]) -> String {
    let has = |endings: &[&str]| files.iter().any(|(file, _)| endings.iter().any(|ending| file.ends_with(ending)));
    if let Some(list) = ggufs(name, files) {
        return format!("has weights only as GGUF files, of which one must be named: {list}");
    }
    if has(&[".bin", ".pt", ".pth", ".ckpt"]) {
        return "has weights only as pickles (.bin, .pt, .pth), which can run code and are not read; look for a revision with \
                safetensors (refs/pr/… of its discussions), or convert it with transformers: \
                AutoModelForCausalLM.from_pretrained(NAME).save_pretrained(FOLDER)"
            .to_owned();
    }
    if has(&[".safetensors"]) {
        return "has .safetensors files, but neither model.safetensors nor model.safetensors.index.json, so it is no language \
                model in Hugging Face's format"
            .to_owned();
    }
    "has no weights".to_owned()
}

/// The GGUF models of a repository, as they would be named; none where there are none.
#[cfg(feature = "download")]
fn ggufs(name: &HubName, files: &[(String, Option<u64>)]) -> Option<String> {
    /// More are only counted.
    const SHOWN: usize = 12;
    let is_first = |file: &str| parts(file)[0] == file;
    let size = |file: &str| files.iter().find(|(other, _)| other == file)?.1;
    let mut models: Vec<_> =
        files.iter().map(|(file, _)| file).filter(|file| is_gguf(file) && is_first(file)).collect();
    models.retain(|file| is_inside(file));
    models.sort();
    let describe = |file: &&String| {
        let bytes: Option<u64> = parts(file).iter().map(|part| size(part)).sum();
        let bytes = bytes.map(|bytes| format!(" ({:.1} GB)", bytes as f64 / 1e9)).unwrap_or_default();
        format!("{}{bytes}", name.with_file(file))
    };
    let mut list: Vec<String> = models.iter().take(SHOWN).map(describe).collect();
    if models.len() > SHOWN {
        list.push(format!("{} more", models.len() - SHOWN));
    }
    (!list.is_empty()).then(|| list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_named_by_one_of_them() {
        assert_eq!(
            parts("a/M-00002-of-00003.gguf"),
            ["a/M-00001-of-00003.gguf", "a/M-00002-of-00003.gguf", "a/M-00003-of-00003.gguf"]
        );
        for single in ["M.gguf", "M-2-of-3.gguf", "M-00004-of-00003.gguf", "M-00000-of-00000.gguf"] {
            assert_eq!(parts(single), [single]);
        }
    }

    #[cfg(feature = "download")]
    mod choice {
        use super::*;

        fn of(name: &str, files: &[&str], need: Need) -> std::result::Result<Vec<String>, String> {
            let files: Vec<_> = files.iter().map(|file| ((*file).to_owned(), Some(2_000_000_000))).collect();
            let name = HubName::parse(name).expect("a name");
            choose(&name, &files, need).map(|choice| choice.files).map_err(|error| error.to_string())
        }

        #[test]
        fn only_what_is_needed_is_chosen() {
            let all = [
                ".gitattributes",
                "LICENSE.txt",
                "README.md",
                "config.json",
                "docs/LICENSE",
                "generation_config.json",
                "merges.txt",
                "model.safetensors",
                "model.safetensors.index.json",
                "model-00001-of-00002.safetensors",
                "pytorch_model.bin",
                "tokenizer.json",
                "tokenizer.model",
                "tokenizer_config.json",
                "vocab.json",
                "additional_chat_templates/rag.jinja",
                "onnx/model.onnx",
            ];
            let small = [
                "config.json",
                "generation_config.json",
                "tokenizer_config.json",
                "tokenizer.json",
                "additional_chat_templates/rag.jinja",
                "LICENSE.txt",
                "README.md",
            ];
            let found = of("a/b", &all, Need::Everything).expect("files");
            assert_eq!(found[..7], small);
            assert_eq!(found[7..], ["model.safetensors"]);
            assert_eq!(of("a/b", &all, Need::Description).expect("files"), small);
            let sentencepiece = ["config.json", "tokenizer.model", "added_tokens.json", INDEX, "vocab.json"];
            assert_eq!(
                of("a/b", &sentencepiece, Need::Everything).expect("files"),
                ["config.json", "tokenizer.model", "added_tokens.json", INDEX]
            );
        }

        #[test]
        fn what_cannot_be_read_is_refused_with_advice() {
            for (name, files, expected) in [
                ("a/b", &["config.json", "pytorch_model.bin"][..], "save_pretrained"),
                ("a/b", &["config.json", "unet.safetensors"], "neither model.safetensors"),
                ("a/b", &["config.json"], "has no weights"),
                ("a/b", &["README.md"], "no config.json"),
                ("a/b", &["adapter_config.json"], "adapter"),
                (
                    "a/b",
                    &["b-Q8_0.gguf", "b-Q4-00001-of-00002.gguf", "b-Q4-00002-of-00002.gguf"],
                    "named: a/b:b-Q4-00001-of-00002.gguf (4.0 GB), a/b:b-Q8_0.gguf (2.0 GB)",
                ),
                ("a/b@v1", &["config.json", "b.gguf"], "named: a/b@v1:b.gguf (2.0 GB)"),
                ("a/b:c.gguf", &["b.gguf"], "has no file c.gguf; there are a/b:b.gguf"),
                ("a/b:c-00001-of-00002.gguf", &["c-00001-of-00002.gguf"], "has no file c-00002-of-00002.gguf"),
                (
                    "a/b",
                    &["config.json", "model.safetensors", "additional_chat_templates/../../../x.jinja"],
                    "would leave the cache",
                ),
            ] {
                let message = of(name, files, Need::Everything).expect_err(expected);
                assert!(message.contains(expected), "{message}");
            }
            assert_eq!(of("a/b:b.gguf", &["b.gguf", "c.gguf"], Need::Everything).expect("a file"), ["b.gguf"]);
        }
    }
}

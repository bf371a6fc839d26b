//! Which files of a repository are fetched.

use std::collections::BTreeMap;

use crate::Result;
use crate::error::HubError;
use crate::files::{is_first, is_gguf, is_inside, parts};
use crate::find::Need;
use crate::name::HubName;
use crate::wanted::{CONFIG, INDEX, SETTINGS, TOKENIZERS, WEIGHTS};

/// All files of a repository, each with its size where that is known.
pub(crate) type Files = BTreeMap<String, Option<u64>>;

/// What is to be fetched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The files, small ones first. Where [`INDEX`] is among them, the shards that it names come behind.
    pub(crate) files: Vec<String>,
    /// Files that were looked for and are not there.
    pub(crate) absent: Vec<&'static str>,
}

/// Chooses from the files of a repository.
pub(crate) fn choose(name: &HubName, files: &Files, need: Need) -> Result<Choice> {
    /// What makes a phantom of a model, told by whoever made it.
    const PHANTOM: &str = "phantom.json";
    const TEMPLATES: &str = "additional_chat_templates/";
    /// Taken where they are there, and never missed: an export reads under which licence the model is.
    const CARD: &str = "README.md";
    const LICENCES: [&str; 3] = ["LICENSE", "LICENCE", "NOTICE"];

    let is_there = |wanted: &str| files.contains_key(wanted);
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
    chosen.extend(SETTINGS.into_iter().chain([PHANTOM]).filter(|file| is_there(file)).map(str::to_owned));
    if let Some(tokenizer) = TOKENIZERS.iter().find(|files| is_there(files[0])) {
        chosen.extend(tokenizer.iter().filter(|file| is_there(file)).map(|file| (*file).to_owned()));
    }
    for file in files.keys().filter(|file| file.starts_with(TEMPLATES) && file.ends_with(".jinja")) {
        if !is_inside(file) {
            return Err(HubError::FileName { name: name.clone(), file: file.chars().take(80).collect() });
        }
        chosen.push(file.clone());
    }
    let is_licence = |file: &str| LICENCES.iter().any(|beginning| file.starts_with(beginning));
    let at_the_root = files.keys().filter(|file| !file.contains('/') && is_inside(file));
    chosen.extend(at_the_root.filter(|file| *file == CARD || is_licence(file)).cloned());
    if need == Need::Everything {
        // As the checkpoint is opened: a single file goes before an index.
        chosen.push(match [WEIGHTS, INDEX].into_iter().find(|file| is_there(file)) {
            Some(file) => file.to_owned(),
            None => return Err(unusable(no_weights(name, files))),
        });
    }
    let looked_for = SETTINGS.into_iter().chain(TOKENIZERS.iter().map(|files| files[0]));
    Ok(Choice { files: chosen, absent: looked_for.filter(|file| !is_there(file)).collect() })
}

fn no_weights(name: &HubName, files: &Files) -> String {
    let has = |endings: &[&str]| files.keys().any(|file| endings.iter().any(|ending| file.ends_with(ending)));
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
fn ggufs(name: &HubName, files: &Files) -> Option<String> {
    /// More are only counted.
    const SHOWN: usize = 12;
    let models: Vec<_> = files.keys().filter(|file| is_gguf(file) && is_first(file) && is_inside(file)).collect();
    let describe = |file: &&String| {
        let sizes = parts(file).iter().map(|part| files.get(part).copied().flatten()).collect::<Option<Vec<_>>>();
        let bytes = sizes.map(|sizes| sizes.into_iter().fold(0_u64, u64::saturating_add));
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

    fn of(name: &str, files: &[&str], need: Need) -> std::result::Result<Choice, String> {
        let files = files.iter().map(|file| ((*file).to_owned(), Some(2_000_000_000))).collect();
        choose(&HubName::parse(name).expect("a name"), &files, need).map_err(|error| error.to_string())
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
        assert_eq!(found.files[..7], small);
        assert_eq!(found.files[7..], ["model.safetensors"]);
        assert_eq!(found.absent, ["special_tokens_map.json", "chat_template.jinja"]);
        assert_eq!(of("a/b", &all, Need::Description).expect("files").files, small);
        let sentencepiece = ["config.json", "tokenizer.model", "added_tokens.json", INDEX, "vocab.json"];
        let found = of("a/b", &sentencepiece, Need::Everything).expect("files");
        assert_eq!(found.files, ["config.json", "tokenizer.model", "added_tokens.json", INDEX]);
        assert!(found.absent.contains(&"tokenizer.json") && !found.absent.contains(&"tokenizer.model"));
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
            ("a/b", &["config.json", "additional_chat_templates/nul.jinja"], "would leave the cache"),
        ] {
            let message = of(name, files, Need::Everything).expect_err(expected);
            assert!(message.contains(expected), "{message}");
        }
        assert_eq!(of("a/b:b.gguf", &["b.gguf", "c.gguf"], Need::Everything).expect("a file").files, ["b.gguf"]);
    }

    #[test]
    fn sizes_that_no_disk_has_do_no_harm() {
        let mut files: Files = (1..=3).map(|part| (format!("b-0000{part}-of-00003.gguf"), Some(u64::MAX))).collect();
        files.extend((0..2000).map(|number| (format!("c{number}-00001-of-99999.gguf"), Some(1))));
        let name = HubName::parse("a/b").expect("a name");
        let message = choose(&name, &files, Need::Everything).expect_err("no config").to_string();
        assert!(message.contains("(18446744073.7 GB)") && message.ends_with("1989 more"), "{message}");
    }
}

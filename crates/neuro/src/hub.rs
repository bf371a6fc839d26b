//! Models by their name on the Hugging Face hub, as far as they lie in its cache here. Nothing is downloaded.

use std::path::{Path, PathBuf};

use crate::error::Failure;

/// The revision that is meant where none is named.
const MAIN: &str = "main";

/// `org/name` or `org/name@revision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HubName<'a> {
    organisation: &'a str,
    name: &'a str,
    revision: &'a str,
}

impl<'a> HubName<'a> {
    /// Reads a name; `None` for what cannot be one, such as a path.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (repository, revision) = text.split_once('@').unwrap_or((text, MAIN));
        let (organisation, name) = repository.split_once('/')?;
        let is_word = |word: &str| {
            let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !word.is_empty() && !word.starts_with('.') && word.chars().all(is_allowed)
        };
        // A revision may hold `/`, but nothing that leaves the cache.
        let is_revision = revision.split('/').all(is_word);
        (is_word(organisation) && is_word(name) && is_revision).then_some(Self { organisation, name, revision })
    }

    /// The model's name without the organisation.
    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    /// The folder of the model in the cache.
    ///
    /// # Errors
    /// When it is not there, with the command that fetches it.
    pub(crate) fn find(&self) -> anyhow::Result<PathBuf> {
        let cache =
            cache_dir(|name| std::env::var_os(name).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty()));
        if let Some(folder) = cache.as_deref().and_then(|cache| self.snapshot(cache)) {
            return Ok(folder);
        }
        let Self { organisation, name, revision } = self;
        let place =
            cache.map_or_else(|| "there is no cache folder".to_owned(), |cache| format!("not in {}", cache.display()));
        let (at, flag) = match *revision {
            MAIN => (String::new(), String::new()),
            revision => (format!("@{revision}"), format!(" --revision {revision}")),
        };
        let failure = Failure::new(format!(
            "{organisation}/{name}{at} is not on this machine ({place}), and this version of neuro does not download"
        ));
        Err(failure
            .hint(format!("fetch it: hf download {organisation}/{name}{flag}"))
            .hint("or give as MODEL the path of a folder with config.json and *.safetensors, or of a .gguf file")
            .into())
    }

    /// `models--org--name/snapshots/<commit>`, by a reference that the cache knows or by the commit itself.
    fn snapshot(&self, cache: &Path) -> Option<PathBuf> {
        let repository = cache.join(format!("models--{}--{}", self.organisation, self.name));
        let commit = std::fs::read_to_string(repository.join("refs").join(self.revision));
        let commit = commit.as_deref().map_or(self.revision, str::trim);
        let folder = repository.join("snapshots").join(commit);
        folder.join("config.json").is_file().then_some(folder)
    }
}

/// The cache folder, by the rules of huggingface_hub: `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME/hub`,
/// `XDG_CACHE_HOME/huggingface/hub`, `~/.cache/huggingface/hub`.
fn cache_dir(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    variable("HF_HUB_CACHE")
        .or_else(|| variable("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| Some(variable("HF_HOME")?.join("hub")))
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("huggingface").join("hub")))
        .or_else(|| Some(std::env::home_dir()?.join(".cache").join("huggingface").join("hub")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_paths() {
        let name = HubName::parse("Qwen/Qwen2.5-0.5B@refs/pr/1").expect("a name");
        assert_eq!((name.organisation, name.name, name.revision), ("Qwen", "Qwen2.5-0.5B", "refs/pr/1"));
        assert_eq!(HubName::parse("Qwen/Qwen3-8B").expect("a name").revision, "main");
        for path in ["model", "./model", "../model", "/models/a", "a/b/c", "a/", "a/b@", "a/b@../../c", "~/a"] {
            assert_eq!(HubName::parse(path), None, "{path}");
        }
    }

    #[test]
    fn a_snapshot_is_found_by_reference_and_by_commit() {
        let cache = tempfile::tempdir().expect("a folder");
        let repository = cache.path().join("models--org--name");
        let folder = repository.join("snapshots").join("abc123");
        std::fs::create_dir_all(repository.join("refs")).expect("refs");
        std::fs::create_dir_all(&folder).expect("snapshot");
        std::fs::write(repository.join("refs").join("main"), "abc123\n").expect("reference");
        let find = |text| HubName::parse(text).expect("a name").snapshot(cache.path());
        assert_eq!(find("org/name"), None, "a snapshot without a config is no model");
        std::fs::write(folder.join("config.json"), "{}").expect("config");
        assert_eq!(find("org/name"), Some(folder.clone()));
        assert_eq!(find("org/name@abc123"), Some(folder));
        assert_eq!(find("org/name@other"), None);
    }

    #[test]
    fn the_cache_folder_follows_the_variables_in_order() {
        let set = |names: &'static [&'static str]| {
            move |name: &str| names.contains(&name).then(|| PathBuf::from(format!("/{name}")))
        };
        assert_eq!(cache_dir(set(&["HF_HUB_CACHE", "HF_HOME"])), Some("/HF_HUB_CACHE".into()));
        assert_eq!(cache_dir(set(&["HF_HOME", "XDG_CACHE_HOME"])), Some("/HF_HOME/hub".into()));
        assert_eq!(cache_dir(set(&["XDG_CACHE_HOME"])), Some("/XDG_CACHE_HOME/huggingface/hub".into()));
    }
}

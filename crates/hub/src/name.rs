//! `org/name`, `org/name@revision`, `org/name:file.gguf`, `org/name@revision:file.gguf`.

use std::fmt;
use std::sync::Arc;

/// The revision that is meant where none is named.
const MAIN: &str = "main";

/// Longest name of a repository on the hub, organisation included (`huggingface_hub`'s `validate_repo_id`).
const LONGEST: usize = 96;

/// A model on the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubName(Arc<Parts>);

/// Behind a pointer, so that errors stay small that name a model.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    organisation: String,
    name: String,
    revision: Option<String>,
    file: Option<String>,
}

impl HubName {
    /// Reads a name; `None` for what cannot be one, such as a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // Neither repositories nor Git's references have a colon in their names.
        let (rest, file) = match text.split_once(':') {
            Some((rest, file)) => (rest, Some(file)),
            None => (text, None),
        };
        let (repository, revision) = match rest.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision)),
            None => (rest, None),
        };
        let (organisation, name) = repository.split_once('/')?;
        // The cache joins the parts of a name with `--`; the hub allows neither that nor `..` in a name.
        let is_ambiguous = repository.contains("--") || repository.contains("..");
        if is_ambiguous || repository.len() > LONGEST || !is_word(organisation) || !is_word(name) {
            return None;
        }
        // A revision may hold `/`, but nothing that leaves the cache.
        let is_revision = revision.is_none_or(|revision| revision.split('/').all(is_word));
        let is_file = file.is_none_or(|file| is_inside(file) && is_gguf(file));
        let parts = || Parts {
            organisation: organisation.to_owned(),
            name: name.to_owned(),
            revision: revision.map(str::to_owned),
            file: file.map(str::to_owned),
        };
        (is_revision && is_file).then(|| Self(Arc::new(parts())))
    }

    /// `org/name`.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("{}/{}", self.0.organisation, self.0.name)
    }

    /// The model's name without the organisation.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The branch, tag or commit that is meant.
    #[must_use]
    pub fn revision(&self) -> &str {
        self.0.revision.as_deref().unwrap_or(MAIN)
    }

    /// The GGUF file, of a repository that holds several models.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.0.file.as_deref()
    }

    /// The same model at a commit, whatever its branches become.
    #[must_use]
    pub fn at(&self, commit: &str) -> Self {
        Self(Arc::new(Parts { revision: Some(commit.to_owned()), ..Parts::clone(&self.0) }))
    }

    /// The same repository with a file in it.
    #[must_use]
    pub fn with_file(&self, file: &str) -> Self {
        Self(Arc::new(Parts { file: Some(file.to_owned()), ..Parts::clone(&self.0) }))
    }

    /// The folder's name in the cache.
    pub(crate) fn folder(&self) -> String {
        format!("models--{}--{}", self.0.organisation, self.0.name)
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.0.organisation, self.0.name)?;
        if let Some(revision) = &self.0.revision {
            write!(formatter, "@{revision}")?;
        }
        match &self.0.file {
            Some(file) => write!(formatter, ":{file}"),
            None => Ok(()),
        }
    }
}

/// One part of a name: letters, digits, `-`, `_` and `.`, not at its beginning.
fn is_word(word: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !word.is_empty() && !word.starts_with('.') && word.chars().all(is_allowed)
}

/// Whether this is a commit, which names a folder of the cache.
pub(crate) fn is_commit(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a name of a file stays in its folder on every system: parts joined by `/`, none of them empty, `.` or `..`,
/// and without back slashes, drive letters, streams and control characters.
pub(crate) fn is_inside(file: &str) -> bool {
    let is_plain = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.len() <= 255
            && !part.chars().any(|letter| matches!(letter, '\\' | ':') || letter.is_control())
    };
    file.len() <= 1024 && file.split('/').all(is_plain)
}

/// Whether a file's name ends as that of a GGUF file.
pub(crate) fn is_gguf(file: &str) -> bool {
    file.rsplit_once('.').is_some_and(|(stem, ending)| !stem.is_empty() && ending.eq_ignore_ascii_case("gguf"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_paths() {
        let name = HubName::parse("Qwen/Qwen2.5-0.5B@refs/pr/1").expect("a name");
        assert_eq!((name.repository().as_str(), name.revision()), ("Qwen/Qwen2.5-0.5B", "refs/pr/1"));
        assert_eq!(name.folder(), "models--Qwen--Qwen2.5-0.5B");
        assert_eq!(HubName::parse("Qwen/Qwen3-8B").expect("a name").revision(), "main");
        for path in [
            "model",
            "./model",
            "../model",
            "/models/a",
            "a/b/c",
            "a/",
            "a/b@",
            "a/b@../../c",
            "~/a",
            "C:/models",
            "a--b/c",
            "a/b..c",
            "a/b@main@x",
            "a/b:",
            "a/b:x",
            "a/b:../x.gguf",
            "a/b:/x.gguf",
            "a/b:.gguf",
            "a/b:c:d.gguf",
            "a b/c",
        ] {
            assert_eq!(HubName::parse(path), None, "{path}");
        }
        assert_eq!(HubName::parse(&format!("a/{}", "b".repeat(95))), None);
    }

    #[test]
    fn names_are_printed_as_they_are_read() {
        for text in ["a/b", "a/b@v1.0", "a/b:c.gguf", "a/b@0123abcd:q4/c-00001-of-00002.GGUF"] {
            assert_eq!(HubName::parse(text).expect(text).to_string(), text);
        }
        let name = HubName::parse("a/b:c.gguf").expect("a name");
        assert_eq!(name.at("abc").to_string(), "a/b@abc:c.gguf");
    }

    #[test]
    fn files_stay_in_their_folder() {
        for file in ["config.json", "a/b.jinja", "..a", "a..b"] {
            assert!(is_inside(file), "{file}");
        }
        for file in ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\\b", "C:a", "a\nb"] {
            assert!(!is_inside(file), "{file}");
        }
    }
}

//! `org/name`, `org/name@revision`, `org/name:file.gguf`, `org/name@revision:file.gguf`.

use std::fmt;
use std::sync::Arc;

use crate::files::{is_gguf, is_inside, is_itself};

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
        let is_ambiguous = repository.contains("--") || repository.contains("..") || repository.ends_with(".git");
        if is_ambiguous || repository.len() > LONGEST || !is_name(organisation) || !is_name(name) {
            return None;
        }
        // A revision may hold `/`, but nothing that leaves the cache.
        let is_revision = revision.is_none_or(|revision| revision.split('/').all(is_reference));
        let is_file = file.is_none_or(|file| is_inside(file) && is_gguf(file));
        let parts = || Parts {
            organisation: organisation.to_owned(),
            name: name.to_owned(),
            revision: revision.map(str::to_owned),
            file: file.map(str::to_owned),
        };
        (is_revision && is_file).then(|| Self(Arc::new(parts())))
    }

    /// What was probably meant by something that is no name: the address of a model's page or of one of its files, or a
    /// path to a file in a repository.
    #[must_use]
    pub fn meant(text: &str) -> Option<Self> {
        const PLACES: [&str; 5] =
            ["https://huggingface.co/", "http://huggingface.co/", "huggingface.co/", "https://hf.co/", "hf.co/"];
        let place = PLACES.iter().find_map(|place| text.strip_prefix(place)).or_else(|| text.strip_prefix("hf://"));
        let path = place.unwrap_or(text).split(['?', '#']).next()?.trim_end_matches('/');
        let mut parts = path.splitn(3, '/');
        let (organisation, name, rest) = (parts.next()?, parts.next()?, parts.next());
        // Elsewhere a word behind the colon names a quantisation; here the list of files tells what there is.
        let (name, tag) = name.split_once(':').map_or((name, None), |(name, tag)| (name, Some(tag)));
        let repository = format!("{organisation}/{name}");
        let meant = match rest {
            None if place.is_some() || tag.is_some() => repository,
            None => return None,
            Some(rest) => match rest.split_once('/') {
                // As the pages of a repository are addressed. A revision with `/` cannot be told from a folder there.
                Some(("tree" | "blob" | "resolve" | "raw", rest)) => {
                    let (revision, file) =
                        rest.split_once('/').map_or((rest, None), |(revision, file)| (revision, Some(file)));
                    let revision = if revision == MAIN { String::new() } else { format!("@{revision}") };
                    let file = file.filter(|file| is_gguf(file)).map(|file| format!(":{file}")).unwrap_or_default();
                    format!("{repository}{revision}{file}")
                }
                _ if is_gguf(rest) => format!("{repository}:{rest}"),
                _ => return None,
            },
        };
        Self::parse(&meant)
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

/// One part of a repository's name: letters, digits, `_`, `-` and `.`, the last two not at an end.
fn is_name(word: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !word.is_empty() && !word.starts_with(['.', '-']) && !word.ends_with(['.', '-']) && word.chars().all(is_letter)
}

/// One part of a branch or tag: of what Git allows (`git check-ref-format`) what every file system and shell takes.
fn is_reference(word: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '=');
    !word.starts_with('.') && word.chars().all(is_letter) && is_itself(word)
}

/// Whether this is a commit, which names a folder of the cache.
pub(crate) fn is_commit(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
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
            "a/b@/main",
            "a/b@main/",
            "a/b@feature/.hidden",
            "a/b@main.",
            "a/b@nul",
            "a/b@heads/Con.x",
            "a/b@main\n",
            "~/a",
            "C:/models",
            "a--b/c",
            "a/b..c",
            "a/b.",
            "a/-b",
            "a./b",
            "a/b.git",
            "a/b@main@x",
            "a/b:",
            "a/b:x",
            "a/b:../x.gguf",
            "a/b:/x.gguf",
            "a/b:.gguf",
            "a/b:aux.gguf",
            "a/b:c:d.gguf",
            "a b/c",
        ] {
            assert_eq!(HubName::parse(path), None, "{path}");
        }
        assert_eq!(HubName::parse(&format!("a/{}", "b".repeat(95))), None);
    }

    #[test]
    fn names_are_printed_as_they_are_read() {
        for text in
            ["a/b", "a/b@v1.0", "a/b@feature/x+y=2", "a/b:c.gguf", "a/b@0123abcd:q4/c-00001-of-00002.GGUF", "_a/B_"]
        {
            assert_eq!(HubName::parse(text).expect(text).to_string(), text);
        }
        let name = HubName::parse("a/b:c.gguf").expect("a name");
        assert_eq!(name.at("abc").to_string(), "a/b@abc:c.gguf");
    }

    #[test]
    fn addresses_and_paths_tell_what_was_meant() {
        for (text, expected) in [
            ("https://huggingface.co/Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
            ("hf.co/Qwen/Qwen3-8B/?library=x", "Qwen/Qwen3-8B"),
            ("hf://Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
            ("https://huggingface.co/a/b/tree/main", "a/b"),
            ("https://huggingface.co/a/b/blob/v1/q4/c.gguf?download=true", "a/b@v1:q4/c.gguf"),
            ("https://huggingface.co/a/b/resolve/main/c.gguf", "a/b:c.gguf"),
            ("a/b/c.gguf", "a/b:c.gguf"),
            ("a/b/q4/c.gguf", "a/b:q4/c.gguf"),
            ("hf.co/a/b:Q4_K_M", "a/b"),
            ("a/b:Q4_K_M", "a/b"),
        ] {
            assert_eq!(HubName::meant(text).map(|name| name.to_string()).as_deref(), Some(expected), "{text}");
        }
        for other in
            ["", "/", "a/b", "a/b/c", "/home/a/b.gguf", "../a/b.gguf", "https://x.org/a/b", "https://huggingface.co/a"]
        {
            assert_eq!(HubName::meant(other), None, "{other}");
        }
    }
}

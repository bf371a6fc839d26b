use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::ProbeError;
use crate::phantom::PhantomWorld;

/// How many questions are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Some(usize),
    /// Every question there is; only finite probes can.
    All,
}

impl FromStr for Count {
    type Err = ProbeError;

    fn from_str(text: &str) -> Result<Self, ProbeError> {
        match text.trim() {
            "all" => Ok(Self::All),
            number => number.parse().map(Self::Some).map_err(|_| ProbeError::Count { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Some(count) => count.fmt(formatter),
            Self::All => formatter.write_str("all"),
        }
    }
}

/// What the questions are for. No question belongs to two roles, whatever the seeds: a question's role follows from
/// the question itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// To find candidates.
    #[default]
    Search,
    /// To confirm finalists.
    Confirm,
    /// To describe the outcome.
    Report,
}

impl Role {
    /// Every role, in order.
    pub const ALL: [Self; 3] = [Self::Search, Self::Confirm, Self::Report];

    /// The role of what this text identifies: a third of all belongs to each, by its SHA-256 and whatever the seed.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let hash = Sha256::digest(text);
        let residue = hash.iter().fold(0, |residue, byte| (residue * 256 + usize::from(*byte)) % Self::ALL.len());
        Self::ALL[residue]
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Search => "search",
            Self::Confirm => "confirm",
            Self::Report => "report",
        })
    }
}

/// A file that a probe is built from. This room reads none itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeFile {
    /// Its name, for messages.
    pub name: String,
    /// What is in it.
    pub content: Arc<[u8]>,
    /// The file with worked examples that [`crate::examples_of`] names, where it was read.
    pub examples: Option<Box<ProbeFile>>,
}

impl ProbeFile {
    /// A file without worked examples.
    #[must_use]
    pub fn new(name: impl Into<String>, content: impl Into<Arc<[u8]>>) -> Self {
        Self { name: name.into(), content: content.into(), examples: None }
    }

    /// The file of `PROBE=FILE` out of files that were read, with the worked examples that go with it, where those were;
    /// none where the file itself was not.
    #[must_use]
    pub fn of(probe: &str, file: &str, read: impl Fn(&str) -> Option<Arc<[u8]>>) -> Option<Self> {
        let found = |name: &str| read(name).map(|content| Self::new(name, content));
        let examples = crate::examples_of(probe, file).and_then(|name| found(&name)).map(Box::new);
        found(file).map(|file| Self { examples, ..file })
    }

    /// Its text, without the byte-order mark that some editors write.
    ///
    /// # Errors
    /// When it is not UTF-8: says in which line.
    pub fn text(&self) -> Result<&str, ProbeError> {
        let text = std::str::from_utf8(&self.content).map_err(|error| {
            let before = &self.content[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            ProbeError::File {
                file: self.name.clone(),
                line,
                problem: "found bytes that are not UTF-8; save the file as UTF-8".to_owned(),
            }
        })?;
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }
}

/// What a probe is built from.
#[derive(Debug, Clone)]
pub struct ProbeRequest {
    /// How many questions.
    pub count: Count,
    /// Seed of their drawing.
    pub seed: u64,
    /// What they are for; [`Count::All`] asks the questions of every role.
    pub role: Role,
    /// The world of the phantom that is asked, if it is one.
    pub phantom: Option<PhantomWorld>,
    /// The file that goes with the probe's name, `NAME=FILE`.
    pub file: Option<ProbeFile>,
}

impl Default for ProbeRequest {
    /// 32 questions of seed 0 for a search.
    fn default() -> Self {
        Self { count: Count::Some(32), seed: 0, role: Role::Search, phantom: None, file: None }
    }
}

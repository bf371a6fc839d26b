//! Everything that can go wrong between a name and a folder.

use std::io;
use std::path::PathBuf;

use neuro_checkpoint::CheckpointError;

use crate::name::HubName;

/// Why a model could not be had by its name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// No variable says where the cache is, and there is no home folder.
    #[error(
        "there is no folder for the Hugging Face cache: neither HF_HOME nor HF_HUB_CACHE is set, nor a home folder known"
    )]
    NoHome,
    /// The address of the hub is none.
    #[error("HF_ENDPOINT is \"{found}\", expected an address such as https://huggingface.co")]
    Endpoint {
        /// What was found.
        found: String,
    },
    /// The token is none.
    #[error("the access token of HF_TOKEN or the token file has white space or letters in it that no token has")]
    Token,
    /// A file or folder of the cache cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A reference of the cache holds something else than a commit.
    #[error("{} holds \"{found}\", expected a commit such as 0123abcd…; remove the file", path.display())]
    Reference {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// An index of weight files is none.
    #[error(transparent)]
    Index(CheckpointError),
    /// A file of a snapshot lies elsewhere.
    #[error("{} leads out of the model's folder in the cache, to {}, and is not followed", path.display(), target.display())]
    LeadsOut {
        /// The file or folder.
        path: PathBuf,
        /// What it leads to.
        target: PathBuf,
    },
    /// A folder of a snapshot lies deeper than is looked for links out of the cache.
    #[error("{} lies too deep in the snapshot, expected at most {most} folders within folders; remove it", path.display())]
    Deep {
        /// The folder.
        path: PathBuf,
        /// Folders within folders that are looked at.
        most: usize,
    },
    /// The model is not in the cache, and the network is not to be used.
    #[error("{name} is not complete on this machine ({lacking}; cache {}), and {why}", cache.display())]
    NotHere {
        /// The model.
        name: HubName,
        /// What the cache lacks.
        lacking: String,
        /// The cache folder.
        cache: PathBuf,
        /// Why nothing is downloaded.
        why: &'static str,
    },
    /// The repository has nothing that can be run.
    #[error("{name} {problem}")]
    Unusable {
        /// The model.
        name: HubName,
        /// What it has instead.
        problem: String,
    },
    /// A file's name would leave the cache.
    #[error("{name} lists a file named \"{file}\", which would leave the cache; nothing of this model is used")]
    FileName {
        /// The model.
        name: HubName,
        /// The file's name, shortened.
        file: String,
    },
    /// The hub knows no such model, or does not show it.
    #[error("{name} does not exist on {host}, or is private (HTTP {status})")]
    NoRepository {
        /// The model.
        name: HubName,
        /// The hub.
        host: String,
        /// What the hub answered.
        status: u16,
    },
    /// The model has no such revision.
    #[error("{name} has no revision `{}` on {host} (HTTP 404)", name.revision())]
    NoRevision {
        /// The model.
        name: HubName,
        /// The hub.
        host: String,
    },
    /// The model has no such file.
    #[error("{name} has no file {file} (HTTP 404)")]
    NoFile {
        /// The model.
        name: HubName,
        /// The file.
        file: String,
    },
    /// The hub wants to know who asks.
    #[error("{host} refuses {name} to this access (HTTP {status}): {reason}")]
    Denied {
        /// The model.
        name: HubName,
        /// The hub.
        host: String,
        /// What the hub answered.
        status: u16,
        /// In words.
        reason: Denial,
    },
    /// Too many requests.
    #[error("{host} takes no more requests for now (HTTP 429){}", wait.map(|seconds| format!(", not for {seconds} s")).unwrap_or_default())]
    Busy {
        /// The hub.
        host: String,
        /// How long it wants to be left alone, in seconds.
        wait: Option<u64>,
    },
    /// Another status than expected.
    #[error("{host} answered HTTP {status} to the request for {what}")]
    Status {
        /// Who answered.
        host: String,
        /// What was asked for.
        what: String,
        /// The status.
        status: u16,
    },
    /// An answer that makes no sense.
    #[error("the answer of {host} to the request for {what} is not understood: {problem}")]
    Answer {
        /// Who answered.
        host: String,
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The network failed, again and again.
    #[error("{host} cannot be reached for {what}: {problem}")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// What for.
        what: String,
        /// The last failure.
        problem: String,
    },
    /// A file is another one than was announced. What was downloaded of it is gone.
    #[error("{file} of {name} arrived damaged: its {what} is {found}, announced was {expected}; it was thrown away")]
    Damaged {
        /// The model.
        name: HubName,
        /// The file.
        file: String,
        /// Size or SHA-256.
        what: &'static str,
        /// What arrived.
        found: String,
        /// What was announced.
        expected: String,
    },
}

impl HubError {
    /// Whether another try, at another time, may succeed.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            _ => false,
        }
    }
}

/// Why access was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// A model whose conditions must be accepted first.
    Gated,
    /// No token was shown.
    NoToken,
    /// The token is not valid, or not for this model.
    Token,
}

impl std::fmt::Display for Denial {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Gated => "its conditions must be accepted on its page first",
            Self::NoToken => "no access token was given",
            Self::Token => "the access token is not valid, or not for this model",
        })
    }
}

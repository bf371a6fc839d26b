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
    #[error("HF_ENDPOINT is \"{found}\", expected an address such as https://huggingface.co, without a password")]
    Endpoint {
        /// What was found, without the password that may stand in it.
        found: String,
    },
    /// A file of certificates holds none that can be read.
    #[error("{}: {problem}, expected certificates as PEM, each between -----BEGIN CERTIFICATE----- and its end", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
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
    /// The commit that is in the cache has left the hub.
    #[error("commit {} of {}, which is in the cache, is no longer on {host} (HTTP 404), and {lacking}", name.revision(), name.repository())]
    Gone {
        /// The model, with the commit as its revision.
        name: HubName,
        /// The hub.
        host: String,
        /// What the cache lacks of it.
        lacking: String,
        /// The file of the cache that says which commit the revision is; none where the commit itself was named.
        reference: Option<PathBuf>,
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
    /// Whoever answers is not trusted.
    #[error("{host} is not trusted: {problem}")]
    Untrusted {
        /// Who answered.
        host: String,
        /// What is wrong with the certificate, or with what is trusted here.
        problem: String,
    },
    /// A file is another one than was announced. What was downloaded of it is gone.
    #[error("{file} of {name} arrived damaged: its {what} is {found}, announced was {expected}; it was thrown away")]
    Damaged {
        /// The model.
        name: HubName,
        /// The file.
        file: String,
        /// Size, SHA-256 or SHA-1.
        what: &'static str,
        /// What arrived.
        found: String,
        /// What was announced.
        expected: String,
    },
}

impl HubError {
    /// That the hub's address is none.
    pub(crate) fn endpoint(found: &str) -> Self {
        let start = found.find("://").map(|scheme| scheme + 3);
        let found = match start.zip(found.rfind('@')).filter(|(start, end)| start < end) {
            Some((start, end)) => format!("{}…{}", &found[..start], &found[end..]),
            None => found.to_owned(),
        };
        Self::Endpoint { found }
    }

    /// Whether a model that is in the cache, but for files that it can do without, may be used all the same. Not where
    /// names or links would leave the cache: nothing of such a model is to be trusted.
    #[must_use]
    pub fn spares_the_cache(&self) -> bool {
        !matches!(self, Self::FileName { .. } | Self::LeadsOut { .. } | Self::Deep { .. })
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

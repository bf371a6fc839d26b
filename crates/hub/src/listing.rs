//! What a repository holds at a revision.

use std::io::Read as _;

use serde::Deserialize;

use crate::choice::Files;
use crate::error::HubError;
use crate::name::{HubName, is_commit};
use crate::net::{Client, Request, encoded};
use crate::retry::Failure;

/// Largest listing that is read; those of the largest data sets have some megabytes.
const LARGEST: u64 = 64 << 20;

/// The files of a commit.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) commit: String,
    /// Each with its size, where the hub says it.
    pub(crate) files: Files,
}

impl Listing {
    pub(crate) fn size(&self, file: &str) -> Option<u64> {
        self.files.get(file).copied().flatten()
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }
}

#[derive(Deserialize)]
struct Raw {
    sha: String,
    #[serde(default)]
    siblings: Vec<RawFile>,
}

#[derive(Deserialize)]
struct RawFile {
    rfilename: String,
    #[serde(default)]
    size: Option<u64>,
}

impl Client {
    /// Asks what there is (`HfApi.model_info` of `huggingface_hub`, with `files_metadata`).
    pub(crate) fn listing(&self, name: &HubName) -> Result<Listing, Failure> {
        const WHAT: &str = "the list of its files";
        let revision = encoded(name.revision(), false);
        let url = self.url(&format!("/api/models/{}/revision/{revision}?blobs=true", name.repository()))?;
        let reply = self.ask(Request::Get(0), &url, name, WHAT)?;
        let mut bytes = Vec::new();
        if let Err(error) = self.read(reply.body).take(LARGEST + 1).read_to_end(&mut bytes) {
            let (host, what, problem) = (self.host().to_owned(), WHAT.to_owned(), error.to_string());
            return Err(Failure::Passing { error: HubError::Unreachable { host, what, problem }, wait: None });
        }
        if bytes.len() as u64 > LARGEST {
            return Err(self.answer(WHAT, format!("it has more than {LARGEST} bytes")).into());
        }
        let raw: Raw = serde_json::from_slice(&bytes).map_err(|error| self.answer(WHAT, error.to_string()))?;
        if !is_commit(&raw.sha) {
            let found: String = raw.sha.chars().filter(|letter| !letter.is_control()).take(60).collect();
            return Err(self.answer(WHAT, format!("its `sha` is \"{found}\", expected a commit")).into());
        }
        let files = raw.siblings.into_iter().map(|file| (file.rfilename, file.size)).collect();
        Ok(Listing { commit: raw.sha, files })
    }
}

//! WHERE IT COMES FROM: a model's name on the Hugging Face hub becomes a folder, or a GGUF file, in the cache that all
//! programs of that world share. What is there is used without asking anybody; what is missing is downloaded.
//!
//! Rules, variables and layout are those of `huggingface_hub` (its `constants.py` and `file_download.py`), so that each
//! finds what the other has fetched. Only what is needed is taken: settings, tokenizer, templates, licence, safetensors.
//!
//! Sharpest edge: every name and byte is foreign. Names of files, revisions and commits are checked before they become
//! paths, no file of a snapshot may lie outside the model's own folder, contents are checked against the hash that the hub
//! announces before they get their name (SHA-256 of large ones, Git's SHA-1 of others, only the size where a mirror has
//! tags of its own), and the token is sent to the hub's own address and to no other. Whom TLS trusts is the system's
//! business.

mod cache;
#[cfg(feature = "download")]
mod checksum;
#[cfg(feature = "download")]
mod choice;
mod error;
#[cfg(feature = "download")]
mod fetch;
mod files;
mod find;
#[cfg(feature = "download")]
mod listing;
mod name;
#[cfg(feature = "download")]
mod net;
#[cfg(feature = "download")]
mod pace;
#[cfg(feature = "download")]
mod partial;
#[cfg(feature = "download")]
mod retry;
mod settings;
#[cfg(feature = "download")]
mod tls;
#[cfg(feature = "download")]
mod transfer;
mod wanted;

pub use error::{Denial, HubError};
pub use find::{Event, Need, Snapshot, find};
pub use name::HubName;
pub use settings::{Pace, Settings, Token};

/// What this room's functions give.
pub type Result<T> = std::result::Result<T, HubError>;

//! From a name to files: what is in the cache first, then, where that is allowed, the hub.

use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::cache::Repository;
use crate::error::HubError;
use crate::name::HubName;
use crate::settings::Settings;
use crate::wanted::lacking;

/// How much of a model is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// All that it takes to run it.
    Everything,
    /// Everything but the weights.
    Description,
}

/// A model's files in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The folder, or the GGUF file that was named.
    pub path: PathBuf,
    /// The name, with the commit as its revision: the same files for everybody, for ever.
    pub name: HubName,
    /// The commit.
    pub commit: String,
    /// Whether the hub was asked just now.
    pub is_fresh: bool,
}

/// What happens while a model is found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Something is missing here, and the hub is asked.
    Asking {
        /// The hub.
        host: &'a str,
    },
    /// Another process downloads this file, and is waited for.
    Waiting {
        /// The file.
        file: &'a str,
    },
    /// Bytes of a file have arrived.
    Progress {
        /// The file.
        file: &'a str,
        /// Bytes of all files that are there.
        done: u64,
        /// Bytes of all files that are known to be needed.
        total: u64,
    },
    /// A request failed in a way that may pass, and is tried again.
    Retrying {
        /// What went wrong.
        problem: &'a HubError,
        /// When the next try begins.
        pause: Duration,
    },
    /// The hub cannot be asked; what is in the cache is used as it is.
    Unreachable {
        /// What went wrong.
        problem: &'a HubError,
    },
}

/// Finds a model, downloading what is missing.
///
/// A revision that is in the cache is used as it is, without asking whether the hub has a newer one: two commands with one
/// name run one model. `observe` hears what happens.
///
/// # Errors
///
/// When the model is not here and the hub cannot or will not give it; when it has no files that can be run; when something
/// arrives damaged; when files of the cache lead out of it.
pub fn find(name: &HubName, need: Need, settings: &Settings, observe: &mut dyn FnMut(Event<'_>)) -> Result<Snapshot> {
    let repository = Repository::new(&settings.cache, name);
    let commit = repository.commit(name.revision())?.filter(|commit| repository.snapshot(commit).is_dir());
    let Some(commit) = commit else {
        return download((name, name), need, settings, &repository, "nothing of it is there", false, observe);
    };
    let lacks = lacking(&repository, &commit, name, need);
    let cached = || -> Result<Snapshot> {
        repository.check(&commit, name.file())?;
        let folder = repository.snapshot(&commit);
        let path = name.file().map_or_else(|| folder.clone(), |file| folder.join(file));
        Ok(Snapshot { path, name: name.at(&commit), commit: commit.clone(), is_fresh: false })
    };
    // Without a tokenizer a model can still be described and exported.
    let is_usable = lacks.files.is_empty();
    if lacks.is_nothing() || is_usable && (settings.offline || !cfg!(feature = "download")) {
        return cached();
    }
    // Of the commit that is here, even where the branch has moved on: what is here would otherwise be half of each.
    match download((name, &name.at(&commit)), need, settings, &repository, &lacks.to_string(), is_usable, observe) {
        Err(problem) if is_usable && problem.is_passing() => {
            observe(Event::Unreachable { problem: &problem });
            cached()
        }
        fetched => fetched,
    }
}

/// Downloads what is missing, or says why not. Of a model two names: as it was given, and as the hub is asked.
/// `is_hasty`: the first failure to reach the hub is the last.
fn download(
    (name, asked): (&HubName, &HubName),
    need: Need,
    settings: &Settings,
    repository: &Repository,
    lacks: &str,
    is_hasty: bool,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Snapshot> {
    let not_here =
        |why| HubError::NotHere { name: name.clone(), lacking: lacks.to_owned(), cache: settings.cache.clone(), why };
    if settings.offline {
        return Err(not_here("HF_HUB_OFFLINE forbids the network"));
    }
    #[cfg(feature = "download")]
    return crate::fetch::fetch((name, asked), need, settings, repository, is_hasty, observe);
    #[cfg(not(feature = "download"))]
    {
        let _ = (asked, need, repository, is_hasty, observe);
        Err(not_here("this neuro was built without downloads"))
    }
}

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
    /// What is in the cache is used as it is, though it lacks something that it can do without.
    Incomplete {
        /// What it lacks.
        lacking: &'a str,
        /// Why the hub has not given it; none where the network is not to be used.
        problem: Option<&'a HubError>,
    },
}

/// Finds a model, downloading what is missing.
///
/// A revision that is in the cache is used as it is, without asking whether the hub has a newer one: two commands with one
/// name run one model. The hub is asked only for what is missing, once: what it has not is written down. `observe` hears
/// what happens.
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
    if lacks.is_nothing() {
        return cached();
    }
    // Without a tokenizer a model can still be described and exported, and without settings it can be run.
    let is_usable = lacks.files.is_empty();
    let lacking = lacks.to_string();
    if is_usable && (settings.offline || !cfg!(feature = "download")) {
        observe(Event::Incomplete { lacking: &lacking, problem: None });
        return cached();
    }
    // Of the commit that is here, even where the branch has moved on: what is here would otherwise be half of each.
    let asked = name.at(&commit);
    let problem = match download((name, &asked), need, settings, &repository, &lacking, is_usable, observe) {
        Err(HubError::NoRevision { host, .. }) => {
            let reference = repository.reference(name.revision());
            let reference = Some(reference).filter(|_| name.revision() != commit);
            HubError::Gone { name: asked, host, lacking: lacking.clone(), reference }
        }
        Err(problem) => problem,
        Ok(snapshot) => return Ok(snapshot),
    };
    if !is_usable || !problem.spares_the_cache() {
        return Err(problem);
    }
    observe(Event::Incomplete { lacking: &lacking, problem: Some(&problem) });
    cached()
}

/// Downloads what is missing, or says why not. Of a model two names: as it was given, and as the hub is asked.
/// `is_hasty`: nobody waits long for the hub, and the first failure to reach it is the last.
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

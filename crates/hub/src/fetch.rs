//! A model's files, one after the other, into the cache.

use std::path::Path;

use crate::Result;
use crate::cache::Repository;
use crate::error::HubError;
use crate::find::{Event, Need, Snapshot};
use crate::listing::Listing;
use crate::name::HubName;
use crate::net::Client;
use crate::retry::{TRIES, Tries};
use crate::settings::Settings;
use crate::transfer::Wanted;
use crate::wanted::{INDEX, choose, shards};

/// How often a file that changes under its name is begun again.
const CHANGES: usize = 3;

/// What one fetch holds together.
struct Fetch<'a> {
    client: Client,
    listing: Listing,
    name: &'a HubName,
    settings: &'a Settings,
    repository: &'a Repository,
    /// Bytes of files that are there, and of all that are known to be needed.
    done: u64,
    total: u64,
}

/// Downloads what is missing. Of a model two names: as it was given, and as the hub is asked.
/// `is_hasty`: the first failure to reach the hub is the last.
pub(crate) fn fetch(
    (name, asked): (&HubName, &HubName),
    need: Need,
    settings: &Settings,
    repository: &Repository,
    is_hasty: bool,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Snapshot> {
    let client = Client::new(settings)?;
    observe(Event::Asking { host: client.host() });
    let tries = Tries::new(if is_hasty { 1 } else { TRIES }, settings.pause);
    let listing = tries.run(observe, || client.listing(asked))?;
    let choice = choose(name, &listing.files, need)?;
    let commit = listing.commit.clone();
    let folder = repository.snapshot(&commit);
    let mut fetch = Fetch { client, listing, name, settings, repository, done: 0, total: 0 };
    fetch.obtain_all(&choice.files, &folder, observe)?;
    if choice.files.iter().any(|file| file == INDEX) {
        let index = folder.join(INDEX);
        let shards = shards(&index)?;
        if let Some(missing) = shards.iter().find(|shard| !fetch.listing.has(shard)) {
            let problem = format!("has no file {missing}, which its {INDEX} names");
            return Err(HubError::Unusable { name: name.clone(), problem });
        }
        fetch.obtain_all(&shards, &folder, observe)?;
    }
    for file in choice.absent {
        repository.mark_absent(&commit, file)?;
    }
    // Only now, so that a revision never stands for a half of its files.
    repository.refer(name.revision(), &commit)?;
    repository.check(&commit, name.file())?;
    let path = name.file().map_or_else(|| folder.clone(), |file| folder.join(file));
    Ok(Snapshot { path, name: name.at(&commit), commit, is_fresh: true })
}

impl Fetch<'_> {
    fn obtain_all(&mut self, files: &[String], folder: &Path, observe: &mut dyn FnMut(Event<'_>)) -> Result<()> {
        self.total += files.iter().filter_map(|file| self.listing.size(file)).sum::<u64>();
        for file in files {
            let size = self.listing.size(file);
            let found = folder.join(file).metadata().ok().filter(std::fs::Metadata::is_file);
            let is_here = found.is_some_and(|found| size.is_none_or(|size| size == found.len()));
            let bytes = if is_here { size.unwrap_or(0) } else { self.obtain(file, size, observe)? };
            self.done += bytes;
            self.total = self.total.max(self.done);
        }
        Ok(())
    }

    /// Makes one file of the snapshot; gives its size.
    fn obtain(&self, file: &str, size: Option<u64>, observe: &mut dyn FnMut(Event<'_>)) -> Result<u64> {
        let wanted = Wanted { name: self.name, commit: &self.listing.commit, file, size };
        let tries = || Tries::new(TRIES, self.settings.pause);
        let mut announced = tries().run(observe, || self.client.announced(wanted))?;
        'content: for _ in 0..CHANGES {
            let (blob, incomplete) =
                (self.repository.blob(&announced.etag), self.repository.incomplete(&announced.etag));
            let lock = self.repository.lock(&announced.etag, || observe(Event::Waiting { file }))?;
            // Another process, or another commit, may have brought it.
            let is_here = |size: u64| blob.metadata().is_ok_and(|found| found.len() == size);
            let mut tries = tries();
            let (mut furthest, mut damages) = (0, 0);
            while !is_here(announced.size) {
                let mut reached = 0;
                let mut arrived = |bytes| {
                    reached = bytes;
                    let total = self.total.max(self.done + announced.size);
                    observe(Event::Progress { file, done: self.done + bytes, total });
                };
                match self.client.transfer(wanted, &announced, &incomplete, &mut arrived) {
                    Ok(()) => rename(&incomplete, &blob)?,
                    Err(failure) => {
                        // What comes again and again from the beginning is no progress.
                        if reached > furthest {
                            furthest = reached;
                            tries.forgive();
                        }
                        if failure.is_damage() {
                            // All of it was removed, so that the beginning is progress again; but not without end.
                            (furthest, damages) = (0, damages + 1);
                            if damages == CHANGES {
                                return Err(failure.into_error());
                            }
                        }
                        tries.pause(failure, observe)?;
                        let now =
                            Tries::new(TRIES, self.settings.pause).run(observe, || self.client.announced(wanted))?;
                        let is_other = now.etag != announced.etag || now.size != announced.size;
                        announced = now;
                        if is_other {
                            continue 'content;
                        }
                    }
                }
            }
            self.repository.place(&announced.etag, &self.listing.commit, file)?;
            drop(lock);
            return Ok(announced.size);
        }
        Err(self.client.answer(file, format!("its content has changed {CHANGES} times meanwhile")))
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|source| HubError::Io { path: to.to_path_buf(), source })
}

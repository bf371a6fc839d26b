//! A model's files, one after the other, into the cache.

use std::path::Path;
use std::time::Instant;

use crate::Result;
use crate::cache::Repository;
use crate::choice::choose;
use crate::error::HubError;
use crate::find::{Event, Need, Snapshot};
use crate::listing::Listing;
use crate::name::HubName;
use crate::net::Client;
use crate::partial::Partial;
use crate::retry::{TRIES, Tries};
use crate::settings::Settings;
use crate::transfer::{Announced, Wanted};
use crate::wanted::{INDEX, shards};

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
/// `is_hasty`: nobody waits long for the hub, and the first failure to reach it is the last.
pub(crate) fn fetch(
    (name, asked): (&HubName, &HubName),
    need: Need,
    settings: &Settings,
    repository: &Repository,
    is_hasty: bool,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Snapshot> {
    let client = Client::new(settings, is_hasty)?;
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
        // Sizes are the hub's word.
        let sizes = files.iter().filter_map(|file| self.listing.size(file));
        self.total = sizes.fold(self.total, u64::saturating_add);
        for file in files {
            let size = self.listing.size(file);
            let found = folder.join(file).metadata().ok().filter(std::fs::Metadata::is_file);
            let is_here = found.is_some_and(|found| size.is_none_or(|size| size == found.len()));
            let bytes = if is_here { size.unwrap_or(0) } else { self.obtain(file, size, observe)? };
            self.done = self.done.saturating_add(bytes);
            self.total = self.total.max(self.done);
        }
        Ok(())
    }

    /// Makes one file of the snapshot; gives its size.
    fn obtain(&self, file: &str, size: Option<u64>, observe: &mut dyn FnMut(Event<'_>)) -> Result<u64> {
        let wanted = Wanted { name: self.name, commit: &self.listing.commit, file, size };
        let mut announced = self.announced(wanted, observe)?;
        for _ in 0..CHANGES {
            match self.content(wanted, &announced, observe)? {
                None => return Ok(announced.size),
                Some(other) => announced = other,
            }
        }
        Err(self.client.answer(file, format!("its content has changed {CHANGES} times meanwhile")))
    }

    fn announced(&self, wanted: Wanted<'_>, observe: &mut dyn FnMut(Event<'_>)) -> Result<Announced> {
        Tries::new(TRIES, self.settings.pause).run(observe, || self.client.announced(wanted))
    }

    /// Brings the content that was announced and lets the file be it; gives what the hub announces by now where that is
    /// another content.
    fn content(
        &self,
        wanted: Wanted<'_>,
        first: &Announced,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<Option<Announced>> {
        let (file, tag) = (wanted.file, first.etag.as_str());
        let (blob, incomplete) = (self.repository.blob(tag), self.repository.incomplete(tag));
        let lock = self.repository.lock(tag, || observe(Event::Waiting { file }))?;
        // Another process, or another commit, may have brought it.
        let is_here = || blob.metadata().is_ok_and(|found| found.len() == first.size);
        let mut announced = first.clone();
        let mut tries = Tries::new(TRIES, self.settings.pause);
        let (mut furthest, mut since, mut damages) = (0, Instant::now(), 0);
        let mut kept: Option<Partial> = None;
        while !is_here() {
            let mut reached = 0;
            let mut arrived = |bytes: u64| {
                reached = bytes;
                let total = self.total.max(self.done.saturating_add(announced.size));
                observe(Event::Progress { file, done: self.done.saturating_add(bytes), total });
            };
            let mut partial = match kept.take() {
                Some(partial) => partial,
                None => Partial::open(incomplete.clone(), &announced)?,
            };
            let failure = match self.client.transfer(wanted, &announced, &mut partial, &mut arrived) {
                Ok(()) => {
                    partial.finish(&blob)?;
                    continue;
                }
                Err(failure) => failure,
            };
            // What comes again and again from the beginning, or too slowly, is no progress.
            let gained = reached.saturating_sub(furthest);
            if gained > 0 && self.settings.pace.is_kept(gained, since.elapsed()) {
                (furthest, since) = (reached, Instant::now());
                tries.forgive();
            }
            if failure.is_damage() {
                partial.discard()?;
                // All of it was removed, so that the beginning is progress again; but not without end.
                (furthest, since, damages) = (0, Instant::now(), damages + 1);
                if damages == CHANGES {
                    return Err(failure.into_error());
                }
            } else if lock.is_some() {
                // Without a lock others may write it too, and only what lies on disk tells what is there.
                kept = Some(partial);
            }
            tries.pause(failure, observe)?;
            announced = self.announced(wanted, observe)?;
            if announced.etag != first.etag || announced.size != first.size {
                return Ok(Some(announced));
            }
        }
        self.repository.place(tag, &self.listing.commit, file)?;
        drop(lock);
        Ok(None)
    }
}

//! Keeps a copy of the set that answers, on threads of its own.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use super::load::Loader;
use super::wake::instant;
use crate::store::last_good::LastGood;

/// Of the time, what writing copies may take: one part in this many.
const WRITING: u32 = 20;

/// What could not be written is tried again after this time: a copy of files that changed
/// meanwhile, and any other.
const CHANGED: Duration = Duration::from_secs(1);
const FAILED: Duration = Duration::from_secs(60);

/// How often it is noted that the source was read with success.
const NOTED: Duration = Duration::from_secs(10);

/// What became of a copy.
#[derive(Debug)]
struct Wrote {
    /// Whether it is there.
    there: bool,
    /// When the next one may be begun.
    next: Instant,
}

/// Keeps the copy.
#[derive(Debug)]
pub struct Keeper {
    kept: Arc<LastGood>,
    /// Whether the set that answers is still to be copied.
    due: bool,
    /// When the next copy may be begun.
    next: Option<Instant>,
    /// Writes a copy.
    writer: Option<JoinHandle<Wrote>>,
    /// When it was noted last that the source was read.
    noted: Option<Instant>,
}

impl Keeper {
    /// Keeps the copy there. Nothing is known of the one that is there already.
    #[must_use]
    pub fn new(kept: LastGood) -> Self {
        Self { kept: Arc::new(kept), due: false, next: None, writer: None, noted: None }
    }

    /// Another set is going to answer: until that is copied there is no copy.
    pub fn forget(&mut self) {
        if let Err(error) = self.kept.forget() {
            tracing::error!(%error, "an outdated copy of the last good policies may be there");
        }
        self.due = true;
    }

    /// Begins to write a copy, if there is one to be written and it is time.
    pub fn keep(&mut self, loader: &Loader, now: Instant, seen: SystemTime) {
        self.ended(now);
        let wait = self.writer.is_some() || self.next.is_some_and(|next| next > now);
        if !self.due || wait {
            return;
        }
        let (kept, texts) = (Arc::clone(&self.kept), loader.texts());
        let generation = kept.generation();
        let write = move || {
            let begun = instant();
            let (there, pause) = match kept.write(generation, texts.into_documents(), seen) {
                Ok(true) => (true, (instant() - begun).saturating_mul(WRITING)),
                Ok(false) => (false, CHANGED),
                Err(error) => {
                    tracing::error!(%error, "the last good policies cannot be kept yet");
                    (false, FAILED)
                }
            };
            Wrote { there, next: instant() + pause }
        };
        let thread = thread::Builder::new().name("last-good".to_owned()).spawn(write);
        match thread {
            Ok(thread) => (self.due, self.writer) = (false, Some(thread)),
            Err(error) => {
                tracing::error!(%error, "the last good policies cannot be kept yet");
                self.next = Some(now + FAILED);
            }
        }
        self.noted = Some(now);
    }

    /// When to come back: a copy is to be written and it is not time yet, or one is being written.
    #[must_use]
    pub fn at(&self, now: Instant) -> Option<Instant> {
        let writing = self.writer.is_some();
        let due = self.due && !writing;
        let next = || self.next.map_or(now, |next| next.max(now)) + Duration::from_millis(50);
        // What is written is looked at soon: it may be to be written again.
        due.then(next).or_else(|| writing.then(|| now + CHANGED))
    }

    /// Takes note that the source was read with success, and holds what is kept.
    pub fn seen(&mut self, now: Instant, seen: SystemTime) {
        self.ended(now);
        let lately = self.noted.is_some_and(|noted| now.saturating_duration_since(noted) < NOTED);
        if self.due || self.writer.is_some() || lately {
            return;
        }
        self.noted = Some(now);
        if let Err(error) = self.kept.seen(seen)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the copy of the last good policies counts as older than it is");
        }
    }

    /// Waits for what is being written.
    pub fn finish(mut self) {
        if let Some(writer) = self.writer.take() {
            // What it could not write was logged.
            let _ = writer.join();
        }
    }

    fn ended(&mut self, now: Instant) {
        let Some(writer) = self.writer.take_if(|writer| writer.is_finished()) else { return };
        let wrote = writer.join().unwrap_or(Wrote { there: false, next: now + FAILED });
        self.next = Some(wrote.next);
        if wrote.there {
            tracing::info!("the last good policies are kept");
        } else {
            self.due = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::{FAILED, Keeper, WRITING};
    use crate::engine::bundle::Options;
    use crate::pdp::load::Loader;
    use crate::pdp::wake::instant;
    use crate::store::directory::Scope;
    use crate::store::directory::watch::Watch;
    use crate::store::last_good::{FILE, LastGood};

    /// A loader that read a set.
    fn loader(folder: &Path) -> Loader {
        fs::write(folder.join("a.json"), "{\"Aliases\": []}").unwrap();
        let options = Options { allow_empty: true, ..Options::default() };
        let mut loader = Loader::new(folder, options);
        loader.load(&Scope::Stamps, &mut Watch::off(), &|_, _| Vec::new()).unwrap();
        loader
    }

    /// Has a copy written, and waits for what comes of it.
    fn keep(keeper: &mut Keeper, loader: &Loader, later: Duration) {
        keeper.keep(loader, instant() + later, SystemTime::UNIX_EPOCH);
        while keeper.writer.as_ref().is_some_and(|writer| !writer.is_finished()) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_copy_that_failed_is_tried_again() {
        let (policies, above) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (loader, data) = (loader(policies.path()), above.path().join("data"));
        let mut keeper = Keeper::new(LastGood::within(&data));
        keeper.forget();
        keep(&mut keeper, &loader, Duration::ZERO);
        fs::create_dir(&data).unwrap();
        keep(&mut keeper, &loader, Duration::ZERO);
        assert!(!data.join(FILE).exists(), "not at once");
        assert!(keeper.due);
        keep(&mut keeper, &loader, FAILED * 2);
        assert!(data.join(FILE).exists());
    }

    #[test]
    fn how_late_it_is_looked_at_makes_no_copy_later() {
        let (policies, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let loader = loader(policies.path());
        let mut keeper = Keeper::new(LastGood::within(data.path()));
        keeper.forget();
        let begun = instant();
        keep(&mut keeper, &loader, Duration::ZERO);
        let bound = (instant() - begun) * (WRITING + 1);
        // Nothing is looked at for an hour.
        let late = Duration::from_secs(3600);
        keeper.keep(&loader, instant() + late, SystemTime::UNIX_EPOCH);
        keeper.forget();
        let next = keeper.next.unwrap();
        assert!(next <= begun + bound, "the next copy waits for what writing took alone");
    }
}

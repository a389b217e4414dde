//! Keeps a copy of the set that answers, on threads of its own.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use super::load::Loader;
use crate::store::last_good::LastGood;

/// Of the time, what writing copies may take: one part in this many.
const WRITING: u32 = 20;

/// How often it is noted that the source was read with success.
const NOTED: Duration = Duration::from_secs(10);

/// Keeps the copy.
#[derive(Debug)]
pub struct Keeper {
    kept: Arc<LastGood>,
    /// Whether the set that answers is still to be copied.
    due: bool,
    /// When a copy was begun last, and when the next one may be.
    begun: Option<Instant>,
    next: Option<Instant>,
    /// Writes a copy; tells whether it is there.
    writer: Option<JoinHandle<bool>>,
    /// When it was noted last that the source was read.
    noted: Option<Instant>,
}

impl Keeper {
    /// Keeps the copy there. Nothing is known of the one that is there already.
    #[must_use]
    pub fn new(kept: LastGood) -> Self {
        Self {
            kept: Arc::new(kept),
            due: false,
            begun: None,
            next: None,
            writer: None,
            noted: None,
        }
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
        let write = move || match kept.write(generation, texts.into_documents(), seen) {
            Ok(there) => there,
            Err(error) => {
                tracing::error!(%error, "the last good policies cannot be kept");
                false
            }
        };
        let thread = thread::Builder::new().name("last-good".to_owned()).spawn(write);
        match thread {
            Ok(thread) => self.writer = Some(thread),
            Err(error) => tracing::error!(%error, "the last good policies cannot be kept"),
        }
        (self.due, self.begun, self.noted) = (false, Some(now), Some(now));
    }

    /// When to come back: a copy is to be written and it is not time yet.
    #[must_use]
    pub fn at(&self, now: Instant) -> Option<Instant> {
        self.due.then(|| self.next.map_or(now, |next| next.max(now)) + Duration::from_millis(50))
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
        let there = writer.join().unwrap_or(false);
        let took = self.begun.map_or(Duration::ZERO, |begun| now.saturating_duration_since(begun));
        self.next = Some(now + took.saturating_mul(WRITING));
        if there {
            tracing::info!("the last good policies are kept");
        }
    }
}

//! How many decisions were offered to the log, kept beside it, so that after an unclean end it is
//! known how many may be missing.
//!
//! The ledger promises on disk that no more than `limit` decisions were offered, and moves the limit
//! ahead of time in steps: the file is written once in many decisions, by a thread of its own.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use super::chain::Head;
use crate::wire::record::control::State;

/// How far the limit is set ahead.
const STEP: u64 = 32_768;

/// With fewer than this left, the limit is moved.
const LOW: u64 = 16_384;

/// Bytes of the file.
const SIZE: usize = 512;

/// How many decisions were offered to one sink.
#[derive(Debug)]
pub(super) struct Ledger {
    offered: AtomicU64,
    limit: AtomicU64,
    /// Of those offered, so many are from before, and the log does not say yet that they may be
    /// missing.
    owed: AtomicU64,
    place: Mutex<Place>,
    stopped: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
    waker: std::sync::OnceLock<Thread>,
}

#[derive(Debug)]
struct Place {
    file: File,
    head: Head,
    /// At the end: how many are neither in the log nor reported there.
    ended: Option<u64>,
}

impl Ledger {
    /// Begins at `head`, with records that wait to be written still, and `owed` ones that may be
    /// missing, and promises the first limit.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub(super) fn begin(file: File, head: Head, waiting: u64, owed: u64) -> io::Result<Arc<Self>> {
        let offered = head.accounted().saturating_add(waiting);
        // Whatever a note says that somebody wrote, counting goes on.
        let owed = owed.min((u64::MAX / 2).saturating_sub(offered));
        let offered = offered.saturating_add(owed);
        let ledger = Arc::new(Self {
            offered: AtomicU64::new(offered),
            limit: AtomicU64::new(0),
            owed: AtomicU64::new(owed),
            place: Mutex::new(Place { file, head, ended: None }),
            stopped: AtomicBool::new(false),
            thread: Mutex::new(None),
            waker: std::sync::OnceLock::new(),
        });
        ledger.promise(&mut ledger.place(), true)?;
        let own = Arc::clone(&ledger);
        let thread = thread::Builder::new().name("keyward-ledger".to_owned()).spawn(move || {
            while !own.stopped.load(Ordering::Acquire) {
                if own.left() < LOW {
                    // The next attempt may succeed; the promise of before still stands.
                    let _ = own.promise(&mut own.place(), true);
                }
                thread::park_timeout(Duration::from_secs(1));
            }
        })?;
        // It is set once, here.
        let _ = ledger.waker.set(thread.thread().clone());
        *ledger.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(ledger)
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> u64 {
        let offered = self.offered.load(Ordering::Acquire);
        self.limit.load(Ordering::Acquire).saturating_sub(offered)
    }

    /// Counts one more, before anything is done with it. Never waits for the disk, but for one
    /// small write when the thread of the ledger did not come to its turn in time.
    pub(super) fn offer(&self) {
        let offered = self.offered.fetch_add(1, Ordering::AcqRel) + 1;
        let limit = self.limit.load(Ordering::Acquire);
        if offered.saturating_add(LOW) <= limit {
            return;
        }
        if let Some(thread) = self.waker.get() {
            thread.unpark();
        }
        if offered > limit
            && let Ok(mut place) = self.place.try_lock()
        {
            // When the disk cannot be written the record fails as well, and says so.
            let _ = self.promise(&mut place, false);
        }
    }

    /// The log says now how many may be missing from before.
    pub(super) fn told(&self) {
        let owed = self.owed.swap(0, Ordering::AcqRel);
        self.offered.fetch_sub(owed, Ordering::AcqRel);
    }

    /// So many that were accounted for as written will be accounted for once more, as lost.
    pub(super) fn again(&self, count: u64) {
        self.offered.fetch_add(count, Ordering::AcqRel);
    }

    /// Goes on in another file: the one before was removed.
    pub(super) fn replace(&self, file: File) {
        let mut place = self.place();
        place.file = file;
        // The next step writes it.
        let _ = self.promise(&mut place, false);
    }

    /// Notes how far the log got.
    pub(super) fn reached(&self, head: &Head) {
        self.place().head = head.clone();
    }

    /// Writes down how far the log got.
    pub(super) fn save(&self) {
        // The promise of before still stands.
        let _ = self.promise(&mut self.place(), false);
    }

    /// The end; a good one unless the log could not tell any more of some that were lost.
    pub(super) fn end(&self, untold: u64) {
        {
            let mut place = self.place();
            let owed = self.owed.load(Ordering::Acquire).saturating_add(untold);
            place.ended = Some(owed);
            // Then the next start says that the end was not clean, and has a bound.
            let _ = self.promise(&mut place, true);
        }
        self.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.waker.get() {
            thread.unpark();
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It does not panic.
            let _ = thread.join();
        }
    }

    fn promise(&self, place: &mut Place, durable: bool) -> io::Result<()> {
        let offered = self.offered.load(Ordering::Acquire);
        let limit = offered.saturating_add(STEP);
        let state = State {
            clean: place.ended == Some(0),
            limit: place.ended.map_or(limit, |owed| place.head.accounted().saturating_add(owed)),
            sequence: place.head.sequence,
            hash: place.head.hash.clone(),
            lost: place.head.lost,
        };
        let mut text = serde_json::to_string(&state)?;
        while text.len() < SIZE - 1 {
            text.push(' ');
        }
        text.push('\n');
        place.file.write_all_at(text.as_bytes(), 0)?;
        if durable {
            place.file.sync_data()?;
        }
        self.limit.store(limit, Ordering::Release);
        Ok(())
    }
}

/// Reads what a ledger left behind; `None` when there is nothing or nothing readable.
pub(super) fn read(file: &File) -> Option<State> {
    let mut bytes = [0; SIZE];
    let mut filled = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read_at(room, filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    serde_json::from_slice(bytes.get(..filled)?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::chain::Head;
    use super::{Ledger, STEP, read};

    #[test]
    fn no_more_is_ever_offered_than_was_promised() {
        let file = tempfile::tempfile().unwrap();
        let ledger = Ledger::begin(file.try_clone().unwrap(), Head::default(), 0, 0).unwrap();
        for offered in 1..=3 * STEP {
            ledger.offer();
            if offered % 1000 == 0 {
                // A disk that is slower than this loop is another matter.
                while ledger.left() == 0 {
                    std::thread::yield_now();
                }
                let state = read(&file).unwrap();
                assert!(!state.clean && state.limit >= offered, "{state:?} at {offered}");
            }
        }
        let head = Head { sequence: 9, lost: 1, ..Head::default() };
        ledger.reached(&head);
        ledger.end(0);
        let state = read(&file).unwrap();
        assert!(state.clean);
        assert_eq!((state.sequence, state.lost, state.limit), (9, 1, 10));
    }

    #[test]
    fn what_the_log_does_not_say_at_the_end_is_left_to_the_next_start() {
        let file = || tempfile::tempfile().unwrap();
        let begin = |file: &std::fs::File, owed| {
            Ledger::begin(file.try_clone().unwrap(), Head::default(), 0, owed).unwrap()
        };
        let ends = |owed, told: bool, untold| {
            let file = file();
            let ledger = begin(&file, owed);
            if told {
                ledger.told();
            }
            ledger.end(untold);
            let state = read(&file).unwrap();
            (state.clean, state.limit)
        };
        assert_eq!(ends(0, false, 3), (false, 3));
        assert_eq!(ends(7, false, 0), (false, 7));
        assert_eq!(ends(7, false, 3), (false, 10));
        assert_eq!(ends(7, true, 3), (false, 3));
        assert_eq!(ends(7, true, 0), (true, 0));
        let file = file();
        let ledger = begin(&file, 7);
        assert_eq!(read(&file).unwrap().limit, STEP + 7);
        ledger.told();
        ledger.save();
        assert_eq!(read(&file).unwrap().limit, STEP);
        ledger.end(0);
    }

    #[test]
    fn what_is_no_state_is_none() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(read(&file), None);
        std::os::unix::fs::FileExt::write_all_at(&file, b"{\"clean\":tru", 0).unwrap();
        assert_eq!(read(&file), None);
    }
}

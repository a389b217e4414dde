//! The thread of a sink: takes records from the queue, seals and writes them, and keeps the count of
//! what was lost.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::chain::{Algorithm, Head};
use super::counts::Loss;
use super::entry::{About, Entry, Message};
use super::shared::{BATCH, BATCH_BYTES, Shared};
use super::sink::{CannotWrite, Sealed, Sink};
use super::spill::Spill;
use crate::telemetry::clock::{self, Seldom};
use crate::wire::record::control::Control;

/// After it wrote some, the thread lets more come before it looks again: so those who decide need not
/// wake it for each. Not where answers wait for their records, nor once enough wait.
const GATHER: Duration = Duration::from_millis(2);

/// How long the thread waits for a record before it does what is to be done now and then.
const TICK: Duration = Duration::from_millis(500);

/// Pauses between attempts: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// The thread of a sink.
pub(super) struct Worker {
    pub(super) queue: Receiver<Message>,
    pub(super) sink: Box<dyn Sink>,
    pub(super) shared: Arc<Shared>,
    pub(super) algorithm: Algorithm,
    pub(super) head: Head,
    pub(super) spill: Option<Spill>,
    /// Losses that the log has told of.
    pub(super) told: u64,
    /// Whether there is no other place for what the other side may take later.
    pub(super) patient: bool,
    pub(super) pause: Duration,
    pub(super) not_before: Option<Instant>,
    /// Ids of the last records of the log at its opening: what waits on disk may be among them.
    pub(super) known: HashSet<String>,
    pub(super) trouble: Seldom,
}

impl Worker {
    /// Works until the log is closed.
    pub(super) fn run(mut self, mut opening: VecDeque<Control>) {
        loop {
            self.open(&mut opening);
            let (batch, closed) = self.gather();
            let idle = batch.is_empty();
            let awaited = batch.iter().any(|entry| entry.waiter.is_some());
            self.deliver(batch);
            self.replay();
            self.prune();
            if idle {
                self.sink.idle();
            }
            if closed {
                break;
            }
            // What becomes enough from here on ends the pause, as the end of the service does.
            if !(idle || awaited || self.shared.has_enough()) {
                std::thread::park_timeout(GATHER);
            }
        }
        self.drain();
        self.open(&mut opening);
        self.say(&Control::Stopped);
        self.drain();
        self.refuse_the_rest();
        let untold = self.shared.counts.all_lost().saturating_sub(self.told);
        if untold > 0 {
            let sink = &*self.shared.name;
            tracing::error!(
                sink,
                lost = untold,
                "decision log: the end does not tell of all losses"
            );
        }
        self.sink.close(untold);
    }

    /// What came behind the end is lost.
    fn refuse_the_rest(&mut self) {
        let rest: Vec<Message> = self.queue.try_iter().collect();
        for message in rest {
            if let Message::Record(entry) = message {
                self.shared.counts.left(entry.body.len());
                self.lost(vec![entry], Loss::Closed);
            }
        }
    }

    /// Says what the log begins with; what could not be written is tried again the next time.
    fn open(&mut self, opening: &mut VecDeque<Control>) {
        let early = self.not_before.is_some_and(|at| clock::instant() < at);
        let early = early && !self.shared.closing.load(Ordering::Acquire);
        while !early && let Some(control) = opening.front() {
            if !self.say(control) {
                return;
            }
            if let (Control::UncleanEnd { .. }, Some(ledger)) = (control, &self.shared.ledger) {
                ledger.told();
            }
            opening.pop_front();
        }
    }

    /// Has the oldest records removed, once the log itself tells of it.
    fn prune(&mut self) {
        // After a failure it is not tried again before something else could be written.
        if self.not_before.is_some() {
            return;
        }
        let Some(through) = self.sink.surplus() else { return };
        let sealed = self.seal(vec![self.own(&Control::Pruned { through })]);
        match self.sink.write(&sealed) {
            Ok(rejected) => {
                self.wrote(sealed, rejected);
                self.sink.prune(through);
            }
            Err(error) => self.failed(&error),
        }
    }

    /// The next records, and whether they are the last.
    fn gather(&mut self) -> (Vec<Entry>, bool) {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut wait = TICK;
        if self.spill.as_ref().is_some_and(|spill| !spill.is_empty()) {
            let left = self.not_before.map(|at| at.saturating_duration_since(clock::instant()));
            wait = left.unwrap_or_default().min(TICK);
        }
        let mut next = self.queue.recv_timeout(wait);
        loop {
            match next {
                Ok(Message::Record(entry)) => {
                    self.shared.counts.left(entry.body.len());
                    bytes += entry.body.len();
                    // Nobody waits any more, so there was no answer: no record is owed.
                    if entry.waiter.as_ref().is_none_or(|waiter| !waiter.is_closed()) {
                        batch.push(entry);
                    }
                }
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => return (batch, true),
                Err(RecvTimeoutError::Timeout) => return (batch, false),
            }
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                return (batch, false);
            }
            next = self.queue.try_recv().map_err(|error| match error {
                std::sync::mpsc::TryRecvError::Empty => RecvTimeoutError::Timeout,
                std::sync::mpsc::TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            });
        }
    }

    /// Writes what the log says of itself; gives whether it is written, or on disk.
    fn say(&mut self, control: &Control) -> bool {
        let entry = self.own(control);
        self.deliver(vec![entry])
    }

    /// A record of the log about itself.
    fn own(&self, control: &Control) -> Entry {
        if let Some(ledger) = &self.shared.ledger {
            ledger.offer();
        }
        let body = control.line(clock::now()).into();
        let time = u64::try_from(clock::since_epoch().as_nanos()).unwrap_or(u64::MAX);
        let about = About { time, ..About::default() };
        Entry { body, about, waiter: None }
    }

    /// Writes records, or what is done instead; gives whether all are written, or on disk.
    fn deliver(&mut self, batch: Vec<Entry>) -> bool {
        if batch.is_empty() {
            return true;
        }
        if self.spill.as_ref().is_some_and(|spill| !spill.is_empty()) {
            return self.put_aside(batch); // Behind those that wait.
        }
        let sealed = self.seal(batch);
        match self.write(&sealed) {
            Ok(rejected) => {
                self.wrote(sealed, rejected);
                rejected == 0
            }
            Err(error) if self.spill.is_some() => {
                self.failed(&error);
                self.put_aside(sealed.entries)
            }
            Err(error) => {
                self.failed(&error);
                self.lost(sealed.entries, error.loss);
                false
            }
        }
    }

    /// Writes a batch. Where the other side may take it later, and there is no other place for it,
    /// it is tried until the service ends: meanwhile the queue fills up and says so.
    fn write(&mut self, sealed: &Sealed) -> Result<u64, CannotWrite> {
        loop {
            let found = self.sink.write(sealed);
            match found {
                Err(error)
                    if error.again
                        && self.patient
                        && !self.shared.closing.load(Ordering::Acquire) =>
                {
                    self.failed(&error);
                    std::thread::park_timeout(self.pause);
                }
                found => return found,
            }
        }
    }

    fn seal(&self, entries: Vec<Entry>) -> Sealed {
        let lost = self.shared.counts.all_lost();
        let mut untold = lost.saturating_sub(self.told);
        let before = self.head.clone();
        let mut after = before.clone();
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(entries.len()));
        for entry in &entries {
            self.algorithm.seal(&mut after, &entry.body, untold, &mut bytes);
            untold = 0;
            ends.push(bytes.len());
        }
        Sealed { bytes, ends, entries, before, after }
    }

    fn wrote(&mut self, sealed: Sealed, rejected: u64) {
        self.told = self.told.saturating_add(sealed.after.lost - sealed.before.lost);
        self.head = sealed.after;
        *self.shared.head.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            self.head.clone();
        let written = sealed.entries.iter().filter(|entry| entry.about.decided.is_some()).count();
        self.shared.counts.add_written((written as u64).saturating_sub(rejected));
        if rejected > 0 {
            self.shared.counts.add_lost(Loss::Rejected, rejected);
        }
        for waiter in sealed.entries.into_iter().filter_map(|entry| entry.waiter) {
            // Nobody may be waiting any more.
            let _ = waiter.send(if rejected == 0 { Ok(()) } else { Err(Loss::Rejected) });
        }
        self.pause = PAUSES.0;
        self.not_before = None;
    }

    fn lost(&mut self, entries: Vec<Entry>, loss: Loss) {
        let decisions = entries.iter().filter(|entry| entry.about.decided.is_some()).count();
        self.shared.counts.add_lost(loss, decisions as u64);
        for waiter in entries.into_iter().filter_map(|entry| entry.waiter) {
            // Nobody may be waiting any more.
            let _ = waiter.send(Err(loss));
        }
    }

    fn failed(&mut self, error: &CannotWrite) {
        self.not_before = Some(clock::instant() + self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
        if let Some(times) = self.trouble.due() {
            let lost = self.shared.counts.all_lost();
            tracing::error!(sink = self.shared.name, times, lost, "decision log: {error}");
        }
    }

    /// Puts records on disk until the sink can be written; gives whether there was room.
    fn put_aside(&mut self, batch: Vec<Entry>) -> bool {
        let Some(spill) = &mut self.spill else {
            self.lost(batch, Loss::WriteFailed);
            return false;
        };
        let mut left = Vec::new();
        for entry in batch {
            if spill.push(&entry).is_err() {
                left.push(entry);
            }
        }
        self.shared.counts.set_spilled(spill.records());
        let all = left.is_empty();
        self.lost(left, Loss::SpillFull);
        all
    }

    /// Writes what waits on disk, a batch a turn, when it is time to try.
    fn replay(&mut self) {
        let Some(spill) = &self.spill else { return };
        let early = self.not_before.is_some_and(|at| clock::instant() < at);
        let closing = self.shared.closing.load(Ordering::Acquire);
        if spill.is_empty() || (early && !closing) {
            return;
        }
        match spill.peek(BATCH) {
            Ok(entries) if !entries.is_empty() => self.write_again(entries),
            found => {
                let records = self.spill.as_mut().map_or(0, Spill::drop_first);
                self.shared.counts.add_lost(Loss::SpillFull, records);
                let why =
                    found.err().map_or_else(|| "damaged".to_owned(), |error| error.to_string());
                tracing::error!(records, "decision log: records on disk cannot be read: {why}");
            }
        }
    }

    /// At the end: writes what waits on disk for as long as it can be written. The rest waits for
    /// the next start.
    fn drain(&mut self) {
        let waiting = |worker: &Self| worker.spill.as_ref().map_or(0, Spill::records);
        let mut before = u64::MAX;
        while waiting(self) > 0 && waiting(self) < before {
            before = waiting(self);
            self.replay();
        }
    }

    fn write_again(&mut self, mut entries: Vec<Entry>) {
        // Those that were written before the process was killed come first.
        let known = entries.iter().take_while(|entry| self.known.remove(&id(&entry.body))).count();
        let new = entries.split_off(known);
        if let Some(spill) = &mut self.spill {
            spill.took(&entries);
        }
        let entries = new;
        if entries.is_empty() {
            return;
        }
        let sealed = self.seal(entries);
        match self.sink.write(&sealed) {
            Ok(rejected) => {
                if let Some(spill) = &mut self.spill {
                    spill.took(&sealed.entries);
                    self.shared.counts.set_spilled(spill.records());
                }
                self.wrote(sealed, rejected);
            }
            Err(error) => self.failed(&error),
        }
    }
}

/// The id of a record that waits.
fn id(body: &[u8]) -> String {
    let read = serde_json::from_slice::<crate::wire::record::control::Known>(body);
    read.ok().and_then(|known| known.event_id).unwrap_or_default()
}

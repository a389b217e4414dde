//! The decision log: one record a decision, written by a thread a sink, with the count of what was
//! lost.

pub mod chain;
mod collector;
pub mod counts;
mod entry;
pub mod file;
mod ledger;
mod noted;
pub mod opening;
mod pending;
pub mod settings;
mod shared;
mod sink;
mod spill;
mod stdout;
pub mod verify;
mod worker;

use std::collections::HashSet;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use tokio::sync::oneshot;

use self::chain::{Algorithm, Head};
use self::collector::CollectorSink;
use self::counts::{Counts, Loss};
pub(super) use self::entry::About;
use self::entry::{Entry, Message};
use self::noted::{Note, Noted};
use self::opening::CannotOpen;
pub use self::pending::{NotRecorded, Pending};
use self::settings::{Mode, Place, Settings};
use self::shared::{Shared, enough};
use self::sink::Sink;
use self::spill::Spill;
use self::worker::Worker;
use crate::telemetry::clock::Seldom;
use crate::telemetry::otlp::records::Records;
use crate::telemetry::otlp::settings::OtlpSettings;
use crate::wire::record::control::Control;

/// Records that may wait for a sink in memory.
const QUEUE: usize = 65_536;

/// Bytes that may wait for a sink in memory.
const QUEUE_BYTES: u64 = 64 * 1024 * 1024;

/// How long the end of the service waits for a sink.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where decisions are recorded.
#[derive(Debug)]
pub(super) struct DecisionLog {
    pub(super) settings: Settings,
    outlets: Vec<Outlet>,
}

/// One sink, as those who decide see it.
#[derive(Debug)]
struct Outlet {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Ends a pause of the thread.
    waker: Thread,
    /// Held as long as the log is written.
    _lock: Option<File>,
}

/// A sink, and where its chain goes on.
struct Opening {
    name: String,
    sink: Box<dyn Sink>,
    ledger: Option<Arc<ledger::Ledger>>,
    head: Head,
    unclean: Option<Control>,
    lock: Option<File>,
    known: HashSet<String>,
}

impl DecisionLog {
    /// Opens all sinks.
    ///
    /// # Errors
    ///
    /// One cannot be opened.
    pub(super) fn open(settings: Settings, otlp: &OtlpSettings) -> Result<Self, CannotOpen> {
        let mut outlets = Vec::new();
        for place in &settings.sinks {
            outlets.push(outlet(&settings, place, otlp)?);
        }
        Ok(Self { settings, outlets })
    }

    /// Gives a record to every sink. Never waits.
    pub(super) fn offer(&self, body: Vec<u8>, about: About) -> Pending {
        let body: Arc<[u8]> = body.into();
        let Mode::Durable(deadline) = self.settings.mode else {
            for outlet in &self.outlets {
                outlet.offer(Entry { body: Arc::clone(&body), about, waiter: None });
            }
            return Pending::none();
        };
        let mut waiting = smallvec::SmallVec::new();
        for outlet in &self.outlets {
            let (waiter, written) = oneshot::channel();
            outlet.offer(Entry { body: Arc::clone(&body), about, waiter: Some(waiter) });
            waiting.push(written);
        }
        Pending::new(waiting, crate::telemetry::clock::instant() + deadline)
    }

    /// The sinks: their names, counts and heads.
    pub(super) fn sinks(&self) -> impl Iterator<Item = (&str, &Counts, Head)> {
        self.outlets.iter().map(|outlet| {
            let head = outlet.shared.head.lock().unwrap_or_else(PoisonError::into_inner).clone();
            (&*outlet.shared.name, &outlet.shared.counts, head)
        })
    }

    /// Writes what waits, and ends. A sink that does not come to an end is left alone.
    pub(super) fn close(&self) {
        for outlet in &self.outlets {
            outlet.shared.closing.store(true, Ordering::Release);
        }
        let deadline = crate::telemetry::clock::instant() + PATIENCE;
        for outlet in &self.outlets {
            outlet.close(deadline);
        }
    }
}

impl Outlet {
    fn offer(&self, entry: Entry) {
        let counts = &self.shared.counts;
        if let Some(ledger) = &self.shared.ledger {
            ledger.offer();
        }
        let bytes = entry.body.len();
        if counts.bytes().saturating_add(bytes as u64) > QUEUE_BYTES {
            return refuse(counts, entry, Loss::QueueFull);
        }
        let enough = self.shared.entered(bytes);
        match self.queue.try_send(Message::Record(entry)) {
            Ok(()) if enough => self.waker.unpark(),
            Ok(()) => {}
            Err(TrySendError::Full(Message::Record(entry))) => {
                counts.left(bytes);
                refuse(counts, entry, Loss::QueueFull);
            }
            Err(TrySendError::Disconnected(Message::Record(entry))) => {
                counts.left(bytes);
                refuse(counts, entry, Loss::Closed);
            }
            Err(_) => {}
        }
    }

    fn close(&self, deadline: std::time::Instant) {
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        let mut told = false;
        while !thread.is_finished() {
            if !told {
                told = self.queue.try_send(Message::Close).is_ok();
            }
            thread.thread().unpark();
            if crate::telemetry::clock::instant() >= deadline {
                let lost = self.shared.counts.depth();
                tracing::error!(sink = self.shared.name, lost, "decision log: did not end in time");
                return;
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
        // It does not panic.
        let _ = thread.join();
    }
}

fn refuse(counts: &Counts, entry: Entry, loss: Loss) {
    counts.add_lost(loss, 1);
    if let Some(waiter) = entry.waiter {
        // It waits right here.
        let _ = waiter.send(Err(loss));
    }
}

fn outlet(settings: &Settings, place: &Place, otlp: &OtlpSettings) -> Result<Outlet, CannotOpen> {
    let spill = spill(settings, place)?;
    let waiting = spill.as_ref().map_or(0, Spill::records);
    let opening = opening(settings, place, waiting, otlp)?;
    let capacity = if *place == Place::Otlp { otlp.records.queue } else { QUEUE };
    let shared = Arc::new(Shared {
        name: opening.name,
        counts: Counts::default(),
        ledger: opening.ledger,
        closing: AtomicBool::new(false),
        enough: enough(capacity),
        head: Mutex::new(opening.head.clone()),
    });
    let (queue, receiver) = sync_channel(capacity);
    let algorithm = Algorithm::new(settings.key.as_deref());
    let started = Control::Started { algorithm: algorithm.name() };
    let first = [started].into_iter().chain(opening.unclean).collect();
    let worker = Worker {
        queue: receiver,
        sink: opening.sink,
        shared: Arc::clone(&shared),
        algorithm,
        head: opening.head,
        spill,
        told: 0,
        patient: settings.mode == Mode::BestEffort,
        pause: Duration::from_millis(50),
        not_before: None,
        known: opening.known,
        trouble: Seldom::default(),
    };
    let name = format!("keyward-log-{}", shared.name);
    let thread = std::thread::Builder::new()
        .name(name)
        .spawn(move || worker.run(first))
        .map_err(|source| CannotOpen::Io { path: place.to_string().into(), source })?;
    let waker = thread.thread().clone();
    let thread = Mutex::new(Some(thread));
    Ok(Outlet { queue, shared, thread, waker, _lock: opening.lock })
}

fn opening(
    settings: &Settings,
    place: &Place,
    waiting: u64,
    otlp: &OtlpSettings,
) -> Result<Opening, CannotOpen> {
    let durable = matches!(settings.mode, Mode::Durable(_));
    match place {
        Place::File(path) => {
            let known = if waiting > 0 { opening::last_ids(path) } else { HashSet::new() };
            let opened = opening::open(path, settings.rotation.clone(), durable, waiting)?;
            Ok(Opening {
                name: "file".to_owned(),
                sink: Box::new(opened.sink),
                ledger: Some(opened.ledger),
                head: opened.head,
                unclean: opened.unclean,
                lock: Some(opened.lock),
                known,
            })
        }
        Place::Stdout => Opening::elsewhere(settings, place, waiting, Box::new(stdout::Stdout)),
        Place::Otlp => {
            let target = otlp.logs.as_ref().ok_or(CannotOpen::NoCollector)?;
            let records = Records::new(otlp, target)
                .map_err(|error| CannotOpen::Collector(error.to_string()))?;
            Opening::elsewhere(settings, place, waiting, Box::new(CollectorSink(records)))
        }
    }
}

impl Opening {
    /// A sink that cannot be read again: its chain begins anew with each process. Where there is a
    /// folder for it, a note tells how the process before ended.
    fn elsewhere(
        settings: &Settings,
        place: &Place,
        waiting: u64,
        sink: Box<dyn Sink>,
    ) -> Result<Self, CannotOpen> {
        let without = Self {
            name: place.kind().to_owned(),
            sink,
            ledger: None,
            head: Head::default(),
            unclean: None,
            lock: None,
            known: HashSet::new(),
        };
        let Some(folder) = &settings.notes else { return Ok(without) };
        let Note { ledger, unclean, lock } = Note::open(&folder.join(place.kind()), waiting)?;
        let sink = Box::new(Noted::new(without.sink, Arc::clone(&ledger)));
        Ok(Self { sink, ledger: Some(ledger), unclean, lock: Some(lock), ..without })
    }
}

/// The place on disk for what cannot be written, in the mode that has one.
fn spill(settings: &Settings, place: &Place) -> Result<Option<Spill>, CannotOpen> {
    let Mode::Spill(spill) = &settings.mode else { return Ok(None) };
    let path = spill.folder.join(place.kind());
    let source = |source| CannotOpen::Io { path: path.clone(), source };
    Spill::open(&path, spill.bytes).map(Some).map_err(source)
}

//! The one thread that changes the database: what waits together is made durable together.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

use super::change::{self, Applied, Change, ChangeError, Condition, Effect, Fault};
use super::folder::Lock;
use super::mark::Mark;
use super::meta::Meta;
use super::opening::carry_over;
use super::reserve::Reserve;

/// Hears every group of changes once it is durable, before any of them is answered.
pub type OnApplied = Box<dyn FnMut(&[Applied]) + Send>;

/// The answer to a change.
pub(super) type Answer = Result<Applied, ChangeError>;

/// What waits in the queue.
pub(super) enum Command {
    Change(Waiting),
    Close { closed: oneshot::Sender<()> },
}

/// A change that is to be made, if it still may be, and who waits for it.
pub(super) struct Waiting {
    pub(super) change: Change,
    pub(super) condition: Option<Condition>,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// What others may know of the writer.
#[derive(Default)]
pub(super) struct Progress(Mutex<Known>);

#[derive(Clone, Default)]
pub(super) struct Known {
    pub(super) sequence: u64,
    pub(super) grants: u64,
    pub(super) poisoned: Option<Arc<str>>,
}

impl Progress {
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer. `lock` outlives every write.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) meta: Meta,
    pub(super) mark: Mark,
    pub(super) reserve: Reserve,
    pub(super) progress: Arc<Progress>,
    pub(super) applied: OnApplied,
    pub(super) group: usize,
    pub(super) lock: Arc<Lock>,
}

/// A group was not committed.
enum Failure {
    /// Rolled back: there was no room.
    DiskFull,
    /// Rolled back.
    Failed(String),
    /// What the disk holds is not known.
    Unknown(String),
}

impl Writer {
    /// Makes changes until nobody is left to ask for one.
    pub(super) fn run(mut self, mut queue: Receiver<Command>) {
        let mut closing = Vec::new();
        while let Some(first) = queue.blocking_recv() {
            let mut group = Vec::new();
            let mut next = Some(first);
            while let Some(command) = next {
                match command {
                    Command::Change(waiting) => group.push(waiting),
                    Command::Close { closed } => {
                        // What waits already is still done.
                        queue.close();
                        closing.push(closed);
                    }
                }
                next = if group.len() < self.group { queue.try_recv().ok() } else { None };
            }
            if !group.is_empty() {
                self.serve(group);
            }
        }
        let Self { connection, lock, progress, .. } = self;
        if progress.known().poisoned.is_some() {
            // What is on the disk is left for the next start to look at.
            let _kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
        drop(connection);
        drop(lock);
        for closed in closing {
            let _nobody_waits = closed.send(());
        }
    }

    fn serve(&mut self, mut group: Vec<Waiting>) {
        if !self.reserve.keep() {
            // What room there is is for removals.
            let creates = |waiting: &mut Waiting| matches!(waiting.change, Change::Create { .. });
            let creations = group.extract_if(.., creates).collect();
            answer_all(creations, &ChangeError::DiskFull);
        }
        self.attempt(group);
    }

    fn attempt(&mut self, group: Vec<Waiting>) {
        if let Some(reason) = self.progress.known().poisoned.clone() {
            return answer_all(group, &ChangeError::Poisoned(reason));
        }
        match self.commit(&group) {
            Ok(answers) => self.publish(group, answers),
            Err(Failure::DiskFull) if group.len() > 1 => {
                // Together they have no room; some of them alone may have.
                group.into_iter().for_each(|waiting| self.serve(vec![waiting]));
            }
            Err(Failure::DiskFull) if may_take_reserve(&group) && self.reserve.give_up() => {
                // The log begins anew if it can be carried over, and takes less room then.
                let _room = carry_over(&self.connection);
                self.attempt(group);
            }
            Err(Failure::DiskFull) => answer_all(group, &ChangeError::DiskFull),
            Err(Failure::Failed(why)) => answer_all(group, &ChangeError::Failed(why.into())),
            Err(Failure::Unknown(why)) => answer_all(group, &self.poison(why)),
        }
    }

    /// Tells what is durable: first the mark, then the one who keeps the live state, then those who
    /// wait.
    fn publish(&mut self, group: Vec<Waiting>, mut answers: Vec<Answer>) {
        self.mark.note(self.meta.sequence);
        {
            let mut known = self.progress.known();
            (known.sequence, known.grants) = (self.meta.sequence, self.meta.grants);
        }
        let changes: Vec<Applied> = answers
            .iter()
            .flatten()
            .filter(|applied| !matches!(applied.effect, Effect::Existing(_)))
            .cloned()
            .collect();
        if !changes.is_empty()
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.applied)(&changes)))
        {
            let why = format!("the live state could not follow: {}", in_words(&*panic));
            let poisoned = self.poison(why);
            answers.iter_mut().filter(|answer| answer.is_ok()).for_each(|answer| {
                *answer = Err(poisoned.clone());
            });
        }
        for (waiting, answer) in group.into_iter().zip(answers) {
            let _nobody_waits = waiting.answer.send(answer);
        }
    }

    fn poison(&self, why: String) -> ChangeError {
        tracing::error!(reason = why, "the grants database takes no changes until a restart");
        let reason: Arc<str> = why.into();
        self.progress.known().poisoned = Some(reason.clone());
        ChangeError::Poisoned(reason)
    }

    /// One transaction for the whole group. A change that is refused leaves no trace in it.
    fn commit(&mut self, group: &[Waiting]) -> Result<Vec<Answer>, Failure> {
        let mut meta = self.meta.clone();
        let answers = match self.write(group, &mut meta) {
            Ok(answers) => answers,
            Err(fault) => return Err(self.roll_back(fault)),
        };
        if let Err(error) = self.batch("COMMIT") {
            return Err(match error.sqlite_error_code() {
                // The frame that makes it a commit comes last: it was not written.
                Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy) => {
                    self.roll_back(Fault::Storage(error))
                }
                _ => Failure::Unknown(format!("a commit failed: {error}")),
            });
        }
        self.meta = meta;
        Ok(answers)
    }

    fn write(&self, group: &[Waiting], meta: &mut Meta) -> Result<Vec<Answer>, Fault> {
        self.batch("BEGIN IMMEDIATE")?;
        let before = meta.sequence;
        let mut answers = Vec::with_capacity(group.len());
        for Waiting { change, condition, .. } in group {
            if condition.as_ref().is_some_and(|holds| !holds()) {
                answers.push(Err(ChangeError::Overtaken));
                continue;
            }
            self.batch("SAVEPOINT one")?;
            match change::apply(&self.connection, change, meta.sequence + 1) {
                Ok(effect) => {
                    match &effect {
                        Effect::Created(_) => meta.grants += 1,
                        Effect::Removed(_) => meta.grants -= 1,
                        Effect::Existing(_) => {}
                    }
                    if !matches!(effect, Effect::Existing(_)) {
                        meta.sequence += 1;
                    }
                    answers.push(Ok(Applied { sequence: meta.sequence, effect }));
                }
                Err(Fault::Refused(refusal)) => {
                    self.batch("ROLLBACK TO one")?;
                    answers.push(Err(refusal));
                }
                Err(fault) => return Err(fault),
            }
            self.batch("RELEASE one")?;
        }
        if meta.sequence != before {
            meta.write(&self.connection)?;
        }
        Ok(answers)
    }

    /// Undoes the transaction, and says what that leaves.
    fn roll_back(&self, fault: Fault) -> Failure {
        // Some errors have rolled back already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.batch("ROLLBACK")
        {
            return Failure::Unknown(format!("a transaction could not be undone: {error}"));
        }
        match fault {
            Fault::Damaged(what) => Failure::Unknown(what),
            Fault::Refused(refusal) => Failure::Failed(refusal.to_string()),
            Fault::Storage(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => Failure::DiskFull,
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    Failure::Unknown(error.to_string())
                }
                _ => Failure::Failed(error.to_string()),
            },
        }
    }

    fn batch(&self, sql: &'static str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(|_| ())
    }
}

/// A grant that is revoked must not go on because others filled the disk.
fn may_take_reserve(group: &[Waiting]) -> bool {
    group.iter().all(|waiting| matches!(waiting.change, Change::Remove { .. }))
}

fn answer_all(group: Vec<Waiting>, error: &ChangeError) {
    for waiting in group {
        let _nobody_waits = waiting.answer.send(Err(error.clone()));
    }
}

fn in_words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

//! Grants that are created, retired and revoked while the service runs: a durable file.
//!
//! Decisions do not come here: they are made from what is in memory, which follows the file through
//! [`OnApplied`]. A change is answered when it is durable *and* followed, so whoever was told that a
//! grant is revoked sees no later decision by it.
//!
//! In the data folder: `grants.sqlite3` (with `-wal` and `-shm` while it is open), `keyward.lock`,
//! which one process holds, `grants.committed`, by which lost changes are noticed, and
//! `grants.reserve`, by which grants can be revoked on a full disk.

pub mod change;
pub mod grant;
pub mod opening;
pub mod tokens;

mod check;
mod folder;
mod format;
mod mark;
mod meta;
mod reserve;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;
use uuid::Uuid;

use change::{Applied, Change, ChangeError, Condition};
use folder::Lock;
use grant::{RowFault, StoredGrant};
use opening::{Held, OpenError};
use tokens::Tokens;
use writer::{Command, Progress, Waiting, Writer};

pub use writer::OnApplied;

/// Bounds on what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Changes that may wait; one more is refused.
    pub queue: usize,
    /// Changes that are made durable together.
    pub group: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { queue: 1024, group: 256 }
    }
}

/// The open database.
pub struct GrantsDatabase {
    path: PathBuf,
    /// Taken when it is dropped: the writer ends when nobody can ask any more.
    queue: Option<mpsc::Sender<Command>>,
    progress: Arc<Progress>,
    /// Gone once the database is closed.
    reading: Mutex<Option<Reading>>,
    writer: Option<JoinHandle<()>>,
}

struct Reading {
    connection: Connection,
    _lock: Arc<Lock>,
}

/// A database that was opened, and what a service needs to know of it.
pub struct Opened {
    /// The database.
    pub database: GrantsDatabase,
    /// The last change in it.
    pub sequence: u64,
    /// Made with the file: sequences of different incarnations do not compare.
    pub incarnation: Uuid,
    /// Makes and reads its tokens.
    pub tokens: Tokens,
}

/// How the database is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// How many grants it holds.
    pub grants: u64,
    /// The last change.
    pub sequence: u64,
    /// Why it takes no changes until a restart, if that is so.
    pub poisoned: Option<Arc<str>>,
    /// Bytes on the disk, with the write-ahead log.
    pub bytes: u64,
}

/// A grant could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The row is not as it was written.
    #[error("the grants database is damaged: the grant of change {0} is not as it was written")]
    Damaged(i64),
    /// SQLite failed.
    #[error("cannot read the grants database: {0}")]
    Failed(rusqlite::Error),
    /// The database is closed.
    #[error("the grants database is closed")]
    Closed,
}

impl GrantsDatabase {
    /// Opens the database in a folder; makes both if they are missing. Blocks while it checks and
    /// reads all of it: every grant is given to `each`, in the order of creation, and `each` may
    /// refuse it. `applied` is called by the writer alone.
    ///
    /// # Errors
    ///
    /// Why it cannot be used. A database that was there is as it was before.
    pub fn open(
        folder: &Path,
        settings: Settings,
        mut each: impl FnMut(StoredGrant) -> Result<(), String>,
        applied: OnApplied,
    ) -> Result<Opened, OpenError> {
        Self::start(opening::open(folder, &mut each)?, settings, applied)
    }

    fn start(held: Held, settings: Settings, applied: OnApplied) -> Result<Opened, OpenError> {
        let Held { path, lock, writing, reading, mark, reserve, meta } = held;
        let lock = Arc::new(lock);
        let progress = Arc::new(Progress::default());
        {
            let mut known = progress.known();
            (known.sequence, known.grants) = (meta.sequence, meta.grants);
        }
        let (sequence, incarnation) = (meta.sequence, meta.incarnation);
        let tokens = Tokens::new(&meta.secret);
        let (queue, commands) = mpsc::channel(settings.queue.max(1));
        let writer = Writer {
            connection: writing,
            meta,
            mark,
            reserve,
            progress: progress.clone(),
            applied,
            group: settings.group.max(1),
            lock: lock.clone(),
        };
        let writer = thread::Builder::new()
            .name("grants-writer".to_owned())
            .spawn(move || writer.run(commands))
            .map_err(OpenError::NoThread)?;
        let reading = Mutex::new(Some(Reading { connection: reading, _lock: lock }));
        let database = Self { path, queue: Some(queue), progress, reading, writer: Some(writer) };
        Ok(Opened { database, sequence, incarnation, tokens })
    }

    /// Makes a change; answered when it is durable and was followed. A caller that stops waiting
    /// does not take it back.
    ///
    /// # Errors
    ///
    /// Why it was not made, or, for [`ChangeError::Poisoned`], may not have been.
    pub async fn change(&self, change: Change) -> Result<Applied, ChangeError> {
        self.make(change, None).await
    }

    /// As [`GrantsDatabase::change`], if `condition` holds when the change is made: its turn may
    /// come late.
    ///
    /// # Errors
    ///
    /// As [`GrantsDatabase::change`], and [`ChangeError::Overtaken`].
    pub async fn change_while(
        &self,
        change: Change,
        condition: Condition,
    ) -> Result<Applied, ChangeError> {
        self.make(change, Some(condition)).await
    }

    async fn make(
        &self,
        change: Change,
        condition: Option<Condition>,
    ) -> Result<Applied, ChangeError> {
        if let Some(reason) = self.progress.known().poisoned.clone() {
            return Err(ChangeError::Poisoned(reason));
        }
        change.check()?;
        let queue = self.queue.as_ref().ok_or(ChangeError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { change, condition, answer };
        queue.try_send(Command::Change(waiting)).map_err(|error| match error {
            TrySendError::Full(_) => ChangeError::Busy,
            TrySendError::Closed(_) => ChangeError::Closed,
        })?;
        answered
            .await
            .unwrap_or_else(|_| Err(ChangeError::Poisoned("its writer has stopped".into())))
    }

    /// The grant of that id, straight from the file: every change that is durable is seen. Blocks
    /// for one look into the file.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn find(&self, id: &str) -> Result<Option<StoredGrant>, ReadError> {
        let reading = self.reading();
        let Reading { connection, .. } = reading.as_ref().ok_or(ReadError::Closed)?;
        let find = || -> Result<Option<StoredGrant>, RowFault> {
            let mut statement = connection.prepare_cached(&change::by_id())?;
            let mut rows = statement.query([id])?;
            rows.next()?.map(StoredGrant::from_row).transpose()
        };
        find().map_err(|fault| match fault {
            RowFault::Damaged(sequence) => ReadError::Damaged(sequence),
            RowFault::Sqlite(error) => ReadError::Failed(error),
        })
    }

    /// The last change that is durable.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.progress.known().sequence
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        let known = self.progress.known().clone();
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        Status {
            grants: known.grants,
            sequence: known.sequence,
            poisoned: known.poisoned,
            bytes: size(&self.path) + size(Path::new(&log)),
        }
    }

    /// Takes no more changes, makes those that wait, and lets the folder go.
    pub async fn close(&self) {
        // The writer closes last: it carries the log over and removes it.
        self.reading().take();
        let Some(queue) = &self.queue else { return };
        let (closed, waiting) = oneshot::channel();
        if queue.send(Command::Close { closed }).await.is_ok() {
            let _already = waiting.await;
        }
    }

    fn reading(&self) -> MutexGuard<'_, Option<Reading>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GrantsDatabase {
    /// As [`GrantsDatabase::close`], waiting.
    fn drop(&mut self) {
        self.reading().take();
        self.queue.take();
        if let Some(writer) =
            self.writer.take().filter(|it| it.thread().id() != thread::current().id())
        {
            let _stopped = writer.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::change::{Applied, Change, ChangeError};
    use super::grant::StoredGrant;
    use super::{GrantsDatabase, Opened, Settings, opening};

    const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd";

    fn creation(id: &str) -> Change {
        let grant = StoredGrant {
            id: id.into(),
            key_arn: KEY.into(),
            token: id.into(),
            name: None,
            fingerprint: [7; 32],
            entry: format!("{{\"GrantId\":\"{id}\",\"Name\":\"{}\"}}", "x".repeat(500)).into(),
            created_millis: 0,
        };
        Change::Create { grant, limit_per_key: u64::MAX, counted_elsewhere: 0, parent: None }
    }

    fn make(database: &GrantsDatabase, change: Change) -> Result<Applied, ChangeError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(database.change(change))
    }

    /// A database whose file takes no more than a few pages: to SQLite it is a full disk.
    fn without_room(folder: &Path) -> GrantsDatabase {
        let held = opening::open(folder, &mut |_| Ok(())).unwrap();
        held.writing.pragma_update(None, "max_page_count", 40).unwrap();
        let opened = GrantsDatabase::start(held, Settings::default(), Box::new(|_| {}));
        opened.unwrap().database
    }

    #[test]
    fn without_room_creations_are_refused_and_removals_are_made_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let database = without_room(folder.path());
        let mut created = 0;
        let refused = loop {
            match make(&database, creation(&format!("g{created}"))) {
                Ok(_) => created += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, ChangeError::DiskFull);
        assert!(created > 50, "{created}");
        assert_eq!(make(&database, creation("again")), Err(ChangeError::DiskFull));
        for gone in 0..20 {
            let id = format!("g{gone}").into();
            assert!(make(&database, Change::Remove { key_arn: KEY.into(), id }).is_ok());
        }
        assert!(make(&database, creation("later")).is_ok(), "there is room again");
        drop(database);
        let mut found = Vec::new();
        let each = |grant: StoredGrant| {
            found.push(grant.id.to_string());
            Ok(())
        };
        let opened =
            GrantsDatabase::open(folder.path(), Settings::default(), each, Box::new(|_| {}));
        let Opened { sequence, .. } = opened.unwrap();
        assert_eq!(sequence, created + 21);
        let expected: Vec<String> = (20..created).map(|number| format!("g{number}")).collect();
        assert_eq!(found, [expected, vec!["later".to_owned()]].concat());
    }
}

//! Opening: from a folder to a database that is known to be whole, or to a reason why not.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::check::{self, Wrong};
use super::folder::{self, Lock};
use super::format::{self, Header, STEPS};
use super::grant::StoredGrant;
use super::mark::{self, Mark, Said};
use super::meta::Meta;
use super::reserve::{self, Reserve};

/// Name of the database file.
pub(super) const FILE: &str = "grants.sqlite3";

/// Name of its write-ahead log.
pub(super) const LOG: &str = "grants.sqlite3-wal";

/// A database while it is being made: it gets its name when it is complete.
const UNFINISHED: &str = "grants.sqlite3.new";

/// How long another program (an operator's `sqlite3`) may hold the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// The grants database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be used.
    #[error("cannot {doing} the data folder `{}`: {source}; it has to be a folder that keyward can read and write", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What failed.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// There is something else in its place.
    #[error("the data folder `{}` is not a folder; give the path of a folder", folder.display())]
    NotAFolder {
        /// The path.
        folder: PathBuf,
    },
    /// Everybody may write there.
    #[error("every user may write to the data folder `{}` (mode {mode:o}), and so replace the database; make sure that nobody did, and run `chmod 700` on it", folder.display())]
    ExposedFolder {
        /// The folder.
        folder: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Locks cannot be relied on there.
    #[error("the data folder `{}` is on a network file system ({kind}), which a database cannot be trusted to; give a folder on a local disk or a block volume", folder.display())]
    NetworkFileSystem {
        /// The folder.
        folder: PathBuf,
        /// The file system.
        kind: String,
    },
    /// Another process has it.
    #[error("the data folder `{}` is in use by another keyward process{}; stop it, or give this one a folder of its own", folder.display(), process.map(|id| format!(" ({id})")).unwrap_or_default())]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// Its process id, if it left it.
        process: Option<u32>,
    },
    /// A file cannot be used.
    #[error("cannot {doing} `{}`: {source}; the data folder and its files have to be readable and writable for keyward", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What failed.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Everybody may read or write the database.
    #[error("the grants database `{}` is open to every user (mode {mode:o}); make sure that nobody changed it, and run `chmod 600` on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The database is gone, and what belongs to it is there.
    #[error("the grants database `{}` is missing, but `{left}` is beside it; restore the database, or empty the folder to begin without grants", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What is there.
        left: String,
    },
    /// It is not ours.
    #[error("`{}` is not a grants database of keyward; nothing was changed: move it away, or give another data folder", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a newer program.
    #[error("the grants database `{}` has format {found}, newer than {known}, the newest that this keyward knows; nothing was changed: run the newer keyward", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// Our version.
        known: i32,
    },
    /// It is not as it was written.
    #[error("the grants database `{}` is damaged: {what}; nothing was changed: restore it from a backup, or empty the data folder to begin without grants", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Changes that were acknowledged are not there.
    #[error("the grants database `{}` lost changes: it ends with change {found}, and change {known} had been acknowledged; nothing was changed: restore its file together with its `-wal` file, or, if this is a backup that is meant to be used, remove `{}`", path.display(), mark::FILE)]
    Lost {
        /// The file.
        path: PathBuf,
        /// The last change that is there.
        found: u64,
        /// The last change that was acknowledged.
        known: u64,
    },
    /// What is beside it belongs to another database, or to what this one was at another time.
    #[error("`{}` beside the grants database `{}` belongs to another database, or to what this one was before it was put back from a backup; nothing was changed: restore what belongs together, or, if this database is meant to be used, remove `{}`", mark::FILE, path.display(), mark::FILE)]
    OtherHistory {
        /// The file.
        path: PathBuf,
    },
    /// The caller could not use a grant.
    #[error("the grant `{id}` in the grants database `{}` cannot be used: {why}; nothing was changed", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The grant.
        id: Box<str>,
        /// What the caller said.
        why: String,
    },
    /// SQLite failed.
    #[error("cannot {doing} the grants database `{}`: {source}; see that the disk is sound and has room, and that keyward may write there", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What failed.
        doing: &'static str,
        /// Why.
        source: rusqlite::Error,
    },
    /// The system has no randomness for the secret.
    #[error("cannot make the secret of the grants database: {0}")]
    NoRandomness(getrandom::Error),
    /// The writer could not be started.
    #[error("cannot start the writer of the grants database: {0}")]
    NoThread(io::Error),
}

/// A database that is whole, and everything that holds it.
pub(super) struct Held {
    pub(super) path: PathBuf,
    pub(super) lock: Lock,
    pub(super) writing: Connection,
    pub(super) reading: Connection,
    pub(super) mark: Mark,
    pub(super) reserve: Reserve,
    pub(super) meta: Meta,
}

/// Opens the database in a folder, or makes it.
pub(super) fn open(
    folder: &Path,
    each: &mut dyn FnMut(StoredGrant) -> Result<(), String>,
) -> Result<Held, OpenError> {
    let folder = folder::prepare(folder)?;
    let lock = Lock::take(&folder)?;
    let path = folder.join(FILE);
    let at = Place { folder: &folder, path: &path };
    at.find_or_make()?;
    // A log that is there stays as it is if the database turns out to be unusable. Where there is
    // none SQLite makes an empty one, and has to take it away again.
    let has_log = fs::symlink_metadata(folder.join(LOG)).is_ok();
    let mut writing = at.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    writing
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)
        .map_err(at.failed("open"))?;
    at.bring_up_to_date(&mut writing)?;
    let mut meta = check::read(&writing, each).map_err(|wrong| at.wrong(wrong))?;
    let unusable = |source| OpenError::File { path: folder.join(mark::FILE), doing: "use", source };
    let (mut mark, said) = Mark::open(&folder, meta.incarnation).map_err(unusable)?;
    match said {
        Said::OfAnother => return Err(OpenError::OtherHistory { path: path.clone() }),
        Said::Committed(known) if known > meta.sequence => {
            return Err(OpenError::Lost { path: path.clone(), found: meta.sequence, known });
        }
        Said::Nothing | Said::Committed(_) => {}
    }
    prepare_for_writing(&writing).map_err(at.failed("write"))?;
    if said == Said::Nothing {
        meta = meta.anew().map_err(OpenError::NoRandomness)?;
        meta.write(&writing).map_err(at.failed("write"))?;
        // Not in the log alone: a log that is lost must not take the name of its history along.
        carry_over(&writing).map_err(at.failed("write"))?;
    }
    mark.begin(meta.incarnation, meta.sequence).map_err(unusable)?;
    let reading = at.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let unusable =
        |source| OpenError::File { path: folder.join(reserve::FILE), doing: "use", source };
    let reserve = Reserve::open(&folder).map_err(unusable)?;
    Ok(Held { lock, writing, reading, mark, reserve, meta, path })
}

/// Settings for durable changes, one group after the other.
fn prepare_for_writing(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    // Pages after which the log is carried over, and bytes of it that are kept for use again.
    connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
    connection.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// Brings everything that is in the log into the database file.
pub(super) fn carry_over(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Where the database is, for what fails there.
struct Place<'p> {
    folder: &'p Path,
    path: &'p Path,
}

impl Place<'_> {
    /// Looks at the file before SQLite does; makes it when there is none.
    fn find_or_make(&self) -> Result<(), OpenError> {
        let path = || self.path.to_owned();
        let failed = |source| OpenError::File { path: path(), doing: "open", source };
        let found = match fs::symlink_metadata(self.path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.make(),
            Err(error) => return Err(failed(error)),
        };
        if !found.is_file() {
            return Err(OpenError::Foreign { path: path() });
        }
        let mode = found.permissions().mode() & 0o777;
        // A group is let in where Kubernetes gives a volume to one.
        if mode & 0o007 != 0 {
            return Err(OpenError::Exposed { path: path(), mode });
        }
        let file = OpenOptions::new().read(true).write(true).open(self.path).map_err(failed)?;
        match Header::read(&file).map_err(failed)? {
            Header::Short => {
                let what = format!("it ends after {} bytes", found.len());
                Err(OpenError::Damaged { path: path(), what })
            }
            Header::Foreign => Err(OpenError::Foreign { path: path() }),
            Header::Version(version) => self.known(version),
        }
    }

    fn known(&self, found: i32) -> Result<(), OpenError> {
        let (path, known) = (self.path.to_owned(), format::latest(STEPS));
        match found {
            1.. if found <= known => Ok(()),
            1.. => Err(OpenError::Newer { path, found, known }),
            _ => Err(OpenError::Damaged { path, what: format!("its format is {found}") }),
        }
    }

    /// Makes an empty database under another name, and gives it its own when it is complete: a file
    /// of that name is never half made, and an empty one was not made by us.
    fn make(&self) -> Result<(), OpenError> {
        for left in [LOG, "grants.sqlite3-journal", mark::FILE] {
            if fs::symlink_metadata(self.folder.join(left)).is_ok() {
                let left = left.to_owned();
                return Err(OpenError::Missing { path: self.path.to_owned(), left });
            }
        }
        let unfinished = self.folder.join(UNFINISHED);
        let failed = |source| OpenError::File { path: unfinished.clone(), doing: "create", source };
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let new = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(failed)?;
        drop(new);
        let meta = Meta::new().map_err(OpenError::NoRandomness)?;
        let place = Place { folder: self.folder, path: &unfinished };
        let mut connection = place.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection
            .pragma_update(None, "journal_mode", "MEMORY")
            .and_then(|()| format::migrate(&mut connection, STEPS, |new| meta.write(new)))
            .and_then(|()| connection.close().map_err(|(_, error)| error))
            .map_err(self.failed("create"))?;
        fs::File::open(&unfinished)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&unfinished, self.path))
            .and_then(|()| folder::sync(self.folder))
            .map_err(failed)
    }

    fn connect(&self, access: OpenFlags) -> Result<Connection, OpenError> {
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connect = || {
            let connection = Connection::open_with_flags(self.path, access | flags)?;
            connection.busy_timeout(PATIENCE)?;
            connection.pragma_update(None, "trusted_schema", false)?;
            connection.pragma_update(None, "cell_size_check", true)?;
            connection.pragma_update(None, "mmap_size", 0)?;
            Ok(connection)
        };
        connect().map_err(self.failed("open"))
    }

    fn bring_up_to_date(&self, connection: &mut Connection) -> Result<(), OpenError> {
        // Once more: the log may be newer than the header.
        let found = format::version(connection).map_err(self.failed("read"))?;
        self.known(found)?;
        if found < format::latest(STEPS) {
            format::migrate(connection, STEPS, |_| Ok(())).map_err(self.failed("upgrade"))?;
            // Into the header, where an older keyward looks.
            carry_over(connection).map_err(self.failed("upgrade"))?;
        }
        Ok(())
    }

    /// What SQLite says, in our words.
    fn failed(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> OpenError {
        let path = self.path.to_owned();
        move |source| {
            let path = path.clone();
            match source.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    OpenError::Damaged { path, what: source.to_string() }
                }
                _ => OpenError::Database { path, doing, source },
            }
        }
    }

    fn wrong(&self, wrong: Wrong) -> OpenError {
        let path = self.path.to_owned();
        match wrong {
            Wrong::Damaged(what) => OpenError::Damaged { path, what },
            Wrong::Refused { id, why } => OpenError::Refused { path, id, why },
            Wrong::Sqlite(error) => match error.sqlite_error_code() {
                Some(
                    ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DiskFull
                    | ErrorCode::OutOfMemory
                    | ErrorCode::PermissionDenied
                    | ErrorCode::ReadOnly,
                ) => self.failed("read")(error),
                // The right tables, and SQLite cannot make sense of them.
                _ => OpenError::Damaged { path, what: error.to_string() },
            },
        }
    }
}

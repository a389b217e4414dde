//! Changes, and how one is made inside a transaction.

use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _};

use super::grant::{COLUMNS, RowFault, StoredGrant};

/// The longest entry, in bytes; KMS's own bounds on grants are far below.
const LONGEST_ENTRY: usize = 256 * 1024;

/// Something to be changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// Creates a grant. When the key has one of the same name and fingerprint, that one is the
    /// answer and nothing changes; a grant without a name is never a repetition.
    Create {
        /// The grant.
        grant: StoredGrant,
        /// The most grants that a key may have.
        limit_per_key: u64,
        /// Grants on the key that are not in this database, and count towards the limit.
        counted_elsewhere: u64,
        /// Id of the grant in this database by which its creator may create it: it has to be
        /// there still.
        parent: Option<Box<str>>,
    },
    /// Removes a grant.
    Remove {
        /// ARN of its key.
        key_arn: Box<str>,
        /// Its id.
        id: Box<str>,
    },
}

/// What has to hold still when a change is made; asked inside its transaction.
pub type Condition = Box<dyn Fn() -> bool + Send>;

impl Change {
    /// Refuses what could not be read back.
    pub(super) fn check(&self) -> Result<(), ChangeError> {
        match self {
            Self::Create { grant, .. } if grant.entry.len() > LONGEST_ENTRY => {
                Err(ChangeError::Invalid("its entry is longer than 256 KiB".into()))
            }
            Self::Create { grant, .. } if !is_object(&grant.entry) => {
                Err(ChangeError::Invalid("its entry is not a JSON object".into()))
            }
            Self::Create { .. } | Self::Remove { .. } => Ok(()),
        }
    }
}

/// Whether the text is a JSON object.
pub(super) fn is_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{')
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// A change that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its number, one more than that of the change before; of a repetition, the number of the last
    /// change when it was answered.
    pub sequence: u64,
    /// What it did.
    pub effect: Effect,
}

/// What a change did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Created this grant.
    Created(Arc<StoredGrant>),
    /// Nothing: this grant was there.
    Existing(Arc<StoredGrant>),
    /// Removed this grant.
    Removed(Arc<StoredGrant>),
}

/// A change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is no such grant on the key.
    #[error("no grant `{id}` on key `{key_arn}`")]
    NotFound {
        /// The key asked for.
        key_arn: Box<str>,
        /// The id asked for.
        id: Box<str>,
    },
    /// The key has as many grants as it may have.
    #[error("the key has {limit} grants, the most that it may have")]
    LimitExceeded {
        /// The most that it may have.
        limit: u64,
    },
    /// Another grant has the id.
    #[error("another grant has the id `{0}`")]
    IdTaken(Box<str>),
    /// The grant cannot be stored.
    #[error("the grant cannot be stored: {0}")]
    Invalid(Box<str>),
    /// What authorized the change is no longer so; nothing changed.
    #[error("what authorized the change has changed meanwhile; nothing was changed")]
    Overtaken,
    /// Too many changes are waiting.
    #[error("too many changes of grants are waiting; try again")]
    Busy,
    /// The disk is full. Nothing changed, and there may be room later.
    #[error("the disk that holds the grants database is full; nothing was changed")]
    DiskFull,
    /// It failed, and nothing changed.
    #[error("the grants database cannot be written; nothing was changed: {0}")]
    Failed(Arc<str>),
    /// Writing failed in such a way that what the disk holds is not known: it is, after a restart.
    #[error("the grants database takes no changes until keyward is restarted: {0}")]
    Poisoned(Arc<str>),
    /// The database is closed.
    #[error("the grants database is closed")]
    Closed,
}

/// Why a change was not made: by its own fault, or that of the surroundings.
pub(super) enum Fault {
    Refused(ChangeError),
    Storage(rusqlite::Error),
    Damaged(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Storage(error)
    }
}

impl From<RowFault> for Fault {
    fn from(fault: RowFault) -> Self {
        match fault {
            RowFault::Sqlite(error) => Self::Storage(error),
            RowFault::Damaged(sequence) => {
                Self::Damaged(format!("the grant of change {sequence} is not as it was written"))
            }
        }
    }
}

/// Makes a change. It becomes number `sequence` if it changes anything.
pub(super) fn apply(
    connection: &Connection,
    change: &Change,
    sequence: u64,
) -> Result<Effect, Fault> {
    match change {
        Change::Create { grant, limit_per_key, counted_elsewhere, parent } => {
            if let Some(parent) = parent
                && !exists(connection, parent)?
            {
                return Err(Fault::Refused(ChangeError::Overtaken));
            }
            create(connection, grant, *limit_per_key, *counted_elsewhere, sequence.cast_signed())
        }
        Change::Remove { key_arn, id } => remove(connection, key_arn, id),
    }
}

fn exists(connection: &Connection, id: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM grants WHERE id = ?1")?.exists([id])
}

fn create(
    connection: &Connection,
    grant: &StoredGrant,
    limit: u64,
    elsewhere: u64,
    sequence: i64,
) -> Result<Effect, Fault> {
    let counted: Option<(i64, i64)> = connection
        .prepare_cached("SELECT key, grants FROM keys WHERE arn = ?1")?
        .query_row([&*grant.key_arn], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let (Some((key, _)), Some(name)) = (counted, &grant.name) {
        let sql = format!(
            "SELECT {COLUMNS} FROM grants g JOIN keys k USING (key) \
             WHERE g.key = ?1 AND g.name = ?2 AND g.fingerprint = ?3 ORDER BY g.sequence LIMIT 1"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query((key, &**name, grant.fingerprint))?;
        if let Some(row) = rows.next()? {
            return Ok(Effect::Existing(Arc::new(StoredGrant::from_row(row)?)));
        }
    }
    let there = counted.map_or(0, |(_, grants)| grants.cast_unsigned());
    if there.saturating_add(elsewhere) >= limit {
        return Err(Fault::Refused(ChangeError::LimitExceeded { limit }));
    }
    let key: i64 = connection
        .prepare_cached(
            "INSERT INTO keys (arn, grants) VALUES (?1, 1) \
             ON CONFLICT (arn) DO UPDATE SET grants = grants + 1 RETURNING key",
        )?
        .query_row([&*grant.key_arn], |row| row.get(0))?;
    let inserted = connection
        .prepare_cached("INSERT INTO grants VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
        .execute((
            sequence,
            &*grant.id,
            key,
            &*grant.token,
            grant.name.as_deref(),
            grant.fingerprint,
            grant.created_millis,
            &*grant.entry,
            grant.digest(sequence),
        ));
    match inserted {
        Ok(_) => Ok(Effect::Created(Arc::new(grant.clone()))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Err(Fault::Refused(ChangeError::IdTaken(grant.id.clone())))
        }
        Err(error) => Err(Fault::Storage(error)),
    }
}

fn remove(connection: &Connection, key_arn: &str, id: &str) -> Result<Effect, Fault> {
    let not_found =
        || Fault::Refused(ChangeError::NotFound { key_arn: key_arn.into(), id: id.into() });
    let (grant, sequence, key) = {
        let mut statement = connection.prepare_cached(&by_id())?;
        let mut rows = statement.query([id])?;
        let row = rows.next()?.ok_or_else(not_found)?;
        (StoredGrant::from_row(row)?, row.get::<_, i64>(0)?, row.get::<_, i64>(9)?)
    };
    if *grant.key_arn != *key_arn {
        return Err(not_found());
    }
    connection.prepare_cached("DELETE FROM grants WHERE sequence = ?1")?.execute([sequence])?;
    let last = connection
        .prepare_cached("DELETE FROM keys WHERE key = ?1 AND grants = 1")?
        .execute([key])?;
    if last == 0 {
        connection
            .prepare_cached("UPDATE keys SET grants = grants - 1 WHERE key = ?1")?
            .execute([key])?;
    }
    Ok(Effect::Removed(Arc::new(grant)))
}

/// The question for one grant.
pub(super) fn by_id() -> String {
    format!("SELECT {COLUMNS} FROM grants g JOIN keys k USING (key) WHERE g.id = ?1")
}

//! What a database knows of itself: one row.

use rusqlite::{Connection, OptionalExtension as _, Row};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The row.
#[derive(Clone)]
pub(super) struct Meta {
    /// Of this history of changes: a database that was made anew, or that was put back to an
    /// earlier state, has another one.
    pub(super) incarnation: Uuid,
    /// Seals the tokens.
    pub(super) secret: [u8; 32],
    /// The last change.
    pub(super) sequence: u64,
    /// How many grants there are.
    pub(super) grants: u64,
}

impl Meta {
    /// Of a database that is being made.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self { incarnation: incarnation()?, secret, sequence: 0, grants: 0 })
    }

    /// The same, at the beginning of another history.
    pub(super) fn anew(self) -> Result<Self, getrandom::Error> {
        Ok(Self { incarnation: incarnation()?, ..self })
    }

    /// Reads the row; `None` when it is not there or not as it was written.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let sql = "SELECT incarnation, secret, sequence, grants, digest FROM meta WHERE only = 1";
        Ok(connection.query_row(sql, [], Self::from_row).optional()?.flatten())
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let (incarnation, secret, digest): (Vec<u8>, Vec<u8>, Vec<u8>) =
            (row.get(0)?, row.get(1)?, row.get(4)?);
        let (Ok(incarnation), Ok(secret)) =
            (Uuid::from_slice(&incarnation), <[u8; 32]>::try_from(secret))
        else {
            return Ok(None);
        };
        let sequence = row.get::<_, i64>(2)?.cast_unsigned();
        let grants = row.get::<_, i64>(3)?.cast_unsigned();
        let meta = Self { incarnation, secret, sequence, grants };
        Ok((digest == meta.digest()).then_some(meta))
    }

    /// Writes the row.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(
            "INSERT INTO meta VALUES (1, ?1, ?2, ?3, ?4, ?5) ON CONFLICT (only) \
             DO UPDATE SET incarnation = ?1, sequence = ?3, grants = ?4, digest = ?5",
        )?;
        let (sequence, grants) = (self.sequence.cast_signed(), self.grants.cast_signed());
        let (incarnation, digest) = (self.incarnation.as_bytes(), self.digest());
        statement.execute((incarnation, self.secret, sequence, grants, digest))?;
        Ok(())
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.incarnation.as_bytes());
        hash.update(self.secret);
        hash.update(self.sequence.to_le_bytes());
        hash.update(self.grants.to_le_bytes());
        hash.finalize().into()
    }
}

fn incarnation() -> Result<Uuid, getrandom::Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(uuid::Builder::from_random_bytes(random).into_uuid())
}

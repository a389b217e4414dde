//! A grant as it is stored.

use rusqlite::Row;
use rusqlite::types::FromSqlError;
use sha2::{Digest as _, Sha256};

/// A grant as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGrant {
    /// Its id; no two grants of a database share one.
    pub id: Box<str>,
    /// ARN of its key.
    pub key_arn: Box<str>,
    /// The token that was given out when it was created.
    pub token: Box<str>,
    /// Its name.
    pub name: Option<Box<str>>,
    /// Hash of the parameters of its creation: a repetition is known by it.
    pub fingerprint: [u8; 32],
    /// The JSON object that `aws kms list-grants` prints for it.
    pub entry: Box<str>,
    /// When it was created: milliseconds since 1970-01-01T00:00:00Z.
    pub created_millis: i64,
}

/// Length of a row's digest.
const DIGEST: usize = 16;

/// The columns that [`StoredGrant::from_row`] reads, of `grants g` and `keys k`.
pub(super) const COLUMNS: &str = "g.sequence, g.id, k.arn, g.token, g.name, g.fingerprint, \
     g.created, g.entry, g.digest, g.key";

impl StoredGrant {
    /// What a row must carry: a flipped bit in it, or in its place, is found when it is read.
    pub(super) fn digest(&self, sequence: i64) -> [u8; DIGEST] {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(&sequence.to_le_bytes());
        field(self.id.as_bytes());
        field(self.key_arn.as_bytes());
        field(self.token.as_bytes());
        field(if self.name.is_some() { b"named" } else { b"" });
        field(self.name.as_deref().unwrap_or_default().as_bytes());
        field(&self.fingerprint);
        field(&self.created_millis.to_le_bytes());
        field(self.entry.as_bytes());
        let mut digest = [0; DIGEST];
        digest.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        digest
    }

    /// Reads a row of [`COLUMNS`].
    pub(super) fn from_row(row: &Row<'_>) -> Result<Self, RowFault> {
        let sequence: i64 = row.get(0)?;
        let damaged = |_: FromSqlError| RowFault::Damaged(sequence);
        let text = |column| -> Result<Box<str>, RowFault> {
            Ok(row.get_ref(column)?.as_str().map_err(damaged)?.into())
        };
        let bytes =
            |column| -> Result<&[u8], RowFault> { row.get_ref(column)?.as_blob().map_err(damaged) };
        let grant = Self {
            id: text(1)?,
            key_arn: text(2)?,
            token: text(3)?,
            name: row.get_ref(4)?.as_str_or_null().map_err(damaged)?.map(Into::into),
            fingerprint: bytes(5)?.try_into().map_err(|_| RowFault::Damaged(sequence))?,
            created_millis: row.get_ref(6)?.as_i64().map_err(damaged)?,
            entry: text(7)?,
        };
        if bytes(8)? == grant.digest(sequence) {
            Ok(grant)
        } else {
            Err(RowFault::Damaged(sequence))
        }
    }
}

/// A row could not be read.
#[derive(Debug)]
pub(super) enum RowFault {
    /// The row that this change wrote is not as it was written.
    Damaged(i64),
    /// It could not be fetched.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for RowFault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

//! Reading everything once, and believing nothing: is the database whole?

use rusqlite::Connection;

use super::change::is_object;
use super::format::{self, STEPS};
use super::grant::{COLUMNS, RowFault, StoredGrant};
use super::meta::Meta;

/// What is wrong with a database.
pub(super) enum Wrong {
    /// It is not as it was written.
    Damaged(String),
    /// It could not be read.
    Sqlite(rusqlite::Error),
    /// A grant was refused by the one who asked for it.
    Refused { id: Box<str>, why: String },
}

impl From<rusqlite::Error> for Wrong {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Checks the whole database, and gives every grant to `each`, in the order of creation. The time
/// is linear in the number of grants, the memory is not touched by it.
pub(super) fn read(
    connection: &Connection,
    each: &mut dyn FnMut(StoredGrant) -> Result<(), String>,
) -> Result<Meta, Wrong> {
    let damaged = |what: &str| Err(Wrong::Damaged(what.to_owned()));
    // The tree of pages, and that each index holds what its table holds.
    let pages: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if pages != "ok" {
        return Err(Wrong::Damaged(pages.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    if !format::is_whole(connection, STEPS)? {
        return damaged("its tables are not those that keyward made");
    }
    let Some(meta) = Meta::read(connection)? else {
        return damaged("what it says of itself is not as it was written");
    };
    let miscounted: i64 = connection.query_row(
        "SELECT count(*) FROM keys k WHERE k.grants <> \
         (SELECT count(*) FROM grants g WHERE g.key = k.key)",
        [],
        |row| row.get(0),
    )?;
    if miscounted != 0 {
        return damaged("it counts other grants for a key than it holds");
    }
    if grants(connection, &meta, each)? != meta.grants {
        return damaged("it counts other grants than it holds");
    }
    Ok(meta)
}

fn grants(
    connection: &Connection,
    meta: &Meta,
    each: &mut dyn FnMut(StoredGrant) -> Result<(), String>,
) -> Result<u64, Wrong> {
    let mut read = 0;
    let mut statement = connection.prepare(&format!(
        // CROSS: in the order of the grants, without sorting them.
        "SELECT {COLUMNS} FROM grants g CROSS JOIN keys k USING (key) ORDER BY g.sequence"
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let sequence = row.get::<_, i64>(0)?;
        let damaged = |what| Wrong::Damaged(format!("the grant of change {sequence} {what}"));
        let grant = StoredGrant::from_row(row).map_err(|fault| match fault {
            RowFault::Damaged(_) => damaged("is not as it was written"),
            RowFault::Sqlite(error) => Wrong::Sqlite(error),
        })?;
        if sequence.cast_unsigned() > meta.sequence {
            return Err(damaged("is newer than the last change"));
        }
        if !is_object(&grant.entry) {
            return Err(damaged("has an entry that is not a JSON object"));
        }
        let id = grant.id.clone();
        each(grant).map_err(|why| Wrong::Refused { id, why })?;
        read += 1;
    }
    Ok(read)
}

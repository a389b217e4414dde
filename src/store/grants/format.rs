//! The form of the file, and how an older one becomes the present one.

use std::fs::File;
use std::io::{self, Read as _};

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// What marks a file as ours: `KWGR`.
pub(super) const APPLICATION_ID: i32 = 0x4B57_4752;

/// The steps from nothing to the present version: step `n` makes version `n` of version `n - 1`. A
/// step that was released is never changed.
pub(super) const STEPS: &[&str] = &[VERSION_1];

const VERSION_1: &str = "
    CREATE TABLE meta (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        incarnation BLOB NOT NULL,
        secret BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        grants INTEGER NOT NULL,
        digest BLOB NOT NULL
    ) STRICT;
    CREATE TABLE keys (
        key INTEGER PRIMARY KEY,
        arn TEXT NOT NULL UNIQUE,
        grants INTEGER NOT NULL CHECK (grants > 0)
    ) STRICT;
    CREATE TABLE grants (
        sequence INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        key INTEGER NOT NULL REFERENCES keys (key),
        token TEXT NOT NULL,
        name TEXT,
        fingerprint BLOB NOT NULL,
        created INTEGER NOT NULL,
        entry TEXT NOT NULL,
        digest BLOB NOT NULL
    ) STRICT;
    CREATE INDEX grants_of_key ON grants (key, name, fingerprint);
";

/// What the first bytes of a file say. Read before SQLite is let near it.
pub(super) enum Header {
    /// Shorter than a header.
    Short,
    /// Not ours.
    Foreign,
    /// Ours, of this version.
    Version(i32),
}

impl Header {
    /// Source: SQLite, "Database File Format", section 1.3.
    pub(super) fn read(file: &File) -> io::Result<Self> {
        let mut header = Vec::with_capacity(100);
        file.take(100).read_to_end(&mut header)?;
        let number = |at: usize| -> Option<i32> {
            Some(i32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?))
        };
        if header.len() < 100 {
            return Ok(Self::Short);
        }
        let ours = header.starts_with(b"SQLite format 3\0") && number(68) == Some(APPLICATION_ID);
        Ok(number(60).filter(|_| ours).map_or(Self::Foreign, Self::Version))
    }
}

/// The version of an open database.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Takes a database through the steps that it lacks: all of them, or none. `finish` is part of it.
pub(super) fn migrate(
    connection: &mut Connection,
    steps: &[&str],
    finish: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = usize::try_from(version(&transaction)?).unwrap_or(0);
    for step in steps.iter().skip(from) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", latest(steps))?;
    finish(&transaction)?;
    transaction.commit()
}

/// The version that the steps lead to.
pub(super) fn latest(steps: &[&str]) -> i32 {
    i32::try_from(steps.len()).unwrap_or(i32::MAX)
}

/// Whether the tables are those that the steps make: nothing missing, nothing changed, nothing
/// added (such as a trigger).
pub(super) fn is_whole(connection: &Connection, steps: &[&str]) -> rusqlite::Result<bool> {
    let model = Connection::open_in_memory()?;
    for step in steps {
        model.execute_batch(step)?;
    }
    Ok(schema(connection)? == schema(&model)?)
}

/// Kind, name and text of everything that is not SQLite's own.
type Schema = Vec<(String, String, Option<String>)>;

fn schema(connection: &Connection) -> rusqlite::Result<Schema> {
    let mut statement = connection.prepare(
        "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         ORDER BY type, name",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{STEPS, is_whole, latest, migrate, version};

    fn with(steps: &[&str]) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, steps, |_| Ok(())).unwrap();
        connection
    }

    #[test]
    fn an_older_database_is_taken_through_the_steps_that_it_lacks() {
        let mut connection = with(STEPS);
        connection.execute("INSERT INTO keys VALUES (1, 'arn', 7)", []).unwrap();
        let steps = [STEPS, &["ALTER TABLE keys ADD COLUMN note TEXT DEFAULT 'new'"]].concat();
        migrate(&mut connection, &steps, |_| Ok(())).unwrap();
        assert_eq!(version(&connection).unwrap(), latest(STEPS) + 1);
        assert!(is_whole(&connection, &steps).unwrap());
        let row = connection
            .query_row("SELECT arn || grants || note FROM keys", [], |row| row.get::<_, String>(0));
        assert_eq!(row.unwrap(), "arn7new");
    }

    #[test]
    fn a_step_that_fails_leaves_the_older_database() {
        let mut connection = with(STEPS);
        let steps = [STEPS, &["CREATE TABLE more (a TEXT); INSERT INTO nowhere VALUES (1)"]];
        assert!(migrate(&mut connection, &steps.concat(), |_| Ok(())).is_err());
        assert_eq!(version(&connection).unwrap(), latest(STEPS));
        assert!(is_whole(&connection, STEPS).unwrap());
    }

    #[test]
    fn a_table_too_many_is_noticed() {
        let connection = with(STEPS);
        assert!(is_whole(&connection, STEPS).unwrap());
        let trigger = "CREATE TRIGGER t AFTER DELETE ON grants BEGIN SELECT 1; END";
        connection.execute_batch(trigger).unwrap();
        assert!(!is_whole(&connection, STEPS).unwrap());
    }
}

//! One process at a time, and only what is ours.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use keyward::store::grants::grant::StoredGrant;
use keyward::store::grants::opening::OpenError;
use keyward::store::grants::{GrantsDatabase, Settings};

use super::elsewhere::{self, folder, say};
use super::sample::{Grants, bytes, filled, opened, patiently, refusal, try_open};

/// A database that was closed, and its grants.
fn closed(folder: &Path) -> Grants {
    filled(folder, (0..10).map(|n| format!("g{n}"))).1
}

#[test]
fn a_process_says_whether_it_can_open_the_folder() {
    let Some(folder) = folder() else { return };
    match try_open(&folder) {
        Ok((_, grants)) => say(&format!("{} grants", grants.len())),
        Err(error) => say(&error.to_string()),
    }
}

const OTHER: &str = "format::a_process_says_whether_it_can_open_the_folder";

#[test]
fn a_folder_is_held_by_one_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let (held, _) = filled(folder.path(), std::iter::once("g".to_owned()));
    let path = fs::canonicalize(folder.path()).expect("a path");
    let message = format!(
        "the data folder `{}` is in use by another keyward process ({}); stop it, or give this one \
         a folder of its own",
        path.display(),
        std::process::id()
    );
    assert_eq!(elsewhere::run(OTHER, folder.path(), &[]), [&*message]);
    assert_eq!(refusal(folder.path()).to_string(), message);
    drop(held);
    // A process that another test starts just now may hold it a moment longer.
    let free = |said: &Vec<String>| said.iter().all(|said| *said != message);
    let mut said = (0..1000).map(|_| elsewhere::run(OTHER, folder.path(), &[]));
    assert_eq!(said.find(free).as_deref(), Some(["1 grants".to_owned()].as_slice()));
    assert_eq!(opened(folder.path()).1.len(), 1);
}

/// Refused, with nothing changed.
#[track_caller]
fn check_refused(folder: &Path, expected: &str) {
    let before = bytes(folder);
    let message = refusal(folder).to_string();
    assert!(message.contains(expected), "{message}");
    assert!(message.contains("grants.sqlite3"), "{message}");
    assert!(bytes(folder) == before, "{expected}: the file was changed");
}

fn pragma(folder: &Path, sql: &str) {
    let file = rusqlite::Connection::open(folder.join("grants.sqlite3")).expect("the file");
    file.execute_batch(sql).expect("a change of the file");
}

#[test]
fn a_newer_database_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    closed(folder.path());
    pragma(folder.path(), "PRAGMA user_version = 2; PRAGMA wal_checkpoint(TRUNCATE)");
    check_refused(folder.path(), "has format 2, newer than 1");
    pragma(folder.path(), "PRAGMA user_version = 1; PRAGMA wal_checkpoint(TRUNCATE)");
    assert_eq!(opened(folder.path()).1.len(), 10);
    for version in ["0", "-1"] {
        pragma(folder.path(), &format!("PRAGMA user_version = {version}"));
        check_refused(folder.path(), "is damaged: its format is");
    }
}

#[test]
fn a_database_that_is_newer_only_in_its_log_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    closed(folder.path());
    let file = rusqlite::Connection::open(folder.path().join("grants.sqlite3")).expect("the file");
    file.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA user_version = 2").expect("a change");
    check_refused(folder.path(), "has format 2, newer than 1");
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("grants.sqlite3");
    let write = |content: &[u8]| {
        fs::write(&file, content).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("permissions");
    };
    write("{\"Grants\": []}\n".repeat(100).as_bytes());
    check_refused(folder.path(), "is not a grants database of keyward");
    write(&[0; 8192]);
    check_refused(folder.path(), "is not a grants database of keyward");
    write(b"");
    check_refused(folder.path(), "is damaged: it ends after 0 bytes");
    fs::remove_file(&file).expect("a file");
    // Another program's database.
    pragma(folder.path(), "CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('x')");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("permissions");
    check_refused(folder.path(), "is not a grants database of keyward");
    fs::remove_file(&file).expect("a file");
    fs::create_dir(&file).expect("a folder");
    check_refused(folder.path(), "is not a grants database of keyward");
    fs::remove_dir(&file).expect("a folder");
    let elsewhere = tempfile::tempdir().expect("a folder");
    closed(elsewhere.path());
    symlink(elsewhere.path().join("grants.sqlite3"), &file).expect("a link");
    check_refused(folder.path(), "is not a grants database of keyward");
}

#[test]
fn a_database_with_other_tables_is_left_alone() {
    for sql in [
        "CREATE TRIGGER t AFTER DELETE ON grants BEGIN INSERT INTO keys VALUES (99, 'x', 1); END",
        "CREATE TABLE more (a TEXT)",
        "ALTER TABLE keys ADD COLUMN more TEXT",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        closed(folder.path());
        pragma(folder.path(), sql);
        check_refused(folder.path(), "its tables are not those that keyward made");
    }
}

#[test]
fn a_database_that_says_one_thing_and_holds_another_is_left_alone() {
    for (sql, expected) in [
        ("DELETE FROM grants WHERE id = 'g3'", "it counts other grants for a key"),
        ("UPDATE keys SET grants = grants + 1 WHERE key = 1", "it counts other grants for a key"),
        ("UPDATE meta SET sequence = 99", "what it says of itself"),
        ("UPDATE meta SET secret = randomblob(32)", "what it says of itself"),
        ("DELETE FROM meta", "what it says of itself"),
        ("UPDATE grants SET entry = '{}' WHERE id = 'g3'", "is not as it was written"),
        ("UPDATE grants SET name = 'other' WHERE id = 'g3'", "is not as it was written"),
        ("UPDATE grants SET sequence = 4711 WHERE id = 'g3'", "is not as it was written"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        closed(folder.path());
        pragma(folder.path(), sql);
        check_refused(folder.path(), expected);
    }
}

#[test]
fn a_database_that_is_open_to_everybody_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    closed(folder.path());
    let file = folder.path().join("grants.sqlite3");
    for (mode, usable) in [(0o644, false), (0o602, false), (0o660, true), (0o600, true)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("permissions");
        match super::sample::open(folder.path()) {
            Ok((_, grants)) => assert_eq!((usable, grants.len()), (true, 10), "{mode:o}"),
            Err(OpenError::Exposed { mode: found, .. }) => {
                assert_eq!((usable, found), (false, mode));
            }
            Err(error) => panic!("{mode:o}: {error}"),
        }
    }
}

#[test]
fn a_folder_that_everybody_may_write_to_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    closed(folder.path());
    for (mode, usable) in [(0o777, false), (0o1777, false), (0o702, false), (0o755, true)] {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(folder.path(), permissions).expect("permissions");
        match super::sample::open(folder.path()) {
            Ok((_, grants)) => assert_eq!((usable, grants.len()), (true, 10), "{mode:o}"),
            Err(error) => {
                assert!(matches!(error, OpenError::ExposedFolder { .. }) && !usable, "{error}");
                assert!(error.to_string().contains("run `chmod 700` on it"), "{error}");
            }
        }
    }
}

#[test]
fn a_grant_that_the_caller_cannot_use_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    closed(folder.path());
    let found = patiently(|| {
        let each = |grant: StoredGrant| {
            if &*grant.id == "g4" { Err("no such key".into()) } else { Ok(()) }
        };
        GrantsDatabase::open(folder.path(), Settings::default(), each, Box::new(|_| {}))
    });
    let message = found.err().expect("a refusal").to_string();
    assert!(message.starts_with("the grant `g4` in the grants database `"), "{message}");
    assert!(message.contains("cannot be used: no such key"), "{message}");
    assert_eq!(opened(folder.path()).1.len(), 10);
}

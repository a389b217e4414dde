//! A write-ahead log that is not what it was: SQLite would go on with what is left.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use keyward::store::grants::Opened;
use keyward::store::grants::opening::OpenError;

use super::sample::{
    Dice, Grants, bytes, copied, creation, filled, grant, make, open, opened, refusal, removal,
};

/// A database as a killed process leaves it: the last changes are in the log alone.
fn killed() -> (tempfile::TempDir, Grants) {
    let folder = tempfile::tempdir().expect("a folder");
    let (opened, mut grants) = filled(folder.path(), (0..40).map(|n| format!("g{n}")));
    for id in ["g3", "g39"] {
        make(&opened.database, removal(id)).expect("a removal");
        grants.remove(id);
    }
    (copied(folder.path()), grants)
}

/// Lost changes are noticed, and nothing is touched; or nothing was lost.
#[track_caller]
fn check(folder: &Path, grants: &Grants, what: &str) -> bool {
    let before = bytes(folder);
    match open(folder) {
        Ok((_, found)) => {
            assert!(found == *grants, "{what}: other grants");
            false
        }
        Err(OpenError::Lost { known: 42, found: 0..42, .. } | OpenError::Damaged { .. }) => {
            assert!(bytes(folder) == before, "{what}: a file was changed");
            true
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn the_log_of_a_killed_process_is_taken_over() {
    let (folder, grants) = killed();
    let (Opened { database, sequence, .. }, found) = opened(folder.path());
    assert_eq!((found == grants, sequence), (true, 42));
    assert_eq!(make(&database, removal("g4")).expect("a removal").sequence, 43);
}

#[test]
fn a_damaged_log_does_not_bring_a_removed_grant_back() {
    let (original, grants) = killed();
    let log = fs::read(original.path().join("grants.sqlite3-wal")).expect("the log");
    let mut dice = Dice(5);
    let mut refusals = 0;
    for _ in 0..150 {
        let folder = copied(original.path());
        let mut damaged = log.clone();
        let at = dice.below(damaged.len());
        damaged[at] ^= 1 << dice.below(8);
        fs::write(folder.path().join("grants.sqlite3-wal"), damaged).expect("a log");
        refusals += usize::from(check(folder.path(), &grants, &format!("a bit at {at}")));
    }
    assert!(refusals > 140, "{refusals}");
    for _ in 0..50 {
        let folder = copied(original.path());
        let keep = dice.below(log.len());
        fs::write(folder.path().join("grants.sqlite3-wal"), &log[..keep]).expect("a log");
        assert!(check(folder.path(), &grants, &format!("cut at {keep}")), "cut at {keep}");
    }
}

#[test]
fn a_log_that_is_gone_is_missed() {
    let (folder, grants) = killed();
    fs::remove_file(folder.path().join("grants.sqlite3-wal")).expect("a log");
    assert!(check(folder.path(), &grants, "no log"));
    let message = refusal(folder.path()).to_string();
    assert!(message.contains("it ends with change 0, and change 42 had been"), "{message}");
}

#[test]
fn a_backup_is_used_only_when_that_is_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(filled(folder.path(), (0..5).map(|n| format!("g{n}"))));
    let backup = fs::read(folder.path().join("grants.sqlite3")).expect("the file");
    let (later, _) = opened(folder.path());
    make(&later.database, removal("g1")).expect("a removal");
    drop(later);
    fs::write(folder.path().join("grants.sqlite3"), backup).expect("a file");
    let message = refusal(folder.path()).to_string();
    assert!(message.contains("it ends with change 5, and change 6 had been"), "{message}");
    assert!(message.contains("remove `grants.committed`"), "{message}");
    fs::remove_file(folder.path().join("grants.committed")).expect("the mark");
    assert_eq!(opened(folder.path()).1.len(), 5);
}

#[test]
fn a_mark_that_says_nothing_is_written_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(filled(folder.path(), (0..5).map(|n| format!("g{n}"))));
    let mark = folder.path().join("grants.committed");
    let mut histories = BTreeSet::from([opened(folder.path()).0.incarnation]);
    for content in ["", "nonsense", "00000000-0000-0000-0000-000000000000 nonsense\n"] {
        fs::write(&mark, content).expect("a mark");
        let (opened, grants) = opened(folder.path());
        assert_eq!(grants.len(), 5, "{content}");
        assert!(histories.insert(opened.incarnation), "{content}: nobody knows what was before");
        let written = fs::read_to_string(&mark).expect("a mark");
        assert!(written.contains(" 00000000000000000005\n"), "{written}");
    }
}

#[test]
fn the_mark_of_another_history_says_nothing_of_this_one() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(filled(folder.path(), (0..5).map(|n| format!("g{n}"))));
    let [file, mark] = ["grants.sqlite3", "grants.committed"].map(|name| folder.path().join(name));
    let backup = fs::read(&file).expect("the file");
    // Put back once, which is meant: another history.
    fs::remove_file(&mark).expect("the mark");
    let (second, _) = opened(folder.path());
    make(&second.database, removal("g1")).expect("a removal");
    drop(second);
    // Put back again, with what belongs to the second history beside it.
    fs::write(&file, &backup).expect("a file");
    let before = bytes(folder.path());
    let message = refusal(folder.path()).to_string();
    assert!(message.contains("`grants.committed` beside the grants database"), "{message}");
    assert!(bytes(folder.path()) == before, "a file was changed");
    fs::remove_file(&mark).expect("the mark");
    assert_eq!(opened(folder.path()).1.len(), 5);
}

#[test]
fn a_database_that_is_gone_is_not_made_anew() {
    let (folder, _) = killed();
    let file = folder.path().join("grants.sqlite3");
    fs::remove_file(&file).expect("the file");
    for left in ["grants.sqlite3-wal", "grants.committed"] {
        let message = refusal(folder.path()).to_string();
        assert!(message.contains(&format!("is missing, but `{left}` is beside it")), "{message}");
        assert!(!file.exists());
        fs::remove_file(folder.path().join(left)).expect("a file");
    }
    let (Opened { database, .. }, grants) = opened(folder.path());
    assert!(grants.is_empty());
    assert!(make(&database, creation(grant("g"))).is_ok());
}

//! The end: in good order, or because what is live could not follow.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use keyward::store::grants::change::{Applied, ChangeError};
use keyward::store::grants::{Opened, ReadError, Settings};

use super::sample::{creation, filled, grant, make, open_with, opened, removal, runtime};

#[test]
fn closing_makes_what_waits_and_lets_the_folder_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let (Opened { database, .. }, _) = opened(folder.path());
    let database = Arc::new(database);
    runtime().block_on(async {
        let change = |id: String| {
            let database = database.clone();
            tokio::spawn(async move { database.change(creation(grant(&id))).await })
        };
        let waiting: Vec<_> = (0..20).map(|n| change(format!("g{n}"))).collect();
        tokio::task::yield_now().await;
        database.close().await;
        for change in waiting {
            assert!(change.await.expect("a task").is_ok());
        }
        assert_eq!(database.change(creation(grant("late"))).await, Err(ChangeError::Closed));
        assert!(matches!(database.find("g1"), Err(ReadError::Closed)));
        database.close().await;
    });
    let mut left: Vec<_> = fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    left.sort();
    let expected = ["grants.committed", "grants.reserve", "grants.sqlite3", "keyward.lock"];
    assert_eq!(left, expected, "no log: one file to copy");
    // The closed database is still held, and stands in nobody's way.
    let (_again, grants) = opened(folder.path());
    assert_eq!(grants.len(), 20);
}

#[test]
fn a_start_finds_what_an_end_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, grants) = filled(folder.path(), (0..30).map(|n| format!("g{n}")));
    let token = first.tokens.mint("g1").expect("a token");
    let (sequence, incarnation) = (first.database.status().sequence, first.incarnation);
    drop(first);
    let (second, found) = opened(folder.path());
    assert_eq!(found, grants);
    assert_eq!((second.sequence, second.incarnation), (sequence, incarnation));
    assert_eq!(second.tokens.read(&token).as_deref(), Ok("g1"));
    let status = second.database.status();
    assert_eq!((status.grants, status.sequence, status.poisoned), (30, 30, None));
    assert!(status.bytes >= 30 * 400, "{}", status.bytes);
    let next = make(&second.database, removal("g1")).expect("a removal");
    assert_eq!(next.sequence, sequence + 1);
}

#[test]
fn the_files_are_for_their_owner_alone() {
    let above = tempfile::tempdir().expect("a folder");
    let folder = above.path().join("deep/data");
    let (_open, _) = filled(&folder, std::iter::once("g".to_owned()));
    let mode =
        |name: &str| fs::metadata(folder.join(name)).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for name in [
        "grants.sqlite3",
        "grants.sqlite3-wal",
        "grants.committed",
        "grants.reserve",
        "keyward.lock",
    ] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}

#[test]
fn after_a_change_that_could_not_be_followed_none_is_taken_until_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let follow = |group: &[Applied]| assert!(group[0].sequence < 3, "no further");
    let (Opened { database, .. }, _) =
        open_with(folder.path(), Settings::default(), Box::new(follow)).expect("a database");
    make(&database, creation(grant("a"))).expect("a creation");
    make(&database, creation(grant("b"))).expect("a creation");
    let third = make(&database, creation(grant("c")));
    let Err(ChangeError::Poisoned(why)) = &third else { panic!("{third:?}") };
    assert!(why.contains("no further"), "{why}");
    assert_eq!(make(&database, removal("a")), Err(ChangeError::Poisoned(why.clone())));
    assert_eq!(database.status().poisoned.as_ref(), Some(why));
    // Reads go on.
    assert_eq!(database.find("a").expect("a look"), Some(grant("a")));
    drop(database);
    let (Opened { database, .. }, grants) = opened(folder.path());
    assert_eq!(grants.len(), 3, "it was durable");
    assert!(make(&database, removal("a")).is_ok());
}

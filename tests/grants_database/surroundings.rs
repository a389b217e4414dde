//! Disks that are full, read-only or out of order.

use std::fs;
use std::path::Path;

use keyward::store::grants::Opened;
use keyward::store::grants::change::ChangeError;

use super::elsewhere::{self, folder, mounted, say};
use super::sample::{Grants, bytes, creation, filled, grant, make, open, opened, refusal, removal};

/// Creates until it fails: what was acknowledged, and why it failed.
fn create_until_refused(opened: &Opened, prefix: &str) -> (Grants, ChangeError) {
    let mut grants = Grants::new();
    for number in 0..100_000 {
        let id = format!("{prefix}{number}");
        match make(&opened.database, creation(grant(&id))) {
            Ok(_) => grants.insert(id.clone(), grant(&id)),
            Err(error) => return (grants, error),
        };
    }
    panic!("it never failed");
}

/// Runs a test of this program in a file system of its own, where the system lets one mount. Where
/// it does not, the unit tests of the store stand in: their database may not grow.
#[expect(clippy::print_stderr, reason = "whoever runs the tests has to know what was not tried")]
fn run_mounted(name: &str, folder: &Path, script: &str) {
    let Some(through) = mounted(script) else {
        eprintln!("not tried: this system lets nobody mount");
        return;
    };
    let through: Vec<&str> = through.iter().map(String::as_str).collect();
    assert_eq!(elsewhere::run(name, folder, &through), ["done"]);
}

/// `$GRANTS_DATABASE_TEST_FOLDER` becomes a disk of that many KiB.
fn disk_of(kibibytes: u32) -> String {
    format!("mount -t tmpfs -o size={kibibytes}k,mode=0700 tmpfs \"$GRANTS_DATABASE_TEST_FOLDER\"")
}

#[test]
fn a_process_fills_its_disk() {
    let Some(folder) = folder() else { return };
    let ballast = folder.join("ballast");
    fs::write(&ballast, vec![1; 512 * 1024]).expect("a file");
    let (first, _) = opened(&folder);
    let (mut grants, error) = create_until_refused(&first, "first");
    assert_eq!(error, ChangeError::DiskFull);
    assert!(grants.len() > 20, "{}", grants.len());
    // Nothing is lost, nothing is poisoned, and it stays so.
    for (id, grant) in &grants {
        assert_eq!(first.database.find(id).expect("a look").as_ref(), Some(grant));
    }
    let status = first.database.status();
    assert_eq!((status.grants, status.poisoned), (grants.len() as u64, None));
    assert_eq!(make(&first.database, creation(grant("again"))), Err(ChangeError::DiskFull));
    assert_eq!(first.database.find("again").expect("a look"), None);
    // With room it goes on, without a restart.
    fs::remove_file(&ballast).expect("a file");
    make(&first.database, removal("first0")).expect("a removal");
    grants.remove("first0");
    let (more, error) = create_until_refused(&first, "second");
    assert_eq!(error, ChangeError::DiskFull);
    assert!(!more.is_empty());
    grants.extend(more);
    let sequence = first.database.status().sequence;
    drop(first);
    // A start on a full disk: it works, or says why, and with room everything is there.
    if let Err(error) = open(&folder) {
        assert!(error.to_string().contains("has room"), "{error}");
    }
    let (opened, found) = opened(&folder);
    assert_eq!((opened.sequence, found == grants), (sequence, true));
    say("done");
}

#[test]
fn a_full_disk_loses_nothing_and_there_may_be_room_later() {
    let folder = tempfile::tempdir().expect("a folder");
    run_mounted("surroundings::a_process_fills_its_disk", folder.path(), &disk_of(8192));
}

#[test]
fn a_process_starts_on_a_full_disk() {
    let Some(folder) = folder() else { return };
    let ballast = folder.join("ballast");
    for kept in (0..128).step_by(4) {
        let _was_not_there = fs::remove_file(&ballast);
        let _as_much_as_fits = fs::write(&ballast, vec![1; (128 - kept) * 1024]);
        match open(&folder) {
            Ok((_, grants)) => assert!(grants.is_empty()),
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains("full") || message.contains("No space"), "{message}");
            }
        }
    }
    fs::remove_file(&ballast).expect("a file");
    assert!(opened(&folder).1.is_empty());
    say("done");
}

#[test]
fn a_database_that_found_no_room_is_made_when_there_is_some() {
    let folder = tempfile::tempdir().expect("a folder");
    run_mounted("surroundings::a_process_starts_on_a_full_disk", folder.path(), &disk_of(192));
}

#[test]
fn a_process_is_given_a_read_only_folder() {
    let Some(folder) = folder() else { return };
    let before = bytes(&folder);
    let message = refusal(&folder).to_string();
    assert!(message.contains("Read-only file system"), "{message}");
    assert!(message.contains("readable and writable for keyward"), "{message}");
    assert!(message.contains(&*folder.to_string_lossy()), "{message}");
    assert!(bytes(&folder) == before);
    say("done");
}

#[test]
fn a_read_only_folder_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(filled(folder.path(), (0..5).map(|n| format!("g{n}"))));
    let script = "mount --bind \"$GRANTS_DATABASE_TEST_FOLDER\" \"$GRANTS_DATABASE_TEST_FOLDER\"; \
                  mount -o remount,ro,bind \"$GRANTS_DATABASE_TEST_FOLDER\"";
    run_mounted("surroundings::a_process_is_given_a_read_only_folder", folder.path(), script);
    assert_eq!(opened(folder.path()).1.len(), 5);
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    // Nobody makes folders there, root neither.
    let message = refusal(Path::new("/proc/keyward")).to_string();
    assert!(message.starts_with("cannot create the data folder `/proc/keyward`: "), "{message}");
    let above = tempfile::tempdir().expect("a folder");
    let file = above.path().join("file");
    fs::write(&file, "content").expect("a file");
    let message = refusal(&file).to_string();
    assert!(message.ends_with("is not a folder; give the path of a folder"), "{message}");
    let message = refusal(&file.join("data")).to_string();
    assert!(message.contains("Not a directory"), "{message}");
    assert_eq!(fs::read_to_string(&file).expect("the file"), "content");
}

#[test]
fn a_process_meets_an_error_while_it_commits() {
    let Some(folder) = folder() else { return };
    let (opened, _) = opened(&folder);
    let (grants, error) = create_until_refused(&opened, "g");
    let ChangeError::Poisoned(why) = &error else { panic!("{error}") };
    assert!(why.contains("a commit failed"), "{why}");
    // From now on nothing is written, and everything is read.
    assert_eq!(make(&opened.database, removal("g0")), Err(error.clone()));
    assert_eq!(opened.database.status().poisoned.as_ref(), Some(why));
    for (id, grant) in &grants {
        assert_eq!(opened.database.find(id).expect("a look").as_ref(), Some(grant));
    }
    say(&grants.len().to_string());
}

#[test]
fn an_error_in_a_commit_stops_all_writing_until_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    // With a reserve, which is longer than files may become.
    drop(opened(folder.path()));
    // No file may grow beyond a bound: a write fails as on a bad disk, not as on a full one.
    let through = ["sh", "-euc", "trap '' XFSZ; ulimit -f 1024; exec \"$@\"", "sh"];
    let name = "surroundings::a_process_meets_an_error_while_it_commits";
    let said = elsewhere::run(name, folder.path(), &through);
    let acknowledged: u64 = said.concat().parse().expect("a number");
    assert!(acknowledged > 10, "{acknowledged}");
    let (opened, grants) = opened(folder.path());
    for number in 0..acknowledged {
        let id = format!("g{number}");
        assert_eq!(grants.get(&id), Some(&grant(&id)));
    }
    assert!(grants.len() as u64 - acknowledged <= 1, "the one that was not acknowledged");
    assert!(make(&opened.database, removal("g0")).is_ok());
}

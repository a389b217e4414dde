//! What is written is read, and nothing else is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use super::{FILE, LastGood};
use crate::engine::bundle::{Document, Limits};

/// Long after all files of these tests.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000)
}

fn documents() -> Vec<Document> {
    [("a.json", "{}"), ("b/c.json", "{\"ä\": 1}"), ("empty.json", "")]
        .map(|(name, text)| Document { name: name.into(), text: text.into() })
        .into()
}

fn written(folder: &std::path::Path) -> LastGood {
    let kept = LastGood::within(folder);
    let seen = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let documents = documents();
    let whole = kept.write(kept.generation(), documents.into_iter().map(Some), seen);
    assert!(whole.unwrap());
    kept
}

#[test]
fn what_was_written_is_read_and_nobody_else_may() {
    let folder = tempfile::tempdir().unwrap();
    let none = LastGood::within(folder.path());
    assert!(none.read(&Limits::default(), now()).unwrap().is_none());
    let kept = written(folder.path());
    let read = kept.read(&Limits::default(), now()).unwrap().unwrap();
    let pairs = |documents: &[Document]| -> Vec<(String, String)> {
        documents.iter().map(|one| (one.name.to_string(), one.text.to_string())).collect()
    };
    assert_eq!(pairs(&read.documents), pairs(&documents()));
    assert_eq!(read.seen.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), 1_700_000_000);
    let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    kept.forget().unwrap();
    kept.forget().unwrap();
    assert!(kept.read(&Limits::default(), now()).unwrap().is_none());
}

#[test]
fn a_copy_that_was_begun_before_another_set_answered_is_not_put_there() {
    let folder = tempfile::tempdir().unwrap();
    let kept = written(folder.path());
    let generation = kept.generation();
    kept.forget().unwrap();
    let late = kept.write(generation, documents().into_iter().map(Some), SystemTime::UNIX_EPOCH);
    assert!(!late.unwrap());
    let gone = [None].into_iter();
    assert!(!kept.write(kept.generation(), gone, SystemTime::UNIX_EPOCH).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn whatever_byte_is_changed_missing_or_more_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let kept = written(folder.path());
    let path = folder.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    let check = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        assert!(kept.read(&Limits::default(), now()).is_err(), "{} bytes", bytes.len());
    };
    for at in 0..whole.len() {
        check(&whole[..at]);
        let mut changed = whole.clone();
        changed[at] ^= 1;
        check(&changed);
    }
    check(&[&*whole, b" "].concat());
    fs::write(&path, &whole).unwrap();
    assert!(kept.read(&Limits::default(), now()).is_ok());
    let small = Limits { document_bytes: 5, ..Limits::default() };
    assert!(kept.read(&small, now()).is_err());
}

#[test]
fn a_file_that_others_could_have_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let kept = written(folder.path());
    let path = folder.path().join(FILE);
    for mode in [0o640, 0o602, 0o666, 0o4600, 0o700] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = kept.read(&Limits::default(), now()).unwrap_err().to_string();
        assert!(error.contains(&format!("its mode is {mode:04o}")), "{error}");
    }
    fs::rename(&path, folder.path().join("aside")).unwrap();
    std::os::unix::fs::symlink("aside", &path).unwrap();
    assert!(kept.read(&Limits::default(), now()).is_err());
}

#[test]
fn a_copy_of_the_future_is_refused_and_one_of_a_moment_ahead_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let kept = written(folder.path());
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    assert!(kept.read(&Limits::default(), at(1_699_999_950)).unwrap().is_some());
    let error = kept.read(&Limits::default(), at(1_699_999_900)).unwrap_err().to_string();
    assert!(error.contains("lies in the future"), "{error}");
}

//! Folders that change while they are read.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use super::{Documents, Haste, Loader, NotLoaded};
use crate::engine::bundle::Options;
use crate::engine::problem::Problem;
use crate::engine::snapshot::build::Built;
use crate::store::directory::Scope;
use crate::store::directory::watch::Watch;

/// Long enough for any machine; nothing waits for it that works.
const MOST: Duration = Duration::from_secs(60);

fn good(_: &Built, _: Documents<'_>) -> Vec<Problem> {
    Vec::new()
}

fn write(root: &Path, name: &str, id: &str) {
    let arn = format!("arn:aws:kms:us-west-2:111122223333:key/{id}-12ab-34cd-56ef-1234567890ab");
    let key = format!(r#"{{"KeyMetadata": {{"Arn": "{arn}"}}, "Policy": "default"}}"#);
    fs::write(root.join(name), key).unwrap();
}

/// How many keys a load gave; `None` if nothing is new.
fn keys(loaded: Result<Option<Built>, NotLoaded>) -> Option<usize> {
    loaded.unwrap().map(|built| built.snapshot.keys.iter().count())
}

#[track_caller]
fn restless(loaded: Result<Option<Built>, NotLoaded>) {
    assert!(matches!(loaded, Err(NotLoaded::Restless(_))), "{loaded:?}");
}

#[test]
fn what_a_look_finds_is_taken_over_when_the_next_finds_no_more() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.json", "aaaaaaaa");
    let mut loader = Loader::new(root.path(), Options::default());
    let mut watch = Watch::off();
    assert_eq!(keys(loader.load(&Scope::Stamps, &mut watch, &good)), Some(1));
    for haste in [Haste::Unsettled, Haste::Settled] {
        // Nobody tells of changes: that nothing was told says nothing.
        let mut look = || loader.load_in(haste, &Scope::Stamps, &mut watch, &good);
        assert_eq!(keys(look()), None);
        write(root.path(), "b.json", "bbbbbbbb");
        restless(look());
        write(root.path(), "c.json", "cccccccc");
        restless(look());
        assert_eq!(keys(look()), Some(3));
        assert_eq!(keys(look()), None);
        fs::remove_file(root.path().join("b.json")).unwrap();
        restless(look());
        fs::remove_file(root.path().join("c.json")).unwrap();
        restless(look());
        assert_eq!(keys(look()), Some(1));
    }
}

#[test]
fn loose_changes_that_are_told_while_it_is_read_settle_first() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.json", "aaaaaaaa");
    let (tell, told) = mpsc::sync_channel(1);
    let mut watch = Watch::new(move || {
        // Once is enough.
        let _ = tell.try_send(());
    });
    let mut loader = Loader::new(root.path(), Options::default());
    assert_eq!(keys(loader.load(&Scope::Stamps, &mut watch, &good)), Some(1));
    assert_eq!(watch.trouble(), None);
    write(root.path(), "b.json", "bbbbbbbb");
    while !watch.is_loose() {
        told.recv_timeout(MOST).unwrap();
    }
    let mut look = |watch: &mut Watch| loader.load_in(Haste::Settled, &Scope::Stamps, watch, &good);
    restless(look(&mut watch));
    assert!(watch.is_loose(), "whoever waits for quiet hears of it");
    // All of what writing told of has come when what is written after it is told.
    fs::create_dir(root.path().join("d")).unwrap();
    while !watch.take().everything {
        told.recv_timeout(MOST).unwrap();
    }
    assert_eq!(keys(look(&mut watch)), Some(2));
}

#[test]
fn of_a_set_whose_texts_change_while_it_is_verified_nothing_is_said() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a.json", "aaaaaaaa");
    let mut loader = Loader::new(root.path(), Options::default());
    let mut watch = Watch::off();
    let changes = |_: &Built, texts: Documents<'_>| {
        write(root.path(), "a.json", "bbbbbbbb");
        texts().err().into_iter().collect()
    };
    restless(loader.load(&Scope::Stamps, &mut watch, &changes));
    assert!(!loader.is_settled() && loader.refused().is_none());
    let built = loader.load(&Scope::Stamps, &mut watch, &good).unwrap().expect("what is there now");
    let (arn, _) = built.snapshot.keys.iter().next().unwrap();
    assert!(arn.contains("key/bbbbbbbb"), "{arn}");
    // Texts that have not changed are told as they were, and nothing was left undone.
    let texts = |_: &Built, texts: Documents<'_>| texts().err().into_iter().collect::<Vec<_>>();
    assert_eq!(keys(loader.load(&Scope::Contents, &mut watch, &texts)), Some(1));
    assert!(loader.is_settled());
}

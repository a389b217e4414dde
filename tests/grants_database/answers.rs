//! What a change is answered.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use keyward::store::grants::change::{Applied, Change, ChangeError, Effect};
use keyward::store::grants::grant::StoredGrant;
use keyward::store::grants::{GrantsDatabase, Opened, Settings};

use super::sample::{creation, grant, key, make, open_with, opened, runtime};

fn named(id: &str, key_number: usize, name: Option<&str>, parameters: u8) -> StoredGrant {
    StoredGrant {
        key_arn: key(key_number).into(),
        name: name.map(Into::into),
        fingerprint: [parameters; 32],
        ..grant(id)
    }
}

#[track_caller]
fn check_created(database: &GrantsDatabase, grant: StoredGrant, is: &str) {
    let made = make(database, creation(grant)).expect("an answer").effect;
    match made {
        Effect::Created(found) => assert_eq!((&*found.id, "new"), (&*found.id, is)),
        Effect::Existing(found) => assert_eq!(&*found.id, is),
        Effect::Removed(found) => panic!("removed {found:?}"),
    }
}

#[test]
fn the_same_name_and_parameters_on_a_key_are_the_same_grant() {
    let folder = tempfile::tempdir().expect("a folder");
    let (Opened { database, .. }, _) = opened(folder.path());
    check_created(&database, named("a", 1, Some("n"), 1), "new");
    check_created(&database, named("b", 1, Some("n"), 1), "a");
    // Another name, other parameters, another key: another grant.
    check_created(&database, named("c", 1, Some("m"), 1), "new");
    check_created(&database, named("d", 1, Some("n"), 2), "new");
    check_created(&database, named("e", 2, Some("n"), 1), "new");
    check_created(&database, named("f", 1, Some("n"), 2), "d");
    // Without a name there are no repetitions, and an empty name is one.
    check_created(&database, named("g", 1, None, 1), "new");
    check_created(&database, named("h", 1, None, 1), "new");
    check_created(&database, named("i", 1, Some(""), 1), "new");
    check_created(&database, named("j", 1, Some(""), 1), "i");
    assert_eq!(database.status().grants, 7);
    assert_eq!(database.status().sequence, 7, "a repetition is no change");
    // What is gone is not repeated.
    let removal = Change::Remove { key_arn: key(1).into(), id: "a".into() };
    make(&database, removal).expect("a removal");
    check_created(&database, named("k", 1, Some("n"), 1), "new");
    // And a start changes nothing of this.
    drop(database);
    let (Opened { database, .. }, _) = opened(folder.path());
    check_created(&database, named("l", 1, Some("n"), 1), "k");
}

#[test]
fn a_repetition_is_answered_with_the_grant_as_it_was_created() {
    let folder = tempfile::tempdir().expect("a folder");
    let (Opened { database, .. }, _) = opened(folder.path());
    let first = named("a", 1, Some("n"), 1);
    make(&database, creation(first.clone())).expect("a creation");
    make(&database, creation(grant("another"))).expect("a creation");
    let again = make(&database, creation(named("b", 1, Some("n"), 1))).expect("a repetition");
    assert_eq!(again, Applied { sequence: 2, effect: Effect::Existing(first.into()) });
}

#[test]
fn a_key_has_no_more_grants_than_its_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let (Opened { database, .. }, _) = opened(folder.path());
    let create = |id: &str, key_number, limit_per_key, counted_elsewhere| {
        let grant = named(id, key_number, Some(id), 1);
        make(&database, Change::Create { grant, limit_per_key, counted_elsewhere, parent: None })
    };
    let refused = |limit| Err(ChangeError::LimitExceeded { limit });
    assert!(create("a", 1, 2, 0).is_ok());
    assert!(create("b", 1, 2, 0).is_ok());
    assert_eq!(create("c", 1, 2, 0), refused(2));
    // Another key has a limit of its own; grants that live elsewhere count.
    assert!(create("d", 2, 2, 1).is_ok());
    assert_eq!(create("e", 2, 2, 1), refused(2));
    assert_eq!(create("f", 3, 2, 2), refused(2));
    assert_eq!(create("g", 3, 0, 0), refused(0));
    assert_eq!(create("h", 3, 2, u64::MAX), refused(2));
    // A repetition needs no room.
    let again = create("a", 1, 2, 0).expect("a repetition").effect;
    assert!(matches!(again, Effect::Existing(_)));
    // A removal makes room.
    let removal = Change::Remove { key_arn: key(1).into(), id: "a".into() };
    make(&database, removal).expect("a removal");
    assert!(create("i", 1, 2, 0).is_ok());
    assert_eq!(create("j", 1, 2, 0), refused(2));
    assert_eq!(database.status().grants, 3);
}

#[test]
fn what_is_not_there_cannot_be_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (Opened { database, .. }, _) = opened(folder.path());
    let remove = |key_number, id: &str| {
        make(&database, Change::Remove { key_arn: key(key_number).into(), id: id.into() })
    };
    let not_found = |key_number, id: &str| {
        Err(ChangeError::NotFound { key_arn: key(key_number).into(), id: id.into() })
    };
    assert_eq!(remove(1, "a"), not_found(1, "a"));
    make(&database, creation(named("a", 1, None, 1))).expect("a creation");
    // It is on another key.
    assert_eq!(remove(2, "a"), not_found(2, "a"));
    assert!(database.find("a").expect("a look").is_some());
    assert!(remove(1, "a").is_ok());
    assert_eq!(remove(1, "a"), not_found(1, "a"));
    assert_eq!(database.find("a").expect("a look"), None);
    assert_eq!(database.status().sequence, 2);
}

#[test]
fn an_id_is_used_once_and_an_entry_is_an_object() {
    let folder = tempfile::tempdir().expect("a folder");
    let (Opened { database, .. }, _) = opened(folder.path());
    make(&database, creation(named("a", 1, None, 1))).expect("a creation");
    let taken = make(&database, creation(named("a", 2, None, 2)));
    assert_eq!(taken, Err(ChangeError::IdTaken("a".into())));
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(300_000));
    for entry in ["", "[]", "{\"a\":", "{} {}", "\"text\"", &long] {
        let grant = StoredGrant { entry: entry.into(), ..grant("b") };
        let answer = make(&database, creation(grant));
        assert!(matches!(answer, Err(ChangeError::Invalid(_))), "{answer:?}");
    }
    assert_eq!(database.find("a").expect("a look"), Some(named("a", 1, None, 1)));
    assert_eq!(database.status().grants, 1);
    drop(database);
    assert_eq!(opened(folder.path()).1.len(), 1);
}

#[test]
fn one_change_too_many_is_refused_and_the_others_are_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let (entered, has_entered) = sync_channel(0);
    let (go_on, may_go_on) = sync_channel::<()>(0);
    let follow = move |group: &[Applied]| {
        if group[0].sequence == 1 {
            entered.send(()).expect("somebody who waits");
            may_go_on.recv().expect("a word");
        }
    };
    let settings = Settings { queue: 4, group: 8 };
    let (opened, _) = open_with(folder.path(), settings, Box::new(follow)).expect("a database");
    let database = Arc::new(opened.database);
    runtime().block_on(async {
        let change = |id: String| {
            let database = database.clone();
            tokio::spawn(async move { database.change(creation(grant(&id))).await })
        };
        let first = change("first".to_owned());
        tokio::task::yield_now().await;
        has_entered.recv().expect("the writer");
        let waiting: Vec<_> = (0..4).map(|n| change(format!("g{n}"))).collect();
        tokio::task::yield_now().await;
        let too_many = database.change(creation(grant("too many"))).await;
        assert_eq!(too_many, Err(ChangeError::Busy));
        // It is not yet answered, and already seen: it is durable.
        assert!(!first.is_finished());
        assert_eq!(database.find("first").expect("a look"), Some(grant("first")));
        go_on.send(()).expect("the writer");
        assert!(first.await.expect("a task").is_ok());
        for change in waiting {
            assert!(change.await.expect("a task").is_ok());
        }
        assert!(database.change(creation(grant("later"))).await.is_ok());
    });
    assert_eq!(database.find("too many").expect("a look"), None);
    assert_eq!(database.status().grants, 6);
}

//! What waits together is made durable together, in one order that everybody sees.

use std::collections::BTreeMap;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use keyward::store::grants::Settings;
use keyward::store::grants::change::{Applied, ChangeError, Effect};

use super::sample::{Dice, Grants, creation, grant, open_with, opened, removal, runtime};

#[test]
fn every_change_is_followed_once_in_order_and_before_its_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let log: Arc<Mutex<Vec<Applied>>> = Arc::default();
    let followed = log.clone();
    let follow = move |group: &[Applied]| followed.lock().expect("a log").extend_from_slice(group);
    let (opened_, _) = open_with(folder.path(), Settings::default(), Box::new(follow)).expect("it");
    let database = Arc::new(opened_.database);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let answers: Vec<Applied> = runtime.block_on(async {
        let tasks: Vec<_> = (0..32)
            .map(|task| {
                let (database, log) = (database.clone(), log.clone());
                tokio::spawn(async move {
                    let mut dice = Dice(task);
                    let (mut mine, mut answers) = (Vec::new(), Vec::new());
                    for number in 0..60 {
                        let change = if mine.is_empty() || dice.below(3) > 0 {
                            let id = format!("task{task}number{number}");
                            mine.push(id.clone());
                            creation(grant(&id))
                        } else {
                            removal(&mine.swap_remove(dice.below(mine.len())))
                        };
                        let answer = database.change(change).await.expect("a change");
                        let log = log.lock().expect("a log");
                        let at = usize::try_from(answer.sequence - 1).expect("a small number");
                        assert_eq!(log.get(at), Some(&answer), "not followed before its answer");
                        answers.push(answer);
                    }
                    answers
                })
            })
            .collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.extend(task.await.expect("a task that ends well"));
        }
        answers
    });
    let log = log.lock().expect("a log").clone();
    let sequences: Vec<u64> = log.iter().map(|applied| applied.sequence).collect();
    assert_eq!(sequences, (1..=answers.len() as u64).collect::<Vec<_>>());
    assert_eq!(database.status().sequence, answers.len() as u64);
    drop(database);
    let (opened, grants) = opened(folder.path());
    assert_eq!(opened.sequence, answers.len() as u64);
    assert_eq!(grants, replayed(&log));
}

/// The model: a map.
fn replayed(log: &[Applied]) -> Grants {
    let mut grants = BTreeMap::new();
    for Applied { effect, .. } in log {
        match effect {
            Effect::Created(grant) => grants.insert(grant.id.to_string(), (**grant).clone()),
            Effect::Removed(grant) => grants.remove(&*grant.id),
            Effect::Existing(_) => panic!("a repetition is no change"),
        };
    }
    grants
}

#[test]
fn what_waits_is_one_group_and_a_bad_change_in_it_spoils_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (entered, has_entered) = sync_channel(0);
    let (go_on, may_go_on) = sync_channel::<()>(0);
    let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
    let seen = sizes.clone();
    let follow = move |group: &[Applied]| {
        seen.lock().expect("sizes").push(group.len());
        if group[0].sequence == 1 {
            entered.send(()).expect("somebody who waits");
            may_go_on.recv().expect("a word");
        }
    };
    let (opened, _) =
        open_with(folder.path(), Settings::default(), Box::new(follow)).expect("a database");
    let database = Arc::new(opened.database);
    runtime().block_on(async {
        let change = |change| {
            let database = database.clone();
            tokio::spawn(async move { database.change(change).await })
        };
        let first = change(creation(grant("first")));
        tokio::task::yield_now().await;
        has_entered.recv().expect("the writer");
        // The writer is held up; all of these wait.
        let good: Vec<_> = (0..50).map(|n| change(creation(grant(&format!("g{n}"))))).collect();
        let again = change(creation(grant("g7")));
        let absent = change(removal("absent"));
        let gone = change(removal("g3"));
        let twice = change(removal("g3"));
        tokio::task::yield_now().await;
        go_on.send(()).expect("the writer");
        first.await.expect("a task").expect("the first change");
        for (number, change) in good.into_iter().enumerate() {
            let applied = change.await.expect("a task").expect("a good change");
            assert_eq!(applied.sequence, 2 + number as u64);
        }
        let id: Box<str> = "g7".into();
        match (again.await.expect("a task"), grant("g7").name) {
            (Err(ChangeError::IdTaken(taken)), None) => assert_eq!(taken, id),
            (Ok(Applied { effect: Effect::Existing(found), .. }), Some(_)) => {
                assert_eq!(found.id, id);
            }
            (answer, _) => panic!("{answer:?}"),
        }
        let not_found = |answer: Result<Applied, ChangeError>| {
            assert!(matches!(answer, Err(ChangeError::NotFound { .. })), "{answer:?}");
        };
        not_found(absent.await.expect("a task"));
        let removed = gone.await.expect("a task").expect("a removal");
        assert_eq!((removed.sequence, removed.effect), (52, Effect::Removed(grant("g3").into())));
        not_found(twice.await.expect("a task"));
    });
    assert_eq!(*sizes.lock().expect("sizes"), [1, 51]);
    assert_eq!(database.status().grants, 50);
}

#[test]
fn a_group_has_its_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
    let seen = sizes.clone();
    let follow = move |group: &[Applied]| seen.lock().expect("sizes").push(group.len());
    let settings = Settings { queue: 100, group: 3 };
    let (opened, _) = open_with(folder.path(), settings, Box::new(follow)).expect("a database");
    let database = Arc::new(opened.database);
    runtime().block_on(async {
        let change = |n: usize| {
            let database = database.clone();
            tokio::spawn(async move { database.change(creation(grant(&format!("g{n}")))).await })
        };
        for change in (0..40).map(change).collect::<Vec<_>>() {
            change.await.expect("a task").expect("a change");
        }
    });
    let sizes = sizes.lock().expect("sizes").clone();
    assert_eq!(sizes.iter().sum::<usize>(), 40);
    assert!(sizes.iter().all(|size| *size <= 3), "{sizes:?}");
}

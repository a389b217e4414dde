//! What happens to the thread that follows.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::engine::bundle::Options;
use crate::engine::snapshot::build::Built;
use crate::engine::term::time::Timestamp;
use crate::pdp::live::Live;
use crate::pdp::load::{Documents, Loader};
use crate::pdp::reload::standing::Standing;
use crate::pdp::reload::{BoxedVerify, Follower, Following, Policies};
use crate::pdp::status::{Active, MaxStaleness, Origin, State, Status, WhenStale};
use crate::pdp::wake::instant;
use crate::store::directory::Scope;
use crate::store::directory::watch::Watch;

const KEY: &str = r#"{"KeyMetadata": {"Arn":
    "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"},
    "Policy": "default"}"#;

/// Follows a folder; loading fails while `fails` is set.
fn followed(folder: &Path, fails: &Arc<AtomicBool>) -> (Arc<Policies>, Arc<Live>) {
    let fails = Arc::clone(fails);
    held(folder, Duration::from_secs(3600), move || {
        assert!(!fails.load(Ordering::Relaxed), "a bug");
    })
}

/// Follows a folder that may not be unreadable for long; `hold` is called at each load.
fn held(
    folder: &Path,
    after: Duration,
    hold: impl Fn() + Send + 'static,
) -> (Arc<Policies>, Arc<Live>) {
    let verify = move |_: &Built, _: Documents<'_>| {
        hold();
        Vec::new()
    };
    verified(folder, after, Box::new(verify), || ())
}

/// Follows a folder; `then` is called when its set was read, right before it is followed.
fn verified(
    folder: &Path,
    after: Duration,
    verify: BoxedVerify,
    then: impl FnOnce(),
) -> (Arc<Policies>, Arc<Live>) {
    let mut loader = Loader::new(folder, Options::default());
    let mut watch = Watch::off();
    let good = |_: &Built, _: Documents<'_>| Vec::new();
    let built = loader.load(&Scope::Stamps, &mut watch, &good).unwrap().unwrap();
    let live = Arc::new(Live::new(built.snapshot.clone()));
    let active = Active::new(&built, 1, Origin::Source, Timestamp::new(0, 0));
    let policies = Policies::unfollowed().begin(Status::current(active));
    let ticks = AtomicI64::new(1);
    let follower = Follower {
        loader,
        watch,
        live: Arc::clone(&live),
        verify,
        clock: Arc::new(move || Timestamp::new(ticks.fetch_add(1, Ordering::Relaxed), 0)),
        following: Following {
            settle: Duration::ZERO,
            poll: Duration::from_secs(3600),
            max_staleness: MaxStaleness { after, then: WhenStale::Deny },
        },
        keeper: None,
        unread: None,
    };
    then();
    policies.follow(follower).unwrap();
    (policies, live)
}

#[tokio::test]
async fn a_defect_while_loading_refuses_the_set_and_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    fs::write(&file, KEY).unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let (policies, live) = followed(folder.path(), &fails);
    let before = Arc::clone(&live.snapshot().revision);
    // The first look, which finds all as it was, is over.
    let first = policies.reload().await.unwrap();
    fails.store(true, Ordering::Relaxed);
    fs::write(&file, KEY.replace("1234abcd", "aaaaaaaa")).unwrap();
    for _ in 0..2 {
        let status = policies.reload().await.unwrap();
        let State::Refused(refused) = &status.state else { panic!("{status:?}") };
        let [problem] = refused.problems.as_slice() else { panic!("{refused:?}") };
        assert_eq!(problem.code, "internal-defect");
        assert!(problem.message.ends_with(": a bug") && !problem.help.is_empty(), "{problem}");
        assert_eq!((status.counts.refused, status.counts.applied), (1, first.counts.applied));
        assert_eq!(status.confirmed, first.confirmed, "it is not what the source holds");
        assert_eq!(status.active.revision, before, "the last good set answers");
        assert_eq!(live.snapshot().revision, before);
    }
    fails.store(false, Ordering::Relaxed);
    let status = policies.reload().await.unwrap();
    assert!(status.is_current(), "{status:?}");
    assert_eq!(status.confirmed, status.checked);
    assert_ne!(status.active.revision, before);
    assert_eq!(live.snapshot().revision, status.active.revision);
    policies.stop();
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_too_old_in_the_end_and_good_again_when_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    fs::write(&file, KEY).unwrap();
    let (answer, wait) = mpsc::sync_channel::<()>(1);
    let (inside, mut reading) = tokio::sync::mpsc::channel(1);
    let (policies, live) = held(folder.path(), Duration::from_millis(20), move || {
        // Once is enough.
        let _ = inside.try_send(());
        // Until the sender is dropped.
        let _ = wait.recv();
    });
    let mut status = policies.status();
    fs::write(&file, KEY.replace("1234abcd", "aaaaaaaa")).unwrap();
    let reloading = tokio::spawn({
        let policies = Arc::clone(&policies);
        async move { policies.reload().await.unwrap() }
    });
    reading.recv().await.unwrap();
    let stale = status.wait_for(|status| status.stale.is_some()).await.unwrap().clone();
    assert_eq!(stale.stale, Some(WhenStale::Deny));
    assert!(live.is_withheld(), "what may be outdated is not answered");
    drop(answer);
    let after = reloading.await.unwrap();
    assert!(after.is_current(), "{after:?}");
    drop(status.wait_for(|status| status.stale.is_none()).await.unwrap());
    assert!(!live.is_withheld());
    assert_eq!(live.snapshot().revision, after.active.revision);
    policies.stop();
}

#[tokio::test]
async fn reading_that_does_not_end_is_said_to_be_held_up_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), KEY).unwrap();
    let (policies, live) = held(folder.path(), Duration::from_secs(3600), || ());
    let standing = Arc::new(Standing::new(
        Arc::clone(&policies),
        live,
        MaxStaleness { after: Duration::from_secs(3600), then: WhenStale::Deny },
        Arc::new(|| Timestamp::new(7, 0)),
        Duration::ZERO,
        Duration::from_millis(1),
    ));
    let watched = Arc::clone(&standing);
    let watching = std::thread::spawn(move || watched.watch());
    let mut status = policies.status();
    assert!(status.borrow_and_update().is_current());
    standing.begin(instant());
    let unreadable = |status: &Arc<Status>| matches!(status.state, State::Unreadable { .. });
    let told = status.wait_for(unreadable).await.unwrap().clone();
    let State::Unreadable { since, problem } = &told.state else { panic!("{told:?}") };
    assert_eq!((*since, problem.code), (Timestamp::new(7, 0), "source-held-up"));
    assert_eq!((told.counts.unreadable, told.stale), (1, None));
    // It is said once: whoever reads says what came of it.
    standing.told(&mut standing.lock(), instant());
    standing.end();
    watching.join().unwrap();
    assert_eq!(status.borrow().counts.unreadable, 1);
    policies.stop();
}

#[tokio::test]
async fn a_folder_that_never_rests_cannot_be_read_and_what_answers_is_not_called_current() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    let text = |n: u64| KEY.replace("1234abcd", &format!("{n:08}"));
    fs::write(&file, text(0)).unwrap();
    let (rests, changes) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(2));
    let verify: BoxedVerify = Box::new({
        let (rests, file) = (Arc::clone(&rests), file.clone());
        move |_, texts| {
            if !rests.load(Ordering::Relaxed) {
                fs::write(&file, text(changes.fetch_add(1, Ordering::Relaxed))).unwrap();
            }
            texts().err().into_iter().collect()
        }
    });
    let change = || fs::write(&file, text(1)).unwrap();
    let (policies, live) = verified(folder.path(), Duration::from_millis(1), verify, change);
    let before = Arc::clone(&live.snapshot().revision);
    let mut status = policies.status();
    // Nobody asks for a reload.
    let too_old = |status: &Arc<Status>| !status.is_current() && status.stale.is_some();
    let told = status.wait_for(too_old).await.unwrap().clone();
    let check = |status: &Status| {
        let State::Unreadable { problem, .. } = &status.state else { panic!("{status:?}") };
        assert_eq!(problem.code, "restless-folder");
        assert!(problem.help.contains("swap a link"), "{problem}");
        assert_eq!((status.counts.unreadable, status.counts.applied), (1, 0));
        assert_eq!(status.confirmed, Timestamp::new(0, 0));
        assert_eq!(status.active.revision, before);
    };
    check(&told);
    assert!(live.is_withheld(), "what may be outdated is not answered");
    check(&policies.reload().await.unwrap());
    rests.store(true, Ordering::Relaxed);
    let rested = status.wait_for(|status| status.is_current()).await.unwrap().clone();
    assert_eq!((rested.counts.applied, rested.counts.refused), (1, 0), "{rested:?}");
    assert_ne!(rested.active.revision, before);
    drop(status.wait_for(|status| status.stale.is_none()).await.unwrap());
    assert!(!live.is_withheld());
    policies.stop();
}

#[tokio::test]
async fn whoever_asks_for_a_reload_of_a_folder_that_does_not_rest_hears_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    fs::write(&file, KEY).unwrap();
    let changes = AtomicU64::new(0);
    let verify: BoxedVerify = Box::new(move |_, texts| {
        let id = format!("{:08}", changes.fetch_add(1, Ordering::Relaxed));
        fs::write(&file, KEY.replace("1234abcd", &id)).unwrap();
        texts().err().into_iter().collect()
    });
    let (policies, _) = verified(folder.path(), Duration::from_secs(3600), verify, || ());
    let status = policies.reload().await.unwrap();
    let State::Unreadable { problem, .. } = &status.state else { panic!("{status:?}") };
    assert_eq!((problem.code, status.stale), ("restless-folder", None));
    policies.stop();
}

//! What happens to the thread that follows.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::engine::bundle::Options;
use crate::engine::snapshot::build::Built;
use crate::engine::term::time::Timestamp;
use crate::pdp::live::Live;
use crate::pdp::load::{Documents, Loader};
use crate::pdp::reload::standing::Standing;
use crate::pdp::reload::{Follower, Following, Policies};
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
        verify: Box::new(move |_, _| {
            hold();
            Vec::new()
        }),
        clock: Arc::new(move || Timestamp::new(ticks.fetch_add(1, Ordering::Relaxed), 0)),
        following: Following {
            settle: Duration::ZERO,
            poll: Duration::from_secs(3600),
            max_staleness: MaxStaleness { after, then: WhenStale::Deny },
        },
        keeper: None,
        unread: None,
    };
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
    fails.store(true, Ordering::Relaxed);
    fs::write(&file, KEY.replace("1234abcd", "aaaaaaaa")).unwrap();
    for _ in 0..2 {
        let status = policies.reload().await.unwrap();
        let State::Refused(refused) = &status.state else { panic!("{status:?}") };
        let [problem] = refused.problems.as_slice() else { panic!("{refused:?}") };
        assert_eq!(problem.code, "internal-defect");
        assert!(problem.message.ends_with(": a bug") && !problem.help.is_empty(), "{problem}");
        assert_eq!((status.counts.refused, status.counts.applied), (1, 0));
        assert_eq!(status.confirmed, Timestamp::new(0, 0), "it is not what the source holds");
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

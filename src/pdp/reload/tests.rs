//! What happens to the thread that follows.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::engine::bundle::Options;
use crate::engine::snapshot::build::Built;
use crate::engine::term::time::Timestamp;
use crate::pdp::live::Live;
use crate::pdp::load::{Documents, Loader};
use crate::pdp::reload::{Follower, Following, Policies};
use crate::pdp::status::{Active, MaxStaleness, Origin, State, Status, WhenStale};
use crate::store::directory::Scope;
use crate::store::directory::watch::Watch;

const KEY: &str = r#"{"KeyMetadata": {"Arn":
    "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"},
    "Policy": "default"}"#;

/// Follows a folder; loading fails while `fails` is set.
fn followed(folder: &Path, fails: &Arc<AtomicBool>) -> (Arc<Policies>, Arc<Live>) {
    let mut loader = Loader::new(folder, Options::default());
    let mut watch = Watch::off();
    let good = |_: &Built, _: Documents<'_>| Vec::new();
    let built = loader.load(&Scope::Stamps, &mut watch, &good).unwrap().unwrap();
    let live = Arc::new(Live::new(built.snapshot.clone()));
    let active = Active::new(&built, 1, Origin::Source, Timestamp::new(0, 0));
    let policies = Policies::unfollowed().begin(Status::current(active));
    let fails = Arc::clone(fails);
    let follower = Follower {
        loader,
        watch,
        live: Arc::clone(&live),
        verify: Box::new(move |_, _| {
            assert!(!fails.load(Ordering::Relaxed), "a bug");
            Vec::new()
        }),
        clock: Box::new(|| Timestamp::new(0, 0)),
        following: Following {
            settle: Duration::ZERO,
            poll: Duration::from_secs(3600),
            max_staleness: MaxStaleness { after: Duration::from_secs(3600), then: WhenStale::Deny },
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
        assert_eq!(status.active.revision, before, "the last good set answers");
        assert_eq!(live.snapshot().revision, before);
    }
    fails.store(false, Ordering::Relaxed);
    let status = policies.reload().await.unwrap();
    assert!(status.is_current(), "{status:?}");
    assert_ne!(status.active.revision, before);
    assert_eq!(live.snapshot().revision, status.active.revision);
    policies.stop();
}

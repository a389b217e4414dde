//! A source that cannot be read.

use std::fs;

use keyward::wire::v1;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use super::{Watched, health, key_for, question, revision};

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_gone_for_too_long_is_no_ground_for_answers_and_may_come_back() {
    let above = tempfile::tempdir().expect("a folder");
    let (folder, aside) = (above.path().join("policies"), above.path().join("aside"));
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("a.json"), key_for("1")).expect("a file");
    let more = ["--settle", "10ms", "--poll-interval", "50ms", "--max-staleness", "300ms=deny"];
    let mut watched = Watched::start(&folder, &more).await;
    fs::rename(&folder, &aside).expect("away");
    let status = watched.until(|status| status.state() == v1::PolicySetState::Unreadable).await;
    let staleness = status.staleness.expect("how stale");
    assert_eq!(staleness.problem.expect("why").code, "unreadable-folder");
    watched.until(|status| status.staleness.as_ref().is_some_and(|now| now.exceeded)).await;
    let refused = watched.client().await.authorize(question("1")).await.expect_err("too old");
    assert_eq!(refused.code(), Code::Unavailable);
    while health(&watched.admin, "keyward.v1.AuthorizationService").await
        != ServingStatus::NotServing
    {}
    assert_eq!(health(&watched.admin, "").await, ServingStatus::Serving);
    // It comes back, as another one.
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("a.json"), key_for("2")).expect("a file");
    let wanted = revision(&[&key_for("2")]);
    watched.until(|status| status.revision == wanted && status.staleness.is_none()).await;
    assert_eq!(watched.decision("2").await, v1::Decision::Allowed);
    while health(&watched.admin, "keyward.v1.AuthorizationService").await != ServingStatus::Serving
    {
    }
    watched.served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_with_stale_policies_is_configured() {
    for (action, decision, ready) in [
        ("serve", v1::Decision::Allowed, ServingStatus::Serving),
        ("not-ready", v1::Decision::Allowed, ServingStatus::NotServing),
    ] {
        let above = tempfile::tempdir().expect("a folder");
        let (folder, aside) = (above.path().join("policies"), above.path().join("aside"));
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("a.json"), key_for("1")).expect("a file");
        let staleness = format!("1ms={action}");
        let more = ["--poll-interval", "50ms", "--settle", "1ms", "--max-staleness", &staleness];
        let mut watched = Watched::start(&folder, &more).await;
        fs::rename(&folder, &aside).expect("away");
        watched.until(|status| status.staleness.as_ref().is_some_and(|now| now.exceeded)).await;
        assert_eq!(watched.decision("1").await, decision, "{action}");
        while health(&watched.admin, "keyward.v1.AuthorizationService").await != ready {}
        fs::rename(&aside, &folder).expect("back");
        watched.until(|status| status.state() == v1::PolicySetState::Current).await;
        while health(&watched.admin, "keyward.v1.AuthorizationService").await
            != ServingStatus::Serving
        {}
        watched.served.stop();
    }
}

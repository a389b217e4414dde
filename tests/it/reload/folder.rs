//! Loose files: edited, renamed, broken, mended; folders that come and go.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::process::Command;

use keyward::wire::v1;
use serde_json::json;
use tonic_health::pb::health_check_response::ServingStatus;

use super::{ALICE, KEY, Watched, health, key_for, question, revision};

const QUICK: [&str; 2] = ["--settle", "20ms"];

fn other() -> String {
    key_for("other").replace("1234abcd-12ab", "aaaaaaaa-12ab")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_and_a_broken_file_that_change_together_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.json"), key_for("42")).expect("a file");
    fs::write(at("b.json"), other()).expect("a file");
    let mut watched = Watched::start(folder.path(), &["--settle", "300ms"]).await;
    let before = watched.status().await.revision;
    fs::write(at("a.json"), key_for("43")).expect("a file");
    fs::write(at("b.json"), "{\n  \"KeyMetadata\": {,}\n}").expect("a file");
    let status = watched.until(|status| status.state() == v1::PolicySetState::Refused).await;
    assert_eq!(status.revision, before);
    let refused = status.refused.expect("what is wrong");
    let [problem] = refused.problems.as_slice() else { panic!("{refused:?}") };
    assert_eq!((&*problem.document, problem.line, problem.column), ("b.json", 2, 19));
    assert_eq!(watched.decision("42").await, v1::Decision::Allowed);
    assert_eq!(watched.decision("43").await, v1::Decision::ImplicitDeny);
    // Health changes right after the status does.
    while health(&watched.admin, "keyward.policy").await != ServingStatus::NotServing {}
    for service in ["", "keyward.v1.AuthorizationService"] {
        assert_eq!(health(&watched.admin, service).await, ServingStatus::Serving, "{service:?}");
    }
    // Mended, both changes are there.
    fs::write(at("b.json"), other()).expect("a file");
    let wanted = revision(&[&key_for("43"), &other()]);
    watched.until(|status| status.revision == wanted).await;
    assert_eq!(watched.decision("43").await, v1::Decision::Allowed);
    while health(&watched.admin, "keyward.policy").await != ServingStatus::Serving {}
    watched.served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn however_a_file_is_written_it_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.json"), key_for("1")).expect("a file");
    let mut watched = Watched::start(folder.path(), &QUICK).await;
    let mut expect = async |documents: &[&str]| {
        let wanted = revision(documents);
        watched.until(|status| status.revision == wanted).await;
    };
    // In place.
    fs::write(at("a.json"), key_for("2")).expect("a file");
    expect(&[&key_for("2")]).await;
    // As vim does it: the old one aside, a new one, the old one away.
    fs::rename(at("a.json"), at("a.json~")).expect("aside");
    fs::write(at("a.json"), key_for("3")).expect("a file");
    fs::remove_file(at("a.json~")).expect("away");
    expect(&[&key_for("3")]).await;
    // As most others do it: a new one over the old one.
    fs::write(at(".a.json.swp"), key_for("4")).expect("a file");
    fs::rename(at(".a.json.swp"), at("a.json")).expect("over it");
    expect(&[&key_for("4")]).await;
    // In a folder that is made.
    fs::create_dir_all(at("x/y")).expect("folders");
    fs::write(at("x/y/b.json"), other()).expect("a file");
    expect(&[&key_for("4"), &other()]).await;
    // Below a folder that is made, in place.
    let changed = other().replace("other", "another");
    fs::write(at("x/y/b.json"), &changed).expect("a file");
    expect(&[&key_for("4"), &changed]).await;
    // A folder that is renamed out and comes back.
    fs::rename(at("x"), at(".x")).expect("out");
    expect(&[&key_for("4")]).await;
    fs::rename(at(".x"), at("z")).expect("back");
    expect(&[&key_for("4"), &changed]).await;
    fs::remove_dir_all(at("z")).expect("away");
    expect(&[&key_for("4")]).await;
    watched.served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_at_once_are_one_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |index: usize| folder.path().join(format!("{index}.json"));
    let text = |index: usize, tenant: &str| {
        key_for(tenant).replace("1234abcd-12ab", &format!("{index:08x}-12ab"))
    };
    let all = |tenant: &str| (0..300).map(|index| text(index, tenant)).collect::<Vec<_>>();
    for (index, text) in all("1").iter().enumerate() {
        fs::write(at(index), text).expect("a file");
    }
    let mut watched = Watched::start(folder.path(), &["--settle", "500ms"]).await;
    for (index, text) in all("2").iter().enumerate() {
        fs::write(at(index), text).expect("a file");
    }
    let documents = all("2");
    let wanted = revision(&documents.iter().map(String::as_str).collect::<Vec<_>>());
    let status = watched.until(|status| status.revision == wanted).await;
    assert_eq!(status.counts.expect("counts").applied, 1, "one change");
    watched.served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_a_reload_waits_for_its_outcome() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.json");
    fs::write(&file, key_for("1")).expect("a file");
    let never = ["--watch", "false", "--poll-interval", "1h"];
    let mut watched = Watched::start(folder.path(), &never).await;
    assert!(watched.status().await.watch_trouble.contains("switched off"));
    fs::write(&file, key_for("2")).expect("a file");
    let status = watched.reload().await;
    assert_eq!(
        (status.state(), &status.revision),
        (v1::PolicySetState::Current, &revision(&[&key_for("2")]))
    );
    fs::write(&file, "{").expect("a file");
    let status = watched.reload().await;
    assert_eq!(status.state(), v1::PolicySetState::Refused);
    fs::write(&file, key_for("3")).expect("a file");
    let pid = watched.served.process.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill").success());
    let wanted = revision(&[&key_for("3")]);
    watched.until(|status| status.revision == wanted).await;
    watched.served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_whose_assertions_fail_is_refused_and_the_one_before_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let holds = json!({"Assertions": [{"name": "alice decrypts for 42", "principal": ALICE,
        "action": "kms:Decrypt", "key": KEY, "encryption_context": {"tenant": "42"},
        "expect": {"decision": "allowed"}}]})
    .to_string();
    fs::write(at("a.json"), key_for("42")).expect("a file");
    fs::write(at("b.json"), &holds).expect("a file");
    let mut watched = Watched::start(folder.path(), &QUICK).await;
    assert_eq!(watched.status().await.contents.expect("contents").assertions, 1);
    fs::write(at("a.json"), key_for("43")).expect("a file");
    let told = watched.until(|status| status.state() == v1::PolicySetState::Refused).await;
    // It is refused however often it is read.
    for status in [told, watched.reload().await] {
        assert_eq!(status.state(), v1::PolicySetState::Refused);
        assert_eq!(status.revision, revision(&[&key_for("42"), &holds]));
        let refused = status.refused.expect("what is wrong");
        let [problem] = refused.problems.as_slice() else { panic!("{refused:?}") };
        assert_eq!((&*problem.document, &*problem.code), ("b.json", "assertion-failed"));
        assert_eq!(watched.decision("42").await, v1::Decision::Allowed);
        assert_eq!(watched.decision("43").await, v1::Decision::ImplicitDeny);
    }
    while health(&watched.admin, "keyward.policy").await != ServingStatus::NotServing {}
    let holds = holds.replace("42", "43");
    fs::write(at("b.json"), &holds).expect("a file");
    let wanted = revision(&[&key_for("43"), &holds]);
    let status = watched.until(|status| status.revision == wanted).await;
    assert_eq!(status.state(), v1::PolicySetState::Current);
    assert_eq!(watched.decision("43").await, v1::Decision::Allowed);
    while health(&watched.admin, "keyward.policy").await != ServingStatus::Serving {}
    watched.served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_under_another_name_is_read_and_other_names_do_not_matter() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let raw = |name: &[u8]| folder.path().join(OsStr::from_bytes(name));
    for name in [&b".x\xff.swp"[..], b".x\xff.json", b"x\xff.txt"] {
        fs::write(raw(name), "{").expect("a file");
    }
    // Looking from time to time would not end within the test.
    let never = ["--settle", "20ms", "--poll-interval", "1h"];
    fs::write(at("a.json"), key_for("1")).expect("a file");
    fs::hard_link(at("a.json"), at("b.json")).expect("another name");
    let mut watched = Watched::start(folder.path(), &never).await;
    fs::write(at("b.json"), key_for("2")).expect("a file");
    let wanted = revision(&[&key_for("2"), &key_for("2")]);
    watched.until(|status| status.revision == wanted).await;
    fs::remove_file(at("b.json")).expect("away");
    fs::create_dir(at(".hidden")).expect("a folder");
    fs::write(at(".hidden/c.json"), other()).expect("a file");
    symlink(".hidden/c.json", at("c.json")).expect("a link");
    let wanted = revision(&[&key_for("2"), &other()]);
    watched.until(|status| status.revision == wanted).await;
    let changed = other().replace("other", "another");
    fs::write(at(".hidden/c.json"), &changed).expect("a file");
    let wanted = revision(&[&key_for("2"), &changed]);
    let status = watched.until(|status| status.revision == wanted).await;
    assert_eq!(status.counts.expect("counts").refused, 0, "{status:?}");
    // What is called a document must be one.
    fs::write(raw(b"x\xff.json"), &changed).expect("a file");
    let status = watched.until(|status| status.state() == v1::PolicySetState::Refused).await;
    let refused = status.refused.expect("what is wrong");
    let [problem] = refused.problems.as_slice() else { panic!("{refused:?}") };
    assert_eq!(problem.code, "unreadable-file");
    fs::remove_file(raw(b"x\xff.json")).expect("away");
    watched.until(|status| status.state() == v1::PolicySetState::Current).await;
    watched.served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn session_policies_stay_compiled_while_the_set_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.json"), key_for("1")).expect("a file");
    let more = ["--settle", "20ms", "--http-listen", "127.0.0.1:0"];
    let mut watched = Watched::start(folder.path(), &more).await;
    let limited = |tenant: &str| {
        let mut question = question(tenant);
        question.principal.as_mut().expect("a principal").session_policies = vec![
            json!({"Version": "2012-10-17",
                "Statement": {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}})
            .to_string(),
        ];
        question
    };
    let mut client = watched.client().await;
    for tenant in ["1", "2", "3"] {
        fs::write(folder.path().join("a.json"), key_for(tenant)).expect("a file");
        let wanted = revision(&[&key_for(tenant)]);
        watched.until(|status| status.revision == wanted).await;
        let answer = client.authorize(limited(tenant)).await.expect("an answer").into_inner();
        assert_eq!(answer.decision(), v1::Decision::Allowed);
    }
    let http = watched.served.http.clone().expect("an address");
    let read = Command::new("curl").args(["-s", &format!("http://{http}/metrics")]).output();
    let metrics = String::from_utf8(read.expect("curl").stdout).expect("UTF-8");
    for counted in
        ["misses_total{cache=\"session_policies\"} 1", "hits_total{cache=\"session_policies\"} 2"]
    {
        assert!(metrics.contains(&format!("keyward_cache_{counted}\n")), "{metrics}");
    }
    watched.served.stop();
}

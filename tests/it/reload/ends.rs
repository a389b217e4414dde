//! How following the policies begins and ends.

use std::fs;
use std::process::{Child, Command, Stdio};

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{Watched, key_for};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_is_told_that_it_ends_and_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.json"), key_for("1")).expect("a file");
    let mut watched = Watched::start(folder.path(), &["--drain-timeout", "1h"]).await;
    let mut health = HealthClient::new(watched.admin.clone());
    let request = HealthCheckRequest { service: "keyward.policy".to_owned() };
    let mut health = health.watch(request).await.expect("a stream").into_inner();
    health.message().await.expect("a status").expect("no end");
    watched.served.signal("-TERM");
    while watched.status.message().await.expect("a good end").is_some() {}
    while health.message().await.expect("a good end").is_some() {}
    let said = watched.served.ended_and_read();
    assert!(!said.contains("cut off"), "{said}");
}

/// Whether a process has a handler for SIGHUP.
fn hears(child: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("a process");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).expect("signals");
    u64::from_str_radix(caught, 16).expect("a mask") & 1 == 1
}

#[test]
fn a_change_that_is_told_while_the_set_is_loaded_ends_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    for index in 0..2_000 {
        let key = key_for("1").replace("1234abcd-12ab", &format!("{index:08}-12ab"));
        fs::write(folder.path().join(format!("{index}.json")), key).expect("a file");
    }
    // So that it ends, with what is wrong, once all is loaded.
    fs::write(folder.path().join("broken.json"), "{").expect("a file");
    let in_time = || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_keyward"))
            .args(["serve", "--listen", "127.0.0.1:0", "--http-listen", "none", "--policies"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary");
        // It hears before it has loaded, or it never does.
        while child.try_wait().expect("a process").is_none() {
            if hears(&child) {
                let told = Command::new("kill").args(["-HUP", &child.id().to_string()]).status();
                let code = child.wait().expect("an end").code();
                assert_eq!(code, Some(3), "it is not ended by the signal");
                return told.expect("kill").success();
            }
        }
        false
    };
    // A start may be over before it is looked at.
    assert!((0..20).any(|_| in_time()));
}

//! A start at which the source cannot be read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use keyward::wire::v1;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use super::{Watched, health, key_for, question, revision};

const COPY: &str = "last-good-policies";

/// A folder of policies that can go away, and a data folder.
struct Place {
    above: tempfile::TempDir,
    data: tempfile::TempDir,
}

impl Place {
    fn new(text: &str) -> Self {
        let folder = || tempfile::tempdir().expect("a folder");
        let place = Self { above: folder(), data: folder() };
        fs::create_dir(place.policies()).expect("a folder");
        fs::write(place.policies().join("a.json"), text).expect("a file");
        place
    }

    fn policies(&self) -> PathBuf {
        self.above.path().join("policies")
    }

    fn aside(&self) -> PathBuf {
        self.above.path().join("aside")
    }

    fn copy(&self) -> PathBuf {
        self.data.path().join(COPY)
    }

    fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let data = self.data.path().to_str().expect("UTF-8");
        let kept = ["--data-dir", data, "--keep-last-good"];
        let often = ["--settle", "1ms", "--poll-interval", "20ms"];
        [&kept[..], &often[..], more].concat()
    }

    async fn start(&self, more: &[&str]) -> Watched {
        Watched::start(&self.policies(), &self.args(more)).await
    }

    /// Starts, waits until there is a copy of the set, and stops.
    async fn kept(text: &str) -> Self {
        let place = Self::new(text);
        let watched = place.start(&[]).await;
        place.wait(&watched, text);
        watched.served.stop();
        place
    }

    /// Waits until the copy is one of this document.
    fn wait(&self, watched: &Watched, text: &str) {
        let holds = || fs::read(self.copy()).is_ok_and(|copy| contains(&copy, text.as_bytes()));
        watched.served.wait_until("a copy of the set", |_| holds());
    }

    /// A start that fails: what it says.
    fn fails(&self) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_keyward"))
            .args(["serve", "--listen", "127.0.0.1:0", "--http-listen", "none", "--policies"])
            .arg(self.policies())
            .args(self.args(&[]))
            .env_remove("XDG_RUNTIME_DIR")
            .output()
            .expect("the binary");
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        String::from_utf8(output.stderr).expect("UTF-8")
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_set_answers_where_the_source_cannot_be_read_and_says_so() {
    let place = Place::kept(&key_for("1")).await;
    assert_eq!(mode(&place.copy()), 0o600);
    fs::rename(place.policies(), place.aside()).expect("away");
    let mut watched = place.start(&["--http-listen", "127.0.0.1:0"]).await;
    let status = watched.status().await;
    assert_eq!(status.origin(), v1::PolicySetOrigin::LastGood);
    assert_eq!(status.state(), v1::PolicySetState::Unreadable);
    assert_eq!(status.revision, revision(&[&key_for("1")]));
    assert_eq!(watched.decision("1").await, v1::Decision::Allowed);
    assert_eq!(watched.decision("2").await, v1::Decision::ImplicitDeny);
    assert_eq!(watched.served.metric("keyward_policy_info", "origin=\"last_good\""), 1);
    while health(&watched.admin, "keyward.policy").await != ServingStatus::NotServing {}
    // The source comes back, with another set.
    fs::write(place.aside().join("a.json"), key_for("2")).expect("a file");
    fs::rename(place.aside(), place.policies()).expect("back");
    let status = watched.until(|status| status.state() == v1::PolicySetState::Current).await;
    assert_eq!(status.origin(), v1::PolicySetOrigin::Source);
    assert_eq!(status.revision, revision(&[&key_for("2")]));
    assert_eq!(watched.decision("2").await, v1::Decision::Allowed);
    // What is kept follows.
    place.wait(&watched, &key_for("2"));
    assert!(watched.served.stop_and_read().contains("the last good policies answer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_can_be_read_and_is_refused_ends_the_start_with_every_problem() {
    let place = Place::kept(&key_for("1")).await;
    fs::write(place.policies().join("a.json"), "{").expect("a file");
    fs::write(place.policies().join("b.json"), "{\"Something\": 1}").expect("a file");
    let said = place.fails();
    assert!(said.contains("a.json:1:") && said.contains("b.json:1:1"), "{said}");
    assert!(place.copy().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_set_is_never_what_is_kept() {
    let place = Place::new(&key_for("1"));
    let mut watched = place.start(&[]).await;
    place.wait(&watched, &key_for("1"));
    fs::write(place.policies().join("b.json"), "{").expect("a file");
    watched.until(|status| status.state() == v1::PolicySetState::Refused).await;
    watched.served.stop();
    let copy = fs::read(place.copy()).expect("the copy of the good set");
    assert!(contains(&copy, key_for("1").as_bytes()) && !contains(&copy, b"b.json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_not_as_it_was_written_is_refused_with_its_reason() {
    let place = Place::kept(&key_for("1")).await;
    fs::rename(place.policies(), place.aside()).expect("away");
    let whole = fs::read(place.copy()).expect("the copy");
    let check = |reason: &str| {
        let said = place.fails();
        assert!(said.contains("unusable-last-good") && said.contains(reason), "{said}");
        assert!(said.contains("unreadable-folder"), "{said}");
    };
    fs::write(place.copy(), &whole[..whole.len() - 40]).expect("cut short");
    check("it is cut short");
    let mut changed = whole.clone();
    let at = whole.windows(3).position(|bytes| bytes == b"\"1\"").expect("the value");
    changed[at + 1] = b'2';
    fs::write(place.copy(), changed).expect("changed");
    check("its checksum is wrong");
    fs::write(place.copy(), &whole).expect("as it was");
    fs::set_permissions(place.copy(), fs::Permissions::from_mode(0o644)).expect("open");
    check("its mode is 0644");
    fs::remove_file(place.copy()).expect("gone");
    let said = place.fails();
    assert!(said.contains("no-last-good"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_unreadable_for_too_long_before_the_start_is_no_ground_for_answers() {
    let place = Place::kept(&key_for("1")).await;
    fs::rename(place.policies(), place.aside()).expect("away");
    let copy = fs::OpenOptions::new().write(true).open(place.copy()).expect("the copy");
    let written = copy.metadata().and_then(|copy| copy.modified()).expect("a time");
    let long_ago = written.checked_sub(Duration::from_secs(2 * 3600)).expect("a time");
    copy.set_modified(long_ago).expect("an old copy");
    let watched = place.start(&["--max-staleness", "1h=deny"]).await;
    let refused = watched.client().await.authorize(question("1")).await.expect_err("too old");
    assert_eq!(refused.code(), Code::Unavailable);
    watched.served.stop();
    let watched = place.start(&["--max-staleness", "3h=deny"]).await;
    assert_eq!(watched.decision("1").await, v1::Decision::Allowed);
    watched.served.stop();
}

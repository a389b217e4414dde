//! What the machine refuses: file descriptors, watches, permissions.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use keyward::wire::v1;

use super::{Watched, key_for, revision};

/// Nothing but what the operating system tells, or does not, is behind what happens.
const NEVER: [&str; 4] = ["--settle", "1ms", "--poll-interval", "1h"];
const OFTEN: [&str; 4] = ["--settle", "1ms", "--poll-interval", "20ms"];

/// Sets the soft limit on open files.
fn limit(watched: &Watched, files: u32) {
    let (process, files) = (watched.served.process.id().to_string(), format!("--nofile={files}:"));
    let set = Command::new("prlimit").args(["--pid", &process, &files]).status();
    assert!(set.expect("prlimit").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_file_descriptors_the_last_good_set_answers_and_the_next_comes_with_them() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.json"), key_for("1")).expect("a file");
    let mut watched = Watched::start(folder.path(), &NEVER).await;
    // Its connection is accepted before there are no more of them.
    let mut client = watched.client().await;
    client.authorize(super::question("1")).await.expect("an answer");
    limit(&watched, 3);
    fs::write(folder.path().join("a.json"), key_for("2")).expect("a file");
    let status = watched.until(|status| status.state() == v1::PolicySetState::Unreadable).await;
    let why = status.staleness.expect("since when").problem.expect("why").message;
    assert!(why.contains("open files"), "{why}");
    assert_eq!(status.revision, revision(&[&key_for("1")]));
    let answer = client.authorize(super::question("1")).await.expect("an answer").into_inner();
    assert_eq!(answer.decision(), v1::Decision::Allowed);
    // Nothing happens to the folder any more: it is tried again all the same.
    limit(&watched, 1024);
    let wanted = revision(&[&key_for("2")]);
    watched.until(|status| status.revision == wanted && status.staleness.is_none()).await;
    let answer = client.authorize(super::question("2")).await.expect("an answer").into_inner();
    assert_eq!(answer.decision(), v1::Decision::Allowed);
    watched.served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_while_nothing_could_be_read_does_not_answer_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let other = key_for("1").replace("1234abcd-12ab", "aaaaaaaa-12ab");
    // Both changes are looked at together, and only what can be read needs a file descriptor.
    let together = ["--settle", "500ms", "--poll-interval", "1h"];
    for (document, state) in
        [(&*other, v1::PolicySetState::Current), ("{", v1::PolicySetState::Refused)]
    {
        fs::write(at("a.json"), key_for("1")).expect("a file");
        fs::write(at("b.json"), &other).expect("a file");
        let mut watched = Watched::start(folder.path(), &together).await;
        fs::write(at("b.json"), document).expect("a file");
        let status = watched.reload().await;
        assert_eq!((status.state(), status.contents.expect("contents").documents), (state, 2));
        let mut client = watched.client().await;
        let mut ask = async || {
            let of_b = v1::AuthorizeRequest {
                key_id: super::KEY.replace("1234abcd-12ab", "aaaaaaaa-12ab"),
                ..super::question("1")
            };
            client.authorize(of_b).await.expect("an answer").into_inner().decision()
        };
        assert_eq!(ask().await, v1::Decision::Allowed);
        limit(&watched, 3);
        fs::remove_file(at("b.json")).expect("removed");
        fs::write(at("a.json"), key_for("1")).expect("a file");
        watched.until(|status| status.state() == v1::PolicySetState::Unreadable).await;
        limit(&watched, 1024);
        let status = watched.until(|status| status.staleness.is_none()).await;
        assert_eq!(status.state(), v1::PolicySetState::Current, "{status:?}");
        assert_eq!(status.revision, revision(&[&key_for("1")]));
        assert_ne!(ask().await, v1::Decision::Allowed);
        watched.served.stop();
    }
}

/// The binary, run by a shell in a user namespace of its own, after `first`.
fn namespaced(first: &str) -> Command {
    let mut command = Command::new("unshare");
    let script = format!("{first} && exec \"$0\" \"$@\"");
    command.args(["--user", "--map-root-user", "sh", "-c", &script]);
    command.arg(env!("CARGO_BIN_EXE_keyward"));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_watch_can_be_had_the_folder_is_looked_at_from_time_to_time() {
    for (limit, named) in [("watches", "max_user_watches"), ("instances", "max_user_instances")] {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.json"), key_for("1")).expect("a file");
        let command = namespaced(&format!("echo 0 > /proc/sys/user/max_inotify_{limit}"));
        let mut watched = Watched::start_by(command, folder.path(), &OFTEN).await;
        // Known before anything is read again.
        let status = watched.status().await;
        assert!(status.watch_trouble.contains(named), "{:?}", status.watch_trouble);
        fs::write(folder.path().join("a.json"), key_for("2")).expect("a file");
        let wanted = revision(&[&key_for("2")]);
        watched.until(|status| status.revision == wanted).await;
        watched.served.stop();
    }
}

/// The binary, to which the permissions of files apply.
fn plain_user() -> Command {
    let binary = env!("CARGO_BIN_EXE_keyward");
    if fs::metadata("/proc/self").expect("this process").uid() != 0 {
        return Command::new(binary);
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-dac_override,-dac_read_search", binary]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_leaves_the_last_good_set_until_it_may() {
    let above = tempfile::tempdir().expect("a folder");
    let folder = above.path().join("policies");
    let file = folder.join("b.json");
    let allow = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("another mode");
    };
    let other = |tenant: &str| key_for(tenant).replace("1234abcd-12ab", "aaaaaaaa-12ab");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("a.json"), key_for("1")).expect("a file");
    fs::write(&file, other("1")).expect("a file");
    let mut watched = Watched::start_by(plain_user(), &folder, &OFTEN).await;
    // A file: it may hold a Deny, so the set is refused.
    allow(&file, 0o000);
    let status = watched.until(|status| status.state() == v1::PolicySetState::Refused).await;
    let refused = status.refused.expect("what is wrong");
    let [problem] = refused.problems.as_slice() else { panic!("{refused:?}") };
    assert_eq!((&*problem.document, &*problem.code), ("b.json", "unreadable-file"));
    assert_eq!(watched.decision("1").await, v1::Decision::Allowed);
    fs::write(folder.join("a.json"), key_for("2")).expect("a file");
    allow(&file, 0o600);
    let wanted = revision(&[&key_for("2"), &other("1")]);
    watched.until(|status| status.revision == wanted).await;
    // The folder: nothing is known of it then, or nothing but the names in it.
    for (mode, before, after) in [(0o000, "2", "3"), (0o600, "3", "4")] {
        allow(&folder, mode);
        watched.until(|status| status.state() == v1::PolicySetState::Unreadable).await;
        assert_eq!(watched.decision(before).await, v1::Decision::Allowed);
        allow(&folder, 0o700);
        fs::write(folder.join("a.json"), key_for(after)).expect("a file");
        let wanted = revision(&[&key_for(after), &other("1")]);
        let status = watched.until(|status| status.revision == wanted).await;
        assert_eq!(status.state(), v1::PolicySetState::Current);
    }
    watched.served.stop();
}

#[test]
fn a_long_load_shows_progress_on_a_terminal_and_nowhere_else() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.json"), key_for("1")).expect("a file");
    for index in 0..10_000 {
        fs::write(folder.path().join(format!("{index}.json")), "{\"Keys\":[]}").expect("a file");
    }
    let binary = env!("CARGO_BIN_EXE_keyward");
    let check = format!("{binary} check --policies {}", folder.path().display());
    let output = Command::new("script").args(["-qec", &check, "/dev/null"]).output();
    let shown = String::from_utf8(output.expect("script").stdout).expect("UTF-8");
    assert!(shown.contains("of 10001 documents"), "{shown:?}");
    assert!(shown.contains("\r\x1b[K"), "the line is taken away: {shown:?}");
    let output = Command::new(binary).arg("check").arg("--policies").arg(folder.path()).output();
    let output = output.expect("the binary");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

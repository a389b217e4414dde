//! Old files of the decision log: removed only once the log tells of it.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use serde_json::Value;

use crate::decision_log::{ask, question, records, verify};
use crate::decision_log_faults::{
    DROPPED, Disk, Log, WRITTEN, all_records, answered, files, ids, limit, questions,
};
use crate::served::Served;

/// A file for each batch; besides the current one, one is kept.
const ROTATED: [&str; 4] = ["--decision-log-rotate-bytes", "1", "--decision-log-keep", "1"];

/// Ends the process, as `kill -9` does, where it removes a file that was put aside.
const KILLER: &str = r#"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int unlink(const char *path) {
  int aside = strstr(path, ".jsonl.0") != NULL, before = strcmp(getenv("KILLED"), "before") == 0;
  if (aside && before) kill(getpid(), SIGKILL);
  int found = unlinkat(AT_FDCWD, path, 0);
  if (aside) kill(getpid(), SIGKILL);
  return found;
}
"#;

/// A process that is killed just before or just after it removes an old file.
fn doomed(log: &Log, folder: &Path, when: &str) -> Served {
    let (source, library) = (folder.join("killer.c"), folder.join("killer.so"));
    fs::write(&source, KILLER).expect("a file");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &source]);
    assert!(compiler.status().expect("a C compiler").success());
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.env("LD_PRELOAD", &library).env("KILLED", when);
    Served::start_by(command, "127.0.0.1:0", &log.args())
}

fn verified(path: &Path) -> (Option<i32>, Value) {
    let files = files(path);
    verify(&files.iter().map(|file| file.to_str().expect("UTF-8")).collect::<Vec<_>>())
}

/// The number of the last record in a file that was put aside.
fn last(file: &Path) -> u64 {
    let number = file.extension().and_then(|number| number.to_str()?.parse().ok());
    number.expect("a number")
}

/// Up to where the log says that it removed records.
fn pruned(records: &[Value]) -> Vec<u64> {
    let pruned = records.iter().filter(|record| record["eventName"] == "DecisionLogPruned");
    pruned.map(|record| record["keyward"]["through"].as_u64().expect("a number")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_old_files_are_removed_leaves_a_log_that_can_be_verified() {
    for (mode, when) in [
        ("best-effort", "before"),
        ("best-effort", "after"),
        ("spill", "before"),
        ("durable=30s", "before"),
        ("durable=30s", "after"),
    ] {
        let (log, folder) = (Log::with(mode, &ROTATED), tempfile::tempdir().expect("a folder"));
        let mut served = doomed(&log, folder.path(), when);
        let url = format!("http://{}", served.address);
        let mut client = AuthorizationServiceClient::connect(url).await.expect("a connection");
        let mut answers = Vec::new();
        while answers.last().is_none_or(Result::is_ok) && answers.len() < 10_000 {
            let answer = client.authorize(question("43")).await;
            answers.push(answer.map(tonic::Response::into_inner));
        }
        assert!(answers.last().is_some_and(Result::is_err), "{mode}: nothing was removed");
        assert_eq!(served.process.wait().expect("an end").signal(), Some(9));

        let told = all_records(&log.path);
        let [through] = pruned(&told)[..] else { panic!("{mode}, {when}: {told:?}") };
        let oldest = last(&files(&log.path)[0]);
        assert_eq!(oldest == through, when == "before", "{mode}: {oldest}, {through}");
        let (code, report) = verified(&log.path);
        assert_eq!(code, Some(0), "{mode}, {when}: {report}");
        if mode.starts_with("durable") && when == "before" {
            assert!(answered(&answers).is_subset(&ids(&told)), "an answer without its record");
        }

        // The next process does what is left to do.
        let served = log.start();
        served.wait_until("old files are removed", |_| files(&log.path).len() == 2);
        served.stop();
        let (code, report) = verified(&log.path);
        assert_eq!(code, Some(0), "{mode}, {when}: {report}");
        assert!(report["first"].as_u64() > Some(through), "{mode}, {when}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_disk_with_no_room_for_the_record_of_it_no_old_file_is_removed() {
    for (mode, lost) in [("best-effort", 1), ("spill", 0), ("durable=30s", 1)] {
        let log = Log::with(mode, &ROTATED);
        let aside = |served: &Served, written: u64| -> Vec<PathBuf> {
            served.wait_until("all is written and removed", |served| {
                served.metric(WRITTEN, "") == written && files(&log.path).len() == 2
            });
            files(&log.path)
        };
        let served = Disk::Limited.start(&log);
        for asked in questions(3) {
            assert!(ask(&served.address, [asked]).await[0].is_ok());
        }
        let before = aside(&served, 3);

        // One more decision has room in a file of its own, and nothing else.
        let line = fs::read_to_string(&log.path).expect("the log");
        let line = line.lines().next().map_or(0, str::len);
        limit(&served, &format!("{}:unlimited", line + 100));
        assert!(ask(&served.address, questions(1)).await[0].is_ok(), "{mode}");
        served.wait_until("it is written", |served| served.metric(WRITTEN, "") == 4);
        let full = ask(&served.address, questions(1)).await;
        assert_eq!(full[0].is_err(), mode.starts_with("durable"), "{mode}: the disk is not full");
        served.wait_until("it is not written", |served| {
            served.metric(DROPPED, "") + served.metric("keyward_decision_log_spilled", "") == 1
        });
        assert_eq!(records(&log.path).len(), 1, "{mode}: the record had room");
        let found = files(&log.path);
        assert_eq!((found.len(), &found[0]), (3, &before[0]), "{mode}");
        assert_eq!(verified(&log.path).0, Some(0), "{mode}");

        limit(&served, "unlimited:unlimited");
        assert!(ask(&served.address, questions(1)).await[0].is_ok(), "{mode}");
        let after = aside(&served, 6 - lost);
        assert!(last(&after[0]) > last(&before[0]), "{mode}: {before:?}, {after:?}");
        served.stop();
        let (code, report) = verified(&log.path);
        assert_eq!(code, Some(0), "{mode}: {report}");
        let told = all_records(&log.path);
        let end = told.last().expect("a record");
        assert_eq!(end["chain"]["lost"], lost, "{mode}: {end}");
        // It was told in time, each time.
        let first = report["first"].as_u64().expect("a number");
        assert!(pruned(&told).contains(&(first - 1)), "{mode}: {told:?}");
    }
}

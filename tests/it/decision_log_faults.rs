//! The decision log when things go wrong: full disks, removed folders, killed processes. What was
//! answered is what was recorded, and what is said to be lost.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keyward::wire::v1;
use serde_json::Value;
use tonic::Code;

use crate::decision_log::{ask, decisions, question, records, status, verify};
use crate::served::Served;

const ANY: &str = "127.0.0.1:0";

/// The files of a log, oldest first and the current one last.
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let folder = path.parent().expect("a folder");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|file| {
            let file = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            file == name || file.strip_prefix(name).is_some_and(|rest| rest.starts_with(".0"))
        })
        .collect();
    files.sort();
    files.rotate_left(1); // The one without a number sorts first.
    files
}

/// Every record of a log, files that were put aside included.
pub(crate) fn all_records(path: &Path) -> Vec<Value> {
    files(path).iter().flat_map(|file| records(file)).collect()
}

/// What the records say was lost.
pub(crate) fn lost(records: &[Value]) -> u64 {
    records.iter().map(|record| record["chain"]["lostBefore"].as_u64().unwrap_or(0)).sum()
}

pub(crate) fn ids(records: &[Value]) -> HashSet<String> {
    let id = |record: &&Value| record["eventID"].as_str().expect("an id").to_owned();
    decisions(records).iter().map(id).collect()
}

pub(crate) type Answers = Vec<Result<v1::AuthorizeResponse, tonic::Status>>;

pub(crate) fn answered(answers: &Answers) -> HashSet<String> {
    answers.iter().flatten().map(|answer| answer.decision_id.clone()).collect()
}

pub(crate) fn questions(count: usize) -> Vec<v1::AuthorizeRequest> {
    (0..count).map(|number| question(if number % 3 == 0 { "42" } else { "43" })).collect()
}

/// How the disk of the log becomes full.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disk {
    /// The process may not write files further than they are: the same everywhere.
    Limited,
    /// The folder is a small disk of its own: only where one may mount.
    Small,
}

impl Disk {
    /// Those that this system has; the first it always has.
    fn all() -> Vec<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mount = format!("mount -t tmpfs tmpfs '{}'", folder.path().display());
        let mounted = Command::new("unshare").args(["-rm", "sh", "-c", &mount]).status();
        let small = mounted.is_ok_and(|status| status.success()).then_some(Self::Small);
        [Self::Limited].into_iter().chain(small).collect()
    }

    /// Questions before the disk is full. Where it is a limit of every file, what waits elsewhere
    /// has to be shorter than the log.
    pub(crate) fn before(self) -> usize {
        match self {
            Self::Limited => 600,
            Self::Small => 10,
        }
    }

    pub(crate) fn start(self, log: &Log) -> Served {
        let script = match self {
            // Without the trap the signal would end the process.
            Self::Limited => "trap '' XFSZ && exec \"$@\"".to_owned(),
            Self::Small => {
                let folder = log.disk().display().to_string();
                format!("mount -t tmpfs -o size=512k tmpfs '{folder}' && exec \"$@\"")
            }
        };
        let mut command = match self {
            Self::Limited => Command::new("sh"),
            Self::Small => {
                let mut command = Command::new("unshare");
                command.args(["-rm", "sh"]);
                command
            }
        };
        command.args(["-c", &script, "sh"]);
        command.arg(fs::canonicalize(env!("CARGO_BIN_EXE_keyward")).expect("the binary"));
        Served::start_by(command, ANY, &log.args())
    }

    fn fill(self, served: &Served, log: &Log) {
        match self {
            Self::Limited => {
                // In the middle of the next record.
                let size = fs::metadata(&log.path).expect("the log").len() + 700;
                limit(served, &format!("{size}:unlimited"));
            }
            Self::Small => {
                let ballast = self.seen_by(served, &log.disk()).join("ballast");
                let _as_much_as_fits = fs::write(&ballast, vec![1; 600 * 1024]);
            }
        }
    }

    fn make_room(self, served: &Served, log: &Log) {
        match self {
            Self::Limited => limit(served, "unlimited:unlimited"),
            Self::Small => {
                let ballast = self.seen_by(served, &log.disk()).join("ballast");
                fs::remove_file(&ballast).expect("a file");
            }
        }
    }

    /// A path as the process sees it.
    fn seen_by(self, served: &Served, path: &Path) -> PathBuf {
        match self {
            Self::Limited => path.to_owned(),
            Self::Small => {
                let root = format!("/proc/{}/root", served.process.id());
                Path::new(&root).join(path.strip_prefix("/").expect("a whole path"))
            }
        }
    }
}

/// The most bytes that a file of the process may have.
pub(crate) fn limit(served: &Served, bytes: &str) {
    let pid = served.process.id().to_string();
    let limit = format!("--fsize={bytes}");
    let set = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    assert!(set.expect("prlimit of util-linux").success(), "{limit}");
}

pub(crate) struct Log {
    mode: &'static str,
    folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
    args: Vec<String>,
}

impl Log {
    pub(crate) fn new(mode: &'static str) -> Self {
        Self::with(mode, &[])
    }

    pub(crate) fn with(mode: &'static str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("disk/log/decisions.jsonl");
        fs::create_dir(folder.path().join("disk")).expect("a folder");
        let spill = folder.path().join("spill");
        let args = [
            "--decision-log",
            &format!("file:{}", path.display()),
            "--decision-log-mode",
            mode,
            "--decision-log-spill-dir",
            spill.to_str().expect("UTF-8"),
            "--admin-listen",
            &format!("unix:{}", folder.path().join("admin.sock").display()),
            "--http-listen",
            ANY,
        ];
        let args = [&args, more].concat().into_iter().map(str::to_owned).collect();
        Self { mode, folder, path, args }
    }

    pub(crate) fn args(&self) -> Vec<&str> {
        self.args.iter().map(String::as_str).collect()
    }

    pub(crate) fn start(&self) -> Served {
        Served::start(ANY, &self.args())
    }

    fn disk(&self) -> PathBuf {
        self.folder.path().join("disk")
    }
}

pub(crate) const WRITTEN: &str = "keyward_decision_log_written_total";
pub(crate) const DROPPED: &str = "keyward_decision_log_dropped_total";
const SPILLED: &str = "keyward_decision_log_spilled";

/// Fills the disk of the log, asks, makes room, and asks again.
async fn full_disk(log: &Log, disk: Disk) -> (Vec<Value>, Answers) {
    let served = disk.start(log);
    let mut answers = ask(&served.address, questions(disk.before())).await;
    served
        .wait_until("all is written", |served| served.metric(WRITTEN, "") == answers.len() as u64);
    disk.fill(&served, log);
    answers.extend(ask(&served.address, questions(200)).await);
    if log.mode == "spill" {
        served.wait_until("records wait elsewhere", |served| served.metric(SPILLED, "") > 0);
    }
    disk.make_room(&served, log);
    answers.extend(ask(&served.address, questions(10)).await);
    let given = answered(&answers).len() as u64;
    served.wait_until("every record is written or lost", |served| {
        served.metric(WRITTEN, "") + served.metric(DROPPED, "") >= given
            && served.metric(SPILLED, "") == 0
    });
    // The next record tells what was lost.
    answers.extend(ask(&served.address, questions(1)).await);
    served.wait_until("the last is written", |served| {
        let given = answered(&answers).len() as u64;
        served.metric(WRITTEN, "") + served.metric(DROPPED, "") >= given
    });
    let told = status(&log.folder.path().join("admin.sock"));
    let lost = told.iter().flat_map(|sink| sink["lost"].as_array()).flatten();
    let lost = lost.map(|loss| loss["records"].as_str().and_then(|it| it.parse::<u64>().ok()));
    let lost: Option<u64> = lost.sum();
    assert_eq!(lost, Some(served.metric(DROPPED, "")), "{told:?}");
    let records = records(&disk.seen_by(&served, &log.path));
    let copy = log.folder.path().join("copy.jsonl");
    fs::copy(disk.seen_by(&served, &log.path), &copy).expect("a copy");
    assert_eq!(verify(&[copy.to_str().expect("UTF-8")]).0, Some(0));
    served.stop();
    (records, answers)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_what_is_found_and_what_is_lost_is_what_was_answered() {
    for disk in Disk::all() {
        let (records, answers) = full_disk(&Log::new("best-effort"), disk).await;
        assert!(answers.iter().all(Result::is_ok));
        let found = ids(&records);
        assert!(found.is_subset(&answered(&answers)));
        assert!(lost(&records) > 0, "nothing was lost: the disk was not full: {disk:?}");
        assert_eq!(found.len() as u64 + lost(&records), answers.len() as u64, "{disk:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_records_wait_elsewhere_and_come_back() {
    for disk in Disk::all() {
        let (records, answers) = full_disk(&Log::new("spill"), disk).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!((ids(&records), lost(&records)), (answered(&answers), 0), "{disk:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_there_is_no_answer_without_its_record() {
    for disk in Disk::all() {
        let (records, answers) = full_disk(&Log::new("durable=10s"), disk).await;
        let refused: Vec<Code> =
            answers.iter().filter_map(|answer| Some(answer.as_ref().err()?.code())).collect();
        assert!(!refused.is_empty(), "the disk was not full: {disk:?}");
        assert!(refused.iter().all(|code| *code == Code::Unavailable), "{refused:?}");
        assert!(answered(&answers).is_subset(&ids(&records)), "{disk:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_whose_folder_is_removed_goes_on_in_a_new_one() {
    for mode in ["best-effort", "spill", "durable=10s"] {
        let log = Log::new(mode);
        let served = log.start();
        let before = ask(&served.address, questions(20)).await;
        served.wait_until("all is written", |served| served.metric(WRITTEN, "") == 20);
        let old = records(&log.path);
        fs::remove_dir_all(log.disk()).expect("a folder");
        let after = ask(&served.address, questions(50)).await;
        served.stop();
        let new = all_records(&log.path);
        let found: HashSet<String> = ids(&old).union(&ids(&new)).cloned().collect();
        let given: HashSet<String> = answered(&before).union(&answered(&after)).cloned().collect();
        assert!(given.is_subset(&found) || mode == "best-effort", "{mode}");
        assert_eq!(found.len() as u64 + lost(&new), given.len() as u64, "{mode}");
        // What went with the folder is missed, and nothing else.
        let (code, report) = verify(&[log.path.to_str().expect("UTF-8")]);
        let codes: Vec<&str> = report["findings"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["code"].as_str())
            .collect();
        assert_eq!((code, codes.as_slice()), (Some(1), &["begins-late"][..]), "{report}");
        // The end was clean for the new file as well.
        log.start().stop();
        let kinds = all_records(&log.path);
        assert!(kinds.iter().all(|record| record["eventName"] != "DecisionLogUncleanEnd"));
    }
}

/// Asks from several sides until the process is killed; gives the ids of the answers that came.
pub(crate) async fn killed_under_load(served: Served) -> HashSet<String> {
    let (address, killed) = (served.address.clone(), Arc::new(AtomicBool::new(false)));
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let (url, killed) = (format!("http://{address}"), Arc::clone(&killed));
            tokio::spawn(async move {
                let mut given = HashSet::new();
                // A call may fail before the kill too, where the machine is busy.
                while !killed.load(Ordering::Acquire) {
                    let connected =
                        v1::authorization_service_client::AuthorizationServiceClient::connect(
                            url.clone(),
                        );
                    let Ok(mut client) = connected.await else { continue };
                    for asked in questions(100_000) {
                        match client.authorize(asked).await {
                            Ok(answer) => given.insert(answer.into_inner().decision_id),
                            Err(_) => break,
                        };
                    }
                }
                given
            })
        })
        .collect();
    tokio::task::spawn_blocking(move || {
        served.wait_until("it is at work", |served| {
            served.metric("keyward_decisions_total", "") > 500
        });
        served.kill();
        killed.store(true, Ordering::Release);
    })
    .await
    .expect("a kill");
    let mut given = HashSet::new();
    for task in asking {
        given.extend(task.await.expect("no panic"));
    }
    given
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_next_start_says_how_much_may_be_missing() {
    for mode in ["best-effort", "spill", "durable=10s"] {
        let log = Log::new(mode);
        let mut given = killed_under_load(log.start()).await;
        assert!(given.len() > 400, "{mode}: {}", given.len());
        given.extend(killed_under_load(log.start()).await);
        let served = log.start();
        given.extend(answered(&ask(&served.address, questions(5)).await));
        served.stop();
        let records = all_records(&log.path);
        let found = ids(&records);
        assert_eq!(found.len(), decisions(&records).len(), "{mode}: a record is there twice");
        let unclean: Vec<u64> = records
            .iter()
            .filter(|record| record["eventName"] == "DecisionLogUncleanEnd")
            .map(|record| record["keyward"]["atMostMissing"].as_u64().expect("a bound"))
            .collect();
        assert_eq!(unclean.len(), 2, "{mode}");
        let missing = given.difference(&found).count() as u64;
        assert!(missing <= lost(&records) + unclean.iter().sum::<u64>(), "{mode}: {missing}");
        if mode.starts_with("durable") {
            assert_eq!(missing, 0, "an answer without its record");
        }
        let (code, report) = verify(&[log.path.to_str().expect("UTF-8")]);
        assert_eq!((code, &report["uncleanEnds"]), (Some(0), &2.into()), "{mode}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_on_disk_when_the_process_was_killed_comes_into_the_log_once() {
    let (log, disk) = (Log::new("spill"), Disk::Limited);
    let served = disk.start(&log);
    let mut answers = ask(&served.address, questions(disk.before())).await;
    served
        .wait_until("all is written", |served| served.metric(WRITTEN, "") == answers.len() as u64);
    disk.fill(&served, &log);
    answers.extend(ask(&served.address, questions(100)).await);
    served.wait_until("records wait elsewhere", |served| served.metric(SPILLED, "") == 100);
    served.kill();
    let served = log.start();
    served.wait_until("they are in the log", |served| served.metric(SPILLED, "") == 0);
    answers.extend(ask(&served.address, questions(1)).await);
    served.stop();
    let records = all_records(&log.path);
    assert_eq!(ids(&records), answered(&answers));
    assert_eq!(decisions(&records).len(), answers.len(), "a record is there twice");
    assert_eq!(lost(&records), 0);
    let unclean = records.iter().filter(|it| it["eventName"] == "DecisionLogUncleanEnd");
    assert_eq!(unclean.count(), 1);
    assert_eq!(verify(&[log.path.to_str().expect("UTF-8")]).0, Some(0));
}

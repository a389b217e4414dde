//! What a start of the decision log says of the end before it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::collector::Collector;
use crate::decision_log::{ask, decisions, verify};
use crate::decision_log_faults::{
    DROPPED, Disk, Log, WRITTEN, all_records, answered, ids, killed_under_load, limit, lost,
    questions,
};
use crate::served::Served;

const ANY: &str = "127.0.0.1:0";

/// The bounds of unclean ends that records tell of.
fn unclean(records: &[Value]) -> Vec<u64> {
    let ends = records.iter().filter(|record| record["eventName"] == "DecisionLogUncleanEnd");
    ends.map(|end| end["keyward"]["atMostMissing"].as_u64().expect("a bound")).collect()
}

/// Records go to a collector, with a note in the folder.
fn exporting(collector: &Collector, folder: &Path, mode: &str) -> Served {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address));
    let data = ["--data-dir", folder.to_str().expect("UTF-8"), "--http-listen", ANY];
    let log = ["--decision-log", "otlp", "--decision-log-mode", mode];
    Served::start_by(command, ANY, &[data, log].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_a_collector_is_told_how_much_it_may_miss() {
    for mode in ["best-effort", "spill", "durable=30s"] {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, second, third) = (Collector::start(), Collector::start(), Collector::start());
        let mut given = killed_under_load(exporting(&first, folder.path(), mode)).await;
        assert!(given.len() > 400, "{mode}: {}", given.len());
        let served = exporting(&second, folder.path(), mode);
        given.extend(answered(&ask(&served.address, questions(5)).await));
        served.stop();
        let after = second.records();
        let [bound] = unclean(&after)[..] else { panic!("{mode}: {after:?}") };
        let records = [first.records(), after].concat();
        let missing = given.difference(&ids(&records)).count() as u64;
        assert!(missing <= lost(&records) + bound, "{mode}: {missing} of {bound}");
        if mode.starts_with("durable") {
            assert_eq!(missing, 0, "an answer without its record");
        }
        // Of a good end there is nothing to say.
        exporting(&third, folder.path(), mode).stop();
        assert_eq!(third.records().len(), 2, "{mode}: {:?}", third.records());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_said_at_the_start_is_said_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, mut second) = (Collector::start(), Collector::absent());
    let served = exporting(&first, folder.path(), "durable=30s");
    assert!(ask(&served.address, questions(1)).await[0].is_ok());
    served.kill();
    let served = exporting(&second, folder.path(), "durable=30s");
    assert!(ask(&served.address, questions(1)).await[0].is_err(), "an answer without its record");
    second.come_back();
    let mut answers = Vec::new();
    for _ in 0..1000 {
        // Until the connection is made anew.
        answers.extend(ask(&served.address, questions(1)).await.into_iter().filter(Result::is_ok));
        if !answers.is_empty() {
            break;
        }
    }
    served.stop();
    assert_eq!(answers.len(), 1, "no answer, though the collector is back");
    let records = second.records();
    assert_eq!(unclean(&records).len(), 1, "{records:?}");
    assert!(answered(&answers).is_subset(&ids(&records)));
}

#[tokio::test(flavor = "multi_thread")]
async fn losses_that_could_not_be_told_at_the_end_are_told_at_the_next_start() {
    let log = Log::new("best-effort");
    let served = Disk::Limited.start(&log);
    let mut answers = ask(&served.address, questions(20)).await;
    served.wait_until("all is written", |served| served.metric(WRITTEN, "") == 20);
    let size = std::fs::metadata(&log.path).expect("the log").len();
    // The records of the log about itself do not fit either.
    limit(&served, &format!("{size}:unlimited"));
    answers.extend(ask(&served.address, questions(30)).await);
    served.wait_until("the others are lost", |served| served.metric(DROPPED, "") == 30);
    let told = served.stop_and_read();
    let last = told.lines().find(|line| line.contains("does not tell of all losses"));
    assert!(last.is_some_and(|line| line.contains("\"lost\":30")), "{told}");
    let served = log.start();
    answers.extend(ask(&served.address, questions(1)).await);
    served.stop();
    let records = all_records(&log.path);
    assert_eq!((unclean(&records), lost(&records)), (vec![30], 0), "{records:?}");
    assert_eq!(decisions(&records).len() + 30, answered(&answers).len());
    // It was told once.
    log.start().stop();
    assert_eq!(unclean(&all_records(&log.path)), [30]);
    let (code, report) = verify(&[log.path.to_str().expect("UTF-8")]);
    assert_eq!((code, &report["atMostMissing"]), (Some(0), &30.into()), "{report}");
}

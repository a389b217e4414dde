//! The sinks of the decision log that are no files, and answers that come in a stream.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use keyward::wire::v1;
use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::access::Authority;
use crate::collector::Collector;
use crate::decision_log::{ask, decisions, question, records, verify};
use crate::served::Served;

const ANY: &str = "127.0.0.1:0";

/// `keyward` whose standard output is a file.
fn into(file: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = format!("exec \"$@\" >'{}'", file.display());
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_keyward")]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_output_is_a_log_that_can_be_verified() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, key) = (folder.path().join("out"), folder.path().join("key"));
    fs::write(&key, "0123456789abcdef0123456789abcdef\n").expect("a key");
    let key = key.to_str().expect("UTF-8");
    for mode in ["best-effort", "durable=30s"] {
        let flags = ["--decision-log", "stdout", "--decision-log-mode", mode];
        let args = [&flags[..], &["--decision-log-key-file", key]].concat();
        let served = Served::start_by(into(&out), ANY, &args);
        let answers = ask(&served.address, [question("42"), question("43")]).await;
        if mode != "best-effort" {
            // Each was there before its answer.
            assert_eq!(decisions(&records(&out)).len(), 2);
        }
        served.stop();
        let records = records(&out);
        let names: Vec<_> = records.iter().map(|record| record["eventName"].as_str()).collect();
        let expected = ["DecisionLogStarted", "Decrypt", "Decrypt", "DecisionLogStopped"];
        assert_eq!(names, expected.map(Some), "{mode}");
        for (record, answer) in decisions(&records).into_iter().zip(&answers) {
            assert_eq!(record["eventID"], answer.as_ref().expect("an answer").decision_id);
        }
        let (code, report) = verify(&["--key-file", key, out.to_str().expect("UTF-8")]);
        assert_eq!((code, &report["decisions"]), (Some(0), &2.into()), "{mode}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_standard_output_that_goes_away_is_counted_and_ends_nothing() {
    let mut command = Command::new("bash");
    // The reader ends with the first record.
    let script = "exec \"$@\" > >(head -n 1 >/dev/null)";
    command.args(["-c", script, "bash", env!("CARGO_BIN_EXE_keyward")]);
    let args = ["--decision-log", "stdout", "--http-listen", ANY];
    let served = Served::start_by(command, ANY, &args);
    let lost = || served.metric("keyward_decision_log_dropped_total", "write_failed");
    let mut answered = 0;
    while lost() == 0 {
        assert!(answered < 100_000, "nothing was lost");
        let answers = ask(&served.address, (0..50).map(|_| question("42"))).await;
        assert!(answers.iter().all(Result::is_ok));
        answered += 50;
    }
    served.wait_until("every record is written or lost", |served| {
        served.metric("keyward_decision_log_written_total", "stdout") + lost() == answered
    });
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_goes_over_mutual_tls_and_compressed_where_it_is_to() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
    let (certificate, key) = authority.server();
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate, key))
        .client_ca_root(Certificate::from_pem(authority.pem()));
    let collector = Collector::start_with(tls);
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let (certificate, key) = authority.client("spiffe://prod.example/ns/kms/sa/keyward");
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://{}", collector.address))
        .env("OTEL_EXPORTER_OTLP_CERTIFICATE", write("ca.pem", &authority.pem()))
        .env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", write("client.pem", &certificate))
        .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", write("client.key", &key))
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .env("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none");
    let args = ["--decision-log", "otlp", "--decision-log-mode", "durable=30s"];
    let traces = ["--telemetry-trace-ratio", "1"];
    let served = Served::start_by(command, ANY, &[&args[..], &traces].concat());
    let answers = ask(&served.address, [question("42"), question("43")]).await;
    served.stop();
    let ids: HashSet<String> =
        answers.iter().map(|it| it.as_ref().expect("an answer").decision_id.clone()).collect();
    let taken = collector.taken();
    let told = collector.records();
    let told: HashSet<String> = decisions(&told)
        .iter()
        .map(|record| record["eventID"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(told, ids);
    assert_eq!(taken.spans.len(), 2);
    assert!(!taken.metrics.is_empty());
    for (signal, encoding) in [("traces", Some("gzip")), ("logs", Some("gzip")), ("metrics", None)]
    {
        assert_eq!(taken.came[signal], (encoding.map(str::to_owned), true), "{signal}");
    }

    // A collector whose certificate nobody vouches for gets nothing.
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://{}", collector.address))
        .env("OTEL_EXPORTER_OTLP_CERTIFICATE", write("ca.pem", &Authority::new().pem()));
    let served = Served::start_by(command, ANY, &args);
    let answers = ask(&served.address, [question("42")]).await;
    served.stop();
    let code = answers[0].as_ref().err().map(tonic::Status::code);
    assert_eq!(code, Some(Code::Unavailable), "an answer without its record");
    assert_eq!(collector.taken().records.len(), taken.records.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_of_what_the_filters_name_with_values_in_clear_if_that_is_wanted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.jsonl");
    let log = format!("file:{}", path.display());
    let args = [
        "--decision-log",
        &log,
        "--decision-log-decisions",
        "implicitDeny,explicitDeny",
        "--decision-log-actions",
        "kms:Decrypt",
        "--decision-log-encryption-context",
        "clear",
    ];
    let served = Served::start(ANY, &args);
    let encrypt = v1::AuthorizeRequest { action: "kms:Encrypt".to_owned(), ..question("43") };
    let answers = ask(&served.address, [question("42"), question("43"), encrypt]).await;
    served.stop();
    let decided: Vec<_> = answers.iter().map(|it| it.as_ref().expect("an answer")).collect();
    assert_eq!(decided[0].decision(), v1::Decision::Allowed);
    assert_eq!(decided[2].decision(), v1::Decision::ImplicitDeny);
    let records = records(&path);
    let [record] = decisions(&records)[..] else { panic!("{records:?}") };
    assert_eq!(record["eventID"], decided[1].decision_id);
    assert_eq!(record["requestParameters"]["encryptionContext"]["tenant"], "43");
}

/// Asks in a stream; gives the answers and the codes of refusals.
async fn stream(address: &str, count: u64) -> (Vec<v1::AuthorizeResponse>, Vec<i32>) {
    let url = format!("http://{address}");
    let mut client = AuthorizationServiceClient::connect(url).await.expect("a connection");
    let messages = (0..count).map(|id| v1::AuthorizeStreamRequest {
        id,
        request: Some(question(["42", "43"][usize::from(id % 2 == 1)])),
    });
    let messages = tokio_stream::iter(messages.collect::<Vec<_>>());
    let mut answers = client.authorize_stream(messages).await.expect("a stream").into_inner();
    let (mut given, mut refused) = (Vec::new(), Vec::new());
    while let Some(answer) = answers.next().await {
        match answer.expect("a message").result.expect("a result") {
            v1::authorize_stream_response::Result::Response(answer) => given.push(answer),
            v1::authorize_stream_response::Result::Error(error) => refused.push(error.code),
        }
    }
    (given, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_a_stream_wait_for_their_records_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.jsonl");
    let log = format!("file:{}", path.display());
    let served =
        Served::start(ANY, &["--decision-log", &log, "--decision-log-mode", "durable=30s"]);
    let (given, refused) = stream(&served.address, 40).await;
    assert_eq!((given.len(), refused.len()), (40, 0));
    // Killed, so that nothing is written after the answers.
    served.kill();
    let records = records(&path);
    let found: HashSet<_> = decisions(&records)
        .iter()
        .map(|record| record["eventID"].as_str().expect("an id").to_owned())
        .collect();
    let given: HashSet<_> = given.into_iter().map(|answer| answer.decision_id).collect();
    assert_eq!(found, given);
    let method = &decisions(&records)[0]["keyward"]["method"];
    assert_eq!(method, "keyward.v1.AuthorizationService/AuthorizeStream");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_stream_there_is_no_answer_without_its_record() {
    let collector = Collector::absent();
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address));
    let args = ["--decision-log", "otlp", "--decision-log-mode", "durable=10s"];
    let served = Served::start_by(command, ANY, &args);
    let (given, refused) = stream(&served.address, 10).await;
    assert!(given.is_empty(), "{given:?}");
    assert_eq!(refused, vec![i32::from(Code::Unavailable); 10]);
    served.stop();
}

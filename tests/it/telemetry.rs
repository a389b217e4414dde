//! What is told to a collector, over a socket, as the service runs: spans, metrics, records.

use std::collections::{HashMap, HashSet};
use std::process::Command;

use keyward::wire::v1;
use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use serde_json::Value;
use tonic::{Code, Request};

use crate::collector::{Collector, attribute, sum};
use crate::decision_log::question;
use crate::served::Served;

/// Planted where it must never be told.
const CANARY: &str = "canary-77ae";

fn start(collector: &Collector, env: &[(&str, &str)], more: &[&str]) -> Served {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address));
    command.env("OTEL_BSP_SCHEDULE_DELAY", "50").envs(env.iter().copied());
    Served::start_by(command, "127.0.0.1:0", more)
}

/// The questions: allowed, denied both ways, about a key that is not there, and refused.
fn mixed(number: usize) -> v1::AuthorizeRequest {
    let mut asked = question(["42", "43"][number % 2]);
    asked.request_id = format!("q-{number}");
    match number % 10 {
        3 => {
            let policy = r#"{"Version":"2012-10-17","Statement":{"Sid":"canary77ae","Effect":"Deny","Action":"kms:*","Resource":"*"}}"#;
            asked.principal.as_mut().expect("a principal").session_policies =
                vec![policy.to_owned()];
        }
        5 => asked.key_id = "alias/nowhere".to_owned(),
        7 => asked.action = "kms:Nonsense".to_owned(),
        9 => {
            asked.encryption_context.insert("more".to_owned(), CANARY.to_owned());
            asked.grant_tokens = vec![format!("{CANARY}-token")];
        }
        _ => {}
    }
    asked
}

/// Which trace a question belongs to, and whether its caller samples it.
fn parent(number: usize) -> (String, String, bool) {
    (format!("{:032x}", number + 1), format!("{:016x}", number + 7), number.is_multiple_of(8))
}

/// Asks many questions from several sides, each within a trace. Gives the outcomes by number.
async fn ask_all(
    address: &str,
    count: usize,
) -> HashMap<usize, Result<v1::AuthorizeResponse, tonic::Status>> {
    let sides = 16;
    let asking: Vec<_> = (0..sides)
        .map(|side| {
            let url = format!("http://{address}");
            tokio::spawn(async move {
                let mut client =
                    AuthorizationServiceClient::connect(url).await.expect("a connection");
                let mut found = Vec::new();
                for number in (side..count).step_by(sides) {
                    let (trace, span, sampled) = parent(number);
                    let header = format!("00-{trace}-{span}-{:02x}", u8::from(sampled));
                    let mut call = Request::new(mixed(number));
                    call.metadata_mut().insert("traceparent", header.parse().expect("a header"));
                    let outcome = client.authorize(call).await.map(tonic::Response::into_inner);
                    found.push((number, outcome));
                }
                found
            })
        })
        .collect();
    let mut all = HashMap::new();
    for side in asking {
        all.extend(side.await.expect("no panic"));
    }
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_answers_are_told_once_each_and_counted_as_they_were_given() {
    const COUNT: usize = 10_000;
    let collector = Collector::start();
    let served = start(&collector, &[], &["--decision-log", "otlp"]);
    let outcomes = ask_all(&served.address, COUNT).await;
    let told = served.stop_and_read();
    let taken = collector.taken();

    // Every decision record arrives exactly once, and no other does.
    let answers: HashMap<&str, (usize, &v1::AuthorizeResponse)> = outcomes
        .iter()
        .filter_map(|(number, outcome)| {
            let answer = outcome.as_ref().ok()?;
            Some((&*answer.decision_id, (*number, answer)))
        })
        .collect();
    let refused = outcomes.values().filter_map(|outcome| outcome.as_ref().err());
    let refused: Vec<Code> = refused.map(tonic::Status::code).collect();
    assert_eq!((answers.len(), refused.len()), (COUNT * 9 / 10, COUNT / 10));
    assert!(refused.iter().all(|code| *code == Code::InvalidArgument));
    let bodies = collector.records();
    assert_eq!(bodies.len(), taken.records.len(), "a record was sent twice");
    let mut ids = HashSet::new();
    for body in bodies.iter().filter(|body| body["keyward"]["decision"].is_string()) {
        let id = body["eventID"].as_str().expect("an id");
        assert!(ids.insert(id.to_owned()), "{id} twice");
        let (number, answer) = answers[id];
        assert_eq!(body["requestID"], format!("q-{number}"));
        assert_eq!(body["keyward"]["traceId"], parent(number).0);
        let decision = body["keyward"]["decision"].as_str().expect("a decision");
        let expected = match answer.decision() {
            v1::Decision::Allowed => "allowed",
            v1::Decision::ExplicitDeny => "explicitDeny",
            v1::Decision::ImplicitDeny => "implicitDeny",
            other => panic!("{other:?}"),
        };
        assert_eq!(decision, expected);
    }
    assert_eq!(ids.len(), answers.len());

    // Every sampled call has a span with the right parent, and no other has one.
    let sampled = (0..COUNT).filter(|number| parent(*number).2).count();
    assert_eq!(taken.spans.len(), sampled);
    let mut seen = HashSet::new();
    for span in &taken.spans {
        let number = usize::from_str_radix(&hex(&span.trace_id), 16).expect("a number") - 1;
        let (trace, of, is_sampled) = parent(number);
        assert!(is_sampled && seen.insert(number));
        assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (trace, of));
        assert_eq!(span.name, "keyward.v1.AuthorizationService/Authorize");
        let text = |name: &str| attribute(&span.attributes, name);
        assert_eq!(text("rpc.system.name").as_deref(), Some("grpc"));
        match &outcomes[&number] {
            Ok(answer) => {
                assert_eq!(text("keyward.decision_id").as_ref(), Some(&answer.decision_id));
                assert_eq!(text("keyward.policy_revision").as_ref(), Some(&answer.policy_revision));
                assert_eq!(text("rpc.response.status_code").as_deref(), Some("OK"));
                let layers = span.events.iter().filter(|event| event.name == "keyward.layer");
                assert!(
                    layers.count() > 0 || text("keyward.reason").as_deref() == Some("unknown_key")
                );
                // Its record is linked to it.
                let record = taken.records.iter().find(|record| record.span_id == span.span_id);
                let record = record.expect("a record in the span");
                assert_eq!(record.trace_id, span.trace_id);
            }
            Err(_) => {
                assert_eq!(text("rpc.response.status_code").as_deref(), Some("INVALID_ARGUMENT"));
            }
        }
    }

    // The counters are what was answered.
    let given = |decision: v1::Decision| {
        answers.values().filter(|(_, answer)| answer.decision() == decision).count() as u64
    };
    for (name, decision) in [
        ("allowed", v1::Decision::Allowed),
        ("explicitDeny", v1::Decision::ExplicitDeny),
        ("implicitDeny", v1::Decision::ImplicitDeny),
    ] {
        assert!(given(decision) > 0);
        let of = ("decision", name);
        assert_eq!(sum(&taken.metrics, "keyward.decisions", of), given(decision), "{name}");
        assert_eq!(sum(&taken.metrics, "keyward.authorize.duration", of), given(decision));
    }
    for (code, count) in [("OK", COUNT * 9 / 10), ("INVALID_ARGUMENT", COUNT / 10)] {
        let of = ("rpc.response.status_code", code);
        assert_eq!(sum(&taken.metrics, "rpc.server.call.duration", of), count as u64);
    }
    for metric in &taken.metrics {
        assert!(!metric.description.is_empty() && !metric.unit.is_empty(), "{}", metric.name);
    }

    let everything = format!("{taken:?}{told}");
    for secret in [CANARY, "canary77ae"] {
        assert!(!everything.contains(secret), "{secret} was told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_and_explanations_have_spans_whatever_is_sampled() {
    let collector = Collector::start();
    let args = ["--telemetry-trace-ratio", "0", "--telemetry-trace-always", "denials,explanations"];
    let served = start(&collector, &[("OTEL_EXPORTER_OTLP_COMPRESSION", "none")], &args);
    let mut client = AuthorizationServiceClient::connect(format!("http://{}", served.address))
        .await
        .expect("it");
    let mut explained = question("42");
    explained.detail = v1::Detail::Full.into();
    let mut ids = HashSet::new();
    for (asked, told) in [(question("42"), false), (question("43"), true), (explained, true)] {
        let answer = client.authorize(asked).await.expect("an answer").into_inner();
        if told {
            ids.insert(answer.decision_id);
        }
    }
    let requests = vec![question("42"), question("43")];
    let batch = v1::BatchAuthorizeRequest { requests, ..v1::BatchAuthorizeRequest::default() };
    let answers = client.batch_authorize(batch).await.expect("answers").into_inner();
    match answers.items[1].result.as_ref().expect("a result") {
        v1::batch_authorize_item::Result::Response(answer) => {
            ids.insert(answer.decision_id.clone());
        }
        v1::batch_authorize_item::Result::Error(error) => panic!("{error:?}"),
    }
    drop(client);
    served.stop();
    let told = collector.taken().spans;
    let told: HashSet<String> = told
        .iter()
        .map(|span| attribute(&span.attributes, "keyward.decision_id").expect("an id"))
        .collect();
    assert_eq!(told, ids);
}

/// What was answered, by ids.
fn answered(
    outcomes: &HashMap<usize, Result<v1::AuthorizeResponse, tonic::Status>>,
) -> HashSet<String> {
    outcomes.values().flatten().map(|answer| answer.decision_id.clone()).collect()
}

fn recorded(records: &[Value]) -> HashSet<String> {
    let decisions = records.iter().filter(|record| record["keyward"]["decision"].is_string());
    decisions.map(|record| record["eventID"].as_str().expect("an id").to_owned()).collect()
}

fn lost(records: &[Value]) -> u64 {
    records.iter().map(|record| record["chain"]["lostBefore"].as_u64().unwrap_or(0)).sum()
}

/// The collector is absent, there, slow, killed and back; questions are asked all the while.
async fn troubled(
    mode: &str,
    queue: &str,
    spill: &str,
) -> (HashMap<usize, Result<v1::AuthorizeResponse, tonic::Status>>, Vec<Value>, String) {
    let mut collector = Collector::absent();
    let env = [("OTEL_EXPORTER_OTLP_TIMEOUT", "300"), ("OTEL_BLRP_MAX_QUEUE_SIZE", queue)];
    let args = [
        "--decision-log",
        "otlp",
        "--decision-log-mode",
        mode,
        "--decision-log-spill-dir",
        spill,
        "--http-listen",
        "127.0.0.1:0",
    ];
    let served = start(&collector, &env, &args);
    let mut outcomes = HashMap::new();
    let mut asked = |more: HashMap<usize, Result<v1::AuthorizeResponse, tonic::Status>>| {
        let base = outcomes.len();
        outcomes.extend(more.into_iter().map(|(number, outcome)| (base + number, outcome)));
    };
    asked(ask_all(&served.address, 200).await);
    collector.come_back();
    asked(ask_all(&served.address, 200).await);
    collector.answers(false);
    asked(ask_all(&served.address, 100).await);
    collector.answers(true);
    asked(ask_all(&served.address, 100).await);
    collector.kill();
    asked(ask_all(&served.address, 200).await);
    collector.come_back();
    let served = tokio::task::spawn_blocking(move || {
        served.wait_until("it is written again", |served| {
            served.metric("keyward_decision_log_queue_depth", "") == 0
                && served.metric("keyward_decision_log_spilled", "") == 0
        });
        served
    })
    .await
    .expect("no panic");
    asked(ask_all(&served.address, 100).await);
    let told = served.stop_and_read();
    let records = collector.records();
    (outcomes, records, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_collector_does_what_arrived_and_what_was_lost_is_what_was_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let spill = folder.path().to_str().expect("UTF-8");
    for queue in ["65536", "20"] {
        let (outcomes, records, told) = troubled("best-effort", queue, spill).await;
        let (given, found) = (answered(&outcomes), recorded(&records));
        assert!(found.is_subset(&given));
        assert_eq!(found.len() as u64 + lost(&records), given.len() as u64, "{told}");
        assert_eq!(lost(&records) == 0, queue != "20");
        // It is told once a minute, not once a batch.
        let complaints = told.lines().filter(|line| line.contains("does not take records")).count();
        assert_eq!(complaints, 1, "{told}");
        for signal in ["traces", "metrics"] {
            let of = format!("\"signal\":\"{signal}\"");
            let complaints = told.lines().filter(|line| line.contains(&of)).count();
            assert!(complaints <= 1, "{signal}: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_collector_does_not_take_waits_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let spill = folder.path().to_str().expect("UTF-8");
    let (outcomes, records, _) = troubled("spill", "65536", spill).await;
    assert_eq!(recorded(&records), answered(&outcomes));
    assert_eq!(lost(&records), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_there_is_no_answer_where_none_may_be_without_a_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let spill = folder.path().to_str().expect("UTF-8");
    let (outcomes, records, _) = troubled("durable=5s", "65536", spill).await;
    assert!(answered(&outcomes).is_subset(&recorded(&records)));
    let refused: HashSet<i32> = outcomes
        .values()
        .filter_map(|outcome| Some(i32::from(outcome.as_ref().err()?.code())))
        .collect();
    let expected = [Code::InvalidArgument, Code::Unavailable].map(i32::from);
    assert!(expected.iter().all(|code| refused.contains(code)), "{refused:?}");
    let allowed = [Code::InvalidArgument, Code::Unavailable, Code::DeadlineExceeded].map(i32::from);
    assert!(refused.iter().all(|code| allowed.contains(code)), "{refused:?}");
}

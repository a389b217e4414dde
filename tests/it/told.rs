//! What is told of calls that are no questions of `AuthorizationService`: those that keep grants, which
//! are decided and recorded as any, and those for operators.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use keyward::wire::v1;
use keyward::wire::v1::analysis_service_client::AnalysisServiceClient;
use keyward::wire::v1::grant_service_client::GrantServiceClient;
use keyward::wire::v1::policy_service_client::PolicyServiceClient;
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tonic::{Code, Request};

use crate::collector::{Collector, attribute, sum};
use crate::decision_log::{decisions, question};
use crate::grants::{KEY, SERVICE, WORKER, caller, channel, creation, data_dir, from_json};
use crate::served::Served;

/// Planted where it must never be told.
const CANARY: &str = "canary-c4a1";

fn start(collector: &Collector, folder: &Path, more: &[&str]) -> Served {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address));
    command.env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let data = ["--data-dir", folder.to_str().expect("UTF-8"), "--decision-log", "otlp"];
    Served::start_by(command, "127.0.0.1:0", &[&data[..], more].concat())
}

/// A call in the trace of this number.
fn traced<T>(message: T, number: usize) -> Request<T> {
    let mut call = Request::new(message);
    let header = format!("00-{number:032x}-00000000000000aa-01");
    call.metadata_mut().insert("traceparent", header.parse().expect("a header"));
    call
}

fn create(changes: &Value) -> v1::CreateGrantRequest {
    let mut request = creation("told");
    let request_members = request.as_object_mut().expect("an object");
    request_members.extend([(
        "constraints".to_owned(),
        json!({"encryptionContextSubset": {"tenant": CANARY}}),
    )]);
    request_members.extend(changes.as_object().expect("an object").clone());
    from_json("CreateGrantRequest", &request)
}

/// The trace of a record.
fn number(record: &Value) -> usize {
    let trace = record["keyward"]["traceId"].as_str().expect("a trace");
    usize::from_str_radix(trace, 16).expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_the_grant_service_are_traced_counted_and_recorded() {
    let (collector, folder) = (Collector::start(), data_dir());
    let served = start(&collector, folder.path(), &[]);
    let mut grants = GrantServiceClient::new(channel(folder.path()).await);
    let created = grants.create_grant(traced(create(&json!({})), 1)).await.expect("a grant");
    let created = created.into_inner();
    let again = grants.create_grant(traced(create(&json!({})), 2)).await.expect("the same grant");
    assert_eq!(again.into_inner().grant_id, created.grant_id);
    for (number, changes, code) in [
        (3, json!({"caller": caller(WORKER)}), Code::PermissionDenied),
        (4, json!({"dryRun": true, "name": "dry"}), Code::FailedPrecondition),
        (5, json!({"operations": []}), Code::InvalidArgument),
    ] {
        let refused = grants.create_grant(traced(create(&changes), number)).await;
        assert_eq!(refused.expect_err("a refusal").code(), code, "{changes}");
    }
    let list = json!({"caller": caller(SERVICE), "keyId": KEY});
    let list: v1::ListGrantsRequest = from_json("ListGrantsRequest", &list);
    let listed = grants.list_grants(traced(list, 6)).await.expect("a list").into_inner();
    assert_eq!(listed.grants.len(), 2);
    let retire = json!({"caller": caller(WORKER), "grantToken": created.grant_token});
    let retire: v1::RetireGrantRequest = from_json("RetireGrantRequest", &retire);
    grants.retire_grant(traced(retire, 7)).await.expect("retired");
    let other = create(&json!({"name": "other"}));
    let other = grants.create_grant(traced(other, 8)).await.expect("a grant").into_inner();
    let revoke = json!({"caller": caller(SERVICE), "keyId": KEY, "grantId": other.grant_id});
    let revoke: v1::RevokeGrantRequest = from_json("RevokeGrantRequest", &revoke);
    grants.revoke_grant(traced(revoke.clone(), 9)).await.expect("revoked");
    let gone = grants.revoke_grant(traced(revoke, 10)).await.expect_err("it is gone");
    assert_eq!(gone.code(), Code::NotFound);
    drop(grants);
    let said = served.stop_and_read();

    // One decision a call that was one; what it changed is told beside it.
    let records = collector.records();
    let told: HashMap<usize, &Value> =
        decisions(&records).into_iter().map(|record| (number(record), record)).collect();
    assert_eq!(told.len(), decisions(&records).len(), "a decision was told twice");
    for (number, event, decision, error) in [
        (1, "CreateGrant", "allowed", None),
        (2, "CreateGrant", "allowed", None),
        (3, "CreateGrant", "implicitDeny", Some("AccessDenied")),
        (4, "CreateGrant", "allowed", Some("DryRunOperationException")),
        (6, "ListGrants", "allowed", None),
        (7, "RetireGrant", "allowed", None),
        (8, "CreateGrant", "allowed", None),
        (9, "RevokeGrant", "allowed", None),
        (10, "RevokeGrant", "allowed", None),
    ] {
        let record = told[&number];
        assert_eq!(record["eventName"], event, "{number}");
        assert_eq!(record["keyward"]["decision"], decision, "{number}");
        assert_eq!(record["errorCode"].as_str(), error, "{number}");
        assert_eq!(record["resources"][0]["ARN"], KEY);
    }
    assert_eq!(told.len(), 9);
    let changes = records.iter().filter(|record| record["keyward"]["kind"] == "grantChange");
    let changes: HashMap<usize, &Value> = changes.map(|record| (number(record), record)).collect();
    for (number, effect, grant) in [
        (1, "created", &created.grant_id),
        (2, "existing", &created.grant_id),
        (7, "removed", &created.grant_id),
        (8, "created", &other.grant_id),
        (9, "removed", &other.grant_id),
    ] {
        let (record, decision) = (changes[&number], told[&number]);
        assert_eq!(record["keyward"]["effect"], effect, "{number}");
        assert_eq!(record["keyward"]["grantId"].as_str(), Some(&**grant));
        assert_eq!(record["keyward"]["decisionId"], decision["eventID"]);
        assert_ne!(record["eventID"], decision["eventID"]);
        for member in ["eventName", "userIdentity", "resources", "requestParameters"] {
            assert_eq!(record[member], decision[member], "{number}: {member}");
        }
        let named = record["responseElements"]["grantId"].as_str();
        assert_eq!(named, (effect != "removed").then_some(&**grant));
        assert_eq!(record["responseElements"]["keyId"], KEY);
    }
    assert_eq!(changes.len(), 5);
    assert_eq!(told[&9]["requestParameters"]["grantId"].as_str(), Some(&*other.grant_id));

    // A span a call, in the trace of its caller.
    let taken = collector.taken();
    let mut spans = HashMap::new();
    for span in &taken.spans {
        let bytes: [u8; 16] = span.trace_id.as_slice().try_into().expect("an id");
        let number = usize::try_from(u128::from_be_bytes(bytes)).expect("a number");
        assert_eq!(span.parent_span_id, [0, 0, 0, 0, 0, 0, 0, 0xaa]);
        assert!(spans.insert(number, span).is_none(), "two spans of call {number}");
    }
    for (number, method, code) in [
        (1, "CreateGrant", "OK"),
        (3, "CreateGrant", "PERMISSION_DENIED"),
        (4, "CreateGrant", "FAILED_PRECONDITION"),
        (5, "CreateGrant", "INVALID_ARGUMENT"),
        (6, "ListGrants", "OK"),
        (7, "RetireGrant", "OK"),
        (9, "RevokeGrant", "OK"),
        (10, "RevokeGrant", "NOT_FOUND"),
    ] {
        let span = spans[&number];
        let text = |name: &str| attribute(&span.attributes, name);
        assert_eq!(span.name, format!("keyward.v1.GrantService/{method}"));
        assert_eq!(text("rpc.method").as_ref(), Some(&span.name));
        assert_eq!(text("rpc.response.status_code").as_deref(), Some(code), "{number}");
        let decision = told.get(&number).map(|record| &record["eventID"]);
        let decision = decision.and_then(Value::as_str);
        assert_eq!(text("keyward.decision_id").as_deref(), decision, "{number}");
        let layers = span.events.iter().filter(|event| event.name == "keyward.layer").count();
        assert_eq!(layers > 0, decision.is_some(), "{number}");
    }
    assert_eq!(spans.len(), 10);

    // And they are counted.
    for (method, count) in
        [("CreateGrant", 6), ("ListGrants", 1), ("RetireGrant", 1), ("RevokeGrant", 2)]
    {
        let method_name = format!("keyward.v1.GrantService/{method}");
        let of = ("rpc.method", &*method_name);
        assert_eq!(sum(&taken.metrics, "rpc.server.call.duration", of), count, "{method}");
    }
    for (action, count) in [("kms:CreateGrant", 5), ("kms:RetireGrant", 1), ("kms:RevokeGrant", 2)]
    {
        assert_eq!(sum(&taken.metrics, "keyward.decisions", ("action", action)), count, "{action}");
    }
    let everything = format!("{taken:?}{said}");
    for secret in [CANARY, &*created.grant_token, &*other.grant_token] {
        assert!(!everything.contains(secret), "{secret} was told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_grant_is_changed_without_a_record_where_none_may_be() {
    let (mut collector, folder) = (Collector::absent(), data_dir());
    let served = start(&collector, folder.path(), &["--decision-log-mode", "durable=30s"]);
    let mut grants = GrantServiceClient::new(channel(folder.path()).await);
    let refused = grants.create_grant(create(&json!({}))).await.expect_err("no record");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    // A denial is an answer as well.
    let denied = grants.create_grant(create(&json!({"caller": caller(WORKER)}))).await;
    assert_eq!(denied.expect_err("no record").code(), Code::Unavailable);
    collector.come_back();
    let list = json!({"caller": caller(SERVICE), "keyId": KEY});
    let list: v1::ListGrantsRequest = from_json("ListGrantsRequest", &list);
    let mut there = None;
    for _ in 0..1000 {
        // Until the connection is made anew.
        if let Ok(listed) = grants.list_grants(list.clone()).await {
            there = Some(listed.into_inner().grants.len());
            break;
        }
    }
    assert_eq!(there, Some(1), "that of the document alone");
    let created = grants.create_grant(create(&json!({}))).await.expect("a grant").into_inner();
    // Both records were there before the answer.
    let records = collector.records();
    let told = |kind: &str| records.iter().any(|record| record["keyward"]["kind"] == kind);
    assert!(told("grantChange"), "{records:?}");
    let change = records.iter().find(|record| record["keyward"]["kind"] == "grantChange");
    assert_eq!(change.map(|it| &it["keyward"]["grantId"]), Some(&json!(created.grant_id)));
    drop(grants);
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_for_operators_have_spans_and_are_counted() {
    let (collector, folder) = (Collector::start(), data_dir());
    let served = start(&collector, folder.path(), &[]);
    let channel = channel(folder.path()).await;
    let mut policies = PolicyServiceClient::new(channel.clone());
    let mut analysis = AnalysisServiceClient::new(channel);
    let status = v1::GetPolicySetStatusRequest::default();
    policies.get_policy_set_status(traced(status, 1)).await.expect("a status");
    policies.reload_policy_set(traced(v1::ReloadPolicySetRequest::default(), 2)).await.expect("it");
    let simulated = v1::SimulateAuthorizationRequest {
        request: Some(question("42")),
        ..v1::SimulateAuthorizationRequest::default()
    };
    analysis.simulate_authorization(traced(simulated, 3)).await.expect("an answer");
    let nothing = v1::SimulateAuthorizationRequest::default();
    analysis.simulate_authorization(traced(nothing, 4)).await.expect_err("no question");
    let watch = v1::WatchPolicySetStatusRequest::default();
    let watched = policies.watch_policy_set_status(traced(watch, 5)).await.expect("a stream");
    let mut watched = watched.into_inner();
    watched.next().await.expect("a status").expect("a status");
    // Given up by its caller, it is over.
    drop(watched);
    drop((policies, analysis));
    served.stop();
    let taken = collector.taken();
    let mut told: Vec<(String, String)> = taken
        .spans
        .iter()
        .map(|span| {
            let code = attribute(&span.attributes, "rpc.response.status_code");
            (span.name.clone(), code.expect("a code"))
        })
        .collect();
    told.sort();
    let expected = [
        ("AnalysisService/SimulateAuthorization", "INVALID_ARGUMENT"),
        ("AnalysisService/SimulateAuthorization", "OK"),
        ("PolicyService/GetPolicySetStatus", "OK"),
        ("PolicyService/ReloadPolicySet", "OK"),
        ("PolicyService/WatchPolicySetStatus", "CANCELLED"),
    ];
    let expected = expected.map(|(name, code)| (format!("keyward.v1.{name}"), code.to_owned()));
    assert_eq!(told, expected);
    for (name, code) in expected {
        let counted = sum(&taken.metrics, "rpc.server.call.duration", ("rpc.method", &name));
        assert!(counted > 0, "{name} {code}");
    }
    // Nothing was decided: a simulation is no decision.
    assert_eq!(decisions(&collector.records()).len(), 0);
}

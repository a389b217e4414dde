//! The service as clients see it: real grpcurl, real buf, and the generated client.

use std::path::Path;

use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use keyward::engine::bundle::Options;
use keyward::pdp::load::load;
use keyward::wire::v1;
use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::http::Uri;
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

use crate::doors::{Door, parsed, text, verified};
use crate::served::{Served, run};

const AUTHORIZE: &str = "keyward.v1.AuthorizationService/Authorize";

fn question(tenant: &str) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest {
        request_id: format!("q-{tenant}"),
        principal: Some(v1::Principal {
            arn: "arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc".to_owned(),
            ..v1::Principal::default()
        }),
        action: "kms:Decrypt".to_owned(),
        key_id: "alias/orders".to_owned(),
        encryption_context: [("tenant".to_owned(), tenant.to_owned())].into(),
        ..v1::AuthorizeRequest::default()
    }
}

async fn quickstart() -> Door {
    let built =
        load(Path::new("examples/quickstart"), &Options::default(), &verified).expect("a good set");
    Door::open(built.snapshot).await
}

const QUESTION: &str = r#"{"principal":{"arn":"arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc"},
    "action":"kms:Decrypt","key_id":"alias/orders","encryption_context":{"tenant":"TENANT"}}"#;

#[test]
fn grpcurl_asks_by_reflection_alone() {
    let served = Served::start("127.0.0.1:0", &[]);
    let ask = |tenant: &str| {
        let data = QUESTION.replace("TENANT", tenant);
        parsed(&text(
            &run("grpcurl", &["-plaintext", "-d", &data, &served.address, AUTHORIZE]).stdout,
        ))
    };
    assert_eq!(ask("42")["decision"], "DECISION_ALLOWED");
    let denied = ask("43");
    assert_eq!(denied["decision"], "DECISION_IMPLICIT_DENY");
    let message = denied["message"].as_str().expect("a message");
    assert!(
        message.ends_with("because no resource-based policy allows the kms:Decrypt action"),
        "{message}"
    );

    let listed = text(&run("grpcurl", &["-plaintext", &served.address, "list"]).stdout);
    let services: Vec<&str> = listed.lines().collect();
    assert_eq!(
        services,
        [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "keyward.v1.AuthorizationService"
        ]
    );
    let described = text(
        &run("grpcurl", &["-plaintext", &served.address, "describe", "keyward.v1.Decision"]).stdout,
    );
    assert!(described.contains("Only DECISION_ALLOWED means"), "{described}");
    let refused = run(
        "grpcurl",
        &["-plaintext", "-d", r#"{"action":"kms:Decrypt"}"#, &served.address, AUTHORIZE],
    );
    let refused = text(&refused.stderr);
    assert!(
        refused.contains("InvalidArgument") && refused.contains("google.rpc.BadRequest"),
        "{refused}"
    );
}

#[test]
fn grpcurl_asks_over_a_unix_socket_and_the_service_ends_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pdp.sock");
    let served = Served::start(&format!("unix:{}", path.display()), &[]);
    let address = format!("unix://{}", path.display());
    let data = QUESTION.replace("TENANT", "42");
    let answer = run("grpcurl", &["-plaintext", "-d", &data, &address, AUTHORIZE]);
    assert_eq!(
        parsed(&text(&answer.stdout))["decision"],
        "DECISION_ALLOWED",
        "{}",
        text(&answer.stderr)
    );
    served.stop();
    assert!(!path.exists(), "the socket is left behind");
}

#[test]
fn buf_asks_by_the_old_reflection_and_finds_no_fault_with_the_protocol() {
    let served = Served::start("127.0.0.1:0", &[]);
    let url = format!("http://{}/{AUTHORIZE}", served.address);
    for reflection in ["grpc-v1", "grpc-v1alpha"] {
        let data = QUESTION.replace("TENANT", "42");
        let answer = run(
            "buf",
            &[
                "curl",
                "--http2-prior-knowledge",
                "--protocol",
                "grpc",
                "--reflect-protocol",
                reflection,
                "-d",
                &data,
                &url,
            ],
        );
        assert_eq!(
            parsed(&text(&answer.stdout))["decision"],
            "DECISION_ALLOWED",
            "{}",
            text(&answer.stderr)
        );
    }
    let image = tempfile::NamedTempFile::with_suffix(".binpb").expect("a file");
    std::fs::write(image.path(), v1::FILE_DESCRIPTOR_SET).expect("a file");
    let config = r#"{"version":"v2","lint":{"use":["STANDARD","COMMENTS"],"ignore":["google"]}}"#;
    let lint = run("buf", &["lint", image.path().to_str().expect("UTF-8"), "--config", config]);
    assert!(lint.status.success(), "{}{}", text(&lint.stdout), text(&lint.stderr));
}

#[tokio::test]
async fn a_batch_answers_as_single_calls_do() {
    let mut door = quickstart().await;
    let mut bad = question("42");
    bad.action = "kms:Nonsense".to_owned();
    let requests = vec![question("42"), question("43"), bad];
    let ask = |stop_mode: v1::StopMode| v1::BatchAuthorizeRequest {
        requests: requests.clone(),
        consistency: None,
        stop_mode: stop_mode.into(),
    };
    let batch = door
        .client
        .batch_authorize(ask(v1::StopMode::Unspecified))
        .await
        .expect("answers")
        .into_inner();
    let mut found = Vec::new();
    for (item, request) in batch.items.iter().zip(&requests) {
        let single = door.client.authorize(request.clone()).await;
        match (item.result.as_ref().expect("a result"), single) {
            (v1::batch_authorize_item::Result::Response(answer), Ok(single)) => {
                let single = single.into_inner();
                assert_eq!((answer.decision, &answer.message), (single.decision, &single.message));
                assert_eq!(answer.request_id, request.request_id);
                found.push(answer.decision().as_str_name());
            }
            (v1::batch_authorize_item::Result::Error(error), Err(single)) => {
                assert_eq!(
                    (error.code, &*error.message),
                    (i32::from(single.code()), single.message())
                );
                assert!(!error.details.is_empty());
                found.push("error");
            }
            (item, single) => panic!("{item:?} but {single:?}"),
        }
    }
    assert_eq!(found, ["DECISION_ALLOWED", "DECISION_IMPLICIT_DENY", "error"]);
    for (mode, answered) in [(v1::StopMode::FirstAllowed, 1), (v1::StopMode::FirstNotAllowed, 2)] {
        let batch = door.client.batch_authorize(ask(mode)).await.expect("answers").into_inner();
        assert_eq!(batch.items.len(), answered, "{mode:?}");
    }
    let mut fresh = question("42");
    fresh.consistency = Some(v1::Consistency::default());
    let refused =
        v1::BatchAuthorizeRequest { requests: vec![fresh], ..v1::BatchAuthorizeRequest::default() };
    let status = door.client.batch_authorize(refused).await.expect_err("a refusal");
    assert_eq!(status.code(), Code::InvalidArgument);
    let violation = status.get_details_bad_request().expect("details").field_violations.remove(0);
    assert_eq!(violation.field, "requests[0].consistency");
    let many = v1::BatchAuthorizeRequest {
        requests: vec![question("42"); 1001],
        ..v1::BatchAuthorizeRequest::default()
    };
    assert_eq!(
        door.client.batch_authorize(many).await.expect_err("too many").code(),
        Code::InvalidArgument
    );
    door.close().await;
}

#[tokio::test]
async fn a_stream_answers_each_question_by_its_id() {
    let mut door = quickstart().await;
    let questions: Vec<v1::AuthorizeStreamRequest> = (0..200)
        .map(|id| v1::AuthorizeStreamRequest {
            id,
            request: (id % 3 != 2).then(|| question(if id % 3 == 0 { "42" } else { "43" })),
        })
        .collect();
    let mut answers = door
        .client
        .authorize_stream(tokio_stream::iter(questions))
        .await
        .expect("a stream")
        .into_inner();
    let mut next = 0;
    while let Some(answer) = answers.next().await {
        let answer = answer.expect("an answer");
        assert_eq!(answer.id, next);
        match (next % 3, answer.result.expect("a result")) {
            (0, v1::authorize_stream_response::Result::Response(found)) => {
                assert_eq!(found.decision(), v1::Decision::Allowed);
            }
            (1, v1::authorize_stream_response::Result::Response(found)) => {
                assert_eq!(found.decision(), v1::Decision::ImplicitDeny);
            }
            (2, v1::authorize_stream_response::Result::Error(error)) => {
                assert_eq!(error.code, i32::from(Code::InvalidArgument));
            }
            (_, other) => panic!("{other:?}"),
        }
        next += 1;
    }
    assert_eq!(next, 200);
    door.close().await;
}

#[tokio::test]
async fn answers_carry_ids_and_the_revision() {
    let mut door = quickstart().await;
    let first = door.client.authorize(question("42")).await.expect("an answer").into_inner();
    let second = door.client.authorize(question("42")).await.expect("an answer").into_inner();
    assert_eq!(first.request_id, "q-42");
    assert_ne!(first.decision_id, second.decision_id);
    assert_eq!(first.decision_id.len(), 36);
    assert_eq!(first.policy_revision, *door.pdp.snapshot().revision);
    let mut fresh = question("42");
    let ask = |requirement| Some(v1::Consistency { requirement: Some(requirement) });
    fresh.consistency = ask(v1::consistency::Requirement::AtLeastAsFresh(first.consistency_token));
    assert!(door.client.authorize(fresh.clone()).await.is_ok());
    fresh.consistency = ask(v1::consistency::Requirement::AtLeastAsFresh("elsewhere".to_owned()));
    let refused = door.client.authorize(fresh).await.expect_err("a foreign token");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    door.close().await;
}

/// A client without a timer of its own: what it hears is what the service said.
#[tokio::test]
async fn a_call_whose_time_is_over_is_told_so_whatever_it_waits_for() {
    let door = quickstart().await;
    let http = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Body>();
    let origin: Uri = format!("http://{}", door.address).parse().expect("an address");
    let mut client = AuthorizationServiceClient::with_origin(http.clone(), origin.clone());
    for round in 0..100 {
        for timeout in ["0m", "1n", "999u"] {
            let mut late = tonic::Request::new(question("42"));
            late.metadata_mut().insert("grpc-timeout", timeout.parse().expect("a value"));
            match client.authorize(late).await {
                Err(status) => {
                    assert_eq!(status.code(), Code::DeadlineExceeded, "{timeout}: {status:?}");
                }
                // Work does not begin where no time is left.
                Ok(_) => assert_eq!(timeout, "999u", "round {round}"),
            }
        }
    }
    // Nobody sends the message: only the timer can end the call.
    let mut silent = tonic::Request::new(tokio_stream::pending::<v1::AuthorizeRequest>());
    silent.metadata_mut().insert("grpc-timeout", "20m".parse().expect("a value"));
    let mut call = tonic::client::Grpc::with_origin(http, origin);
    call.ready().await.expect("a client");
    let codec = ProstCodec::<v1::AuthorizeRequest, v1::AuthorizeResponse>::default();
    let path = format!("/{AUTHORIZE}").parse().expect("a path");
    let outcome = call.client_streaming(silent, path, codec).await;
    assert_eq!(outcome.expect_err("nothing was asked").code(), Code::DeadlineExceeded);
    door.close().await;
}

#[tokio::test]
async fn health_tells_that_the_service_is_there() {
    let door = quickstart().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", door.address));
    let channel = channel.expect("an address").connect().await.expect("a connection");
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    for service in ["", "keyward.v1.AuthorizationService", "keyward.policy"] {
        let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
        let status = health.check(request).await.expect("a status").into_inner().status();
        assert_eq!(
            status,
            tonic_health::pb::health_check_response::ServingStatus::Serving,
            "{service}"
        );
    }
    drop(health);
    door.close().await;
}

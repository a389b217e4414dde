//! Every case through every door, and all doors agree.

use keyward::engine::decide::{decide, explain, remembering};
use keyward::engine::snapshot::Snapshot;
use keyward::pdp::Pdp;
use keyward::pdp::decisions::Decisions;
use keyward::wire::case::{answer, outcome};
use keyward::wire::v1;
use serde_json::{Value, json};

use crate::doors::{Door, case, keyward, lines, noon, parsed, text};

pub(crate) const CASES: &str = "tests/conformance";

/// What a case expects, as one text: the decision, or the kind of error.
fn found(answer: &Value) -> String {
    answer["decision"].as_str().or(answer["error"]["kind"].as_str()).unwrap_or("nothing").to_owned()
}

fn check(expected: &Value, answer: &Value) {
    assert_eq!(
        found(answer),
        expected["expect"].as_str().expect("an expectation"),
        "{}: {answer}",
        expected["id"]
    );
    let codes = match &expected["expectErrorCode"] {
        Value::Null => return,
        Value::Array(codes) => codes.clone(),
        code => vec![code.clone()],
    };
    assert!(codes.contains(&answer["errorCode"]), "{}: {answer}", expected["id"]);
}

#[test]
fn every_case_is_decided_as_it_says() {
    for line in lines(CASES) {
        check(&parsed(&line), &answer(&line, noon()));
    }
}

#[test]
fn the_command_line_answers_every_case_in_order() {
    let lines = lines(CASES);
    let output = keyward(&["simulate"], &lines.join("\n"));
    assert!(output.status.success());
    let answers = text(&output.stdout);
    let answers: Vec<Value> = answers.lines().map(parsed).collect();
    assert_eq!(answers.len(), lines.len());
    for (line, answered) in lines.iter().zip(&answers) {
        check(&parsed(line), answered);
        assert_eq!(*answered, answer(line, noon()));
    }
}

/// What the service says, in the words of `keyward simulate`.
pub(crate) fn as_simulated(response: &v1::AuthorizeResponse) -> Value {
    let decision = |decision: v1::Decision| match decision {
        v1::Decision::Unspecified => "unspecified",
        v1::Decision::Allowed => "allowed",
        v1::Decision::ExplicitDeny => "explicitDeny",
        v1::Decision::ImplicitDeny => "implicitDeny",
        v1::Decision::KeyState => "keyState",
    };
    let some = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    let legs: Vec<Value> = response
        .legs
        .iter()
        .map(|leg| {
            json!({"action": leg.action, "resource": leg.resource, "decision": decision(leg.decision()),
                "errorCode": some(&leg.error_code)})
        })
        .collect();
    json!({"decision": decision(response.decision()), "errorCode": some(&response.error_code),
        "message": some(&response.message), "legs": legs})
}

#[tokio::test]
async fn the_live_service_answers_every_case_alike() {
    // What is asked again and again comes from the cache wherever it can.
    let pdp = Pdp::new(Snapshot::default()).remembering(Decisions::from(0));
    let mut door = Door::to(pdp).await;
    let (mut asked, mut cached) = (0, 0);
    for line in lines(CASES) {
        let expected = parsed(&line);
        // Overrides exist in simulations alone; sets that are refused have their own tests.
        let Ok(case) = case(&line) else { continue };
        if !case.overrides.is_empty() {
            continue;
        }
        let mut simulated = answer(&line, noon());
        if simulated["error"]["kind"] == "invalidRequest" {
            door.set(case.snapshot, case.now);
            let refused = door.client.authorize(case.message).await.expect_err("a refusal");
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{}", expected["id"]);
            continue;
        }
        for member in ["id", "matchedStatements"] {
            simulated.as_object_mut().expect("an object").remove(member);
        }
        door.set(case.snapshot, case.now);
        for detail in [v1::Detail::Unspecified, v1::Detail::Reason, v1::Detail::Full] {
            let mut message = case.message.clone();
            message.set_detail(detail);
            let response = door.client.authorize(message).await.expect("an answer").into_inner();
            assert_eq!(as_simulated(&response), simulated, "{}", expected["id"]);
            assert_eq!(response.explanation.is_some(), detail != v1::Detail::Unspecified);
        }
        let batch = v1::BatchAuthorizeRequest {
            requests: vec![case.message.clone(), case.message.clone()],
            ..v1::BatchAuthorizeRequest::default()
        };
        let items = door.client.batch_authorize(batch).await.expect("answers").into_inner().items;
        assert_eq!(items.len(), 2, "{}", expected["id"]);
        for item in items {
            let Some(v1::batch_authorize_item::Result::Response(response)) = item.result else {
                panic!("{}: refused in a batch", expected["id"])
            };
            assert_eq!(as_simulated(&response), simulated, "{}", expected["id"]);
            cached += usize::from(response.cached);
        }
        let question = v1::AuthorizeStreamRequest { id: 7, request: Some(case.message) };
        let stream = door.client.authorize_stream(tokio_stream::iter([question])).await;
        let answered = stream.expect("a stream").into_inner().message().await.expect("an answer");
        let Some(v1::authorize_stream_response::Result::Response(response)) =
            answered.expect("an answer").result
        else {
            panic!("{}: refused in a stream", expected["id"])
        };
        assert_eq!(as_simulated(&response), simulated, "{}", expected["id"]);
        asked += 1;
    }
    assert!(asked > 150, "only {asked} cases went through the service");
    assert!(cached > 150, "only {cached} answers of batches came from the cache");
    door.close().await;
}

#[test]
fn listening_changes_nothing() {
    for line in lines(CASES) {
        let Ok(case) = case(&line) else { continue };
        let Ok(request) = case.request() else { continue };
        let silent = decide(&case.snapshot, &request).map(|answer| outcome(&answer));
        let heard = explain(&case.snapshot, &request).map(|(answer, explanation)| {
            assert_eq!(explanation.legs.len(), answer.legs.len(), "{line}");
            outcome(&answer)
        });
        assert_eq!(silent.ok(), heard.ok(), "{line}");
    }
}

#[test]
fn what_is_asked_again_and_again_comes_from_the_cache_and_is_the_same() {
    let pdp = Pdp::new(Snapshot::default()).remembering(Decisions::from(0));
    let mut cached = 0;
    for line in lines(CASES) {
        let Ok(case) = case(&line) else { continue };
        let Ok(request) = case.request() else { continue };
        let decided = decide(&case.snapshot, &request).map(|answer| outcome(&answer)).ok();
        pdp.live().install(&case.snapshot);
        let snapshot = pdp.snapshot();
        for turn in ["once", "again", "again"] {
            let recall = pdp.decisions().recall();
            let answer = remembering(&snapshot, &request, &recall);
            let found = answer.as_ref().is_ok_and(|answer| recall.made(answer));
            assert!(!(found && turn == "once"), "{line}");
            cached += usize::from(found);
            assert_eq!(answer.map(|answer| outcome(&answer)).ok(), decided, "{turn}: {line}");
        }
    }
    assert!(cached > 150, "only {cached} decisions came from the cache");
}

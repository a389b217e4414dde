//! Every case as a simulation: its documents over the empty set of a running service. And the first
//! cases of each kind as questions of the command line.

use std::fs;
use std::path::Path;

use keyward::engine::bundle::Limits;
use keyward::engine::json::{self, Source};
use keyward::engine::term::request::OverrideValue;
use keyward::wire::case::{Case, Refusal, answer};
use keyward::wire::v1;
use keyward::wire::v1::analysis_service_client::AnalysisServiceClient;
use serde_json::{Value, json};

use crate::conformance::{CASES, as_simulated};
use crate::doors::{case, keyward, lines, noon, parsed, text};
use crate::grants::channel;
use crate::served::Served;

/// The documents of a case, as they are written.
fn documents(line: &str) -> Vec<String> {
    let source = Source::new("case".into(), line);
    let json = json::read(&source, &Limits::default(), &mut Vec::new()).expect("JSON");
    let list = json.member("documents").and_then(json::Json::as_list).unwrap_or_default();
    list.iter().map(|document| source.slice(document.span).to_owned()).collect()
}

fn overrides(case: &Case) -> Vec<(String, v1::ContextOverride)> {
    use v1::context_override::Value;

    let value = |value: &OverrideValue| match value {
        OverrideValue::Absent => Value::Absent(true),
        OverrideValue::One(text) => Value::Single(text.clone()),
        OverrideValue::Many(texts) => Value::Multiple(v1::StringList { values: texts.clone() }),
    };
    let one = |given: &OverrideValue| v1::ContextOverride { value: Some(value(given)) };
    case.overrides.iter().map(|given| (given.name.clone(), one(&given.value))).collect()
}

/// The switches of a case, as texts.
fn switches(line: &str) -> Vec<(String, String)> {
    let options = parsed(line)["options"].as_object().cloned().unwrap_or_default();
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    options.into_iter().map(|(name, value)| (name, text(value))).collect()
}

#[tokio::test]
async fn a_simulation_answers_every_case_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    let (policies, data) = (folder.path().join("policies"), folder.path().join("data"));
    fs::create_dir(&policies).expect("a folder");
    let data_text = data.to_str().expect("UTF-8");
    let more = ["--allow-empty", "--data-dir", data_text];
    let served = Served::over(policies.to_str().expect("UTF-8"), "127.0.0.1:0", &more);
    let mut analysis = AnalysisServiceClient::new(channel(&data).await);
    let (mut decided, mut refused, mut unusable) = (0, 0, 0);
    for line in lines(CASES) {
        let id = &parsed(&line)["id"];
        let read = case(&line);
        let mut expected = answer(&line, noon());
        let mut message = v1::SimulateAuthorizationRequest {
            documents: documents(&line),
            evaluation: switches(&line).into_iter().collect(),
            ..v1::SimulateAuthorizationRequest::default()
        };
        match &read {
            Ok(case) => {
                message.request = Some(case.message.clone());
                message.context_overrides = overrides(case).into_iter().collect();
                let (seconds, nanos) = (case.now.seconds(), 0);
                message.now = Some(prost_types::Timestamp { seconds, nanos });
            }
            Err(Refusal::Policy(_)) => message.request = Some(anything()),
            // What is no case, or asks with members that do not exist, cannot be said in a message.
            Err(Refusal::Case(_) | Refusal::Request(_)) => continue,
        }
        let simulated = analysis.simulate_authorization(message).await;
        match expected["error"]["kind"].as_str() {
            Some("invalidRequest") => {
                let code = simulated.expect_err("a refusal").code();
                assert_eq!(code, tonic::Code::InvalidArgument, "{id}");
                refused += 1;
            }
            Some(_) => {
                let told = simulated.expect("problems").into_inner();
                assert!(told.response.is_none(), "{id}");
                let codes: Vec<&str> = told.problems.iter().map(|one| &*one.code).collect();
                let problems = expected["error"]["problems"].as_array().expect("problems");
                let same = problems
                    .iter()
                    .all(|one| codes.contains(&one["code"].as_str().expect("a code")));
                assert!(same, "{id}: {codes:?} and {problems:?}");
                unusable += 1;
            }
            None => {
                for member in ["id", "matchedStatements"] {
                    expected.as_object_mut().expect("an object").remove(member);
                }
                let told = simulated.expect("an answer").into_inner();
                let response = told.response.expect("a response");
                assert_eq!(as_simulated(&response), expected, "{id}");
                decided += 1;
            }
        }
    }
    assert!(decided > 1000 && refused > 5 && unusable > 10, "{decided} {refused} {unusable}");
    served.stop();
}

/// A question for a set that cannot be used.
fn anything() -> v1::AuthorizeRequest {
    v1::AuthorizeRequest {
        principal: Some(v1::Principal {
            arn: "arn:aws:iam::111122223333:root".to_owned(),
            ..v1::Principal::default()
        }),
        action: "kms:ListKeys".to_owned(),
        region: "us-west-2".to_owned(),
        ..v1::AuthorizeRequest::default()
    }
}

/// The documents of a case in a folder, and the arguments that make a command read it as the case wants.
fn set(line: &str, folder: &Path) -> Vec<String> {
    let policies = folder.join("policies");
    // It is not there the first time.
    let _ = fs::remove_dir_all(&policies);
    fs::create_dir(&policies).expect("a folder");
    for (index, document) in documents(line).into_iter().enumerate() {
        fs::write(policies.join(format!("{index}.json")), document).expect("a document");
    }
    let mut args = ["--allow-empty", "--format", "json"].map(str::to_owned).to_vec();
    args.extend(["--policies".to_owned(), path(&policies)]);
    args.extend(["--now".to_owned(), parsed(line)["now"].as_str().expect("an instant").to_owned()]);
    for (name, value) in switches(line) {
        let bare = name.strip_prefix("evaluation.").unwrap_or(&name);
        args.extend([format!("--evaluation-{}", bare.replace('_', "-")), value]);
    }
    args
}

fn path(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// The exit code of a command, and what it says as JSON.
fn told(args: &[String]) -> (Option<i32>, Value) {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = keyward(&args, "");
    (output.status.code(), serde_json::from_str(&text(&output.stdout)).unwrap_or_default())
}

/// What `keyward authorize` says of a case.
fn authorized(line: &str, folder: &Path) -> (Option<i32>, Value) {
    let request = folder.join("request");
    fs::write(&request, parsed(line)["request"].to_string()).expect("a request");
    let question = ["authorize".to_owned(), "--request".to_owned(), path(&request)];
    told(&[&question[..], &set(line, folder)].concat())
}

/// A case as `keyward test` reads it: of the request's members some have other names, and those of
/// the principal stand beside them.
fn as_policy_test(line: &str, decision: &str) -> Value {
    let case = parsed(line);
    let mut members = case["request"].as_object().expect("a request").clone();
    let principal = members.remove("principal").unwrap_or_default();
    for (name, value) in principal.as_object().cloned().unwrap_or_default() {
        members.insert(if name == "arn" { "principal".to_owned() } else { name }, value);
    }
    let several = members.remove("multivaluedContext").unwrap_or_default();
    let context = members.entry("context").or_insert_with(|| json!({}));
    for (name, value) in several.as_object().into_iter().flatten() {
        context[name] = value["values"].clone();
    }
    let renamed = |name: &str| match name {
        "keyId" => "key".to_owned(),
        _ => name.chars().fold(String::new(), |snake, letter| match letter {
            'A'..='Z' => format!("{snake}_{}", letter.to_ascii_lowercase()),
            _ => format!("{snake}{letter}"),
        }),
    };
    let mut test: Value =
        members.into_iter().map(|(name, value)| (renamed(&name), value)).collect();
    test["name"] = case["id"].clone();
    test["expect"] = json!({"decision": decision});
    test
}

/// Whether `keyward test` finds that a case is decided so.
fn tested(line: &str, folder: &Path, decision: &str) -> (Option<i32>, Value) {
    let file = folder.join("case.json");
    let cases = Value::from(vec![as_policy_test(line, decision)]);
    fs::write(&file, cases.to_string()).expect("a case");
    let command = ["test".to_owned(), path(&file)];
    told(&[&command[..], &set(line, folder)].concat())
}

#[test]
fn the_command_line_decides_the_first_cases_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut asked = 0;
    for line in lines(CASES) {
        let id = parsed(&line)["id"].as_str().expect("an id").to_owned();
        let number = id.split('-').nth(1).expect("a number").trim_end_matches('b');
        // Overrides exist in simulations alone.
        let plain = parsed(&line)["contextOverrides"].is_null() && parsed(&line)["now"].is_string();
        if number.parse::<u32>().expect("a number") >= 100 || !plain {
            continue;
        }
        let expected = answer(&line, noon());
        let (code, told) = authorized(&line, folder.path());
        let (exit, decision) = match expected["decision"].as_str() {
            Some("allowed") => (0, "DECISION_ALLOWED"),
            Some("explicitDeny") => (2, "DECISION_EXPLICIT_DENY"),
            Some("implicitDeny") => (2, "DECISION_IMPLICIT_DENY"),
            Some("keyState") => (2, "DECISION_KEY_STATE"),
            _ if expected["error"]["kind"] == "invalidPolicy" => (3, ""),
            _ => (64, ""),
        };
        assert_eq!(code, Some(exit), "{id}: {told}");
        assert_eq!(told["decision"].as_str().unwrap_or_default(), decision, "{id}: {told}");
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for member in ["errorCode", "message"] {
            assert!(decision.is_empty() || word(&told[member]) == word(&expected[member]), "{id}");
        }
        if let Some(decision) = expected["decision"].as_str() {
            let (code, told) = tested(&line, folder.path(), decision);
            assert_eq!(code, Some(0), "{id}: {told}");
            let other = if decision == "allowed" { "implicitDeny" } else { "allowed" };
            let (code, told) = tested(&line, folder.path(), other);
            assert_eq!(code, Some(2), "{id}: {told}");
        }
        asked += 1;
    }
    assert!(asked > 150, "only {asked} cases");
}

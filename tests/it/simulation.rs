//! `SimulateAuthorization`: what would be, beside what is.

use serde_json::{Value, json};

use crate::decision_log::{decisions, records};
use crate::doors::{parsed, text};
use crate::served::{Served, run};

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const SIMULATE: &str = "keyward.v1.AnalysisService/SimulateAuthorization";
const AUTHORIZE: &str = "keyward.v1.AuthorizationService/Authorize";

fn question(tenant: &str) -> Value {
    json!({"principal": {"arn": "arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc"},
        "action": "kms:Decrypt", "keyId": "alias/orders", "encryptionContext": {"tenant": tenant}})
}

fn call(address: &str, method: &str, message: &Value) -> std::process::Output {
    run("grpcurl", &["-plaintext", "-format-error", "-d", &message.to_string(), address, method])
}

fn policy(tenant: &str) -> String {
    json!({"KeyMetadata": {"Arn": KEY}, "Policy": {"Version": "2012-10-17", "Statement": [
        {"Sid": "new", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/services/OrdersService"},
            "Action": "kms:Decrypt", "Resource": "*",
            "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": tenant}}}]}})
    .to_string()
}

#[test]
fn a_simulation_answers_what_would_be_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let log = folder.path().join("decisions.jsonl");
    let sink = format!("file:{}", log.display());
    let served = Served::start(
        "127.0.0.1:0",
        &[
            ["--data-dir", data.to_str().expect("UTF-8")],
            ["--decision-log", &sink],
            ["--http-listen", "127.0.0.1:0"],
        ]
        .concat(),
    );
    let admin = format!("unix://{}", data.join("admin.sock").display());
    let simulate = |message: Value| {
        let output = call(&admin, SIMULATE, &message);
        assert!(output.status.success(), "{}", text(&output.stderr));
        parsed(&text(&output.stdout))
    };
    let live = |tenant: &str| {
        let mut answer = parsed(&text(&call(&served.address, AUTHORIZE, &question(tenant)).stdout));
        answer.as_object_mut().expect("an answer").remove("decisionId");
        answer
    };
    let before = live("43");
    assert_eq!(before["decision"], "DECISION_IMPLICIT_DENY");

    let as_is = simulate(json!({"request": question("43")}));
    assert_eq!(as_is["response"]["decision"], "DECISION_IMPLICIT_DENY");
    assert!(as_is["response"].get("decisionId").is_none(), "a simulation is no decision");

    let with = simulate(json!({"request": question("43"), "documents": [policy("43")]}));
    assert_eq!(with["response"]["decision"], "DECISION_ALLOWED");
    assert_eq!(with["response"]["policyRevision"], before["policyRevision"]);
    let leg = &with["response"]["explanation"]["legs"][0];
    assert_eq!(leg["determining"][0]["sid"], "new");
    assert_eq!(leg["layers"][0]["statements"].as_array().map(Vec::len), Some(1));

    // The grants of the key are as they were.
    let mut by_grant = question("42");
    by_grant["principal"]["arn"] = "arn:aws:sts::111122223333:assumed-role/Backup/nightly".into();
    by_grant["encryptionContext"] = json!({"purpose": "backup"});
    let with = simulate(json!({"request": by_grant, "documents": [policy("43")]}));
    assert_eq!(with["response"]["decision"], "DECISION_ALLOWED");

    let overridden = simulate(json!({"request": question("43"),
        "contextOverrides": {"KMS:EncryptionContext:tenant": {"single": "42"}}}));
    assert_eq!(overridden["response"]["decision"], "DECISION_ALLOWED");
    let strict =
        simulate(json!({"request": question("42"), "evaluation": {"profile": "dual-control"}}));
    assert_eq!(strict["response"]["decision"], "DECISION_IMPLICIT_DENY");

    let until = policy("43").replace(
        r#""StringEquals""#,
        r#""DateLessThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"},"StringEquals""#,
    );
    for (now, decision) in [
        ("2019-01-01T00:00:00Z", "DECISION_ALLOWED"),
        ("2021-01-01T00:00:00Z", "DECISION_IMPLICIT_DENY"),
    ] {
        let with = simulate(json!({"request": question("43"), "documents": [until], "now": now}));
        assert_eq!(with["response"]["decision"], decision);
    }

    let broken = simulate(json!({"request": question("43"),
        "documents": [policy("43"), "{\"RoleDetailList\": [\n {\"RoleName\": 1}]}"]}));
    assert!(broken.get("response").is_none(), "{broken}");
    let problem = &broken["problems"][0];
    assert_eq!((&problem["document"], &problem["line"]), (&"documents[1]".into(), &2.into()));

    assert_eq!(live("43"), before);
    for (message, field) in [
        (json!({}), "request: missing"),
        (
            json!({"request": question("43"), "documents": vec!["{}"; 101]}),
            "documents: more than 100",
        ),
        (json!({"request": {"action": "kms:Decrypt"}}), "request.principal: missing"),
        (
            json!({"request": question("43"), "evaluation": {"profile": "other"}}),
            "evaluation[\"profile\"]",
        ),
        (
            json!({"request": question("43"), "contextOverrides": {"tenant": {"absent": true}}}),
            "context_overrides[\"tenant\"]",
        ),
    ] {
        let output = call(&admin, SIMULATE, &message);
        let said = text(&output.stderr);
        assert!(said.contains("InvalidArgument") || said.contains("\"code\": 3"), "{said}");
        assert!(said.replace("\\\"", "\"").contains(field), "no {field:?} in {said}");
    }
    let refused = call(&served.address, SIMULATE, &json!({"request": question("43")}));
    assert!(!refused.status.success(), "the data listener simulates");
    // Two decisions were made, before and after; no simulation is counted or logged as one.
    assert_eq!(served.metric("keyward_decisions_total", ""), 2);
    served.stop();
    let records = records(&log);
    assert_eq!(decisions(&records).len(), 2, "{records:?}");
}

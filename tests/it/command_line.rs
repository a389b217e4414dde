//! The command line: exit codes, standard output, standard error.

use std::fs;

use serde_json::Value;

use crate::doors::{keyward, parsed, text};

const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc";

fn authorize(tenant: &str, more: &[&str]) -> std::process::Output {
    let context = format!("tenant={tenant}");
    let mut args = vec!["authorize", "--policies", "examples/quickstart", "--principal", SESSION];
    args.extend([
        "--action",
        "kms:Decrypt",
        "--key",
        "alias/orders",
        "--encryption-context",
        &context,
    ]);
    args.extend(more);
    keyward(&args, "")
}

#[test]
fn authorize_exits_with_the_decision() {
    assert_eq!(authorize("42", &[]).status.code(), Some(0));
    assert_eq!(authorize("43", &[]).status.code(), Some(2));
    assert_eq!(
        keyward(&["authorize", "--policies", "examples/quickstart"], "").status.code(),
        Some(64)
    );
    assert_eq!(authorize("42", &["--policies-require", "organization"]).status.code(), Some(3));
    assert_eq!(keyward(&["nonsense"], "").status.code(), Some(64));
}

#[test]
fn authorize_says_what_was_missing() {
    let output = authorize("43", &[]);
    let said = text(&output.stdout);
    for part in [
        "IMPLICIT DENY  AccessDeniedException",
        "because no resource-based policy allows the kms:Decrypt action",
        "`StringEquals` on `kms:EncryptionContext:tenant` does not hold: the request has `43`",
        "missing: no statement of the key policy allows kms:Decrypt",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    let json = parsed(&text(&authorize("43", &["--format", "json"]).stdout));
    assert_eq!(json["decision"], "DECISION_IMPLICIT_DENY");
    assert_eq!(json["explanation"]["legs"][0]["layers"][0]["policyType"], "POLICY_TYPE_KEY_POLICY");
}

#[test]
fn check_reports_every_problem_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = r#"{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"},
 "Policy": {"Statement": [
  {"Effect": "Alow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"},
  {"Effect": "Allow", "Principal": {"AWS": "bob"}, "Action": "kms:*", "Resource": "*", "Sid": "a", "Sid": "b"}]}}"#;
    fs::write(folder.path().join("key.json"), policy).expect("a file");
    fs::write(folder.path().join("notes.json"), "{}").expect("a file");
    let path = folder.path().to_str().expect("UTF-8");
    let output = keyward(&["check", "--policies", path, "--format", "json"], "");
    assert_eq!(output.status.code(), Some(3));
    let report = parsed(&text(&output.stdout));
    let found: Vec<(&str, &str, u64)> = report["problems"]
        .as_array()
        .expect("problems")
        .iter()
        .map(|problem| {
            let of = |name: &str| problem[name].as_str().unwrap_or_default();
            (of("code"), of("document"), problem["line"].as_u64().unwrap_or_default())
        })
        .collect();
    assert!(found.contains(&("json-duplicate-member", "key.json", 4)), "{found:?}");
    assert!(found.contains(&("unknown-document", "notes.json", 1)), "{found:?}");
    let shown = text(&keyward(&["check", "--policies", path], "").stderr);
    assert!(shown.contains("key.json:4:") && shown.contains("^^^"), "{shown}");
}

#[test]
fn a_set_whose_assertions_do_not_hold_is_refused_by_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = r#"{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"},
 "Policy": "default", "Assertions": [
  {"name": "alice decrypts", "principal": "arn:aws:iam::111122223333:user/alice", "action": "kms:Decrypt",
   "key": "1234abcd-12ab-34cd-56ef-1234567890ab", "expect": {"decision": "allowed"}}]}"#;
    fs::write(folder.path().join("key.json"), policy).expect("a file");
    let path = folder.path().to_str().expect("UTF-8");
    let question = ["--principal", "arn:aws:iam::111122223333:root", "--action", "kms:ListKeys"];
    for command in [&["check"][..], &["serve", "--listen", "127.0.0.1:0"], &["authorize"]] {
        let more: &[&str] = if command == ["authorize"] { &question } else { &[] };
        let output = keyward(&[command, &["--policies", path], more].concat(), "");
        assert_eq!(output.status.code(), Some(3), "{command:?}: {}", text(&output.stderr));
        let said = text(&output.stderr);
        assert!(said.contains("assertion-failed") && said.contains("key.json:3:3"), "{said}");
        assert!(
            said.contains("expected allowed, decided implicitDeny (identity_policy)"),
            "{said}"
        );
    }
    let case = format!(r#"{{"id": "a", "documents": [{policy}], "request": {{}}}}"#);
    let answer = parsed(&text(&keyward(&["simulate"], &case.replace('\n', "")).stdout));
    assert_eq!(answer["error"]["problems"][0]["code"], "assertion-failed");
}

#[test]
fn serve_refuses_a_set_that_cannot_be_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let output = keyward(&["serve", "--policies", path, "--listen", "127.0.0.1:0"], "");
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("error["), "{}", text(&output.stderr));
    let output =
        keyward(&["serve", "--policies", "examples/quickstart", "--listen", "0.0.0.0:0"], "");
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("--insecure-plaintext"));
}

#[test]
fn serve_prints_its_configuration() {
    let args =
        ["serve", "--policies", "p", "--evaluation-profile", "dual-control", "--check-config"];
    let output = keyward(&args, "");
    let said = text(&output.stdout);
    assert!(
        said.contains("profile = \"dual-control\"") && said.contains("127.0.0.1:7180"),
        "{said}"
    );
}

#[test]
fn simulate_answers_bad_lines_and_goes_on() {
    let good = crate::doors::lines("tests/conformance").swap_remove(0);
    let lines = [
        "nonsense",
        r#"{"id":"a"}"#,
        r#"{"id":1,"request":{"nope":1}}"#,
        r#"{"id":2,"request":{},"documents":[{}]}"#,
        r#"{"id":3,"request":{},"documents":[],"id":4}"#,
        &good,
    ];
    let output = keyward(&["simulate"], &lines.join("\n"));
    assert_eq!(output.status.code(), Some(0));
    let answers: Vec<Value> = text(&output.stdout).lines().map(parsed).collect();
    let kinds: Vec<&str> = answers
        .iter()
        .map(|answer| answer["error"]["kind"].as_str().unwrap_or("answered"))
        .collect();
    let expected = [
        "invalidCase",
        "invalidCase",
        "invalidRequest",
        "invalidPolicy",
        "invalidCase",
        "answered",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn help_has_examples_and_the_version_is_told() {
    for command in ["serve", "check", "authorize", "simulate", "test"] {
        let help = text(&keyward(&[command, "--help"], "").stdout);
        assert!(help.contains("Example"), "{help}");
    }
    assert_eq!(
        parsed(&text(&keyward(&["version", "--format", "json"], "").stdout))["name"],
        "keyward"
    );
}

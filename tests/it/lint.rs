//! `keyward lint`: exit codes, formats, the documentation, and the examples.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::doors::{keyward, parsed, text};
use crate::served::{Served, run};

/// A key that anyone may use to encrypt, that nobody of its account looks after, and whose rotation
/// is off; that is explained.
const KEY: &str = r#"{
  "KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"},
  "KeyRotationEnabled": false,
  "Lint": [{"Code": "rotation-off", "Why": "replaced every month"}],
  "Policy": {"Version": "2012-10-17", "Statement": [
    {"Sid": "Anyone", "Effect": "Allow", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"},
    {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:Put*", "Resource": "*"}]}
}"#;

fn folder(document: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("key.json"), document).expect("a file");
    folder
}

fn lint(document: &str, more: &[&str]) -> (Option<i32>, String) {
    let folder = folder(document);
    let path = folder.path().to_str().expect("UTF-8");
    let mut args = vec!["lint", "--policies", path];
    args.extend(more);
    let output = keyward(&args, "");
    (output.status.code(), text(&output.stdout))
}

#[test]
fn lint_exits_with_what_it_found() {
    assert_eq!(lint(KEY, &[]).0, Some(3));
    assert_eq!(lint(KEY, &["--fail-on", "error"]).0, Some(3));
    assert_eq!(lint(KEY, &["--fail-on", "never"]).0, Some(0));
    let mild = KEY.replace(
        "\"Principal\": \"*\"",
        r#""Principal": {"AWS": "arn:aws:iam::111122223333:role/A"}"#,
    );
    assert_eq!(lint(&mild, &["--fail-on", "warning"]).0, Some(0));
    assert_eq!(lint(&mild, &["--fail-on", "suggestion"]).0, Some(3));
    assert_eq!(lint("{}", &[]).0, Some(3), "a set that cannot be used");
    assert_eq!(lint(KEY, &["--fail-on", "nonsense"]).0, Some(64));
}

#[test]
fn lint_shows_the_place_why_and_what_to_do() {
    let (_, said) = lint(KEY, &[]);
    for part in [
        "error[open-to-everyone]: every AWS account may do this with the key",
        "key.json:6:55",
        "^^^",
        "note: `*` is every identity",
        "help: name those who are meant",
        "1 error; 1 explained in place",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
}

#[test]
fn lint_writes_json_and_workflow_commands() {
    let report = parsed(&lint(KEY, &["--format", "json"]).1);
    let found = &report["findings"][1];
    assert_eq!(found["code"], "open-to-everyone");
    assert_eq!((&found["line"], &found["column"]), (&6.into(), &55.into()));
    assert_eq!(found["subject"], "arn:aws:kms:us-west-2:111122223333:key/1");
    assert_eq!(found["sid"], "Anyone");
    assert_eq!(report["findings"][0]["explained"], "replaced every month");
    assert_eq!(report["counts"]["error"], 1);
    let said = lint(KEY, &["--format", "github"]).1;
    assert!(said.starts_with("::error title=open-to-everyone,file="), "{said}");
    assert!(said.contains("key.json,line=6,col=55,endColumn=58::every AWS account"), "{said}");
    let broken = parsed(&lint("{}", &["--format", "json"]).1);
    assert_eq!(broken["problems"][0]["code"], "unknown-document");
}

#[test]
fn the_page_is_the_one_that_the_rules_write() {
    let committed = fs::read_to_string("docs/lint.md").expect("docs/lint.md");
    let written = keyward::lint::page::page();
    assert!(committed == written, "write it again: keyward lint --explain all > docs/lint.md");
    let entry = text(&keyward(&["lint", "--explain", "lockout"], "").stdout);
    assert!(entry.starts_with("### lockout\n") && written.contains(&entry), "{entry}");
    assert_eq!(keyward(&["lint", "--explain", "nonsense"], "").status.code(), Some(64));
    let misspelt = text(&keyward(&["lint", "--explain", "lokout"], "").stderr);
    assert!(misspelt.contains("`lokout`; did you mean `lockout`?"), "{misspelt}");
}

#[test]
fn the_examples_lint_clean_or_explain_themselves() {
    let folders =
        fs::read_dir("examples").expect("examples").map(|entry| entry.expect("an entry").path());
    let mut looked = 0;
    // A folder without a document is a program, not a set.
    for set in folders.filter(|path| path.is_dir() && holds_a_document(path)) {
        let path = set.to_str().expect("UTF-8");
        let output = keyward(&["lint", "--policies", path, "--fail-on", "suggestion"], "");
        assert_eq!(
            output.status.code(),
            Some(0),
            "{path}:\n{}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        looked += 1;
    }
    assert!(looked >= 5, "only {looked} sets");
}

fn holds_a_document(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            holds_a_document(&path)
        } else {
            path.extension() == Some("json".as_ref())
        }
    })
}

/// What a validator that others wrote finds wrong with a SARIF log.
fn schema_errors(log: &Value) -> String {
    const VALIDATE: &str = "import json, sys, jsonschema
schema = json.load(open('tests/data/sarif-2.1.0-rtm.5.json'))
for error in jsonschema.Draft4Validator(schema).iter_errors(json.load(sys.stdin)):
    print(list(error.absolute_path), error.message)";
    let python = Command::new("python3")
        .args(["-c", VALIDATE])
        .env("PYTHONPATH", ".tools/jsonschema")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut python = python.expect("python3");
    let mut input = python.stdin.take().expect("a pipe");
    input.write_all(log.to_string().as_bytes()).expect("a reader");
    drop(input);
    let output = python.wait_with_output().expect("an end");
    assert!(output.status.success(), "run .ci/tools first: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The schema is the one that SARIF 2.1.0 publishes at the URL that the log names.
#[test]
fn sarif_is_valid_against_its_published_schema() {
    let log = parsed(&lint(KEY, &["--format", "sarif"]).1);
    assert_eq!(schema_errors(&log), "");
    let results = log["runs"][0]["results"].as_array().expect("results");
    let found = results.iter().find(|result| result["ruleId"] == "open-to-everyone").expect("it");
    let region = &found["locations"][0]["physicalLocation"]["region"];
    assert_eq!((&region["startLine"], &region["endColumn"]), (&6.into(), &58.into()));
    let uri = &found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert!(uri.as_str().is_some_and(|uri| uri.starts_with("file:///")), "{uri}");
    let index = found["ruleIndex"].as_u64().expect("an index") as usize;
    assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][index]["id"], "open-to-everyone");
    let explained = results.iter().find(|result| result["ruleId"] == "rotation-off").expect("it");
    assert_eq!(explained["suppressions"][0]["justification"], "replaced every month");
    // A set that cannot be used has a log too.
    let unusable = parsed(&lint("{}", &["--format", "sarif"]).1);
    assert_eq!(schema_errors(&unusable), "");
    assert_eq!(unusable["runs"][0]["results"][0]["ruleId"], "unknown-document");
    // The schema is one that can be broken.
    let mut broken = log.clone();
    broken["runs"][0]["results"][0]["level"] = "fatal".into();
    assert!(schema_errors(&broken).contains("fatal"), "the validator sees nothing");
}

#[test]
fn a_set_with_findings_is_refused_where_it_is_told_so() {
    let folder = folder(KEY);
    let path = folder.path().to_str().expect("UTF-8");
    let check = |more: &[&str]| {
        let mut args = vec!["check", "--policies", path, "--format", "json"];
        args.extend(more);
        let output = keyward(&args, "");
        (output.status.code(), text(&output.stdout))
    };
    assert_eq!(check(&[]).0, Some(0));
    let (code, said) = check(&["--policies-fail-on", "security-warning"]);
    assert_eq!(code, Some(3), "{said}");
    let report = parsed(&said);
    assert_eq!(report["problems"][0]["code"], "open-to-everyone");
    assert_eq!(report["problems"][0]["line"], 6);
    assert_eq!(check(&["--policies-fail-on", "nonsense"]).0, Some(64));
    let config = folder.path().join("keyward.toml");
    fs::write(&config, "[policies]\nfail_on = \"error\"\n").expect("a file");
    let config = config.to_str().expect("UTF-8");
    assert_eq!(check(&["--config", config]).0, Some(3));
    let serve =
        keyward(&["serve", "--policies", path, "--config", config, "--listen", "127.0.0.1:0"], "");
    assert_eq!(serve.status.code(), Some(3));
    assert!(text(&serve.stderr).contains("error[open-to-everyone]"));
    // What is explained refuses nothing.
    let lint = r#""Lint": [{"Code": "rotation-off", "Why": "replaced every month"}"#;
    let all = format!(r#"{lint}, {{"Code": "open-to-everyone", "Why": "a public drop box"}}"#);
    fs::write(folder.path().join("key.json"), KEY.replace(lint, &all)).expect("a file");
    assert_eq!(check(&["--config", config]).0, Some(0));
}

/// Asks `ValidatePolicy` of a service over the quickstart set, with grpcurl.
fn validate(asked: &Value) -> Result<Value, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("UTF-8");
    let served = Served::start("127.0.0.1:0", &["--data-dir", data]);
    let socket = format!("unix://{data}/admin.sock");
    let method = "keyward.v1.AnalysisService/ValidatePolicy";
    let output = run("grpcurl", &["-plaintext", "-d", &asked.to_string(), &socket, method]);
    served.stop();
    if output.status.success() {
        Ok(parsed(&text(&output.stdout)))
    } else {
        Err(text(&output.stderr))
    }
}

#[test]
fn a_policy_is_validated_in_the_live_set() {
    let key = "arn:aws:kms:us-west-2:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
    // The set knows KeyAdministrator and not KeyAdministrators: nobody would be left.
    let policy = |role: &str| {
        format!(
            r#"{{"Version": "2012-10-17", "Statement": [
  {{"Sid": "Administration", "Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::111122223333:role/{role}"}},
   "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy"], "Resource": "*"}}]}}"#
        )
    };
    let ask = |policy: &str| {
        validate(
            &json!({"policy": policy, "kind": "VALIDATED_POLICY_KIND_KEY_POLICY", "targetArn": key}),
        )
    };
    let codes = |answer: &Value| -> Vec<String> {
        let findings = answer["findings"].as_array().cloned().unwrap_or_default();
        findings.iter().map(|one| one["code"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let good = ask(&policy("KeyAdministrator")).expect("an answer");
    assert_eq!(codes(&good), ["delegation-missing"]);
    let bad = ask(&policy("KeyAdministrators")).expect("an answer");
    assert!(codes(&bad).contains(&"lockout".to_owned()), "{bad}");
    let unknown = &bad["findings"].as_array().expect("findings")[2];
    assert_eq!(unknown["code"], "unknown-principal");
    assert_eq!((&unknown["line"], &unknown["sid"]), (&2.into(), &"Administration".into()));
    assert!(bad["policyRevision"].as_str().is_some_and(|revision| revision.starts_with("sha256:")));
    // What is no policy at all is told with its place.
    let broken = ask(r#"{"Statement": [{"Effect": "Alow"}]}"#).expect("an answer");
    assert_eq!(broken["problems"][0]["code"], "bad-effect");
    assert_eq!(broken["problems"][0]["column"], 27);
    assert!(codes(&broken).is_empty());
    let refused = validate(
        &json!({"policy": "{}", "kind": "VALIDATED_POLICY_KIND_KEY_POLICY", "targetArn": "alias/x"}),
    );
    assert!(refused.expect_err("a refusal").contains("target_arn"));
    let identity = validate(&json!({"kind": "VALIDATED_POLICY_KIND_IDENTITY_POLICY",
        "policy": r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}}"#}));
    assert!(codes(&identity.expect("an answer")).contains(&"identity-all-actions".to_owned()));
    // A whole document: the key with its metadata. What it explains is not told.
    let document = format!(
        r#"{{"KeyMetadata": {{"Arn": "{key}"}}, "KeyRotationEnabled": false, "Policy": {}}}"#,
        policy("KeyAdministrators")
    );
    let ask = |document: &str| {
        let asked = json!({"policy": document, "kind": "VALIDATED_POLICY_KIND_DOCUMENT"});
        codes(&validate(&asked).expect("an answer"))
    };
    let found = ask(&document);
    assert!(found.contains(&"rotation-off".to_owned()) && found.contains(&"lockout".to_owned()));
    let why = r#"{"Lint": [{"Code": "rotation-off", "Why": "replaced every month"}], "#;
    assert!(!ask(&document.replacen('{', why, 1)).contains(&"rotation-off".to_owned()));
}

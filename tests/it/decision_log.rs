//! The decision log as an operator sees it: records in a file, verified by the command line.

use std::fs;
use std::path::Path;
use std::process::Command;

use keyward::wire::v1;
use serde_json::Value;
use tonic::Code;

use crate::doors::{keyward, parsed, text};
use crate::served::{Served, run};

/// Planted where it must never be told.
const CANARY: &str = "canary-5f0c";

pub(crate) fn question(tenant: &str) -> v1::AuthorizeRequest {
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

/// Asks every question, one after the other; gives the answers back.
pub(crate) async fn ask(
    address: &str,
    questions: impl IntoIterator<Item = v1::AuthorizeRequest>,
) -> Vec<Result<v1::AuthorizeResponse, tonic::Status>> {
    let mut client = v1::authorization_service_client::AuthorizationServiceClient::connect(
        format!("http://{address}"),
    )
    .await
    .expect("a connection");
    let mut answers = Vec::new();
    for question in questions {
        answers.push(client.authorize(question).await.map(tonic::Response::into_inner));
    }
    answers
}

/// The records of a file.
pub(crate) fn records(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).expect("a log").lines().map(parsed).collect()
}

/// The decisions among records.
pub(crate) fn decisions(records: &[Value]) -> Vec<&Value> {
    records.iter().filter(|record| record["keyward"]["decision"].is_string()).collect()
}

pub(crate) fn verify(args: &[&str]) -> (Option<i32>, Value) {
    let output = keyward(&[&["log", "verify", "--format", "json"], args].concat(), "");
    let stdout = text(&output.stdout);
    (output.status.code(), serde_json::from_str(&stdout).unwrap_or(Value::Null))
}

/// How the sinks of the log are, asked over the operators' socket.
pub(crate) fn status(socket: &Path) -> Vec<Value> {
    let target = format!("unix://{}", socket.display());
    let output =
        run("grpcurl", &["-plaintext", &target, "keyward.v1.PolicyService/GetPolicySetStatus"]);
    let answer = parsed(&text(&output.stdout));
    answer["decisionLog"].as_array().cloned().unwrap_or_default()
}

fn sink(path: &Path) -> String {
    format!("file:{}", path.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_recorded_as_cloudtrail_would_and_the_log_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log/decisions.jsonl");
    let file = path.to_str().expect("UTF-8");
    let key = folder.path().join("key");
    fs::write(&key, "0123456789abcdef0123456789abcdef\n").expect("a key");
    let key = key.to_str().expect("UTF-8");
    let args = ["--decision-log", &sink(&path), "--decision-log-key-file", key];

    let served = Served::start("127.0.0.1:0", &args);
    let answers = ask(&served.address, [question("42"), question("43")]).await;
    served.stop();
    let served = Served::start("127.0.0.1:0", &args);
    let more = ask(&served.address, [question("42")]).await;
    served.stop();

    let records = records(&path);
    let kinds: Vec<&str> =
        records.iter().map(|record| record["eventName"].as_str().expect("a name")).collect();
    let expected = [
        "DecisionLogStarted",
        "Decrypt",
        "Decrypt",
        "DecisionLogStopped",
        "DecisionLogStarted",
        "Decrypt",
        "DecisionLogStopped",
    ];
    assert_eq!(kinds, expected);
    let (allowed, denied, later) = (&records[1], &records[2], &records[5]);
    let answer = answers[0].as_ref().expect("an answer");
    assert_eq!(allowed["eventID"], answer.decision_id);
    assert_eq!(allowed["requestID"], "q-42");
    assert_eq!(allowed["eventSource"], "kms.amazonaws.com");
    assert_eq!(allowed["awsRegion"], "us-west-2");
    assert_eq!(allowed["readOnly"], true);
    assert_eq!(allowed["recipientAccountId"], "111122223333");
    let identity = &allowed["userIdentity"];
    assert_eq!(identity["type"], "AssumedRole");
    assert_eq!(identity["arn"], "arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc");
    assert_eq!(identity["sessionContext"]["sessionIssuer"]["userName"], "OrdersService");
    assert_eq!(allowed["resources"][0]["ARN"], answer.key_arn);
    assert_eq!(allowed["requestParameters"]["keyId"], "alias/orders");
    assert_eq!(allowed.get("errorCode"), None);
    let own = &allowed["keyward"];
    assert_eq!((&own["decision"], &own["reason"]), (&"allowed".into(), &"key_policy".into()));
    assert_eq!(own["policyRevision"], answer.policy_revision);
    assert_eq!(own["determining"][0]["policyType"], "keyPolicy");
    assert_eq!(denied["errorCode"], "AccessDenied");
    assert_eq!(denied["keyward"]["errorCode"], "AccessDeniedException");
    assert_eq!(denied["errorMessage"], answers[1].as_ref().expect("an answer").message);
    assert_eq!(later["eventID"], more[0].as_ref().expect("an answer").decision_id);

    // Equal values are equal in the log, also after a restart, and cannot be read.
    let tenant =
        |record: &Value| record["requestParameters"]["encryptionContext"]["tenant"].clone();
    assert_eq!(tenant(allowed), tenant(later));
    assert_ne!(tenant(allowed), tenant(denied));
    assert!(tenant(allowed).as_str().expect("a text").starts_with("hmac-sha256:"));

    let (code, report) = verify(&["--key-file", key, file]);
    assert_eq!((code, &report["intact"], &report["decisions"]), (Some(0), &true.into(), &3.into()));
    let head = format!(
        "{}:{}",
        report["head"]["sequence"],
        text(report["head"]["hash"].as_str().expect("a hash").as_bytes())
    );
    assert_eq!(verify(&["--key-file", key, "--head", &head, file]).0, Some(0));
    // Without the key nothing fits.
    assert_eq!(verify(&[file]).0, Some(1));

    let lines = fs::read_to_string(&path).expect("a log");
    let mut shorter: Vec<&str> = lines.lines().collect();
    shorter.pop();
    fs::write(&path, shorter.join("\n") + "\n").expect("a log");
    assert_eq!(verify(&["--key-file", key, file]).0, Some(0));
    let (code, report) = verify(&["--key-file", key, "--head", &head, file]);
    assert_eq!((code, &report["findings"][0]["code"]), (Some(1), &"ends-early".into()));

    // The next start sees it as well, and the gap stays in the log.
    let served = Served::start("127.0.0.1:0", &args);
    served.stop();
    let after = self::records(&path);
    let unclean = after.iter().find(|record| record["eventName"] == "DecisionLogUncleanEnd");
    let unclean = unclean.expect("a record of it");
    assert_eq!(unclean["keyward"]["removedRecords"], 1);
    let (code, report) = verify(&["--key-file", key, file]);
    assert_eq!((code, &report["findings"][0]["code"]), (Some(1), &"missing".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_that_the_status_tells_is_the_one_that_the_log_has_to_reach() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.jsonl");
    let socket = folder.path().join("admin.sock");
    let admin = format!("unix:{}", socket.display());
    let mode = [
        "--decision-log-mode",
        "durable=30s",
        "--admin-listen",
        &admin,
        "--http-listen",
        "127.0.0.1:0",
    ];
    let served =
        Served::start("127.0.0.1:0", &[&["--decision-log", &sink(&path)], &mode[..]].concat());
    let answers = ask(&served.address, [question("42"), question("43")]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let told = status(&socket);
    let sequence = served.metric("keyward_decision_log_head_sequence", "file");
    let digits = served.metric("keyward_decision_log_head_hash", "file");
    // Killed, so that nothing is written after it.
    served.kill();
    let [told] = told.as_slice() else { panic!("one sink: {told:?}") };
    // What is zero is left out in JSON.
    assert_eq!(
        (&told["sink"], &told["written"], told.get("lost")),
        (&"file".into(), &"2".into(), None)
    );
    let head = told["head"].as_str().expect("a head");
    let measured = format!("{sequence}:{digits:013x}");
    assert!(head.starts_with(&measured), "the status says {head}, the metric {measured}");
    let file = path.to_str().expect("UTF-8");
    assert_eq!(verify(&["--head", head, file]).0, Some(0));
    assert_eq!(verify(&["--head", &measured, file]).0, Some(0));
    let lines = fs::read_to_string(&path).expect("a log");
    let shorter: Vec<&str> = lines.lines().collect();
    fs::write(&path, shorter[..shorter.len() - 1].join("\n") + "\n").expect("a log");
    assert_eq!(verify(&["--head", head, file]).0, Some(1));
    assert_eq!(verify(&["--head", &measured, file]).0, Some(1));
    // Without a log there is nothing to tell.
    fs::remove_file(&socket).expect("a socket that a killed process left");
    let silent = Served::start("127.0.0.1:0", &["--admin-listen", &admin]);
    assert_eq!(status(&socket), Vec::<Value>::new());
    silent.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_no_record_and_no_metric() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.jsonl");
    let http = folder.path().join("http.sock");
    let http_address = format!("unix:{}", http.display());
    for masks in ["hashed", "omitted"] {
        let args = [
            "--decision-log",
            &sink(&path),
            "--http-listen",
            &http_address,
            "--decision-log-encryption-context",
            masks,
            "--decision-log-principal-tags",
            masks,
        ];
        let served = Served::start("127.0.0.1:0", &args);
        let mut asked = question(CANARY);
        asked.request_id = "q".to_owned();
        let policy = r#"{"Version":"2012-10-17","Statement":{"Sid":"canary5f0c","Effect":"Allow","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:tenant":"canary-5f0c"}}}}"#;
        let principal = asked.principal.as_mut().expect("a principal");
        principal.session_policies = vec![policy.to_owned()];
        principal.tags = [("team".to_owned(), CANARY.to_owned())].into();
        asked.grant_tokens = vec![format!("{CANARY}-token")];
        asked.detail = v1::Detail::Full.into();
        let mut create = question(CANARY);
        create.request_id = "q".to_owned();
        create.action = "CreateGrant".to_owned();
        create.encryption_context.clear();
        create.key_id = "1234abcd-12ab-34cd-56ef-1234567890ab".to_owned();
        create.parameters = Some(v1::Parameters {
            grant: Some(v1::GrantParameters {
                grantee_principal: "arn:aws:iam::111122223333:role/OrdersWorker".to_owned(),
                operations: vec!["Decrypt".to_owned()],
                constraints: Some(v1::GrantConstraints {
                    encryption_context_subset: [("tenant".to_owned(), CANARY.to_owned())].into(),
                    ..v1::GrantConstraints::default()
                }),
                ..v1::GrantParameters::default()
            }),
            tags: vec![v1::Tag { tag_key: "team".to_owned(), tag_value: CANARY.to_owned() }],
            ..v1::Parameters::default()
        });
        let mut denied = question("42");
        denied.request_id = "q".to_owned();
        denied.principal.as_mut().expect("a principal").session_policies =
            vec![policy.replace("Allow", "Deny").replace(CANARY, "42")];
        let mut bad = question("42");
        bad.principal.as_mut().expect("a principal").session_policies =
            vec![format!("{{\"{CANARY}\"")];
        let answers = ask(&served.address, [asked, create, bad, denied]).await;
        assert!(answers[0].is_ok() && answers[1].is_ok(), "{answers:?}");
        assert_eq!(
            answers[2].as_ref().map_err(tonic::Status::code).err(),
            Some(Code::InvalidArgument)
        );
        let denied = answers[3].as_ref().expect("an answer");
        assert_eq!(denied.decision(), v1::Decision::ExplicitDeny);
        let output = Command::new("curl")
            .args(["-s", "--unix-socket", http.to_str().expect("UTF-8"), "http://k/metrics"])
            .output()
            .expect("curl");
        let metrics = text(&output.stdout);
        assert!(metrics.contains("keyward_decisions_total{"), "{metrics}");
        let compiled = "keyward_cache_misses_total{cache=\"session_policies\"} 3\n";
        assert!(metrics.contains(compiled), "{metrics}");
        let told = served.stop_and_read();
        for (signal, content) in [
            ("metrics", metrics),
            ("log", told),
            ("records", fs::read_to_string(&path).expect("records")),
        ] {
            for secret in [CANARY, "canary5f0c"] {
                assert!(!content.contains(secret), "{secret} in the {signal}: {content}");
            }
        }
    }
    assert_eq!(decisions(&records(&path)).len(), 6);
    assert_eq!(verify(&[path.to_str().expect("UTF-8")]).0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_what_is_recorded_and_files_are_put_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.jsonl");
    let args = [
        "--decision-log",
        &sink(&path),
        "--decision-log-mode",
        "durable=30s",
        "--decision-log-sample-allows",
        "0",
        "--decision-log-rotate-bytes",
        "4000",
        "--decision-log-keep",
        "3",
    ];
    let served = Served::start("127.0.0.1:0", &args);
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.extend(ask(&served.address, [question("42"), question("43")]).await);
    }
    served.stop();
    let mut files: Vec<String> = fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path().to_str().expect("UTF-8").to_owned())
        .collect();
    files.sort_by_key(|name| std::cmp::Reverse(name.clone()));
    let aside = files.iter().filter(|name| name.contains(".jsonl.0")).count();
    assert_eq!(aside, 3, "{files:?}");
    let args: Vec<&str> = files.iter().map(String::as_str).collect();
    let (code, report) = verify(&args);
    assert_eq!(code, Some(0), "{report}");
    let first = report["first"].as_u64().expect("a number");
    assert!(first > 1, "nothing was removed: {report}");
    for name in files.iter().filter(|name| name.contains(".jsonl")) {
        if name.ends_with(".state") || name.ends_with(".lock") {
            continue;
        }
        for record in decisions(&records(Path::new(name))) {
            assert_eq!(record["keyward"]["decision"], "implicitDeny");
        }
    }
    // What the log itself did not remove is missed.
    let fewer: Vec<&str> = args.iter().filter(|name| !name.contains(".jsonl.0")).copied().collect();
    let (code, report) = verify(&fewer);
    assert_eq!(
        (code, &report["findings"][0]["code"]),
        (Some(1), &"begins-late".into()),
        "{report}"
    );
}

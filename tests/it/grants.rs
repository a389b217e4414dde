//! Grants that live: from creation to the end, by real clients over real sockets.

use std::path::Path;

use hyper_util::rt::TokioIo;
use keyward::wire::v1;
use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use keyward::wire::v1::grant_service_client::GrantServiceClient;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::doors::{parsed, text};
use crate::served::{Served, run};

pub(crate) const KEY: &str =
    "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const REPORTS: &str = "arn:aws:kms:us-west-2:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
pub(crate) const SERVICE: &str = "arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc";
pub(crate) const WORKER: &str = "arn:aws:sts::111122223333:assumed-role/OrdersWorker/w-1";
const WORKER_ROLE: &str = "arn:aws:iam::111122223333:role/OrdersWorker";

pub(crate) fn data_dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn start(folder: &Path) -> Served {
    Served::start("127.0.0.1:0", &["--data-dir", folder.to_str().expect("UTF-8")])
}

/// Calls a method with grpcurl on the admin socket.
fn grpcurl(folder: &Path, method: &str, data: &Value) -> Result<Value, String> {
    let socket = format!("unix://{}/admin.sock", folder.display());
    let method = format!("keyward.v1.{method}");
    let output = run("grpcurl", &["-plaintext", "-d", &data.to_string(), &socket, &method]);
    if output.status.success() {
        Ok(parsed(&text(&output.stdout)))
    } else {
        Err(text(&output.stderr))
    }
}

pub(crate) fn caller(arn: &str) -> Value {
    json!({"arn": arn})
}

pub(crate) fn creation(name: &str) -> Value {
    json!({"caller": caller(SERVICE), "keyId": KEY, "granteePrincipal": WORKER_ROLE,
        "retiringPrincipal": WORKER_ROLE, "operations": ["Decrypt", "RetireGrant"], "name": name,
        "constraints": {"encryptionContextSubset": {"tenant": "77"}}})
}

fn question() -> Value {
    json!({"principal": {"arn": WORKER}, "action": "kms:Decrypt", "keyId": KEY,
        "encryptionContext": {"tenant": "77"}})
}

#[test]
fn a_grant_is_created_used_listed_and_retired_with_grpcurl_alone() {
    let folder = data_dir();
    let served = start(folder.path());
    let call = |method: &str, data: &Value| grpcurl(folder.path(), method, data);
    let decision = || {
        call("AuthorizationService/Authorize", &question()).expect("an answer")["decision"].clone()
    };
    assert_eq!(decision(), "DECISION_IMPLICIT_DENY");
    let created = call("GrantService/CreateGrant", &creation("batch-7")).expect("a grant");
    assert_eq!(decision(), "DECISION_ALLOWED");
    let again = call("GrantService/CreateGrant", &creation("batch-7")).expect("the same grant");
    assert_eq!(created["grantId"], again["grantId"]);
    assert_ne!(created["grantToken"], again["grantToken"]);

    let listed = json!({"caller": caller(SERVICE), "keyId": KEY});
    let listed = call("GrantService/ListGrants", &listed).expect("a list");
    let names: Vec<&Value> =
        listed["grants"].as_array().expect("grants").iter().map(|grant| &grant["name"]).collect();
    assert!(names.contains(&&json!("batch-7")) && names.contains(&&json!("nightly-backup")));

    let token = json!({"caller": caller(WORKER), "grantToken": again["grantToken"]});
    call("GrantService/RetireGrant", &token).expect("retired");
    assert_eq!(decision(), "DECISION_IMPLICIT_DENY");
    let gone = call("GrantService/RetireGrant", &token).expect_err("it is gone");
    assert!(gone.contains("NotFound"), "{gone}");
    served.stop();
}

pub(crate) async fn channel(folder: &Path) -> Channel {
    let path = folder.join("admin.sock");
    let dial = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://keyward").connect_with_connector(dial).await.expect("a socket")
}

pub(crate) fn from_json<M: prost::Message + Default>(name: &str, json: &Value) -> M {
    keyward::wire::proto::json::read(name, &json.to_string()).expect("a message")
}

/// KMS's error code in a refusal.
fn refused<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.expect_err("a refusal");
    let info = status.get_error_details().error_info().expect("an ErrorInfo").clone();
    (status.code(), info.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_is_refused_with_the_error_code_of_kms() {
    let folder = data_dir();
    let served = start(folder.path());
    let mut grants = GrantServiceClient::new(channel(folder.path()).await);
    let with = |changes: Value| -> v1::CreateGrantRequest {
        let mut request = creation("x");
        let changes = changes.as_object().expect("an object").clone();
        request.as_object_mut().expect("an object").extend(changes);
        from_json("CreateGrantRequest", &request)
    };
    for (changes, code, reason) in [
        (json!({"caller": caller(WORKER)}), Code::PermissionDenied, "AccessDeniedException"),
        (json!({"operations": ["Encrypt"]}), Code::PermissionDenied, "AccessDeniedException"),
        (json!({"constraints": {}}), Code::PermissionDenied, "AccessDeniedException"),
        (json!({"operations": ["Sign"]}), Code::PermissionDenied, "AccessDeniedException"),
        (json!({"operations": []}), Code::InvalidArgument, "ValidationException"),
        (json!({"operations": ["PutKeyPolicy"]}), Code::InvalidArgument, "ValidationException"),
        (json!({"granteePrincipal": "*"}), Code::InvalidArgument, "InvalidArnException"),
        (json!({"granteePrincipal": ""}), Code::InvalidArgument, "ValidationException"),
        (json!({"name": "a b"}), Code::InvalidArgument, "ValidationException"),
        (json!({"caller": {}}), Code::InvalidArgument, "ValidationException"),
        (json!({"keyId": "alias/orders"}), Code::InvalidArgument, "ValidationException"),
        (
            json!({"keyId": "ffffffff-12ab-34cd-56ef-1234567890ab"}),
            Code::NotFound,
            "NotFoundException",
        ),
        (json!({"dryRun": true}), Code::FailedPrecondition, "DryRunOperationException"),
    ] {
        let found = refused(grants.create_grant(with(changes.clone())).await);
        assert_eq!(found, (code, reason.to_owned()), "{changes}");
    }
    // Nothing of all that left a grant behind.
    let list = json!({"caller": caller(SERVICE), "keyId": KEY});
    let listed = grants.list_grants(from_json::<v1::ListGrantsRequest>("ListGrantsRequest", &list));
    assert_eq!(listed.await.expect("a list").into_inner().grants.len(), 1);

    let of_document =
        json!({"caller": caller(SERVICE), "keyId": KEY, "grantId": "5f0c2a5b8e2f4f0e9a7d"});
    let revoke: v1::RevokeGrantRequest = from_json("RevokeGrantRequest", &of_document);
    let status = grants.revoke_grant(revoke).await.expect_err("it is the document's");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("keys/orders.json"), "{}", status.message());

    let forged = json!({"caller": caller(WORKER), "grantToken": "AQIDBA"});
    let forged: v1::RetireGrantRequest = from_json("RetireGrantRequest", &forged);
    let found = refused(grants.retire_grant(forged).await);
    assert_eq!(found, (Code::InvalidArgument, "InvalidGrantTokenException".to_owned()));
    let marker = json!({"caller": caller(SERVICE), "keyId": KEY, "marker": "%"});
    let marker: v1::ListGrantsRequest = from_json("ListGrantsRequest", &marker);
    let found = refused(grants.list_grants(marker).await);
    assert_eq!(found, (Code::InvalidArgument, "InvalidMarkerException".to_owned()));
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_and_survive_a_restart() {
    let folder = data_dir();
    let served = start(folder.path());
    let mut grants = GrantServiceClient::new(channel(folder.path()).await);
    let mut created = Vec::new();
    for index in 0..25 {
        let request: v1::CreateGrantRequest =
            from_json("CreateGrantRequest", &creation(&format!("batch-{index}")));
        created.push(grants.create_grant(request).await.expect("a grant").into_inner().grant_id);
    }
    drop(grants);
    served.stop();
    let served = start(folder.path());
    let mut grants = GrantServiceClient::new(channel(folder.path()).await);
    let (mut found, mut marker) = (Vec::new(), String::new());
    loop {
        let page = json!({"caller": caller(SERVICE), "keyId": KEY, "limit": 10, "marker": marker});
        let page: v1::ListGrantsRequest = from_json("ListGrantsRequest", &page);
        let page = grants.list_grants(page).await.expect("a page").into_inner();
        assert_eq!(page.truncated, !page.next_marker.is_empty());
        found.extend(page.grants.into_iter().map(|grant| grant.grant_id));
        marker = page.next_marker;
        if marker.is_empty() {
            break;
        }
    }
    created.push("5f0c2a5b8e2f4f0e9a7d".to_owned());
    created.sort();
    assert_eq!(found, created);

    let retirable = json!({"caller": caller("arn:aws:iam::111122223333:user/alice"),
        "retiringPrincipal": WORKER_ROLE});
    let retirable: v1::ListRetirableGrantsRequest =
        from_json("ListRetirableGrantsRequest", &retirable);
    let found = refused(grants.list_retirable_grants(retirable).await);
    assert_eq!(found, (Code::PermissionDenied, "AccessDeniedException".to_owned()));
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_no_older_than_their_consistency_token() {
    let folder = data_dir();
    let served = start(folder.path());
    let channel = channel(folder.path()).await;
    let mut grants = GrantServiceClient::new(channel.clone());
    let mut authorization = AuthorizationServiceClient::new(channel);
    let request: v1::CreateGrantRequest = from_json("CreateGrantRequest", &creation("c"));
    let token = grants.create_grant(request).await.expect("a grant").into_inner().consistency_token;
    let mut ask = async |token: &str, timeout: Option<std::time::Duration>| {
        let mut message: v1::AuthorizeRequest = from_json("AuthorizeRequest", &question());
        let requirement = v1::consistency::Requirement::AtLeastAsFresh(token.to_owned());
        message.consistency = Some(v1::Consistency { requirement: Some(requirement) });
        let mut call = tonic::Request::new(message);
        if let Some(timeout) = timeout {
            call.set_timeout(timeout);
        }
        authorization.authorize(call).await
    };
    let answer = ask(&token, None).await.expect("an answer").into_inner();
    assert_eq!(answer.decision(), v1::Decision::Allowed);
    assert_eq!(answer.consistency_token, token);
    let (incarnation, _) = token.rsplit_once('.').expect("two parts");
    let future = format!("{incarnation}.999999");
    let late = ask(&future, Some(std::time::Duration::from_secs(3))).await;
    assert_eq!(late.expect_err("never an older answer").code(), Code::DeadlineExceeded);
    let foreign = refused(ask("documents.0", None).await);
    assert_eq!(foreign, (Code::FailedPrecondition, "FOREIGN_CONSISTENCY_TOKEN".to_owned()));
    served.stop();
}

#[test]
fn without_a_data_folder_no_grants_are_kept_and_the_data_listener_never_offers_them() {
    let folder = data_dir();
    let socket = format!("unix:{}/admin.sock", folder.path().display());
    let served = Served::start("127.0.0.1:0", &["--admin-listen", &socket]);
    // Both listeners are up before either serves.
    let refused = grpcurl(folder.path(), "GrantService/CreateGrant", &creation("x"));
    assert!(refused.expect_err("no store").contains("--data-dir"));
    let list = json!({"caller": caller(SERVICE), "keyId": KEY});
    let listed = grpcurl(folder.path(), "GrantService/ListGrants", &list).expect("a list");
    assert_eq!(listed["grants"].as_array().map(Vec::len), Some(1));
    let data = creation("x").to_string();
    let method = "keyward.v1.GrantService/CreateGrant";
    let output = run("grpcurl", &["-plaintext", "-d", &data, &served.address, method]);
    assert!(text(&output.stderr).contains("does not expose service"), "{}", text(&output.stderr));
    let reports = json!({"caller": caller(SERVICE), "keyId": REPORTS});
    assert!(grpcurl(folder.path(), "GrantService/ListGrants", &reports).is_err());
    served.stop();
}

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let folder = data_dir();
    let served = start(folder.path());
    let path = folder.path().to_str().expect("UTF-8");
    let second = crate::doors::keyward(
        &[
            "serve",
            "--policies",
            "examples/quickstart",
            "--listen",
            "127.0.0.1:0",
            "--http-listen",
            "none",
            "--data-dir",
            path,
        ],
        "",
    );
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains(path), "{}", text(&second.stderr));
    served.stop();
}

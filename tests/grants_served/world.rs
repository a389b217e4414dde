//! A policy set to try grants on, and calls about it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use keyward::wire::v1;
use serde_json::{Value, json};

/// A symmetric key; `Admin` may do everything with it, and nobody else anything.
pub(crate) const KEY: &str =
    "arn:aws:kms:us-west-2:111122223333:key/11111111-1111-1111-1111-111111111111";
/// An HMAC key.
pub(crate) const HMAC: &str =
    "arn:aws:kms:us-west-2:111122223333:key/22222222-2222-2222-2222-222222222222";
/// A disabled key.
pub(crate) const DISABLED: &str =
    "arn:aws:kms:us-west-2:111122223333:key/33333333-3333-3333-3333-333333333333";
/// A key of another account.
pub(crate) const FOREIGN: &str =
    "arn:aws:kms:us-west-2:444455556666:key/44444444-4444-4444-4444-444444444444";
/// A key in another Region.
pub(crate) const FAR: &str =
    "arn:aws:kms:eu-west-1:111122223333:key/55555555-5555-5555-5555-555555555555";
/// The id of the grant on [`KEY`] that stands in a document.
pub(crate) const OF_DOCUMENT: &str = "of-a-document";

pub(crate) const ADMIN: &str = "arn:aws:sts::111122223333:assumed-role/Admin/a";
pub(crate) const WORKER: &str = "arn:aws:sts::111122223333:assumed-role/Worker/w";
pub(crate) const CHILD: &str = "arn:aws:sts::111122223333:assumed-role/Child/c";
pub(crate) const FOREIGN_ADMIN: &str = "arn:aws:sts::444455556666:assumed-role/Admin/a";

/// ARN of a role.
pub(crate) fn role(name: &str) -> String {
    format!("arn:aws:iam::111122223333:role/{name}")
}

fn key(arn: &str, admin: &str, more: Value) -> Value {
    let mut metadata = json!({"Arn": arn});
    metadata.as_object_mut().expect("an object").extend(more.as_object().expect("it").clone());
    json!({"KeyMetadata": metadata, "Policy": {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": admin}, "Action": "kms:*", "Resource": "*"},
    ]}})
}

/// Writes the set into a folder.
pub(crate) fn write(folder: &Path) {
    let admin = role("Admin");
    let mut first = key(KEY, &admin, json!({}));
    first["Grants"] = json!([{
        "KeyId": KEY, "GrantId": OF_DOCUMENT, "Name": "written", "Operations": ["Decrypt"],
        "GranteePrincipal": role("Backup"), "RetiringPrincipal": role("Backup"),
        "IssuingAccount": "arn:aws:iam::111122223333:root", "GrantToken": "token-of-a-document",
    }]);
    let hmac = json!({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"});
    let keys = json!({"Keys": [
        first,
        key(HMAC, &admin, hmac),
        key(DISABLED, &admin, json!({"KeyState": "Disabled"})),
        key(FOREIGN, "arn:aws:iam::444455556666:role/Admin", json!({})),
        key(FAR, &admin, json!({})),
    ]});
    let described = |account: &str, name: &str, policies: Value| {
        json!({"RoleName": name, "Path": "/", "RoleId": format!("AROA{account}{name}"),
            "Arn": format!("arn:aws:iam::{account}:role/{name}"), "RolePolicyList": policies})
    };
    let lists = json!([{"PolicyName": "lists", "PolicyDocument": {"Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "kms:ListRetirableGrants", "Resource": "*"}}}]);
    let mut roles = vec![described("111122223333", "Admin", lists)];
    roles.extend(["Worker", "Child", "Backup"].map(|it| described("111122223333", it, json!([]))));
    roles.push(described("444455556666", "Admin", json!([])));
    fs::write(folder.join("keys.json"), keys.to_string()).expect("a file");
    let iam = json!({"RoleDetailList": roles}).to_string();
    fs::write(folder.join("iam.json"), iam).expect("a file");
}

fn named(arn: &str) -> Option<v1::Principal> {
    Some(v1::Principal { arn: arn.to_owned(), ..v1::Principal::default() })
}

/// Encryption context that binds a grant, or a request.
pub(crate) fn slot(slot: &str) -> HashMap<String, String> {
    HashMap::from([("slot".to_owned(), slot.to_owned())])
}

/// `Admin` lets `Worker` decrypt for a slot.
pub(crate) fn creation(of: &str) -> v1::CreateGrantRequest {
    v1::CreateGrantRequest {
        caller: named(ADMIN),
        key_id: KEY.to_owned(),
        grantee_principal: role("Worker"),
        retiring_principal: role("Worker"),
        operations: vec!["Decrypt".to_owned(), "RetireGrant".to_owned()],
        constraints: Some(v1::GrantConstraints {
            encryption_context_subset: slot(of),
            ..v1::GrantConstraints::default()
        }),
        ..v1::CreateGrantRequest::default()
    }
}

/// `Admin` revokes.
pub(crate) fn revocation(id: &str) -> v1::RevokeGrantRequest {
    v1::RevokeGrantRequest {
        caller: named(ADMIN),
        key_id: KEY.to_owned(),
        grant_id: id.to_owned(),
        ..v1::RevokeGrantRequest::default()
    }
}

/// `Worker` retires, by token.
pub(crate) fn retirement(token: &str) -> v1::RetireGrantRequest {
    v1::RetireGrantRequest {
        caller: named(WORKER),
        grant_token: token.to_owned(),
        ..v1::RetireGrantRequest::default()
    }
}

/// `Admin` lists the grants on [`KEY`].
pub(crate) fn listing(limit: i32, marker: &str) -> v1::ListGrantsRequest {
    v1::ListGrantsRequest {
        caller: named(ADMIN),
        key_id: KEY.to_owned(),
        limit,
        marker: marker.to_owned(),
        ..v1::ListGrantsRequest::default()
    }
}

/// May `who` decrypt for a slot?
pub(crate) fn question(who: &str, of: &str) -> v1::AuthorizeRequest {
    let mut encryption_context = slot(of);
    encryption_context.insert("more".to_owned(), "pairs".to_owned());
    v1::AuthorizeRequest {
        principal: named(who),
        action: "kms:Decrypt".to_owned(),
        key_id: KEY.to_owned(),
        encryption_context,
        ..v1::AuthorizeRequest::default()
    }
}

/// An answer no older than a consistency token.
pub(crate) fn at_least(token: &str) -> Option<v1::Consistency> {
    let requirement = v1::consistency::Requirement::AtLeastAsFresh(token.to_owned());
    Some(v1::Consistency { requirement: Some(requirement) })
}

/// The newest answer.
pub(crate) fn newest() -> Option<v1::Consistency> {
    let requirement = v1::consistency::Requirement::FullyConsistent(true);
    Some(v1::Consistency { requirement: Some(requirement) })
}

/// The caller of a call.
pub(crate) fn caller(arn: &str) -> Option<v1::Principal> {
    named(arn)
}

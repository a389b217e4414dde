//! `userIdentity` of a record.
//!
//! Source: AWS CloudTrail User Guide, "CloudTrail userIdentity element".

use serde::Serialize;

use crate::engine::snapshot::{Named, Snapshot};
use crate::engine::term::account::AccountId;
use crate::engine::term::principal::Principal;
use crate::engine::term::request::{AssertedValues, Request};

/// Who asked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserIdentity<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<Account>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_context: Option<SessionContext<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoked_by: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionContext<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    session_issuer: Option<SessionIssuer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Attributes<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_identity: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionIssuer<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<&'a str>,
    account_id: Account,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attributes<'a> {
    mfa_authenticated: &'a str,
}

/// Twelve digits.
#[derive(Clone, Copy)]
pub(super) struct Account(pub(super) AccountId);

impl Serialize for Account {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The caller of a request.
pub(super) fn user_identity<'a>(
    snapshot: &'a Snapshot,
    request: &'a Request<'_>,
) -> UserIdentity<'a> {
    let (kind, arn, account, user_name) = match request.principal {
        Principal::Root { arn, account } => ("Root", Some(arn), Some(account), None),
        Principal::User { arn, account, name } => ("IAMUser", Some(arn), Some(account), Some(name)),
        Principal::Session { arn, account, .. } => ("AssumedRole", Some(arn), Some(account), None),
        Principal::Federated { arn, account, .. } => {
            ("FederatedUser", Some(arn), Some(account), None)
        }
        Principal::Service { .. } => ("AWSService", None, None, None),
    };
    let known_user = arn.and_then(|arn| snapshot.users.get(arn));
    let invoked_by = match request.principal {
        Principal::Service { name } => Some(name),
        _ => request.via_service,
    };
    UserIdentity {
        r#type: kind,
        principal_id: request
            .user_id
            .or_else(|| known_user.and_then(|user| user.unique_id.as_deref())),
        arn,
        account_id: account.map(Account),
        user_name,
        session_context: session_context(snapshot, request),
        invoked_by,
    }
}

fn session_context<'a>(
    snapshot: &'a Snapshot,
    request: &'a Request<'_>,
) -> Option<SessionContext<'a>> {
    let session_issuer = match request.principal {
        Principal::Session { account, role, .. } => {
            let known = snapshot.roles.get(&Named(account, role));
            Some(SessionIssuer {
                r#type: "Role",
                principal_id: known.and_then(|role| role.unique_id.as_deref()),
                arn: request
                    .role_arn
                    .as_ref()
                    .map(|arn| arn.text)
                    .or_else(|| known.map(|role| &*role.arn)),
                account_id: Account(account),
                user_name: Some(role),
            })
        }
        Principal::Federated { account, .. } => Some(SessionIssuer {
            r#type: "IAMUser",
            principal_id: None,
            arn: request.issuer_arn.as_ref().map(|arn| arn.text),
            account_id: Account(account),
            user_name: None,
        }),
        Principal::Root { .. } | Principal::User { .. } | Principal::Service { .. } => None,
    };
    let attributes = asserted(request, "aws:MultiFactorAuthPresent")
        .map(|mfa_authenticated| Attributes { mfa_authenticated });
    let source_identity = request.source_identity;
    let said = session_issuer.is_some() || attributes.is_some() || source_identity.is_some();
    said.then_some(SessionContext { session_issuer, attributes, source_identity })
}

/// The one value of a condition key that the caller asserts.
pub(super) fn asserted<'a>(request: &'a Request<'_>, name: &str) -> Option<&'a str> {
    let found = request.context.iter().find(|asserted| asserted.name.eq_ignore_ascii_case(name))?;
    match &found.values {
        AssertedValues::One(value) => Some(value),
        AssertedValues::Many(_) => None,
    }
}

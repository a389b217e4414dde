//! What a request says of its caller and of organizations must not contradict the set.
//!
//! Source: IAM User Guide, "AWS global condition context keys" (`aws:PrincipalOrgID`,
//! `aws:PrincipalOrgPaths`, `aws:ResourceOrgID`, `aws:ResourceOrgPaths`).

use super::resource::Resource;
use crate::engine::snapshot::Identity;
use crate::engine::snapshot::organization::Organization;
use crate::engine::term::account::AccountId;
use crate::engine::term::arn::Arn;
use crate::engine::term::principal::Principal;
use crate::engine::term::request::{Asserted, AssertedValues, InvalidRequest, Request};
use crate::engine::term::text::same;

/// Condition keys on the organization of an account: its id, its paths.
type Keys = [&'static str; 2];

pub(super) const PRINCIPAL: Keys = ["aws:PrincipalOrgID", "aws:PrincipalOrgPaths"];
pub(super) const RESOURCE: Keys = ["aws:ResourceOrgID", "aws:ResourceOrgPaths"];

/// Checks what the request asserts with `keys` of an account. The set's organization says where its
/// own accounts belong, and it has no others.
///
/// # Errors
///
/// The account is of the organization, so that the keys are derived; or it is not, and the request
/// says that it were.
pub(super) fn check(
    organization: &Organization,
    request: &Request<'_>,
    account: Option<AccountId>,
    keys: Keys,
) -> Result<(), InvalidRequest> {
    let is_held = account.is_some_and(|account| organization.holds(account));
    for asserted in &request.context {
        let Some(key) = keys.iter().find(|key| same(key, asserted.name)) else { continue };
        if is_held {
            let message = format!(
                "`{key}` is derived by the service and cannot be asserted: the policy set's organization \
                 holds the account"
            );
            return Err(InvalidRequest::new(field(asserted), message));
        }
        if names(asserted, &organization.id) {
            let message = format!(
                "the account is not in the organization `{}` of the policy set",
                organization.id
            );
            return Err(InvalidRequest::new(field(asserted), message));
        }
    }
    Ok(())
}

/// The account that the resource lies in, whether the set has it or not.
pub(super) fn owner(resource: &Resource<'_, '_>) -> Option<AccountId> {
    match resource {
        Resource::UnknownKey { arn, .. } => Arn::parse(arn).and_then(|arn| arn.account_id()),
        known => known.account(),
    }
}

fn field(asserted: &Asserted<'_>) -> String {
    match asserted.values {
        AssertedValues::One(_) => format!("context[\"{}\"]", asserted.name),
        AssertedValues::Many(_) => format!("multivalued_context[\"{}\"]", asserted.name),
    }
}

/// Whether the value is the organization's id, or one of the values a path in it.
fn names(asserted: &Asserted<'_>, id: &str) -> bool {
    match &asserted.values {
        AssertedValues::One(value) => *value == id,
        AssertedValues::Many(paths) => paths.iter().any(|path| path.split('/').next() == Some(id)),
    }
}

/// The role behind a session: as the request says, which must be the set's.
pub(super) fn role_of<'a>(
    request: &'a Request<'a>,
    known: Option<&'a Identity>,
) -> Result<Option<&'a str>, InvalidRequest> {
    match (request.role_arn, known) {
        (Some(arn), Some(role)) if *arn.text != *role.arn => Err(InvalidRequest::new(
            "principal.role_arn",
            format!(
                "`{}` is not the role of this name in the policy set: `{}`",
                arn.text, role.arn
            ),
        )),
        (Some(arn), _) => Ok(Some(arn.text)),
        (None, known) => Ok(known.map(|role| &*role.arn)),
    }
}

/// What the set or the caller's ARN says of `aws:userid` the request cannot contradict.
///
/// Source: IAM User Guide, "IAM policy elements: Variables and tags" (values of the principal key
/// `aws:userid`).
pub(super) fn check_user_id(
    request: &Request<'_>,
    identity: Option<&Identity>,
) -> Result<(), InvalidRequest> {
    let Some(given) = request.user_id else { return Ok(()) };
    let known = identity.and_then(|identity| identity.unique_id.as_deref());
    let composed = |first: &str, last: &str| {
        given.strip_suffix(last).and_then(|rest| rest.strip_suffix(':')) == Some(first)
    };
    let fits = match &request.principal {
        Principal::User { .. } => known.is_none_or(|id| given == id),
        Principal::Session { session, .. } => match known {
            Some(role) => composed(role, session),
            None => {
                let role = given.split(':').next().unwrap_or_default();
                !role.is_empty() && composed(role, session)
            }
        },
        Principal::Root { account, .. } => given == account.as_str(),
        Principal::Federated { account, name, .. } => composed(account.as_str(), name),
        Principal::Service { .. } => false,
    };
    if fits {
        return Ok(());
    }
    let expected = match &request.principal {
        Principal::User { .. } => known.map(str::to_owned),
        Principal::Session { session, .. } => known.map(|role| format!("{role}:{session}")),
        Principal::Root { account, .. } => Some(account.to_string()),
        Principal::Federated { account, name, .. } => Some(format!("{account}:{name}")),
        Principal::Service { .. } => None,
    };
    let message = match (&request.principal, expected) {
        (_, Some(expected)) => format!("`{given}` is not the id of the caller: `{expected}`"),
        (Principal::Service { .. }, None) => "a service has no id of its own".to_owned(),
        (_, None) => format!("`{given}` is not the id of the session: expected `AROA…:session`"),
    };
    Err(InvalidRequest::new("principal.user_id", message))
}

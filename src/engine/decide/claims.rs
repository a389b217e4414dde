//! What a request says of organizations must not contradict the set.
//!
//! Source: IAM User Guide, "AWS global condition context keys" (`aws:PrincipalOrgID`,
//! `aws:PrincipalOrgPaths`, `aws:ResourceOrgID`, `aws:ResourceOrgPaths`).

use super::resource::Resource;
use crate::engine::snapshot::organization::Organization;
use crate::engine::term::account::AccountId;
use crate::engine::term::arn::Arn;
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
    organization: Option<&Organization>,
    request: &Request<'_>,
    account: Option<AccountId>,
    keys: Keys,
) -> Result<(), InvalidRequest> {
    let Some(organization) = organization else { return Ok(()) };
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
pub(super) fn owner(resource: &Resource<'_>) -> Option<AccountId> {
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

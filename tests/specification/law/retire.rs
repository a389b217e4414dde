//! RetireGrant: the grant itself says who may retire it.
//!
//! Source: AWS KMS Developer Guide, "Retiring and revoking grants".

use serde_json::Value;

use super::authorize::OwnPolicies;
use super::caller::{Caller, Kind};
use super::grants::{grantee_naming, is_visible, issuer, retiring_naming};
use super::principals::Naming;
use super::request::Request;
use super::world::{Key, list};

/// The grant that the request names, by id or else by token.
pub(crate) fn grant_of<'a>(key: &'a Key, request: &Request) -> Option<&'a Value> {
    let grant = match request.parameter("grantId") {
        Some(id) => key.grants.iter().find(|grant| grant["GrantId"] == id.as_str()),
        None => request.grant_tokens.iter().find_map(|token| {
            key.grants.iter().find(|grant| grant["GrantToken"] == token.as_str())
        }),
    };
    grant.filter(|grant| is_visible(grant, request))
}

/// Whether the caller may retire the grant, when nothing denies.
pub(crate) fn may_retire(
    key: &Key,
    caller: &Caller<'_>,
    request: &Request,
    own: &OwnPolicies,
) -> bool {
    let Some(grant) = grant_of(key, request) else { return false };
    // Neither the retiring principal nor the grantee needs a permission of its own, unless the
    // whole account is meant. The user behind a federated session lends it no more than it may do.
    let counts = |naming: Option<Naming>| match naming {
        Some(Naming::Itself) => true,
        Some(Naming::ItsRole) => true,
        Some(Naming::ItsUser) => own.limits(),
        Some(Naming::ItsAccount) => own.all(),
        Some(Naming::Everyone | Naming::EveryAwsIdentity) | None => false,
    };
    let retiring_principal = counts(retiring_naming(grant, caller));
    let lists_retire_grant = list(&grant["Operations"]).contains(&Value::from("RetireGrant"));
    let grantee = lists_retire_grant && counts(grantee_naming(grant, caller));
    let issuer = issuer(grant, key);
    let issued_here = issuer.is_some() && issuer == caller.account;
    let issuing_root = caller.kind == Kind::Root && issued_here && own.all();
    // Identity policies count in the key's account and in that of the retiring principal.
    let retiring_account = match retiring_naming(grant, caller) {
        Some(Naming::ItsAccount) => caller.account.as_deref(),
        _ => None,
    };
    let account = caller.account.as_deref();
    let in_account =
        account.is_some() && (account == Some(key.account.as_str()) || account == retiring_account);
    retiring_principal || grantee || issuing_root || (in_account && own.all())
}

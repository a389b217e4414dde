//! Grants: which of them apply to an authorization.
//!
//! Source: AWS KMS Developer Guide, "Grants in AWS KMS", "Creating grants"; AWS KMS API Reference,
//! `CreateGrant`, `GrantConstraints`.

use serde_json::Value;

use super::authorize::Authorization;
use super::caller::{Caller, Kind};
use super::principals::{Naming, naming_by_value};
use super::request::{Pairs, Request, pairs};
use super::switches::Switches;
use super::truth::Truth;
use super::world::{Key, list};
use super::{arn, catalog};

/// Which grants count, by whether they carry a source ARN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceArns {
    Any,
    With,
    Without,
}

/// A grant that applies to the request.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) naming: Naming,
    /// The account that issued the grant.
    pub(crate) issuer: Option<String>,
}

/// The grants on the key that let the caller do the action.
pub(crate) fn applying(key: &Key, authorization: &Authorization<'_>) -> Vec<Applied> {
    let counts = |grant: &Value| match authorization.source_arns {
        SourceArns::Any => true,
        SourceArns::With => source_arn(grant).is_some(),
        SourceArns::Without => source_arn(grant).is_none(),
    };
    let applies = |grant: &Value| {
        list(&grant["Operations"]).contains(&Value::from(authorization.leg.action.as_str()))
            && is_visible(grant, authorization.request)
            && counts(grant)
            && source_arn_holds(grant, authorization)
            && context_holds(grant, authorization)
    };
    let applied = |grant: &Value| {
        let naming = grantee_naming(grant, authorization.caller)?;
        Some(Applied { naming, issuer: issuer(grant, key) })
    };
    key.grants.iter().filter(|grant| applies(grant)).filter_map(applied).collect()
}

/// The caller as the grantee.
pub(crate) fn grantee_naming(grant: &Value, caller: &Caller<'_>) -> Option<Naming> {
    principal_naming(grant, "GranteePrincipal", "GranteeServicePrincipal", caller)
}

/// The caller as the retiring principal.
pub(crate) fn retiring_naming(grant: &Value, caller: &Caller<'_>) -> Option<Naming> {
    principal_naming(grant, "RetiringPrincipal", "RetiringServicePrincipal", caller)
}

/// Old grants show a service where the principal stands. `*` is nobody's name here.
fn principal_naming(
    grant: &Value,
    principal: &str,
    service: &str,
    caller: &Caller<'_>,
) -> Option<Naming> {
    let names = [&grant[principal], &grant[service]].map(Value::as_str);
    if caller.kind == Kind::Service {
        return names.contains(&Some(caller.arn.as_str())).then_some(Naming::Itself);
    }
    let (naming, truth) = naming_by_value(names[0]?, caller)?;
    (truth == Truth::True).then_some(naming)
}

/// A grant that is pending yet is visible to those who carry its token.
pub(crate) fn is_visible(grant: &Value, request: &Request) -> bool {
    let token = grant["GrantToken"].as_str();
    let carried = || token.is_some_and(|t| request.grant_tokens.iter().any(|own| own == t));
    grant["State"] != "pending" || carried()
}

/// The account that issued the grant: one of the key's partition.
pub(crate) fn issuer(grant: &Value, key: &Key) -> Option<String> {
    let issuer = grant["IssuingAccount"].as_str()?;
    let here = arn::is_account_id(issuer) || arn::same_partition(issuer, &key.arn);
    arn::account_principal(issuer).filter(|_| here).map(str::to_owned)
}

fn source_arn(grant: &Value) -> Option<&str> {
    grant["Constraints"]["SourceArn"].as_str()
}

/// A source ARN counts for calls by services, as themselves or on someone's behalf; a direct call
/// has none.
fn source_arn_holds(grant: &Value, authorization: &Authorization<'_>) -> bool {
    let Some(wanted) = source_arn(grant) else { return true };
    let by_service =
        authorization.caller.kind == Kind::Service || authorization.request.via_service.is_some();
    by_service && authorization.context.one("aws:SourceArn") == Some(wanted)
}

/// One of the two kinds of encryption-context constraint; an empty map is absence.
#[derive(Clone, Debug)]
pub(crate) enum ContextConstraint {
    None,
    Equals(Pairs),
    Subset(Pairs),
}

impl ContextConstraint {
    fn read(constraints: &Value, equals: &str, subset: &str) -> Self {
        let read = |name: &str| pairs(&constraints[name]).unwrap_or_default();
        match (read(equals), read(subset)) {
            (equals, _) if !equals.is_empty() => Self::Equals(equals),
            (_, subset) if !subset.is_empty() => Self::Subset(subset),
            _ => Self::None,
        }
    }

    pub(crate) fn of_grant(grant: &Value) -> Self {
        let constraints = &grant["Constraints"];
        Self::read(constraints, "EncryptionContextEquals", "EncryptionContextSubset")
    }

    /// Of the grant that the request asks to create.
    pub(crate) fn of_child(request: &Request) -> Self {
        let constraints = &request.parameters["grant"]["constraints"];
        Self::read(constraints, "encryptionContextEquals", "encryptionContextSubset")
    }
}

/// Whether every pair of `some` is among `all`. The case of values counts, that of names by the
/// switch.
fn includes(all: &Pairs, some: &Pairs, switches: &Switches) -> bool {
    let same_name = |a: &str, b: &str| match switches.is("grant_ec_key_case", "sensitive") {
        true => a == b,
        false => a.to_lowercase() == b.to_lowercase(),
    };
    let found = |(name, value): &(String, String)| {
        all.iter().any(|(other, held)| same_name(other, name) && held == value)
    };
    some.iter().all(found)
}

fn equal(one: &Pairs, other: &Pairs, switches: &Switches) -> bool {
    let included = includes(one, other, switches) && includes(other, one, switches);
    one.len() == other.len() && included
}

/// DescribeKey and RetireGrant have no encryption context to constrain; in CreateGrant the limits
/// are for the new grant.
fn context_holds(grant: &Value, authorization: &Authorization<'_>) -> bool {
    let (request, switches) = (authorization.request, authorization.switches);
    let action = authorization.leg.action.as_str();
    let given = match catalog::has_encryption_context(action) {
        true => own_encryption_context(action, request),
        false => Pairs::new(),
    };
    match (ContextConstraint::of_grant(grant), action) {
        (_, "DescribeKey" | "RetireGrant") => true,
        (_, "CreateGrant") => covers_child(grant, request, switches),
        (ContextConstraint::None, _) => true,
        (ContextConstraint::Equals(pairs), _) => equal(&given, &pairs, switches),
        (ContextConstraint::Subset(pairs), _) => includes(&given, &pairs, switches),
    }
}

/// The destination has an encryption context of its own when ReEncrypt is asked as one operation.
pub(crate) fn own_encryption_context(action: &str, request: &Request) -> Pairs {
    if action == "ReEncryptTo" && request.action == "ReEncrypt" {
        pairs(&request.parameters["destinationEncryptionContext"]).unwrap_or_default()
    } else {
        request.encryption_context.clone()
    }
}

/// One parent must cover the whole child: no more operations, limits at least as strict.
fn covers_child(parent: &Value, request: &Request, switches: &Switches) -> bool {
    use ContextConstraint::{Equals, Subset};
    let child = &request.parameters["grant"];
    let covered = list(&parent["Operations"]);
    let operations = list(&child["operations"]).iter().all(|op| covered.contains(op));
    let source = source_arn(parent)
        .is_none_or(|wanted| child["constraints"]["sourceArn"].as_str() == Some(wanted));
    let of_child = ContextConstraint::of_child(request);
    let context = match (ContextConstraint::of_grant(parent), &of_child) {
        (ContextConstraint::None, _) => true,
        (Equals(parent), Equals(child)) => equal(&parent, child, switches),
        (Subset(parent), Equals(child) | Subset(child)) => includes(child, &parent, switches),
        (Equals(_) | Subset(_), _) => false,
    };
    operations && source && context
}

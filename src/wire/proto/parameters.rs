//! `Parameters`: from the message to checked parameters.

use super::request::{encryption_context, key_id, optional, pairs, refuse, region};
use super::view::{self, ParametersView};
use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::term::key_id::is_alias_name;
use crate::engine::term::principal::is_service;
use crate::engine::term::request::{
    Given, GrantParameters, InvalidRequest, Pairs, Parameters, Texts,
};
use crate::engine::term::time::Timestamp;
use crate::wire::v1;

type Refused<T> = Result<T, InvalidRequest>;

/// Tags of a request, and of a key.
///
/// Source: AWS KMS Developer Guide, "Resource quotas".
const TAGS: usize = 50;
/// Pairs in a grant constraint, and characters of a value.
///
/// Source: AWS KMS API Reference, `GrantConstraints`.
const CONSTRAINT_PAIRS: usize = 8;
const CONSTRAINT_VALUE: usize = 384;

/// Reads the parameters. Those that the operation does not have are checked for form and do not
/// count.
pub(super) fn parameters(message: Option<Box<ParametersView<'_>>>) -> Refused<Given<'_>> {
    let Some(from) = message else { return Ok(Given::default()) };
    let from = *from;
    let parameters = Parameters {
        encryption_algorithm: optional(from.encryption_algorithm),
        destination_key_id: key_id("parameters.destination_key_id", from.destination_key_id)?,
        source_key_id: key_id("parameters.source_key_id", from.source_key_id)?,
        destination_encryption_context: encryption_context(
            "parameters.destination_encryption_context",
            from.destination_encryption_context,
        )?,
        destination_encryption_algorithm: optional(from.destination_encryption_algorithm),
        key_pair_spec: optional(from.key_pair_spec),
        signing_algorithm: optional(from.signing_algorithm),
        mac_algorithm: optional(from.mac_algorithm),
        key_agreement_algorithm: optional(from.key_agreement_algorithm),
        wrapping_algorithm: optional(from.wrapping_algorithm),
        wrapping_key_spec: optional(from.wrapping_key_spec),
        message_type: optional(from.message_type),
        policy_name: optional(from.policy_name),
        pending_window_in_days: from.pending_window_in_days,
        rotation_period_in_days: from.rotation_period_in_days,
        bypass_policy_lockout_safety_check: from.bypass_policy_lockout_safety_check,
        expiration_model: optional(from.expiration_model),
        valid_to: from.valid_to.as_ref().map(valid_to).transpose()?,
        primary_region: region("parameters.primary_region", from.primary_region)?,
        replica_region: region("parameters.replica_region", from.replica_region)?,
        recipient_attestation: pairs(
            "parameters.recipient_attestation",
            from.recipient_attestation,
        )?,
        key_spec: optional(from.key_spec),
        key_usage: optional(from.key_usage),
        origin: optional(from.origin),
        multi_region: from.multi_region,
        tags: tags(from.tags)?,
        tag_keys: tag_keys(from.tag_keys)?,
        alias_name: alias_name(from.alias_name)?,
        target_key_id: key_id("parameters.target_key_id", from.target_key_id)?,
        grant_id: optional(from.grant_id),
        retiring_principal: retiring_principal(from.retiring_principal)?,
        grant: from.grant.map(grant_parameters).transpose()?,
    };
    Ok(parameters.into())
}

fn valid_to(from: &prost_types::Timestamp) -> Refused<Timestamp> {
    let nanoseconds = u32::try_from(from.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    match nanoseconds {
        Some(nanoseconds) => Ok(Timestamp::new(from.seconds, nanoseconds)),
        None => refuse("parameters.valid_to", "its nanoseconds are not within a second"),
    }
}

fn tags(tags: Pairs<'_>) -> Refused<Pairs<'_>> {
    if tags.len() > TAGS {
        return refuse("parameters.tags", format!("more than {TAGS}"));
    }
    for (index, (name, value)) in tags.iter().enumerate() {
        let field = || format!("parameters.tags[{index}].tag_key");
        if name.is_empty() || name.len() > 512 || value.len() > 1024 {
            return refuse(
                field(),
                "a tag has a name of 1 to 128 characters and a value of at most 256",
            );
        }
        if tags.iter().take(index).any(|(earlier, _)| earlier == name) {
            return refuse(field(), format!("`{name}` is given twice"));
        }
    }
    Ok(tags)
}

fn tag_keys(names: Texts<'_>) -> Refused<Texts<'_>> {
    if names.len() > TAGS || names.iter().any(|name| name.is_empty() || name.len() > 512) {
        return refuse(
            "parameters.tag_keys",
            format!("expected at most {TAGS} names of 1 to 128 characters"),
        );
    }
    Ok(names)
}

fn alias_name(text: &str) -> Refused<Option<&str>> {
    match optional(text) {
        Some(text) if !is_alias_name(text) => refuse(
            "parameters.alias_name",
            format!(
                "`{text}` is no alias name: expected `alias/` and letters, digits, `/`, `_` and `-`"
            ),
        ),
        found => Ok(found),
    }
}

fn retiring_principal(text: &str) -> Refused<Option<&str>> {
    const FIELD: &str = "parameters.retiring_principal";
    principal(FIELD, text)
}

/// Whether CreateGrant takes the text as a principal: the ARN of an account, user, role, role
/// session or federated user.
///
/// Source: AWS KMS API Reference, `CreateGrant` (`GranteePrincipal`).
#[must_use]
pub fn is_principal(text: &str) -> bool {
    text.len() <= 256 && text.starts_with("arn:") && PrincipalPattern::aws(text).is_ok()
}

/// A principal as grants name it.
fn principal<'a>(field: &str, text: &'a str) -> Refused<Option<&'a str>> {
    let Some(text) = optional(text) else { return Ok(None) };
    if is_principal(text) {
        return Ok(Some(text));
    }
    refuse(field, format!("`{text}` is not the ARN of a principal"))
}

fn service<'a>(field: &str, text: &'a str) -> Refused<Option<&'a str>> {
    match optional(text) {
        Some(text) if !is_service(text) => {
            refuse(field, format!("`{text}` is not the name of a service"))
        }
        found => Ok(found),
    }
}

/// Source: AWS KMS API Reference, `CreateGrant`.
fn grant_parameters(from: &v1::GrantParameters) -> Refused<GrantParameters<'_>> {
    let constraints = from.constraints.as_ref();
    let empty = || Ok(Pairs::new());
    let grant = GrantParameters {
        grantee_principal: principal(
            "parameters.grant.grantee_principal",
            &from.grantee_principal,
        )?,
        grantee_service_principal: service(
            "parameters.grant.grantee_service_principal",
            &from.grantee_service_principal,
        )?,
        retiring_principal: principal(
            "parameters.grant.retiring_principal",
            &from.retiring_principal,
        )?,
        retiring_service_principal: service(
            "parameters.grant.retiring_service_principal",
            &from.retiring_service_principal,
        )?,
        operations: operations(&from.operations)?,
        encryption_context_equals: constraints.map_or_else(empty, |constraints| {
            constraint("encryption_context_equals", &constraints.encryption_context_equals)
        })?,
        encryption_context_subset: constraints.map_or_else(empty, |constraints| {
            constraint("encryption_context_subset", &constraints.encryption_context_subset)
        })?,
        source_arn: source_arn(constraints.map_or("", |constraints| &constraints.source_arn))?,
        name: optional(&from.name),
    };
    match (grant.grantee_principal, grant.grantee_service_principal) {
        (None, None) => {
            refuse("parameters.grant.grantee_principal", "missing: a grant has a grantee")
        }
        (Some(_), Some(_)) => {
            refuse("parameters.grant.grantee_service_principal", "a grant has one grantee, not two")
        }
        _ if grant.retiring_principal.is_some() && grant.retiring_service_principal.is_some() => {
            refuse(
                "parameters.grant.retiring_service_principal",
                "a grant has one retiring principal, not two",
            )
        }
        (None, Some(_)) if grant.source_arn.is_none() => refuse(
            "parameters.grant.constraints.source_arn",
            "missing: a grant to a service needs a source ARN",
        ),
        _ if !grant.encryption_context_equals.is_empty()
            && !grant.encryption_context_subset.is_empty() =>
        {
            refuse(
                "parameters.grant.constraints",
                "a grant has one encryption context constraint, not two",
            )
        }
        _ => Ok(grant),
    }
}

fn operations(from: &[String]) -> Refused<ActionSet> {
    if from.is_empty() {
        return refuse(
            "parameters.grant.operations",
            "missing: a grant permits at least one operation",
        );
    }
    let mut operations = ActionSet::EMPTY;
    for (index, name) in from.iter().enumerate() {
        match Action::from_bare(name).filter(|action| action.grantable()) {
            Some(action) => operations.insert(action),
            None => {
                return refuse(
                    format!("parameters.grant.operations[{index}]"),
                    format!("no grant can permit `{name}`"),
                );
            }
        }
    }
    Ok(operations)
}

fn constraint<'a>(
    name: &str,
    map: &'a std::collections::HashMap<String, String>,
) -> Refused<Pairs<'a>> {
    let field = format!("parameters.grant.constraints.{name}");
    if map.len() > CONSTRAINT_PAIRS {
        return refuse(field, format!("more than {CONSTRAINT_PAIRS} pairs"));
    }
    if map.values().any(|value| value.chars().count() > CONSTRAINT_VALUE) {
        return refuse(field, format!("a value is longer than {CONSTRAINT_VALUE} characters"));
    }
    pairs(&field, view::pairs(map))
}

/// Source: AWS KMS API Reference, `GrantConstraints` (`SourceArn`).
fn source_arn(text: &str) -> Refused<Option<&str>> {
    let Some(text) = optional(text) else { return Ok(None) };
    let arn = crate::engine::term::arn::Arn::parse(text);
    let fits = (20..=512).contains(&text.len())
        && arn.is_some_and(|arn| arn.partition().starts_with("aws") && arn.account_id().is_some());
    if fits {
        Ok(Some(text))
    } else {
        refuse(
            "parameters.grant.constraints.source_arn",
            format!("`{text}` is no ARN of a resource with an account"),
        )
    }
}

//! `requestParameters` of a record: what the request sent, by the names of the KMS API.
//!
//! Source: AWS KMS Developer Guide, "Logging AWS KMS API calls with AWS CloudTrail".

use serde::Serialize;

use super::Masks;
use super::mask::Masked;
use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::term::key_id::KeyId;
use crate::engine::term::request::{GrantParameters, Request};

/// What the operation was called with. Values of encryption contexts and tags are masked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestParameters<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_context: Option<Masked<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_encryption_algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_encryption_context: Option<Masked<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_encryption_algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_encryption_context: Option<Masked<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_pair_spec: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac_algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_agreement_algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrapping_algorithm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrapping_key_spec: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_window_in_days: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_period_in_days: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bypass_policy_lockout_safety_check: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replica_region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_spec: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_usage: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_region: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Masked<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tag_keys: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    alias_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_id: Option<&'a str>,
    #[serde(flatten)]
    grant: Option<Grant<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Grant<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    grantee_principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grantee_service_principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_service_principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Operations::is_empty")]
    operations: Operations,
    #[serde(skip_serializing_if = "Option::is_none")]
    constraints: Option<Constraints<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Constraints<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_context_equals: Option<Masked<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_context_subset: Option<Masked<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_arn: Option<&'a str>,
}

/// Names of operations.
struct Operations(ActionSet);

impl Operations {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Operations {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let held = Action::ALL.iter().filter(|action| self.0.contains(**action));
        serializer.collect_seq(held.map(|action| action.bare()))
    }
}

/// The parameters of a request.
pub(super) fn request_parameters<'a>(
    request: &'a Request<'_>,
    masks: &'a Masks,
) -> RequestParameters<'a> {
    let from = &request.parameters;
    let context = |pairs: &'a [(&'a str, &'a str)]| {
        (!pairs.is_empty()).then_some(Masked { pairs, mask: &masks.encryption_context })
    };
    let key_id = request.key_id.as_ref().map(text);
    let own_context = context(&request.encryption_context);
    let re_encrypt = request.asked_re_encrypt();
    let (key_id, source_key_id) = if re_encrypt {
        (None, key_id.or_else(|| from.source_key_id.as_ref().map(text)))
    } else {
        (key_id, from.source_key_id.as_ref().map(text))
    };
    let (encryption_context, source_encryption_context) =
        if re_encrypt { (None, own_context) } else { (own_context, None) };
    let (encryption_algorithm, source_encryption_algorithm) = if re_encrypt {
        (None, from.encryption_algorithm)
    } else {
        (from.encryption_algorithm, None)
    };
    RequestParameters {
        key_id,
        encryption_algorithm,
        encryption_context,
        source_key_id,
        source_encryption_algorithm,
        source_encryption_context,
        destination_key_id: from.destination_key_id.as_ref().map(text),
        destination_encryption_algorithm: from.destination_encryption_algorithm,
        destination_encryption_context: context(&from.destination_encryption_context),
        key_pair_spec: from.key_pair_spec,
        signing_algorithm: from.signing_algorithm,
        mac_algorithm: from.mac_algorithm,
        key_agreement_algorithm: from.key_agreement_algorithm,
        wrapping_algorithm: from.wrapping_algorithm,
        wrapping_key_spec: from.wrapping_key_spec,
        message_type: from.message_type,
        policy_name: from.policy_name,
        pending_window_in_days: from.pending_window_in_days,
        rotation_period_in_days: from.rotation_period_in_days,
        bypass_policy_lockout_safety_check: from.bypass_policy_lockout_safety_check,
        expiration_model: from.expiration_model,
        primary_region: from.primary_region,
        replica_region: from.replica_region,
        key_spec: from.key_spec,
        key_usage: from.key_usage,
        origin: from.origin,
        multi_region: from.multi_region,
        tags: (!from.tags.is_empty())
            .then_some(Masked { pairs: &from.tags, mask: &masks.principal_tags }),
        tag_keys: &from.tag_keys,
        alias_name: from.alias_name,
        target_key_id: from.target_key_id.as_ref().map(text),
        grant_id: from.grant_id,
        grant: from.grant.as_ref().map(|grant| grant_of(grant, from.retiring_principal, &context)),
        dry_run: request.dry_run,
    }
}

fn grant_of<'a>(
    from: &'a GrantParameters<'_>,
    retiring: Option<&'a str>,
    context: &impl Fn(&'a [(&'a str, &'a str)]) -> Option<Masked<'a>>,
) -> Grant<'a> {
    let equals = context(&from.encryption_context_equals);
    let subset = context(&from.encryption_context_subset);
    let constrained = equals.is_some() || subset.is_some() || from.source_arn.is_some();
    Grant {
        grantee_principal: from.grantee_principal,
        grantee_service_principal: from.grantee_service_principal,
        retiring_principal: from.retiring_principal.or(retiring),
        retiring_service_principal: from.retiring_service_principal,
        operations: Operations(from.operations),
        constraints: constrained.then_some(Constraints {
            encryption_context_equals: equals,
            encryption_context_subset: subset,
            source_arn: from.source_arn,
        }),
        name: from.name,
    }
}

fn text<'a>(id: &KeyId<'a>) -> &'a str {
    match id {
        KeyId::Id(text) | KeyId::AliasName(text) => text,
        KeyId::Arn(arn) | KeyId::AliasArn(arn) => arn.text,
    }
}

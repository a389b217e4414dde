//! `AuthorizeRequest` with its texts borrowed, from wherever they are: the bytes of a call, or a
//! decoded message.

use std::collections::HashMap;

use crate::engine::term::few::Few;
use crate::engine::term::request::{Pairs, Texts};
use crate::wire::v1;

/// An `AuthorizeRequest`, not yet checked. Maps are sorted by name, each name once.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the message, and documented there")]
pub struct View<'a> {
    pub request_id: &'a str,
    pub principal: Option<PrincipalView<'a>>,
    pub action: &'a str,
    pub key_id: &'a str,
    pub encryption_context: Pairs<'a>,
    pub grant_tokens: Texts<'a>,
    pub context: Few<(&'a str, &'a str), 8>,
    pub multivalued_context: Few<(&'a str, Texts<'a>), 2>,
    pub parameters: Option<Box<ParametersView<'a>>>,
    pub region: &'a str,
    pub via_service: &'a str,
    pub consistency: Option<ConsistencyView<'a>>,
    pub detail: i32,
    pub dry_run: bool,
}

/// A `Principal`.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the message, and documented there")]
pub struct PrincipalView<'a> {
    pub arn: &'a str,
    pub role_arn: &'a str,
    pub issuer_arn: &'a str,
    pub tags: Pairs<'a>,
    pub session_policies: Texts<'a>,
    pub user_id: &'a str,
    pub source_identity: &'a str,
}

/// A `Consistency`: its requirement.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the variants are those of the message, and documented there")]
pub enum ConsistencyView<'a> {
    #[default]
    Unspecified,
    MinimizeLatency(bool),
    AtLeastAsFresh(&'a str),
    FullyConsistent(bool),
}

/// `Parameters`.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the message, and documented there")]
pub struct ParametersView<'a> {
    pub encryption_algorithm: &'a str,
    pub destination_key_id: &'a str,
    pub source_key_id: &'a str,
    pub destination_encryption_context: Pairs<'a>,
    pub destination_encryption_algorithm: &'a str,
    pub key_pair_spec: &'a str,
    pub signing_algorithm: &'a str,
    pub mac_algorithm: &'a str,
    pub key_agreement_algorithm: &'a str,
    pub wrapping_algorithm: &'a str,
    pub wrapping_key_spec: &'a str,
    pub message_type: &'a str,
    pub policy_name: &'a str,
    pub pending_window_in_days: Option<i32>,
    pub rotation_period_in_days: Option<i32>,
    pub bypass_policy_lockout_safety_check: Option<bool>,
    pub expiration_model: &'a str,
    pub valid_to: Option<prost_types::Timestamp>,
    pub primary_region: &'a str,
    pub replica_region: &'a str,
    pub recipient_attestation: Pairs<'a>,
    pub key_spec: &'a str,
    pub key_usage: &'a str,
    pub origin: &'a str,
    pub multi_region: Option<bool>,
    pub tags: Pairs<'a>,
    pub tag_keys: Texts<'a>,
    pub alias_name: &'a str,
    pub target_key_id: &'a str,
    pub grant_id: &'a str,
    pub retiring_principal: &'a str,
    pub grant: Option<&'a v1::GrantParameters>,
}

/// The pairs of a map, sorted by name so that the order of a message's bytes never counts.
pub(super) fn pairs<const N: usize>(map: &HashMap<String, String>) -> Few<(&str, &str), N> {
    let mut pairs: Few<_, N> = map.iter().map(|(name, value)| (&**name, &**value)).collect();
    pairs.sort_unstable();
    pairs
}

fn texts(texts: &[String]) -> Texts<'_> {
    texts.iter().map(String::as_str).collect()
}

impl<'a> View<'a> {
    /// Of a decoded message.
    #[must_use]
    pub fn of(message: &'a v1::AuthorizeRequest) -> Self {
        let mut multivalued_context: Few<(&str, Texts<'_>), 2> = message
            .multivalued_context
            .iter()
            .map(|(name, list)| (&**name, texts(&list.values)))
            .collect();
        multivalued_context.sort_unstable_by_key(|(name, _)| *name);
        Self {
            request_id: &message.request_id,
            principal: message.principal.as_ref().map(PrincipalView::of),
            action: &message.action,
            key_id: &message.key_id,
            encryption_context: pairs(&message.encryption_context),
            grant_tokens: texts(&message.grant_tokens),
            context: pairs(&message.context),
            multivalued_context,
            parameters: message.parameters.as_ref().map(ParametersView::of).map(Box::new),
            region: &message.region,
            via_service: &message.via_service,
            consistency: message.consistency.as_ref().map(ConsistencyView::of),
            detail: message.detail,
            dry_run: message.dry_run,
        }
    }
}

impl<'a> PrincipalView<'a> {
    fn of(message: &'a v1::Principal) -> Self {
        Self {
            arn: &message.arn,
            role_arn: &message.role_arn,
            issuer_arn: &message.issuer_arn,
            tags: pairs(&message.tags),
            session_policies: texts(&message.session_policies),
            user_id: &message.user_id,
            source_identity: &message.source_identity,
        }
    }
}

impl<'a> ConsistencyView<'a> {
    fn of(message: &'a v1::Consistency) -> Self {
        use v1::consistency::Requirement;
        match &message.requirement {
            None => Self::Unspecified,
            Some(Requirement::MinimizeLatency(wanted)) => Self::MinimizeLatency(*wanted),
            Some(Requirement::AtLeastAsFresh(token)) => Self::AtLeastAsFresh(token),
            Some(Requirement::FullyConsistent(wanted)) => Self::FullyConsistent(*wanted),
        }
    }
}

impl<'a> ParametersView<'a> {
    fn of(message: &'a v1::Parameters) -> Self {
        Self {
            encryption_algorithm: &message.encryption_algorithm,
            destination_key_id: &message.destination_key_id,
            source_key_id: &message.source_key_id,
            destination_encryption_context: pairs(&message.destination_encryption_context),
            destination_encryption_algorithm: &message.destination_encryption_algorithm,
            key_pair_spec: &message.key_pair_spec,
            signing_algorithm: &message.signing_algorithm,
            mac_algorithm: &message.mac_algorithm,
            key_agreement_algorithm: &message.key_agreement_algorithm,
            wrapping_algorithm: &message.wrapping_algorithm,
            wrapping_key_spec: &message.wrapping_key_spec,
            message_type: &message.message_type,
            policy_name: &message.policy_name,
            pending_window_in_days: message.pending_window_in_days,
            rotation_period_in_days: message.rotation_period_in_days,
            bypass_policy_lockout_safety_check: message.bypass_policy_lockout_safety_check,
            expiration_model: &message.expiration_model,
            valid_to: message.valid_to,
            primary_region: &message.primary_region,
            replica_region: &message.replica_region,
            recipient_attestation: pairs(&message.recipient_attestation),
            key_spec: &message.key_spec,
            key_usage: &message.key_usage,
            origin: &message.origin,
            multi_region: message.multi_region,
            tags: message.tags.iter().map(|tag| (&*tag.tag_key, &*tag.tag_value)).collect(),
            tag_keys: texts(&message.tag_keys),
            alias_name: &message.alias_name,
            target_key_id: &message.target_key_id,
            grant_id: &message.grant_id,
            retiring_principal: &message.retiring_principal,
            grant: message.grant.as_ref(),
        }
    }
}

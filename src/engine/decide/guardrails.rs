//! What stands around every allow: organization policies, VPC endpoints, boundary, session.

use super::caller::Caller;
use super::combine::{Limits, Says};
use super::decision::{Layer, Matched, Missing};
use super::facts::Facts;
use super::layers::Question;
use super::observer::Observer;
use super::resource::Resource;
use crate::engine::evaluation::Unknown;
use crate::engine::kms::action::Action;
use crate::engine::snapshot::Snapshot;
use crate::engine::snapshot::organization::{Level, Member};
use crate::engine::term::account::AccountId;
use crate::engine::term::principal::Principal;
use crate::engine::term::request::{AssertedValues, Request};
use crate::engine::term::text::same;

/// What the guardrails say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guard<'a> {
    /// A Deny among them, the one that is reported first.
    pub denies: Option<Matched<'a>>,
    /// The first of them that does not allow.
    pub missing: Option<Missing>,
}

/// Service control policies, resource control policies, the VPC endpoint policy.
///
/// Source: AWS Organizations User Guide, "SCP evaluation", "Resource control policies (RCPs)"; AWS
/// KMS Developer Guide, "Connect to AWS KMS through a VPC endpoint".
#[inline(always)]
pub(super) fn guardrails<'a, O: Observer>(question: &mut Question<'a, '_, O>) -> Guard<'a> {
    let facts = question.facts;
    let mut guard = Guard::default();
    if let Some(member) = scp_member(facts.snapshot, facts.caller) {
        let of = |level: &'a Level| level.service_control_policies.as_deref();
        levels(question, Layer::Scp, member, of, &mut guard);
    }
    if let Some(member) = rcp_member(facts.snapshot, facts.caller, facts.action, facts.resource) {
        let of = |level: &'a Level| level.resource_control_policies.as_deref();
        levels(question, Layer::Rcp, member, of, &mut guard);
    }
    endpoint(question, &mut guard);
    guard
}

fn levels<'a, O: Observer>(
    question: &mut Question<'a, '_, O>,
    layer: Layer,
    member: &'a Member,
    of: impl Fn(&'a Level) -> Option<&'a [crate::engine::snapshot::Attached]>,
    guard: &mut Guard<'a>,
) {
    let (mut denies, mut all_allow) = (None, true);
    for policies in member.levels.iter().filter_map(of) {
        all_allow &= question.level(layer, policies, &mut denies);
    }
    guard.denies = guard.denies.or(denies);
    if !all_allow {
        guard.missing.get_or_insert(Missing::Layer(layer));
    }
    question.observer.layer(layer, verdict(denies.is_some(), all_allow));
}

fn verdict(denies: bool, allows: bool) -> &'static str {
    match (denies, allows) {
        (true, _) => "denies",
        (false, true) => "allows",
        (false, false) => "is silent",
    }
}

fn endpoint<'a, O: Observer>(question: &mut Question<'a, '_, O>, guard: &mut Guard<'a>) {
    let snapshot = question.facts.snapshot;
    if snapshot.endpoints.is_empty() && snapshot.evaluation.unknown_vpc_endpoint != Unknown::Deny {
        return;
    }
    let Some(id) = endpoint_id(question.facts.request) else { return };
    if let Some((id, policy)) = snapshot.endpoints.get_key_value(id) {
        let found = question.alone(Layer::Endpoint, id, policy);
        guard.denies = guard.denies.or(found.denies);
        if found.allows.any().is_none() {
            guard.missing.get_or_insert(Missing::Layer(Layer::Endpoint));
        }
        return;
    }
    let unknown = match snapshot.evaluation.unknown_vpc_endpoint {
        Unknown::DenyWhereDescribed => !snapshot.endpoints.is_empty(),
        Unknown::Deny => true,
        Unknown::NoPolicies => false,
    };
    if unknown {
        guard.missing.get_or_insert(Missing::UnknownEndpoint);
        question.observer.layer(Layer::Endpoint, "is silent");
    }
}

/// The VPC endpoint through which the request came. A simulation's overrides do not change it.
pub(super) fn endpoint_id<'a>(request: &'a Request<'a>) -> Option<&'a str> {
    let asserted = request.context.iter().find(|asserted| same(asserted.name, "aws:SourceVpce"))?;
    match &asserted.values {
        AssertedValues::One(id) => Some(id),
        AssertedValues::Many(_) => None,
    }
}

/// The member account whose service control policies limit the caller.
fn scp_member<'a>(snapshot: &'a Snapshot, caller: &Caller<'_>) -> Option<&'a Member> {
    if caller.is_service_linked() {
        return None;
    }
    member(snapshot, caller.account())
}

/// The member account whose resource control policies limit the use of the resource.
fn rcp_member<'a>(
    snapshot: &'a Snapshot,
    caller: &Caller<'_>,
    action: Action,
    resource: &Resource<'_, '_>,
) -> Option<&'a Member> {
    let aws_managed = resource.key().is_some_and(|key| key.aws_managed);
    if caller.is_service_linked() || aws_managed || action == Action::RetireGrant {
        return None;
    }
    member(snapshot, resource.account())
}

/// The management account is not limited.
pub(super) fn member(snapshot: &Snapshot, account: Option<AccountId>) -> Option<&Member> {
    let organization = snapshot.organization.as_ref()?;
    let account = account?;
    if organization.management_account == Some(account) {
        return None;
    }
    organization.accounts.get(&account)
}

/// Identity policies, boundary and session policies into `limits`; the Deny among them.
///
/// The root user needs no policy, unless its session was assumed centrally without a task policy.
///
/// Source: IAM User Guide, "Permissions boundaries for IAM entities", "Session policies",
/// "Permissions for GetFederationToken".
#[inline(always)]
pub(super) fn own_policies<'a, O: Observer>(
    question: &mut Question<'a, '_, O>,
    limits: &mut Limits<'a>,
) -> Option<Matched<'a>> {
    let facts = question.facts;
    let caller = facts.caller;
    let mut denies: Option<Matched<'a>> = None;
    match (&caller.principal, caller.identity) {
        (Principal::Root { .. }, _) => {
            if is_assumed_root(facts) && !caller.has_session_policies {
                limits.boundary = Says::Silent;
            } else {
                limits.identity = Says::NoLimit;
            }
        }
        (_, None) => {}
        (_, Some(entity)) => {
            let found = question.together(Layer::Identity, &entity.policies);
            denies = denies.or(found.denies);
            if let Some(by) = found.allows.any() {
                limits.identity = Says::Allows(by);
            }
            if let Some(attached) = &entity.boundary {
                let found = question.alone(Layer::Boundary, &attached.id, &attached.policy);
                denies = denies.or(found.denies);
                limits.boundary = found.says();
            }
        }
    }
    if caller.has_session_policies {
        let found = question.session_policies();
        denies = denies.or(found.denies);
        limits.session = found.says();
    } else if caller.is_bare_federated() {
        limits.session = Says::Silent;
    }
    denies
}

/// Source: IAM User Guide, "Centrally manage root access" (`aws:AssumedRoot`).
fn is_assumed_root(facts: &Facts<'_, '_>) -> bool {
    facts.asserted_text("aws:AssumedRoot").is_some_and(|value| !value.eq_ignore_ascii_case("false"))
}

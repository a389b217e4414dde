//! `AuthorizeResponse`: from an answer to the message.

use crate::engine::decide::decision::{Answer, Layer, Leg, Matched, Verdict};
use crate::engine::decide::explain::{
    Determining, Explanation, LayerFinding, LegExplanation, StatementFinding,
};
use crate::engine::term::truth::Truth;
use crate::wire::v1;

/// What an answer carries beside the decision.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The request's id.
    pub request_id: &'a str,
    /// The unique id of the decision.
    pub decision_id: &'a str,
    /// Revision of the policy set.
    pub revision: &'a str,
    /// State of the grants.
    pub consistency_token: &'a str,
    /// How much of the reasoning is wanted.
    pub detail: v1::Detail,
    /// Whether what policies say came from the cache.
    pub cached: bool,
}

/// The message for an answer; with its explanation, where one was gathered.
#[must_use]
pub fn response(
    answer: &Answer<'_>,
    explanation: Option<&Explanation>,
    envelope: &Envelope<'_>,
) -> v1::AuthorizeResponse {
    let reasons = match envelope.detail {
        v1::Detail::Unspecified => None,
        v1::Detail::Reason | v1::Detail::Full => {
            Some(explained(answer, explanation, envelope.detail))
        }
    };
    v1::AuthorizeResponse {
        decision: decision(answer.verdict()).into(),
        decision_id: envelope.decision_id.to_owned(),
        request_id: envelope.request_id.to_owned(),
        policy_revision: envelope.revision.to_owned(),
        consistency_token: envelope.consistency_token.to_owned(),
        key_arn: answer.key_arn.unwrap_or_default().to_owned(),
        error_code: answer.error_code().unwrap_or_default().to_owned(),
        message: answer.message().unwrap_or_default(),
        legs: if answer.by_operation { answer.legs.iter().map(leg).collect() } else { Vec::new() },
        explanation: reasons,
        cached: envelope.cached,
    }
}

/// The decision as the message names it.
#[must_use]
pub fn decision(verdict: Verdict) -> v1::Decision {
    match verdict {
        Verdict::Allowed => v1::Decision::Allowed,
        Verdict::KeyState => v1::Decision::KeyState,
        Verdict::ImplicitDeny => v1::Decision::ImplicitDeny,
        Verdict::ExplicitDeny => v1::Decision::ExplicitDeny,
    }
}

fn leg(leg: &Leg<'_>) -> v1::Leg {
    v1::Leg {
        action: leg.action.name().to_owned(),
        resource: leg.resource.to_string(),
        decision: decision(leg.decision.verdict()).into(),
        error_code: leg.error_code().unwrap_or_default().to_owned(),
    }
}

fn policy_type(layer: Layer) -> v1::PolicyType {
    match layer {
        Layer::KeyPolicy => v1::PolicyType::KeyPolicy,
        Layer::Grant => v1::PolicyType::Grant,
        Layer::Identity => v1::PolicyType::IdentityPolicy,
        Layer::Boundary => v1::PolicyType::PermissionsBoundary,
        Layer::Session => v1::PolicyType::SessionPolicy,
        Layer::Scp => v1::PolicyType::ServiceControlPolicy,
        Layer::Rcp => v1::PolicyType::ResourceControlPolicy,
        Layer::Endpoint => v1::PolicyType::VpcEndpointPolicy,
    }
}

fn explained(
    answer: &Answer<'_>,
    explanation: Option<&Explanation>,
    detail: v1::Detail,
) -> v1::Explanation {
    let legs = match explanation {
        Some(explanation) => {
            explanation.legs.iter().map(|leg| leg_explanation(leg, detail)).collect()
        }
        None => answer.legs.iter().map(leg_reason).collect(),
    };
    v1::Explanation { summary: summary(answer), legs }
}

fn summary(answer: &Answer<'_>) -> String {
    let verdict = match answer.verdict() {
        Verdict::Allowed => "allowed",
        Verdict::KeyState => "authorized, but the state of the key forbids the operation",
        Verdict::ImplicitDeny => "denied: not everything that must allow it does",
        Verdict::ExplicitDeny => "denied: a Deny statement applies",
    };
    let by: Vec<String> = answer.matched().iter().map(in_words).collect();
    if by.is_empty() { verdict.to_owned() } else { format!("{verdict}; by {}", by.join(" and ")) }
}

fn in_words(matched: &Matched<'_>) -> String {
    let Some(statement) = matched.statement else {
        return format!("grant `{}`", matched.policy_id);
    };
    let place = match &statement.sid {
        Some(sid) => format!("statement `{sid}`"),
        None => format!("statement {}", statement.index),
    };
    format!("{place} of the {} `{}`", layer_name(matched.layer), matched.policy_id)
}

/// The name of a kind of policy for people.
#[must_use]
pub fn layer_words(policy_type: v1::PolicyType) -> &'static str {
    match policy_type {
        v1::PolicyType::Unspecified => "policy",
        v1::PolicyType::KeyPolicy => layer_name(Layer::KeyPolicy),
        v1::PolicyType::Grant => layer_name(Layer::Grant),
        v1::PolicyType::IdentityPolicy => layer_name(Layer::Identity),
        v1::PolicyType::PermissionsBoundary => layer_name(Layer::Boundary),
        v1::PolicyType::SessionPolicy => layer_name(Layer::Session),
        v1::PolicyType::ServiceControlPolicy => layer_name(Layer::Scp),
        v1::PolicyType::ResourceControlPolicy => layer_name(Layer::Rcp),
        v1::PolicyType::VpcEndpointPolicy => layer_name(Layer::Endpoint),
    }
}

/// The name of a layer for people.
#[must_use]
pub fn layer_name(layer: Layer) -> &'static str {
    match layer {
        Layer::KeyPolicy => "key policy",
        Layer::Grant => "grants",
        Layer::Identity => "identity policy",
        Layer::Boundary => "permissions boundary",
        Layer::Session => "session policy",
        Layer::Scp => "service control policy",
        Layer::Rcp => "resource control policy",
        Layer::Endpoint => "VPC endpoint policy",
    }
}

/// What determined a leg, without the layers.
fn leg_reason(leg: &Leg<'_>) -> v1::LegExplanation {
    v1::LegExplanation {
        action: leg.action.name().to_owned(),
        resource: leg.resource.to_string(),
        determining: leg.decision.basis().map(matched).collect(),
        layers: Vec::new(),
        missing: String::new(),
    }
}

fn matched(by: Matched<'_>) -> v1::MatchedStatement {
    v1::MatchedStatement {
        policy_type: policy_type(by.layer).into(),
        policy_id: by.policy_id.to_owned(),
        sid: by
            .statement
            .and_then(|statement| statement.sid.as_deref())
            .unwrap_or_default()
            .to_owned(),
        index: by.statement.map_or(0, |statement| statement.index),
    }
}

fn leg_explanation(leg: &LegExplanation, detail: v1::Detail) -> v1::LegExplanation {
    let full = detail == v1::Detail::Full;
    v1::LegExplanation {
        action: leg.action.name().to_owned(),
        resource: leg.resource.clone(),
        determining: leg.determining.iter().map(determining).collect(),
        layers: if full { leg.layers.iter().map(layer).collect() } else { Vec::new() },
        missing: leg.missing.clone(),
    }
}

fn determining(by: &Determining) -> v1::MatchedStatement {
    v1::MatchedStatement {
        policy_type: policy_type(by.layer).into(),
        policy_id: by.policy_id.clone(),
        sid: by.sid.clone().unwrap_or_default(),
        index: by.index,
    }
}

fn layer(finding: &LayerFinding) -> v1::LayerFinding {
    v1::LayerFinding {
        policy_type: policy_type(finding.layer).into(),
        verdict: finding.verdict.to_owned(),
        statements: finding.statements.iter().map(statement).collect(),
    }
}

fn statement(finding: &StatementFinding) -> v1::StatementFinding {
    let outcome = match finding.outcome {
        Truth::True => v1::StatementOutcome::Applies,
        Truth::False => v1::StatementOutcome::DoesNotApply,
        Truth::Unsure => v1::StatementOutcome::Unsure,
    };
    v1::StatementFinding {
        statement: Some(determining(&finding.statement)),
        effect: finding.effect.to_owned(),
        outcome: outcome.into(),
        reason: finding.reason.clone(),
    }
}

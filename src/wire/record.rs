//! Decision records: one JSON object a decision, shaped like a CloudTrail event.
//!
//! Source: AWS CloudTrail User Guide, "CloudTrail record contents"; AWS KMS Developer Guide, "Logging
//! AWS KMS API calls with AWS CloudTrail".

pub mod change;
pub mod control;
mod identity;
pub mod mask;
mod parameters;

use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};

use self::identity::{Account, UserIdentity, asserted, user_identity};
use self::mask::{Mask, Masked};
use self::parameters::{RequestParameters, request_parameters};
use crate::engine::decide::decision::{Answer, Layer, Leg, Matched};
use crate::engine::kms::action::Action;
use crate::engine::kms::operation::Operation;
use crate::engine::snapshot::Snapshot;
use crate::engine::term::arn::Arn;
use crate::engine::term::principal::Principal;
use crate::engine::term::request::{Asked, Request};

/// The version of the `keyward` object.
const VERSION: u32 = 1;

/// What of values is told.
#[derive(Clone, Debug)]
pub struct Masks {
    /// Of encryption contexts, those of grant constraints included.
    pub encryption_context: Mask,
    /// Of the principal's tags and of tags in parameters.
    pub principal_tags: Mask,
}

/// A decision, with all that a record tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Decided<'a> {
    /// From what was decided.
    pub snapshot: &'a Snapshot,
    /// The question.
    pub request: &'a Request<'a>,
    /// The answer.
    pub answer: &'a Answer<'a>,
    /// The question's own id; may be empty.
    pub request_id: &'a str,
    /// The unique id of the decision.
    pub decision_id: &'a str,
    /// The state of the grants.
    pub consistency_token: &'a str,
    /// Whether the answer came from the cache.
    pub cached: bool,
    /// Whether the caller asked for an explanation.
    pub explained: bool,
}

/// How the question came in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// The full name of the gRPC method.
    pub method: &'a str,
    /// Trace id and span id in hexadecimal.
    pub trace: Option<(&'a str, &'a str)>,
    /// The enforcement point that asked, where it is known.
    pub caller: Option<&'a str>,
    /// Of how many allows this one was kept, as a ratio; `None` when all are.
    pub sample_ratio: Option<f64>,
    /// Without parameters and tags: with them the record would be too long.
    pub shortened: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    event_version: &'static str,
    user_identity: UserIdentity<'a>,
    event_time: Display<crate::engine::term::time::Timestamp>,
    event_source: &'static str,
    event_name: &'static str,
    aws_region: &'a str,
    #[serde(rename = "sourceIPAddress", skip_serializing_if = "Option::is_none")]
    source_ip_address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    request_parameters: Option<RequestParameters<'a>>,
    response_elements: (),
    #[serde(rename = "requestID")]
    request_id: &'a str,
    #[serde(rename = "eventID")]
    event_id: &'a str,
    read_only: bool,
    resources: Resources<'a>,
    event_type: &'static str,
    management_event: bool,
    event_category: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_account_id: Option<Account>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_endpoint_id: Option<&'a str>,
    keyward: Keyward<'a>,
}

/// What CloudTrail has no place for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Keyward<'a> {
    version: u32,
    decision: &'static str,
    reason: &'static str,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'static str>,
    policy_revision: &'a str,
    consistency_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_arn: Option<&'a str>,
    determining: Determining<'a>,
    legs: Legs<'a>,
    cached: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_tags: Option<Masked<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    session_policies: usize,
    #[serde(skip_serializing_if = "is_zero")]
    grant_tokens: usize,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_ratio: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shortened: bool,
}

/// The record as one line of JSON, without the line's end.
#[must_use]
pub fn record(decided: &Decided<'_>, origin: &Origin<'_>, masks: &Masks) -> Vec<u8> {
    let mut line = Vec::with_capacity(2048);
    let event = event(decided, origin, masks);
    // Nothing in an event can fail to be written: names are texts, and memory takes all.
    if serde_json::to_writer(&mut line, &event).is_err() {
        line.clear();
        line.extend_from_slice(b"{}");
    }
    line
}

fn event<'a>(decided: &Decided<'a>, origin: &Origin<'a>, masks: &'a Masks) -> Event<'a> {
    let Decided { snapshot, request, answer, .. } = *decided;
    let error_code = answer.error_code();
    let key_account = answer.key_arn.and_then(Arn::parse).and_then(|arn| arn.account_id());
    Event {
        event_version: "1.11",
        user_identity: user_identity(snapshot, request),
        event_time: Display(request.now),
        event_source: "kms.amazonaws.com",
        event_name: operation(request.asked),
        aws_region: region(snapshot, request, answer),
        source_ip_address: asserted(request, "aws:SourceIp").or(request.via_service),
        user_agent: asserted(request, "aws:UserAgent").or(request.via_service),
        error_code: error_code.map(in_cloudtrail),
        error_message: answer.message(),
        request_parameters: (!origin.shortened).then(|| request_parameters(request, masks)),
        response_elements: (),
        request_id: decided.request_id,
        event_id: decided.decision_id,
        read_only: read_only(request.asked),
        resources: Resources(&answer.legs),
        event_type: "AwsApiCall",
        management_event: true,
        event_category: "Management",
        recipient_account_id: key_account.or(account(&request.principal)).map(Account),
        vpc_endpoint_id: asserted(request, "aws:SourceVpce"),
        keyward: keyward(decided, origin, masks, error_code),
    }
}

fn keyward<'a>(
    decided: &Decided<'a>,
    origin: &Origin<'a>,
    masks: &'a Masks,
    error_code: Option<&'static str>,
) -> Keyward<'a> {
    let Decided { snapshot, request, answer, .. } = *decided;
    let tags = &request.session_tags;
    Keyward {
        version: VERSION,
        decision: answer.verdict().name(),
        reason: answer.reason(),
        action: action_name(request.asked),
        error_code,
        policy_revision: &snapshot.revision,
        consistency_token: decided.consistency_token,
        key_arn: answer.key_arn,
        determining: Determining(answer),
        legs: Legs(if answer.by_operation { &answer.legs } else { &[] }),
        cached: decided.cached,
        principal_tags: (!tags.is_empty() && !origin.shortened)
            .then_some(Masked { pairs: tags, mask: &masks.principal_tags }),
        session_policies: request.session_policies.len(),
        grant_tokens: request.grant_tokens.len(),
        method: origin.method,
        caller: origin.caller,
        trace_id: origin.trace.map(|(trace, _)| trace),
        span_id: origin.trace.map(|(_, span)| span),
        sample_ratio: origin.sample_ratio,
        shortened: origin.shortened,
    }
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The action as metrics and filters name it: always with `kms:`.
#[must_use]
pub fn action_name(asked: Asked) -> &'static str {
    match asked {
        Asked::Action(action) | Asked::Operation(Operation::Named(action)) => action.name(),
        Asked::Operation(Operation::ReEncrypt) => "kms:ReEncrypt",
    }
}

/// The name of the operation, as CloudTrail has it.
fn operation(asked: Asked) -> &'static str {
    match asked {
        Asked::Action(Action::ReEncryptFrom | Action::ReEncryptTo) => "ReEncrypt",
        Asked::Action(action) => action.bare(),
        Asked::Operation(operation) => operation.name(),
    }
}

fn read_only(asked: Asked) -> bool {
    match asked {
        Asked::Action(action) | Asked::Operation(Operation::Named(action)) => action.is_read_only(),
        Asked::Operation(Operation::ReEncrypt) => true,
    }
}

/// CloudTrail's word for KMS's error.
fn in_cloudtrail(error_code: &'static str) -> &'static str {
    if error_code == "AccessDeniedException" { "AccessDenied" } else { error_code }
}

fn region<'a>(snapshot: &'a Snapshot, request: &'a Request<'_>, answer: &'a Answer<'_>) -> &'a str {
    let of = |arn: &'a str| Arn::parse(arn).map(|arn| arn.region()).filter(|name| !name.is_empty());
    answer
        .key_arn
        .and_then(of)
        .or_else(|| answer.decisive().and_then(|leg| of(&leg.resource)))
        .or(request.region)
        .or(snapshot.default_region.as_deref())
        .or(snapshot.only_region.as_deref())
        .unwrap_or_default()
}

fn account(principal: &Principal<'_>) -> Option<crate::engine::term::account::AccountId> {
    match principal {
        Principal::Root { account, .. }
        | Principal::User { account, .. }
        | Principal::Session { account, .. }
        | Principal::Federated { account, .. } => Some(*account),
        Principal::Service { .. } => None,
    }
}

/// Written as its text.
struct Display<T>(T);

impl<T: std::fmt::Display> Serialize for Display<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The keys and aliases of the legs, each once.
struct Resources<'a>(&'a [Leg<'a>]);

#[derive(Serialize)]
struct Resource<'a> {
    #[serde(rename = "accountId", skip_serializing_if = "Option::is_none")]
    account_id: Option<Account>,
    r#type: &'static str,
    #[serde(rename = "ARN")]
    arn: &'a str,
}

impl Serialize for Resources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for (index, leg) in self.0.iter().enumerate() {
            let before = self.0.get(..index).unwrap_or_default();
            let Some(arn) = Arn::parse(&leg.resource).filter(|arn| arn.service() == "kms") else {
                continue;
            };
            if before.iter().any(|other| other.resource == leg.resource) {
                continue;
            }
            let alias = arn.resource().starts_with("alias/");
            seq.serialize_element(&Resource {
                account_id: arn.account_id().map(Account),
                r#type: if alias { "AWS::KMS::Alias" } else { "AWS::KMS::Key" },
                arn: arn.text,
            })?;
        }
        seq.end()
    }
}

/// The statements and grants that determined the answer.
struct Determining<'a>(&'a Answer<'a>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a> {
    policy_type: &'static str,
    policy_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
}

impl Serialize for Determining<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let statement = |matched: &Matched<'_>, seq: &mut S::SerializeSeq| {
            seq.serialize_element(&Statement {
                policy_type: matched.layer.name(),
                policy_id: matched.policy_id,
                // The name that a session policy gives its statement is text of that policy.
                sid: matched
                    .statement
                    .filter(|_| matched.layer != Layer::Session)
                    .and_then(|statement| statement.sid.as_deref()),
                index: matched.statement.map(|statement| statement.index),
            })
        };
        let mut seq = serializer.serialize_seq(None)?;
        for matched in self.0.matched() {
            statement(&matched, &mut seq)?;
        }
        seq.end()
    }
}

/// The authorizations of an operation.
struct Legs<'a>(&'a [Leg<'a>]);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LegRecord<'a> {
    action: &'static str,
    resource: &'a str,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'static str>,
}

impl Serialize for Legs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|leg| LegRecord {
            action: leg.action.name(),
            resource: &leg.resource,
            decision: leg.decision.verdict().name(),
            error_code: leg.error_code(),
        }))
    }
}

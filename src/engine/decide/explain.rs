//! The reasoning behind a decision, gathered by listening to it.

use super::decision::{Decision, Denial, Layer, Matched, Missing, Verdict};
use super::facts::Facts;
use super::observer::{Observer, SeenStatement};
use super::resource::Resource;
use crate::engine::grant::Grant;
use crate::engine::kms::action::Action;
use crate::engine::policy::condition::Condition;
use crate::engine::policy::statement::{Obstacle, Statement};
use crate::engine::term::truth::Truth;
use crate::engine::term::values::{Context, Values};

/// The reasoning behind an answer: one entry an authorization.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    /// The authorizations.
    pub legs: Vec<LegExplanation>,
}

/// The reasoning behind one authorization.
#[derive(Clone, Debug)]
pub struct LegExplanation {
    /// The IAM action.
    pub action: Action,
    /// ARN of the key or alias, or `*`.
    pub resource: String,
    /// The decision.
    pub verdict: Verdict,
    /// What it rests on.
    pub determining: Vec<Determining>,
    /// Each layer, in the order of the evaluation.
    pub layers: Vec<LayerFinding>,
    /// For a denial: what denied or was missing, in words. Empty when allowed.
    pub missing: String,
}

/// A statement or grant that determined a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Determining {
    /// The kind of policy.
    pub layer: Layer,
    /// Name or ARN of the policy; the id of a grant.
    pub policy_id: String,
    /// The Sid of the statement.
    pub sid: Option<String>,
    /// Position of the statement in its policy, from 0; 0 for a grant.
    pub index: u32,
}

/// What one layer says.
#[derive(Clone, Debug)]
pub struct LayerFinding {
    /// The layer.
    pub layer: Layer,
    /// `allows`, `allows through the account`, `denies`, `is silent` or `does not limit`.
    pub verdict: &'static str,
    /// The statements or grants that name the action.
    pub statements: Vec<StatementFinding>,
}

/// What one statement or grant comes to.
#[derive(Clone, Debug)]
pub struct StatementFinding {
    /// Which one.
    pub statement: Determining,
    /// `Allow` or `Deny`.
    pub effect: &'static str,
    /// Whether it applies.
    pub outcome: Truth,
    /// Why, in words.
    pub reason: String,
}

/// Listens to a decision.
#[derive(Debug, Default)]
pub struct Listener {
    explanation: Explanation,
    layers: Vec<LayerFinding>,
    statements: Vec<(Layer, StatementFinding)>,
}

impl Listener {
    /// What was heard.
    #[must_use]
    pub fn finish(self) -> Explanation {
        self.explanation
    }

    /// Moves what was heard of a layer's statements into its finding.
    fn close(&mut self, layer: Layer, verdict: &'static str) {
        let (own, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.statements).into_iter().partition(|(of, _)| *of == layer);
        self.statements = rest;
        let statements = own.into_iter().map(|(_, finding)| finding).collect();
        self.layers.push(LayerFinding { layer, verdict, statements });
    }
}

/// Grants to others than the caller that are told of; a key may have 50,000.
const OTHER_GRANTS: usize = 20;

impl Observer for Listener {
    fn statement(&mut self, seen: &SeenStatement<'_, '_>) {
        let statement = seen.statement;
        let finding = StatementFinding {
            statement: determining(seen.layer, seen.policy_id, Some(statement)),
            effect: statement.effect.name(),
            outcome: seen.outcome,
            reason: reason(seen),
        };
        self.statements.push((seen.layer, finding));
    }

    fn hears_of_all(&self) -> bool {
        true
    }

    fn other_grants(&self) -> usize {
        OTHER_GRANTS
    }

    fn grant(&mut self, grant: &Grant, obstacle: Option<&'static str>) {
        let finding = StatementFinding {
            statement: determining(Layer::Grant, &grant.id, None),
            effect: "Allow",
            outcome: obstacle.is_none().into(),
            reason: obstacle.unwrap_or("grantee, operation and constraints fit").to_owned(),
        };
        self.statements.push((Layer::Grant, finding));
    }

    fn layer(&mut self, layer: Layer, verdict: &'static str) {
        self.close(layer, verdict);
    }

    fn leg(&mut self, facts: &Facts<'_, '_>, decision: &Decision<'_>) {
        let grants = self.statements.iter().any(|(layer, _)| *layer == Layer::Grant);
        if grants {
            let applies = |(layer, finding): &(Layer, StatementFinding)| {
                *layer == Layer::Grant && finding.outcome == Truth::True
            };
            let verdict = if self.statements.iter().any(applies) { "allows" } else { "is silent" };
            self.close(Layer::Grant, verdict);
        }
        let resource = super::name(facts.resource).to_string();
        // A leg that is decided again, for ReEncrypt's source ARNs, replaces the first try.
        let same = |leg: &LegExplanation| leg.action == facts.action && leg.resource == resource;
        if facts.request.asked_re_encrypt() {
            self.explanation.legs.retain(|leg| !same(leg));
        }
        self.explanation.legs.push(LegExplanation {
            action: facts.action,
            verdict: decision.verdict(),
            determining: decision
                .basis()
                .map(|Matched { layer, policy_id, statement }| {
                    determining(layer, policy_id, statement)
                })
                .collect(),
            layers: std::mem::take(&mut self.layers),
            missing: missing(facts, decision),
            resource,
        });
    }
}

fn determining(layer: Layer, policy_id: &str, statement: Option<&Statement>) -> Determining {
    Determining {
        layer,
        policy_id: policy_id.to_owned(),
        sid: statement.and_then(|statement| statement.sid.as_deref()).map(str::to_owned),
        index: statement.map_or(0, |statement| statement.index),
    }
}

/// Why a statement applies, or what keeps it from it.
fn reason(seen: &SeenStatement<'_, '_>) -> String {
    match seen.principal {
        Truth::False => return "it is about other principals".to_owned(),
        Truth::Unsure => {
            return "it cannot be known whether it is about this principal: the policy set does not tell the role \
                    or user behind the session"
                .to_owned();
        }
        Truth::True => {}
    }
    let evaluation = &seen.facts.snapshot.evaluation;
    match seen.statement.obstacle(seen.facts.action, seen.target, seen.facts, evaluation) {
        None if seen.outcome == Truth::Unsure => {
            "it depends on tags or aliases of the key, which a key policy cannot".to_owned()
        }
        None => "principal, action, resource and conditions fit".to_owned(),
        Some(Obstacle::Action) => "it is about other actions".to_owned(),
        Some(Obstacle::Resource) => "it is about other resources".to_owned(),
        Some(Obstacle::Condition(condition)) => condition_reason(condition, seen),
    }
}

fn condition_reason(condition: &Condition, seen: &SeenStatement<'_, '_>) -> String {
    let truth = condition.holds(seen.facts, &seen.facts.snapshot.evaluation);
    let verdict = if truth == Truth::Unsure { "is unsure" } else { "does not hold" };
    let (operator, key) = (&condition.operator, &condition.key.name);
    match seen.facts.values(&condition.key) {
        Values::Absent => {
            format!("`{operator}` on `{key}` {verdict}: the request does not have the key")
        }
        Values::Unknown => format!("`{operator}` on `{key}` {verdict}: its value is not known"),
        Values::One(value) => {
            format!("`{operator}` on `{key}` {verdict}: the request has `{value}`")
        }
        Values::Many(values) | Values::Each(values) => {
            let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
            format!("`{operator}` on `{key}` {verdict}: the request has {}", values.join(", "))
        }
    }
}

/// What denied, or what would have to allow and does not.
fn missing(facts: &Facts<'_, '_>, decision: &Decision<'_>) -> String {
    let action = facts.action.name();
    let denial = match decision {
        Decision::Allow(_) => return String::new(),
        Decision::Deny(denial) => denial,
    };
    let missing = match denial {
        Denial::Explicit(by) => {
            let sid = by.statement.and_then(|statement| statement.sid.as_deref());
            let named = sid.map_or_else(
                || format!("statement {}", by.statement.map_or(0, |statement| statement.index)),
                |sid| format!("statement `{sid}`"),
            );
            return format!(
                "{named} of the {} `{}` denies {action}",
                by.layer.in_words(),
                by.policy_id
            );
        }
        Denial::KeyState(_) => {
            return "every policy that must allow does; the state of the key forbids the operation"
                .to_owned();
        }
        Denial::Implicit(missing) => missing,
    };
    match missing {
        Missing::Layer(Layer::KeyPolicy | Layer::Grant) => format!(
            "no statement of the key policy allows {action} to this caller or its account, and no grant applies"
        ),
        Missing::Layer(Layer::Identity) => format!(
            "the key leaves {action} to the identity policies of the caller, and none of them allows it"
        ),
        Missing::Layer(layer) => format!("the {} does not allow {action}", layer.in_words()),
        Missing::CrossAccount => format!("{action} does not work across accounts"),
        Missing::OtherPartition => {
            "nothing works across partitions, such as from `aws` to `aws-cn`".to_owned()
        }
        Missing::UnknownKey | Missing::UnknownForeignKey => match facts.resource {
            Resource::UnknownKey { arn, .. } => format!("the policy set has no `{arn}`"),
            _ => "the policy set does not have what the request names".to_owned(),
        },
        Missing::UnknownPrincipal => {
            "the policy set describes the account, but not this principal (`evaluation.unknown_principal`)".to_owned()
        }
        Missing::UnknownEndpoint => {
            "the policy set does not have the VPC endpoint (`evaluation.unknown_vpc_endpoint`)".to_owned()
        }
        Missing::ReservedAlias => "alias names that start with `alias/aws/` are reserved".to_owned(),
        Missing::AwsManaged => format!("AWS manages the key and keeps {action} to itself"),
        Missing::UnknownGrant => "the key has no such grant".to_owned(),
        Missing::NotRetirable => {
            "the grant does not let the caller retire it, and identity policies do not count here".to_owned()
        }
        Missing::SourceArnDiffers => "the grants on the two keys carry different source ARNs".to_owned(),
    }
}

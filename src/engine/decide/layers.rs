//! What each layer of policies says of one authorization.

use super::caller::Caller;
use super::combine::{Allows, Says};
use super::decision::{Layer, Matched};
use super::facts::Facts;
use super::naming::{Naming, Namings};
use super::observer::{Observer, SeenStatement};
use super::resource::Resource;
use crate::engine::evaluation::RamPolicy;
use crate::engine::kms::action::Action;
use crate::engine::policy::Policy;
use crate::engine::policy::arn_pattern::Target;
use crate::engine::policy::gist::{Marks, Sieve};
use crate::engine::policy::statement::{Effect, Principals};
use crate::engine::snapshot::{Attached, Key};
use crate::engine::term::condition_key::ConditionKey;
use crate::engine::term::truth::Truth;
use crate::engine::term::values::{Context as _, Scalar, Values};

/// One authorization, ready for the layers.
pub(super) struct Question<'a, 'f, O> {
    /// What it is asked with.
    pub facts: &'f Facts<'a, 'f>,
    /// Who listens.
    pub observer: &'f mut O,
    /// What `Resource` elements are matched against.
    target: Target<'f>,
    /// The statements that are looked at.
    sieve: Sieve,
    /// The condition key whose values were marked last.
    seen: Seen<'a>,
}

/// A condition key, and the marks of its values.
type Seen<'a> = Option<(&'a ConditionKey, Marks)>;

/// The marks of values, as statements may want one; all where that cannot be told.
fn marks_of(values: Values<'_>) -> Marks {
    match values {
        Values::Absent => Marks::NONE,
        Values::One(Scalar::Text(text)) => Marks::value(text),
        Values::One(_) | Values::Many(_) | Values::Each(_) | Values::Unknown => Marks::ALL,
    }
}

/// What one layer says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found<'a> {
    /// A Deny that applies or may apply.
    pub denies: Option<Matched<'a>>,
    /// What allows.
    pub allows: Allows<'a>,
}

impl<'a> Found<'a> {
    /// What a layer says that must allow.
    #[must_use]
    pub(super) fn says(&self) -> Says<'a> {
        self.allows.any().map_or(Says::Silent, Says::Allows)
    }

    fn verdict(&self) -> &'static str {
        match self.allows {
            _ if self.denies.is_some() => "denies",
            Allows { direct: Some(_), .. } | Allows { behind: Some(_), .. } => "allows",
            Allows { account: Some(_), .. } => "allows through the account",
            Allows { .. } => "is silent",
        }
    }
}

impl<'a, 'f, O: Observer> Question<'a, 'f, O> {
    /// Makes an authorization ready for the layers.
    pub(super) fn new(facts: &'f Facts<'a, 'f>, observer: &'f mut O) -> Self {
        let target = match facts.resource {
            // Only CreateKey knows a resource narrower than `*`: all of an account.
            Resource::Any { .. } if facts.action != Action::CreateKey => Target::new(""),
            resource => resource.target(),
        };
        let sieve = if observer.hears_of_all() {
            Sieve::of_action(facts.action)
        } else {
            Sieve::new(facts.action, facts.caller.marks, target.text())
        };
        Self { facts, observer, target, sieve, seen: None }
    }

    fn caller(&self) -> &Caller<'a> {
        self.facts.caller
    }

    /// The key policy and the `AWS_RAM` policy of a key.
    pub(super) fn key_policy(
        &mut self,
        key: &'a Key,
        allows_by: fn(&Caller<'_>, Namings) -> Namings,
        found: &mut Found<'a>,
    ) {
        self.scan(Layer::KeyPolicy, "default", &key.policy, allows_by, found);
        if let Some(policy) = &key.ram_policy {
            let mut shared = Found::default();
            self.scan(Layer::KeyPolicy, "AWS_RAM", policy, allows_by, &mut shared);
            found.denies = found.denies.or(shared.denies);
            if self.facts.snapshot.evaluation.ram_policy == RamPolicy::Statements {
                let (allows, shared) = (&mut found.allows, shared.allows);
                allows.direct = allows.direct.or(shared.direct);
                allows.behind = allows.behind.or(shared.behind);
                allows.account = allows.account.or(shared.account);
            }
        }
        self.observer.layer(Layer::KeyPolicy, found.verdict());
    }

    /// Policies that count together: one Allow among them is enough.
    pub(super) fn together(&mut self, layer: Layer, policies: &'a [Attached]) -> Found<'a> {
        let mut found = Found::default();
        for attached in policies {
            self.scan(layer, &attached.id, &attached.policy, every_naming, &mut found);
        }
        self.observer.layer(layer, found.verdict());
        found
    }

    /// Session policies of the request.
    pub(super) fn session_policies(&mut self) -> Found<'a> {
        let mut found = Found::default();
        for (index, policy) in self.facts.request.session_policies.iter().enumerate() {
            let id = SESSION_POLICY_IDS.get(index).copied().unwrap_or("sessionPolicies[…]");
            self.scan(Layer::Session, id, policy, every_naming, &mut found);
        }
        self.observer.layer(Layer::Session, found.verdict());
        found
    }

    /// A policy that stands alone.
    pub(super) fn alone(&mut self, layer: Layer, id: &'a str, policy: &'a Policy) -> Found<'a> {
        let mut found = Found::default();
        self.scan(layer, id, policy, every_naming, &mut found);
        self.observer.layer(layer, found.verdict());
        found
    }

    /// A level of an organization that limits: adds its Deny, says whether it allows.
    pub(super) fn level(
        &mut self,
        layer: Layer,
        policies: &'a [Attached],
        denies: &mut Option<Matched<'a>>,
    ) -> bool {
        let mut found = Found::default();
        for attached in policies {
            self.scan(layer, &attached.id, &attached.policy, every_naming, &mut found);
        }
        *denies = denies.or(found.denies);
        found.allows.any().is_some()
    }

    fn scan(
        &mut self,
        layer: Layer,
        policy_id: &'a str,
        policy: &'a Policy,
        allows_by: fn(&Caller<'_>, Namings) -> Namings,
        found: &mut Found<'a>,
    ) {
        let facts = self.facts;
        let evaluation = &facts.snapshot.evaluation;
        let in_key_policy = layer == Layer::KeyPolicy;
        let hears_of_all = self.observer.hears_of_all();
        let mut seen = self.seen;
        let values = |key: &'a ConditionKey| match seen {
            _ if hears_of_all => Marks::ALL,
            Some((other, marks)) if std::ptr::eq(other, key) => marks,
            other => {
                let known = other.filter(|(other, _)| *other == key);
                let marks = known.map_or_else(|| marks_of(facts.values(key)), |(_, marks)| marks);
                seen = Some((key, marks));
                marks
            }
        };
        for statement in policy.passing(self.sieve, values) {
            let bearer = statement.principals == Principals::Bearer;
            let (principal, namings) = match statement.effect {
                Effect::Deny => (
                    self.caller().denied_among(&statement.principals, evaluation),
                    Namings::default(),
                ),
                Effect::Allow if bearer => (Truth::True, Namings::default()),
                Effect::Allow => {
                    let namings = self.caller().named_among(&statement.principals, evaluation);
                    let namings = allows_by(self.caller(), namings);
                    ((!namings.is_empty()).into(), namings)
                }
            };
            let outcome = if principal == Truth::False {
                Truth::False
            } else {
                principal.and(statement.applies(
                    facts.action,
                    &self.target,
                    facts,
                    in_key_policy,
                    evaluation,
                ))
            };
            self.observer.statement(&SeenStatement {
                layer,
                policy_id,
                policy,
                statement,
                principal,
                outcome,
                target: &self.target,
                facts,
            });
            let matched = Matched { layer, policy_id, statement: Some(statement) };
            match (statement.effect, outcome) {
                (_, Truth::False) | (Effect::Allow, Truth::Unsure) => {}
                (Effect::Deny, Truth::True | Truth::Unsure) => {
                    found.denies.get_or_insert(matched);
                }
                (Effect::Allow, Truth::True) => {
                    if bearer || namings.has(Naming::Star) || namings.has(Naming::Exact) {
                        found.allows.direct.get_or_insert(matched);
                    }
                    if namings.has(Naming::Behind) {
                        found.allows.behind.get_or_insert(matched);
                    }
                    if namings.has(Naming::Account) {
                        found.allows.account.get_or_insert(matched);
                    }
                }
            }
        }
        self.seen = seen;
    }
}

/// However an Allow names the caller, it counts.
pub(super) fn every_naming(_: &Caller<'_>, namings: Namings) -> Namings {
    namings
}

/// The names of session policies in reasons: a request has at most ten.
pub(super) const SESSION_POLICY_IDS: [&str; 10] = [
    "sessionPolicies[0]",
    "sessionPolicies[1]",
    "sessionPolicies[2]",
    "sessionPolicies[3]",
    "sessionPolicies[4]",
    "sessionPolicies[5]",
    "sessionPolicies[6]",
    "sessionPolicies[7]",
    "sessionPolicies[8]",
    "sessionPolicies[9]",
];

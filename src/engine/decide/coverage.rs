//! What decisions touch: which statements took effect, and which conditions made a difference.

use hashbrown::HashMap;

use super::decision::{Decision, Layer};
use super::facts::Facts;
use super::observer::{Observer, SeenStatement};
use crate::engine::grant::Grant;
use crate::engine::policy::Policy;
use crate::engine::policy::statement::{Effect, Statement};
use crate::engine::term::truth::Truth;

/// A statement of a compiled policy, whoever carries that. Equal policies are compiled once: what was
/// seen of a statement was seen for everyone who carries the policy. Policies that differ share equal
/// statements, but not what was seen of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatementId {
    policy: usize,
    index: u32,
}

impl StatementId {
    /// Of a statement of a policy of a snapshot, as long as that lives.
    #[must_use]
    pub fn of(policy: &Policy, statement: &Statement) -> Self {
        Self { policy: std::ptr::from_ref(policy).addr(), index: statement.index }
    }
}

/// What was seen of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touch {
    /// It took effect: an Allow that applied, a Deny that applied or may apply.
    pub effective: bool,
    /// Of each condition, in order.
    pub conditions: Vec<ConditionTouch>,
}

/// What was seen of a condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConditionTouch {
    /// The statement took effect, and the condition held.
    pub held: bool,
    /// All else in the statement fitted: this condition alone kept it from taking effect.
    pub kept: bool,
}

/// What one decision, or several, touched.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Statements that were looked at.
    pub statements: HashMap<StatementId, Touch>,
    /// Grants that were looked at, by key ARN and id, and whether they applied.
    pub grants: HashMap<(Box<str>, Box<str>), bool>,
}

impl Trace {
    /// Adds what another saw.
    pub fn add(&mut self, other: &Self) {
        for (id, touch) in &other.statements {
            self.statements.entry(*id).or_default().add(touch);
        }
        for (id, applied) in &other.grants {
            *self.grants.entry(id.clone()).or_default() |= applied;
        }
    }
}

impl Touch {
    fn add(&mut self, other: &Self) {
        self.effective |= other.effective;
        if self.conditions.len() < other.conditions.len() {
            self.conditions.resize(other.conditions.len(), ConditionTouch::default());
        }
        for (own, other) in self.conditions.iter_mut().zip(&other.conditions) {
            own.held |= other.held;
            own.kept |= other.kept;
        }
    }
}

/// Whether this truth counts for a statement: an Allow needs true, a Deny applies on a doubt too.
fn counts(effect: Effect, truth: Truth) -> bool {
    match effect {
        Effect::Allow => truth == Truth::True,
        Effect::Deny => truth != Truth::False,
    }
}

impl Observer for Trace {
    fn statement(&mut self, seen: &SeenStatement<'_, '_>) {
        let statement = seen.statement;
        let counts = |truth| counts(statement.effect, truth);
        let effective = counts(seen.outcome);
        let mut conditions = vec![ConditionTouch::default(); statement.conditions.len()];
        if effective {
            conditions.iter_mut().for_each(|condition| condition.held = true);
        } else if counts(seen.principal)
            && counts(statement.resources.match_target(seen.target, seen.facts))
        {
            let evaluation = &seen.facts.snapshot.evaluation;
            let mut failing = statement
                .conditions
                .iter()
                .enumerate()
                .filter(|(_, condition)| !counts(condition.holds(seen.facts, evaluation)));
            if let (Some((index, _)), None) = (failing.next(), failing.next())
                && let Some(condition) = conditions.get_mut(index)
            {
                condition.kept = true;
            }
        }
        let touch = Touch { effective, conditions };
        self.statements.entry(StatementId::of(seen.policy, statement)).or_default().add(&touch);
    }

    fn grant(&mut self, grant: &Grant, obstacle: Option<&'static str>) {
        let id = (grant.key_arn.clone(), grant.id.clone());
        *self.grants.entry(id).or_default() |= obstacle.is_none();
    }

    fn hears_of_all(&self) -> bool {
        true
    }

    fn other_grants(&self) -> usize {
        0
    }

    fn layer(&mut self, _: Layer, _: &'static str) {}

    fn leg(&mut self, _: &Facts<'_, '_>, _: &Decision<'_>) {}
}

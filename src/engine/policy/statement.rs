//! A compiled statement.

use super::arn_pattern::{ResourcePattern, Target};
use super::condition::Condition;
use super::principal::PrincipalPattern;
use crate::engine::evaluation::{AbacInKeyPolicy, Evaluation};
use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::term::condition_key::{ConditionKey, KeySource};
use crate::engine::term::truth::Truth;
use crate::engine::term::values::{Context, Values};

/// A statement, ready to be applied. Every operand has the type of its operator.
///
/// Source: IAM User Guide, "IAM JSON policy elements reference".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Statement {
    /// Its Sid.
    pub sid: Option<Box<str>>,
    /// Its position in its policy, from 0.
    pub index: u32,
    /// Allow or Deny.
    pub effect: Effect,
    /// Whom it is about.
    pub principals: Principals,
    /// What it is about, or may be; `NotAction` is turned round.
    pub actions: ActionSet,
    /// What it is perhaps not about: a wildcard stands where the service should.
    pub doubtful_actions: ActionSet,
    /// On what.
    pub resources: Resources,
    /// Under which conditions; all must hold.
    pub conditions: Box<[Condition]>,
    /// A condition or resource depends on tags or aliases of the key.
    pub reads_key_attributes: bool,
}

/// The effect of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Allow.
    Allow,
    /// Deny.
    Deny,
}

impl Effect {
    /// As policies write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

/// Whom a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principals {
    /// The identity that carries the policy.
    Bearer,
    /// Those in `Principal`.
    These(Box<[PrincipalPattern]>),
    /// Everyone but those in `NotPrincipal`.
    AllBut(Box<[PrincipalPattern]>),
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resources {
    /// Everything.
    Any,
    /// Nothing: the statement has no `Resource`.
    Nothing,
    /// Those in `Resource`.
    These(Box<[ResourcePattern]>),
    /// All but those in `NotResource`.
    AllBut(Box<[ResourcePattern]>),
}

impl Resources {
    /// Whether the resource is meant.
    pub fn match_target(&self, target: &Target<'_>, context: &impl Context) -> Truth {
        let any = |patterns: &[ResourcePattern]| {
            patterns
                .iter()
                .fold(Truth::False, |truth, pattern| truth.or(pattern.matches(target, context)))
        };
        match self {
            Self::Any => Truth::True,
            Self::Nothing => Truth::False,
            Self::These(patterns) => any(patterns),
            Self::AllBut(patterns) => {
                let unresolved = patterns.iter().any(|pattern| pattern.unresolved(context));
                let excluded = any(patterns);
                // What a variable without value excludes cannot be known.
                if unresolved { excluded.negate().doubted() } else { excluded.negate() }
            }
        }
    }
}

/// What keeps a statement from applying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle<'s> {
    /// The action.
    Action,
    /// The resource.
    Resource,
    /// A condition.
    Condition(&'s Condition),
}

impl Statement {
    /// The statement with the other effect.
    #[must_use]
    pub fn flipped(&self) -> Self {
        let effect = match self.effect {
            Effect::Allow => Effect::Deny,
            Effect::Deny => Effect::Allow,
        };
        Self { effect, ..self.clone() }
    }

    /// The statement without some of its conditions, by their positions.
    #[must_use]
    pub fn without_conditions(&self, positions: &[usize]) -> Self {
        let kept = self.conditions.iter().enumerate();
        let kept = kept.filter(|(position, _)| !positions.contains(position));
        let conditions = kept.map(|(_, condition)| condition.clone()).collect();
        let mut statement = Self { conditions, ..self.clone() };
        statement.reads_key_attributes = super::document::reads_key_attributes(&statement);
        statement
    }

    /// Whether action, resource and conditions fit; whom it is about is not looked at.
    pub fn applies(
        &self,
        action: Action,
        target: &Target<'_>,
        context: &impl Context,
        in_key_policy: bool,
        evaluation: &Evaluation,
    ) -> Truth {
        if !self.actions.contains(action) {
            return Truth::False;
        }
        let truth = if in_key_policy && self.reads_key_attributes {
            self.applies_either_way(target, context, evaluation)
        } else {
            self.fits(target, context, evaluation)
        };
        if self.doubtful_actions.contains(action) { truth.doubted() } else { truth }
    }

    /// Resource and conditions.
    fn fits(&self, target: &Target<'_>, context: &impl Context, evaluation: &Evaluation) -> Truth {
        let mut truth = self.resources.match_target(target, context);
        for condition in &self.conditions {
            if truth == Truth::False {
                return truth;
            }
            truth = truth.and(condition.holds(context, evaluation));
        }
        truth
    }

    /// Key policies cannot depend on tags and aliases of the key: such a statement never allows,
    /// and denies where it would with the attribute there or not.
    ///
    /// Source: AWS KMS Developer Guide, "ABAC for AWS KMS".
    fn applies_either_way(
        &self,
        target: &Target<'_>,
        context: &impl Context,
        evaluation: &Evaluation,
    ) -> Truth {
        let populated = || self.fits(target, context, evaluation);
        let absent = || self.fits(target, &WithoutKeyAttributes(context), evaluation);
        match evaluation.abac_keys_in_key_policy {
            AbacInKeyPolicy::FailClosed => populated().or(absent()).doubted(),
            AbacInKeyPolicy::Populated => populated(),
            AbacInKeyPolicy::Absent => absent(),
        }
    }

    /// The first thing that keeps it from applying surely.
    pub fn obstacle(
        &self,
        action: Action,
        target: &Target<'_>,
        context: &impl Context,
        evaluation: &Evaluation,
    ) -> Option<Obstacle<'_>> {
        if !self.actions.contains(action) || self.doubtful_actions.contains(action) {
            return Some(Obstacle::Action);
        }
        if self.resources.match_target(target, context) != Truth::True {
            return Some(Obstacle::Resource);
        }
        let failing = |condition: &&Condition| condition.holds(context, evaluation) != Truth::True;
        // A condition that is false says more than one that is unsure.
        let refuted = |condition: &&Condition| condition.holds(context, evaluation) == Truth::False;
        let found = self.conditions.iter().find(refuted);
        found.or_else(|| self.conditions.iter().find(failing)).map(Obstacle::Condition)
    }
}

/// A request whose key has no tags and no aliases.
struct WithoutKeyAttributes<'c, C>(&'c C);

impl<C: Context> Context for WithoutKeyAttributes<'_, C> {
    fn values<'v>(&'v self, key: &'v ConditionKey) -> Values<'v> {
        match key.source {
            KeySource::ResourceTag | KeySource::ResourceAliases => Values::Absent,
            _ => self.0.values(key),
        }
    }
}

//! Listening to a decision. There is one evaluator, silent or observed.

use super::decision::{Decision, Layer};
use super::facts::Facts;
use crate::engine::grant::Grant;
use crate::engine::policy::Policy;
use crate::engine::policy::arn_pattern::Target;
use crate::engine::policy::statement::Statement;
use crate::engine::term::truth::Truth;

/// What can be heard of a decision.
pub trait Observer {
    /// A statement that names the action was looked at.
    fn statement(&mut self, seen: &SeenStatement<'_, '_>);
    /// A grant with the operation was looked at; the text says what kept it from applying.
    fn grant(&mut self, grant: &Grant, obstacle: Option<&'static str>);
    /// Whether statements about other principals and other resources are looked at too, to tell of
    /// them.
    fn hears_of_all(&self) -> bool;
    /// How many grants to others on the key are looked at, to tell of them.
    fn other_grants(&self) -> usize;
    /// A layer came to its verdict.
    fn layer(&mut self, layer: Layer, verdict: &'static str);
    /// An authorization was decided.
    fn leg(&mut self, facts: &Facts<'_, '_>, decision: &Decision<'_>);
}

/// A statement that was looked at.
pub struct SeenStatement<'a, 'f> {
    /// The layer.
    pub layer: Layer,
    /// Name or ARN of the policy.
    pub policy_id: &'a str,
    /// The policy.
    pub policy: &'a Policy,
    /// The statement.
    pub statement: &'a Statement,
    /// Whether it is about the caller.
    pub principal: Truth,
    /// Whether it applies to the request.
    pub outcome: Truth,
    /// What it was applied to.
    pub target: &'f Target<'f>,
    /// The request.
    pub facts: &'f Facts<'a, 'f>,
}

/// Nobody listens.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Observer for Silent {
    fn statement(&mut self, _: &SeenStatement<'_, '_>) {}
    fn grant(&mut self, _: &Grant, _: Option<&'static str>) {}
    fn hears_of_all(&self) -> bool {
        false
    }
    fn other_grants(&self) -> usize {
        0
    }
    fn layer(&mut self, _: Layer, _: &'static str) {}
    fn leg(&mut self, _: &Facts<'_, '_>, _: &Decision<'_>) {}
}

//! One policy document: as written, compiled, and applied.

pub mod arn_pattern;
pub mod condition;
pub mod document;
mod elements;
pub mod gist;
pub mod principal;
mod session;
pub mod statement;
pub mod template;
mod wanted;

use std::sync::Arc;

use self::arn_pattern::ResourcePattern;
use self::gist::{Gist, Marks, Sieve};
use self::statement::{Resources, Statement};
use super::term::condition_key::ConditionKey;
pub use document::compile;
pub use session::{SESSION_POLICY_LIMITS, session};

/// What a policy is attached to; each kind has a grammar of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyKind {
    /// Of a KMS key.
    Key,
    /// Of a user, group or role; inline or managed.
    Identity,
    /// A permissions boundary.
    Boundary,
    /// Passed when a session was made.
    Session,
    /// A service control policy.
    Scp,
    /// A resource control policy.
    Rcp,
    /// `RCPFullAWSAccess`, the one resource control policy that may allow.
    FullAccessRcp,
    /// Of a VPC endpoint.
    Endpoint,
}

impl PolicyKind {
    /// In words, for messages.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Key => "key policy",
            Self::Identity => "identity policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Scp => "service control policy",
            Self::Rcp | Self::FullAccessRcp => "resource control policy",
            Self::Endpoint => "VPC endpoint policy",
        }
    }

    /// Whether its statements name principals.
    #[must_use]
    pub fn names_principals(self) -> bool {
        match self {
            Self::Key | Self::Rcp | Self::FullAccessRcp | Self::Endpoint => true,
            Self::Identity | Self::Boundary | Self::Session | Self::Scp => false,
        }
    }
}

/// How many statements are passed over in the time in which one is looked at, as measured.
const LOOKED_AT: u32 = 8;

/// A compiled policy. Shared between all that carry it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Its statements in order, each with what it is about, roughly.
    entries: Box<[(Gist, Arc<Statement>)]>,
    /// The condition keys of which its statements want particular values, where that tells many of
    /// them apart.
    keys: Box<[ConditionKey]>,
}

impl Policy {
    /// Of statements in order.
    #[must_use]
    pub fn new(statements: impl IntoIterator<Item = Arc<Statement>>) -> Self {
        let entry = |statement: Arc<Statement>| (Gist::of(&statement), statement);
        let mut entries: Box<[_]> = statements.into_iter().map(entry).collect();
        let keys = wanted::keys(entries.iter().map(|(_, statement)| &**statement));
        for (gist, statement) in &mut entries {
            if let Some((key, values)) = wanted::of(statement, &keys) {
                *gist = gist.wanting(key, values);
            }
        }
        Self { entries, keys }
    }

    /// How long it takes to go through it, in statements that are passed over at a glance: for most
    /// requests that is so with statements about other services, about single resources, and that
    /// want a value of a condition key.
    #[must_use]
    pub fn effort(&self) -> u32 {
        let effort = |(gist, statement): &(Gist, Arc<Statement>)| {
            let single = |pattern: &ResourcePattern| matches!(pattern, ResourcePattern::Exact(_));
            let few = match &statement.resources {
                Resources::These(patterns) => patterns.iter().all(single),
                Resources::Nothing => true,
                Resources::Any | Resources::AllBut(_) => false,
            };
            let passed = few || statement.actions.is_empty() || gist.wanted().is_some();
            if passed { 1 } else { LOOKED_AT }
        };
        self.entries.iter().fold(0_u32, |sum, entry| sum.saturating_add(effort(entry)))
    }

    /// The statement at a position.
    #[must_use]
    pub fn statement(&self, index: u32) -> Option<&Statement> {
        let (_, statement) = self.entries.get(usize::try_from(index).ok()?)?;
        Some(statement)
    }

    /// Its statements in order.
    pub fn statements(&self) -> impl Iterator<Item = &Arc<Statement>> {
        self.entries.iter().map(|(_, statement)| statement)
    }

    /// The policy with equal statements in the place of its own.
    #[must_use]
    pub fn sharing(mut self, mut equal: impl FnMut(&Arc<Statement>) -> Arc<Statement>) -> Self {
        for (_, statement) in &mut self.entries {
            *statement = equal(statement);
        }
        self
    }

    /// The statements that may be about a request, in order. The others are not even looked at.
    /// `values` marks the values that a condition key has in the request.
    pub fn passing<'p>(
        &'p self,
        sieve: Sieve,
        mut values: impl FnMut(&'p ConditionKey) -> Marks,
    ) -> impl Iterator<Item = &'p Statement> {
        let passes = move |(gist, _): &&'p (Gist, Arc<Statement>)| {
            if !sieve.passes(gist) {
                return false;
            }
            let key = gist.wanted().and_then(|key| self.keys.get(usize::from(key)));
            key.is_none_or(|key| gist.is_content_with(values(key)))
        };
        self.entries.iter().filter(passes).map(|(_, statement)| &**statement)
    }

    /// The policy with one of its statements replaced.
    #[must_use]
    pub fn with(&self, index: usize, statement: Statement) -> Self {
        let mut statements: Vec<Arc<Statement>> = self.statements().cloned().collect();
        if let Some(slot) = statements.get_mut(index) {
            *slot = Arc::new(statement);
        }
        Self::new(statements)
    }
}

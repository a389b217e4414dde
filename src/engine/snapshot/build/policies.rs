//! Policies of a set: as objects, texts or percent-encoded texts; each compiled once and shared.

use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use hashbrown::{DefaultHashBuilder, HashMap};

use super::reading::Reading;
use super::revision::{Digest, decoded, digest_of};
use crate::engine::json::{Encoding, Json, Source, Value, read};
use crate::engine::policy::statement::Statement;
use crate::engine::policy::{Policy, PolicyKind, compile};
use crate::engine::problem::Problem;

/// Compiled policies by kind and content, each once for all documents that carry it, now and
/// later. A policy that nobody carries any more is forgotten.
#[derive(Debug, Default)]
pub struct Interned(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    statements: Statements,
    compiled: HashMap<(PolicyKind, Digest), Compiled>,
    /// How many may be there before those that are carried no more are looked for.
    roomy: usize,
}

#[derive(Clone, Debug)]
struct Compiled {
    policy: Weak<Policy>,
    /// Whether there were warnings: they are told for every place.
    warned: bool,
}

/// Compiled policies before the first look for those that are carried no more.
const ROOM: usize = 1024;

impl Interned {
    /// The compiled policy; compiles it unless an equal one was compiled before.
    pub(super) fn compiled(
        &self,
        kind: PolicyKind,
        json: &Json<'_>,
        source: &Source<'_>,
        digest: Digest,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<Policy>> {
        let before = self.table().compiled.get(&(kind, digest)).cloned();
        let known = before.as_ref().and_then(|compiled| compiled.policy.upgrade());
        if let (Some(policy), Some(Compiled { warned: false, .. })) = (&known, &before) {
            return Some(Arc::clone(policy));
        }
        let problems_before = problems.len();
        let policy = compile(kind, json, source, problems)?;
        let warned = problems.len() > problems_before;
        if let Some(policy) = known {
            return Some(policy);
        }
        Some(self.table().insert((kind, digest), policy, warned))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // What it protects is whole after every statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// The compiled policy, or the one that another thread compiled meanwhile.
    fn insert(&mut self, key: (PolicyKind, Digest), policy: Policy, warned: bool) -> Arc<Policy> {
        if let Some(policy) = self.compiled.get(&key).and_then(|known| known.policy.upgrade()) {
            return policy;
        }
        if self.compiled.len() >= self.roomy.max(ROOM) {
            self.compiled.retain(|_, known| known.policy.strong_count() > 0);
            self.roomy = self.compiled.len() * 2;
        }
        let policy = Arc::new(policy.sharing(|statement| self.statements.shared(statement)));
        self.compiled.insert(key, Compiled { policy: Arc::downgrade(&policy), warned });
        policy
    }
}

/// Statements that were compiled lately, each where its hash says, until another comes there: of
/// policies that differ, most statements are those of others.
#[derive(Debug, Default)]
struct Statements {
    hasher: DefaultHashBuilder,
    lately: Vec<Weak<Statement>>,
}

/// Statements that are remembered. Those that many policies have come back soon after another took
/// their place, however many others there are.
const STATEMENTS: usize = 1 << 14;

impl Statements {
    /// An equal statement that some policy has, or else this one.
    fn shared(&mut self, statement: &Arc<Statement>) -> Arc<Statement> {
        if self.lately.is_empty() {
            self.lately.resize(STATEMENTS, Weak::new());
        }
        let hash = self.hasher.hash_one(statement);
        let at = usize::try_from(hash).unwrap_or(0) % STATEMENTS;
        let Some(place) = self.lately.get_mut(at) else { return Arc::clone(statement) };
        if let Some(known) = place.upgrade().filter(|known| known == statement) {
            return known;
        }
        *place = Arc::downgrade(statement);
        Arc::clone(statement)
    }
}

impl Reading<'_> {
    /// The policy that is written as `json`; `None`, with problems reported, if it has errors.
    pub(super) fn policy(
        &mut self,
        kind: PolicyKind,
        name: &str,
        json: &Json<'_>,
    ) -> Option<Arc<Policy>> {
        match &json.value {
            Value::Object(_) => {
                let digest = digest_of(json);
                self.digests.remember(json, digest);
                self.interned.compiled(kind, json, self.source, digest, &mut self.said.problems)
            }
            Value::Text(text) => self.policy_in_text(kind, name, json, text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Known(_) => {
                self.wrong_type(json, name, "a policy, as an object or as a text that holds one");
                None
            }
        }
    }

    fn policy_in_text(
        &mut self,
        kind: PolicyKind,
        name: &str,
        json: &Json<'_>,
        text: &str,
    ) -> Option<Arc<Policy>> {
        let Some((encoding, decoded)) = policy_text(kind, text) else {
            let message = format!("the percent-encoding of `{name}` is broken");
            self.error(
                "bad-percent-encoding",
                message,
                "every `%` starts two hexadecimal digits of UTF-8",
                json.span,
            );
            return None;
        };
        let source = Source::nested(self.source, json.span, encoding, &decoded);
        let policy = read(&source, &self.options.limits, &mut self.said.problems)?;
        let digest = digest_of(&policy);
        self.digests.remember(json, digest);
        self.interned.compiled(kind, &policy, &source, digest, &mut self.said.problems)
    }
}

/// The text of a policy, decoded. IAM policies may be percent-encoded.
///
/// Source: IAM API Reference, `GetAccountAuthorizationDetails` (policies are URL-encoded).
pub(super) fn policy_text(
    kind: PolicyKind,
    text: &str,
) -> Option<(Encoding, std::borrow::Cow<'_, str>)> {
    match kind {
        PolicyKind::Identity | PolicyKind::Boundary => decoded(text),
        PolicyKind::Key
        | PolicyKind::Session
        | PolicyKind::Scp
        | PolicyKind::Rcp
        | PolicyKind::FullAccessRcp
        | PolicyKind::Endpoint => Some((Encoding::Plain, text.into())),
    }
}

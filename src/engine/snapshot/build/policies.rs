//! Policies of a set: as objects, texts or percent-encoded texts; each compiled once and shared.

use std::sync::Arc;

use hashbrown::HashMap;

use super::reading::Reading;
use super::revision::{Digest, decoded, digest_of};
use crate::engine::json::{Encoding, Json, Source, Value, read};
use crate::engine::policy::{Policy, PolicyKind, compile};
use crate::engine::problem::Problem;

/// Compiled policies by kind and content.
#[derive(Debug, Default)]
pub(super) struct Policies(HashMap<(PolicyKind, Digest), Compiled>);

#[derive(Debug)]
struct Compiled {
    policy: Arc<Policy>,
    /// Whether there were warnings: they are told for every place.
    warned: bool,
}

impl Policies {
    /// The compiled policy; compiles it unless an equal one was compiled before.
    pub(super) fn compiled(
        &mut self,
        kind: PolicyKind,
        json: &Json<'_>,
        source: &Source<'_>,
        digest: Digest,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<Policy>> {
        let before = self.0.get(&(kind, digest));
        if let Some(Compiled { policy, warned: false }) = before {
            return Some(Arc::clone(policy));
        }
        let problems_before = problems.len();
        let policy = compile(kind, json, source, problems)?;
        if let Some(Compiled { policy, .. }) = before {
            return Some(Arc::clone(policy));
        }
        let policy = Arc::new(policy);
        let warned = problems.len() > problems_before;
        self.0.insert((kind, digest), Compiled { policy: Arc::clone(&policy), warned });
        Some(policy)
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
                self.said.policies.compiled(
                    kind,
                    json,
                    self.source,
                    digest,
                    &mut self.said.problems,
                )
            }
            Value::Text(text) => self.policy_in_text(kind, name, json, text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) => {
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
        self.said.policies.compiled(kind, &policy, &source, digest, &mut self.said.problems)
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

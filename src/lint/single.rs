//! One policy, looked at as if it stood in a set.

use std::sync::Arc;

use super::Settings;
use super::finding::Findings;
use super::set::Set;
use super::walk::Walk;
use crate::engine::bundle::Options;
use crate::engine::json::{Source, read};
use crate::engine::kms::key_state::{KeyOrigin, KeySpec, KeyState, KeyUsage};
use crate::engine::policy::{Policy, PolicyKind, compile};
use crate::engine::problem::{Problem, Problems};
use crate::engine::snapshot::{Key, PolicySet, Snapshot};
use crate::engine::term::account::AccountId;
use crate::engine::term::arn::Arn;
use crate::engine::term::key_id::KeyId;

/// A policy and what it is to be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'c> {
    /// The name by which places call it.
    pub name: &'c str,
    /// Its text.
    pub text: &'c str,
    /// What kind of policy it is.
    pub kind: PolicyKind,
    /// The ARN of the key, user, group, role or managed policy whose policy it becomes; for a key
    /// policy it must be a key ARN. Empty where it does not matter.
    pub target: &'c str,
}

/// A target that the candidate cannot be attached to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the ARN of a KMS key")]
pub struct NotAKey(pub String);

/// What there is to say of one policy.
#[derive(Clone, Debug)]
pub struct Opinion {
    /// What is wrong with it. An error keeps a set with it from being used.
    pub problems: Vec<Problem>,
    /// What was found in it; nothing, if it cannot be used.
    pub findings: Findings,
}

/// Looks at a policy as if it took the place of its target's in the set.
///
/// # Errors
///
/// A key policy without a key.
pub fn opinion(
    candidate: &Candidate<'_>,
    options: &Options,
    snapshot: &Snapshot,
    settings: Settings,
) -> Result<Opinion, NotAKey> {
    let key_arn = match (candidate.kind, KeyId::parse(candidate.target)) {
        (PolicyKind::Key, Ok(KeyId::Arn(arn))) => arn.account_id().map(|account| (arn, account)),
        _ => None,
    };
    if candidate.kind == PolicyKind::Key && key_arn.is_none() {
        return Err(NotAKey(candidate.target.to_owned()));
    }
    let mut problems = Vec::new();
    let source = Source::new(candidate.name.into(), candidate.text);
    let json = read(&source, &options.limits, &mut problems);
    let compiled =
        json.as_ref().and_then(|json| compile(candidate.kind, json, &source, &mut problems));
    let unusable = Problems::refusing(problems.clone()).is_some();
    let (Some(json), Some(policy), false) = (json, compiled, unusable) else {
        return Ok(Opinion { problems, findings: Findings::default() });
    };
    let changed = match key_arn {
        Some((arn, account)) => with_key(snapshot, (&arn, account), policy),
        None => snapshot.clone(),
    };
    let set = Set::new(&changed, options, settings);
    let mut walk = Walk::new(&set);
    let account = Arn::parse(candidate.target).and_then(|arn| arn.account_id());
    let key = changed.key(candidate.target);
    walk.policy(&source, &json, candidate.kind, (key, account, candidate.target));
    Ok(Opinion { problems, findings: walk.finish() })
}

/// The set with no other key than this one, which has this policy. What is found in the policy of
/// a key does not depend on other keys.
fn with_key(
    snapshot: &Snapshot,
    (arn, account): (&Arn<'_>, AccountId),
    policy: Policy,
) -> Snapshot {
    let policy = Arc::new(policy);
    let key = match snapshot.key(arn.text) {
        Some(key) => Key { policy, ..key.clone() },
        None => new_key(arn, account, policy),
    };
    let policies = PolicySet {
        keys: [Arc::new(key)].into_iter().collect(),
        aliases: Default::default(),
        surroundings: Arc::clone(&snapshot.surroundings),
        evaluation: snapshot.evaluation.clone(),
        revision: Arc::clone(&snapshot.revision),
    };
    Snapshot { policies: Arc::new(policies), grants: snapshot.grants.clone() }
}

/// A key that the set does not have yet, with the properties that KMS gives a new one.
///
/// Source: AWS KMS API Reference, `CreateKey` (defaults).
fn new_key(arn: &Arn<'_>, account: AccountId, policy: Arc<Policy>) -> Key {
    Key {
        arn: arn.text.into(),
        account,
        policy,
        state: KeyState::Enabled,
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: KeyOrigin::AwsKms,
        custom_key_store: false,
        aws_managed: false,
        multi_region: false,
        multi_region_type: None,
        extras: None,
    }
}

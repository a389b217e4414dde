//! RetireGrant: the grant itself says who may retire it.
//!
//! Source: AWS KMS Developer Guide, "Retiring and revoking grants".

use super::combine::{Limits, Path, Verdicts, combine};
use super::decision::{Decision, Denial, Layer, Matched, Missing};
use super::facts::Facts;
use super::grants::{is_visible, names};
use super::guardrails::{guardrails, own_policies};
use super::layers::Question;
use super::naming::Naming;
use super::observer::Observer;
use crate::engine::grant::Grant;
use crate::engine::kms::action::Action;
use crate::engine::snapshot::Key;
use crate::engine::term::principal::Principal;

/// Decides RetireGrant on a key. Key policies and resource control policies have no say.
pub(super) fn decide<'a>(
    facts: &mut Facts<'a, '_>,
    key: &'a Key,
    observer: &mut impl Observer,
) -> Decision<'a> {
    let Some(grant) = wanted(facts, key) else {
        let own = Some(key.account) == facts.caller.account() && facts.caller.may_reach(&key.arn);
        let unknown = if own { Missing::UnknownGrant } else { Missing::UnknownForeignKey };
        return Decision::Deny(Denial::Implicit(unknown));
    };
    facts.leg.retired = Some(&grant.context);
    let facts = &*facts;
    let mut question = Question::new(facts, observer);
    let guard = guardrails(&mut question);
    let mut limits = Limits::default();
    let own_denies = own_policies(&mut question, &mut limits);
    let by_grant = by_grant(facts, grant, &limits);
    question.observer.grant(
        grant,
        (by_grant != ByGrant::Alone).then_some("it does not let the caller retire it"),
    );
    let account = facts.caller.account();
    let unknown = facts.caller.unknown.then_some(Missing::UnknownPrincipal);
    let elsewhere = || (!facts.caller.may_reach(&key.arn)).then_some(Missing::OtherPartition);
    let barred = unknown.or_else(elsewhere);
    combine(&Verdicts {
        denied: guard.denies.or(own_denies),
        barred: barred.or(guard.missing),
        path: Path::Retire {
            by_grant: (by_grant == ByGrant::Alone).then_some(Matched {
                layer: Layer::Grant,
                policy_id: &grant.id,
                statement: None,
            }),
            by_policy: account.is_some()
                && (Some(key.account) == account || by_grant == ByGrant::WithPolicy),
            limits: &limits,
        },
    })
}

/// The grant that the request names, by id or by token.
fn wanted<'a>(facts: &Facts<'a, '_>, key: &'a Key) -> Option<&'a Grant> {
    let grants = &facts.snapshot.grants;
    let named = match facts.request.parameters.grant_id {
        Some(id) => grants.find(&key.arn, id),
        None => facts
            .request
            .grant_tokens
            .iter()
            .filter_map(|token| grants.with_token(token))
            .find(|grant| *grant.key_arn == *key.arn),
    };
    named.filter(|grant| is_visible(grant, facts.request))
}

/// Whether the grant lets the caller retire it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ByGrant {
    /// It does not.
    No,
    /// If the caller's own policies allow it: the grant names its account.
    WithPolicy,
    /// It does: no permission is needed.
    Alone,
}

/// As its retiring principal, as its grantee where RetireGrant is among its operations, or as the
/// root user of the account that issued it.
fn by_grant(facts: &Facts<'_, '_>, grant: &Grant, limits: &Limits<'_>) -> ByGrant {
    let caller = facts.caller;
    let session = matches!(caller.principal, Principal::Session { .. });
    let counts = |naming: Naming| match naming {
        Naming::Exact => ByGrant::Alone,
        // The user behind a federated session lends it no more than the session may do.
        Naming::Behind if session || limits.bound() => ByGrant::Alone,
        Naming::Account => ByGrant::WithPolicy,
        Naming::Star | Naming::Behind => ByGrant::No,
    };
    let retiring = grant.retiring.as_ref().and_then(|pattern| names(caller, pattern, facts));
    let grantee = names(caller, &grant.grantee, facts)
        .filter(|_| grant.operations.contains(Action::RetireGrant));
    let root = matches!(caller.principal, Principal::Root { .. });
    let issuer =
        root && grant.issuing_account.is_some() && grant.issuing_account == caller.account();
    let issuer = if issuer { ByGrant::WithPolicy } else { ByGrant::No };
    [retiring, grantee].into_iter().flatten().map(counts).fold(issuer, ByGrant::max)
}

//! From a snapshot and a request to a decision.

pub mod caller;
mod claims;
pub mod combine;
pub mod coverage;
pub mod decision;
pub mod explain;
pub mod facts;
mod global_facts;
mod grants;
mod grounds;
mod guardrails;
mod heard;
mod kms_facts;
mod layers;
mod legs;
pub mod memory;
pub mod message;
pub mod naming;
pub mod observer;
mod places;
pub mod reason;
pub mod resource;
mod retire;
mod written;

use std::cell::{Cell, OnceCell};

use arrayvec::ArrayVec;

use self::caller::Caller;
use self::combine::{Allows, Path, Verdicts, combine};
use self::decision::{Answer, Decision, Denial, Layer, Leg, Legs, Missing};
use self::explain::Explanation;
use self::facts::Facts;
use self::grants::SourceArns;
use self::heard::Heard;
use self::legs::{Authorization, Authorizations};
use self::memory::{Memory, Nothing};
use self::observer::{Observer, Silent};
use self::resource::{Locator, Names, Resource};
use super::evaluation::{AuthBeforeState, Profile};
use super::kms::action::Action;
use super::kms::key_state::outcome;
use super::snapshot::Snapshot;
use super::term::composed::Composed;
use super::term::key_id::is_reserved_alias;
use super::term::principal::Principal;
use super::term::request::{Asked, InvalidRequest, Request};

/// Decides.
///
/// # Errors
///
/// The request does not fit the snapshot: no Region can be told, the role behind the session is
/// another one, or the organization of caller or key is not what the request says.
pub fn decide<'a>(
    snapshot: &'a Snapshot,
    request: &'a Request<'a>,
) -> Result<Answer<'a>, InvalidRequest> {
    observed(snapshot, request, &mut Silent)
}

/// Decides, and lets what policies say be kept in `memory` and come from there. The answer is the
/// same: grants, the state of the key and the truth table have their say as ever.
///
/// # Errors
///
/// As [`decide`].
pub fn remembering<'a>(
    snapshot: &'a Snapshot,
    request: &'a Request<'a>,
    memory: &impl Memory,
) -> Result<Answer<'a>, InvalidRequest> {
    answer(snapshot, request, &mut Silent, memory)
}

/// Decides, and tells how.
///
/// # Errors
///
/// As [`decide`].
pub fn explain<'a>(
    snapshot: &'a Snapshot,
    request: &'a Request<'a>,
) -> Result<(Answer<'a>, Explanation), InvalidRequest> {
    let mut listener = explain::Listener::default();
    let answer = observed(snapshot, request, &mut listener)?;
    Ok((answer, listener.finish()))
}

/// Decides while somebody listens.
///
/// # Errors
///
/// As [`decide`].
pub fn observed<'a>(
    snapshot: &'a Snapshot,
    request: &'a Request<'a>,
    observer: &mut impl Observer,
) -> Result<Answer<'a>, InvalidRequest> {
    answer(snapshot, request, observer, &Nothing)
}

#[inline(always)]
fn answer<'a>(
    snapshot: &'a Snapshot,
    request: &'a Request<'a>,
    observer: &mut impl Observer,
    memory: &impl Memory,
) -> Result<Answer<'a>, InvalidRequest> {
    // An answer is long: it is filled where it will be.
    let mut answer = Ok(Answer {
        principal: request.principal.text(),
        legs: Legs::new(),
        by_operation: matches!(request.asked, Asked::Operation(_)),
        key_arn: None,
        dry_run: request.dry_run,
    });
    if let Ok(unfilled) = &mut answer
        && let Err(invalid) = fill((snapshot, request), observer, memory, unfilled)
    {
        answer = Err(invalid);
    }
    answer
}

fn fill<'a>(
    (snapshot, request): (&'a Snapshot, &'a Request<'a>),
    observer: &mut impl Observer,
    memory: &impl Memory,
    answer: &mut Answer<'a>,
) -> Result<(), InvalidRequest> {
    let caller = Caller::find(snapshot, request)?;
    let names = Names::default();
    let locator = Locator { snapshot, request, caller: &caller, names: &names };
    let mut authorizations = Authorizations::new();
    legs::authorizations(&locator, &mut authorizations)?;
    if let Some(organization) = &snapshot.organization {
        claims::check(organization, request, caller.account(), claims::PRINCIPAL)?;
        for authorization in &authorizations {
            let owner = claims::owner(&authorization.resource);
            claims::check(organization, request, owner, claims::RESOURCE)?;
        }
    }
    answer.key_arn = authorizations.iter().find_map(|authorization| match authorization.resource {
        Resource::Key(key) => Some(&*key.arn),
        _ => None,
    });
    let mut opened = ArrayVec::<Opened, 3>::new();
    let mut decide_all = |source_arns, legs: &mut Legs<'a>, opened: &mut ArrayVec<_, 3>| {
        legs.clear();
        opened.clear();
        for authorization in &authorizations {
            let mut by = Opened::Not;
            let asked = (snapshot, request, &caller);
            let decision =
                decide_leg(asked, authorization, source_arns, (observer, memory), &mut by);
            let resource = name(&authorization.resource);
            legs.push(Leg { action: authorization.action, resource, decision });
            opened.push(by);
        }
    };
    decide_all(SourceArns::Whichever, &mut answer.legs, &mut opened);
    if request.asked_re_encrypt() && source_arns_differ(&opened) {
        for source_arns in [SourceArns::With, SourceArns::Without] {
            decide_all(source_arns, &mut answer.legs, &mut opened);
            if opened.iter().all(|by| *by != Opened::Not) {
                return Ok(());
            }
        }
        if let Some(leg) = answer.legs.last_mut() {
            leg.decision = Decision::Deny(Denial::Implicit(Missing::SourceArnDiffers));
        }
    }
    Ok(())
}

/// What opened a key, whatever its state: authorization comes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opened {
    /// Nothing did.
    Not,
    /// A policy.
    ByPolicy,
    /// A grant.
    ByGrant {
        /// Whether it carries a source ARN.
        source_arn: bool,
    },
}

impl Opened {
    fn by(snapshot: &Snapshot, key_arn: &str, decision: &Decision<'_>) -> Self {
        if !matches!(decision, Decision::Allow(_)) {
            return Self::Not;
        }
        let Some(by) = decision.basis().find(|matched| matched.layer == Layer::Grant) else {
            return Self::ByPolicy;
        };
        let grant = snapshot.grants.find(key_arn, by.policy_id);
        grant.map_or(Self::Not, |grant| Self::ByGrant { source_arn: grant.source_arn.is_some() })
    }
}

/// Whether both keys of ReEncrypt are open through grants, of which one alone carries a source ARN.
///
/// Source: AWS KMS API Reference, `ReEncrypt` (grants with a source ARN constraint).
fn source_arns_differ(opened: &[Opened]) -> bool {
    let [Opened::ByGrant { source_arn: from }, Opened::ByGrant { source_arn: to }] = opened else {
        return false;
    };
    from != to
}

fn name<'a>(resource: &Resource<'a, '_>) -> Composed<'a> {
    match resource {
        Resource::Key(key) => Composed::from(&*key.arn),
        Resource::UnknownKey { arn, .. } | Resource::Alias { arn, .. } => Composed::of(&[arn]),
        Resource::NewKey { arn } => Resource::shown(arn),
        Resource::Any { .. } => "*".into(),
        Resource::RetiringPrincipal(arn) => Composed::of(&[arn.unwrap_or("*")]),
    }
}

#[inline(always)]
fn decide_leg<'a>(
    (snapshot, request, caller): (&'a Snapshot, &'a Request<'a>, &Caller<'a>),
    authorization: &Authorization<'a, '_>,
    source_arns: SourceArns,
    (observer, memory): (&mut impl Observer, &impl Memory),
    opened: &mut Opened,
) -> Decision<'a> {
    let mut facts = Facts {
        snapshot,
        request,
        caller,
        action: authorization.action,
        resource: &authorization.resource,
        region: Some(authorization.region),
        leg: authorization.facts,
        user_id: OnceCell::new(),
        asked_the_time: Cell::new(false),
    };
    let decision = match authorization.resource {
        Resource::UnknownKey { foreign, .. } => Decision::Deny(Denial::Implicit(if foreign {
            Missing::UnknownForeignKey
        } else {
            Missing::UnknownKey
        })),
        Resource::Key(key) if authorization.action == Action::RetireGrant => {
            retire::decide(&mut facts, key, observer)
        }
        Resource::Key(key) => {
            let refusal = outcome(authorization.action, &key.facts(), authorization.role).err();
            // Only the keys of ReEncrypt are compared.
            let compared = request.asked_re_encrypt();
            let state_first = snapshot.evaluation.auth_before_state == AuthBeforeState::No;
            match refusal.filter(|_| state_first) {
                Some(refusal) => {
                    if compared {
                        let decision = authorized(&facts, source_arns, &mut Silent, memory);
                        *opened = Opened::by(snapshot, &key.arn, &decision);
                    }
                    Decision::Deny(Denial::KeyState(refusal))
                }
                None => {
                    let mut decision = authorized(&facts, source_arns, observer, memory);
                    if compared {
                        *opened = Opened::by(snapshot, &key.arn, &decision);
                    }
                    // What is authorized may still be impossible in the key's state.
                    if let (Decision::Allow(_), Some(refusal)) = (&decision, refusal) {
                        decision = Decision::Deny(Denial::KeyState(refusal));
                    }
                    decision
                }
            }
        }
        _ => authorized(&facts, source_arns, observer, memory),
    };
    observer.leg(&facts, &decision);
    decision
}

/// Asks every layer, then combines.
#[inline(always)]
fn authorized<'a>(
    facts: &Facts<'a, '_>,
    source_arns: SourceArns,
    observer: &mut impl Observer,
    memory: &impl Memory,
) -> Decision<'a> {
    let caller = facts.caller;
    let mut heard = Heard::default();
    memory::hear(&mut heard, facts, observer, memory);
    let Heard { guard, key: found, own_denies, limits } = &heard;
    let key = if let Resource::Key(key) = facts.resource { Some(*key) } else { None };
    let (grants, own_grants) = match key.filter(|key| facts.snapshot.grants.any_on(&key.arn)) {
        Some(key) => grants::applicable(facts, key, source_arns, observer),
        None => Default::default(),
    };
    let (grants, none) = (&grants, Allows::default());
    let account = caller.account();
    let path = match (key, &caller.principal) {
        (Some(_), Principal::Service { .. }) => {
            // A service has neither boundary nor session policies that could limit it.
            let key_policy = found.allows.direct;
            Path::Service { key_policy, grant: grants.direct.or(grants.behind) }
        }
        (None, _) => Path::NoKey(limits),
        (Some(key), _) if Some(key.account) == account => Path::SameAccount {
            key_policy: &found.allows,
            grants,
            limits,
            dual_control: facts.snapshot.evaluation.profile == Profile::DualControl
                && !matches!(caller.principal, Principal::Root { .. }),
        },
        (Some(_), _) => {
            // Nothing reaches across accounts for a federated session without session policies.
            let own_grants = if caller.is_bare_federated() { &none } else { &own_grants };
            Path::CrossAccount { key_policy: &found.allows, grants, own_grants, limits }
        }
    };
    combine(&Verdicts {
        denied: guard.denies.or(found.denies).or(*own_denies),
        barred: barred(facts).or(guard.missing),
        path,
    })
}

/// What customers cannot do with keys that AWS manages.
///
/// Source: AWS KMS Developer Guide, "AWS KMS keys" (AWS managed keys).
const KEPT_BY_AWS: [Action; 7] = [
    Action::PutKeyPolicy,
    Action::CreateAlias,
    Action::UpdateAlias,
    Action::DeleteAlias,
    Action::TagResource,
    Action::UntagResource,
    Action::ScheduleKeyDeletion,
];

/// What keeps a request out whatever the policies say.
#[inline(always)]
fn barred(facts: &Facts<'_, '_>) -> Option<Missing> {
    if facts.caller.unknown {
        return Some(Missing::UnknownPrincipal);
    }
    let elsewhere = match facts.resource {
        Resource::RetiringPrincipal(None) => false,
        resource => !facts.caller.may_reach(resource.target().text()),
    };
    if elsewhere {
        return Some(Missing::OtherPartition);
    }
    let foreign = match facts.resource {
        Resource::RetiringPrincipal(Some(arn)) => {
            super::term::arn::Arn::parse(arn).and_then(|arn| arn.account_id())
                != facts.caller.account()
        }
        resource => resource
            .account()
            .is_some_and(|owner| facts.caller.account().is_some_and(|own| own != owner)),
    };
    if foreign && !(facts.action.cross_account() && facts.resource.key().is_some()) {
        return Some(Missing::CrossAccount);
    }
    match facts.resource {
        Resource::Alias { arn, .. } if is_reserved_alias(arn) => Some(Missing::ReservedAlias),
        Resource::Key(key) if key.aws_managed && KEPT_BY_AWS.contains(&facts.action) => {
            Some(Missing::AwsManaged)
        }
        _ => None,
    }
}

//! Which grants on a key apply to a request.
//!
//! Source: AWS KMS Developer Guide, "Grants in AWS KMS", "Creating grants".

use super::caller::Caller;
use super::combine::Allows;
use super::decision::{Layer, Matched};
use super::facts::Facts;
use super::naming::Naming;
use crate::engine::evaluation::{AccountGrantee, CrossAccountGrant, GrantLimit, KeyCase};
use crate::engine::grant::{ContextConstraint, Grant, GranteeRef};
use crate::engine::kms::action::Action;
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::snapshot::Key;
use crate::engine::term::principal::Principal;
use crate::engine::term::request::{GrantParameters, Pairs, Request};
use crate::engine::term::text::same;

use super::observer::Observer;

/// Which source ARNs grants may carry: both keys of ReEncrypt need grants that agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SourceArns {
    /// Any.
    Whichever,
    /// Grants with a source ARN alone.
    With,
    /// Grants without one alone.
    Without,
}

/// The grants on a key that apply: all of them, and those that the caller's own account issued.
pub(super) fn applicable<'a>(
    facts: &Facts<'a, '_>,
    key: &'a Key,
    source_arns: SourceArns,
    observer: &mut impl Observer,
) -> (Allows<'a>, Allows<'a>) {
    let (mut all, mut own) = (Allows::default(), Allows::default());
    let evaluation = &facts.snapshot.evaluation;
    let grantees = facts.caller.grantees();
    let of_caller = facts.snapshot.grants.to(&key.arn, &grantees);
    let others = observer.other_grants();
    let others = (others > 0).then(|| {
        let on_key = facts.snapshot.grants.on(&key.arn);
        on_key.filter(|grant| !grantees.contains(&GranteeRef::of(&grant.grantee))).take(others)
    });
    for grant in of_caller.chain(others.into_iter().flatten()) {
        if *grant.key_arn != *key.arn {
            continue;
        }
        if !grant.operations.contains(facts.action) {
            continue;
        }
        let wanted = match source_arns {
            SourceArns::Whichever => true,
            SourceArns::With => grant.source_arn.is_some(),
            SourceArns::Without => grant.source_arn.is_none(),
        };
        let naming = grantee_naming(facts.caller, grant, facts);
        let obstacle = match naming {
            None => Some("its grantee is someone else"),
            Some(_) if !wanted => Some("the other key's grant carries another source ARN"),
            Some(_) => obstacle(facts, grant),
        };
        observer.grant(grant, obstacle);
        let (Some(naming), None) = (naming, obstacle) else { continue };
        let matched = Matched { layer: Layer::Grant, policy_id: &grant.id, statement: None };
        let limited = match (naming, evaluation.grants_limited_by_boundary) {
            (_, GrantLimit::Always) => true,
            (_, GrantLimit::Never) => false,
            (naming, GrantLimit::AsKeyPolicy) => naming != Naming::Exact,
        };
        let issued_here =
            grant.issuing_account.is_some() && grant.issuing_account == facts.caller.account();
        let needs_no_iam = match evaluation.cross_account_grant {
            CrossAccountGrant::IssuerAware => issued_here,
            CrossAccountGrant::AlwaysIam => false,
            CrossAccountGrant::GrantOnly => true,
        };
        for says in [Some(&mut all), needs_no_iam.then_some(&mut own)].into_iter().flatten() {
            let slot = match naming {
                Naming::Account
                    if evaluation.grant_account_grantee == AccountGrantee::IdentityRequired =>
                {
                    &mut says.account
                }
                _ if limited => &mut says.behind,
                _ => &mut says.direct,
            };
            slot.get_or_insert(matched);
        }
    }
    (all, own)
}

/// How the grant names the caller as grantee.
pub(super) fn grantee_naming(
    caller: &Caller<'_>,
    grant: &Grant,
    facts: &Facts<'_, '_>,
) -> Option<Naming> {
    names(caller, &grant.grantee, facts)
}

/// How a grantee or retiring principal names the caller. `*` is not a grantee.
pub(super) fn names(
    caller: &Caller<'_>,
    pattern: &PrincipalPattern,
    facts: &Facts<'_, '_>,
) -> Option<Naming> {
    if matches!(pattern, PrincipalPattern::Everyone | PrincipalPattern::AnyAws) {
        return None;
    }
    let naming = caller.named_by(pattern, &facts.snapshot.evaluation)?;
    // The set of a federated session without session policies is empty: only a grant to exactly
    // this session counts.
    (!caller.is_bare_federated() || naming == Naming::Exact).then_some(naming)
}

/// Whether the request may see the grant.
#[must_use]
pub(super) fn is_visible(grant: &Grant, request: &Request<'_>) -> bool {
    let token =
        || grant.token.as_deref().is_some_and(|token| request.grant_tokens.contains(&token));
    !grant.pending || token()
}

fn obstacle(facts: &Facts<'_, '_>, grant: &Grant) -> Option<&'static str> {
    let request = facts.request;
    if !is_visible(grant, request) {
        return Some("it is still pending and the request does not carry its token");
    }
    if !source_arn_holds(facts, grant) {
        return Some("its source ARN constraint does not hold");
    }
    match facts.action {
        Action::DescribeKey => None,
        Action::CreateGrant => {
            let child = request.parameters.grant.as_ref();
            let covered = child.is_some_and(|child| {
                covers(grant, child, facts.snapshot.evaluation.grant_ec_key_case)
            });
            (!covered).then_some("the grant to be created is not within it")
        }
        _ => {
            let empty = Pairs::new();
            let pairs =
                facts.leg.encryption_context.filter(|_| facts.action.has_encryption_context());
            let holds = constraint_holds(
                &grant.context,
                pairs.unwrap_or(&empty),
                facts.snapshot.evaluation.grant_ec_key_case,
            );
            (!holds).then_some("its encryption context constraint does not hold")
        }
    }
}

/// A source ARN counts for calls by services, as themselves or on someone's behalf. A direct call
/// has none.
fn source_arn_holds(facts: &Facts<'_, '_>, grant: &Grant) -> bool {
    let Some(wanted) = &grant.source_arn else { return true };
    let by_service = matches!(facts.caller.principal, Principal::Service { .. })
        || facts.request.via_service.is_some();
    by_service && facts.asserted_text("aws:SourceArn") == Some(wanted)
}

fn constraint_holds(constraint: &ContextConstraint, pairs: &Pairs<'_>, case: KeyCase) -> bool {
    let contains = |name: &str, value: &str| {
        pairs.iter().any(|(other, found)| same_name(other, name, case) && *found == value)
    };
    match constraint {
        ContextConstraint::Unlimited => true,
        ContextConstraint::Subset(wanted) => {
            wanted.iter().all(|(name, value)| contains(name, value))
        }
        ContextConstraint::Equals(wanted) => {
            pairs.len() == wanted.len() && wanted.iter().all(|(name, value)| contains(name, value))
        }
    }
}

fn same_name(a: &str, b: &str, case: KeyCase) -> bool {
    match case {
        KeyCase::Sensitive => a == b,
        KeyCase::Insensitive => same(a, b),
    }
}

/// Whether a grant with CreateGrant covers the whole of a child: no more operations, and limits at
/// least as strict.
fn covers(parent: &Grant, child: &GrantParameters<'_>, case: KeyCase) -> bool {
    let operations = child.operations.union(parent.operations) == parent.operations;
    let source = parent.source_arn.as_deref().is_none_or(|wanted| child.source_arn == Some(wanted));
    let (equals, subset) = (&child.encryption_context_equals, &child.encryption_context_subset);
    let context = match &parent.context {
        ContextConstraint::Unlimited => true,
        wanted @ ContextConstraint::Equals(_) => {
            !equals.is_empty() && constraint_holds(wanted, equals, case)
        }
        wanted @ ContextConstraint::Subset(_) => {
            constraint_holds(wanted, if equals.is_empty() { subset } else { equals }, case)
        }
    };
    operations && source && context
}

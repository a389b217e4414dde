//! Whether anyone is left who may change the policy of a key. The engine is asked.

use crate::engine::kms::action::Action;
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::policy::statement::{Effect, Principals, Resources, Statement};
use crate::engine::snapshot::Key;
use crate::lint::ask::{Can, Probe, can, may, resource_statements};
use crate::lint::view::{PolicyView, Report};

/// Finds policies that no one may change.
pub(super) fn lockout(view: &PolicyView<'_>, report: &mut Report<'_>) {
    let Some(key) = view.key else { return };
    // Whoever has a certain principal in an unknown place is not looked for: `*` may be anyone.
    if opens_to_anyone(view, key, Action::PutKeyPolicy) {
        return;
    }
    if changes_policy(view, key) == Can::No {
        report.at(view.span(), "no one that the set knows may change this key policy");
    }
}

/// Finds policies that can be changed while conditions hold alone.
pub(super) fn under_conditions(view: &PolicyView<'_>, report: &mut Report<'_>) {
    let Some(key) = view.key else { return };
    if !opens_to_anyone(view, key, Action::PutKeyPolicy)
        && changes_policy(view, key) == Can::UnderConditions
    {
        report
            .at(view.span(), "whoever may change this key policy may do so only under conditions");
    }
}

/// Whether anyone may change the key policy, the first who surely may aside.
fn changes_policy(view: &PolicyView<'_>, key: &Key) -> Can {
    let set = view.set;
    let about =
        || resource_statements(set, key).filter(|one| one.actions.contains(Action::PutKeyPolicy));
    let denied = about().any(|one| {
        one.effect == Effect::Deny
            && one.conditions.is_empty()
            && one.resources == Resources::Any
            && patterns(one).contains(&PrincipalPattern::Everyone)
    });
    if denied {
        return Can::No;
    }
    let allows = || about().filter(|one| one.effect == Effect::Allow);
    let root = Probe::of(&PrincipalPattern::Account(key.account, None), key.partition());
    let named = allows()
        .flat_map(patterns)
        .filter_map(|pattern| Probe::known(set, pattern, key.partition()));
    // An identity policy opens nothing that the key policy does not leave to the account.
    let is_account = |pattern: &PrincipalPattern| matches!(pattern, PrincipalPattern::Account(..));
    let delegates = allows().flat_map(patterns).any(is_account);
    let administrators = if delegates { set.administrators(key.account) } else { &[] };
    let own = administrators
        .iter()
        .filter_map(|identity| Probe::identity(identity))
        .filter(|probe| may(set, key, probe, Action::PutKeyPolicy));
    let mut best = Can::No;
    for probe in root.into_iter().chain(named).chain(own) {
        best = best.max(can(set, key, &probe, Action::PutKeyPolicy));
        if best == Can::Yes {
            break;
        }
    }
    best
}

/// Whether an Allow for everyone, or for someone who is not a known kind of caller, has the action.
fn opens_to_anyone(view: &PolicyView<'_>, key: &Key, action: Action) -> bool {
    let is_anyone = |pattern: &PrincipalPattern| {
        // Who issues the session of a federated user is not known before it asks.
        use PrincipalPattern::{AnyAws, Everyone, Federated};
        matches!(pattern, Everyone | AnyAws | Federated(_))
    };
    let anyone = |statement: &Statement| patterns(statement).iter().any(is_anyone);
    resource_statements(view.set, key).any(|statement| {
        statement.effect == Effect::Allow && statement.actions.contains(action) && anyone(statement)
    })
}

/// Whom a statement names; none where it says who is not meant.
pub(super) fn patterns(statement: &Statement) -> &[PrincipalPattern] {
    match &statement.principals {
        Principals::These(patterns) => patterns,
        Principals::Bearer | Principals::AllBut(_) => &[],
    }
}

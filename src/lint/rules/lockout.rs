//! Whether anyone is left who may change the policy of a key. The engine is asked.

use crate::engine::kms::action::Action;
use crate::engine::policy::condition::Condition;
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::policy::statement::{Effect, Resources, Statement};
use crate::engine::snapshot::Key;
use crate::engine::term::condition_key::KeySource;
use crate::engine::term::truth::Truth;
use crate::lint::ask::{Can, Probe, can, may, resource_statements, surely};
use crate::lint::open::Fixed;
use crate::lint::set::patterns;
use crate::lint::view::{PolicyView, Report};

/// Administrators of the account who are asked about one key. If none of them settles it, nothing
/// is claimed: there are others.
const MOST: usize = 16;

/// Finds policies that no one may change.
pub(super) fn lockout(view: &PolicyView<'_>, report: &mut Report<'_>) {
    let Some(key) = view.key else { return };
    if changes_policy(view, key) == Some(Can::No) {
        report.at(view.span(), "no one that the set knows may change this key policy");
    }
}

/// Finds policies that can be changed while conditions hold alone.
pub(super) fn under_conditions(view: &PolicyView<'_>, report: &mut Report<'_>) {
    let Some(key) = view.key else { return };
    if changes_policy(view, key) == Some(Can::UnderConditions) {
        report
            .at(view.span(), "whoever may change this key policy may do so only under conditions");
    }
}

/// Whether anyone may change the key policy; `None` where that is not known. Asked once, whichever
/// rules ask.
fn changes_policy(view: &PolicyView<'_>, key: &Key) -> Option<Can> {
    *view.changes_policy.get_or_init(|| {
        // Whoever has a certain principal in an unknown place is not looked for: `*` may be anyone.
        let anyone = opens_to_anyone(view, key, Action::PutKeyPolicy);
        if anyone { None } else { ask_all(view, key) }
    })
}

fn ask_all(view: &PolicyView<'_>, key: &Key) -> Option<Can> {
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
        return Some(Can::No);
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
    let plainly = allows().any(|one| !one.conditions.iter().any(|one| needs_value(view, one)));
    let mut best = Can::No;
    for probe in root.into_iter().chain(named) {
        best = best.max(can(set, key, &probe, Action::PutKeyPolicy));
        if best == Can::Yes {
            return Some(best);
        }
    }
    for (asked, probe) in administrators.iter().enumerate() {
        if best == Can::UnderConditions && !plainly {
            break;
        }
        if asked == MOST {
            return None;
        }
        // What is known at once is asked first.
        if best == Can::No && !may(set, key, probe, Action::PutKeyPolicy) {
            continue;
        }
        if surely(set, key, probe, Action::PutKeyPolicy) {
            return Some(Can::Yes);
        }
        best = Can::UnderConditions;
    }
    Some(best)
}

/// Whether a condition is met by no request with nothing in particular: it is on something that
/// callers add, and needs it.
fn needs_value(view: &PolicyView<'_>, condition: &Condition) -> bool {
    let fixed = Fixed { key: &condition.key, value: None };
    matches!(condition.key.source, KeySource::Asserted | KeySource::ViaService)
        && condition.holds(&fixed, &view.set.snapshot.evaluation) == Truth::False
}

/// Whether an Allow for everyone, or for someone who is not a known kind of caller, has the action.
fn opens_to_anyone(view: &PolicyView<'_>, key: &Key, action: Action) -> bool {
    let is_anyone = |pattern: &PrincipalPattern| {
        // Who issues the session of a federated user is not known before it asks.
        use PrincipalPattern::{AnyAws, Everyone, Federated, UniqueId};
        match pattern {
            Everyone | AnyAws | Federated(_) => true,
            UniqueId(id) => {
                view.set.of_unique_id(id).is_none() && !view.set.is_gone(id, key.account)
            }
            _ => false,
        }
    };
    let anyone = |statement: &Statement| patterns(statement).iter().any(is_anyone);
    resource_statements(view.set, key).any(|statement| {
        statement.effect == Effect::Allow && statement.actions.contains(action) && anyone(statement)
    })
}

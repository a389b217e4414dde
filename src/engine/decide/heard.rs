//! What the policies say of one authorization: all that looking at statements comes to.

use super::caller::Caller;
use super::combine::Limits;
use super::decision::Matched;
use super::facts::Facts;
use super::guardrails::{Guard, guardrails, own_policies};
use super::layers::{Found, Question, every_naming};
use super::naming::{Naming, Namings};
use super::observer::Observer;
use super::resource::Resource;
use crate::engine::term::principal::Principal;

/// What the policies say. With the grants it is all that a decision rests on.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard<'a> {
    /// The guardrails.
    pub guard: Guard<'a>,
    /// The policies of the key; nothing where no key is involved.
    pub key: Found<'a>,
    /// A Deny of the caller's own policies.
    pub own_denies: Option<Matched<'a>>,
    /// The caller's own policies.
    pub limits: Limits<'a>,
}

impl<'a> Heard<'a> {
    /// Looks at the statements, and adds what they say. It is long, and moving it takes its time: it is
    /// written where it is read from.
    #[inline(always)]
    pub(super) fn listen(&mut self, facts: &Facts<'a, '_>, observer: &mut impl Observer) {
        let caller = facts.caller;
        let mut question = Question::new(facts, observer);
        self.guard = guardrails(&mut question);
        if let Resource::Key(key) = facts.resource {
            // `*` is no permission for a service.
            let service = matches!(caller.principal, Principal::Service { .. });
            let allows_by = match (service, caller.is_bare_federated()) {
                (true, _) => exact_naming,
                (false, true) => exact_or_account,
                (false, false) => every_naming,
            };
            question.key_policy(key, allows_by, &mut self.key);
        }
        self.own_denies = own_policies(&mut question, &mut self.limits);
    }
}

fn exact_naming(_: &Caller<'_>, namings: Namings) -> Namings {
    let mut exact = Namings::default();
    if namings.has(Naming::Exact) {
        exact.insert(Naming::Exact);
    }
    exact
}

/// A federated session without session policies: nothing but its own name allows it. That the key
/// policy delegates to the account is seen, though it does not help the session.
fn exact_or_account(caller: &Caller<'_>, namings: Namings) -> Namings {
    let mut seen = exact_naming(caller, namings);
    if namings.has(Naming::Account) {
        seen.insert(Naming::Account);
    }
    seen
}

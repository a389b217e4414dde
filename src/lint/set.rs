//! The set that is looked at, and what is worth knowing of it once.

use hashbrown::{HashMap, HashSet};

use super::Settings;
use super::open::account_of;
use crate::engine::bundle::Options;
use crate::engine::kms::action::Action;
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::policy::statement::{Effect, Resources, Statement};
use crate::engine::snapshot::{Identity, Named, Snapshot};
use crate::engine::term::account::AccountId;
use crate::engine::term::arn::Arn;

/// A set that is looked at.
#[derive(Debug)]
pub struct Set<'s> {
    /// What was built of it.
    pub snapshot: &'s Snapshot,
    /// How it is read.
    pub options: &'s Options,
    /// What findings depend on beside it.
    pub settings: Settings,
    /// Whether a Deny outside key policies is about some keys and not about others: then keys with
    /// one policy may still differ in what can be done with them.
    pub denies_some_keys: bool,
    /// ARNs of managed policies that are permissions boundaries and nothing else.
    boundaries: HashSet<&'s str>,
    /// Users and roles whose policies may allow PutKeyPolicy, by account.
    administrators: HashMap<AccountId, Vec<&'s Identity>>,
    /// Users and roles by the id that IAM gave them.
    by_unique_id: HashMap<&'s str, &'s Identity>,
}

impl<'s> Set<'s> {
    /// Of a snapshot.
    pub(super) fn new(snapshot: &'s Snapshot, options: &'s Options, settings: Settings) -> Self {
        let mut boundaries: HashSet<&str> = identities(snapshot)
            .filter_map(|identity| identity.boundary.as_ref().map(|policy| &*policy.id))
            .collect();
        for attached in identities(snapshot).flat_map(|identity| &identity.policies) {
            boundaries.remove(&*attached.id);
        }
        Self {
            snapshot,
            options,
            settings,
            denies_some_keys: denies_some_keys(snapshot),
            boundaries,
            administrators: administrators(snapshot),
            by_unique_id: identities(snapshot)
                .filter_map(|identity| Some((identity.unique_id.as_deref()?, identity)))
                .collect(),
        }
    }

    /// Whether the managed policy is a permissions boundary and nothing else.
    #[must_use]
    pub fn is_boundary(&self, arn: &str) -> bool {
        self.boundaries.contains(arn)
    }

    /// Users and roles of an account whose policies may allow PutKeyPolicy on some key.
    #[must_use]
    pub fn administrators(&self, account: AccountId) -> &[&'s Identity] {
        self.administrators.get(&account).map_or(&[], Vec::as_slice)
    }

    /// The user or role that has this unique id, if the set has one.
    #[must_use]
    pub fn of_unique_id(&self, id: &str) -> Option<&'s Identity> {
        self.by_unique_id.get(id).copied()
    }
}

fn identities(snapshot: &Snapshot) -> impl Iterator<Item = &Identity> {
    snapshot.users.values().chain(snapshot.roles.values())
}

fn administrators(snapshot: &Snapshot) -> HashMap<AccountId, Vec<&Identity>> {
    let may = |statement: &Statement| {
        statement.effect == Effect::Allow && statement.actions.contains(Action::PutKeyPolicy)
    };
    let mut all: HashMap<AccountId, Vec<&Identity>> = HashMap::new();
    for identity in identities(snapshot) {
        let mut policies = identity.policies.iter();
        if policies.any(|attached| attached.policy.statements().any(|one| may(one))) {
            all.entry(identity.account).or_default().push(identity);
        }
    }
    // The same one is asked first each time.
    all.values_mut().for_each(|list| list.sort_by(|a, b| a.arn.cmp(&b.arn)));
    all
}

fn denies_some_keys(snapshot: &Snapshot) -> bool {
    let narrow = |statement: &Statement| {
        statement.effect == Effect::Deny
            && !statement.actions.is_empty()
            && (statement.resources != Resources::Any || statement.reads_key_attributes)
    };
    let own = identities(snapshot)
        .flat_map(|identity| identity.policies.iter().chain(&identity.boundary));
    let members = snapshot.organization.iter().flat_map(|all| all.accounts.values());
    let attached = members.flat_map(|member| member.levels.iter()).flat_map(|level| {
        let kinds = [&level.service_control_policies, &level.resource_control_policies];
        kinds.into_iter().flatten().flat_map(|policies| policies.iter())
    });
    own.chain(attached)
        .any(|attached| attached.policy.statements().any(|statement| narrow(statement)))
}

/// Whether the set has a user, role or session's role, or does not describe its account.
#[must_use]
pub(super) fn knows(snapshot: &Snapshot, pattern: &PrincipalPattern) -> bool {
    let Some(account) = account_of(pattern) else { return true };
    if !snapshot.described_accounts.contains(&account) {
        return true;
    }
    let role = |arn: &str, depth: usize| {
        let name = Arn::parse(arn)?.resource.split('/').nth_back(depth)?;
        snapshot.roles.get(&Named(account, name))
    };
    match pattern {
        PrincipalPattern::User(arn) => snapshot.users.contains_key(arn),
        PrincipalPattern::Role(arn) => role(arn, 0).is_some_and(|role| role.arn == *arn),
        PrincipalPattern::Session(arn) => role(arn, 1).is_some(),
        _ => true,
    }
}

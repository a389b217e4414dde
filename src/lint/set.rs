//! The set that is looked at, and what is worth knowing of it once.

use hashbrown::{HashMap, HashSet};

use super::Settings;
use super::ask::Probe;
use super::open::account_of;
use crate::engine::bundle::Options;
use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::policy::statement::{Effect, Principals, Resources, Statement};
use crate::engine::snapshot::{Identity, Key, Named, Snapshot};
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
    administrators: HashMap<AccountId, Vec<Probe>>,
    /// Keys in the order of their ARNs.
    keys: Vec<OpenKey<'s>>,
    /// Which of the keys name a user or role in their policies, in order.
    naming: HashMap<&'s str, Vec<usize>>,
    /// Accounts with users or roles whose unique ids are not known.
    without_id: HashSet<AccountId>,
    /// Users and roles by the id that IAM gave them.
    by_unique_id: HashMap<&'s str, &'s Identity>,
}

/// A key, and the actions that its policy leaves to the account, or to anyone.
#[derive(Clone, Copy, Debug)]
pub struct OpenKey<'s> {
    /// The key.
    pub key: &'s Key,
    /// The actions.
    pub left: ActionSet,
}

impl<'s> Set<'s> {
    /// Of a snapshot.
    pub(super) fn new(snapshot: &'s Snapshot, options: &'s Options, settings: Settings) -> Self {
        let mut boundaries: HashSet<&str> = identities(snapshot)
            .filter_map(|identity| identity.boundary.as_ref().map(|policy| &*policy.id))
            .collect();
        for attached in identities(snapshot).flat_map(|identity| identity.policies.iter()) {
            boundaries.remove(&*attached.id);
        }
        let keys = keys(snapshot);
        Self {
            snapshot,
            options,
            settings,
            denies_some_keys: denies_some_keys(snapshot),
            boundaries,
            administrators: administrators(snapshot),
            naming: naming(&keys),
            keys,
            without_id: identities(snapshot)
                .filter(|identity| identity.unique_id.is_none())
                .map(|identity| identity.account)
                .collect(),
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
    pub fn administrators(&self, account: AccountId) -> &[Probe] {
        self.administrators.get(&account).map_or(&[], Vec::as_slice)
    }

    /// The keys, in the order of their ARNs.
    #[must_use]
    pub fn keys(&self) -> &[OpenKey<'s>] {
        &self.keys
    }

    /// Which of [`Set::keys`] name this user or role in their policies, in order.
    #[must_use]
    pub fn naming(&self, arn: &str) -> &[usize] {
        self.naming.get(arn).map_or(&[], Vec::as_slice)
    }

    /// Whether nobody in an account can have this unique id, for all that the set says.
    #[must_use]
    pub fn is_gone(&self, id: &str, account: AccountId) -> bool {
        self.of_unique_id(id).is_none()
            && self.snapshot.described_accounts.contains(&account)
            && !self.without_id.contains(&account)
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

fn keys(snapshot: &Snapshot) -> Vec<OpenKey<'_>> {
    let open = |key: &Key, statement: &Statement| {
        let meant = |pattern: &PrincipalPattern| match pattern {
            PrincipalPattern::Account(account, _) => *account == key.account,
            PrincipalPattern::Everyone | PrincipalPattern::AnyAws => true,
            _ => false,
        };
        statement.effect == Effect::Allow && patterns(statement).iter().any(meant)
    };
    let left = |key: &Key| {
        let shared = key.ram_policy.iter().flat_map(|policy| policy.statements());
        let all = key.policy.statements().chain(shared).filter(|statement| open(key, statement));
        all.fold(ActionSet::EMPTY, |left, statement| left.union(statement.actions))
    };
    let mut keys: Vec<OpenKey<'_>> =
        snapshot.keys.values().map(|key| OpenKey { key, left: left(key) }).collect();
    keys.sort_by(|a, b| a.key.arn.cmp(&b.key.arn));
    keys
}

fn naming<'s>(keys: &[OpenKey<'s>]) -> HashMap<&'s str, Vec<usize>> {
    let mut all: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, OpenKey { key, .. }) in keys.iter().enumerate() {
        let shared = key.ram_policy.iter().flat_map(|policy| policy.statements());
        let statements = key.policy.statements().chain(shared);
        for pattern in statements.flat_map(|statement| patterns(statement)) {
            if let PrincipalPattern::User(arn) | PrincipalPattern::Role(arn) = pattern {
                let keys = all.entry(arn).or_default();
                if keys.last() != Some(&at) {
                    keys.push(at);
                }
            }
        }
    }
    all
}

/// Whom a statement names; none where it says who is not meant.
#[must_use]
pub fn patterns(statement: &Statement) -> &[PrincipalPattern] {
    match &statement.principals {
        Principals::These(patterns) => patterns,
        Principals::Bearer | Principals::AllBut(_) => &[],
    }
}

fn administrators(snapshot: &Snapshot) -> HashMap<AccountId, Vec<Probe>> {
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
    let probes = |list: Vec<&Identity>| list.into_iter().filter_map(Probe::identity).collect();
    all.into_iter().map(|(account, list)| (account, probes(list))).collect()
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
        let name = Arn::parse(arn)?.resource().split('/').nth_back(depth)?;
        snapshot.roles.get(&Named(account, name))
    };
    match pattern {
        PrincipalPattern::User(arn) => snapshot.users.contains_key(arn),
        PrincipalPattern::Role(arn) => role(arn, 0).is_some_and(|role| role.arn == *arn),
        PrincipalPattern::Session(arn) => role(arn, 1).is_some(),
        _ => true,
    }
}

//! Everything that is needed to decide, compiled and indexed. Never changed once made.

pub mod build;
pub mod carriers;
pub mod grants;
pub mod organization;
pub mod shards;

use std::ops::Deref;
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap, HashSet};

use self::grants::Grants;
use self::organization::Organization;
use self::shards::Shards;
use super::evaluation::Evaluation;
use super::kms::key_state::{KeyFacts, KeyOrigin, KeySpec, KeyState, KeyUsage, MultiRegionKeyType};
use super::policy::Policy;
use super::policy::gist::Marks;
use super::term::account::AccountId;
use super::term::time::Timestamp;

/// The policies and grants of one moment: two halves that change apart. A clone shares both.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What the documents say, but for their grants.
    pub policies: Arc<PolicySet>,
    /// The grants.
    pub grants: Grants,
}

impl Deref for Snapshot {
    type Target = PolicySet;

    fn deref(&self) -> &PolicySet {
        &self.policies
    }
}

/// Keys, policies and principals, compiled and indexed. A clone shares nearly all.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    /// Keys by ARN.
    pub keys: Shards<Arc<Key>>,
    /// Alias ARN to key ARN. The key may be missing from the set.
    pub aliases: Shards<(Arc<str>, Box<str>)>,
    /// What seldom changes.
    pub surroundings: Arc<Surroundings>,
    /// How open points are read.
    pub evaluation: Evaluation,
    /// `sha256:` and 64 hex digits: a function of the documents' content alone.
    pub revision: Arc<str>,
}

impl Deref for PolicySet {
    type Target = Surroundings;

    fn deref(&self) -> &Surroundings {
        &self.surroundings
    }
}

impl PolicySet {
    /// The key with this ARN.
    #[must_use]
    pub fn key(&self, arn: &str) -> Option<&Key> {
        self.keys.get(arn).map(|key| &**key)
    }
}

/// What a set holds beside keys.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// IAM users by ARN.
    pub users: HashMap<Box<str>, Identity>,
    /// ARNs of IAM users by account and name.
    pub user_arns: HashMap<(AccountId, Box<str>), Box<str>>,
    /// IAM roles by account and name.
    pub roles: HashMap<(AccountId, Box<str>), Identity>,
    /// Accounts for which the set holds IAM details.
    pub described_accounts: HashSet<AccountId>,
    /// The organization.
    pub organization: Option<Organization>,
    /// Policies of VPC endpoints by endpoint id.
    pub endpoints: HashMap<Box<str>, Arc<Policy>>,
    /// Region of requests that name none, from the configuration.
    pub default_region: Option<Box<str>>,
    /// The only Region of the keys, when there is just one.
    pub only_region: Option<Box<str>>,
}

/// A KMS key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its ARN.
    pub arn: Arc<str>,
    /// Its account.
    pub account: AccountId,
    /// Its policy.
    pub policy: Arc<Policy>,
    /// Its state.
    pub state: KeyState,
    /// Its spec.
    pub spec: KeySpec,
    /// Its usage.
    pub usage: KeyUsage,
    /// Where its material came from.
    pub origin: KeyOrigin,
    /// Whether it lives in a custom key store.
    pub custom_key_store: bool,
    /// Whether AWS manages it.
    pub aws_managed: bool,
    /// Whether it is a multi-Region key.
    pub multi_region: bool,
    /// Which kind of multi-Region key.
    pub multi_region_type: Option<MultiRegionKeyType>,
    /// What few keys have; takes no room where there is none of it.
    pub extras: Option<Box<Extras>>,
}

/// What few keys have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Its `AWS_RAM` policy.
    pub ram_policy: Option<Arc<Policy>>,
    /// Names of its aliases, sorted (`alias/…`).
    pub aliases: Vec<Box<str>>,
    /// Its tags, sorted by name.
    pub tags: Vec<(Box<str>, Box<str>)>,
    /// Since when it counts as unused: its last use, or else its creation or the start of
    /// tracking, whichever is later. `None` without usage data.
    pub unused_since: Option<Timestamp>,
}

/// Of a key that has nothing of it.
static NO_EXTRAS: Extras =
    Extras { ram_policy: None, aliases: Vec::new(), tags: Vec::new(), unused_since: None };

impl Extras {
    /// As a key keeps it.
    #[must_use]
    pub fn kept(self) -> Option<Box<Self>> {
        (self != NO_EXTRAS).then(|| Box::new(self))
    }
}

impl shards::Named for Arc<Key> {
    type Value = Self;

    fn name(&self) -> &str {
        &self.arn
    }

    fn value(&self) -> &Self {
        self
    }
}

impl Deref for Key {
    type Target = Extras;

    fn deref(&self) -> &Extras {
        self.extras.as_deref().unwrap_or(&NO_EXTRAS)
    }
}

impl Key {
    /// What its state is judged by.
    #[must_use]
    pub fn facts(&self) -> KeyFacts {
        KeyFacts {
            state: self.state,
            origin: self.origin,
            custom_key_store: self.custom_key_store,
            spec: self.spec,
            usage: self.usage,
        }
    }

    /// Its Region.
    #[must_use]
    pub fn region(&self) -> &str {
        self.arn.split(':').nth(3).unwrap_or_default()
    }

    /// Its partition.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or_default()
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }
}

/// An IAM user or role with all that belongs to it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its ARN with its path.
    pub arn: Box<str>,
    /// Its account.
    pub account: AccountId,
    /// Its name.
    pub name: Box<str>,
    /// `AIDA…` or `AROA…`.
    pub unique_id: Option<Box<str>>,
    /// Inline, attached and group policies.
    pub policies: Arc<[Attached]>,
    /// The permissions boundary.
    pub boundary: Option<Attached>,
    /// Its tags.
    pub tags: Box<[(Box<str>, Box<str>)]>,
    /// Whether it is a service-linked role.
    pub service_linked: bool,
    /// The marks of the principals that name it or its account.
    pub marks: Marks,
    /// The effort of its policies and its boundary.
    pub effort: u32,
}

/// An account and a name in it, to look up users and roles without copying the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Named<'a>(pub AccountId, pub &'a str);

impl Equivalent<(AccountId, Box<str>)> for Named<'_> {
    fn equivalent(&self, key: &(AccountId, Box<str>)) -> bool {
        self.0 == key.0 && *self.1 == *key.1
    }
}

/// A policy and the name it goes by.
#[derive(Clone, Debug)]
pub struct Attached {
    /// ARN of a managed policy, name of an inline one.
    pub id: Arc<str>,
    /// The policy.
    pub policy: Arc<Policy>,
}

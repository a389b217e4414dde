//! Grants: who may use a key for what, until the grant is retired or revoked.

use std::sync::Arc;

use super::kms::action::ActionSet;
use super::policy::principal::PrincipalPattern;
use super::term::account::AccountId;

/// A grant on a key.
///
/// Source: AWS KMS Developer Guide, "Grants in AWS KMS"; AWS KMS API Reference, `GrantListEntry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: Box<str>,
    /// ARN of its key.
    pub key_arn: Box<str>,
    /// Who may use it.
    pub grantee: PrincipalPattern,
    /// Who may retire it.
    pub retiring: Option<PrincipalPattern>,
    /// What it permits; never empty.
    pub operations: ActionSet,
    /// Limits on the encryption context.
    pub context: ContextConstraint,
    /// The value that `aws:SourceArn` must have.
    pub source_arn: Option<Box<str>>,
    /// The account from which it was created.
    pub issuing_account: Option<AccountId>,
    /// Its name.
    pub name: Option<Box<str>>,
    /// The token by which a request may point at it.
    pub token: Option<Box<str>>,
    /// Not yet visible without its token.
    pub pending: bool,
}

/// A limit on the encryption context of requests under a grant. Pairs are sorted by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextConstraint {
    /// None.
    Unlimited,
    /// The context must be these pairs and no others.
    Equals(Box<[(Box<str>, Box<str>)]>),
    /// The context must hold these pairs.
    Subset(Box<[(Box<str>, Box<str>)]>),
}

/// The grants of a set, by key. Each list is sorted by grant id.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    by_key: hashbrown::HashMap<Box<str>, Box<[Arc<Grant>]>>,
    by_token: hashbrown::HashMap<Box<str>, Arc<Grant>>,
}

impl Grants {
    /// Indexes `grants`. Invariant of the caller: ids are unique for a key.
    #[must_use]
    pub fn new(grants: Vec<Grant>) -> Self {
        let mut by_key: hashbrown::HashMap<Box<str>, Vec<Arc<Grant>>> = hashbrown::HashMap::new();
        let mut by_token = hashbrown::HashMap::new();
        for grant in grants {
            let grant = Arc::new(grant);
            if let Some(token) = &grant.token {
                by_token.insert(token.clone(), Arc::clone(&grant));
            }
            by_key.entry(grant.key_arn.clone()).or_default().push(grant);
        }
        let sorted = |mut list: Vec<Arc<Grant>>| {
            list.sort_by(|a, b| a.id.cmp(&b.id));
            list.into_boxed_slice()
        };
        let by_key = by_key.into_iter().map(|(key, list)| (key, sorted(list))).collect();
        Self { by_key, by_token }
    }

    /// The grants on a key.
    #[must_use]
    pub fn on(&self, key_arn: &str) -> &[Arc<Grant>] {
        self.by_key.get(key_arn).map_or(&[], |list| list)
    }

    /// The grant with this id on a key.
    #[must_use]
    pub fn find(&self, key_arn: &str, id: &str) -> Option<&Grant> {
        self.on(key_arn).iter().find(|grant| &*grant.id == id).map(|grant| &**grant)
    }

    /// The grant that a token points at.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Option<&Grant> {
        self.by_token.get(token).map(|grant| &**grant)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.values().map(|list| list.len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

//! The grants of the documents: indexed once.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::engine::grant::{Grant, GranteeRef};

/// The grants of a policy set, by key, by grantee and by token.
#[derive(Clone, Debug, Default)]
pub struct DocumentGrants {
    hasher: DefaultHashBuilder,
    /// Sorted by id.
    by_key: HashMap<Box<str>, Box<[Arc<Grant>]>>,
    /// By hash of the key's hash and the grantee; sorted by id. Hashes may coincide.
    by_grantee: HashMap<u64, Vec<Arc<Grant>>>,
    /// By hash of retiring principal; sorted by id, then key. Hashes may coincide.
    by_retiring: HashMap<u64, Vec<Arc<Grant>>>,
    by_token: HashMap<Box<str>, Arc<Grant>>,
}

impl DocumentGrants {
    /// Indexes `grants`. Invariant of the caller: ids are unique for a key.
    #[must_use]
    pub fn new(mut grants: Vec<Grant>) -> Self {
        grants.sort_unstable_by(|a, b| (&a.key_arn, &a.id).cmp(&(&b.key_arn, &b.id)));
        let mut index = Self::default();
        let mut by_key: HashMap<Box<str>, Vec<Arc<Grant>>> = HashMap::new();
        for grant in grants {
            let grant = Arc::new(grant);
            if let Some(token) = &grant.token {
                index.by_token.insert(token.clone(), Arc::clone(&grant));
            }
            if let Some(retiring) = &grant.retiring {
                let slot = index.hasher.hash_one(GranteeRef::of(retiring));
                index.by_retiring.entry(slot).or_default().push(Arc::clone(&grant));
            }
            let slot = index.slot(&grant.key_arn)(GranteeRef::of(&grant.grantee));
            index.by_grantee.entry(slot).or_default().push(Arc::clone(&grant));
            by_key.entry(grant.key_arn.clone()).or_default().push(grant);
        }
        for list in index.by_retiring.values_mut() {
            list.sort_unstable_by(|a, b| (&a.id, &a.key_arn).cmp(&(&b.id, &b.key_arn)));
        }
        index.by_key = by_key.into_iter().map(|(key, list)| (key, list.into())).collect();
        index
    }

    /// All but one.
    #[must_use]
    pub fn without(&self, key_arn: &str, id: &str) -> Self {
        let others = self.iter().filter(|grant| (&*grant.key_arn, &*grant.id) != (key_arn, id));
        Self::new(others.map(|grant| Grant::clone(grant)).collect())
    }

    /// The grants on a key, sorted by id.
    #[must_use]
    pub fn on(&self, key_arn: &str) -> &[Arc<Grant>] {
        if self.by_key.is_empty() {
            return &[];
        }
        self.by_key.get(key_arn).map_or(&[], |list| list)
    }

    /// The grants on a key whose grantee is one of `grantees`, and some others.
    pub fn to<'g>(
        &'g self,
        key_arn: &str,
        grantees: &[GranteeRef<'_>],
    ) -> impl Iterator<Item = &'g Arc<Grant>> {
        let on_key = !self.by_key.is_empty() && self.by_key.contains_key(key_arn);
        let slot = self.slot(if on_key { key_arn } else { "" });
        grantees
            .iter()
            .filter(move |_| on_key)
            .filter_map(move |grantee| self.by_grantee.get(&slot(*grantee)))
            .flatten()
    }

    /// Where the grants to a grantee on a key stand.
    fn slot(&self, key_arn: &str) -> impl Fn(GranteeRef<'_>) -> u64 + use<> {
        let hasher = self.hasher.clone();
        let key = hasher.hash_one(key_arn);
        move |grantee| hasher.hash_one((key, grantee))
    }

    /// The grant with this id on a key.
    #[must_use]
    pub fn find(&self, key_arn: &str, id: &str) -> Option<&Arc<Grant>> {
        let list = self.on(key_arn);
        let at = list.binary_search_by(|grant| (*grant.id).cmp(id)).ok()?;
        list.get(at)
    }

    /// The grant that a token points at.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Option<&Grant> {
        self.by_token.get(token).map(|grant| &**grant)
    }

    /// The grants that a principal may retire, and perhaps others, sorted by id, then key.
    #[must_use]
    pub fn retirable_by(&self, principal: GranteeRef<'_>) -> &[Arc<Grant>] {
        self.by_retiring.get(&self.hasher.hash_one(principal)).map_or(&[], |list| list)
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Grant>> {
        self.by_key.values().flatten()
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

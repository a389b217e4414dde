//! The grants that were created while serving: a persistent structure, so that a change costs
//! little however many there are, and whoever holds an older one still sees it whole.

use std::cmp::Ordering;
use std::hash::BuildHasher as _;
use std::ops::Bound;
use std::sync::Arc;

use equivalent::{Comparable, Equivalent};
use hashbrown::DefaultHashBuilder;
use imbl::OrdMap;

use crate::engine::grant::{Grant, GranteeRef};

/// A place in an index: what is looked for, as a hash, then the id of a grant. Hashes may coincide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    hash: u64,
    id: Arc<str>,
}

/// A [`Slot`] to look for.
#[derive(Clone, Copy)]
struct Place<'a> {
    hash: u64,
    id: &'a str,
}

impl Equivalent<Slot> for Place<'_> {
    fn equivalent(&self, slot: &Slot) -> bool {
        self.compare(slot) == Ordering::Equal
    }
}

impl Comparable<Slot> for Place<'_> {
    fn compare(&self, slot: &Slot) -> Ordering {
        (self.hash, self.id).cmp(&(slot.hash, &slot.id))
    }
}

/// Grants by key, by grantee and by retiring principal.
#[derive(Clone, Debug, Default)]
pub struct LiveGrants {
    hasher: DefaultHashBuilder,
    by_key: OrdMap<Slot, Arc<Grant>>,
    by_grantee: OrdMap<Slot, Arc<Grant>>,
    by_retiring: OrdMap<Slot, Arc<Grant>>,
    /// Number of the last change that is in here; 0 before the first.
    sequence: u64,
}

/// What happened to the grants.
#[derive(Clone, Debug)]
pub enum Change {
    /// A grant is there. Invariant of the caller: its id was never used before.
    Created(Arc<Grant>),
    /// The grant with this id on this key is gone.
    Removed {
        /// ARN of the key.
        key_arn: Box<str>,
        /// Its id.
        id: Box<str>,
    },
}

impl LiveGrants {
    /// Takes over a change.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Created(grant) => self.insert(grant),
            Change::Removed { key_arn, id } => self.remove(key_arn, id),
        }
    }

    /// The same grants, with `sequence` as the number of the last change.
    #[must_use]
    pub fn at(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }

    fn insert(&mut self, grant: &Arc<Grant>) {
        let id: Arc<str> = Arc::from(&*grant.id);
        let slot = |hash| Slot { hash, id: Arc::clone(&id) };
        let [key, grantee] = self.hashes(grant);
        self.by_key.insert(slot(key), Arc::clone(grant));
        self.by_grantee.insert(slot(grantee), Arc::clone(grant));
        if let Some(retiring) = &grant.retiring {
            let hash = self.hasher.hash_one(GranteeRef::of(retiring));
            self.by_retiring.insert(slot(hash), Arc::clone(grant));
        }
    }

    fn remove(&mut self, key_arn: &str, id: &str) {
        let Some(grant) = self.find(key_arn, id).cloned() else { return };
        let [key, grantee] = self.hashes(&grant);
        self.by_key.remove(&Place { hash: key, id });
        self.by_grantee.remove(&Place { hash: grantee, id });
        if let Some(retiring) = &grant.retiring {
            let hash = self.hasher.hash_one(GranteeRef::of(retiring));
            self.by_retiring.remove(&Place { hash, id });
        }
    }

    fn hashes(&self, grant: &Grant) -> [u64; 2] {
        [
            self.hasher.hash_one(&*grant.key_arn),
            self.hasher.hash_one((&*grant.key_arn, GranteeRef::of(&grant.grantee))),
        ]
    }

    /// Number of the last change that is in here.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The grants on a key, by id, from the id `from` on.
    pub fn on<'g>(&'g self, key_arn: &'g str, from: &str) -> impl Iterator<Item = &'g Arc<Grant>> {
        let hash = self.hasher.hash_one(key_arn);
        from_id(&self.by_key, hash, from).filter(move |grant| *grant.key_arn == *key_arn)
    }

    /// The grants on a key whose grantee is one of `grantees`, and perhaps others.
    pub fn to<'g>(
        &'g self,
        key_arn: &str,
        grantees: &[GranteeRef<'_>],
    ) -> impl Iterator<Item = &'g Arc<Grant>> {
        let some = !self.is_empty();
        let to = move |grantee: &GranteeRef<'_>| self.to_one(key_arn, *grantee, "");
        grantees.iter().filter(move |_| some).flat_map(to)
    }

    /// The grants on a key to one grantee, and perhaps others, by id, from the id `from` on.
    pub fn to_one<'g>(
        &'g self,
        key_arn: &str,
        grantee: GranteeRef<'_>,
        from: &str,
    ) -> impl Iterator<Item = &'g Arc<Grant>> + use<'g> {
        from_id(&self.by_grantee, self.hasher.hash_one((key_arn, grantee)), from)
    }

    /// The grants that a principal may retire, and perhaps others, by id, from the id `from` on.
    pub fn retirable_by<'g>(
        &'g self,
        principal: GranteeRef<'_>,
        from: &str,
    ) -> impl Iterator<Item = &'g Arc<Grant>> {
        from_id(&self.by_retiring, self.hasher.hash_one(principal), from)
    }

    /// The grant with this id on a key.
    #[must_use]
    pub fn find(&self, key_arn: &str, id: &str) -> Option<&Arc<Grant>> {
        if self.is_empty() {
            return None;
        }
        let place = Place { hash: self.hasher.hash_one(key_arn), id };
        self.by_key.get(&place).filter(|grant| *grant.key_arn == *key_arn)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

/// What stands in an index under a hash, by id, from the id `from` on.
fn from_id<'g>(
    index: &'g OrdMap<Slot, Arc<Grant>>,
    hash: u64,
    from: &str,
) -> impl Iterator<Item = &'g Arc<Grant>> + use<'g> {
    let from = Bound::Included(Place { hash, id: from });
    let range = index.range::<_, Place<'_>>((from, Bound::Unbounded));
    range.take_while(move |(slot, _)| slot.hash == hash).map(|(_, grant)| grant)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Change, LiveGrants};
    use crate::engine::grant::{Grant, GranteeRef};
    use crate::engine::snapshot::build::grant;

    const KEYS: [&str; 2] = [
        "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:us-west-2:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321",
    ];

    fn made(key: &str, id: &str, grantee: &str, retiring: &str) -> Arc<Grant> {
        let text = format!(
            r#"{{"KeyId":"{key}","GrantId":"{id}","GranteePrincipal":"arn:aws:iam::111122223333:role/{grantee}",
            "RetiringPrincipal":"arn:aws:iam::111122223333:role/{retiring}","Operations":["Decrypt"]}}"#
        );
        Arc::new(grant("test", &text).unwrap())
    }

    fn ids<'g>(grants: impl Iterator<Item = &'g Arc<Grant>>) -> Vec<&'g str> {
        grants.map(|grant| &*grant.id).collect()
    }

    #[test]
    fn every_index_follows_every_change_and_older_ones_stay() {
        let mut live = LiveGrants::default();
        for (key, id, grantee) in [(0, "b", "A"), (0, "a", "A"), (0, "c", "B"), (1, "a2", "A")] {
            live.apply(&Change::Created(made(KEYS[key], id, grantee, "R")));
        }
        let before = live.clone();
        live.apply(&Change::Removed { key_arn: KEYS[0].into(), id: "a".into() });
        live.apply(&Change::Removed { key_arn: KEYS[1].into(), id: "c".into() }); // of no such key
        live = live.at(6);
        let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
        let (a, r) = (role("A"), role("R"));
        let of_a = [GranteeRef::named(&a)];
        assert_eq!(ids(before.on(KEYS[0], "")), ["a", "b", "c"]);
        assert_eq!(ids(before.on(KEYS[0], "aa")), ["b", "c"]);
        assert_eq!(ids(live.on(KEYS[0], "")), ["b", "c"]);
        assert_eq!(ids(before.to(KEYS[0], &of_a)), ["a", "b"]);
        assert_eq!(ids(live.to(KEYS[0], &of_a)), ["b"]);
        assert_eq!(ids(live.retirable_by(GranteeRef::named(&r), "a2")), ["a2", "b", "c"]);
        assert!(live.find(KEYS[0], "a").is_none() && before.find(KEYS[0], "a").is_some());
        assert_eq!((live.len(), before.len(), live.sequence()), (3, 4, 6));
    }
}

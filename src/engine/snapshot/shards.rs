//! A map in many parts: a changed copy shares all parts but those that differ.

use std::hash::BuildHasher as _;
use std::ops::Index;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Entries of one part, when the map is made.
const ROOMY: usize = 64;

/// Entries of one part, when it is time to make the map anew.
const CROWDED: usize = 512;

/// The most parts.
const MOST_PARTS: usize = 4096;

type Part<V> = HashTable<(Arc<str>, V)>;

/// Values by name. Copying it costs a step for each part; changing a copy, the entries of one part.
#[derive(Clone, Debug)]
pub struct Shards<V> {
    hasher: DefaultHashBuilder,
    /// Invariant: a power of two of them.
    parts: Box<[Arc<Part<V>>]>,
    len: usize,
}

impl<V> Default for Shards<V> {
    fn default() -> Self {
        Self { hasher: DefaultHashBuilder::default(), parts: [Arc::default()].into(), len: 0 }
    }
}

impl<V> Shards<V> {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it would be better to make it anew: it has outgrown its parts.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.parts.len() < MOST_PARTS && self.len > self.parts.len() * CROWDED
    }

    /// The value with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&V> {
        self.get_key_value(name).map(|(_, value)| value)
    }

    /// The name as it is kept, and its value.
    #[must_use]
    pub fn get_key_value(&self, name: &str) -> Option<(&Arc<str>, &V)> {
        let hash = self.hasher.hash_one(name);
        let part = self.parts.get(self.part(hash))?;
        part.find(hash, |(known, _)| **known == *name).map(|(name, value)| (name, value))
    }

    /// Whether there is a value with this name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        self.parts.iter().flat_map(|part| part.iter()).map(|(name, value)| (name, value))
    }

    /// The names, in no particular order.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.iter().map(|(name, _)| name)
    }

    /// The values, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Which part a hash belongs to, by bits that the parts make little of.
    fn part(&self, hash: u64) -> usize {
        usize::try_from(hash >> 32).unwrap_or(0) & (self.parts.len() - 1)
    }
}

impl<V: Clone> Shards<V> {
    /// Gives a name a value, whatever it had.
    pub fn insert(&mut self, name: Arc<str>, value: V) {
        let hash = self.hasher.hash_one(&*name);
        let (at, hasher) = (self.part(hash), self.hasher.clone());
        let Some(part) = self.parts.get_mut(at) else { return };
        let part = Arc::make_mut(part);
        match part.find_mut(hash, |(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => {
                part.insert_unique(hash, (name, value), |(name, _)| hasher.hash_one(&**name));
                self.len += 1;
            }
        }
    }

    /// Takes a name away.
    pub fn remove(&mut self, name: &str) {
        let hash = self.hasher.hash_one(name);
        let at = self.part(hash);
        let Some(part) = self.parts.get_mut(at) else { return };
        if let Ok(entry) = Arc::make_mut(part).find_entry(hash, |(known, _)| **known == *name) {
            entry.remove();
            self.len -= 1;
        }
    }

    /// The values, in no particular order, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let parts = self.parts.iter_mut().flat_map(|part| Arc::make_mut(part).iter_mut());
        parts.map(|(_, value)| value)
    }
}

impl<V> FromIterator<(Arc<str>, V)> for Shards<V> {
    /// Of two values with one name, the last counts.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, V)>>(entries: I) -> Self {
        let entries: Vec<(Arc<str>, V)> = entries.into_iter().collect();
        let parts = (entries.len() / ROOMY).next_power_of_two().min(MOST_PARTS);
        let room = entries.len() / parts + ROOMY / 4;
        let hasher = DefaultHashBuilder::default();
        let mut tables: Vec<Part<V>> = (0..parts).map(|_| Part::with_capacity(room)).collect();
        let mut len = 0;
        for (name, value) in entries {
            let hash = hasher.hash_one(&*name);
            let at = usize::try_from(hash >> 32).unwrap_or(0) & (parts - 1);
            let Some(table) = tables.get_mut(at) else { continue };
            match table.find_mut(hash, |(known, _)| *known == name) {
                Some(entry) => entry.1 = value,
                None => {
                    table.insert_unique(hash, (name, value), |(name, _)| hasher.hash_one(&**name));
                    len += 1;
                }
            }
        }
        Self { hasher, parts: tables.into_iter().map(Arc::new).collect(), len }
    }
}

impl<V> Index<&str> for Shards<V> {
    type Output = V;

    /// The value with this name.
    ///
    /// # Panics
    ///
    /// There is none.
    fn index(&self, name: &str) -> &V {
        #[expect(clippy::expect_used, reason = "as other maps do")]
        self.get(name).expect("no entry with this name")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{CROWDED, Shards};

    fn name(index: usize) -> Arc<str> {
        format!("name-{index}").into()
    }

    #[test]
    fn a_changed_copy_differs_where_it_was_changed_and_shares_the_rest() {
        let all: Shards<usize> = (0..10_000).map(|index| (name(index), index)).collect();
        let mut copy = all.clone();
        copy.insert(name(7), 70);
        copy.insert(name(10_000), 1);
        copy.remove("name-8");
        copy.remove("name-8");
        assert_eq!((all.len(), copy.len()), (10_000, 10_000));
        for index in 0..10_000 {
            assert_eq!(all.get(&name(index)), Some(&index));
            let expected = match index {
                7 => Some(70),
                8 => None,
                same => Some(same),
            };
            assert_eq!(copy.get(&name(index)).copied(), expected);
        }
        assert_eq!((copy["name-10000"], all.contains_key("name-10000")), (1, false));
        let shared = all.parts.iter().zip(&copy.parts).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert!(shared >= all.parts.len() - 3, "{shared} of {}", all.parts.len());
        assert_eq!(copy.iter().count(), 10_000);
    }

    #[test]
    fn a_name_counts_once_and_a_map_that_grew_says_so() {
        let twice: Shards<u8> = [(name(1), 1), (name(1), 2)].into_iter().collect();
        assert_eq!((twice.len(), twice.get("name-1")), (1, Some(&2)));
        let mut grown: Shards<usize> = Shards::default();
        assert!(grown.is_empty() && !grown.is_crowded());
        for index in 0..=CROWDED {
            grown.insert(name(index), index);
        }
        assert!(grown.is_crowded());
        grown.values_mut().for_each(|value| *value += 1);
        assert_eq!(grown.values().sum::<usize>(), (1..=CROWDED + 1).sum::<usize>());
    }
}

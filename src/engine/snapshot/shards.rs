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

type Part<E> = HashTable<E>;

/// An entry of a map, which knows its name.
pub trait Named {
    /// What is found by the name.
    type Value;

    /// The name.
    fn name(&self) -> &str;

    /// What is found by it.
    fn value(&self) -> &Self::Value;
}

impl<V> Named for (Arc<str>, V) {
    type Value = V;

    fn name(&self) -> &str {
        &self.0
    }

    fn value(&self) -> &V {
        &self.1
    }
}

/// Values by name. Copying it costs a step for each part; changing a copy, the entries of one part.
#[derive(Clone, Debug)]
pub struct Shards<E> {
    hasher: DefaultHashBuilder,
    /// Invariant: a power of two of them.
    parts: Box<[Arc<Part<E>>]>,
    len: usize,
}

impl<E> Default for Shards<E> {
    fn default() -> Self {
        Self { hasher: DefaultHashBuilder::default(), parts: [Arc::default()].into(), len: 0 }
    }
}

impl<E> Shards<E> {
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

    fn entries(&self) -> impl Iterator<Item = &E> {
        self.parts.iter().flat_map(|part| part.iter())
    }
}

/// To which of so many parts a hash belongs, by bits that the parts make little of.
fn part_of(hash: u64, parts: usize) -> usize {
    usize::try_from(hash >> 32).unwrap_or(0) & (parts - 1)
}

impl<E: Named> Shards<E> {
    /// The value with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&E::Value> {
        let hash = self.hasher.hash_one(name);
        let part = self.parts.get(part_of(hash, self.parts.len()))?;
        part.find(hash, |entry| entry.name() == name).map(E::value)
    }

    /// Whether there is a value with this name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of them, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &E::Value)> {
        self.entries().map(|entry| (entry.name(), entry.value()))
    }

    /// The names, in no particular order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries().map(E::name)
    }

    /// The values, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = &E::Value> {
        self.entries().map(E::value)
    }
}

impl<E: Named + Clone> Shards<E> {
    /// Puts an entry in its place, in which there may be another of its name.
    pub fn insert(&mut self, entry: E) {
        let hash = self.hasher.hash_one(entry.name());
        let (at, hasher) = (part_of(hash, self.parts.len()), self.hasher.clone());
        let Some(part) = self.parts.get_mut(at) else { return };
        let part = Arc::make_mut(part);
        match part.find_mut(hash, |known| known.name() == entry.name()) {
            Some(known) => *known = entry,
            None => {
                part.insert_unique(hash, entry, |entry| hasher.hash_one(entry.name()));
                self.len += 1;
            }
        }
    }

    /// Takes a name away.
    pub fn remove(&mut self, name: &str) {
        let hash = self.hasher.hash_one(name);
        let at = part_of(hash, self.parts.len());
        let Some(part) = self.parts.get_mut(at) else { return };
        if let Ok(entry) = Arc::make_mut(part).find_entry(hash, |known| known.name() == name) {
            entry.remove();
            self.len -= 1;
        }
    }

    /// The entries, in no particular order, to be changed in all but their names.
    pub fn entries_mut(&mut self) -> impl Iterator<Item = &mut E> {
        self.parts.iter_mut().flat_map(|part| Arc::make_mut(part).iter_mut())
    }
}

impl<E: Named> FromIterator<E> for Shards<E> {
    /// Of two values with one name, the last counts.
    fn from_iter<I: IntoIterator<Item = E>>(entries: I) -> Self {
        let entries: Vec<E> = entries.into_iter().collect();
        let parts = (entries.len() / ROOMY).next_power_of_two().min(MOST_PARTS);
        let hasher = DefaultHashBuilder::default();
        // Counted first: a part has no more room than it needs.
        let mut room = vec![0; parts];
        for entry in &entries {
            let part = part_of(hasher.hash_one(entry.name()), parts);
            room.get_mut(part).into_iter().for_each(|room| *room += 1);
        }
        let mut tables: Vec<Part<E>> = room.into_iter().map(Part::with_capacity).collect();
        let mut len = 0;
        for entry in entries {
            let hash = hasher.hash_one(entry.name());
            let Some(table) = tables.get_mut(part_of(hash, parts)) else { continue };
            match table.find_mut(hash, |known| known.name() == entry.name()) {
                Some(known) => *known = entry,
                None => {
                    table.insert_unique(hash, entry, |entry| hasher.hash_one(entry.name()));
                    len += 1;
                }
            }
        }
        Self { hasher, parts: tables.into_iter().map(Arc::new).collect(), len }
    }
}

impl<E: Named> Index<&str> for Shards<E> {
    type Output = E::Value;

    /// The value with this name.
    ///
    /// # Panics
    ///
    /// There is none.
    fn index(&self, name: &str) -> &E::Value {
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
        let all: Shards<(Arc<str>, usize)> =
            (0..10_000).map(|index| (name(index), index)).collect();
        let mut copy = all.clone();
        copy.insert((name(7), 70));
        copy.insert((name(10_000), 1));
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
        let twice: Shards<(Arc<str>, u8)> = [(name(1), 1), (name(1), 2)].into_iter().collect();
        assert_eq!((twice.len(), twice.get("name-1")), (1, Some(&2)));
        let mut grown: Shards<(Arc<str>, usize)> = Shards::default();
        assert!(grown.is_empty() && !grown.is_crowded());
        for index in 0..=CROWDED {
            grown.insert((name(index), index));
        }
        assert!(grown.is_crowded());
        grown.entries_mut().for_each(|(_, value)| *value += 1);
        assert_eq!(grown.values().sum::<usize>(), (1..=CROWDED + 1).sum::<usize>());
    }
}

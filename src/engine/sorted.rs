//! A map in the order of its names that takes no more room than it must, however large it is.

use std::sync::Arc;

/// Entries of a block, when it is made.
const BLOCK: usize = 32;

/// Entries of a block that is divided before one more comes.
const FULL: usize = 128;

type Block<V> = Vec<(Arc<str>, V)>;

/// Values by name, in blocks that follow each other. What is made in order has no room to spare; to
/// insert or remove one entry concerns one block.
#[derive(Clone, Debug)]
pub struct Sorted<V> {
    /// Invariant: none is empty, and the names go up, within the blocks and from one to the next.
    blocks: Vec<Block<V>>,
    len: usize,
}

impl<V> Default for Sorted<V> {
    fn default() -> Self {
        Self { blocks: Vec::new(), len: 0 }
    }
}

impl<V> Sorted<V> {
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

    /// The name as it is kept, and its value.
    #[must_use]
    pub fn get_key_value(&self, name: &str) -> Option<(&Arc<str>, &V)> {
        let block = self.blocks.get(self.block(name))?;
        let (name, value) = block.get(place(block, name).ok()?)?;
        Some((name, value))
    }

    /// The value with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&V> {
        self.get_key_value(name).map(|(_, value)| value)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        self.blocks.iter().flatten().map(|(name, value)| (name, value))
    }

    /// The names, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.iter().map(|(name, _)| name)
    }

    /// The values, in the order of the names.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Gives a name a value, whatever it had.
    pub fn insert(&mut self, name: Arc<str>, value: V) {
        let at = self.block(&name);
        let Some(block) = self.blocks.get_mut(at) else {
            self.blocks.push(vec![(name, value)]);
            self.len += 1;
            return;
        };
        match place(block, &name) {
            Ok(place) => {
                if let Some((_, known)) = block.get_mut(place) {
                    *known = value;
                }
                return;
            }
            Err(place) => block.insert(place, (name, value)),
        }
        self.len += 1;
        if block.len() > FULL {
            let rest = block.split_off(FULL / 2);
            block.shrink_to_fit();
            self.blocks.insert(at + 1, rest);
        }
    }

    /// Takes a name away; whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let at = self.block(name);
        let Some(block) = self.blocks.get_mut(at) else { return false };
        let Ok(place) = place(block, name) else { return false };
        block.remove(place);
        self.len -= 1;
        if block.is_empty() {
            self.blocks.remove(at);
        }
        true
    }

    /// Whether all of these come after all that are there, in order: then they can be appended.
    #[must_use]
    pub fn is_followed_by(&self, entries: &[(Arc<str>, V)]) -> bool {
        let last = self.blocks.last().and_then(|block| block.last());
        let follows = last.zip(entries.first()).is_none_or(|((last, _), (first, _))| last < first);
        follows && entries.is_sorted_by(|(a, _), (b, _)| a < b)
    }

    /// Gives names their values.
    pub fn extend(&mut self, entries: Vec<(Arc<str>, V)>) {
        if !self.is_followed_by(&entries) {
            return entries.into_iter().for_each(|(name, value)| self.insert(name, value));
        }
        self.len += entries.len();
        match self.blocks.last_mut() {
            Some(last) if last.len() + entries.len() <= BLOCK => last.extend(entries),
            Some(_) | None if entries.is_empty() => {}
            Some(_) | None => self.blocks.push(entries),
        }
    }

    /// The block to which a name belongs.
    fn block(&self, name: &str) -> usize {
        let starts = |block: &Block<V>| block.first().is_none_or(|(first, _)| **first <= *name);
        self.blocks.partition_point(starts).saturating_sub(1)
    }
}

impl<V> FromIterator<(Arc<str>, V)> for Sorted<V> {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, V)>>(entries: I) -> Self {
        let (mut sorted, mut entries) = (Self::default(), entries.into_iter());
        loop {
            let mut block = Vec::with_capacity(BLOCK);
            block.extend(entries.by_ref().take(BLOCK));
            if block.is_empty() {
                return sorted;
            }
            sorted.extend(block);
        }
    }
}

/// Where in a block a name is, or would be.
fn place<V>(block: &Block<V>, name: &str) -> Result<usize, usize> {
    block.binary_search_by(|(known, _)| (**known).cmp(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::{FULL, Sorted};

    fn name(number: u64) -> Arc<str> {
        format!("{number:03}").into()
    }

    /// Whether it is what a map of the standard library is, and holds what it says.
    #[track_caller]
    fn check(sorted: &Sorted<u64>, expected: &BTreeMap<Arc<str>, u64>) {
        assert!(sorted.iter().eq(expected.iter()), "{sorted:?}, not {expected:?}");
        assert_eq!((sorted.len(), sorted.is_empty()), (expected.len(), expected.is_empty()));
        for number in 0..1000 {
            assert_eq!(sorted.get(&name(number)), expected.get(&name(number)), "{number}");
        }
        assert!(sorted.blocks.iter().all(|block| (1..=FULL).contains(&block.len())));
    }

    #[test]
    fn it_is_a_map_whatever_is_done_to_it() {
        for start in [0, 1, 2, 300, 1000] {
            let entries = || (0..start).map(|number| (name(number), number));
            let (mut sorted, mut expected) =
                (entries().collect::<Sorted<_>>(), entries().collect::<BTreeMap<_, _>>());
            check(&sorted, &expected);
            let mut state = start + 1;
            for turn in 0..3000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let one = name((state >> 33) % 1000);
                if (state >> 20) % 3 == turn / 1000 {
                    assert_eq!(sorted.remove(&one), expected.remove(&one).is_some());
                } else {
                    sorted.insert(Arc::clone(&one), turn);
                    expected.insert(one, turn);
                }
            }
            check(&sorted, &expected);
        }
    }

    #[test]
    fn what_is_out_of_order_finds_its_place() {
        let entries = |numbers: &[u64]| numbers.iter().map(|n| (name(*n), *n)).collect::<Vec<_>>();
        let (mut sorted, mut expected) = (Sorted::default(), BTreeMap::new());
        for numbers in [&[][..], &[5, 9], &[10], &[], &[7, 8], &[12, 11], &[9, 20], &[30, 30]] {
            sorted.extend(entries(numbers));
            expected.extend(entries(numbers));
            check(&sorted, &expected);
        }
    }
}

//! Lists that are mostly short.

use std::ops::{Deref, DerefMut};

use arrayvec::ArrayVec;

/// A list whose first `N` items stand in place. A longer one allocates.
///
/// Unlike a `SmallVec` it is covariant: a list of longer-lived texts is a list of texts.
#[derive(Clone, Debug)]
pub struct Few<T, const N: usize>(Kind<T, N>);

#[derive(Clone, Debug)]
enum Kind<T, const N: usize> {
    Here(ArrayVec<T, N>),
    Elsewhere(Vec<T>),
}

impl<T, const N: usize> Few<T, N> {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Kind::Here(ArrayVec::new_const()))
    }

    /// Adds an item at the end.
    pub fn push(&mut self, item: T) {
        match &mut self.0 {
            Kind::Here(items) => {
                if let Err(full) = items.try_push(item) {
                    let mut all = Vec::with_capacity(N.saturating_mul(2).saturating_add(1));
                    all.extend(items.drain(..));
                    all.push(full.element());
                    self.0 = Kind::Elsewhere(all);
                }
            }
            Kind::Elsewhere(items) => items.push(item),
        }
    }

    /// Leaves out each item that is the same as the one before it.
    pub fn dedup_by(&mut self, same: impl Fn(&T, &T) -> bool) {
        let mut kept = 0;
        for next in 1..self.len() {
            let is_same =
                matches!((self.get(kept), self.get(next)), (Some(a), Some(b)) if same(a, b));
            if !is_same {
                kept += 1;
                self.swap(kept, next);
            }
        }
        match &mut self.0 {
            Kind::Here(items) => items.truncate(kept + 1),
            Kind::Elsewhere(items) => items.truncate(kept + 1),
        }
    }

    /// Keeps the items for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        match &mut self.0 {
            Kind::Here(items) => items.retain(|item| keep(item)),
            Kind::Elsewhere(items) => items.retain(keep),
        }
    }
}

impl<T, const N: usize> Default for Few<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> Deref for Few<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Kind::Here(items) => items,
            Kind::Elsewhere(items) => items,
        }
    }
}

impl<T, const N: usize> DerefMut for Few<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Kind::Here(items) => items,
            Kind::Elsewhere(items) => items,
        }
    }
}

impl<T: PartialEq, const N: usize> PartialEq for Few<T, N> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq, const N: usize> Eq for Few<T, N> {}

impl<T, const N: usize> FromIterator<T> for Few<T, N> {
    #[inline(always)] // it is long: made elsewhere it would be moved
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter();
        let here: ArrayVec<T, N> = items.by_ref().take(N).collect();
        let mut few = Self(Kind::Here(here));
        items.for_each(|item| few.push(item));
        few
    }
}

impl<T, const N: usize> IntoIterator for Few<T, N> {
    type Item = T;
    type IntoIter = std::iter::Chain<arrayvec::IntoIter<T, N>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        let (here, elsewhere) = match self.0 {
            Kind::Here(items) => (items, Vec::new()),
            Kind::Elsewhere(items) => (ArrayVec::new(), items),
        };
        here.into_iter().chain(elsewhere)
    }
}

impl<'f, T, const N: usize> IntoIterator for &'f Few<T, N> {
    type Item = &'f T;
    type IntoIter = std::slice::Iter<'f, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::Few;

    #[test]
    fn a_list_holds_its_items_in_order_however_many_they_are() {
        for count in 0..9 {
            let mut few: Few<u32, 3> = (0..count).collect();
            assert_eq!(*few, *(0..count).collect::<Vec<_>>());
            few.retain(|item| item % 2 == 0);
            few.push(100);
            let expected: Vec<u32> = (0..count).filter(|item| item % 2 == 0).chain([100]).collect();
            assert_eq!(*few, *expected);
            assert_eq!(few, expected.into_iter().collect());
        }
    }

    #[test]
    fn of_equal_neighbours_the_first_stays() {
        for (items, expected) in [
            (vec![], vec![]),
            (vec![10], vec![10]),
            (vec![10, 11, 20, 21, 22], vec![10, 20]),
            (vec![10, 20, 21, 30, 40, 41], vec![10, 20, 30, 40]),
        ] {
            let mut few: Few<i32, 3> = items.into_iter().collect();
            few.dedup_by(|a, b| a / 10 == b / 10);
            assert_eq!(*few, *expected);
        }
    }
}

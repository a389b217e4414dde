//! What the documents describe, each thing once.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::revision::Digest;
use crate::engine::json::Span;

/// A place in one of the documents, to be shown if need be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which document.
    pub(super) document: usize,
    /// Where in it.
    pub(super) span: Span,
}

/// Things of one kind by identity.
#[derive(Debug)]
pub(super) struct Entities<T>(HashMap<Box<str>, Entity<T>>);

/// One thing.
#[derive(Debug)]
pub(super) struct Entity<T> {
    /// Of its content.
    digest: Digest,
    /// Where it was described first.
    pub(super) mark: Mark,
    /// `None` when the description has errors.
    pub(super) value: Option<T>,
}

impl<T> Default for Entities<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Entities<T> {
    /// Adds a thing, unless it was described before: then the place of the description before, if
    /// that differs.
    pub(super) fn add(
        &mut self,
        id: &str,
        digest: Digest,
        mark: Mark,
        value: Option<T>,
    ) -> Option<Mark> {
        match self.0.entry(id.into()) {
            Entry::Vacant(entry) => {
                entry.insert(Entity { digest, mark, value });
                None
            }
            Entry::Occupied(entry) => (entry.get().digest != digest).then_some(entry.get().mark),
        }
    }

    /// The thing with this identity.
    pub(super) fn get(&self, id: &str) -> Option<&Entity<T>> {
        self.0.get(id)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them with their identities.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Entity<T>)> {
        self.0.iter().map(|(id, entity)| (&**id, entity))
    }

    /// All of them that have no errors, with identities and places.
    pub(super) fn into_values(self) -> impl Iterator<Item = (Box<str>, Mark, T)> {
        self.0.into_iter().filter_map(|(id, entity)| Some((id, entity.mark, entity.value?)))
    }
}

//! What documents describe, each thing once.

use std::sync::Arc;

use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashSet};

use super::revision::Digest;
use crate::engine::json::Span;

/// Things of one kind by identity, while a document is read.
#[derive(Debug)]
pub(super) struct Entities<T>(HashMap<Arc<str>, Entity<T>>);

/// Things of one kind by identity, sorted: what a document says of them.
pub(super) type Things<T> = Box<[(Arc<str>, Entity<T>)]>;

/// One thing.
#[derive(Debug)]
pub(super) struct Entity<T> {
    /// Of its content.
    pub(super) digest: Digest,
    /// Where in its document it was described first.
    pub(super) span: Span,
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
        id: Arc<str>,
        digest: Digest,
        span: Span,
        value: Option<T>,
    ) -> Option<Span> {
        match self.0.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(Entity { digest, span, value });
                None
            }
            Entry::Occupied(entry) => (entry.get().digest != digest).then_some(entry.get().span),
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub(super) fn into_things(self) -> Things<T> {
        let mut things: Vec<_> = self.0.into_iter().collect();
        things.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        things.into()
    }
}

/// A place in one of the documents, to be shown if need be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Which document.
    pub(super) document: usize,
    /// Where in it.
    pub(super) span: Span,
}

/// Things of one kind by identity, of all documents.
#[derive(Debug)]
pub(super) struct Merged<'p, T> {
    entities: HashMap<&'p str, (usize, &'p Entity<T>)>,
    /// What several documents describe.
    shared: HashSet<&'p str>,
}

impl<T> Default for Merged<'_, T> {
    fn default() -> Self {
        Self { entities: HashMap::new(), shared: HashSet::new() }
    }
}

impl<'p, T> Merged<'p, T> {
    /// Adds what a document says. Each thing that an earlier document describes otherwise is told:
    /// where it is described first, and where now.
    pub(super) fn add(
        &mut self,
        document: usize,
        things: &'p Things<T>,
        mut differs: impl FnMut(&str, Mark, Mark),
    ) {
        for (id, entity) in things {
            match self.entities.entry(&**id) {
                Entry::Vacant(entry) => {
                    entry.insert((document, entity));
                }
                Entry::Occupied(entry) => {
                    self.shared.insert(&**id);
                    let (first, before) = *entry.get();
                    if before.digest != entity.digest {
                        let first = Mark { document: first, span: before.span };
                        differs(id, first, Mark { document, span: entity.span });
                    }
                }
            }
        }
    }

    /// The thing with this identity.
    pub(super) fn get(&self, id: &str) -> Option<&'p Entity<T>> {
        self.entities.get(id).map(|(_, entity)| *entity)
    }

    /// What several documents describe.
    pub(super) fn shared(&self) -> HashSet<Arc<str>> {
        self.shared.iter().map(|id| Arc::from(*id)).collect()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// The identities of all of them.
    pub(super) fn ids(&self) -> impl Iterator<Item = &'p str> {
        self.entities.keys().copied()
    }

    /// All of them that have no errors, with identities and places.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'p str, Mark, &'p T)> {
        self.entities.iter().filter_map(|(id, (document, entity))| {
            let mark = Mark { document: *document, span: entity.span };
            Some((*id, mark, entity.value.as_ref()?))
        })
    }
}

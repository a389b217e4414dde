//! What documents describe, each thing once.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use hashbrown::hash_map::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable, hash_table};

use super::revision::Digest;
use crate::engine::json::Span;

/// Things of one kind by identity, while a document is read.
#[derive(Debug)]
pub(super) struct Entities<T>(HashMap<Arc<str>, Entity<T>>);

/// Things of one kind by identity, sorted: what a document says of them.
pub(super) type Things<T> = Box<[Thing<T>]>;

/// Its identity, and what is said of it.
pub(super) type Thing<T> = (Arc<str>, Entity<T>);

/// One thing.
#[derive(Debug)]
pub(super) struct Entity<T> {
    /// Of its content.
    pub(super) digest: Digest,
    /// Where in its document it was described first: no document is so long that this is too short.
    start: u32,
    end: u32,
    /// `None` when the description has errors.
    pub(super) value: Option<T>,
}

impl<T> Entity<T> {
    fn new(digest: Digest, span: Span, value: Option<T>) -> Self {
        let narrow = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { digest, start: narrow(span.start), end: narrow(span.end), value }
    }

    /// Where in its document it was described first.
    pub(super) fn span(&self) -> Span {
        let wide = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
        Span { start: wide(self.start), end: wide(self.end) }
    }
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
                entry.insert(Entity::new(digest, span, value));
                None
            }
            Entry::Occupied(entry) => (entry.get().digest != digest).then(|| entry.get().span()),
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
    hasher: DefaultHashBuilder,
    /// The documents that describe them first, and what these say.
    things: HashTable<(u32, &'p Thing<T>)>,
    /// What several documents describe.
    shared: HashSet<&'p str>,
}

impl<T> Default for Merged<'_, T> {
    fn default() -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            things: HashTable::new(),
            shared: HashSet::new(),
        }
    }
}

impl<'p, T> Merged<'p, T> {
    /// Makes room for so many more, and no more than that.
    pub(super) fn reserve(&mut self, more: usize) {
        let hasher = &self.hasher;
        self.things.reserve(more, |(_, (id, _))| hasher.hash_one(&**id));
    }

    /// Adds what a document says. Each thing that an earlier document describes otherwise is told:
    /// where it is described first, and where now.
    pub(super) fn add(
        &mut self,
        document: usize,
        things: &'p [Thing<T>],
        mut differs: impl FnMut(&str, Mark, Mark),
    ) {
        let hasher = &self.hasher;
        let hash = |(_, (id, _)): &(u32, &'p Thing<T>)| hasher.hash_one(&**id);
        for thing in things {
            let (id, entity) = thing;
            let added = (u32::try_from(document).unwrap_or(u32::MAX), thing);
            let same = |(_, (known, _)): &(u32, &'p Thing<T>)| known == id;
            match self.things.entry(hash(&added), same, hash) {
                hash_table::Entry::Vacant(entry) => {
                    entry.insert(added);
                }
                hash_table::Entry::Occupied(entry) => {
                    self.shared.insert(&**id);
                    let (_, (_, before)) = entry.get();
                    if before.digest != entity.digest {
                        let first = mark(entry.get());
                        differs(id, first, mark(&added));
                    }
                }
            }
        }
    }

    /// The thing with this identity.
    pub(super) fn get(&self, id: &str) -> Option<&'p Entity<T>> {
        let same = |(_, (known, _)): &(u32, &'p Thing<T>)| **known == *id;
        self.things.find(self.hasher.hash_one(id), same).map(|(_, (_, entity))| entity)
    }

    /// What several documents describe.
    pub(super) fn shared(&self) -> HashSet<Arc<str>> {
        self.shared.iter().map(|id| Arc::from(*id)).collect()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    /// The identities of all of them.
    pub(super) fn ids(&self) -> impl Iterator<Item = &'p str> {
        self.things.iter().map(|(_, (id, _))| &**id)
    }

    /// All of them that have no errors, with identities and places.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'p str, Mark, &'p T)> {
        self.things.iter().filter_map(|found| {
            let (_, (id, entity)) = found;
            Some((&**id, mark(found), entity.value.as_ref()?))
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.things.len()
    }
}

/// Where a thing is described first.
fn mark<T>((document, (_, entity)): &(u32, &Thing<T>)) -> Mark {
    let document = usize::try_from(*document).unwrap_or(usize::MAX);
    Mark { document, span: entity.span() }
}

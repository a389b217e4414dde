//! A set that is put together again and again. Most changes are those of documents that describe
//! keys and nothing else: then only these keys are put in their places, and all else is shared
//! with the set before.

use std::sync::Arc;

use hashbrown::HashSet;

use super::aliases::Target;
use super::fingerprints::Fingerprints;
use super::link::{MOST_ALIASES, alias_name, named};
use super::piece::Piece;
use super::{Built, Merging, assemble};
use crate::engine::bundle::Options;
use crate::engine::problem::{Problem, Problems};
use crate::engine::snapshot::grants::Grants;
use crate::engine::snapshot::grants::documents::DocumentGrants;
use crate::engine::snapshot::grants::live::LiveGrants;
use crate::engine::snapshot::{Key, PolicySet, Snapshot};
use crate::engine::sorted::Sorted;

/// What the documents of a set say, and the set that was last put together of them.
#[derive(Debug, Default)]
pub struct Assembly {
    pieces: Sorted<Piece>,
    /// Kept up with every change; `None` if they must be counted from the start.
    fingerprints: Option<Fingerprints>,
    /// Kept up with every change; `None` if the next set must be put together from the start.
    draft: Option<Draft>,
}

/// A good set that becomes the next one.
#[derive(Debug)]
struct Draft {
    policies: PolicySet,
    grants: Arc<DocumentGrants>,
    warnings: Vec<Problem>,
    assertions: Vec<super::Assertion>,
    /// Documents with warnings.
    warned: HashSet<Arc<str>>,
    /// Keys and aliases that several documents describe.
    shared: HashSet<Arc<str>>,
    /// Whether a key that is added or removed concerns nobody else: no alias or grant is for a key
    /// that is not there, and no grant names its key by the id alone.
    apart: bool,
}

impl Assembly {
    /// How many documents there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The names of the documents, in order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.pieces.keys()
    }

    /// Takes over what a document says now.
    pub fn set(&mut self, name: Arc<str>, piece: Piece) {
        self.change(&name, Some(&piece));
        self.pieces.insert(name, piece);
    }

    /// Takes over what documents say now.
    pub fn extend(&mut self, documents: Vec<(Arc<str>, Piece)>) {
        if documents.is_empty() || self.draft.is_some() || !self.pieces.is_followed_by(&documents) {
            return documents.into_iter().for_each(|(name, piece)| self.set(name, piece));
        }
        self.fingerprints = None;
        self.pieces.extend(documents);
    }

    /// Takes a document away; whether it was there.
    pub fn remove(&mut self, name: &Arc<str>) -> bool {
        let there = self.pieces.get(name).is_some();
        if there {
            self.change(name, None);
            self.pieces.remove(name);
        }
        there
    }

    /// Puts the set together; `texts` gives the text of a document, to show where something is
    /// wrong.
    ///
    /// # Errors
    ///
    /// The set cannot be used: everything that is wrong with it.
    pub fn assemble(
        &mut self,
        options: &Options,
        texts: &dyn Fn(&str) -> Option<Arc<str>>,
    ) -> Result<Built, Problems> {
        let digests = || self.pieces.values().flat_map(Piece::fingerprints);
        let fingerprints = self.fingerprints.get_or_insert_with(|| Fingerprints::of(digests));
        let revision = fingerprints.revision();
        if let Some(draft) = &mut self.draft {
            draft.policies.revision = revision;
            return Ok(draft.built());
        }
        let mut pieces: Vec<(&Arc<str>, &Piece)> = Vec::with_capacity(self.pieces.len());
        pieces.extend(self.pieces.iter());
        let text = |at: usize| pieces.get(at).and_then(|(name, _)| texts(name));
        let (built, merging) = assemble(&pieces, options, &text, revision)?;
        self.draft = Some(Draft::of(&built, merging));
        Ok(built)
    }

    fn change(&mut self, name: &Arc<str>, after: Option<&Piece>) {
        let before = self.pieces.get(name);
        if let Some(fingerprints) = &mut self.fingerprints {
            fingerprints.remove(before.into_iter().flat_map(Piece::fingerprints));
            fingerprints.add(after.into_iter().flat_map(Piece::fingerprints));
        }
        let Some(draft) = &mut self.draft else { return };
        let fits = !draft.warned.contains(name)
            && Plain::of(before).zip(Plain::of(after)).is_some_and(|(before, after)| {
                draft.admits(&before, &after) && draft.change(&before, &after)
            });
        if !fits {
            self.draft = None;
        }
    }
}

/// A document that describes keys and their aliases, and nothing else.
struct Plain<'p> {
    /// In order of their ARNs.
    keys: Vec<&'p Arc<Key>>,
    /// Alias ARN and key ARN, in order; the keys are among `keys`.
    aliases: Vec<(&'p Arc<str>, &'p Target)>,
}

impl<'p> Plain<'p> {
    /// `None` if it is another document. One that is not there describes no keys.
    fn of(piece: Option<&'p Piece>) -> Option<Self> {
        let Some(piece) = piece else {
            return Some(Self { keys: Vec::new(), aliases: Vec::new() });
        };
        if piece.rest().is_some() {
            return None;
        }
        let keys = piece.keys.iter().map(|(_, entity)| entity.value.as_ref());
        let aliases =
            piece.aliases().iter().map(|(arn, entity)| Some((arn, entity.value.as_ref()?)));
        let (keys, aliases): (Vec<_>, Vec<_>) =
            (keys.collect::<Option<_>>()?, aliases.collect::<Option<_>>()?);
        let plain = Self { keys, aliases };
        plain.aliases.iter().all(|(_, target)| plain.key(target).is_some()).then_some(plain)
    }

    fn key(&self, arn: &str) -> Option<&'p Arc<Key>> {
        let at = self.keys.binary_search_by(|key| (*key.arn).cmp(arn)).ok()?;
        self.keys.get(at).copied()
    }

    /// The target of an alias.
    fn target(&self, alias: &str) -> Option<&'p Target> {
        let at = self.aliases.binary_search_by(|(arn, _)| (***arn).cmp(alias)).ok()?;
        self.aliases.get(at).map(|(_, target)| *target)
    }

    /// Names of the aliases of a key.
    fn names<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a str> {
        let own = self.aliases.iter().filter(|(_, target)| ***target == *key.arn);
        own.map(|(arn, _)| alias_name(arn))
    }
}

impl Draft {
    fn of(built: &Built, merging: Merging) -> Self {
        let warnings = built.warnings.clone();
        let places = warnings.iter().filter_map(|warning| warning.place.as_ref());
        let strays = ["alias-for-unknown-key", "grant-for-unknown-key"];
        let stray = warnings.iter().any(|warning| strays.contains(&warning.code));
        Self {
            policies: PolicySet::clone(&built.snapshot.policies),
            grants: Arc::clone(&built.snapshot.grants.documents),
            warned: places.map(|place| Arc::clone(&place.document)).collect(),
            warnings,
            assertions: built.assertions.clone(),
            shared: merging.shared,
            apart: !merging.grants_by_id && !stray,
        }
    }

    fn built(&self) -> Built {
        let grants = Grants { documents: Arc::clone(&self.grants), live: LiveGrants::default() };
        Built {
            snapshot: Snapshot { policies: Arc::new(self.policies.clone()), grants },
            warnings: self.warnings.clone(),
            assertions: self.assertions.clone(),
        }
    }

    /// Whether one document in the place of the other concerns no other document.
    fn admits(&self, before: &Plain<'_>, after: &Plain<'_>) -> bool {
        let alone = |arn: &str| !self.shared.contains(arn);
        let set = &self.policies;
        let removed = before.keys.iter().all(|key| {
            let goes = after.key(&key.arn).is_none();
            // The Region of all keys may be another one when a key of another Region goes.
            let bound = || set.only_region.is_none() || !self.grants.on(&key.arn).is_empty();
            let others = || {
                let linked = set.keys.get(&key.arn).map_or(0, |key| key.aliases.len());
                linked != before.names(key).count()
            };
            alone(&key.arn) && !(goes && (!self.apart || bound() || others()))
        });
        let added = after.keys.iter().all(|key| {
            let comes = before.key(&key.arn).is_none();
            let elsewhere = || match &set.only_region {
                Some(region) => **region != *key.region(),
                None => set.keys.is_empty(),
            };
            alone(&key.arn)
                && !(comes && (!self.apart || elsewhere() || set.keys.contains_key(&key.arn)))
        });
        let left = before
            .aliases
            .iter()
            .all(|(arn, target)| after.target(arn) == Some(*target) || alone(arn));
        let made = after.aliases.iter().all(|(arn, target)| match before.target(arn) {
            Some(same) if same == *target => true,
            Some(_) => alone(arn),
            None => !set.aliases.contains_key(arn),
        });
        removed && added && left && made
    }

    /// Puts one document in the place of the other; whether the set may be used as it is then.
    fn change(&mut self, before: &Plain<'_>, after: &Plain<'_>) -> bool {
        let set = &mut self.policies;
        for (arn, _) in before.aliases.iter().filter(|(arn, _)| after.target(arn).is_none()) {
            set.aliases.remove(arn);
        }
        for (arn, target) in after.aliases.iter().filter(|(arn, to)| before.target(arn) != Some(to))
        {
            set.aliases.insert((Arc::clone(arn), (*target).clone()));
        }
        for key in before.keys.iter().filter(|key| after.key(&key.arn).is_none()) {
            set.keys.remove(&key.arn);
        }
        let mut usable = true;
        for key in &after.keys {
            let known = set.keys.get(&key.arn).map_or(&[][..], |known| &known.aliases);
            let own: Vec<&str> =
                before.key(&key.arn).map_or(Vec::new(), |key| before.names(key).collect());
            let mut names: Vec<Box<str>> =
                known.iter().filter(|name| !own.contains(&&***name)).cloned().collect();
            names.extend(after.names(key).map(Box::from));
            names.sort_unstable();
            usable &= names.len() <= MOST_ALIASES;
            set.keys.insert(named(key, names));
        }
        let grown = set.keys.is_crowded() || set.aliases.is_crowded();
        usable
            && !grown
            && !set.keys.is_empty()
            && (before.aliases.is_empty() || !set.aliases.is_empty())
    }
}

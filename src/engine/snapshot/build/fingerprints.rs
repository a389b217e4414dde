//! The revision of a set, in two levels: what changed is counted again, the rest is not.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::revision::Digest;

/// Into how many parts fingerprints are divided, by their first bits.
const PARTS: usize = 1024;

/// Fingerprints of the things of a set, as often as they are described.
#[derive(Clone, Debug)]
pub(super) struct Fingerprints(Box<[Part]>);

#[derive(Clone, Debug, Default)]
struct Part {
    digests: Vec<Digest>,
    /// Whether they are in order.
    unsorted: bool,
    /// Of all of them; `None` while that is not known.
    hash: Option<Digest>,
}

impl Default for Fingerprints {
    fn default() -> Self {
        Self(vec![Part::default(); PARTS].into())
    }
}

impl Fingerprints {
    /// Of these, which are gone through twice: so no part has room to spare.
    pub(super) fn of<'d, D: Iterator<Item = &'d Digest>>(digests: impl Fn() -> D) -> Self {
        let mut all = Self::default();
        let mut room = vec![0; PARTS];
        for digest in digests() {
            room.get_mut(number(digest)).into_iter().for_each(|room| *room += 1);
        }
        for (part, room) in all.0.iter_mut().zip(room) {
            part.digests.reserve_exact(room);
        }
        all.add(digests());
        all
    }

    /// Adds some.
    pub(super) fn add<'d>(&mut self, digests: impl IntoIterator<Item = &'d Digest>) {
        for digest in digests {
            let Some(part) = self.part(digest) else { continue };
            part.digests.push(*digest);
            (part.unsorted, part.hash) = (true, None);
        }
    }

    /// Takes some away, each once.
    pub(super) fn remove<'d>(&mut self, digests: impl IntoIterator<Item = &'d Digest>) {
        for digest in digests {
            let Some(part) = self.part(digest) else { continue };
            part.sort();
            if let Ok(at) = part.digests.binary_search(digest) {
                part.digests.remove(at);
                part.hash = None;
            }
        }
    }

    /// The revision: neither the order of things matters, nor how often each is described.
    pub(super) fn revision(&mut self) -> Arc<str> {
        let mut hash = Sha256::new();
        for (number, part) in (0_u16..).zip(&mut self.0) {
            if !part.digests.is_empty() {
                hash.update(number.to_be_bytes());
                hash.update(part.hash());
            }
        }
        let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{digits}").into()
    }

    fn part(&mut self, digest: &Digest) -> Option<&mut Part> {
        self.0.get_mut(number(digest))
    }
}

/// The part to which a fingerprint belongs.
fn number([first, second, ..]: &Digest) -> usize {
    usize::from(u16::from_be_bytes([*first, *second])) * PARTS / 65_536
}

impl Part {
    fn sort(&mut self) {
        if std::mem::take(&mut self.unsorted) {
            self.digests.sort_unstable();
        }
    }

    fn hash(&mut self) -> Digest {
        self.sort();
        let digests = &self.digests;
        *self.hash.get_or_insert_with(|| {
            let mut hash = Sha256::new();
            for same in digests.chunk_by(|a, b| a == b) {
                same.first().into_iter().for_each(|digest| hash.update(digest));
            }
            hash.finalize().into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::revision::{Digest, digest};
    use super::Fingerprints;

    fn digests(numbers: impl IntoIterator<Item = u32>) -> Vec<Digest> {
        numbers.into_iter().map(|number| digest(&number.to_be_bytes())).collect()
    }

    #[test]
    fn whatever_way_leads_to_a_set_its_revision_is_the_same() {
        let mut at_once = Fingerprints::default();
        at_once.add(&digests(0..5000));
        let mut in_steps = Fingerprints::default();
        in_steps.add(&digests((0..6000).rev()));
        in_steps.add(&digests([17, 4999]));
        assert_ne!(in_steps.revision(), at_once.revision());
        in_steps.remove(&digests(5000..6000));
        assert_eq!(in_steps.revision(), at_once.revision());
        let counted = digests(0..5000);
        assert_eq!(Fingerprints::of(|| counted.iter()).revision(), at_once.revision());
        // Described twice, and then by one of them no more.
        in_steps.remove(&digests([17]));
        assert_eq!(in_steps.revision(), at_once.revision());
        in_steps.remove(&digests([17]));
        assert_ne!(in_steps.revision(), at_once.revision());
        in_steps.add(&digests([17]));
        assert_eq!(in_steps.revision(), at_once.revision());
        in_steps.remove(&digests(0..5000));
        in_steps.remove(&digests([4999]));
        assert_eq!(in_steps.revision(), Fingerprints::default().revision());
    }
}

//! What was acknowledged, and whether the answers fit to it.

use std::collections::{BTreeMap, BTreeSet};

/// The bounds within which the state of an answer must lie: a state that has all that was
/// acknowledged before the question, and nothing that began after the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The last change that was acknowledged when the question was asked.
    pub(crate) floor: u64,
    /// How many changes had begun when the answer came.
    pub(crate) ceiling: u64,
}

impl Bounds {
    #[track_caller]
    fn hold(self, sequence: u64, what: &str) {
        assert!(self.floor <= sequence, "{what}: older than what was acknowledged: {self:?}");
        assert!(sequence <= self.ceiling, "{what}: newer than what had begun: {self:?}");
    }
}

/// What somebody saw.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// Created, or found to be there.
    Created { slot: String, id: String },
    /// Revoked or retired.
    Removed { id: String },
    /// Whether a slot was open.
    Decided { slot: String, allowed: bool },
    /// All grants of the database.
    Listed { ids: BTreeSet<String> },
}

/// Something that was answered, with the number of the state in the answer.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) seen: Seen,
    pub(crate) sequence: u64,
    pub(crate) bounds: Bounds,
}

/// A grant: its slot, the change that created it, and the one that removed it.
struct Life {
    slot: String,
    from: u64,
    to: u64,
}

impl Life {
    fn has(&self, sequence: u64) -> bool {
        self.from <= sequence && sequence < self.to
    }
}

/// Checks that one order of the changes, that of their numbers, explains every answer.
pub(crate) fn check(events: &[Event]) {
    let mut lives: BTreeMap<&str, Life> = BTreeMap::new();
    for event in events {
        if let Seen::Created { slot, id } = &event.seen {
            let life = lives.entry(id).or_insert_with(|| Life {
                slot: slot.clone(),
                from: event.sequence,
                to: u64::MAX,
            });
            // A repetition is answered with a later state.
            life.from = life.from.min(event.sequence);
        }
    }
    let mut changes: BTreeSet<u64> = lives.values().map(|life| life.from).collect();
    assert_eq!(changes.len(), lives.len(), "two creations with one number");
    for event in events {
        if let Seen::Removed { id } = &event.seen {
            assert!(changes.insert(event.sequence), "{event:?}: a number that was used");
            let life = lives.get_mut(&**id).expect("a grant that was created");
            assert_eq!(life.to, u64::MAX, "{event:?}: removed twice");
            assert!(life.from < event.sequence, "{event:?}: removed before it was created");
            life.to = event.sequence;
        }
    }
    let count = changes.len() as u64;
    assert!(changes.iter().copied().eq(1..=count), "every number from 1 to {count}: {changes:?}");
    for event in events {
        let at = event.sequence;
        event.bounds.hold(at, &format!("{event:?}"));
        match &event.seen {
            Seen::Created { slot, id } => {
                let life = &lives[&**id];
                assert!(life.has(at) && life.slot == *slot, "{event:?}: not there");
            }
            Seen::Removed { .. } => {}
            Seen::Decided { slot, allowed } => {
                let open = lives.values().any(|life| life.slot == *slot && life.has(at));
                assert_eq!(*allowed, open, "{event:?}");
            }
            Seen::Listed { ids } => {
                let there = lives.iter().filter(|(_, life)| life.has(at));
                let there: BTreeSet<String> = there.map(|(id, _)| (*id).to_owned()).collect();
                assert_eq!(*ids, there, "{event:?}");
            }
        }
    }
}

//! What policies said before, so that long ones need not be looked at again.
//!
//! Nothing is kept that could become wrong. What is kept is what [`Heard::listen`] came to, by the places
//! of the statements; it depends on its [`Grounds`] and on nothing else, and is found again only by
//! grounds that are the same through and through. The grants, the state of the key and whatever bars
//! a request whatever policies say are looked at each time, and `combine` makes the decision each
//! time: an allow is never kept, and is minted where all others are.
//!
//! The instant of a decision is no part of the grounds. Where a condition asked for it, nothing is
//! kept; where none did, none would at another instant, for all else is the same.

use super::facts::Facts;
use super::heard::Heard;
use super::observer::Observer;
use super::places::Places;
use super::resource::Resource;
use crate::engine::snapshot::{Identity, Key};

pub use super::grounds::{Grounds, Held};
pub use super::places::Findings;

/// Where what policies say may be kept.
pub trait Memory {
    /// The effort of the caller's own policies from which on it is dearer to go through them than to
    /// ask here.
    fn worthwhile(&self) -> u32;
    /// What was kept on these grounds.
    fn recall(&self, grounds: &Grounds<'_>) -> Option<Findings>;
    /// Keeps what policies said on these grounds.
    fn keep(&self, grounds: &Grounds<'_>, findings: Findings);
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Memory for Nothing {
    fn worthwhile(&self) -> u32 {
        u32::MAX
    }
    fn recall(&self, _: &Grounds<'_>) -> Option<Findings> {
        None
    }
    fn keep(&self, _: &Grounds<'_>, _: Findings) {}
}

/// What the policies say, from the memory where that is worth it.
#[inline(always)]
pub(super) fn hear<'a>(
    heard: &mut Heard<'a>,
    facts: &Facts<'a, '_>,
    observer: &mut impl Observer,
    memory: &impl Memory,
) {
    match (facts.resource, facts.caller.identity) {
        (Resource::Key(key), Some(identity)) if identity.effort >= memory.worthwhile() => {
            remember(heard, facts, (key, identity), observer, memory);
        }
        _ => heard.listen(facts, observer),
    }
}

#[inline(never)]
fn remember<'a>(
    heard: &mut Heard<'a>,
    facts: &Facts<'a, '_>,
    (key, identity): (&'a Key, &'a Identity),
    observer: &mut impl Observer,
    memory: &impl Memory,
) {
    let mut grounds = Grounds::default();
    if !grounds.fill(facts, key, identity) {
        return heard.listen(facts, observer);
    }
    let places = Places::of(facts, key, identity);
    if let Some(known) = memory.recall(&grounds).and_then(|findings| findings.heard(&places)) {
        *heard = known;
        return;
    }
    heard.listen(facts, observer);
    if !facts.asked_the_time.get()
        && let Some(findings) = Findings::of(heard, &places)
    {
        memory.keep(&grounds, findings);
    }
}

//! Best practices made checkable: what is wrong, dangerous or useless in a policy set that can be
//! used.
//!
//! Pure, as the engine is: a snapshot and the documents it was made of go in, findings come out.
//! What the engine can decide, a rule asks the engine ([`ask`]); what stands in the text, it reads
//! from the documents again, with places ([`view`]), so that a snapshot keeps none. A policy that
//! many keys carry is looked at once ([`memo`]).

pub mod ask;
pub mod finding;
pub mod memo;
pub mod open;
pub mod page;
pub mod rule;
pub mod rules;
pub mod set;
pub mod single;
mod suppress;
pub mod view;
mod walk;

use std::sync::Arc;

use self::finding::Findings;
use self::set::Set;
use self::walk::Walk;
use crate::engine::bundle::{Document, Options};
use crate::engine::json::{Source, read};
use crate::engine::snapshot::Snapshot;
use crate::engine::term::time::Timestamp;

/// What findings depend on beside the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The instant at which dates have passed and grants are old.
    pub now: Timestamp,
    /// Days after which a grant is old.
    pub grant_days: u32,
}

/// Days after which a grant is old, unless told otherwise.
pub const GRANT_DAYS: u32 = 365;

/// Looks at a set. `snapshot` was built from `documents`.
#[must_use]
pub fn lint(
    documents: &[Document],
    options: &Options,
    snapshot: &Snapshot,
    settings: Settings,
) -> Findings {
    let sources: Vec<Source<'_>> = documents
        .iter()
        .map(|document| Source::new(Arc::clone(&document.name), &document.text))
        .collect();
    let set = Set::new(snapshot, options, settings);
    let mut walk = Walk::new(&set);
    for source in &sources {
        // What cannot be read is told when the set is built.
        if let Some(json) = read(source, &options.limits, &mut Vec::new()) {
            walk.document(source, &json);
        }
    }
    walk.finish()
}

#[cfg(test)]
mod tests;

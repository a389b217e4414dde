//! How the policy set is doing.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::problem::{Problem, Problems};
use crate::engine::snapshot::Snapshot;
use crate::engine::snapshot::build::Built;
use crate::engine::term::time::Timestamp;

/// How the policy set is doing at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether what answers is what the source holds.
    pub state: State,
    /// The set that answers.
    pub active: Active,
    /// When the source was last read, whatever came of it.
    pub checked: Timestamp,
    /// When it was last seen that what answers is what the source holds.
    pub confirmed: Timestamp,
    /// Whether answers are withheld, or the service is not ready: the source could not be read for
    /// too long.
    pub stale: Option<WhenStale>,
    /// Why changes are not told by the operating system, so that the source is looked at from time
    /// to time instead.
    pub watch_trouble: Option<String>,
    /// What happened so far.
    pub counts: ReloadCounts,
}

/// Whether what answers is what the source holds.
#[derive(Clone, Debug)]
pub enum State {
    /// It is.
    Current,
    /// The source holds a set that cannot be used; the one before answers.
    Refused(Arc<Refused>),
    /// The source cannot be read; what was read last answers.
    Unreadable {
        /// Since when.
        since: Timestamp,
        /// Why.
        problem: Arc<Problem>,
    },
}

/// A set that cannot be used.
#[derive(Clone, Debug)]
pub struct Refused {
    /// When it was refused.
    pub at: Timestamp,
    /// Everything that is wrong with it.
    pub problems: Problems,
}

/// The set that answers.
#[derive(Clone, Debug)]
pub struct Active {
    /// Its revision.
    pub revision: Arc<str>,
    /// Since when it answers.
    pub since: Timestamp,
    /// Where it came from.
    pub origin: Origin,
    /// What is odd about it.
    pub warnings: Arc<[Problem]>,
    /// What is in it.
    pub contents: Contents,
}

/// Where the set that answers came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The source.
    Source,
    /// The copy that was kept of the last good set.
    LastGood,
}

/// How many things a set describes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Documents.
    pub documents: usize,
    /// Keys.
    pub keys: usize,
    /// Aliases.
    pub aliases: usize,
    /// Grants of the documents.
    pub grants: usize,
    /// IAM users.
    pub users: usize,
    /// IAM roles.
    pub roles: usize,
    /// VPC endpoints.
    pub endpoints: usize,
    /// Assertions.
    pub assertions: usize,
}

/// How often what happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadCounts {
    /// A set was taken over.
    pub applied: u64,
    /// A set was refused.
    pub refused: u64,
    /// The source could not be read.
    pub unreadable: u64,
}

/// What to do when the source could not be read for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenStale {
    /// Answer as before.
    Serve,
    /// Give no answers.
    Deny,
    /// Answer, but say that the service is not ready.
    NotReady,
}

/// For how long a source may be unreadable, and what to do then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxStaleness {
    /// For how long.
    pub after: Duration,
    /// What to do then.
    pub then: WhenStale,
}

impl Active {
    /// A set that was just taken over.
    #[must_use]
    pub fn new(built: &Built, documents: usize, origin: Origin, now: Timestamp) -> Self {
        let mut contents = Contents::of(&built.snapshot);
        (contents.documents, contents.assertions) = (documents, built.assertions.len());
        Self {
            revision: Arc::clone(&built.snapshot.revision),
            since: now,
            origin,
            warnings: built.warnings.as_slice().into(),
            contents,
        }
    }
}

impl Contents {
    /// What is in a snapshot.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            documents: 0,
            keys: snapshot.keys.len(),
            aliases: snapshot.aliases.len(),
            grants: snapshot.grants.documents.len(),
            users: snapshot.users.len(),
            roles: snapshot.roles.len(),
            endpoints: snapshot.endpoints.len(),
            assertions: 0,
        }
    }
}

impl Status {
    /// Of a set that answers and is what the source holds.
    #[must_use]
    pub fn current(active: Active) -> Self {
        Self {
            state: State::Current,
            checked: active.since,
            confirmed: active.since,
            active,
            stale: None,
            watch_trouble: None,
            counts: ReloadCounts::default(),
        }
    }

    /// Whether the last reload succeeded: what answers is what the source holds.
    #[must_use]
    pub fn is_current(&self) -> bool {
        matches!(self.state, State::Current)
    }

    /// Whether the service should be asked.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !matches!(self.stale, Some(WhenStale::Deny | WhenStale::NotReady))
    }
}

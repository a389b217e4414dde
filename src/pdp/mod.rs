//! The living thing: which snapshot answers now.

pub mod counters;
pub mod decisions;
pub mod grants;
pub mod last_good;
pub mod live;
pub mod load;
pub mod progress;
pub mod reload;
pub mod sessions;
pub mod status;
mod wake;
pub mod what_if;

use std::sync::Arc;

use arc_swap::Guard;

use self::decisions::Decisions;
use self::grants::GrantStore;
use self::live::Live;
use self::sessions::SessionPolicies;
use self::what_if::Folder;
use crate::engine::snapshot::Snapshot;

/// Answers from one snapshot at a time. There is always one.
#[derive(Debug)]
pub struct Pdp {
    live: Arc<Live>,
    sessions: SessionPolicies,
    decisions: Decisions,
    grants: Option<GrantStore>,
    folder: Option<Folder>,
}

impl Pdp {
    /// Answers from `snapshot`; its grants are those of the documents.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            live: Arc::new(Live::new(snapshot)),
            sessions: SessionPolicies::default(),
            decisions: Decisions::default(),
            grants: None,
            folder: None,
        }
    }

    /// Answers from what `live` holds, which follows `grants`.
    #[must_use]
    pub fn with_grants(live: Arc<Live>, grants: GrantStore) -> Self {
        Self {
            live,
            sessions: SessionPolicies::default(),
            decisions: Decisions::default(),
            grants: Some(grants),
            folder: None,
        }
    }

    /// With another memory of what policies said.
    #[must_use]
    pub fn remembering(self, decisions: Decisions) -> Self {
        Self { decisions, ..self }
    }

    /// Whose documents can be read again in `folder`, for what would be.
    #[must_use]
    pub fn from_folder(self, folder: Folder) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// The snapshot that answers now. Whoever holds it sees one moment, whatever is installed.
    #[must_use]
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.live.snapshot()
    }

    /// What changes.
    #[must_use]
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// The session policies that requests brought.
    #[must_use]
    pub fn sessions(&self) -> &SessionPolicies {
        &self.sessions
    }

    /// What policies said before.
    #[must_use]
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// The store of live grants, if there is one.
    #[must_use]
    pub fn grants(&self) -> Option<&GrantStore> {
        self.grants.as_ref()
    }

    /// The state of the grants in a snapshot, usable as `at_least_as_fresh`.
    #[must_use]
    pub fn consistency_token(&self, snapshot: &Snapshot) -> String {
        self.consistency_token_at(snapshot.grants.live.sequence())
    }

    /// The state of the grants after a change.
    #[must_use]
    pub fn consistency_token_at(&self, sequence: u64) -> String {
        match &self.grants {
            None => format!("{DOCUMENTS}.{sequence}"),
            Some(grants) => format!("{}.{sequence}", grants.incarnation()),
        }
    }

    /// The number of the change that a consistency token names.
    ///
    /// # Errors
    ///
    /// It is not a token of this service.
    pub fn read_consistency_token(&self, token: &str) -> Result<u64, ForeignToken> {
        let (incarnation, sequence) = token.rsplit_once('.').ok_or(ForeignToken)?;
        let own = match &self.grants {
            None => incarnation == DOCUMENTS,
            Some(grants) => incarnation == grants.incarnation(),
        };
        // As it is written, and in no other way: no sign.
        let digits = sequence.bytes().all(|byte| byte.is_ascii_digit());
        let sequence = sequence.parse().ok().filter(|_| digits).ok_or(ForeignToken)?;
        if own { Ok(sequence) } else { Err(ForeignToken) }
    }
}

/// In place of an incarnation while all grants come from documents.
const DOCUMENTS: &str = "documents";

/// A consistency token of another service, or none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the consistency token is not of this service")]
pub struct ForeignToken;

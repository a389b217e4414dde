//! Live grants: the database is the truth, the snapshot follows it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::live::Live;
use crate::engine::grant::Grant;
use crate::engine::snapshot::build::grant as read_grant;
use crate::engine::snapshot::grants::live::{Change as LiveChange, LiveGrants};
use crate::store::grants::opening::OpenError;
use crate::store::grants::tokens::{ForgedOrForeign, NoRandomness, Tokens};
use crate::store::grants::{GrantsDatabase, Opened, ReadError, Settings, Status};

pub use crate::store::grants::change::{Applied, Change, ChangeError, Condition, Effect};
pub use crate::store::grants::grant::StoredGrant;

/// The store of live grants.
pub struct GrantStore {
    database: GrantsDatabase,
    tokens: Tokens,
    incarnation: String,
}

impl fmt::Debug for GrantStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrantStore").field("incarnation", &self.incarnation).finish_non_exhaustive()
    }
}

impl GrantStore {
    /// Opens the database in a folder; `live` has its grants afterwards, and follows it. Blocks.
    ///
    /// # Errors
    ///
    /// Why the database cannot be used.
    pub fn open(folder: &Path, live: &Arc<Live>) -> Result<Self, OpenError> {
        let mut found = LiveGrants::default();
        let each = |stored: StoredGrant| {
            let grant = read(&stored)?;
            found.apply(&LiveChange::Created(Arc::new(grant)));
            Ok(())
        };
        let following = Arc::clone(live);
        let follow = Box::new(move |changes: &[Applied]| follow(&following, changes));
        let opened = GrantsDatabase::open(folder, Settings::default(), each, follow)?;
        let Opened { database, sequence, incarnation, tokens } = opened;
        live.begin(&found.at(sequence));
        Ok(Self { database, tokens, incarnation: incarnation.simple().to_string() })
    }

    /// Made with the database: sequences of different incarnations do not compare.
    #[must_use]
    pub fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// Makes a change, if `condition` holds still when its turn comes. It is durable, and in every
    /// later decision, when this returns.
    ///
    /// # Errors
    ///
    /// Why it was not made.
    pub async fn change(
        &self,
        change: Change,
        condition: Condition,
    ) -> Result<Applied, ChangeError> {
        // What could not be read back would be a grant that is there and never counts.
        if let Change::Create { grant, .. } = &change {
            read(grant).map_err(|error| ChangeError::Invalid(error.into()))?;
        }
        self.database.change_while(change, condition).await
    }

    /// A new token for a grant.
    ///
    /// # Errors
    ///
    /// The system has no randomness.
    pub fn mint(&self, grant_id: &str) -> Result<String, NoRandomness> {
        self.tokens.mint(grant_id)
    }

    /// The id of the grant that a token names; such a grant need not exist any more.
    ///
    /// # Errors
    ///
    /// The database did not make the token.
    pub fn read_token(&self, token: &str) -> Result<String, ForgedOrForeign> {
        self.tokens.read(token)
    }

    /// The grant with this id, from the file. Blocks.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn find(&self, id: &str) -> Result<Option<StoredGrant>, ReadError> {
        self.database.find(id)
    }

    /// The last change that is durable. The snapshot may be a moment behind.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.database.sequence()
    }

    /// How the database is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        self.database.status()
    }

    /// Takes no more changes, and makes those that wait.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

/// A stored grant as the evaluator wants it.
fn read(stored: &StoredGrant) -> Result<Grant, String> {
    let grant = read_grant(&stored.id, &stored.entry).map_err(|problems| problems.to_string())?;
    if grant.id != stored.id || grant.key_arn != stored.key_arn {
        return Err("its entry is of another grant".to_owned());
    }
    Ok(grant)
}

/// Takes over what is durable. A grant that cannot be read is left out: it allows nothing.
fn follow(live: &Live, changes: &[Applied]) {
    let Some(last) = changes.last() else { return };
    let change = |applied: &Applied| {
        let change = match &applied.effect {
            Effect::Created(stored) => match read(stored) {
                Ok(grant) => LiveChange::Created(Arc::new(grant)),
                Err(error) => {
                    tracing::error!(grant = %stored.id, error, "a stored grant cannot be read");
                    return None;
                }
            },
            Effect::Removed(stored) => {
                LiveChange::Removed { key_arn: stored.key_arn.clone(), id: stored.id.clone() }
            }
            Effect::Existing(_) => return None,
        };
        Some(change)
    };
    let followed: Vec<LiveChange> = changes.iter().filter_map(change).collect();
    live.follow(&followed, last.sequence);
}

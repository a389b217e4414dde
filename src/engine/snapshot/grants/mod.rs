//! The grants of a moment: those of the documents, which change with the policies, and the live
//! ones, which change at any time. To the evaluator they are one set.

pub mod documents;
pub mod live;

use std::sync::Arc;

use self::documents::DocumentGrants;
use self::live::LiveGrants;
use crate::engine::grant::{Grant, GranteeRef};

/// All grants. A clone shares everything.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// Of the documents.
    pub documents: Arc<DocumentGrants>,
    /// Created while serving.
    pub live: LiveGrants,
}

impl Grants {
    /// The grants on a key: those of the documents by id, then the live ones by id.
    pub fn on<'g>(&'g self, key_arn: &'g str) -> impl Iterator<Item = &'g Grant> {
        self.documents.on(key_arn).iter().chain(self.live.on(key_arn, "")).map(|grant| &**grant)
    }

    /// Whether there may be grants on a key.
    #[must_use]
    pub fn any_on(&self, key_arn: &str) -> bool {
        !self.documents.on(key_arn).is_empty() || !self.live.is_empty()
    }

    /// The grants on a key whose grantee is one of `grantees`. Some others may be among them.
    pub fn to<'g>(
        &'g self,
        key_arn: &str,
        grantees: &[GranteeRef<'_>],
    ) -> impl Iterator<Item = &'g Grant> {
        self.documents
            .to(key_arn, grantees)
            .chain(self.live.to(key_arn, grantees))
            .map(|grant| &**grant)
    }

    /// The grant with this id on a key.
    #[must_use]
    pub fn find(&self, key_arn: &str, id: &str) -> Option<&Grant> {
        self.documents
            .find(key_arn, id)
            .or_else(|| self.live.find(key_arn, id))
            .map(|grant| &**grant)
    }

    /// The grant of the documents that a token points at. Tokens of live grants are read by whoever
    /// keeps their secret.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Option<&Grant> {
        self.documents.with_token(token)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.documents.len() + self.live.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.live.is_empty()
    }
}

//! What one document says, compiled. It depends on the document and on how it is read, and on
//! nothing else: what did not change need not be read again.

use std::sync::Arc;

use super::aliases::Target;
use super::assertions::Assertion;
use super::endpoints::Endpoint;
use super::entities::{Thing, Things};
use super::grants::Written;
use super::identities::{Carrier, Group};
use super::managed::Managed;
use super::policies::Interned;
use super::reading::{Reading, Said};
use super::recall::Recall;
use super::revision::{Digest, PolicyDigests};
use crate::engine::bundle::{Document, Options};
use crate::engine::json::Source;
use crate::engine::problem::Problem;
use crate::engine::snapshot::Key;
use crate::engine::snapshot::organization::Organization;
use crate::engine::term::account::AccountId;

/// What a document says. Most describe a key: what they seldom have takes no room.
#[derive(Debug, Default)]
pub struct Piece {
    pub(super) keys: Things<Arc<Key>>,
    more: Option<Box<More>>,
}

/// What fewer documents have.
#[derive(Debug, Default)]
struct More {
    aliases: Things<Target>,
    rest: Option<Rest>,
}

/// What documents that describe keys seldom have.
#[derive(Debug, Default)]
pub(super) struct Rest {
    pub(super) grants: Things<Written>,
    pub(super) users: Things<Carrier>,
    pub(super) roles: Things<Carrier>,
    pub(super) groups: Things<Group>,
    pub(super) managed: Things<Managed>,
    pub(super) organization: Things<Organization>,
    pub(super) organization_policies: Things<()>,
    pub(super) endpoints: Things<Endpoint>,
    pub(super) assertions: Box<[Assertion]>,
    pub(super) described_accounts: Box<[AccountId]>,
    pub(super) problems: Box<[Problem]>,
    /// Of everything that the document says.
    fingerprints: Box<[Digest]>,
    /// Whether the document could not be read: what seems to be missing may be in it.
    pub(super) unread: bool,
}

impl Piece {
    /// Reads a document.
    #[must_use]
    pub fn read(
        document: &Document,
        options: &Options,
        interned: &Interned,
        recall: &mut Recall,
    ) -> Self {
        let source = Source::new(Arc::clone(&document.name), &document.text);
        let mut said = Said::default();
        let digests = PolicyDigests::default();
        Reading { source: &source, options, interned, recall, said: &mut said, digests }.document();
        Self::new(said)
    }

    /// Of a document that cannot be read.
    #[must_use]
    pub fn unreadable(problem: Problem) -> Self {
        let rest = Rest { problems: [problem].into(), unread: true, ..Rest::default() };
        Self::with(Things::default(), Things::default(), Some(rest))
    }

    fn new(said: Said) -> Self {
        let plain = said.grants.is_empty()
            && said.users.is_empty()
            && said.roles.is_empty()
            && said.groups.is_empty()
            && said.managed.is_empty()
            && said.organization.is_empty()
            && said.organization_policies.is_empty()
            && said.endpoints.is_empty()
            && said.assertions.is_empty()
            && said.described_accounts.is_empty()
            && said.problems.is_empty()
            && !said.unread;
        let (keys, aliases) = (said.keys.into_things(), said.aliases.into_things());
        if plain {
            return Self::with(keys, aliases, None);
        }
        let rest = Rest {
            grants: said.grants.into_things(),
            users: said.users.into_things(),
            roles: said.roles.into_things(),
            groups: said.groups.into_things(),
            managed: said.managed.into_things(),
            organization: said.organization.into_things(),
            organization_policies: said.organization_policies.into_things(),
            endpoints: said.endpoints.into_things(),
            assertions: said.assertions.into(),
            described_accounts: said.described_accounts.into_iter().collect(),
            problems: said.problems.into(),
            fingerprints: said.fingerprints.into(),
            unread: said.unread,
        };
        Self::with(keys, aliases, Some(rest))
    }

    fn with(keys: Things<Arc<Key>>, aliases: Things<Target>, rest: Option<Rest>) -> Self {
        let more = !aliases.is_empty() || rest.is_some();
        Self { keys, more: more.then(|| Box::new(More { aliases, rest })) }
    }

    /// Fingerprints of the things that it describes.
    pub(super) fn fingerprints(&self) -> impl Iterator<Item = &Digest> {
        let keys = self.keys.iter().map(|(_, entity)| &entity.digest);
        let aliases = self.aliases().iter().map(|(_, entity)| &entity.digest);
        let (plain, rest) = match self.rest() {
            None => (Some(keys.chain(aliases)), None),
            Some(rest) => (None, Some(rest.fingerprints.iter())),
        };
        plain.into_iter().flatten().chain(rest.into_iter().flatten())
    }

    pub(super) fn aliases(&self) -> &[Thing<Target>] {
        self.more.as_ref().map_or(&[], |more| &more.aliases)
    }

    pub(super) fn rest(&self) -> Option<&Rest> {
        self.more.as_ref()?.rest.as_ref()
    }
}

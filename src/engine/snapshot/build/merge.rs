//! What all documents say.

use std::sync::Arc;

use hashbrown::HashSet;

use super::aliases::Target;
use super::assertions::Assertion;
use super::endpoints::Endpoint;
use super::entities::{Mark, Merged, Thing};
use super::grants::Written;
use super::identities::{Carrier, Group};
use super::link::{Linker, Unplaced};
use super::managed::Managed;
use super::piece::Piece;
use super::reading::conflict;
use crate::engine::snapshot::Key;
use crate::engine::snapshot::organization::Organization;
use crate::engine::term::account::AccountId;

/// What all documents say, each thing once; where they contradict each other, what the first says.
#[derive(Debug, Default)]
pub(super) struct All<'p> {
    pub(super) keys: Merged<'p, Arc<Key>>,
    pub(super) aliases: Merged<'p, Target>,
    pub(super) grants: Merged<'p, Written>,
    pub(super) users: Merged<'p, Carrier>,
    pub(super) roles: Merged<'p, Carrier>,
    pub(super) groups: Merged<'p, Group>,
    pub(super) managed: Merged<'p, Managed>,
    pub(super) organization: Merged<'p, Organization>,
    pub(super) organization_policies: Merged<'p, ()>,
    pub(super) endpoints: Merged<'p, Endpoint>,
    /// In the order of the documents.
    pub(super) assertions: Vec<Assertion>,
    pub(super) described_accounts: HashSet<AccountId>,
}

impl<'p> All<'p> {
    /// Of documents in the order of their names. What is wrong in and between them is reported.
    pub(super) fn of(pieces: &[(&'p Arc<str>, &'p Piece)], linker: &mut Linker) -> Self {
        let mut all = Self::default();
        all.keys.reserve(pieces.iter().map(|(_, piece)| piece.keys.len()).sum());
        for (document, (_, piece)) in pieces.iter().enumerate() {
            all.piece(document, piece, linker);
        }
        all
    }

    fn piece(&mut self, document: usize, piece: &'p Piece, linker: &mut Linker) {
        let out = &mut linker.unplaced;
        add(&mut self.keys, document, &piece.keys, "key", out);
        add(&mut self.aliases, document, piece.aliases(), "alias", out);
        let Some(rest) = piece.rest() else { return };
        add(&mut self.grants, document, &rest.grants, "grant", out);
        add(&mut self.users, document, &rest.users, "user", out);
        add(&mut self.roles, document, &rest.roles, "role", out);
        add(&mut self.groups, document, &rest.groups, "group", out);
        add(&mut self.managed, document, &rest.managed, "managed policy", out);
        add(&mut self.organization, document, &rest.organization, "organization", out);
        let policies = &rest.organization_policies;
        add(&mut self.organization_policies, document, policies, "policy of an organization", out);
        add(&mut self.endpoints, document, &rest.endpoints, "VPC endpoint", out);
        self.assertions.extend_from_slice(&rest.assertions);
        self.described_accounts.extend(&rest.described_accounts);
        linker.problems.extend_from_slice(&rest.problems);
        linker.unread |= rest.unread;
    }
}

fn add<'p, T>(
    merged: &mut Merged<'p, T>,
    document: usize,
    things: &'p [Thing<T>],
    kind: &str,
    out: &mut Vec<Unplaced>,
) {
    merged.add(document, things, |id, first: Mark, at: Mark| {
        // A grant is told by its id alone; there is one organization, which needs no name.
        let name = id.rsplit(' ').next().unwrap_or_default();
        let what = if name.is_empty() { kind.to_owned() } else { format!("{kind} `{name}`") };
        out.push(Unplaced { problem: conflict(&what, ""), at, first: Some(first) });
    });
}

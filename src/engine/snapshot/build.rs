//! From documents to a snapshot, or to all that is wrong with them.

mod aliases;
mod assembly;
mod assertions;
mod default_policy;
mod documents;
mod endpoints;
mod entities;
mod fingerprints;
mod grants;
mod identities;
mod keys;
mod link;
mod managed;
mod merge;
mod organizations;
mod piece;
mod places;
mod policies;
mod reading;
mod recall;
mod revision;
mod sizes;
mod tags;
mod usage;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use self::fingerprints::Fingerprints;
use self::link::Linker;
use self::merge::All;
use super::grants::Grants;
use super::grants::live::LiveGrants;
use super::shards::Shards;
use super::{Identity, Key, PolicySet, Snapshot, Surroundings};
use crate::engine::bundle::{Document, Options, Part};
use crate::engine::problem::{Problem, Problems, Severity};

pub use assembly::Assembly;
pub use assertions::Assertion;
pub use grants::grant;
pub use piece::Piece;
pub use policies::Interned;
pub use recall::Recall;

/// A snapshot, and what is worth knowing about the documents it was made of.
#[derive(Clone, Debug)]
pub struct Built {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What is odd, in the order of the places.
    pub warnings: Vec<Problem>,
    /// What must hold before the snapshot may be used, in the order of the documents.
    pub assertions: Vec<Assertion>,
}

/// Reads the documents of a set.
///
/// # Errors
///
/// The set cannot be used: everything that is wrong with it.
pub fn build(documents: &[Document], options: &Options) -> Result<Built, Problems> {
    let (interned, mut recall) = (Interned::default(), Recall::default());
    let pieces: Vec<(&Document, Piece)> = documents
        .iter()
        .map(|document| (document, Piece::read(document, options, &interned, &mut recall)))
        .collect();
    let texts = |at: usize| pieces.get(at).map(|(document, _)| Arc::clone(&document.text));
    let named: Vec<(&Arc<str>, &Piece)> =
        pieces.iter().map(|(document, piece)| (&document.name, piece)).collect();
    let digests = || pieces.iter().flat_map(|(_, piece)| piece.fingerprints());
    let mut fingerprints = Fingerprints::of(digests);
    assemble(&named, options, &texts, fingerprints.revision()).map(|(built, _)| built)
}

/// What only all documents together tell, and is of no use to whoever decides.
#[derive(Debug)]
struct Merging {
    /// Keys and aliases that several documents describe.
    shared: HashSet<Arc<str>>,
    /// Whether some grant names its key by the id alone.
    grants_by_id: bool,
}

/// Puts together what documents say, in this order; `texts` gives the text of one of them, to show
/// where something is wrong.
fn assemble(
    pieces: &[(&Arc<str>, &Piece)],
    options: &Options,
    texts: &dyn Fn(usize) -> Option<Arc<str>>,
    revision: Arc<str>,
) -> Result<(Built, Merging), Problems> {
    let mut linker = Linker::default();
    let mut all = All::of(pieces, &mut linker);
    check_parts(&all, options, &mut linker);
    let snapshot = link(&all, options, &mut linker, revision);
    let Linker { mut problems, unplaced, .. } = linker;
    problems.extend(places::place(unplaced, pieces, texts));
    if problems.iter().any(|problem| problem.severity == Severity::Error)
        && let Some(refused) = Problems::refusing(problems.clone())
    {
        return Err(refused);
    }
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    let assertions = std::mem::take(&mut all.assertions);
    let mut shared = all.keys.shared();
    shared.extend(all.aliases.shared());
    let grants_by_id =
        all.grants.values().any(|(_, _, written)| !written.grant.key_arn.starts_with("arn:"));
    let merging = Merging { shared, grants_by_id };
    Ok((Built { snapshot, warnings: problems, assertions }, merging))
}

fn link(all: &All<'_>, options: &Options, linker: &mut Linker, revision: Arc<str>) -> Snapshot {
    for (_, mark, group) in all.groups.values() {
        linker.check_group(group, mark.document, &all.managed);
    }
    let mut users: HashMap<Box<str>, Identity> = HashMap::new();
    for (_, mark, carrier) in all.users.values() {
        let user = linker.identity(carrier, mark.document, &all.groups, &all.managed);
        users.insert(user.arn.clone(), user);
    }
    let mut roles = HashMap::new();
    for (_, mark, carrier) in all.roles.values() {
        let role = linker.identity(carrier, mark.document, &all.groups, &all.managed);
        roles.insert((role.account, role.name.clone()), role);
    }
    let grants = linker.grants(&all.grants, &all.keys);
    let (keys, aliases) = linker.keys(&all.keys, &all.aliases);
    let endpoints = all.endpoints.values();
    let surroundings = Surroundings {
        only_region: only_region(&keys),
        user_arns: Linker::user_arns(&users),
        users,
        roles,
        described_accounts: all.described_accounts.clone(),
        organization: all.organization.values().next().map(|(_, _, found)| found.clone()),
        endpoints: endpoints.map(|(id, _, policy)| (id.into(), Arc::clone(policy))).collect(),
        default_region: options.default_region.clone(),
    };
    let policies = PolicySet {
        keys,
        aliases,
        surroundings: Arc::new(surroundings),
        evaluation: options.evaluation.clone(),
        revision,
    };
    let grants = Grants { documents: Arc::new(grants), live: LiveGrants::default() };
    Snapshot { policies: Arc::new(policies), grants }
}

/// The Region of all keys, when it is one.
fn only_region(keys: &Shards<Arc<Key>>) -> Option<Box<str>> {
    let regions: HashSet<&str> = keys.values().map(|key| key.region()).collect();
    let mut regions = regions.into_iter();
    regions.next().filter(|_| regions.next().is_none()).map(Into::into)
}

/// Whether the set holds what it must.
fn check_parts(all: &All<'_>, options: &Options, linker: &mut Linker) {
    let present = |part| match part {
        Part::Keys => !all.keys.is_empty(),
        Part::Aliases => !all.aliases.is_empty(),
        Part::Grants => !all.grants.is_empty(),
        Part::Iam => {
            let principals = all.users.is_empty() && all.roles.is_empty();
            !(principals && all.groups.is_empty() && all.managed.is_empty())
        }
        Part::Organization => !all.organization.is_empty(),
        Part::Endpoints => !all.endpoints.is_empty(),
        Part::Assertions => !all.assertions.is_empty(),
    };
    for name in &options.require {
        let problem = match Part::from_name(name) {
            None => Problem::error(
                "unknown-part",
                format!("`policies.require` names `{name}`, which is no part of a set"),
            )
            .help(format!("parts are {}", Part::ALL.map(Part::name).join(", "))),
            Some(part) if !linker.unread && !present(part) => {
                Problem::error("missing-part", format!("the set has lost its part `{name}`"))
                    .help("`policies.require` names it: add it, or require it no longer")
            }
            Some(_) => continue,
        };
        linker.problems.push(problem);
    }
    let errs = |problem: &Problem| problem.severity == Severity::Error;
    let refused = linker.problems.iter().any(errs)
        || linker.unplaced.iter().any(|unplaced| errs(&unplaced.problem));
    if !options.allow_empty && !refused && !Part::ALL.into_iter().any(present) {
        let problem = Problem::error("empty-set", "the set describes nothing")
            .help("add documents, or allow an empty set with `--allow-empty`");
        linker.problems.push(problem);
    }
}

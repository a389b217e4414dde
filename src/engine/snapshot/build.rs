//! From documents to a snapshot, or to all that is wrong with them.

mod aliases;
mod assertions;
mod default_policy;
mod documents;
mod endpoints;
mod entities;
mod grants;
mod identities;
mod keys;
mod link;
mod managed;
mod organizations;
mod policies;
mod reading;
mod revision;
mod sizes;
mod tags;
mod usage;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use self::link::Linker;
use self::reading::{Reading, Said};
use self::revision::PolicyDigests;
use super::grants::Grants;
use super::grants::live::LiveGrants;
use super::{Identity, Key, PolicySet, Snapshot};
use crate::engine::bundle::{Document, Options, Part};
use crate::engine::json::Source;
use crate::engine::problem::{Problem, Problems, Severity};

pub use assertions::Assertion;
pub use grants::grant;

/// A snapshot, and what is worth knowing about the documents it was made of.
#[derive(Clone, Debug)]
pub struct Built {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What is odd, in the order of the places.
    pub warnings: Vec<Problem>,
    /// What must hold before the snapshot may be used, in the order of the documents.
    pub assertions: Vec<Assertion>,
    /// The documents, for whoever wants to look at them before they are forgotten.
    pub documents: Vec<Document>,
}

/// Reads the documents of a set.
///
/// # Errors
///
/// The set cannot be used: everything that is wrong with it.
pub fn build(documents: &[Document], options: &Options) -> Result<Built, Problems> {
    let sources: Vec<Source<'_>> = documents
        .iter()
        .map(|document| Source::new(Arc::clone(&document.name), &document.text))
        .collect();
    let mut said = Said::default();
    for (document, source) in sources.iter().enumerate() {
        let said = &mut said;
        let digests = PolicyDigests::default();
        Reading { sources: &sources, document, source, options, said, digests }.document();
    }
    check_parts(&mut said, options);
    let (snapshot, assertions, mut problems) = link(said, &sources, options);
    if problems.iter().any(|problem| problem.severity == Severity::Error)
        && let Some(refused) = Problems::refusing(problems.clone())
    {
        return Err(refused);
    }
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(Built { snapshot, warnings: problems, assertions, documents: documents.to_vec() })
}

fn link(
    mut said: Said,
    sources: &[Source<'_>],
    options: &Options,
) -> (Snapshot, Vec<Assertion>, Vec<Problem>) {
    let mut problems = std::mem::take(&mut said.problems);
    let mut linker = Linker { sources, problems: &mut problems, unread: said.unread };
    for group in said.groups.iter().filter_map(|(_, entity)| entity.value.as_ref()) {
        linker.check_group(group, &said.managed);
    }
    let mut users: HashMap<Box<str>, Identity> = HashMap::new();
    for (_, _, carrier) in said.users.into_values() {
        let user = linker.identity(carrier, &said.groups, &said.managed);
        users.insert(user.arn.clone(), user);
    }
    let mut roles = HashMap::new();
    for (_, _, carrier) in said.roles.into_values() {
        let role = linker.identity(carrier, &said.groups, &said.managed);
        roles.insert((role.account, role.name.clone()), role);
    }
    let grants = linker.grants(said.grants, &said.keys);
    let (keys, aliases) = linker.keys(said.keys, said.aliases);
    let policies = PolicySet {
        only_region: only_region(&keys),
        keys,
        aliases,
        user_arns: Linker::user_arns(&users),
        users,
        roles,
        described_accounts: said.described_accounts,
        organization: said
            .organization
            .into_values()
            .next()
            .map(|(_, _, organization)| organization),
        endpoints: said.endpoints.into_values().map(|(id, _, policy)| (id, policy)).collect(),
        evaluation: options.evaluation.clone(),
        default_region: options.default_region.clone(),
        revision: said.fingerprints.revision(),
    };
    let grants = Grants { documents: Arc::new(grants), live: LiveGrants::default() };
    let snapshot = Snapshot { policies: Arc::new(policies), grants };
    (snapshot, said.assertions, problems)
}

/// The Region of all keys, when it is one.
fn only_region(keys: &HashMap<Box<str>, Key>) -> Option<Box<str>> {
    let regions: HashSet<&str> = keys.values().map(Key::region).collect();
    let mut regions = regions.into_iter();
    regions.next().filter(|_| regions.next().is_none()).map(Into::into)
}

/// Whether the set holds what it must.
fn check_parts(said: &mut Said, options: &Options) {
    let present = |said: &Said, part| match part {
        Part::Keys => !said.keys.is_empty(),
        Part::Aliases => !said.aliases.is_empty(),
        Part::Grants => !said.grants.is_empty(),
        Part::Iam => {
            let principals = said.users.is_empty() && said.roles.is_empty();
            !(principals && said.groups.is_empty() && said.managed.is_empty())
        }
        Part::Organization => !said.organization.is_empty(),
        Part::Endpoints => !said.endpoints.is_empty(),
        Part::Assertions => !said.assertions.is_empty(),
    };
    for name in &options.require {
        let problem = match Part::from_name(name) {
            None => Problem::error(
                "unknown-part",
                format!("`policies.require` names `{name}`, which is no part of a set"),
            )
            .help(format!("parts are {}", Part::ALL.map(Part::name).join(", "))),
            Some(part) if !said.unread && !present(said, part) => {
                Problem::error("missing-part", format!("the set has lost its part `{name}`"))
                    .help("`policies.require` names it: add it, or require it no longer")
            }
            Some(_) => continue,
        };
        said.problems.push(problem);
    }
    let refused = said.problems.iter().any(|problem| problem.severity == Severity::Error);
    if !options.allow_empty && !refused && !Part::ALL.into_iter().any(|part| present(said, part)) {
        let problem = Problem::error("empty-set", "the set describes nothing")
            .help("add documents, or allow an empty set with `--allow-empty`");
        said.problems.push(problem);
    }
}

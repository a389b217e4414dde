//! Puts together what the documents said.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::aliases::Target;
use super::entities::{Mark, Merged};
use super::grants::{Written, no_issuer};
use super::identities::{Carrier, Group, Named, group_identity};
use super::managed::Managed;
use crate::engine::grant::Grant;
use crate::engine::problem::Problem;
use crate::engine::snapshot::grants::documents::DocumentGrants;
use crate::engine::snapshot::shards::Shards;
use crate::engine::snapshot::{Attached, Extras, Identity, Key};
use crate::engine::term::account::AccountId;
use crate::engine::term::partition::{Partition, partition_of};

/// Aliases of a key, and grants on a key.
///
/// Source: AWS KMS Developer Guide, "Quotas".
pub(super) const MOST_ALIASES: usize = 50;
const MOST_GRANTS: usize = 50_000;

/// Targets of aliases by ARN.
type Aliases = Shards<(Arc<str>, Target)>;

/// What is wrong between documents, before its place is looked for.
#[derive(Debug)]
pub(super) struct Unplaced {
    /// Without place; the message of a conflict without that of the first description.
    pub(super) problem: Problem,
    /// Where.
    pub(super) at: Mark,
    /// Where the thing is described first, if that is to be told.
    pub(super) first: Option<Mark>,
}

/// What is needed to report problems while putting together.
#[derive(Debug, Default)]
pub(super) struct Linker {
    /// What is wrong and has its place.
    pub(super) problems: Vec<Problem>,
    /// What is wrong and needs a place.
    pub(super) unplaced: Vec<Unplaced>,
    /// Whether what is missing may be in a document that could not be read.
    pub(super) unread: bool,
}

impl Linker {
    fn report(&mut self, problem: Problem, at: Mark) {
        self.unplaced.push(Unplaced { problem, at, first: None });
    }

    /// Keys with the names of their aliases, and aliases by ARN.
    pub(super) fn keys(
        &mut self,
        keys: &Merged<'_, Arc<Key>>,
        aliases: &Merged<'_, Target>,
    ) -> (Shards<Arc<Key>>, Aliases) {
        let mut names: HashMap<&str, Vec<Box<str>>> = HashMap::new();
        let mut targets = Vec::new();
        for (arn, mark, target) in aliases.values() {
            if keys.get(target).is_none() && !self.unread {
                let problem = Problem::warning(
                    "alias-for-unknown-key",
                    format!("the alias `{arn}` is for `{target}`, which the set does not hold"),
                )
                .help("add the key, or leave the alias out");
                self.report(problem, mark);
            }
            names.entry(target).or_default().push(alias_name(arn).into());
            targets.push((arn.into(), target.clone()));
        }
        let mut linked = Vec::with_capacity(keys.len());
        for (arn, mark, key) in keys.values() {
            let mut aliases = names.remove(arn).unwrap_or_default();
            aliases.sort_unstable();
            if aliases.len() > MOST_ALIASES {
                let message = format!(
                    "the key `{arn}` has {} aliases, more than {MOST_ALIASES}",
                    aliases.len()
                );
                let problem = Problem::warning("too-many-aliases", message)
                    .help("KMS refuses to authorize by alias beyond its quota");
                self.report(problem, mark);
            }
            linked.push(named(key, aliases));
        }
        (linked.into_iter().collect(), targets.into_iter().collect())
    }

    /// Grants on keys of the set.
    pub(super) fn grants(
        &mut self,
        grants: &Merged<'_, Written>,
        keys: &Merged<'_, Arc<Key>>,
    ) -> DocumentGrants {
        let mut kept: Vec<Grant> = Vec::new();
        let mut tokens: HashSet<Box<str>> = HashSet::new();
        let mut counts: HashMap<Box<str>, (usize, Mark)> = HashMap::new();
        let mut all: Vec<_> =
            grants.values().map(|(_, mark, written)| (mark, written.clone())).collect();
        all.sort_unstable_by_key(|(mark, _)| (mark.document, mark.span.start));
        let mut seen: HashMap<(Box<str>, Box<str>), usize> = HashMap::new();
        let by_id = all.iter().any(|(_, written)| !written.grant.key_arn.starts_with("arn:"));
        let arns = if by_id { arns_by_id(keys) } else { HashMap::new() };
        for (mark, Written { mut grant, issued_in }) in all {
            if let Some(problem) = resolve(&mut grant, &arns) {
                self.report(problem, mark);
                continue;
            }
            if let Some(problem) = issued(&mut grant, issued_in.as_ref()) {
                self.report(problem, mark);
            }
            let same = (grant.key_arn.clone(), grant.id.clone());
            if let Some(first) = seen.insert(same, kept.len()).and_then(|at| kept.get(at)) {
                // Named by id once and by ARN once.
                grant.origin.clone_from(&first.origin);
                if *first != grant {
                    let message =
                        format!("the grant `{}` is described twice and differently", grant.id);
                    let problem = Problem::error("conflicting-documents", message)
                        .help("keep one of the two, or make them equal");
                    self.report(problem, mark);
                }
                continue;
            }
            if keys.get(&grant.key_arn).is_none() {
                if !self.unread {
                    let message = format!(
                        "the grant `{}` is on `{}`, which the set does not hold",
                        grant.id, grant.key_arn
                    );
                    let problem = Problem::warning("grant-for-unknown-key", message)
                        .help("add the key, or leave the grant out");
                    self.report(problem, mark);
                }
                continue;
            }
            if let Some(token) = &grant.token
                && !tokens.insert(token.clone())
            {
                let message = format!("the grant `{}` has the token of another grant", grant.id);
                let problem = Problem::error("duplicate-grant-token", message)
                    .help("a token points at one grant");
                self.report(problem, mark);
            }
            counts.entry(grant.key_arn.clone()).or_insert((0, mark)).0 += 1;
            kept.push(grant);
        }
        for (key, (count, mark)) in
            counts.into_iter().filter(|(_, (count, _))| *count > MOST_GRANTS)
        {
            let message = format!("the key `{key}` has {count} grants, more than {MOST_GRANTS}");
            self.report(
                Problem::warning("too-many-grants", message)
                    .help("retire grants that are not used"),
                mark,
            );
        }
        DocumentGrants::new(kept)
    }

    /// A user or role with all its policies.
    pub(super) fn identity(
        &mut self,
        carrier: &Carrier,
        document: usize,
        groups: &Merged<'_, Group>,
        managed: &Merged<'_, Managed>,
    ) -> Identity {
        let mut linked = carrier.identity.clone();
        let mut policies = linked.policies.to_vec();
        self.attach(&carrier.attached, document, managed, &mut policies);
        for named in &carrier.groups {
            let Some(entity) =
                groups.get(&group_identity(&linked.arn, linked.account, &named.name))
            else {
                self.missing(
                    "group",
                    "missing-group",
                    (named, document),
                    "the details of the account list all groups",
                );
                continue;
            };
            if let Some(group) = &entity.value {
                // What is missing was reported for the group.
                policies.extend_from_slice(&group.inline);
                policies
                    .extend(group.attached.iter().filter_map(|named| attachable(named, managed)));
            }
        }
        let boundary = carrier.boundary.as_ref();
        linked.boundary = boundary.and_then(|named| self.boundary(named, document, managed));
        let own = policies.iter().chain(&linked.boundary);
        linked.effort = own.fold(0, |sum, own| own.policy.effort().saturating_add(sum));
        linked.policies = policies.into();
        linked
    }

    /// Reports managed policies that groups name and the set lacks.
    pub(super) fn check_group(
        &mut self,
        group: &Group,
        document: usize,
        managed: &Merged<'_, Managed>,
    ) {
        self.attach(&group.attached, document, managed, &mut Vec::new());
    }

    fn attach(
        &mut self,
        attached: &[Named],
        document: usize,
        managed: &Merged<'_, Managed>,
        policies: &mut Vec<Attached>,
    ) {
        for named in attached {
            if managed.get(&named.name).is_none() {
                self.missing("managed policy", "missing-policy", (named, document), MANAGED_HELP);
            }
            policies.extend(attachable(named, managed));
        }
    }

    fn boundary(
        &mut self,
        named: &Named,
        document: usize,
        managed: &Merged<'_, Managed>,
    ) -> Option<Attached> {
        let Some(entity) = managed.get(&named.name) else {
            self.missing(
                "permissions boundary",
                "missing-boundary",
                (named, document),
                MANAGED_HELP,
            );
            return None;
        };
        let policy = entity.value.as_ref()?;
        match &policy.boundary {
            Ok(boundary) => {
                Some(Attached { id: Arc::clone(&policy.arn), policy: Arc::clone(boundary) })
            }
            Err(problems) => {
                self.problems.extend_from_slice(problems);
                None
            }
        }
    }

    fn missing(
        &mut self,
        kind: &str,
        code: &'static str,
        (named, document): (&Named, usize),
        help: &str,
    ) {
        if self.unread {
            return;
        }
        let message = format!("the {kind} `{}` is not in the set", named.name);
        let at = Mark { document, span: named.span };
        self.report(Problem::error(code, message).help(help), at);
    }

    /// Accounts and names of users, to their ARNs.
    pub(super) fn user_arns(
        users: &HashMap<Box<str>, Identity>,
    ) -> HashMap<(AccountId, Box<str>), Box<str>> {
        users.values().map(|user| ((user.account, user.name.clone()), user.arn.clone())).collect()
    }
}

/// The key with these aliases. Most have none, and are shared as they are.
pub(super) fn named(key: &Arc<Key>, aliases: Vec<Box<str>>) -> Arc<Key> {
    if aliases.is_empty() {
        return Arc::clone(key);
    }
    let extras = Extras { aliases, ..Extras::clone(key) };
    Arc::new(Key { extras: extras.kept(), ..Key::clone(key) })
}

/// `alias/…` of the ARN of an alias.
pub(super) fn alias_name(arn: &str) -> &str {
    arn.splitn(6, ':').last().unwrap_or_default()
}

/// The ARNs of the keys by their ids; `None` where several keys have the id.
fn arns_by_id<'p>(keys: &Merged<'p, Arc<Key>>) -> HashMap<&'p str, Option<&'p str>> {
    let mut arns: HashMap<&str, Option<&str>> = HashMap::new();
    for arn in keys.ids() {
        let id = arn.rsplit('/').next().unwrap_or(arn);
        arns.entry(id).and_modify(|known| *known = None).or_insert(Some(arn));
    }
    arns
}

/// Puts the key's ARN in place of its id, where the id names one key of the set.
fn resolve(grant: &mut Grant, arns: &HashMap<&str, Option<&str>>) -> Option<Problem> {
    if grant.key_arn.starts_with("arn:") {
        return None;
    }
    match arns.get(&*grant.key_arn) {
        Some(Some(arn)) => {
            grant.key_arn = (*arn).into();
            None
        }
        None => {
            let message = format!(
                "the grant `{}` is on a key `{}`, which the set does not hold",
                grant.id, grant.key_arn
            );
            Some(
                Problem::warning("grant-for-unknown-key", message)
                    .help("add the key, or leave the grant out"),
            )
        }
        Some(None) => {
            let message =
                format!("`KeyId` is `{}`, the id of several keys of the set", grant.key_arn);
            Some(Problem::error("bad-key-arn", message).help("name the key by its ARN"))
        }
    }
}

/// Forgets an issuing account of another partition than the key's.
fn issued(grant: &mut Grant, issued_in: Option<&Partition>) -> Option<Problem> {
    let elsewhere =
        issued_in.filter(|named| partition_of(&grant.key_arn) != Some(named.as_str()))?;
    let account = grant.issuing_account.take()?;
    let (message, help) = no_issuer(&format!("arn:{elsewhere}:iam::{account}:root"));
    Some(Problem::warning("unknown-issuing-account", message).help(help))
}

fn attachable(named: &Named, managed: &Merged<'_, Managed>) -> Option<Attached> {
    let policy = managed.get(&named.name)?.value.as_ref()?;
    Some(Attached { id: Arc::clone(&policy.arn), policy: Arc::clone(&policy.identity) })
}

const MANAGED_HELP: &str =
    "it may hide a Deny or a limit: add it to `Policies`, even if AWS manages it";

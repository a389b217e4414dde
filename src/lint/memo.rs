//! Policies that many keys carry are looked at once: what was found is kept with places relative
//! to the policy.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;

use super::rule::Check;
use super::rules;
use super::set::Set;
use super::view::{PolicyView, Raw, Report};
use crate::engine::json::{Encoding, Json, Source, Value, percent_decoded, read};
use crate::engine::kms::key_state::{KeyOrigin, KeySpec, KeyUsage, MultiRegionKeyType};
use crate::engine::policy::statement::Resources;
use crate::engine::policy::{Policy, PolicyKind, compile};
use crate::engine::snapshot::Key;
use crate::engine::term::account::AccountId;

/// Policies that were looked at, by what makes a difference.
#[derive(Debug, Default)]
pub(super) struct Memo<'t> {
    compiled: HashMap<(PolicyKind, &'t str), Option<Rc<Compiled>>>,
    looked_at: HashMap<Like<'t>, Rc<[Raw]>>,
}

/// A policy text, compiled.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Compiled.
    policy: Policy,
    /// The text inside the JSON string, if it is one, and how it is written there.
    pub(super) nested: Option<(Encoding, String)>,
    /// Whether it can matter which key carries it.
    reads_key: bool,
}

/// All that makes a difference to what is found in a policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Like<'t> {
    kind: PolicyKind,
    text: &'t str,
    account: Option<AccountId>,
    key: Option<KeyLike>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct KeyLike {
    region: Box<str>,
    spec: KeySpec,
    usage: KeyUsage,
    origin: KeyOrigin,
    custom_key_store: bool,
    multi_region: bool,
    multi_region_type: Option<MultiRegionKeyType>,
    shared: bool,
    /// Only where it matters.
    arn: Option<Arc<str>>,
}

/// A policy where it stands.
pub(super) struct Site<'l, 'a> {
    /// What it is attached to.
    pub(super) kind: PolicyKind,
    /// As written: an object, or a text that holds one.
    pub(super) json: &'l Json<'a>,
    /// Its document.
    pub(super) source: &'l Source<'a>,
    /// Its key, if it is a key policy.
    pub(super) key: Option<&'l Key>,
    /// The account that it belongs to, where that is known.
    pub(super) account: Option<AccountId>,
}

impl<'t> Memo<'t> {
    /// What there is to find in a policy, with places relative to its text, and the text.
    pub(super) fn look<'l>(
        &mut self,
        set: &Set<'_>,
        site: &Site<'l, 't>,
    ) -> Option<(Rc<[Raw]>, Rc<Compiled>)> {
        let text = site.source.slice(site.json.span);
        let compiled = self
            .compiled
            .entry((site.kind, text))
            .or_insert_with(|| compiled(set, site).map(Rc::new))
            .clone()?;
        let reads_key = compiled.reads_key || set.denies_some_keys;
        let like = Like {
            kind: site.kind,
            text,
            account: site.account,
            key: site.key.map(|key| KeyLike {
                region: key.region().into(),
                spec: key.spec,
                usage: key.usage,
                origin: key.origin,
                custom_key_store: key.custom_key_store,
                multi_region: key.multi_region,
                multi_region_type: key.multi_region_type,
                shared: key.ram_policy.is_some(),
                arn: (reads_key || key.ram_policy.is_some()).then(|| key.arn.clone()),
            }),
        };
        let found = match self.looked_at.get(&like) {
            Some(found) => Rc::clone(found),
            None => {
                let found: Rc<[Raw]> = look(set, site, &compiled).into();
                self.looked_at.insert(like, Rc::clone(&found));
                found
            }
        };
        Some((found, compiled))
    }
}

fn compiled(set: &Set<'_>, site: &Site<'_, '_>) -> Option<Compiled> {
    let nested = match &site.json.value {
        Value::Text(text) => Some(inside(site.kind, text)?),
        Value::Object(_) => None,
        _ => return None,
    };
    // What is wrong with it was told when the set was built.
    let mut problems = Vec::new();
    let policy = match &nested {
        None => compile(site.kind, site.json, site.source, &mut problems),
        Some((_, text)) => {
            let source = Source::new("".into(), text);
            read(&source, &set.options.limits, &mut problems)
                .and_then(|json| compile(site.kind, &json, &source, &mut problems))
        }
    }?;
    let reads_key = policy.statements().any(|statement| {
        statement.reads_key_attributes || !matches!(statement.resources, Resources::Any)
    });
    Some(Compiled { policy, nested, reads_key })
}

/// The policy text inside a JSON string.
fn inside(kind: PolicyKind, text: &str) -> Option<(Encoding, String)> {
    let percent = matches!(kind, PolicyKind::Identity | PolicyKind::Boundary)
        && text.trim_start().starts_with('%');
    if percent {
        return percent_decoded(text).map(|decoded| (Encoding::Percent, decoded));
    }
    Some((Encoding::Plain, text.to_owned()))
}

/// Has all rules look at a policy. Places are relative to the start of an object, and to the whole
/// of a text.
fn look(set: &Set<'_>, site: &Site<'_, '_>, compiled: &Compiled) -> Vec<Raw> {
    let mut found = Vec::new();
    match &compiled.nested {
        None => {
            found = with(set, site, site.json, &compiled.policy);
            for raw in &mut found {
                raw.span.start = raw.span.start.saturating_sub(site.json.span.start);
                raw.span.end = raw.span.end.saturating_sub(site.json.span.start);
            }
        }
        Some((_, text)) => {
            let source = Source::new("".into(), text);
            if let Some(json) = read(&source, &set.options.limits, &mut Vec::new()) {
                found = with(set, site, &json, &compiled.policy);
            }
        }
    }
    found
}

fn with(set: &Set<'_>, site: &Site<'_, '_>, json: &Json<'_>, policy: &Policy) -> Vec<Raw> {
    let view = PolicyView {
        set,
        kind: site.kind,
        json,
        policy,
        key: site.key,
        account: site.account,
        changes_policy: &OnceCell::new(),
    };
    let mut found = Vec::new();
    let statements = view.statements();
    for rule in rules::all() {
        match rule.check {
            Check::Policy(check) => {
                check(&view, &mut Report { rule, found: &mut found, sid: None });
            }
            Check::Statement(check) => {
                for statement in &statements {
                    let sid = statement.compiled.sid.as_deref();
                    check(statement, &mut Report { rule, found: &mut found, sid });
                }
            }
            Check::Key(_) | Check::Identity(_) | Check::Grant(_) | Check::Explanations => {}
        }
    }
    found
}

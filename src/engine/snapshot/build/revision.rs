//! The revision: a fingerprint of the content of a set, and of each thing in it.

use std::sync::Arc;

use hashbrown::HashMap;
use sha2::{Digest as _, Sha256};

use crate::engine::bundle::Limits;
use crate::engine::json::{
    Encoding, Json, Member, Source, Value, percent_decoded, read, write_text,
};

/// A SHA-256 fingerprint.
pub(super) type Digest = [u8; 32];

/// Members whose value is a policy document, as an object or as a text.
const POLICIES: [&str; 6] =
    ["Policy", "RamPolicy", "PolicyDocument", "AssumeRolePolicyDocument", "Document", "Content"];

/// Members whose value is a list in no order.
const SETS: [&str; 9] = [
    "Tags",
    "UserPolicyList",
    "RolePolicyList",
    "GroupPolicyList",
    "AttachedManagedPolicies",
    "GroupList",
    "InstanceProfileList",
    "PolicyVersionList",
    "Operations",
];

/// Why findings of the lint are all right: it says nothing about access.
const EXPLANATIONS: &str = "Lint";

/// Whether a thing holds policy documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// It may: they count the same as object and as text.
    Policies,
    /// It does not: every text counts as it is.
    Data,
}

/// Fingerprint of some bytes.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// Fingerprint of a value.
pub(super) fn digest_of(json: &Json<'_>) -> Digest {
    let mut out = Vec::with_capacity(json.span.end.saturating_sub(json.span.start));
    json.canonical(&mut out);
    digest(&out)
}

/// Fingerprints of the policies of a document, by where they start: those that were compiled need
/// not be read again.
#[derive(Debug, Default)]
pub(super) struct PolicyDigests(HashMap<usize, Digest>);

impl PolicyDigests {
    /// Remembers the fingerprint of the policy that is written as `json`.
    pub(super) fn remember(&mut self, json: &Json<'_>, digest: Digest) {
        self.0.insert(json.span.start, digest);
    }

    /// Fingerprint of a policy, as an object or as a text.
    pub(super) fn of(&self, json: &Json<'_>, limits: &Limits) -> Digest {
        let known = self.0.get(&json.span.start).copied();
        known.or_else(|| digest_in_text(json.as_text()?, limits)).unwrap_or_else(|| digest_of(json))
    }

    /// Fingerprint of a thing: its kind, its identity, and those of its members that count.
    pub(super) fn of_thing(
        &self,
        kind: &str,
        id: &str,
        json: &Json<'_>,
        counts: impl Fn(&str) -> bool,
        (holds, limits): (Holds, &Limits),
    ) -> Digest {
        let mut out = Vec::with_capacity(1024);
        write_text(kind, &mut out);
        write_text(id, &mut out);
        let mut members: Vec<&Member<'_>> = json
            .as_object()
            .unwrap_or_default()
            .iter()
            .filter(|member| counts(&member.name) && member.name != EXPLANATIONS)
            .collect();
        members.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let policy = |member: &Member<'_>, out: &mut Vec<u8>| {
            let is_policy = holds == Holds::Policies && POLICIES.contains(&&*member.name);
            if is_policy {
                out.extend_from_slice(&self.of(&member.value, limits));
            }
            is_policy
        };
        let set_or_policy = |member: &Member<'_>, out: &mut Vec<u8>| match &member.value.value {
            Value::List(items) if SETS.contains(&&*member.name) => {
                let mut spelt: Vec<Vec<u8>> = Vec::with_capacity(items.len());
                for item in items {
                    let mut one = Vec::new();
                    item.canonical_with(&mut one, policy);
                    spelt.push(one);
                }
                spelt.sort_unstable();
                out.push(b'[');
                out.extend_from_slice(&spelt.join(&b','));
                out.push(b']');
                true
            }
            _ => policy(member, out),
        };
        for member in members {
            write_text(&member.name, &mut out);
            if !set_or_policy(member, &mut out) {
                member.value.canonical_with(&mut out, set_or_policy);
            }
        }
        digest(&out)
    }
}

/// Fingerprint of the object that a text holds, perhaps percent-encoded.
fn digest_in_text(text: &str, limits: &Limits) -> Option<Digest> {
    let (_, decoded) = decoded(text)?;
    let source = Source::new(Arc::from(""), &decoded);
    let json = read(&source, limits, &mut Vec::new())?;
    json.as_object().is_some().then(|| digest_of(&json))
}

/// A policy text without its percent-encoding, if it has one; `None` when that is broken.
pub(super) fn decoded(text: &str) -> Option<(Encoding, std::borrow::Cow<'_, str>)> {
    if text.trim_start().starts_with('%') {
        return percent_decoded(text).map(|decoded| (Encoding::Percent, decoded.into()));
    }
    Some((Encoding::Plain, text.into()))
}

//! One document while it is read, and what all documents said so far.

use std::sync::Arc;

use hashbrown::HashSet;

use super::aliases::Target;
use super::assertions::Assertion;
use super::endpoints::Endpoint;
use super::entities::Entities;
use super::grants::Written;
use super::identities::{Carrier, Group};
use super::managed::Managed;
use super::policies::Interned;
use super::recall::Recall;
use super::revision::{Digest, Holds, PolicyDigests};
use crate::engine::snapshot::organization::Organization;

use crate::engine::bundle::Options;
use crate::engine::json::{Json, Member, Source, Span};
use crate::engine::problem::{Problem, Severity};
use crate::engine::snapshot::Key;
use crate::engine::term::account::AccountId;

/// What a document said, before it is put together with others.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// By ARN.
    pub(super) keys: Entities<Arc<Key>>,
    /// By ARN.
    pub(super) aliases: Entities<Target>,
    /// By ARN of the key and id.
    pub(super) grants: Entities<Written>,
    /// By account and name.
    pub(super) users: Entities<Carrier>,
    /// By account and name.
    pub(super) roles: Entities<Carrier>,
    /// By account and name.
    pub(super) groups: Entities<Group>,
    /// By ARN.
    pub(super) managed: Entities<Managed>,
    /// There is one.
    pub(super) organization: Entities<Organization>,
    /// By id; the content of a policy is the same wherever it is attached.
    pub(super) organization_policies: Entities<()>,
    /// By id.
    pub(super) endpoints: Entities<Endpoint>,
    /// In the order of the documents.
    pub(super) assertions: Vec<Assertion>,
    /// Accounts with IAM details.
    pub(super) described_accounts: HashSet<AccountId>,
    /// Of the content.
    pub(super) fingerprints: Vec<Digest>,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// Where members begin whose names are right but for their case.
    pub(super) misspelt: HashSet<usize>,
    /// Whether a document could not be read: what seems to be missing may be in it.
    pub(super) unread: bool,
}

/// A thing that is described twice and differently.
pub(super) fn conflict(what: &str, first: &str) -> Problem {
    let message = format!("the {what} is described twice and differently, first at {first}");
    Problem::error("conflicting-documents", message)
        .help("keep one description, or make them equal")
}

/// A document while it is read.
#[derive(Debug)]
pub(super) struct Reading<'r> {
    /// This document.
    pub(super) source: &'r Source<'r>,
    /// How it is read.
    pub(super) options: &'r Options,
    /// Compiled policies, each once.
    pub(super) interned: &'r Interned,
    /// Policies that were met before.
    pub(super) recall: &'r mut Recall,
    /// What it said so far.
    pub(super) said: &'r mut Said,
    /// Fingerprints of the policies of this document.
    pub(super) digests: PolicyDigests,
}

impl Reading<'_> {
    /// Reports an error.
    pub(super) fn error(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        help: &str,
        span: Span,
    ) {
        self.said
            .problems
            .push(Problem::error(code, message).help(help).at(self.source.place(span)));
    }

    /// Reports a warning.
    pub(super) fn warning(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        help: &str,
        span: Span,
    ) {
        self.said
            .problems
            .push(Problem::warning(code, message).help(help).at(self.source.place(span)));
    }

    /// Whether no error was reported after the first `count` problems.
    pub(super) fn no_error_since(&self, count: usize) -> bool {
        self.said.problems.iter().skip(count).all(|problem| problem.severity == Severity::Warning)
    }

    /// Fingerprint of a thing, taken into the revision.
    pub(super) fn fingerprint(
        &mut self,
        kind: &str,
        id: &str,
        json: &Json<'_>,
        counts: impl Fn(&str) -> bool,
        holds: Holds,
    ) -> Digest {
        let digest = self.digests.of_thing(kind, id, json, counts, (holds, &self.options.limits));
        self.said.fingerprints.push(digest);
        digest
    }

    /// Adds a thing; reports if it was described differently before.
    pub(super) fn add<T>(
        &mut self,
        among: impl FnOnce(&mut Said) -> &mut Entities<T>,
        (kind, name): (&str, &str),
        id: impl Into<Arc<str>>,
        (digest, span): (Digest, Span),
        value: Option<T>,
    ) {
        let Some(before) = among(self.said).add(id.into(), digest, span, value) else { return };
        let first = self.source.place(before).to_string();
        let problem = conflict(&format!("{kind} `{name}`"), &first);
        self.said.problems.push(problem.at(self.source.place(span)));
    }

    /// A member; `null` is absence. One whose name differs in case alone would be ignored, and with
    /// it perhaps a limit: it is refused.
    pub(super) fn member<'j, 'a>(
        &mut self,
        object: &'j Json<'a>,
        name: &str,
    ) -> Option<&'j Json<'a>> {
        let mut found = None;
        for member in object.as_object().unwrap_or_default() {
            if member.name == name {
                found = Some(&member.value);
            } else if member.name.eq_ignore_ascii_case(name) {
                self.misspelt(member, name);
            }
        }
        found.filter(|json| !json.is_null())
    }

    fn misspelt(&mut self, member: &Member<'_>, name: &str) {
        // A member may be asked for more than once.
        if self.said.misspelt.insert(member.name_span.start) {
            let message = format!("`{}` is not `{name}`: the case of names counts", member.name);
            let help = format!("write `{name}`, as the AWS command line prints it");
            self.error("misspelt-member", message, &help, member.name_span);
        }
    }

    /// A member that must be there.
    pub(super) fn required<'j, 'a>(
        &mut self,
        object: &'j Json<'a>,
        name: &str,
    ) -> Option<&'j Json<'a>> {
        let found = self.member(object, name);
        if found.is_none() {
            let span = object.span;
            self.error(
                "missing-member",
                format!("`{name}` is missing"),
                "the AWS command line prints it: an export without it is not complete",
                span,
            );
        }
        found
    }

    /// A member that is a text, if it is there.
    pub(super) fn text<'j>(&mut self, object: &'j Json<'_>, name: &str) -> Option<&'j str> {
        let json = self.member(object, name)?;
        self.as_text(json, name)
    }

    /// A member that must be there and a text.
    pub(super) fn required_text<'j>(
        &mut self,
        object: &'j Json<'_>,
        name: &str,
    ) -> Option<&'j str> {
        let json = self.required(object, name)?;
        self.as_text(json, name)
    }

    /// A member that is a truth value, if it is there.
    pub(super) fn truth(&mut self, object: &Json<'_>, name: &str) -> Option<bool> {
        let json = self.member(object, name)?;
        let value = json.as_bool();
        if value.is_none() {
            self.wrong_type(json, name, "true or false");
        }
        value
    }

    /// The items of a member that is a list; none, if it is not there.
    pub(super) fn list<'j, 'a>(&mut self, object: &'j Json<'a>, name: &str) -> &'j [Json<'a>] {
        let Some(json) = self.member(object, name) else { return &[] };
        json.as_list().unwrap_or_else(|| {
            self.wrong_type(json, name, "a list");
            &[]
        })
    }

    /// The value as a text; reports if it is not one.
    pub(super) fn as_text<'j>(&mut self, json: &'j Json<'_>, name: &str) -> Option<&'j str> {
        let text = json.as_text();
        if text.is_none() {
            self.wrong_type(json, name, "a text");
        }
        text
    }

    /// Whether the value is an object; reports if it is not.
    pub(super) fn is_object(&mut self, json: &Json<'_>, name: &str) -> bool {
        let there = json.as_object().is_some();
        if !there {
            self.wrong_type(json, name, "an object");
        }
        there
    }

    /// Reports a value of the wrong type.
    pub(super) fn wrong_type(&mut self, json: &Json<'_>, name: &str, expected: &str) {
        let message = format!("`{name}` is {}, expected {expected}", json.in_words());
        self.error("wrong-type", message, "write it as the AWS command line prints it", json.span);
    }

    /// Reports a value that is none of those that exist.
    pub(super) fn unknown_value(&mut self, json: &Json<'_>, name: &str, known: &[&str]) {
        let message = format!("`{name}` cannot be `{}`", json.as_text().unwrap_or_default());
        self.error(
            "unknown-value",
            message,
            &format!("known values: {}", known.join(", ")),
            json.span,
        );
    }
}

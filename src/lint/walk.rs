//! Through the documents, to everything that rules look at.

use super::finding::{Finding, Findings};
use super::memo::{Memo, Site};
use super::rule::Check;
use super::rules;
use super::set::Set;
use super::suppress::Explanations;
use super::view::{GrantView, IdentityView, KeyView, Raw, Report};
use crate::engine::json::{Json, Source, Span, Value};
use crate::engine::policy::PolicyKind;
use crate::engine::snapshot::{Key, Named};
use crate::engine::term::account::AccountId;
use crate::engine::term::arn::Arn;

/// A walk through the documents of a set.
pub(super) struct Walk<'l, 't> {
    set: &'l Set<'l>,
    memo: Memo<'t>,
    findings: Vec<Finding>,
}

/// Members of users, groups and roles that hold inline policies.
const INLINE: [&str; 3] = ["UserPolicyList", "GroupPolicyList", "RolePolicyList"];

impl<'l, 't> Walk<'l, 't> {
    /// A walk that has seen nothing yet.
    pub(super) fn new(set: &'l Set<'l>) -> Self {
        Self { set, memo: Memo::default(), findings: Vec::new() }
    }

    /// Looks at a policy by itself; with its key, the account that it belongs to and whom it is about.
    pub(super) fn policy(
        &mut self,
        source: &Source<'t>,
        json: &Json<'t>,
        kind: PolicyKind,
        (key, account, subject): (Option<&Key>, Option<AccountId>, &str),
    ) {
        let mut visit = Visit {
            set: self.set,
            memo: &mut self.memo,
            source,
            found: Vec::new(),
            explanations: Explanations::default(),
        };
        visit.policy(kind, json, key, account, subject);
        self.findings.extend(visit.found.into_iter().map(|placed| placed.finding));
    }

    /// All that was found.
    pub(super) fn finish(self) -> Findings {
        Findings::new(self.findings)
    }

    /// Looks at a document.
    pub(super) fn document(&mut self, source: &Source<'t>, json: &Json<'t>) {
        let mut visit = Visit {
            set: self.set,
            memo: &mut self.memo,
            source,
            found: Vec::new(),
            explanations: Explanations::default(),
        };
        visit.things(json);
        let Visit { found, explanations, .. } = visit;
        self.findings.extend(explanations.explain(found, source));
    }
}

/// Something found, and where in the document it counts as standing.
pub(super) struct Placed {
    /// What was found.
    pub(super) finding: Finding,
    /// Offset in the document.
    pub(super) at: usize,
}

struct Visit<'w, 't> {
    set: &'w Set<'w>,
    memo: &'w mut Memo<'t>,
    source: &'w Source<'t>,
    found: Vec<Placed>,
    explanations: Explanations,
}

impl<'t> Visit<'_, 't> {
    fn things(&mut self, json: &Json<'t>) {
        if json.member("KeyMetadata").is_some() {
            self.key(json);
        } else {
            self.explanations.of(json);
            for grant in list(json, "Grants") {
                self.grant(grant, None);
            }
        }
        for key in list(json, "Keys") {
            self.key(key);
        }
        for name in ["UserDetailList", "GroupDetailList", "RoleDetailList"] {
            for holder in list(json, name) {
                self.holder(holder);
            }
        }
        for policy in list(json, "Policies") {
            self.managed(policy);
        }
        for endpoint in list(json, "VpcEndpoints") {
            self.explanations.of(endpoint);
            let name = text(endpoint, "VpcEndpointId");
            if let Some(policy) = endpoint.member("PolicyDocument") {
                self.policy(PolicyKind::Endpoint, policy, None, None, name);
            }
        }
        if let Some(organization) = json.member("Organization") {
            self.explanations.of(organization);
            self.organization(organization);
        }
    }

    fn key(&mut self, json: &Json<'t>) {
        self.explanations.of(json);
        let Some(metadata) = json.member("KeyMetadata") else { return };
        let arn = text(metadata, "Arn");
        let Some(key) = self.set.snapshot.key(arn) else { return };
        for grant in list(json, "Grants") {
            self.grant(grant, Some(key));
        }
        // Nobody but AWS can change these.
        if key.aws_managed {
            return;
        }
        let view = KeyView { set: self.set, json, metadata, key };
        let mut found = Vec::new();
        for rule in rules::all() {
            if let Check::Key(check) = rule.check {
                check(&view, &mut Report { rule, found: &mut found, sid: None });
            }
        }
        self.place(found, arn);
        if let Some(policy) = json.member("Policy") {
            self.policy(PolicyKind::Key, policy, Some(key), Some(key.account), arn);
        }
    }

    fn grant(&mut self, json: &Json<'t>, beside: Option<&Key>) {
        let (id, named) = (text(json, "GrantId"), text(json, "KeyId"));
        let snapshot = self.set.snapshot;
        let key = beside.or_else(|| snapshot.key(named));
        let arn = key.map_or(named, |key| &key.arn);
        let Some(grant) = snapshot.grants.documents.find(arn, id) else { return };
        let view = GrantView { set: self.set, json, grant, key };
        let mut found = Vec::new();
        for rule in rules::all() {
            if let Check::Grant(check) = rule.check {
                check(&view, &mut Report { rule, found: &mut found, sid: None });
            }
        }
        self.place(found, arn);
    }

    /// A user, group or role.
    fn holder(&mut self, json: &Json<'t>) {
        self.explanations.of(json);
        let arn = text(json, "Arn");
        let parsed = Arn::parse(arn);
        let account = parsed.and_then(|arn| arn.account_id());
        let name = parsed.and_then(|arn| arn.resource().rsplit('/').next()).unwrap_or_default();
        let snapshot = self.set.snapshot;
        let role = || snapshot.roles.get(&Named(account?, name)).filter(|role| *role.arn == *arn);
        if let Some(identity) = snapshot.users.get(arn).or_else(role) {
            let view = IdentityView { set: self.set, json, identity };
            let mut found = Vec::new();
            for rule in rules::all() {
                if let Check::Identity(check) = rule.check {
                    check(&view, &mut Report { rule, found: &mut found, sid: None });
                }
            }
            self.place(found, arn);
        }
        for name in INLINE {
            for inline in list(json, name) {
                if let Some(policy) = inline.member("PolicyDocument") {
                    self.policy(PolicyKind::Identity, policy, None, account, arn);
                }
            }
        }
    }

    fn managed(&mut self, json: &Json<'t>) {
        self.explanations.of(json);
        let arn = text(json, "Arn");
        // AWS's own policies are not for customers to change.
        let Some(account) = Arn::parse(arn).and_then(|arn| arn.account_id()) else { return };
        let default = text(json, "DefaultVersionId");
        let is_default = |version: &&Json<'_>| {
            let marked = version.member("IsDefaultVersion").and_then(Json::as_bool);
            marked.unwrap_or_else(|| text(version, "VersionId") == default)
        };
        let version = list(json, "PolicyVersionList").iter().find(is_default);
        let boundary = self.set.is_boundary(arn);
        let kind = if boundary { PolicyKind::Boundary } else { PolicyKind::Identity };
        if let Some(policy) = version.and_then(|version| version.member("Document")) {
            self.policy(kind, policy, None, Some(account), arn);
        }
    }

    fn organization(&mut self, json: &Json<'t>) {
        let mut open: Vec<&Json<'t>> = json.member("Root").into_iter().collect();
        while let Some(unit) = open.pop() {
            for (name, kind) in [
                ("ServiceControlPolicies", PolicyKind::Scp),
                ("ResourceControlPolicies", PolicyKind::Rcp),
            ] {
                for item in list(unit, name) {
                    let id = text(item, "Id");
                    let id = if id.is_empty() { text(item, "Name") } else { id };
                    if let Some(policy) = item.member("Content") {
                        self.policy(kind, policy, None, None, id);
                    }
                }
            }
            open.extend(list(unit, "Accounts"));
            open.extend(list(unit, "OrganizationalUnits"));
        }
    }

    fn policy(
        &mut self,
        kind: PolicyKind,
        json: &Json<'t>,
        key: Option<&Key>,
        account: Option<AccountId>,
        subject: &str,
    ) {
        let site = Site { kind, json, source: self.source, key, account };
        let Some((found, compiled)) = self.memo.look(self.set, &site) else { return };
        if found.is_empty() {
            return;
        }
        let base = json.span.start;
        match &compiled.nested {
            None => {
                for raw in found.iter() {
                    let span = Span { start: base + raw.span.start, end: base + raw.span.end };
                    self.add(raw, self.source, span, base + raw.span.start, subject);
                }
            }
            Some((encoding, text)) => {
                let source = Source::nested(self.source, json.span, *encoding, text);
                for raw in found.iter() {
                    self.add(raw, &source, raw.span, base, subject);
                }
            }
        }
    }

    fn place(&mut self, found: Vec<Raw>, subject: &str) {
        for raw in found {
            self.add(&raw, self.source, raw.span, raw.span.start, subject);
        }
    }

    fn add(&mut self, raw: &Raw, source: &Source<'_>, span: Span, at: usize, subject: &str) {
        let finding = Finding {
            rule: raw.rule,
            severity: raw.severity,
            message: raw.message.clone(),
            help: raw.help.clone().into_owned(),
            place: source.place(span),
            subject: subject.into(),
            sid: raw.sid.clone(),
            explained: None,
        };
        self.found.push(Placed { finding, at });
    }
}

/// The items of a member that is a list.
fn list<'j, 'a>(json: &'j Json<'a>, name: &str) -> &'j [Json<'a>] {
    json.member(name).and_then(Json::as_list).unwrap_or_default()
}

/// A member that is a text; empty, if it is not there.
fn text<'j>(json: &'j Json<'_>, name: &str) -> &'j str {
    match json.member(name).map(|json| &json.value) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

//! The organization: which policies limit which account.

use std::sync::Arc;

use hashbrown::HashMap;

use super::reading::Reading;
use super::revision::{Holds, digest};
use super::sizes::Counted;
use crate::engine::json::{Json, Span};
use crate::engine::policy::PolicyKind;
use crate::engine::snapshot::Attached;
use crate::engine::snapshot::organization::{Level, Member, Organization};
use crate::engine::term::account::AccountId;

/// Characters of a service control policy or resource control policy.
///
/// Source: AWS Organizations User Guide, "Quotas".
const MOST: usize = 5120;

/// The one resource control policy that may allow.
///
/// Source: AWS Organizations User Guide, "RCP evaluation".
const FULL_ACCESS_ID: &str = "p-RCPFullAWSAccess";
const FULL_ACCESS_NAME: &str = "RCPFullAWSAccess";

/// What is known of a root, organizational unit or account. The shape is ours alone, so that
/// another member is likely to be a misspelt one.
const MEMBERS: [&str; 14] = [
    "Id",
    "ServiceControlPolicies",
    "ResourceControlPolicies",
    "Accounts",
    "OrganizationalUnits",
    "Name",
    "Arn",
    "Email",
    "Status",
    "State",
    "JoinedMethod",
    "JoinedTimestamp",
    "Path",
    "PolicyTypes",
];

/// A root or organizational unit that is still to be read, and what stands above it.
struct Unit<'j, 'a> {
    json: &'j Json<'a>,
    path: String,
    levels: Vec<Level>,
}

impl Reading<'_> {
    /// The organization.
    ///
    /// Source: AWS Organizations User Guide, "SCP evaluation", "RCP evaluation".
    pub(super) fn organization(&mut self, json: &Json<'_>) {
        if !self.is_object(json, "Organization") {
            return;
        }
        let errors = self.said.problems.len();
        let id = self.organization_id(json);
        let management_account = self.management_account(json);
        let accounts = match self.required(json, "Root").filter(|root| self.is_object(root, "Root"))
        {
            Some(root) => self.accounts(root, format!("{}/", id.unwrap_or_default())),
            None => HashMap::new(),
        };
        let Some(id) = id else { return };
        let organization = Organization { id: id.into(), management_account, accounts };
        let organization = Some(organization).filter(|_| self.no_error_since(errors));
        let digest = self.fingerprint("organization", id, json, |_| true, Holds::Policies);
        // There is one organization, so that another one is a contradiction.
        self.add(
            |said| &mut said.organization,
            ("organization", id),
            "",
            (digest, json.span),
            organization,
        );
    }

    /// `MasterAccountId` is how `describe-organization` calls it.
    fn management_account(&mut self, json: &Json<'_>) -> Option<AccountId> {
        let names = ["ManagementAccountId", "MasterAccountId"];
        let member = names.iter().find_map(|name| self.member(json, name))?;
        let text = self.as_text(member, "ManagementAccountId")?;
        let account = AccountId::parse(text);
        if account.is_none() {
            self.bad_account(text, member.span);
        }
        account
    }

    /// The accounts below a root, with the levels from the root down to them.
    fn accounts(&mut self, root: &Json<'_>, path: String) -> HashMap<AccountId, Member> {
        let mut accounts = HashMap::new();
        let mut open = vec![Unit { json: root, path, levels: Vec::new() }];
        while let Some(Unit { json, path, mut levels }) = open.pop() {
            let id = self.organization_id(json).unwrap_or_default();
            let path = format!("{path}{id}/");
            levels.push(self.level(json));
            for account in self.list(json, "Accounts") {
                self.account(account, &path, &levels, &mut accounts);
            }
            let units = self.list(json, "OrganizationalUnits");
            for unit in units.iter().rev() {
                if self.is_object(unit, "OrganizationalUnits") {
                    open.push(Unit { json: unit, path: path.clone(), levels: levels.clone() });
                }
            }
        }
        accounts
    }

    fn account(
        &mut self,
        json: &Json<'_>,
        path: &str,
        above: &[Level],
        accounts: &mut HashMap<AccountId, Member>,
    ) {
        if !self.is_object(json, "Accounts") {
            return;
        }
        let mut levels = above.to_vec();
        levels.push(self.level(json));
        let Some(text) = self.required_text(json, "Id") else { return };
        let Some(account) = AccountId::parse(text) else {
            return self.bad_account(text, json.span);
        };
        let member = Member { path: path.into(), levels: levels.into() };
        if accounts.insert(account, member).is_some() {
            let message = format!("the account `{account}` is in the organization twice");
            self.error(
                "duplicate-account",
                message,
                "an account has one place in its organization",
                json.span,
            );
        }
    }

    /// What is attached to a root, organizational unit or account itself.
    fn level(&mut self, json: &Json<'_>) -> Level {
        for member in json.as_object().unwrap_or_default() {
            let known = |known: &&str| member.name.eq_ignore_ascii_case(known);
            if !MEMBERS.iter().any(known) {
                let message = format!("unknown member `{}`, ignored", member.name);
                let help = format!("known members: {}", MEMBERS.join(", "));
                self.warning("unknown-member", message, &help, member.name_span);
            }
        }
        Level {
            service_control_policies: self.level_policies(
                json,
                "ServiceControlPolicies",
                PolicyKind::Scp,
            ),
            resource_control_policies: self.level_policies(
                json,
                "ResourceControlPolicies",
                PolicyKind::Rcp,
            ),
        }
    }

    /// A list of policies; without it the level does not limit, so that `null` is refused.
    fn level_policies(
        &mut self,
        json: &Json<'_>,
        name: &str,
        kind: PolicyKind,
    ) -> Option<Arc<[Attached]>> {
        self.member(json, name);
        let json = json.member(name)?;
        let Some(items) = json.as_list() else {
            self.wrong_type(json, name, "a list of policies");
            return None;
        };
        let policies = items.iter().filter_map(|item| self.level_policy(item, name, kind));
        Some(policies.collect::<Vec<_>>().into())
    }

    fn level_policy(&mut self, item: &Json<'_>, list: &str, kind: PolicyKind) -> Option<Attached> {
        if !self.is_object(item, list) {
            return None;
        }
        let (id, name) = (self.text(item, "Id"), self.text(item, "Name"));
        if id.is_none() && name.is_none() {
            self.required(item, "Id");
        }
        let content = self.required(item, "Content")?;
        let full_access = id == Some(FULL_ACCESS_ID) || name == Some(FULL_ACCESS_NAME);
        let kind =
            if kind == PolicyKind::Rcp && full_access { PolicyKind::FullAccessRcp } else { kind };
        let what = format!("a {}", kind.in_words());
        self.check_quota(kind, &[content], (MOST, Counted::All), &what);
        let policy = self.policy(kind, "Content", content)?;
        let label = id.or(name)?;
        if let Some(id) = id {
            let content = self.digests.of(content, &self.options.limits);
            let content = digest(&[format!("{kind:?}").as_bytes(), content.as_slice()].concat());
            let thing = format!("{} {id}", kind.in_words());
            let named = (kind.in_words(), id);
            self.add(
                |said| &mut said.organization_policies,
                named,
                &*thing,
                (content, item.span),
                Some(()),
            );
        }
        Some(Attached { id: label.into(), policy })
    }

    /// The id of an organization, root or organizational unit: a part of a path.
    fn organization_id<'j>(&mut self, json: &'j Json<'_>) -> Option<&'j str> {
        let text = self.required_text(json, "Id")?;
        let plain =
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !plain {
            let message =
                format!("`{text}` is not the id of an organization, root or organizational unit");
            let span = json.member("Id").map_or(json.span, |json| json.span);
            self.error(
                "bad-organization-id",
                message,
                "such ids look like `o-…`, `r-…` and `ou-…`",
                span,
            );
        }
        plain.then_some(text)
    }

    fn bad_account(&mut self, text: &str, span: Span) {
        let message = format!("`{text}` is not an account id");
        self.error("bad-account", message, "an account id has twelve digits, as a text", span);
    }
}

//! IAM users, groups and roles, as `get-account-authorization-details` prints them.

use super::reading::Reading;
use super::revision::Holds;
use super::sizes::Counted;
use super::tags::Case;
use crate::engine::json::{Json, Span};
use crate::engine::policy::PolicyKind;
use crate::engine::policy::gist::Marks;
use crate::engine::snapshot::{Attached, Identity};
use crate::engine::term::account::AccountId;
use crate::engine::term::arn::Arn;
use crate::engine::term::partition::partition_of;

/// A user or role, and the names of what else it carries.
#[derive(Debug)]
pub(super) struct Carrier {
    /// With its inline policies, and no others yet.
    pub(super) identity: Identity,
    /// ARNs of its managed policies.
    pub(super) attached: Vec<Named>,
    /// Names of its groups.
    pub(super) groups: Vec<Named>,
    /// ARN of its permissions boundary.
    pub(super) boundary: Option<Named>,
}

/// A group.
#[derive(Debug)]
pub(super) struct Group {
    /// Inline policies.
    pub(super) inline: Vec<Attached>,
    /// ARNs of its managed policies.
    pub(super) attached: Vec<Named>,
}

/// Something that is named here and described elsewhere.
#[derive(Debug)]
pub(super) struct Named {
    /// Its name or ARN.
    pub(super) name: Box<str>,
    /// Where it is named.
    pub(super) span: Span,
}

/// How IAM writes one kind of entity.
struct Shape {
    /// In messages.
    kind: &'static str,
    /// Start of the resource part of its ARN.
    resource: &'static str,
    name: &'static str,
    id: &'static str,
    inline: &'static str,
    /// Characters of all inline policies together.
    ///
    /// Source: IAM User Guide, "IAM and AWS STS quotas".
    quota: usize,
}

const USER: Shape = Shape {
    kind: "user",
    resource: "user/",
    name: "UserName",
    id: "UserId",
    inline: "UserPolicyList",
    quota: 2048,
};
const ROLE: Shape = Shape {
    kind: "role",
    resource: "role/",
    name: "RoleName",
    id: "RoleId",
    inline: "RolePolicyList",
    quota: 10_240,
};
const GROUP: Shape = Shape {
    kind: "group",
    resource: "group/",
    name: "GroupName",
    id: "GroupId",
    inline: "GroupPolicyList",
    quota: 5120,
};

/// Where service-linked roles live.
///
/// Source: IAM User Guide, "Create a service-linked role".
const SERVICE_LINKED: &str = "role/aws-service-role/";

/// Partition, account and name of a group, as one text: users are in groups of their own partition.
pub(super) fn group_identity(arn: &str, account: AccountId, name: &str) -> String {
    format!("{} {account}/{name}", partition_of(arn).unwrap_or_default())
}

/// Account and name, as one text.
pub(super) fn identity(account: AccountId, name: &str) -> String {
    format!("{account}/{name}")
}

impl Reading<'_> {
    /// A user.
    ///
    /// Source: IAM API Reference, `UserDetail`.
    pub(super) fn user(&mut self, item: &Json<'_>) {
        if !self.is_object(item, "UserDetailList") {
            return;
        }
        let errors = self.said.problems.len();
        let who = self.who(item, &USER);
        let carrier = self.carrier(item, who.as_ref(), &USER);
        let carrier = carrier.filter(|_| self.no_error_since(errors));
        let Some((arn, account, name)) = who else { return };
        let digest = self.fingerprint("user", arn.text, item, |_| true, Holds::Policies);
        let id = identity(account, name);
        self.add(|said| &mut said.users, ("user", arn.text), &*id, (digest, item.span), carrier);
    }

    /// A role.
    ///
    /// Source: IAM API Reference, `RoleDetail`.
    pub(super) fn role(&mut self, item: &Json<'_>) {
        if !self.is_object(item, "RoleDetailList") {
            return;
        }
        let errors = self.said.problems.len();
        let who = self.who(item, &ROLE);
        let carrier = self.carrier(item, who.as_ref(), &ROLE);
        let carrier = carrier.filter(|_| self.no_error_since(errors));
        let Some((arn, account, name)) = who else { return };
        let digest = self.fingerprint("role", arn.text, item, |_| true, Holds::Policies);
        let id = identity(account, name);
        self.add(|said| &mut said.roles, ("role", arn.text), &*id, (digest, item.span), carrier);
    }

    /// A group.
    ///
    /// Source: IAM API Reference, `GroupDetail`.
    pub(super) fn group(&mut self, item: &Json<'_>) {
        if !self.is_object(item, "GroupDetailList") {
            return;
        }
        let errors = self.said.problems.len();
        let who = self.who(item, &GROUP);
        let group = Group { inline: self.inline(item, &GROUP), attached: self.attached(item) };
        let group = Some(group).filter(|_| self.no_error_since(errors));
        let Some((arn, account, name)) = who else { return };
        let digest = self.fingerprint("group", arn.text, item, |_| true, Holds::Policies);
        let id = group_identity(arn.text, account, name);
        self.add(|said| &mut said.groups, ("group", arn.text), &*id, (digest, item.span), group);
    }

    /// ARN, account and name.
    fn who<'j>(
        &mut self,
        item: &'j Json<'_>,
        shape: &Shape,
    ) -> Option<(Arn<'j>, AccountId, &'j str)> {
        let text = self.required_text(item, "Arn")?;
        let told = self.text(item, shape.name);
        let span = item.member("Arn").map_or(item.span, |json| json.span);
        let parsed =
            Arn::parse(text).filter(|arn| arn.service() == "iam" && arn.region().is_empty());
        let found = parsed.and_then(|arn| {
            let name = arn.resource().strip_prefix(shape.resource)?.rsplit('/').next()?;
            Some((arn, arn.account_id()?, name)).filter(|_| !name.is_empty())
        });
        let Some((_, account, name)) = found else {
            let message = format!("`{text}` is not the ARN of an IAM {}", shape.kind);
            let help = format!("write it as `arn:aws:iam::111122223333:{}Name`", shape.resource);
            self.error("bad-arn", message, &help, span);
            return None;
        };
        if let Some(told) = told.filter(|told| *told != name) {
            let message = format!("`{}` is `{told}`, but `Arn` says `{name}`", shape.name);
            self.error("contradicting-members", message, "make them agree", span);
        }
        self.said.described_accounts.insert(account);
        found
    }

    fn carrier(
        &mut self,
        item: &Json<'_>,
        who: Option<&(Arn<'_>, AccountId, &str)>,
        shape: &Shape,
    ) -> Option<Carrier> {
        let unique_id = self.text(item, shape.id);
        let inline = self.inline(item, shape);
        let attached = self.attached(item);
        let boundary = self.boundary(item);
        let groups = self.group_names(item);
        let tags = self.tags(item, Case::DoesNotCount);
        let (arn, account, name) = who?;
        let identity = Identity {
            arn: arn.text.into(),
            account: *account,
            name: (*name).into(),
            unique_id: unique_id.map(Into::into),
            policies: inline.into(),
            boundary: None,
            tags,
            service_linked: arn.resource().starts_with(SERVICE_LINKED),
            marks: Marks::identity(arn, name, account),
            effort: 0,
        };
        Some(Carrier { identity, attached, groups, boundary })
    }

    fn inline(&mut self, item: &Json<'_>, shape: &Shape) -> Vec<Attached> {
        let policies = self.list(item, shape.inline);
        let mut compiled = Vec::with_capacity(policies.len());
        let mut documents = Vec::with_capacity(policies.len());
        for policy in policies {
            if !self.is_object(policy, shape.inline) {
                continue;
            }
            let name = self.required_text(policy, "PolicyName");
            let Some(document) = self.required(policy, "PolicyDocument") else { continue };
            documents.push(document);
            if let (Some(policy), Some(name)) =
                (self.policy(PolicyKind::Identity, "PolicyDocument", document), name)
            {
                compiled.push(Attached { id: name.into(), policy });
            }
        }
        let what = format!("inline policies of a {}", shape.kind);
        self.check_quota(PolicyKind::Identity, &documents, (shape.quota, Counted::Dense), &what);
        compiled
    }

    fn attached(&mut self, item: &Json<'_>) -> Vec<Named> {
        let mut attached = Vec::new();
        for policy in self.list(item, "AttachedManagedPolicies") {
            if self.is_object(policy, "AttachedManagedPolicies")
                && let Some(arn) = self.required_text(policy, "PolicyArn")
            {
                attached.push(Named { name: arn.into(), span: policy.span });
            }
        }
        attached
    }

    fn boundary(&mut self, item: &Json<'_>) -> Option<Named> {
        let json = self.member(item, "PermissionsBoundary")?;
        if !self.is_object(json, "PermissionsBoundary") {
            return None;
        }
        let arn = self.required_text(json, "PermissionsBoundaryArn")?;
        Some(Named { name: arn.into(), span: json.span })
    }

    fn group_names(&mut self, item: &Json<'_>) -> Vec<Named> {
        let mut groups = Vec::new();
        for group in self.list(item, "GroupList") {
            if let Some(name) = self.as_text(group, "GroupList") {
                groups.push(Named { name: name.into(), span: group.span });
            }
        }
        groups
    }
}

//! IAM users, roles and groups of the policy set, and their policies.
//!
//! Source: IAM API Reference, `GetAccountAuthorizationDetails`.

use serde_json::Value;

use super::policy::{self, Kind, Policy};
use super::world::{Described, list, text};
use super::{Refusal, arn};

type Read<T> = Result<T, Refusal>;

/// An IAM user, role or group.
pub(crate) struct Identity {
    pub(crate) arn: String,
    pub(crate) name: String,
    /// `AIDA…` or `AROA…`.
    pub(crate) id: Option<String>,
    /// Inline and attached policies.
    pub(crate) policies: Vec<Policy>,
    pub(crate) boundary: Option<Policy>,
    pub(crate) groups: Vec<String>,
    pub(crate) tags: Vec<(String, String)>,
}

/// Managed policies by ARN.
pub(crate) type Managed = Vec<(String, Policy)>;

impl Identity {
    /// `kind` is `User`, `Role` or `Group`: how the members are named.
    pub(crate) fn read(detail: &Value, kind: &str, managed: &Managed) -> Read<Self> {
        // A policy that is named but missing may hide a Deny or a limit.
        let find = |arn: &Value| {
            let found = managed.iter().find(|(known, _)| arn == known.as_str());
            found.map(|(_, policy)| policy.clone()).ok_or(Refusal::Policy)
        };
        let mut policies = Vec::new();
        for inline in list(&detail[format!("{kind}PolicyList")]) {
            text(&inline["PolicyName"])?;
            policies.push(policy::read(&inline["PolicyDocument"], Kind::Identity)?);
        }
        for attached in list(&detail["AttachedManagedPolicies"]) {
            policies.push(find(&attached["PolicyArn"])?);
        }
        let boundary = detail.get("PermissionsBoundary").filter(|boundary| !boundary.is_null());
        let tag = |tag: &Value| Ok((text(&tag["Key"])?, text(&tag["Value"])?));
        let arn = text(&detail["Arn"])?;
        let name = detail[format!("{kind}Name")].as_str();
        let is_one = arn::after(&arn, &format!("{}/", kind.to_lowercase())).is_some();
        if !is_one || !arn::account(&arn).is_some_and(arn::is_account_id) {
            return Err(Refusal::Policy);
        }
        Ok(Self {
            name: name.unwrap_or(arn::last_name(&arn)).to_owned(),
            id: detail[format!("{kind}Id")].as_str().map(str::to_owned),
            policies,
            boundary: boundary.map(|b| find(&b["PermissionsBoundaryArn"])).transpose()?,
            groups: list(&detail["GroupList"]).iter().map(text).collect::<Read<_>>()?,
            tags: list(&detail["Tags"]).iter().map(tag).collect::<Read<_>>()?,
            arn,
        })
    }

    pub(crate) fn account(&self) -> Option<&str> {
        arn::account(&self.arn)
    }

    /// Groups are of the account of their users, and of its partition.
    pub(crate) fn may_be_in(&self, group: &Self) -> bool {
        self.account() == group.account() && arn::same_partition(&self.arn, &group.arn)
    }
}

/// The default versions of the managed policies.
pub(crate) fn managed_policies(documents: &[Value], described: &mut Described) -> Read<Managed> {
    let mut managed = Managed::new();
    for policy in documents.iter().flat_map(|document| list(&document["Policies"])) {
        let arn = text(&policy["Arn"])?;
        let mut versions = list(&policy["PolicyVersionList"]).iter();
        let default = versions.find(|version| version["IsDefaultVersion"] == true);
        let document = &default.ok_or(Refusal::Policy)?["Document"];
        let compiled = policy::read(document, Kind::Identity)?;
        if described.is_new(arn.clone(), policy.clone())? {
            managed.push((arn, compiled));
        }
    }
    Ok(managed)
}

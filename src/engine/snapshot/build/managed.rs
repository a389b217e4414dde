//! Managed policies: `Policies` of `get-account-authorization-details`.

use std::sync::Arc;

use super::reading::Reading;
use super::revision::Holds;
use super::sizes::Counted;
use crate::engine::json::Json;
use crate::engine::policy::{Policy, PolicyKind};
use crate::engine::problem::Problem;
use crate::engine::term::arn::Arn;

/// Characters of a managed policy.
///
/// Source: IAM User Guide, "IAM and AWS STS quotas".
const MOST: usize = 6144;

/// A managed policy in its default version.
#[derive(Debug)]
pub(super) struct Managed {
    /// Its ARN.
    pub(super) arn: Arc<str>,
    /// As an identity policy.
    pub(super) identity: Arc<Policy>,
    /// As a permissions boundary; what is wrong with that matters where it is used so.
    pub(super) boundary: Result<Arc<Policy>, Vec<Problem>>,
}

impl Reading<'_> {
    /// A managed policy.
    ///
    /// Source: IAM API Reference, `ManagedPolicyDetail`, `PolicyVersion`.
    pub(super) fn managed_policy(&mut self, item: &Json<'_>) {
        if !self.is_object(item, "Policies") {
            return;
        }
        let errors = self.said.problems.len();
        let arn = self.policy_arn(item);
        let document = self.default_version(item);
        let compiled = document.and_then(|json| {
            // AWS's own policies may be larger.
            if arn.is_some_and(|arn| arn.account_id().is_some()) {
                let quota = (MOST, Counted::Dense);
                self.check_quota(PolicyKind::Identity, &[json], quota, "a managed policy");
            }
            let identity = self.policy(PolicyKind::Identity, "Document", json)?;
            Some((identity, self.as_boundary(json)))
        });
        let Some(arn) = arn else { return };
        let compiled = compiled.filter(|_| self.no_error_since(errors));
        let managed = compiled.map(|(identity, boundary)| Managed {
            arn: arn.text.into(),
            identity,
            boundary,
        });
        self.said.described_accounts.extend(arn.account_id());
        let digest = self.fingerprint("managed policy", arn.text, item, |_| true, Holds::Policies);
        let named = ("managed policy", arn.text);
        self.add(|said| &mut said.managed, named, arn.text, (digest, item.span), managed);
    }

    fn policy_arn<'j>(&mut self, item: &'j Json<'_>) -> Option<Arn<'j>> {
        let text = self.required_text(item, "Arn")?;
        let arn = Arn::parse(text)
            .filter(|arn| arn.service() == "iam" && arn.resource().starts_with("policy/"));
        if arn.is_none() {
            let message = format!("`{text}` is not the ARN of a managed policy");
            let help = "`Policies` are those of `aws iam get-account-authorization-details`";
            self.error(
                "bad-arn",
                message,
                help,
                item.member("Arn").map_or(item.span, |json| json.span),
            );
        }
        arn
    }

    /// The document of the default version.
    fn default_version<'j, 'a>(&mut self, item: &'j Json<'a>) -> Option<&'j Json<'a>> {
        self.required(item, "PolicyVersionList")?;
        let versions = self.list(item, "PolicyVersionList");
        let told = self.text(item, "DefaultVersionId");
        let mut defaults = Vec::new();
        for version in versions {
            let marked = self.truth(version, "IsDefaultVersion");
            let id = self.text(version, "VersionId");
            if marked.unwrap_or(told.is_some() && id == told) {
                defaults.push((version, id));
            }
        }
        let agrees = |id: Option<&str>| told.is_none() || id.is_none() || id == told;
        match defaults.as_slice() {
            [(version, id)] if agrees(*id) => self.required(version, "Document"),
            _ => {
                let message = "not exactly one version in `PolicyVersionList` is the default";
                let help =
                    "one version has `\"IsDefaultVersion\": true`, and `DefaultVersionId` names it";
                self.error("no-default-version", message, help, item.span);
                None
            }
        }
    }

    fn as_boundary(&mut self, json: &Json<'_>) -> Result<Arc<Policy>, Vec<Problem>> {
        let before = std::mem::take(&mut self.said.problems);
        let compiled = self.policy(PolicyKind::Boundary, "Document", json);
        let raised = std::mem::replace(&mut self.said.problems, before);
        compiled.ok_or(raised)
    }
}

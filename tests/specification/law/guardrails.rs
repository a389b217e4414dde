//! What stands around every permission: service control policies, resource control policies, the
//! policy of the VPC endpoint.
//!
//! Source: AWS Organizations User Guide, "SCP evaluation", "Resource control policies (RCPs)"; AWS
//! KMS Developer Guide, "Connect to AWS KMS through a VPC endpoint".

use super::arn;
use super::authorize::Authorization;
use super::context::Entry;
use super::legs::Target;
use super::organization::{self, Level};
use super::policy::Policy;
use super::resources::Resource;
use super::statement::{
    policy_allows, policy_denies, resource_policy_allows, resource_policy_denies,
};

impl Authorization<'_> {
    /// Those of the caller's account. The management account and service-linked roles are free.
    fn scp_levels(&self) -> Vec<Level> {
        match &self.caller.account {
            Some(account)
                if !self.caller.is_service_linked_role()
                    && !organization::is_management_account(self.world, account) =>
            {
                organization::scp_levels(self.world, account)
            }
            _ => Vec::new(),
        }
    }

    /// Those of the resource owner's account. The management account's resources, keys that AWS
    /// manages, service-linked roles and RetireGrant are free.
    fn rcp_levels(&self) -> Vec<Level> {
        let owner = match &self.leg.target {
            Target::Key(key, _) if key.is_aws_managed() => None,
            Target::Key(key, _) => Some(key.account.as_str()),
            Target::Alias(alias) => arn::account(alias),
            Target::NoKey(Resource::EveryKey(_)) => self.caller.account.as_deref(),
            Target::NoKey(_) | Target::Unknown { .. } => None,
        };
        match owner {
            Some(owner)
                if !self.caller.is_service_linked_role()
                    && !organization::is_management_account(self.world, owner)
                    && !self.is_retire_grant() =>
            {
                organization::rcp_levels(self.world, owner)
            }
            _ => Vec::new(),
        }
    }

    /// The endpoint that the request came through, chosen before any override.
    fn endpoint(&self) -> Option<&str> {
        match self.request.asserted("aws:SourceVpce") {
            Some(Entry::One(id)) => Some(id),
            _ => None,
        }
    }

    fn endpoint_policy(&self) -> Option<&Policy> {
        let id = self.endpoint()?;
        self.world.endpoints.iter().find(|(known, _)| known == id).map(|(_, policy)| policy)
    }

    /// Whether the request came through an endpoint that the set does not describe, although it
    /// should.
    fn came_from_nowhere(&self) -> bool {
        if self.endpoint().is_none() || self.endpoint_policy().is_some() {
            return false;
        }
        match self.switches.value("unknown_vpc_endpoint") {
            "no-policies" => false,
            "deny" => true,
            _ => !self.world.endpoints.is_empty(),
        }
    }

    pub(crate) fn is_denied_by_guardrail(&self) -> bool {
        let question = self.question();
        let (scps, rcps) = (self.scp_levels(), self.rcp_levels());
        scps.iter().flatten().any(|policy| policy_denies(policy, &question))
            || rcps.iter().flatten().any(|policy| resource_policy_denies(policy, &question))
            || self
                .endpoint_policy()
                .is_some_and(|policy| resource_policy_denies(policy, &question))
    }

    /// Every level must allow.
    pub(crate) fn passes_guardrails(&self) -> bool {
        let question = self.question();
        let scp_allows = |policy: &Policy| policy_allows(policy, &question);
        let others_allow = |policy: &Policy| resource_policy_allows(policy, &question);
        self.scp_levels().iter().all(|level| level.iter().any(scp_allows))
            && self.rcp_levels().iter().all(|level| level.iter().any(others_allow))
            && self.endpoint_policy().is_none_or(others_allow)
            && !self.came_from_nowhere()
    }
}

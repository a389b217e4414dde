//! One authorization: any Deny denies; after that everything that must allow has to.
//!
//! Source: IAM User Guide, "Policy evaluation logic"; AWS KMS Developer Guide, "Key policies in AWS
//! KMS", "Troubleshooting AWS KMS permissions".

use super::caller::{Caller, Kind};
use super::context::Context;
use super::grants::{self, Applied, SourceArns};
use super::legs::{Leg, Target};
use super::policy::Policy;
use super::principals::Naming;
use super::request::Request;
use super::resources::Resource;
use super::retire::may_retire;
use super::statement::{
    Question, key_policy_denies, key_policy_namings, policy_allows, policy_denies,
};
use super::switches::Switches;
use super::world::{Key, World};
use super::{arn, catalog};

/// What an authorization comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    ImplicitDeny,
    ExplicitDeny,
}

/// One authorization and all that decides it.
pub(crate) struct Authorization<'a> {
    pub(crate) leg: &'a Leg<'a>,
    pub(crate) caller: &'a Caller<'a>,
    pub(crate) request: &'a Request,
    pub(crate) world: &'a World,
    pub(crate) switches: &'a Switches,
    pub(crate) context: &'a Context,
    /// `kms:X`
    pub(crate) action: String,
    pub(crate) resource: Resource,
    /// Which grants count.
    pub(crate) source_arns: SourceArns,
}

/// Whether the caller's own policies allow. The root user satisfies identity policy and boundary.
pub(crate) struct OwnPolicies {
    pub(crate) identity: bool,
    pub(crate) boundary: bool,
    pub(crate) session: bool,
}

impl OwnPolicies {
    pub(crate) fn all(&self) -> bool {
        self.identity && self.limits()
    }

    /// Boundary and session policies.
    pub(crate) fn limits(&self) -> bool {
        self.boundary && self.session
    }
}

impl Authorization<'_> {
    pub(crate) fn verdict(&self) -> Verdict {
        if self.is_denied() {
            Verdict::ExplicitDeny
        } else if self.is_in_partition()
            && self.is_within_reach()
            && self.passes_guardrails()
            && self.is_granted()
        {
            Verdict::Allowed
        } else {
            Verdict::ImplicitDeny
        }
    }

    pub(crate) fn question(&self) -> Question<'_> {
        Question {
            action: &self.action,
            resource: &self.resource,
            context: self.context,
            caller: self.caller,
            switches: self.switches,
        }
    }

    fn key(&self) -> Option<&Key> {
        if let Target::Key(key, _) = &self.leg.target { Some(key) } else { None }
    }

    pub(crate) fn is_retire_grant(&self) -> bool {
        self.leg.action == "RetireGrant"
    }

    /// A Deny that applies, or may apply, anywhere. In RetireGrant the key policy has no say.
    fn is_denied(&self) -> bool {
        let question = self.question();
        let caller = self.caller;
        let denies = |policy: &Policy| policy_denies(policy, &question);
        let by_key_policy = self.key().filter(|_| !self.is_retire_grant()).is_some_and(|key| {
            let policies = std::iter::once(&key.policy).chain(&key.ram_policy);
            policies.into_iter().any(|policy| key_policy_denies(policy, &question))
        });
        let by_own_policy = caller.identity_policies.iter().any(|policy| denies(policy))
            || caller.boundary().is_some_and(denies)
            || caller.session_policies.unwrap_or_default().iter().any(denies);
        self.is_denied_by_guardrail() || by_key_policy || by_own_policy
    }

    fn is_same_account(&self) -> bool {
        let owner = match &self.leg.target {
            Target::Key(key, _) => Some(key.account.as_str()),
            Target::Alias(alias) => arn::account(alias),
            // Only principals of one's own account can be asked about.
            Target::NoKey(Resource::EverythingOr(principal)) => arn::account(principal),
            Target::NoKey(_) => self.caller.account.as_deref(),
            Target::Unknown { .. } => None,
        };
        self.caller.account.is_some() && self.caller.account.as_deref() == owner
    }

    /// Nothing works across partitions. A service is in all of them.
    fn is_in_partition(&self) -> bool {
        let owned = match &self.leg.target {
            Target::Key(key, _) => key.arn.as_str(),
            Target::Alias(arn) | Target::Unknown { arn, .. } => arn,
            Target::NoKey(Resource::EverythingOr(principal)) => principal,
            Target::NoKey(_) => return true,
        };
        self.caller.kind == Kind::Service || arn::same_partition(owned, &self.caller.arn)
    }

    /// Few operations work across accounts. A service has no account that could be another one.
    fn is_within_reach(&self) -> bool {
        self.caller.kind == Kind::Service
            || self.is_same_account()
            || catalog::is_cross_account(&self.leg.action)
    }

    /// Whether key policy, grants and the caller's own policies, as far as each is needed, allow.
    fn is_granted(&self) -> bool {
        if self.caller.is_never_allowed {
            return false;
        }
        let own = self.own_policies();
        let Some(key) = self.key() else {
            return self.is_same_account() && !self.is_reserved_alias() && own.all();
        };
        if self.is_kept_by_aws(key) {
            return false;
        }
        if self.is_retire_grant() {
            return may_retire(key, self.caller, self.request, &own);
        }
        let shared = key.ram_policy.as_ref();
        let shared = shared.filter(|_| self.switches.is("ram_policy", "statements"));
        let namings: Vec<Naming> = std::iter::once(&key.policy)
            .chain(shared)
            .flat_map(|policy| key_policy_namings(policy, &self.question()))
            .collect();
        let grants = grants::applying(key, self);
        match (self.caller.kind, self.is_same_account()) {
            (Kind::Service, _) => !namings.is_empty() || !grants.is_empty(),
            (_, true) => self.same_account(&namings, &grants, &own),
            (_, false) => self.cross_account(&namings, &grants, &own),
        }
    }

    /// Alias names below `alias/aws/` are AWS's own.
    fn is_reserved_alias(&self) -> bool {
        let Target::Alias(alias) = &self.leg.target else { return false };
        arn::after(alias, "alias/aws/").is_some()
    }

    /// What nobody can do to keys that AWS manages.
    fn is_kept_by_aws(&self, key: &Key) -> bool {
        let kept = [
            "PutKeyPolicy",
            "CreateAlias",
            "UpdateAlias",
            "DeleteAlias",
            "TagResource",
            "UntagResource",
            "ScheduleKeyDeletion",
        ];
        key.is_aws_managed() && kept.contains(&self.leg.action.as_str())
    }

    fn own_policies(&self) -> OwnPolicies {
        let (caller, question) = (self.caller, self.question());
        // The root user needs no policy, unless its session was assumed without a task policy.
        let assumed = self
            .context
            .one("aws:AssumedRoot")
            .is_some_and(|value| !value.eq_ignore_ascii_case("false"));
        let has_task = caller.session_policies.is_some();
        let root = caller.kind == Kind::Root && (!assumed || has_task);
        let powerless_root = caller.kind == Kind::Root && !root;
        let allows = |policy: &Policy| policy_allows(policy, &question);
        OwnPolicies {
            identity: root || caller.identity_policies.iter().any(|policy| allows(policy)),
            boundary: root || (!powerless_root && caller.boundary().is_none_or(allows)),
            session: match caller.session_policies {
                Some(policies) => policies.iter().any(allows),
                None => !caller.is_bare_federated(),
            },
        }
    }

    /// The nearer a key policy names the caller, the fewer of its own policies are needed.
    ///
    /// Source: IAM User Guide, "AWS JSON policy elements: Principal" (IAM role principals), "Policy
    /// evaluation logic" (permissions boundaries, session policies).
    fn same_account(&self, namings: &[Naming], grants: &[Applied], own: &OwnPolicies) -> bool {
        let by_key_policy = namings.iter().any(|naming| match naming {
            Naming::Itself => true,
            Naming::Everyone | Naming::EveryAwsIdentity => !self.caller.is_bare_federated(),
            Naming::ItsRole | Naming::ItsUser => own.limits(),
            Naming::ItsAccount => own.all(),
        });
        let by_grant = grants.iter().any(|grant| self.is_enough(grant, own));
        // The stricter profile: the identity policy too, unless the key policy delegates.
        let identity_needed = self.switches.is("profile", "dual-control")
            && self.caller.kind != Kind::Root
            && !namings.contains(&Naming::ItsAccount);
        (by_key_policy || by_grant) && (!identity_needed || own.identity)
    }

    /// Whether the grant needs no more of the caller's own policies.
    fn is_enough(&self, grant: &Applied, own: &OwnPolicies) -> bool {
        if self.caller.is_bare_federated() && grant.naming != Naming::Itself {
            return false;
        }
        let identity_needed = grant.naming == Naming::ItsAccount
            && self.switches.is("grant_account_grantee", "identity_required");
        if identity_needed {
            return own.all();
        }
        match self.switches.value("grants_limited_by_boundary") {
            "never" => true,
            "always" => own.limits(),
            _ => grant.naming == Naming::Itself || own.limits(),
        }
    }

    /// Both accounts must allow, but for grants that the caller's own account issued.
    ///
    /// Source: IAM User Guide, "Cross-account policy evaluation logic"; AWS KMS Developer Guide,
    /// "Allowing users in other accounts to use a KMS key", "Grants in AWS KMS".
    fn cross_account(&self, namings: &[Naming], grants: &[Applied], own: &OwnPolicies) -> bool {
        let both = (!namings.is_empty() || !grants.is_empty()) && own.all();
        let needs_no_iam = |grant: &&Applied| match self.switches.value("cross_account_grant") {
            "grant_only" => true,
            "always_iam" => false,
            _ => grant.issuer.is_some() && grant.issuer == self.caller.account,
        };
        let mut exempt = grants.iter().filter(needs_no_iam);
        let by_exception =
            !self.caller.is_bare_federated() && exempt.any(|grant| self.is_enough(grant, own));
        both || by_exception
    }
}

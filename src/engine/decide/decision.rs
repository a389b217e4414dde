//! What was decided, and what it rests on.

use arrayvec::ArrayVec;

use crate::engine::kms::action::Action;
use crate::engine::kms::key_state::StateRefusal;
use crate::engine::policy::statement::Statement;
use crate::engine::term::composed::Composed;

/// A kind of policy that takes part in a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)] // a whole word: what holds one is moved without looking at parts of words
pub enum Layer {
    /// The policy of the key, its `AWS_RAM` policy included.
    KeyPolicy,
    /// The grants on the key.
    Grant,
    /// The policies of the calling user, its groups or its role.
    Identity,
    /// The permissions boundary of the calling user or role.
    Boundary,
    /// The policies passed when the session was made.
    Session,
    /// The service control policies of the caller's organization.
    Scp,
    /// The resource control policies of the key owner's organization.
    Rcp,
    /// The policy of the VPC endpoint.
    Endpoint,
}

impl Layer {
    /// The name in `keyward simulate` and in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KeyPolicy => "keyPolicy",
            Self::Grant => "grant",
            Self::Identity => "identityPolicy",
            Self::Boundary => "permissionsBoundary",
            Self::Session => "sessionPolicy",
            Self::Scp => "serviceControlPolicy",
            Self::Rcp => "resourceControlPolicy",
            Self::Endpoint => "vpcEndpointPolicy",
        }
    }

    /// The name in AWS's sentence for a denial.
    ///
    /// Source: IAM User Guide, "Troubleshoot access denied error messages".
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::KeyPolicy | Self::Grant => "resource-based policy",
            Self::Identity => "identity-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Scp => "service control policy",
            Self::Rcp => "resource control policy",
            Self::Endpoint => "VPC endpoint policy",
        }
    }
}

/// A statement or grant, and the policy it stands in.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'a> {
    /// The kind of policy.
    pub layer: Layer,
    /// Name or ARN of the policy; the id of a grant.
    pub policy_id: &'a str,
    /// The statement; a grant has none.
    pub statement: Option<&'a Statement>,
}

/// The statements and grants that an allow rests on: what opens, and the identity policy that must
/// allow too.
pub type Basis<'a> = [Option<Matched<'a>>; 2];

/// Permission. Made by `combine` alone; names what it rests on.
#[derive(Clone, Debug)]
pub struct Permit<'a> {
    basis: Basis<'a>,
}

impl<'a> Permit<'a> {
    /// The one place where an allow is minted.
    pub(super) fn by(basis: Basis<'a>) -> Self {
        Self { basis }
    }

    /// What it rests on; nothing only for the root user where no statement is needed.
    pub fn basis(&self) -> impl Iterator<Item = &Matched<'a>> {
        self.basis.iter().flatten()
    }
}

/// The decision on one authorization.
#[derive(Clone, Debug)]
#[repr(u64)]
pub enum Decision<'a> {
    /// Do it.
    Allow(Permit<'a>),
    /// Do not.
    Deny(Denial<'a>),
}

/// Why an authorization is denied.
#[derive(Clone, Debug)]
#[repr(u64)]
pub enum Denial<'a> {
    /// A Deny applies, or may apply.
    Explicit(Matched<'a>),
    /// Nothing allows that must.
    Implicit(Missing),
    /// Authorized, but the key's state forbids the operation.
    KeyState(StateRefusal),
}

/// What did not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Missing {
    /// A layer that must allow is silent.
    Layer(Layer),
    /// The operation does not work across accounts.
    CrossAccount,
    /// The key or alias is of another partition than the caller.
    OtherPartition,
    /// The key or alias is not known, in the caller's own account.
    UnknownKey,
    /// The key or alias is not known, in another account.
    UnknownForeignKey,
    /// The policy set describes the caller's account, but not the caller.
    UnknownPrincipal,
    /// The policy set describes VPC endpoints, but not this one.
    UnknownEndpoint,
    /// `alias/aws/` names are reserved.
    ReservedAlias,
    /// AWS manages the key, and keeps the operation to itself.
    AwsManaged,
    /// The grant that the request names is not known.
    UnknownGrant,
    /// The grant may not be retired by this caller.
    NotRetirable,
    /// The grants on the two keys of ReEncrypt carry different source ARNs.
    SourceArnDiffers,
}

/// The four decisions, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Do it.
    Allowed,
    /// Authorized, but the key's state forbids it.
    KeyState,
    /// Nothing allows that must.
    ImplicitDeny,
    /// A Deny applies.
    ExplicitDeny,
}

impl Verdict {
    /// The name in `keyward simulate`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::KeyState => "keyState",
            Self::ImplicitDeny => "implicitDeny",
            Self::ExplicitDeny => "explicitDeny",
        }
    }
}

impl Decision<'_> {
    /// Which of the four it is.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Allow(_) => Verdict::Allowed,
            Self::Deny(Denial::KeyState(_)) => Verdict::KeyState,
            Self::Deny(Denial::Implicit(_)) => Verdict::ImplicitDeny,
            Self::Deny(Denial::Explicit(_)) => Verdict::ExplicitDeny,
        }
    }
}

/// One authorization, decided.
#[derive(Clone, Debug)]
pub struct Leg<'a> {
    /// The IAM action.
    pub action: Action,
    /// ARN of the key or alias that it is about, or `*`.
    pub resource: Composed<'a>,
    /// The decision.
    pub decision: Decision<'a>,
}

/// The authorizations of a request.
pub type Legs<'a> = ArrayVec<Leg<'a>, 3>;

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    /// The caller, as the request names it.
    pub principal: &'a str,
    /// The authorizations, at least one.
    pub legs: Legs<'a>,
    /// Whether an operation was asked, not one action.
    pub by_operation: bool,
    /// ARN of the key, where the set has it.
    pub key_arn: Option<&'a str>,
    /// KMS's DryRun parameter.
    pub dry_run: bool,
}

impl<'a> Answer<'a> {
    /// The worst decision of the legs. Without a leg: an implicit deny.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.decisive().map_or(Verdict::ImplicitDeny, |leg| leg.decision.verdict())
    }

    /// The first leg with the worst decision.
    #[must_use]
    pub fn decisive(&self) -> Option<&Leg<'a>> {
        let mut legs = self.legs.iter();
        let first = legs.next()?;
        Some(legs.fold(first, |worst, leg| {
            if leg.decision.verdict() > worst.decision.verdict() { leg } else { worst }
        }))
    }

    /// The statements and grants that determined the answer: what allowed every leg, or what
    /// denied the decisive one.
    #[must_use]
    pub fn matched(&self) -> ArrayVec<Matched<'a>, 6> {
        if self.verdict() == Verdict::Allowed {
            return self.legs.iter().flat_map(|leg| leg.decision.basis()).collect();
        }
        self.decisive().map(|leg| leg.decision.basis().collect()).unwrap_or_default()
    }
}

impl<'a> Decision<'a> {
    /// The statements and grants that it rests on.
    pub fn basis(&self) -> impl Iterator<Item = Matched<'a>> + '_ {
        let basis = match self {
            Self::Allow(permit) => permit.basis,
            Self::Deny(Denial::Explicit(by)) => [Some(*by), None],
            Self::Deny(Denial::Implicit(_) | Denial::KeyState(_)) => [None, None],
        };
        basis.into_iter().flatten()
    }
}

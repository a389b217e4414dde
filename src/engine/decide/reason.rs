//! Why an answer is what it is, in one word: for metrics, records and tests.

use super::decision::{Answer, Decision, Denial, Layer, Missing, Verdict};

macro_rules! reasons {
    ($($name:ident $text:literal $doc:literal;)+) => {
        /// Every reason that an answer can have, in one word.
        pub const REASONS: [&str; 21] = [$($text),+];

        /// Why an answer is what it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $doc] $name,)+
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The reason in one word.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

reasons! {
    KeyPolicy "key_policy" "The key policy allowed, denied or was silent.";
    Grant "grant" "A grant allowed, or none did.";
    Identity "identity_policy" "An identity policy allowed or denied, or none allowed.";
    Boundary "permissions_boundary" "The permissions boundary denied or was silent.";
    Session "session_policy" "The session policies denied or were silent.";
    Scp "service_control_policy" "A service control policy denied, or a level of them was silent.";
    Rcp "resource_control_policy" "A resource control policy denied, or a level of them was silent.";
    Endpoint "vpc_endpoint_policy" "The policy of the VPC endpoint denied or was silent.";
    CrossAccount "cross_account" "The operation does not work across accounts; none works across partitions.";
    UnknownKey "unknown_key" "The key is not known in the caller's own account.";
    UnknownForeignKey "unknown_foreign_key" "The key is not known in another account.";
    UnknownPrincipal "unknown_principal" "The policy set does not know the caller.";
    UnknownEndpoint "unknown_endpoint" "The policy set does not know the VPC endpoint.";
    ReservedAlias "reserved_alias" "The alias is one of AWS's own.";
    AwsManaged "aws_managed_key" "AWS keeps the operation on its keys to itself.";
    UnknownGrant "unknown_grant" "The grant is not known.";
    NotRetirable "not_retirable" "The caller may not retire the grant.";
    SourceArnDiffers "source_arn_differs" "The grants on both keys carry different source ARNs.";
    KeyState "key_state" "The state of the key forbids what is authorized.";
    Root "root" "The root user needs no statement.";
    None "none" "Nothing was decided.";
}

impl Layer {
    /// The layer as a reason, in one word.
    #[must_use]
    pub fn reason(self) -> &'static str {
        self.reason_code().name()
    }

    /// The layer as a reason.
    #[must_use]
    pub fn reason_code(self) -> Reason {
        match self {
            Self::KeyPolicy => Reason::KeyPolicy,
            Self::Grant => Reason::Grant,
            Self::Identity => Reason::Identity,
            Self::Boundary => Reason::Boundary,
            Self::Session => Reason::Session,
            Self::Scp => Reason::Scp,
            Self::Rcp => Reason::Rcp,
            Self::Endpoint => Reason::Endpoint,
        }
    }
}

impl Missing {
    /// What did not allow, as a reason in one word.
    #[must_use]
    pub fn reason(self) -> &'static str {
        self.reason_code().name()
    }

    /// What did not allow, as a reason.
    #[must_use]
    pub fn reason_code(self) -> Reason {
        match self {
            Self::Layer(layer) => layer.reason_code(),
            Self::CrossAccount | Self::OtherPartition => Reason::CrossAccount,
            Self::UnknownKey => Reason::UnknownKey,
            Self::UnknownForeignKey => Reason::UnknownForeignKey,
            Self::UnknownPrincipal => Reason::UnknownPrincipal,
            Self::UnknownEndpoint => Reason::UnknownEndpoint,
            Self::ReservedAlias => Reason::ReservedAlias,
            Self::AwsManaged => Reason::AwsManaged,
            Self::UnknownGrant => Reason::UnknownGrant,
            Self::NotRetirable => Reason::NotRetirable,
            Self::SourceArnDiffers => Reason::SourceArnDiffers,
        }
    }
}

impl Answer<'_> {
    /// The reason in one word: the layer that allowed or denied, or what was in the way.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason_code().name()
    }

    /// The reason. An allow that rests on no statement (the root user's of some operations) has
    /// the reason [`Reason::Root`].
    #[must_use]
    pub fn reason_code(&self) -> Reason {
        let Some(leg) = self.decisive() else { return Reason::None };
        let layer = |matched: super::decision::Matched<'_>| matched.layer.reason_code();
        match &leg.decision {
            // Every leg is allowed: the first statement of any of them.
            _ if self.verdict() == Verdict::Allowed => {
                let mut basis = self.legs.iter().flat_map(|leg| leg.decision.basis());
                basis.next().map_or(Reason::Root, layer)
            }
            Decision::Deny(Denial::Implicit(missing)) => missing.reason_code(),
            Decision::Deny(Denial::KeyState(_)) => Reason::KeyState,
            decision => decision.basis().next().map_or(Reason::None, layer),
        }
    }
}

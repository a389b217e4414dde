//! Why an answer is what it is, in one word: for metrics, records and tests.

use super::decision::{Answer, Decision, Denial, Layer, Missing, Verdict};

/// Every reason that an answer can have.
pub const REASONS: [&str; 21] = [
    "key_policy",
    "grant",
    "identity_policy",
    "permissions_boundary",
    "session_policy",
    "service_control_policy",
    "resource_control_policy",
    "vpc_endpoint_policy",
    "cross_account",
    "unknown_key",
    "unknown_foreign_key",
    "unknown_principal",
    "unknown_endpoint",
    "reserved_alias",
    "aws_managed_key",
    "unknown_grant",
    "not_retirable",
    "source_arn_differs",
    "root",
    "key_state",
    "none",
];

impl Layer {
    /// The layer as a reason.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::KeyPolicy => "key_policy",
            Self::Grant => "grant",
            Self::Identity => "identity_policy",
            Self::Boundary => "permissions_boundary",
            Self::Session => "session_policy",
            Self::Scp => "service_control_policy",
            Self::Rcp => "resource_control_policy",
            Self::Endpoint => "vpc_endpoint_policy",
        }
    }
}

impl Missing {
    /// What did not allow, as a reason.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Layer(layer) => layer.reason(),
            Self::CrossAccount => "cross_account",
            Self::UnknownKey => "unknown_key",
            Self::UnknownForeignKey => "unknown_foreign_key",
            Self::UnknownPrincipal => "unknown_principal",
            Self::UnknownEndpoint => "unknown_endpoint",
            Self::ReservedAlias => "reserved_alias",
            Self::AwsManaged => "aws_managed_key",
            Self::UnknownGrant => "unknown_grant",
            Self::NotRetirable => "not_retirable",
            Self::SourceArnDiffers => "source_arn_differs",
        }
    }
}

impl Answer<'_> {
    /// The reason: the layer that allowed or denied, or what was in the way. An allow that rests
    /// on no statement (the root user's of some operations) has the reason `root`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        let basis = || self.matched().first().map(|matched| matched.layer.reason());
        match self.decisive().map(|leg| &leg.decision) {
            _ if self.verdict() == Verdict::Allowed => basis().unwrap_or("root"),
            Some(Decision::Deny(Denial::Implicit(missing))) => missing.reason(),
            Some(Decision::Deny(Denial::KeyState(_))) => "key_state",
            _ => basis().unwrap_or("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Layer, Missing, REASONS};

    #[test]
    fn every_reason_is_listed() {
        let layers = [
            Layer::KeyPolicy,
            Layer::Grant,
            Layer::Identity,
            Layer::Boundary,
            Layer::Session,
            Layer::Scp,
            Layer::Rcp,
            Layer::Endpoint,
        ];
        let missing = [
            Missing::CrossAccount,
            Missing::UnknownKey,
            Missing::UnknownForeignKey,
            Missing::UnknownPrincipal,
            Missing::UnknownEndpoint,
            Missing::ReservedAlias,
            Missing::AwsManaged,
            Missing::UnknownGrant,
            Missing::NotRetirable,
            Missing::SourceArnDiffers,
        ];
        let found = layers.map(Layer::reason).into_iter().chain(missing.map(Missing::reason));
        let listed: Vec<&str> = found.chain(["root", "key_state", "none"]).collect();
        assert_eq!(listed, REASONS);
    }
}

//! A question, read and checked, before any policy is looked at.

use std::ops::Deref;
use std::sync::Arc;

use super::arn::Arn;
use super::few::Few;
use super::key_id::KeyId;
use super::principal::Principal;
use super::time::Timestamp;
use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::kms::operation::Operation;
use crate::engine::policy::Policy;

/// A question. Texts are borrowed from the message that carried it, and lists of the usual length
/// stand in place: asking does not allocate.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Who asks KMS.
    pub principal: Principal<'a>,
    /// The role behind a session, as the caller names it.
    pub role_arn: Option<Arn<'a>>,
    /// The IAM user behind a federated session, as the caller names it.
    pub issuer_arn: Option<Arn<'a>>,
    /// Session tags.
    pub session_tags: Pairs<'a>,
    /// Session policies, compiled. None does not limit (but see federated users).
    pub session_policies: Few<Arc<Policy>, 2>,
    /// `aws:userid`, as the caller names it.
    pub user_id: Option<&'a str>,
    /// `aws:SourceIdentity`.
    pub source_identity: Option<&'a str>,
    /// What is asked.
    pub asked: Asked,
    /// The key, for what is done with a key.
    pub key_id: Option<KeyId<'a>>,
    /// Encryption context of the operation.
    pub encryption_context: Pairs<'a>,
    /// Grant tokens.
    pub grant_tokens: Texts<'a>,
    /// Condition keys that the caller asserts. Invariant: no name twice, ignoring case; no derived
    /// key; no empty list.
    pub context: Few<Asserted<'a>, 8>,
    /// Parameters of the operation.
    pub parameters: Given<'a>,
    /// Region of the endpoint that was called.
    pub region: Option<&'a str>,
    /// The service that calls on behalf of the principal.
    pub via_service: Option<&'a str>,
    /// KMS's DryRun parameter.
    pub dry_run: bool,
    /// The instant of the decision.
    pub now: Timestamp,
    /// Simulation alone: condition keys replaced or removed, derived ones too.
    pub overrides: Vec<Override>,
}

impl Request<'_> {
    /// Whether the operation ReEncrypt is asked.
    #[must_use]
    pub fn asked_re_encrypt(&self) -> bool {
        self.asked == Asked::Operation(Operation::ReEncrypt)
    }
}

/// One authorization, or an operation with all of its authorizations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// An IAM action: one authorization.
    Action(Action),
    /// A KMS operation: each of its authorizations is a leg.
    Operation(Operation),
}

/// Pairs of texts; the names may repeat in other spellings.
pub type Pairs<'a> = Few<(&'a str, &'a str), 4>;

/// Some texts.
pub type Texts<'a> = Few<&'a str, 2>;

/// A condition key that the caller asserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asserted<'a> {
    /// Its name, as spelt.
    pub name: &'a str,
    /// Its values.
    pub values: AssertedValues<'a>,
}

/// The values of an asserted condition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssertedValues<'a> {
    /// Of a single-valued key.
    One(&'a str),
    /// Of a multivalued key; not empty.
    Many(Texts<'a>),
}

/// A condition key that a simulation replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Its name in lower case.
    pub name: String,
    /// What it is made to be.
    pub value: OverrideValue,
}

/// What a simulation makes of a condition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverrideValue {
    /// Not there.
    Absent,
    /// One value.
    One(String),
    /// Several values; not empty.
    Many(Vec<String>),
}

/// Parameters of a KMS operation, or none. They are long and most requests have none: they stand
/// elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Given<'a>(Option<Box<Parameters<'a>>>);

impl<'a> From<Parameters<'a>> for Given<'a> {
    fn from(parameters: Parameters<'a>) -> Self {
        Self(Some(Box::new(parameters)))
    }
}

impl<'a> Given<'a> {
    /// The parameters, if there are any.
    #[must_use]
    pub fn told(&self) -> Option<&Parameters<'a>> {
        self.0.as_deref()
    }
}

impl<'a> Deref for Given<'a> {
    type Target = Parameters<'a>;

    fn deref(&self) -> &Parameters<'a> {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

/// The parameters of a request without.
static NONE: Parameters<'static> = Parameters::none();

/// Parameters of a KMS operation, by their names in the KMS API. `None` is "not sent".
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters<'a> {
    /// `EncryptionAlgorithm`, and `SourceEncryptionAlgorithm` of ReEncrypt.
    pub encryption_algorithm: Option<&'a str>,
    /// `DestinationKeyId` of ReEncrypt.
    pub destination_key_id: Option<KeyId<'a>>,
    /// `SourceKeyId` of ReEncrypt.
    pub source_key_id: Option<KeyId<'a>>,
    /// `DestinationEncryptionContext` of ReEncrypt.
    pub destination_encryption_context: Pairs<'a>,
    /// `DestinationEncryptionAlgorithm` of ReEncrypt.
    pub destination_encryption_algorithm: Option<&'a str>,
    /// `KeyPairSpec`.
    pub key_pair_spec: Option<&'a str>,
    /// `SigningAlgorithm`.
    pub signing_algorithm: Option<&'a str>,
    /// `MacAlgorithm`.
    pub mac_algorithm: Option<&'a str>,
    /// `KeyAgreementAlgorithm`.
    pub key_agreement_algorithm: Option<&'a str>,
    /// `WrappingAlgorithm`.
    pub wrapping_algorithm: Option<&'a str>,
    /// `WrappingKeySpec`.
    pub wrapping_key_spec: Option<&'a str>,
    /// `MessageType`.
    pub message_type: Option<&'a str>,
    /// `PolicyName`.
    pub policy_name: Option<&'a str>,
    /// `PendingWindowInDays`.
    pub pending_window_in_days: Option<i32>,
    /// `RotationPeriodInDays`.
    pub rotation_period_in_days: Option<i32>,
    /// `BypassPolicyLockoutSafetyCheck`.
    pub bypass_policy_lockout_safety_check: Option<bool>,
    /// `ExpirationModel`.
    pub expiration_model: Option<&'a str>,
    /// `ValidTo`.
    pub valid_to: Option<Timestamp>,
    /// `PrimaryRegion`.
    pub primary_region: Option<&'a str>,
    /// `ReplicaRegion`.
    pub replica_region: Option<&'a str>,
    /// Names and values of the verified attestation document in `Recipient`.
    pub recipient_attestation: Pairs<'a>,
    /// `KeySpec` of CreateKey.
    pub key_spec: Option<&'a str>,
    /// `KeyUsage` of CreateKey.
    pub key_usage: Option<&'a str>,
    /// `Origin` of CreateKey.
    pub origin: Option<&'a str>,
    /// `MultiRegion` of CreateKey.
    pub multi_region: Option<bool>,
    /// `Tags`.
    pub tags: Pairs<'a>,
    /// `TagKeys` of UntagResource.
    pub tag_keys: Texts<'a>,
    /// `AliasName`.
    pub alias_name: Option<&'a str>,
    /// `TargetKeyId`.
    pub target_key_id: Option<KeyId<'a>>,
    /// `GrantId`.
    pub grant_id: Option<&'a str>,
    /// `RetiringPrincipal` of ListRetirableGrants.
    pub retiring_principal: Option<&'a str>,
    /// The grant that CreateGrant makes.
    pub grant: Option<GrantParameters<'a>>,
}

impl Parameters<'_> {
    /// None at all.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            encryption_algorithm: None,
            destination_key_id: None,
            source_key_id: None,
            destination_encryption_context: Pairs::new(),
            destination_encryption_algorithm: None,
            key_pair_spec: None,
            signing_algorithm: None,
            mac_algorithm: None,
            key_agreement_algorithm: None,
            wrapping_algorithm: None,
            wrapping_key_spec: None,
            message_type: None,
            policy_name: None,
            pending_window_in_days: None,
            rotation_period_in_days: None,
            bypass_policy_lockout_safety_check: None,
            expiration_model: None,
            valid_to: None,
            primary_region: None,
            replica_region: None,
            recipient_attestation: Pairs::new(),
            key_spec: None,
            key_usage: None,
            origin: None,
            multi_region: None,
            tags: Pairs::new(),
            tag_keys: Texts::new(),
            alias_name: None,
            target_key_id: None,
            grant_id: None,
            retiring_principal: None,
            grant: None,
        }
    }
}

impl Default for Parameters<'_> {
    fn default() -> Self {
        Self::none()
    }
}

/// The grant that a CreateGrant request makes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GrantParameters<'a> {
    /// `GranteePrincipal`.
    pub grantee_principal: Option<&'a str>,
    /// `GranteeServicePrincipal`.
    pub grantee_service_principal: Option<&'a str>,
    /// `RetiringPrincipal`.
    pub retiring_principal: Option<&'a str>,
    /// `RetiringServicePrincipal`.
    pub retiring_service_principal: Option<&'a str>,
    /// `Operations`; not empty, grantable ones alone.
    pub operations: ActionSet,
    /// `Constraints.EncryptionContextEquals`.
    pub encryption_context_equals: Pairs<'a>,
    /// `Constraints.EncryptionContextSubset`.
    pub encryption_context_subset: Pairs<'a>,
    /// `Constraints.SourceArn`.
    pub source_arn: Option<&'a str>,
    /// `Name`.
    pub name: Option<&'a str>,
}

/// A request that cannot be answered, and the field that is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct InvalidRequest {
    /// The field by its proto name, such as `parameters.grant.operations[0]`.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub message: String,
    /// The bound that it is beyond, if that is what is wrong.
    pub beyond: Option<Bound>,
}

impl InvalidRequest {
    /// `field` is to blame.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), beyond: None }
    }

    /// The same, because there is more than `bound` allows.
    #[must_use]
    pub fn beyond(self, bound: Bound) -> Self {
        Self { beyond: Some(bound), ..self }
    }
}

/// What of a request is bounded, and counted apart where it is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Questions of a batch.
    Batch,
    /// An encryption context.
    EncryptionContext,
    /// Grant tokens.
    GrantTokens,
    /// Session policies.
    SessionPolicies,
}

impl Bound {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Batch, Self::EncryptionContext, Self::GrantTokens, Self::SessionPolicies];

    /// Its name where it is counted.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch_size",
            Self::EncryptionContext => "encryption_context",
            Self::GrantTokens => "grant_tokens",
            Self::SessionPolicies => "session_policies",
        }
    }
}

//! Condition keys, as policies name them.

use super::text::same;

/// A condition key of a policy. Names ignore case.
///
/// Source: IAM User Guide, "IAM JSON policy elements: Condition" (the condition key name).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConditionKey {
    /// The name as the policy spells it.
    pub name: Box<str>,
    /// Where its value comes from.
    pub source: KeySource,
}

macro_rules! sources {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// Where the value of a condition key comes from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum KeySource {
            $($(#[$doc])* #[doc = concat!("`", $name, "`.")] $variant,)+
            /// `kms:EncryptionContext:…`.
            EncryptionContext,
            /// `kms:RecipientAttestation:…`.
            RecipientAttestation,
            /// `aws:PrincipalTag/…`.
            PrincipalTag,
            /// `aws:RequestTag/…`.
            RequestTag,
            /// `aws:ResourceTag/…`.
            ResourceTag,
            /// Any other key: what the caller asserts.
            Asserted,
        }

        fn plain(name: &str) -> Option<KeySource> {
            $(if name.eq_ignore_ascii_case($name) { return Some(KeySource::$variant); })+
            None
        }
    };
}

sources! {
    BypassPolicyLockoutSafetyCheck = "kms:BypassPolicyLockoutSafetyCheck",
    CallerAccount = "kms:CallerAccount",
    CustomerMasterKeySpec = "kms:CustomerMasterKeySpec",
    CustomerMasterKeyUsage = "kms:CustomerMasterKeyUsage",
    DataKeyPairSpec = "kms:DataKeyPairSpec",
    EncryptionAlgorithm = "kms:EncryptionAlgorithm",
    EncryptionContextKeys = "kms:EncryptionContextKeys",
    ExpirationModel = "kms:ExpirationModel",
    GrantConstraintSourceArn = "kms:GrantConstraintSourceArn",
    GrantConstraintType = "kms:GrantConstraintType",
    GrantIsForAwsResource = "kms:GrantIsForAWSResource",
    GrantOperations = "kms:GrantOperations",
    GranteePrincipal = "kms:GranteePrincipal",
    GranteeServicePrincipal = "kms:GranteeServicePrincipal",
    KeyAgreementAlgorithm = "kms:KeyAgreementAlgorithm",
    KeyOrigin = "kms:KeyOrigin",
    KeySpec = "kms:KeySpec",
    KeyUsage = "kms:KeyUsage",
    MacAlgorithm = "kms:MacAlgorithm",
    MessageType = "kms:MessageType",
    MultiRegion = "kms:MultiRegion",
    MultiRegionKeyType = "kms:MultiRegionKeyType",
    PolicyName = "kms:PolicyName",
    PrimaryRegion = "kms:PrimaryRegion",
    ReEncryptOnSameKey = "kms:ReEncryptOnSameKey",
    ReplicaRegion = "kms:ReplicaRegion",
    RequestAlias = "kms:RequestAlias",
    ResourceAliases = "kms:ResourceAliases",
    RetiringPrincipal = "kms:RetiringPrincipal",
    RetiringServicePrincipal = "kms:RetiringServicePrincipal",
    RotationPeriodInDays = "kms:RotationPeriodInDays",
    PendingWindowInDays = "kms:ScheduleKeyDeletionPendingWindowInDays",
    SigningAlgorithm = "kms:SigningAlgorithm",
    TrailingDaysWithoutKeyUsage = "kms:TrailingDaysWithoutKeyUsage",
    ValidTo = "kms:ValidTo",
    ViaService = "kms:ViaService",
    WrappingAlgorithm = "kms:WrappingAlgorithm",
    WrappingKeySpec = "kms:WrappingKeySpec",
    CurrentTime = "aws:CurrentTime",
    EpochTime = "aws:EpochTime",
    PrincipalAccount = "aws:PrincipalAccount",
    PrincipalArn = "aws:PrincipalArn",
    PrincipalIsAwsService = "aws:PrincipalIsAWSService",
    PrincipalOrgId = "aws:PrincipalOrgID",
    PrincipalOrgPaths = "aws:PrincipalOrgPaths",
    PrincipalServiceName = "aws:PrincipalServiceName",
    PrincipalServiceNamesList = "aws:PrincipalServiceNamesList",
    PrincipalType = "aws:PrincipalType",
    RequestedRegion = "aws:RequestedRegion",
    ResourceAccount = "aws:ResourceAccount",
    ResourceOrgId = "aws:ResourceOrgID",
    ResourceOrgPaths = "aws:ResourceOrgPaths",
    SecureTransport = "aws:SecureTransport",
    SourceIdentity = "aws:SourceIdentity",
    TagKeys = "aws:TagKeys",
    UserId = "aws:userid",
    UserName = "aws:username",
    ViaAwsService = "aws:ViaAWSService",
}

/// Families of keys: the rest of the name is chosen by users.
const FAMILIES: [(&str, KeySource); 5] = [
    ("kms:EncryptionContext:", KeySource::EncryptionContext),
    ("kms:RecipientAttestation:", KeySource::RecipientAttestation),
    ("aws:PrincipalTag/", KeySource::PrincipalTag),
    ("aws:RequestTag/", KeySource::RequestTag),
    ("aws:ResourceTag/", KeySource::ResourceTag),
];

impl ConditionKey {
    /// Reads the name of a condition key; `None` when it has not the form `prefix:name`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if !has_form(name) {
            return None;
        }
        let family = FAMILIES.iter().find(|(prefix, _)| {
            name.len() > prefix.len()
                && name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        });
        let source = match family {
            Some((_, source)) => *source,
            None => plain(name).unwrap_or(KeySource::Asserted),
        };
        Some(Self { name: name.into(), source })
    }

    /// The part of the name that a family leaves to users; empty for other keys.
    #[must_use]
    pub fn suffix(&self) -> &str {
        let prefix = match self.source {
            KeySource::EncryptionContext => "kms:EncryptionContext:",
            KeySource::RecipientAttestation => "kms:RecipientAttestation:",
            KeySource::PrincipalTag => "aws:PrincipalTag/",
            KeySource::RequestTag => "aws:RequestTag/",
            KeySource::ResourceTag => "aws:ResourceTag/",
            _ => return "",
        };
        self.name.get(prefix.len()..).unwrap_or_default()
    }

    /// Whether `name` names this key.
    #[must_use]
    #[inline(always)]
    pub fn is(&self, name: &str) -> bool {
        same(&self.name, name)
    }

    /// Whether key policies cannot depend on it: tags and aliases of the key.
    ///
    /// Source: AWS KMS Developer Guide, "ABAC for AWS KMS".
    #[must_use]
    pub fn is_abac(&self) -> bool {
        matches!(self.source, KeySource::ResourceTag | KeySource::ResourceAliases)
    }
}

/// Whether `name` has the form `prefix:name`.
#[must_use]
pub fn has_form(name: &str) -> bool {
    name.len() <= 512
        && name.split_once(':').is_some_and(|(prefix, rest)| {
            !prefix.is_empty()
                && !rest.is_empty()
                && !prefix.contains(['*', '?', '$', '{', ' ', '/'])
        })
        || oidc_form(name)
}

/// Keys of OIDC providers are named after their host and path: `token.example.com/x:sub`.
fn oidc_form(name: &str) -> bool {
    name.len() <= 512
        && name.split_once(':').is_some_and(|(prefix, rest)| {
            prefix.contains('/')
                && !rest.is_empty()
                && !prefix.contains(['*', '?', '$', '{', ' '])
                && !prefix.starts_with('/')
        })
}

#[cfg(test)]
mod tests {
    use super::{ConditionKey, KeySource};

    #[track_caller]
    fn check(name: &str, source: Option<KeySource>, suffix: &str) {
        let key = ConditionKey::parse(name);
        assert_eq!(key.as_ref().map(|key| key.source), source, "{name:?}");
        assert_eq!(key.as_ref().map_or("", |key| key.suffix()), suffix, "{name:?}");
    }

    #[test]
    fn names_ignore_case_and_families_keep_the_rest() {
        check("KMS:viaservice", Some(KeySource::ViaService), "");
        check("kms:EncryptionContext:Tenant", Some(KeySource::EncryptionContext), "Tenant");
        check("kms:encryptioncontext:aws:arn", Some(KeySource::EncryptionContext), "aws:arn");
        check("aws:PrincipalTag/team", Some(KeySource::PrincipalTag), "team");
        check("aws:SourceIp", Some(KeySource::Asserted), "");
        check("token.example.com/pool:sub", Some(KeySource::Asserted), "");
    }

    #[test]
    fn a_name_has_a_prefix() {
        check("tenant", None, "");
        check(":x", None, "");
        check("aws:", None, "");
        check("a*:b", None, "");
    }

    #[test]
    fn an_empty_family_member_is_no_member() {
        check("kms:EncryptionContext:", Some(KeySource::Asserted), "");
    }
}

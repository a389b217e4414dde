//! The condition keys that KMS and AWS define.
//!
//! Source: AWS KMS Developer Guide, "AWS KMS condition keys"; IAM User Guide, "AWS global condition
//! context keys".

use std::sync::LazyLock;

use hashbrown::HashMap;

macro_rules! request_keys {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// Condition keys that a request has for some actions alone.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the variants are the names of the condition keys")]
        pub enum RequestKey { $($name),+ }

        impl RequestKey {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name in policies; a family ends with `:` or `/`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

request_keys! {
    BypassPolicyLockoutSafetyCheck = "kms:BypassPolicyLockoutSafetyCheck",
    CallerAccount = "kms:CallerAccount",
    DataKeyPairSpec = "kms:DataKeyPairSpec",
    EncryptionAlgorithm = "kms:EncryptionAlgorithm",
    EncryptionContext = "kms:EncryptionContext:",
    EncryptionContextKeys = "kms:EncryptionContextKeys",
    ExpirationModel = "kms:ExpirationModel",
    GrantConstraintSourceArn = "kms:GrantConstraintSourceArn",
    GrantConstraintType = "kms:GrantConstraintType",
    GrantIsForAwsResource = "kms:GrantIsForAWSResource",
    GrantOperations = "kms:GrantOperations",
    GranteePrincipal = "kms:GranteePrincipal",
    GranteeServicePrincipal = "kms:GranteeServicePrincipal",
    KeyAgreementAlgorithm = "kms:KeyAgreementAlgorithm",
    MacAlgorithm = "kms:MacAlgorithm",
    MessageType = "kms:MessageType",
    PolicyName = "kms:PolicyName",
    PrimaryRegion = "kms:PrimaryRegion",
    ReEncryptOnSameKey = "kms:ReEncryptOnSameKey",
    RecipientAttestation = "kms:RecipientAttestation:",
    ReplicaRegion = "kms:ReplicaRegion",
    RequestAlias = "kms:RequestAlias",
    RequestTag = "aws:RequestTag/",
    RetiringPrincipal = "kms:RetiringPrincipal",
    RetiringServicePrincipal = "kms:RetiringServicePrincipal",
    RotationPeriodInDays = "kms:RotationPeriodInDays",
    ScheduleKeyDeletionPendingWindowInDays = "kms:ScheduleKeyDeletionPendingWindowInDays",
    SigningAlgorithm = "kms:SigningAlgorithm",
    TagKeys = "aws:TagKeys",
    TrailingDaysWithoutKeyUsage = "kms:TrailingDaysWithoutKeyUsage",
    ValidTo = "kms:ValidTo",
    ViaService = "kms:ViaService",
    WrappingAlgorithm = "kms:WrappingAlgorithm",
    WrappingKeySpec = "kms:WrappingKeySpec",
}

/// Where the value of a condition key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Supplier {
    /// The service derives it: callers cannot assert it.
    Derived,
    /// The caller asserts it.
    Asserted,
    /// Derived where the policy set knows, else asserted.
    Either,
}

/// What is known of a condition key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its name; a family ends with `:` or `/`.
    pub name: &'static str,
    /// Whether it may have several values.
    pub multivalued: bool,
    /// Where its value comes from.
    pub supplier: Supplier,
}

const fn derived(name: &'static str) -> KeyRow {
    KeyRow { name, multivalued: false, supplier: Supplier::Derived }
}

const fn asserted(name: &'static str) -> KeyRow {
    KeyRow { name, multivalued: false, supplier: Supplier::Asserted }
}

const fn either(name: &'static str) -> KeyRow {
    KeyRow { name, multivalued: false, supplier: Supplier::Either }
}

const fn many(row: KeyRow) -> KeyRow {
    KeyRow { multivalued: true, ..row }
}

/// All condition keys of KMS, and the global ones.
pub const CONDITION_KEYS: &[KeyRow] = &[
    derived("kms:BypassPolicyLockoutSafetyCheck"),
    derived("kms:CallerAccount"),
    derived("kms:CustomerMasterKeySpec"),
    derived("kms:CustomerMasterKeyUsage"),
    derived("kms:DataKeyPairSpec"),
    derived("kms:EncryptionAlgorithm"),
    derived("kms:EncryptionContext:"),
    many(derived("kms:EncryptionContextKeys")),
    derived("kms:ExpirationModel"),
    derived("kms:GrantConstraintSourceArn"),
    derived("kms:GrantConstraintType"),
    derived("kms:GrantIsForAWSResource"),
    many(derived("kms:GrantOperations")),
    derived("kms:GranteePrincipal"),
    derived("kms:GranteeServicePrincipal"),
    derived("kms:KeyAgreementAlgorithm"),
    derived("kms:KeyOrigin"),
    derived("kms:KeySpec"),
    derived("kms:KeyUsage"),
    derived("kms:MacAlgorithm"),
    derived("kms:MessageType"),
    derived("kms:MultiRegion"),
    derived("kms:MultiRegionKeyType"),
    derived("kms:PolicyName"),
    derived("kms:PrimaryRegion"),
    derived("kms:ReEncryptOnSameKey"),
    derived("kms:RecipientAttestation:"),
    derived("kms:ReplicaRegion"),
    derived("kms:RequestAlias"),
    many(derived("kms:ResourceAliases")),
    derived("kms:RetiringPrincipal"),
    derived("kms:RetiringServicePrincipal"),
    derived("kms:RotationPeriodInDays"),
    derived("kms:ScheduleKeyDeletionPendingWindowInDays"),
    derived("kms:SigningAlgorithm"),
    derived("kms:TrailingDaysWithoutKeyUsage"),
    derived("kms:ValidTo"),
    derived("kms:ViaService"),
    derived("kms:WrappingAlgorithm"),
    derived("kms:WrappingKeySpec"),
    asserted("aws:AssumedRoot"),
    many(asserted("aws:CalledVia")),
    asserted("aws:CalledViaFirst"),
    asserted("aws:CalledViaLast"),
    asserted("aws:ChatbotSourceArn"),
    derived("aws:CurrentTime"),
    asserted("aws:Ec2InstanceSourcePrivateIPv4"),
    asserted("aws:Ec2InstanceSourceVpc"),
    derived("aws:EpochTime"),
    asserted("aws:FederatedProvider"),
    asserted("aws:IsMcpServiceAction"),
    asserted("aws:MultiFactorAuthAge"),
    asserted("aws:MultiFactorAuthPresent"),
    derived("aws:PrincipalAccount"),
    derived("aws:PrincipalArn"),
    derived("aws:PrincipalIsAWSService"),
    either("aws:PrincipalOrgID"),
    many(either("aws:PrincipalOrgPaths")),
    derived("aws:PrincipalServiceName"),
    many(derived("aws:PrincipalServiceNamesList")),
    derived("aws:PrincipalTag/"),
    derived("aws:PrincipalType"),
    derived("aws:RequestTag/"),
    derived("aws:RequestedRegion"),
    derived("aws:ResourceAccount"),
    either("aws:ResourceOrgID"),
    many(either("aws:ResourceOrgPaths")),
    derived("aws:ResourceTag/"),
    asserted("aws:SecureTransport"),
    asserted("aws:SourceAccount"),
    asserted("aws:SourceArn"),
    derived("aws:SourceIdentity"),
    asserted("aws:SourceIp"),
    asserted("aws:SourceOrgID"),
    many(asserted("aws:SourceOrgPaths")),
    asserted("aws:SourceVpc"),
    asserted("aws:SourceVpcArn"),
    asserted("aws:SourceVpce"),
    many(derived("aws:TagKeys")),
    asserted("aws:TokenIssueTime"),
    asserted("aws:UserAgent"),
    derived("aws:ViaAWSService"),
    asserted("aws:VpcSourceIp"),
    asserted("aws:VpceAccount"),
    asserted("aws:VpceOrgID"),
    many(asserted("aws:VpceOrgPaths")),
    asserted("aws:referer"),
    derived("aws:userid"),
    derived("aws:username"),
];

/// What is known of the condition key of this name, whatever its case. Keys of other prefixes than
/// `kms:` and `aws:` are not known.
#[must_use]
pub fn find(name: &str) -> Option<&'static KeyRow> {
    // The longest name that is not of a family is shorter.
    let mut room = [0; 64];
    let lower = room.get_mut(..name.len()).and_then(|lower| {
        lower.copy_from_slice(name.as_bytes());
        lower.make_ascii_lowercase();
        BY_NAME.get(&*lower).copied()
    });
    lower.or_else(|| {
        FAMILIES.iter().copied().find(|row| {
            let start = name.get(..row.name.len()).filter(|_| name.len() > row.name.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(row.name))
        })
    })
}

fn is_family(row: &KeyRow) -> bool {
    row.name.ends_with([':', '/'])
}

/// The condition keys that are no families, by name in lower case.
static BY_NAME: LazyLock<HashMap<Vec<u8>, &'static KeyRow>> = LazyLock::new(|| {
    let named = CONDITION_KEYS.iter().filter(|row| !is_family(row));
    named.map(|row| (row.name.to_ascii_lowercase().into_bytes(), row)).collect()
});

/// The families, whose members have names that users choose.
static FAMILIES: LazyLock<Vec<&'static KeyRow>> =
    LazyLock::new(|| CONDITION_KEYS.iter().filter(|row| is_family(row)).collect());

#[cfg(test)]
mod tests {
    use super::{Supplier, find};

    #[track_caller]
    fn check(name: &str, expected: Option<(bool, Supplier)>) {
        assert_eq!(find(name).map(|row| (row.multivalued, row.supplier)), expected, "{name:?}");
    }

    #[test]
    fn keys_are_found_whatever_the_case() {
        check("KMS:grantoperations", Some((true, Supplier::Derived)));
        check("kms:EncryptionContext:x", Some((false, Supplier::Derived)));
        check("kms:EncryptionContext:", None);
        check("aws:PrincipalTag/team", Some((false, Supplier::Derived)));
        check("aws:sourceip", Some((false, Supplier::Asserted)));
        check("aws:PrincipalOrgID", Some((false, Supplier::Either)));
        check("kms:NoSuchKey", None);
        check("saml:sub", None);
    }
}

//! The operations of AWS KMS as one table: a new operation is a new row.
//!
//! Source: AWS KMS Developer Guide, "AWS KMS permissions" (the permissions reference), "Key states of
//! AWS KMS keys"; Service Authorization Reference, "AWS Key Management Service".

use super::condition_key::RequestKey;
use super::key_state::Cell;

/// What an action is authorized on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// A key: key policy, or identity policies that the key policy enables.
    Key,
    /// An alias (identity policies alone) and a key, one authorization each.
    AliasAndKey,
    /// `*`: identity policies alone.
    Account,
    /// The retiring principal that the request names: identity policies alone.
    RetiringPrincipal,
}

/// Yes-or-no properties of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trait {
    /// Principals of other accounts can be allowed.
    CrossAccount,
    /// A grant can permit it.
    Grantable,
    /// `KeyId` may be an alias.
    Alias,
    /// A cryptographic operation.
    Cryptographic,
    /// The operation has a `DryRun` parameter.
    DryRun,
    /// CloudTrail calls it read-only.
    ReadOnly,
    /// The operation takes an encryption context.
    Context,
    /// There is no operation of this name.
    ActionOnly,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is authorized on.
    pub resource: ResourceKind,
    /// Its traits, a bit each.
    pub traits: u16,
    /// The condition keys that its requests have, a bit each.
    pub condition_keys: u64,
    /// What each key state does to it: Enabled, Disabled, PendingDeletion (and
    /// PendingReplicaDeletion), PendingImport, Unavailable, Creating, Updating.
    pub states: [Cell; 7],
}

macro_rules! table {
    ($($name:ident: $resource:ident [$($trait:ident)*] {$($key:ident)*} ($($cell:ident)*);)+) => {
        /// An IAM action of KMS.
        ///
        /// Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS
        /// Key Management Service".
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the variants are the names of KMS's actions")]
        pub enum Action { $($name),+ }

        /// The names of the actions, with and without prefix, in the order of the table.
        pub(super) const NAMES: &[(&str, &str)] = &[$((concat!("kms:", stringify!($name)), stringify!($name))),+];

        /// The actions in the order of the table.
        pub(super) const ACTIONS: &[Action] = &[$(Action::$name),+];

        impl Action {
            /// Its row.
            #[must_use]
            pub const fn row(self) -> &'static Row {
                match self {
                    $(Self::$name => &const { Row {
                        resource: ResourceKind::$resource,
                        traits: 0 $(| 1 << Trait::$trait as u16)*,
                        condition_keys: 0 $(| 1 << RequestKey::$key as u64)*,
                        states: [$(Cell::$cell),*],
                    } },)+
                }
            }
        }
    };
}

// Action: resource [traits] {condition keys beside those of the key} (what each key state does).
#[rustfmt::skip]
table! {
    CancelKeyDeletion: Key [] {CallerAccount ViaService} (NotPending NotPending Ok NotPending NotPending NotPending NotPending);
    ConnectCustomKeyStore: Account [] {CallerAccount} (Ok Ok Ok Ok Ok Ok Ok);
    CreateAlias: AliasAndKey [] {CallerAccount ViaService} (Ok Ok Pending Ok Ok Ok Ok);
    CreateCustomKeyStore: Account [] {CallerAccount} (Ok Ok Ok Ok Ok Ok Ok);
    CreateGrant: Key [CrossAccount Grantable DryRun] {CallerAccount ViaService EncryptionContext EncryptionContextKeys GrantConstraintSourceArn GrantConstraintType GrantIsForAwsResource GrantOperations GranteePrincipal GranteeServicePrincipal RetiringPrincipal RetiringServicePrincipal} (Ok Disabled Pending Import Ok Creating Ok);
    CreateKey: Account [] {CallerAccount ViaService BypassPolicyLockoutSafetyCheck RequestTag TagKeys} (Ok Ok Ok Ok Ok Ok Ok);
    Decapsulate: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly] {CallerAccount ViaService RequestAlias} (Ok Disabled Pending Import Unavailable Creating Ok);
    Decrypt: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly Context] {CallerAccount ViaService EncryptionAlgorithm EncryptionContext EncryptionContextKeys RecipientAttestation RequestAlias} (Ok Disabled Pending Import Unavailable Creating Ok);
    DeleteAlias: AliasAndKey [] {CallerAccount ViaService} (Ok Ok Ok Ok Ok Ok Ok);
    DeleteCustomKeyStore: Account [] {CallerAccount} (Ok Ok Ok Ok Ok Ok Ok);
    DeleteImportedKeyMaterial: Key [] {CallerAccount ViaService} (MaterialOk MaterialOk MaterialOk Ok Unavailable Creating Updating);
    DeriveSharedSecret: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly] {CallerAccount ViaService KeyAgreementAlgorithm RecipientAttestation RequestAlias} (Ok Disabled Pending Import Unavailable Creating Ok);
    DescribeCustomKeyStores: Account [ReadOnly] {CallerAccount} (Ok Ok Ok Ok Ok Ok Ok);
    DescribeKey: Key [CrossAccount Grantable Alias ReadOnly] {CallerAccount ViaService RequestAlias} (Ok Ok Ok Ok Ok Ok Ok);
    DisableKey: Key [] {CallerAccount ViaService TrailingDaysWithoutKeyUsage} (Ok Ok Pending Import Ok Creating Updating);
    DisableKeyRotation: Key [] {CallerAccount ViaService} (StoreOk StoreDisabled StorePending External Store Creating StoreOk);
    DisconnectCustomKeyStore: Account [] {CallerAccount} (Ok Ok Ok Ok Ok Ok Ok);
    EnableKey: Key [] {CallerAccount ViaService} (Ok Ok Pending Import Ok Creating Updating);
    EnableKeyRotation: Key [] {CallerAccount ViaService RotationPeriodInDays} (StoreOk StoreDisabled StorePending External Store Creating StoreOk);
    Encapsulate: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly] {CallerAccount ViaService RequestAlias} (Ok Disabled Pending Import Unavailable Creating Ok);
    Encrypt: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly Context] {CallerAccount ViaService EncryptionAlgorithm EncryptionContext EncryptionContextKeys RequestAlias} (Ok Disabled Pending Import Unavailable Creating Ok);
    GenerateDataKey: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly Context] {CallerAccount ViaService EncryptionAlgorithm EncryptionContext EncryptionContextKeys RecipientAttestation RequestAlias} (Ok Disabled Pending Import Unavailable Creating Ok);
    GenerateDataKeyPair: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly Context] {CallerAccount ViaService DataKeyPairSpec EncryptionAlgorithm EncryptionContext EncryptionContextKeys RecipientAttestation RequestAlias} (Ok Disabled Pending Import Store Creating Ok);
    GenerateDataKeyPairWithoutPlaintext: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly Context] {CallerAccount ViaService DataKeyPairSpec EncryptionAlgorithm EncryptionContext EncryptionContextKeys RequestAlias} (Ok Disabled Pending Import Store Creating Ok);
    GenerateDataKeyWithoutPlaintext: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly Context] {CallerAccount ViaService EncryptionAlgorithm EncryptionContext EncryptionContextKeys RequestAlias} (Ok Disabled Pending Import Unavailable Creating Ok);
    GenerateMac: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly] {CallerAccount ViaService MacAlgorithm RequestAlias} (Ok Disabled Pending Import Unavailable Creating Ok);
    GenerateRandom: Account [Cryptographic ReadOnly] {RecipientAttestation} (Ok Ok Ok Ok Ok Ok Ok);
    GetKeyLastUsage: Key [ReadOnly] {CallerAccount ViaService} (Ok Ok Ok Ok Ok Ok Ok);
    GetKeyPolicy: Key [ReadOnly] {CallerAccount ViaService PolicyName} (Ok Ok Ok Ok Ok Ok Ok);
    GetKeyRotationStatus: Key [CrossAccount ReadOnly] {CallerAccount ViaService} (StoreOk StoreOk StoreOk External Store StoreOk StoreOk);
    GetParametersForImport: Key [ReadOnly] {CallerAccount ViaService WrappingAlgorithm WrappingKeySpec} (MaterialOk MaterialOk MaterialImported Ok Material Creating Updating);
    GetPublicKey: Key [CrossAccount Grantable Alias ReadOnly] {CallerAccount ViaService RequestAlias} (Ok Ok Pending Ok Unavailable Creating Ok);
    ImportKeyMaterial: Key [] {CallerAccount ViaService ExpirationModel ValidTo} (MaterialOk MaterialOk Material Ok Material Creating Ok);
    ListAliases: Account [ReadOnly] {} (Ok Ok Ok Ok Ok Ok Ok);
    ListGrants: Key [CrossAccount ReadOnly] {CallerAccount ViaService GrantIsForAwsResource} (Ok Ok Ok Ok Ok Ok Ok);
    ListKeyPolicies: Key [ReadOnly] {CallerAccount ViaService} (Ok Ok Ok Ok Ok Ok Ok);
    ListKeyRotations: Key [ReadOnly] {CallerAccount ViaService} (StoreOk StoreOk StoreOk Ok Store StoreOk StoreOk);
    ListKeys: Account [ReadOnly] {} (Ok Ok Ok Ok Ok Ok Ok);
    ListResourceTags: Key [ReadOnly] {CallerAccount ViaService} (Ok Ok Ok Ok Ok Ok Ok);
    ListRetirableGrants: RetiringPrincipal [ReadOnly] {} (Ok Ok Ok Ok Ok Ok Ok);
    PutKeyPolicy: Key [] {CallerAccount ViaService BypassPolicyLockoutSafetyCheck PolicyName} (Ok Ok Ok Ok Ok Ok Ok);
    ReEncryptFrom: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly Context ActionOnly] {CallerAccount ViaService EncryptionAlgorithm EncryptionContext EncryptionContextKeys ReEncryptOnSameKey RequestAlias} (Ok Disabled Pending Import Unavailable Creating Ok);
    ReEncryptTo: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly Context ActionOnly] {CallerAccount ViaService EncryptionAlgorithm EncryptionContext EncryptionContextKeys ReEncryptOnSameKey RequestAlias} (Ok Disabled Pending Import Unavailable Creating Ok);
    ReplicateKey: Key [] {CallerAccount ViaService BypassPolicyLockoutSafetyCheck ReplicaRegion RequestTag TagKeys} (Ok Disabled Pending Import Unavailable Creating Updating);
    RetireGrant: Key [CrossAccount Grantable DryRun] {CallerAccount ViaService EncryptionContext EncryptionContextKeys GrantConstraintType} (Ok Ok Ok Ok Ok Ok Ok);
    RevokeGrant: Key [CrossAccount DryRun] {CallerAccount ViaService GrantIsForAwsResource} (Ok Ok Ok Ok Ok Ok Ok);
    RotateKeyOnDemand: Key [] {CallerAccount ViaService} (StoreOk StoreDisabled StorePending Import Store Creating StoreOk);
    ScheduleKeyDeletion: Key [] {CallerAccount ViaService ScheduleKeyDeletionPendingWindowInDays TrailingDaysWithoutKeyUsage} (Ok Ok Pending Ok Ok Ok Updating);
    Sign: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly] {CallerAccount ViaService MessageType RequestAlias SigningAlgorithm} (Ok Disabled Pending Import Unavailable Creating Ok);
    SynchronizeMultiRegionKey: Key [ActionOnly] {CallerAccount ViaService} (Ok Ok Ok Ok Ok Ok Ok);
    TagResource: Key [] {CallerAccount ViaService RequestTag TagKeys} (Ok Ok Pending Ok Ok Ok Ok);
    UntagResource: Key [] {CallerAccount ViaService TagKeys} (Ok Ok Pending Ok Ok Ok Ok);
    UpdateAlias: AliasAndKey [] {CallerAccount ViaService} (Ok Ok PendingNew Ok Ok Ok Ok);
    UpdateCustomKeyStore: Account [] {CallerAccount} (Ok Ok Ok Ok Ok Ok Ok);
    UpdateKeyDescription: Key [] {CallerAccount ViaService} (Ok Ok Pending Ok Ok Ok Ok);
    UpdatePrimaryRegion: Key [] {CallerAccount ViaService PrimaryRegion} (Ok Disabled Pending Import Unavailable Creating Ok);
    Verify: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly] {CallerAccount ViaService MessageType RequestAlias SigningAlgorithm} (Ok Disabled Pending Import Unavailable Creating Ok);
    VerifyMac: Key [CrossAccount Grantable Alias Cryptographic DryRun ReadOnly] {CallerAccount ViaService MacAlgorithm RequestAlias} (Ok Disabled Pending Import Unavailable Creating Ok);
}

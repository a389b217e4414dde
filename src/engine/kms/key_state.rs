//! What a key is, and what its state forbids.
//!
//! Source: AWS KMS Developer Guide, "Key states of AWS KMS keys"; AWS KMS API Reference, "KeyMetadata".

use super::action::{Action, ActionSet};

macro_rules! closed {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the variants are KMS's own values")]
        pub enum $name { $($variant),+ }

        impl $name {
            /// All values, as KMS writes them.
            pub const NAMES: &'static [&'static str] = &[$($text),+];

            /// The value as KMS writes it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value that KMS writes as `name`.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

closed! {
    /// The state of a key.
    KeyState {
        Creating = "Creating",
        Enabled = "Enabled",
        Disabled = "Disabled",
        PendingDeletion = "PendingDeletion",
        PendingImport = "PendingImport",
        PendingReplicaDeletion = "PendingReplicaDeletion",
        Unavailable = "Unavailable",
        Updating = "Updating",
    }
}

closed! {
    /// The kind of key material.
    KeySpec {
        Rsa2048 = "RSA_2048",
        Rsa3072 = "RSA_3072",
        Rsa4096 = "RSA_4096",
        EccNistP256 = "ECC_NIST_P256",
        EccNistP384 = "ECC_NIST_P384",
        EccNistP521 = "ECC_NIST_P521",
        EccSecgP256k1 = "ECC_SECG_P256K1",
        SymmetricDefault = "SYMMETRIC_DEFAULT",
        Hmac224 = "HMAC_224",
        Hmac256 = "HMAC_256",
        Hmac384 = "HMAC_384",
        Hmac512 = "HMAC_512",
        Sm2 = "SM2",
        MlDsa44 = "ML_DSA_44",
        MlDsa65 = "ML_DSA_65",
        MlDsa87 = "ML_DSA_87",
        EccNistEdwards25519 = "ECC_NIST_EDWARDS25519",
        MlKem512 = "ML_KEM_512",
        MlKem768 = "ML_KEM_768",
        MlKem1024 = "ML_KEM_1024",
    }
}

closed! {
    /// What a key is for.
    KeyUsage {
        SignVerify = "SIGN_VERIFY",
        EncryptDecrypt = "ENCRYPT_DECRYPT",
        GenerateVerifyMac = "GENERATE_VERIFY_MAC",
        KeyAgreement = "KEY_AGREEMENT",
        EncapsulateDecapsulate = "ENCAPSULATE_DECAPSULATE",
    }
}

closed! {
    /// Where the key material came from.
    KeyOrigin {
        AwsKms = "AWS_KMS",
        External = "EXTERNAL",
        AwsCloudhsm = "AWS_CLOUDHSM",
        ExternalKeyStore = "EXTERNAL_KEY_STORE",
    }
}

closed! {
    /// Which of a family of multi-Region keys it is.
    MultiRegionKeyType {
        Primary = "PRIMARY",
        Replica = "REPLICA",
    }
}

/// What the state of a key is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its state.
    pub state: KeyState,
    /// Where its material came from.
    pub origin: KeyOrigin,
    /// Whether it lives in a custom key store.
    pub custom_key_store: bool,
    /// Its spec.
    pub spec: KeySpec,
    /// Its usage.
    pub usage: KeyUsage,
}

/// Which of an operation's keys is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyRole {
    /// The only one.
    Only,
    /// The key that an alias leaves, or the source.
    Current,
    /// The key that an alias goes to, or the destination.
    New,
}

/// What a key state does to an operation: a cell of the table of key states, named after its
/// footnote there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Nothing.
    Ok,
    /// The key is disabled.
    Disabled,
    /// The key is pending deletion.
    Pending,
    /// The key is not pending deletion.
    NotPending,
    /// The key has no key material yet.
    Import,
    /// The key has imported key material.
    External,
    /// The key is in a custom key store.
    Store,
    /// Nothing, unless the key is in a custom key store.
    StoreOk,
    /// Disabled; or in a custom key store.
    StoreDisabled,
    /// Pending deletion; or in a custom key store.
    StorePending,
    /// The key cannot have imported key material.
    Material,
    /// Nothing, if the key can have imported key material.
    MaterialOk,
    /// The key has imported key material; or cannot have it.
    MaterialImported,
    /// Pending deletion, if it is the key that an alias goes to.
    PendingNew,
    /// The key is unavailable.
    Unavailable,
    /// The key is being created.
    Creating,
    /// The key is being updated.
    Updating,
}

/// What KMS raises because of the state of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateRefusal {
    /// `DisabledException`, `KMSInvalidStateException` or `UnsupportedOperationException`.
    pub exception: &'static str,
    what: &'static str,
}

impl StateRefusal {
    /// KMS's sentence.
    #[must_use]
    pub fn message(&self, key_arn: &str) -> String {
        format!("{key_arn} {}.", self.what)
    }
}

/// Whether the state of a key permits an action.
///
/// # Errors
///
/// What KMS raises instead. Where its table names two exceptions for a key that is pending
/// deletion, it is `KMSInvalidStateException`.
#[inline]
pub fn outcome(action: Action, key: &KeyFacts, role: KeyRole) -> Result<(), StateRefusal> {
    let column = match key.state {
        KeyState::Enabled => 0,
        KeyState::Disabled => 1,
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => 2,
        KeyState::PendingImport => 3,
        KeyState::Unavailable => 4,
        KeyState::Creating => 5,
        KeyState::Updating => 6,
    };
    let cell = action.row().states.get(column).copied().unwrap_or(Cell::Unavailable);
    if cell == Cell::Ok {
        return Ok(());
    }
    refusal(cell, key, role).map_or(Ok(()), Err)
}

fn refusal(cell: Cell, key: &KeyFacts, role: KeyRole) -> Option<StateRefusal> {
    let raise = |exception, what| Some(StateRefusal { exception, what });
    let invalid = |what| raise("KMSInvalidStateException", what);
    let unsupported = |what| raise("UnsupportedOperationException", what);
    let disabled = || raise("DisabledException", "is disabled");
    let pending = || invalid("is pending deletion");
    let in_store =
        || unsupported("is in a custom key store, which is not valid for this operation");
    let no_material =
        || unsupported("origin is not EXTERNAL, which is not valid for this operation");
    let external = key.origin == KeyOrigin::External;
    match cell {
        Cell::Ok => None,
        Cell::Disabled => disabled(),
        Cell::Pending => pending(),
        Cell::NotPending => invalid("is not pending deletion"),
        Cell::Import => invalid("is pending import"),
        Cell::External => unsupported("origin is EXTERNAL, which is not valid for this operation"),
        Cell::Store => in_store(),
        Cell::StoreOk => key.custom_key_store.then(in_store).flatten(),
        Cell::StoreDisabled => {
            if key.custom_key_store {
                in_store()
            } else {
                disabled()
            }
        }
        Cell::StorePending => {
            if key.custom_key_store {
                in_store()
            } else {
                pending()
            }
        }
        Cell::Material => no_material(),
        Cell::MaterialOk => (!external).then(no_material).flatten(),
        Cell::MaterialImported => {
            if external {
                pending()
            } else {
                no_material()
            }
        }
        Cell::PendingNew => (role != KeyRole::Current).then(pending).flatten(),
        Cell::Unavailable => invalid("is unavailable"),
        Cell::Creating => invalid("is creating"),
        Cell::Updating => invalid("is updating"),
    }
}

/// The operations that a grant on a key of this kind may permit.
///
/// Source: AWS KMS Developer Guide, "Grants in AWS KMS" (grant operations).
#[must_use]
pub fn grant_operations(usage: KeyUsage, spec: KeySpec) -> ActionSet {
    use Action as A;
    let special: &[Action] = match (usage, spec) {
        (KeyUsage::EncryptDecrypt, KeySpec::SymmetricDefault) => &[
            A::Decrypt,
            A::Encrypt,
            A::GenerateDataKey,
            A::GenerateDataKeyPair,
            A::GenerateDataKeyPairWithoutPlaintext,
            A::GenerateDataKeyWithoutPlaintext,
            A::ReEncryptFrom,
            A::ReEncryptTo,
        ],
        (KeyUsage::EncryptDecrypt, _) => {
            &[A::Decrypt, A::Encrypt, A::ReEncryptFrom, A::ReEncryptTo, A::GetPublicKey]
        }
        (KeyUsage::SignVerify, _) => &[A::Sign, A::Verify, A::GetPublicKey],
        (KeyUsage::GenerateVerifyMac, _) => &[A::GenerateMac, A::VerifyMac],
        (KeyUsage::KeyAgreement, _) => &[A::DeriveSharedSecret, A::GetPublicKey],
        (KeyUsage::EncapsulateDecapsulate, _) => &[A::Encapsulate, A::Decapsulate, A::GetPublicKey],
    };
    special.iter().chain(&[A::CreateGrant, A::DescribeKey, A::RetireGrant]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::{KeyFacts, KeyOrigin, KeyRole, KeySpec, KeyState, KeyUsage, outcome};
    use crate::engine::kms::action::Action;

    const KEY: KeyFacts = KeyFacts {
        state: KeyState::Enabled,
        origin: KeyOrigin::AwsKms,
        custom_key_store: false,
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
    };

    #[track_caller]
    fn check(action: Action, key: KeyFacts, role: KeyRole, expected: Option<&str>) {
        let found = outcome(action, &key, role).err().map(|refusal| refusal.exception);
        assert_eq!(found, expected, "{action:?} {key:?}");
    }

    #[test]
    fn states_forbid_what_the_table_says() {
        let only = KeyRole::Only;
        let in_state = |state| KeyFacts { state, ..KEY };
        check(Action::Decrypt, KEY, only, None);
        check(Action::Decrypt, in_state(KeyState::Disabled), only, Some("DisabledException"));
        check(
            Action::Decrypt,
            in_state(KeyState::PendingReplicaDeletion),
            only,
            Some("KMSInvalidStateException"),
        );
        check(Action::DescribeKey, in_state(KeyState::Disabled), only, None);
        check(Action::CancelKeyDeletion, KEY, only, Some("KMSInvalidStateException"));
        check(Action::CancelKeyDeletion, in_state(KeyState::PendingDeletion), only, None);
    }

    #[test]
    fn footnotes_look_at_the_key() {
        let only = KeyRole::Only;
        let stored = KeyFacts { custom_key_store: true, ..KEY };
        let external = KeyFacts { origin: KeyOrigin::External, ..KEY };
        check(Action::EnableKeyRotation, stored, only, Some("UnsupportedOperationException"));
        check(Action::EnableKeyRotation, KEY, only, None);
        check(Action::ImportKeyMaterial, KEY, only, Some("UnsupportedOperationException"));
        check(Action::ImportKeyMaterial, external, only, None);
    }

    #[test]
    fn an_alias_may_leave_a_key_that_is_pending_deletion() {
        let pending = KeyFacts { state: KeyState::PendingDeletion, ..KEY };
        check(Action::UpdateAlias, pending, KeyRole::Current, None);
        check(Action::UpdateAlias, pending, KeyRole::New, Some("KMSInvalidStateException"));
    }
}

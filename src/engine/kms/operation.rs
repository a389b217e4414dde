//! The operations of the KMS API.

use super::action::Action;

/// An operation of the KMS API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The operation with the name of an action.
    Named(Action),
    /// ReEncrypt: `kms:ReEncryptFrom` on the source, `kms:ReEncryptTo` on the destination.
    ReEncrypt,
}

impl Operation {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Named(action) => action.bare(),
            Self::ReEncrypt => "ReEncrypt",
        }
    }

    /// The operation with exactly this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "ReEncrypt" {
            return Some(Self::ReEncrypt);
        }
        Action::from_bare(name).filter(|action| action.is_operation()).map(Self::Named)
    }

    /// Whether it has a `DryRun` parameter.
    #[must_use]
    pub fn accepts_dry_run(self) -> bool {
        match self {
            Self::Named(action) => action.accepts_dry_run(),
            Self::ReEncrypt => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Operation;

    #[test]
    fn re_encrypt_is_an_operation_and_its_halves_are_not() {
        assert_eq!(Operation::from_name("ReEncrypt"), Some(Operation::ReEncrypt));
        assert_eq!(Operation::from_name("ReEncryptFrom"), None);
        assert_eq!(Operation::from_name("SynchronizeMultiRegionKey"), None);
        assert_eq!(Operation::from_name("decrypt"), None);
        assert_eq!(Operation::from_name("Decrypt").map(Operation::name), Some("Decrypt"));
    }
}

//! What is known before any request is made: the key, the action and who is named. All else may be
//! anything, so a condition that is false here is never met, and one that is true always is.

use crate::engine::kms::action::Action;
use crate::engine::kms::condition_key::RequestKey;
use crate::engine::kms::table::ResourceKind;
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::snapshot::Key;
use crate::engine::term::account::AccountId;
use crate::engine::term::arn::Arn;
use crate::engine::term::condition_key::{ConditionKey, KeySource};
use crate::engine::term::values::{Context, Scalar, Values};

/// Requests of one action, by whoever a principal stands for, on one key.
#[derive(Clone, Copy, Debug)]
pub struct Open<'o> {
    /// The action.
    pub action: Action,
    /// The key, if it is known which.
    pub key: Option<&'o Key>,
    /// Who asks, if that is known.
    pub caller: Option<&'o PrincipalPattern>,
    /// The ARN of the root user, where the account stands for it alone.
    pub root: Option<&'o str>,
}

impl Context for Open<'_> {
    fn values<'v>(&'v self, key: &'v ConditionKey) -> Values<'v> {
        if let Some(request_key) = request_key(key.source)
            && !self.action.condition_key(request_key)
        {
            return Values::Absent;
        }
        let of_key = |read: fn(&Key) -> &'static str| {
            self.key.map_or(Values::Unknown, |key| Values::text(Some(read(key))))
        };
        let has_key = self.action.row().resource != ResourceKind::Account;
        match key.source {
            KeySource::KeySpec | KeySource::CustomerMasterKeySpec => of_key(|key| key.spec.name()),
            KeySource::KeyUsage | KeySource::CustomerMasterKeyUsage => {
                of_key(|key| key.usage.name())
            }
            KeySource::KeyOrigin => of_key(|key| key.origin.name()),
            KeySource::MultiRegion => {
                self.key.map_or(Values::Unknown, |key| Values::One(Scalar::Bool(key.multi_region)))
            }
            KeySource::MultiRegionKeyType => self.key.map_or(Values::Unknown, |key| {
                match (key.multi_region, key.multi_region_type) {
                    (false, _) => Values::Absent,
                    (true, Some(kind)) => Values::text(Some(kind.name())),
                    (true, None) => Values::Unknown,
                }
            }),
            KeySource::ResourceTag | KeySource::ResourceAliases if !has_key => Values::Absent,
            KeySource::ResourceAccount => match self.key {
                Some(key) => Values::text(Some(key.account.as_str())),
                None => Values::Unknown,
            },
            KeySource::CallerAccount | KeySource::PrincipalAccount => self.account(),
            KeySource::PrincipalArn => match self.caller {
                Some(PrincipalPattern::User(arn) | PrincipalPattern::Role(arn)) => {
                    Values::text(Some(arn))
                }
                Some(PrincipalPattern::Service(_)) => Values::Absent,
                _ => self.root.map_or(Values::Unknown, |arn| Values::text(Some(arn))),
            },
            KeySource::PrincipalIsAwsService => match self.caller {
                Some(PrincipalPattern::Service(_)) => Values::One(Scalar::Bool(true)),
                Some(PrincipalPattern::Everyone | PrincipalPattern::AnyAws) | None => {
                    Values::Unknown
                }
                Some(_) => Values::One(Scalar::Bool(false)),
            },
            _ => Values::Unknown,
        }
    }
}

impl Open<'_> {
    fn account(&self) -> Values<'_> {
        match self.caller {
            Some(PrincipalPattern::Account(account, _)) => Values::text(Some(account.as_str())),
            Some(PrincipalPattern::Service(_)) => Values::Absent,
            Some(
                PrincipalPattern::User(arn)
                | PrincipalPattern::Role(arn)
                | PrincipalPattern::Session(arn)
                | PrincipalPattern::Federated(arn),
            ) => Arn::parse(arn).map_or(Values::Unknown, |arn| Values::text(Some(arn.account()))),
            _ => Values::Unknown,
        }
    }
}

/// The account of whom a principal names, if it is one account.
#[must_use]
pub fn account_of(pattern: &PrincipalPattern) -> Option<AccountId> {
    match pattern {
        PrincipalPattern::Account(account, _) => Some(*account),
        PrincipalPattern::User(arn)
        | PrincipalPattern::Role(arn)
        | PrincipalPattern::Session(arn)
        | PrincipalPattern::Federated(arn) => Arn::parse(arn).and_then(|arn| arn.account_id()),
        PrincipalPattern::Everyone
        | PrincipalPattern::AnyAws
        | PrincipalPattern::Service(_)
        | PrincipalPattern::UniqueId(_)
        | PrincipalPattern::Provider(_) => None,
    }
}

/// One condition key has this value, and all others may have any.
#[derive(Clone, Copy, Debug)]
pub struct Fixed<'o> {
    /// The condition key.
    pub key: &'o ConditionKey,
    /// Its value; `None` when it is absent.
    pub value: Option<Scalar<'o>>,
}

impl Context for Fixed<'_> {
    fn values<'v>(&'v self, key: &'v ConditionKey) -> Values<'v> {
        if !key.is(&self.key.name) {
            return Values::Unknown;
        }
        self.value.map_or(Values::Absent, Values::One)
    }
}

/// The condition key among those that only the requests of some actions have.
#[must_use]
pub fn request_key(source: KeySource) -> Option<RequestKey> {
    use KeySource as S;
    use RequestKey as R;
    Some(match source {
        S::BypassPolicyLockoutSafetyCheck => R::BypassPolicyLockoutSafetyCheck,
        S::CallerAccount => R::CallerAccount,
        S::DataKeyPairSpec => R::DataKeyPairSpec,
        S::EncryptionAlgorithm => R::EncryptionAlgorithm,
        S::EncryptionContext => R::EncryptionContext,
        S::EncryptionContextKeys => R::EncryptionContextKeys,
        S::ExpirationModel => R::ExpirationModel,
        S::GrantConstraintSourceArn => R::GrantConstraintSourceArn,
        S::GrantConstraintType => R::GrantConstraintType,
        S::GrantIsForAwsResource => R::GrantIsForAwsResource,
        S::GrantOperations => R::GrantOperations,
        S::GranteePrincipal => R::GranteePrincipal,
        S::GranteeServicePrincipal => R::GranteeServicePrincipal,
        S::KeyAgreementAlgorithm => R::KeyAgreementAlgorithm,
        S::MacAlgorithm => R::MacAlgorithm,
        S::MessageType => R::MessageType,
        S::PolicyName => R::PolicyName,
        S::PrimaryRegion => R::PrimaryRegion,
        S::ReEncryptOnSameKey => R::ReEncryptOnSameKey,
        S::RecipientAttestation => R::RecipientAttestation,
        S::ReplicaRegion => R::ReplicaRegion,
        S::RequestAlias => R::RequestAlias,
        S::RequestTag => R::RequestTag,
        S::RetiringPrincipal => R::RetiringPrincipal,
        S::RetiringServicePrincipal => R::RetiringServicePrincipal,
        S::RotationPeriodInDays => R::RotationPeriodInDays,
        S::PendingWindowInDays => R::ScheduleKeyDeletionPendingWindowInDays,
        S::SigningAlgorithm => R::SigningAlgorithm,
        S::TagKeys => R::TagKeys,
        S::TrailingDaysWithoutKeyUsage => R::TrailingDaysWithoutKeyUsage,
        S::ValidTo => R::ValidTo,
        S::ViaService => R::ViaService,
        S::WrappingAlgorithm => R::WrappingAlgorithm,
        S::WrappingKeySpec => R::WrappingKeySpec,
        _ => return None,
    })
}

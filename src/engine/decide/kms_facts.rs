//! Values of `kms:` condition keys.
//!
//! Source: AWS KMS Developer Guide, "AWS KMS condition keys".

use super::facts::{Facts, account, flag};
use super::resource::Resource;
use crate::engine::grant::ContextConstraint;
use crate::engine::kms::action::Action;
use crate::engine::kms::condition_key::RequestKey;
use crate::engine::snapshot::Key;
use crate::engine::term::condition_key::KeySource;
use crate::engine::term::principal::Principal;
use crate::engine::term::request::GrantParameters;
use crate::engine::term::values::{Many, PairList, Scalar, Values};

/// Aliases that a key may have; with more, tests of `kms:ResourceAliases` are unsure.
///
/// Source: AWS KMS Developer Guide, "ABAC for AWS KMS" (aliases per KMS key quota).
const ALIASES_PER_KEY: usize = 50;

impl<'a> Facts<'a, '_> {
    /// `kms:` keys; `None` for other keys.
    pub(super) fn kms(&self, source: KeySource) -> Option<Values<'_>> {
        use KeySource as S;
        use RequestKey as R;
        let parameters = self.parameters();
        let text = |key, value: Option<&'a str>| self.when(key, || Values::text(value));
        let grant = |key, read: fn(&GrantParameters<'a>) -> Option<&'a str>| {
            self.when(key, || Values::text(parameters.grant.as_ref().and_then(read)))
        };
        let number = |key, value: Option<i32>, default: i32| {
            self.when(key, || Values::One(Scalar::Integer(value.unwrap_or(default).into())))
        };
        Some(match source {
            S::BypassPolicyLockoutSafetyCheck => self
                .when(R::BypassPolicyLockoutSafetyCheck, || {
                    flag(parameters.bypass_policy_lockout_safety_check)
                }),
            S::CallerAccount => {
                self.when(R::CallerAccount, || account(self.caller.principal.account_text()))
            }
            S::DataKeyPairSpec => text(R::DataKeyPairSpec, parameters.key_pair_spec),
            S::EncryptionAlgorithm => text(
                R::EncryptionAlgorithm,
                self.leg.encryption_algorithm.or(Some("SYMMETRIC_DEFAULT")),
            ),
            S::EncryptionContextKeys => self.encryption_context_keys(),
            S::ExpirationModel => text(R::ExpirationModel, parameters.expiration_model),
            S::GrantConstraintSourceArn => {
                grant(R::GrantConstraintSourceArn, |grant| grant.source_arn)
            }
            S::GrantConstraintType => self.when(R::GrantConstraintType, || self.constraint_type()),
            S::GrantIsForAwsResource => self
                .when(R::GrantIsForAwsResource, || flag(Some(self.request.via_service.is_some()))),
            S::GrantOperations => self.when(R::GrantOperations, || {
                let grant = parameters.grant.as_ref();
                let operations = grant.map(|grant| grant.operations).unwrap_or_default();
                Values::many(Many::Actions(operations))
            }),
            S::GranteePrincipal => grant(R::GranteePrincipal, |grant| grant.grantee_principal),
            S::GranteeServicePrincipal => {
                grant(R::GranteeServicePrincipal, |grant| grant.grantee_service_principal)
            }
            S::KeyAgreementAlgorithm => {
                text(R::KeyAgreementAlgorithm, parameters.key_agreement_algorithm)
            }
            S::MacAlgorithm => text(R::MacAlgorithm, parameters.mac_algorithm),
            S::MessageType => text(R::MessageType, parameters.message_type.or(Some("RAW"))),
            S::PolicyName => text(R::PolicyName, parameters.policy_name.or(Some("default"))),
            S::PrimaryRegion => text(R::PrimaryRegion, parameters.primary_region),
            S::ReEncryptOnSameKey => self.when(R::ReEncryptOnSameKey, || flag(self.leg.same_key)),
            S::ReplicaRegion => text(R::ReplicaRegion, parameters.replica_region),
            S::RequestAlias => text(R::RequestAlias, self.leg.alias),
            S::RetiringPrincipal => grant(R::RetiringPrincipal, |grant| grant.retiring_principal),
            S::RetiringServicePrincipal => {
                grant(R::RetiringServicePrincipal, |grant| grant.retiring_service_principal)
            }
            S::RotationPeriodInDays => {
                number(R::RotationPeriodInDays, parameters.rotation_period_in_days, 365)
            }
            S::PendingWindowInDays => number(
                R::ScheduleKeyDeletionPendingWindowInDays,
                parameters.pending_window_in_days,
                30,
            ),
            S::SigningAlgorithm => text(R::SigningAlgorithm, parameters.signing_algorithm),
            S::TrailingDaysWithoutKeyUsage => {
                self.when(R::TrailingDaysWithoutKeyUsage, || self.unused_days())
            }
            S::ValidTo => self.when(R::ValidTo, || {
                parameters
                    .valid_to
                    .map_or(Values::Absent, |at| Values::One(Scalar::Integer(at.seconds())))
            }),
            S::ViaService => {
                let service = matches!(self.caller.principal, Principal::Service { .. });
                text(R::ViaService, self.request.via_service.filter(|_| !service))
            }
            S::WrappingAlgorithm => text(R::WrappingAlgorithm, parameters.wrapping_algorithm),
            S::WrappingKeySpec => text(R::WrappingKeySpec, parameters.wrapping_key_spec),
            S::KeySpec | S::CustomerMasterKeySpec => {
                self.of_key(|key| key.spec.name(), parameters.key_spec, "SYMMETRIC_DEFAULT")
            }
            S::KeyUsage | S::CustomerMasterKeyUsage => {
                self.of_key(|key| key.usage.name(), parameters.key_usage, "ENCRYPT_DECRYPT")
            }
            S::KeyOrigin => self.of_key(|key| key.origin.name(), parameters.origin, "AWS_KMS"),
            S::MultiRegion => self.multi_region(),
            S::MultiRegionKeyType => self.multi_region_key_type(),
            S::ResourceAliases => match self.resource.key() {
                Some(key) if key.aliases.len() > ALIASES_PER_KEY => Values::Unknown,
                Some(key) => Values::many(Many::Stored(&key.aliases)),
                None => Values::Absent,
            },
            _ => return None,
        })
    }

    /// CreateKey, and the tagging that goes with it.
    fn makes_a_key(&self) -> bool {
        self.action == Action::CreateKey || matches!(self.resource, Resource::NewKey { .. })
    }

    /// A property of the key: of the one that is there, or of the one that is made.
    fn of_key(
        &self,
        read: fn(&Key) -> &'static str,
        asked: Option<&'a str>,
        default: &'static str,
    ) -> Values<'_> {
        if let Some(key) = self.resource.key() {
            return Values::text(Some(read(key)));
        }
        if !self.makes_a_key() {
            return Values::Absent;
        }
        match self.leg.replicated {
            Some(primary) => Values::text(Some(read(primary))),
            None => Values::text(Some(asked.unwrap_or(default))),
        }
    }

    fn multi_region(&self) -> Values<'_> {
        if let Some(key) = self.resource.key() {
            return flag(Some(key.multi_region));
        }
        if !self.makes_a_key() {
            return Values::Absent;
        }
        flag(Some(self.leg.replicated.is_some() || self.parameters().multi_region == Some(true)))
    }

    fn multi_region_key_type(&self) -> Values<'_> {
        if let Some(key) = self.resource.key() {
            return Values::text(key.multi_region_type.map(|kind| kind.name()));
        }
        if !self.makes_a_key() {
            return Values::Absent;
        }
        match (self.leg.replicated, self.parameters().multi_region) {
            (Some(_), _) => Values::text(Some("REPLICA")),
            (None, Some(true)) => Values::text(Some("PRIMARY")),
            (None, _) => Values::Absent,
        }
    }

    /// The pairs that `kms:EncryptionContext:` and `kms:EncryptionContextKeys` are about: of the
    /// operation, of the grant that is made, or of the grant that is retired.
    fn context_pairs(&self) -> PairList<'_> {
        match self.action {
            Action::CreateGrant => {
                PairList::Told(self.parameters().grant.as_ref().map_or(&[], |grant| {
                    let equals = &grant.encryption_context_equals;
                    if equals.is_empty() { &grant.encryption_context_subset } else { equals }
                }))
            }
            Action::RetireGrant => PairList::Stored(match self.leg.retired {
                Some(ContextConstraint::Equals(pairs) | ContextConstraint::Subset(pairs)) => pairs,
                Some(ContextConstraint::Unlimited) | None => &[],
            }),
            _ => PairList::Told(self.leg.encryption_context.map_or(&[], |pairs| pairs)),
        }
    }

    pub(super) fn encryption_context<'v>(&'v self, name: &'v str) -> Values<'v> {
        self.when(RequestKey::EncryptionContext, || self.context_pairs().values_of(name))
    }

    fn encryption_context_keys(&self) -> Values<'_> {
        self.when(RequestKey::EncryptionContextKeys, || {
            Values::many(Many::Names(self.context_pairs()))
        })
    }

    fn constraint_type(&self) -> Values<'_> {
        if self.action == Action::RetireGrant {
            return Values::text(match self.leg.retired {
                Some(ContextConstraint::Equals(_)) => Some("EncryptionContextEquals"),
                Some(ContextConstraint::Subset(_)) => Some("EncryptionContextSubset"),
                Some(ContextConstraint::Unlimited) | None => None,
            });
        }
        let grant = self.parameters().grant.as_ref();
        Values::text(grant.and_then(|grant| {
            let equals = !grant.encryption_context_equals.is_empty();
            let subset = !grant.encryption_context_subset.is_empty();
            equals
                .then_some("EncryptionContextEquals")
                .or(subset.then_some("EncryptionContextSubset"))
        }))
    }

    /// Whole days since the key was last used; 0 when the set does not say.
    fn unused_days(&self) -> Values<'_> {
        let since = self.resource.key().and_then(|key| key.unused_since);
        let seconds = since.map_or(0, |since| self.now().seconds() - since.seconds());
        Values::One(Scalar::Integer(seconds.max(0) / 86_400))
    }
}

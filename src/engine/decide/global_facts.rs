//! Values of `aws:` condition keys.
//!
//! Source: IAM User Guide, "AWS global condition context keys", "IAM policy elements: Variables and
//! tags" (values of the principal keys).

use super::facts::{Facts, account, flag};
use super::resource::Resource;
use crate::engine::kms::action::Action;
use crate::engine::kms::condition_key::RequestKey;
use crate::engine::term::account::AccountId;
use crate::engine::term::composed::Composed;
use crate::engine::term::condition_key::{ConditionKey, KeySource};
use crate::engine::term::principal::Principal;
use crate::engine::term::values::{Many, PairList, Scalar, Values};

impl Facts<'_, '_> {
    /// `aws:` keys; `None` for other keys.
    pub(super) fn global<'v>(&'v self, source: KeySource, key: &'v ConditionKey) -> Values<'v> {
        use KeySource as S;
        let principal = &self.caller.principal;
        let service = if let Principal::Service { name } = principal { Some(name) } else { None };
        match source {
            S::CurrentTime => Values::One(Scalar::Time(self.now())),
            S::EpochTime => Values::One(Scalar::Integer(self.now().seconds())),
            S::PrincipalAccount => account(principal.account_text()),
            S::PrincipalArn => match principal {
                Principal::Service { .. } => Values::Absent,
                Principal::Session { .. } => {
                    self.caller.role_arn.map_or(Values::Unknown, |arn| Values::text(Some(arn)))
                }
                _ => Values::text(Some(principal.text())),
            },
            S::PrincipalIsAwsService => flag(Some(service.is_some())),
            S::PrincipalServiceName => Values::text(service.copied()),
            S::PrincipalServiceNamesList => {
                service.map_or(Values::Absent, |name| Values::texts(std::slice::from_ref(name)))
            }
            S::PrincipalType => Values::text(match principal {
                Principal::Root { .. } => Some("Account"),
                Principal::User { .. } => Some("User"),
                Principal::Federated { .. } => Some("FederatedUser"),
                Principal::Session { .. } => Some("AssumedRole"),
                Principal::Service { .. } => None,
            }),
            S::UserId => self.user_id(),
            S::UserName => Values::text(match principal {
                Principal::User { name, .. } => Some(name),
                _ => None,
            }),
            S::PrincipalOrgId => self.organization_id(self.caller.account(), key),
            S::PrincipalOrgPaths => self.organization_path(self.caller.account(), key),
            S::ResourceOrgId => self.organization_id(self.resource.account(), key),
            S::ResourceOrgPaths => self.organization_path(self.resource.account(), key),
            S::ResourceAccount => self.resource_account(),
            S::RequestedRegion => Values::text(self.region),
            S::SecureTransport => match self.asserted(key) {
                Values::Absent => Values::text(Some("true")),
                asserted => asserted,
            },
            S::SourceIdentity => Values::text(self.request.source_identity),
            S::TagKeys => self.when(RequestKey::TagKeys, || {
                if self.action == Action::UntagResource {
                    Values::texts(&self.parameters().tag_keys)
                } else {
                    Values::many(Many::Names(PairList::Told(&self.parameters().tags)))
                }
            }),
            S::ViaAwsService => flag(Some(self.request.via_service.is_some())),
            _ => Values::Absent,
        }
    }

    fn resource_account(&self) -> Values<'_> {
        match self.resource {
            Resource::Key(key) => account(Some(key.account.as_str())),
            Resource::Alias { arn, .. } => account(arn.split(':').nth(4)),
            Resource::NewKey { arn } => account(arn.split(':').nth(4)),
            Resource::UnknownKey { .. } | Resource::Any { .. } | Resource::RetiringPrincipal(_) => {
                Values::Absent
            }
        }
    }

    /// Source: IAM User Guide, "IAM policy elements: Variables and tags" (values of the principal
    /// key `aws:userid`).
    fn user_id(&self) -> Values<'_> {
        if let Some(id) = self.request.user_id {
            return Values::text(Some(id));
        }
        let own = self.caller.identity.and_then(|identity| identity.unique_id.as_deref());
        match self.caller.principal {
            Principal::Root { .. } => account(self.caller.principal.account_text()),
            Principal::User { .. } => own.map_or(Values::Unknown, |id| Values::text(Some(id))),
            Principal::Session { session, .. } => {
                let compose = || own.map(|role| Composed::of(&[role, ":", session]));
                self.user_id
                    .get_or_init(compose)
                    .as_deref()
                    .map_or(Values::Unknown, |id| Values::text(Some(id)))
            }
            Principal::Federated { account, name, .. } => {
                let compose = || Some(Composed::of(&[account.as_str(), ":", name]));
                Values::text(self.user_id.get_or_init(compose).as_deref())
            }
            Principal::Service { .. } => Values::Absent,
        }
    }

    /// Derived for accounts that the set's organization holds, else what the caller asserts.
    fn organization_id<'v>(
        &'v self,
        account: Option<AccountId>,
        key: &'v ConditionKey,
    ) -> Values<'v> {
        let organization = self.snapshot.organization.as_ref();
        match organization.filter(|found| account.is_some_and(|account| found.holds(account))) {
            Some(organization) => Values::text(Some(&organization.id)),
            None => self.asserted(key),
        }
    }

    /// Where the management account stands is known only if the organization's tree lists it.
    fn organization_path<'v>(
        &'v self,
        account: Option<AccountId>,
        key: &'v ConditionKey,
    ) -> Values<'v> {
        let organization = self.snapshot.organization.as_ref();
        let Some((organization, account)) =
            organization.zip(account).filter(|(found, account)| found.holds(*account))
        else {
            return self.asserted(key);
        };
        let member = organization.accounts.get(&account);
        member.map_or(Values::Unknown, |member| {
            Values::many(Many::Stored(std::slice::from_ref(&member.path)))
        })
    }

    pub(super) fn principal_tag<'v>(&'v self, name: &'v str) -> Values<'v> {
        let session = PairList::Told(&self.request.session_tags).values_of(name);
        if session != Values::Absent {
            return session;
        }
        let tags = self.caller.identity.map_or(&[][..], |identity| &identity.tags);
        PairList::Stored(tags).values_of(name)
    }
}

//! The caller, with what the set knows of it.

use arrayvec::ArrayVec;

use super::claims;
use super::naming::{Naming, Namings};
use crate::engine::evaluation::{AwsStar, Evaluation, FederatedByName, Required, Unknown};
use crate::engine::grant::GranteeRef;
use crate::engine::policy::gist::Marks;
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::policy::statement::Principals;
use crate::engine::snapshot::{Identity, Named, Snapshot};
use crate::engine::term::account::AccountId;
use crate::engine::term::arn::Arn;
use crate::engine::term::partition::{Partition, partition_of, same_partition};
use crate::engine::term::principal::Principal;
use crate::engine::term::request::{InvalidRequest, Request};
use crate::engine::term::truth::Truth;

/// The caller of a request.
#[derive(Clone, Debug)]
pub struct Caller<'a> {
    /// As the request names it.
    pub principal: Principal<'a>,
    /// Its user or role in the set; for a federated session the user behind it.
    pub identity: Option<&'a Identity>,
    /// The role behind a session, with its path. `None` when nobody said and the set lacks it.
    pub role_arn: Option<&'a str>,
    /// The user behind a federated session.
    pub issuer_arn: Option<&'a str>,
    /// The user behind a federated session has its name, where nobody says more.
    pub(super) issuer_is_a_namesake: bool,
    /// The set describes the account, but not this caller: it is never allowed.
    pub unknown: bool,
    /// Whether the request carries session policies.
    pub has_session_policies: bool,
    /// The marks of the principals that may name it.
    pub marks: Marks,
    pub(super) unique_id: Option<&'a str>,
}

impl<'a> Caller<'a> {
    /// Looks the caller up in the set.
    ///
    /// # Errors
    ///
    /// The request names another role than the one that the set has under this name, or another
    /// `aws:userid` than the caller has.
    #[inline(always)]
    pub fn find(snapshot: &'a Snapshot, request: &'a Request<'a>) -> Result<Self, InvalidRequest> {
        let mut role_arn = None;
        let mut issuer_arn = None;
        let issuer_is_a_namesake = snapshot.evaluation.federated_by_name == FederatedByName::Yes;
        let identity = match request.principal {
            Principal::Root { .. } | Principal::Service { .. } => None,
            Principal::User { arn, .. } => snapshot.users.get(arn),
            Principal::Session { arn, account, role, .. } => {
                let known = snapshot.roles.get(&Named(account, role));
                let known = known.filter(|known| same_partition(&known.arn, arn));
                role_arn = claims::role_of(request, known)?;
                known
            }
            Principal::Federated { arn, account, name } => {
                let named = || snapshot.user_arns.get(&Named(account, name));
                let named =
                    || named().filter(|found| issuer_is_a_namesake && same_partition(found, arn));
                issuer_arn = match request.issuer_arn {
                    Some(arn) => Some(arn.text),
                    None => named().map(|arn| &**arn),
                };
                issuer_arn.and_then(|arn| snapshot.users.get(arn))
            }
        };
        claims::check_user_id(request, identity)?;
        // Where not even a name is known, any user may be the one behind a federated session.
        let behind_federated = match (issuer_arn, issuer_is_a_namesake) {
            _ if !matches!(request.principal, Principal::Federated { .. }) => Marks::NONE,
            (Some(arn), _) => Marks::user(arn),
            (None, true) => Marks::user(request.principal.text()),
            (None, false) => Marks::ALL,
        };
        let known = identity.map(|identity| identity.marks);
        Ok(Self {
            principal: request.principal,
            identity,
            role_arn,
            issuer_arn,
            issuer_is_a_namesake,
            unknown: identity.is_none() && is_unknown(snapshot, &request.principal),
            has_session_policies: !request.session_policies.is_empty(),
            marks: Marks::caller(&request.principal, known, role_arn, behind_federated),
            unique_id: request
                .user_id
                .map(|id| id.split(':').next().unwrap_or(id))
                .or_else(|| identity.and_then(|identity| identity.unique_id.as_deref())),
        })
    }

    /// The account; a service has none.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        self.principal.account()
    }

    /// The partition; a service has none.
    #[must_use]
    pub fn partition(&self) -> Option<&'a str> {
        partition_of(self.principal.text())
    }

    /// Whether something with this ARN can be of the caller's partition; a service has none, and is
    /// in all of them.
    #[must_use]
    pub fn may_reach(&self, arn: &str) -> bool {
        matches!(self.principal, Principal::Service { .. })
            || same_partition(self.principal.text(), arn)
    }

    /// Whether it is a session of a service-linked role of the set.
    #[must_use]
    pub fn is_service_linked(&self) -> bool {
        self.identity.is_some_and(|identity| identity.service_linked)
    }

    /// Whether it is a federated session without session policies: their set is empty and allows
    /// nothing.
    ///
    /// Source: IAM User Guide, "Permissions for GetFederationToken".
    #[must_use]
    pub fn is_bare_federated(&self) -> bool {
        matches!(self.principal, Principal::Federated { .. }) && !self.has_session_policies
    }

    /// The grantees that name the caller without doubt.
    #[must_use]
    pub fn grantees(&self) -> ArrayVec<GranteeRef<'_>, 4> {
        let itself = match self.principal {
            Principal::Service { name } => Some(GranteeRef::service(name)),
            Principal::Root { .. } => None,
            _ => Some(GranteeRef::named(self.principal.text())),
        };
        let unique_id = match self.principal {
            Principal::Federated { .. } => self.identity.and_then(|user| user.unique_id.as_deref()),
            _ => self.unique_id,
        };
        let all = [
            itself,
            self.role_arn.or(self.issuer_arn).map(GranteeRef::named),
            unique_id.map(GranteeRef::unique_id),
            self.principal.account_text().map(GranteeRef::account),
        ];
        all.into_iter().flatten().collect()
    }

    /// How an Allow with this principal names the caller, if it does without doubt.
    #[must_use]
    pub fn named_by(&self, pattern: &PrincipalPattern, evaluation: &Evaluation) -> Option<Naming> {
        let service = matches!(self.principal, Principal::Service { .. });
        match pattern {
            PrincipalPattern::Everyone => Some(Naming::Star),
            // Where services count as AWS identities it is a permission for them, as `*` is not.
            PrincipalPattern::AnyAws if service => {
                (evaluation.aws_star_matches_service == AwsStar::Match).then_some(Naming::Exact)
            }
            PrincipalPattern::AnyAws => Some(Naming::Star),
            _ => match self.meets(pattern) {
                (Truth::True, naming) => Some(naming),
                (Truth::False | Truth::Unsure, _) => None,
            },
        }
    }

    /// Whether a Deny with this principal is about the caller.
    #[must_use]
    pub fn denied_by(&self, pattern: &PrincipalPattern) -> Truth {
        match pattern {
            PrincipalPattern::Everyone | PrincipalPattern::AnyAws => Truth::True,
            _ => self.meets(pattern).0,
        }
    }

    /// Whether a statement of a Deny is about the caller.
    #[must_use]
    #[inline(always)]
    pub fn denied_among(&self, principals: &Principals, evaluation: &Evaluation) -> Truth {
        match principals {
            Principals::Bearer => Truth::True,
            Principals::These(patterns) => patterns
                .iter()
                .fold(Truth::False, |truth, pattern| truth.or(self.denied_by(pattern))),
            Principals::AllBut(patterns) => self.exempt(patterns, evaluation).negate(),
        }
    }

    /// How a statement of an Allow names the caller.
    #[must_use]
    #[inline(always)]
    pub fn named_among(&self, principals: &Principals, evaluation: &Evaluation) -> Namings {
        let mut namings = Namings::default();
        if let Principals::These(patterns) = principals {
            for naming in patterns.iter().filter_map(|pattern| self.named_by(pattern, evaluation)) {
                namings.insert(naming);
            }
        }
        namings
    }

    /// Patterns other than `*`.
    #[inline(always)]
    fn meets(&self, pattern: &PrincipalPattern) -> (Truth, Naming) {
        use Naming::{Account, Behind, Exact, Star};
        match (pattern, &self.principal) {
            (PrincipalPattern::Everyone | PrincipalPattern::AnyAws, _) => (Truth::True, Star),
            (PrincipalPattern::Account(account, partition), _) => {
                let named = Truth::from(self.account() == Some(*account));
                let partition = partition.as_ref().map(Partition::as_str);
                // The same digits in another partition are another account.
                let elsewhere = partition.is_some_and(|named| Some(named) != self.partition());
                (if elsewhere { named.doubted() } else { named }, Account)
            }
            (PrincipalPattern::User(user), Principal::User { arn, .. }) => {
                ((**user == **arn).into(), Exact)
            }
            (PrincipalPattern::User(user), Principal::Federated { account, name, .. }) => {
                let name = Some(*name).filter(|_| self.issuer_is_a_namesake);
                (self.behind(self.issuer_arn, user, *account, name), Behind)
            }
            (PrincipalPattern::Role(role), Principal::Session { account, role: name, .. }) => {
                (self.behind(self.role_arn, role, *account, Some(name)), Behind)
            }
            (PrincipalPattern::Session(session), Principal::Session { arn, .. }) => {
                ((**session == **arn).into(), Exact)
            }
            (PrincipalPattern::Federated(federated), Principal::Federated { arn, .. }) => {
                ((**federated == **arn).into(), Exact)
            }
            (PrincipalPattern::Service(service), Principal::Service { name }) => {
                ((**service == **name).into(), Exact)
            }
            (PrincipalPattern::UniqueId(id), Principal::User { .. }) if id.starts_with("AIDA") => {
                (self.has_unique_id(id), Exact)
            }
            (PrincipalPattern::UniqueId(id), Principal::Federated { .. })
                if id.starts_with("AIDA") =>
            {
                let issuer = self.identity.and_then(|user| user.unique_id.as_deref());
                (issuer.map_or(Truth::Unsure, |issuer| (*issuer == **id).into()), Behind)
            }
            (PrincipalPattern::UniqueId(id), Principal::Session { .. })
                if id.starts_with("AROA") =>
            {
                (self.has_unique_id(id), Behind)
            }
            _ => (Truth::False, Star),
        }
    }

    /// Whether `named` is the role or user behind the session. Where nobody said which it is, one
    /// of the same account and name may be it, in whatever path; without a name any of the account.
    fn behind(
        &self,
        known: Option<&str>,
        named: &str,
        account: AccountId,
        name: Option<&str>,
    ) -> Truth {
        if let Some(known) = known {
            return (*known == *named).into();
        }
        let Some(arn) = Arn::parse(named) else { return Truth::False };
        let same_name = name.is_none() || arn.resource().rsplit('/').next() == name;
        let may_be = same_name && arn.account_id() == Some(account) && self.may_reach(named);
        Truth::from(may_be).doubted()
    }

    /// Sessions of the role in the list leave out these sessions alone.
    fn alone_among(&self, patterns: &[PrincipalPattern], account: AccountId, role: &str) -> Truth {
        let mut sessions = patterns.iter().filter_map(|pattern| match pattern {
            PrincipalPattern::Session(arn) => match Principal::parse(arn) {
                Ok(Principal::Session { account: of, role: named, arn, .. }) => {
                    (of == account && named == role).then_some(arn)
                }
                _ => None,
            },
            _ => None,
        });
        let Some(first) = sessions.next() else { return Truth::True };
        let own = self.principal.text();
        (first == own || sessions.any(|arn| arn == own)).into()
    }

    fn has_unique_id(&self, id: &str) -> Truth {
        self.unique_id.map_or(Truth::Unsure, |own| (*own == *id).into())
    }

    /// Whether NotPrincipal leaves the caller out: every link of its chain must be listed, and a
    /// caller with a permissions boundary never is left out.
    ///
    /// Source: IAM User Guide, "AWS JSON policy elements: NotPrincipal".
    fn exempt(&self, patterns: &[PrincipalPattern], evaluation: &Evaluation) -> Truth {
        if self.identity.is_some_and(|identity| identity.boundary.is_some()) {
            return Truth::False;
        }
        let listed = |wanted: fn(&PrincipalPattern) -> bool| {
            patterns
                .iter()
                .filter(|pattern| wanted(pattern) || matches!(pattern, PrincipalPattern::Everyone))
                .fold(Truth::False, |truth, pattern| truth.or(self.denied_by(pattern)))
        };
        let account = match (evaluation.notprincipal_requires_account, &self.principal) {
            (
                Required::No,
                Principal::User { .. } | Principal::Session { .. } | Principal::Federated { .. },
            ) => Truth::True,
            _ => listed(|pattern| {
                matches!(pattern, PrincipalPattern::Account(..) | PrincipalPattern::AnyAws)
            }),
        };
        let itself = match self.principal {
            Principal::Root { .. } => Truth::True,
            Principal::User { .. } => listed(|pattern| {
                matches!(
                    pattern,
                    PrincipalPattern::User(_)
                        | PrincipalPattern::UniqueId(_)
                        | PrincipalPattern::AnyAws
                )
            }),
            Principal::Session { account, role, .. } => {
                self.alone_among(patterns, account, role).and(listed(|pattern| {
                    matches!(
                        pattern,
                        PrincipalPattern::Role(_)
                            | PrincipalPattern::UniqueId(_)
                            | PrincipalPattern::AnyAws
                    )
                }))
            }
            Principal::Federated { .. } => listed(|pattern| {
                matches!(pattern, PrincipalPattern::Federated(_) | PrincipalPattern::AnyAws)
            }),
            Principal::Service { .. } => {
                return listed(|pattern| matches!(pattern, PrincipalPattern::Service(_)));
            }
        };
        account.and(itself)
    }
}

fn is_unknown(snapshot: &Snapshot, principal: &Principal<'_>) -> bool {
    let account = match principal {
        Principal::Root { .. } | Principal::Service { .. } => return false,
        Principal::User { account, .. }
        | Principal::Session { account, .. }
        | Principal::Federated { account, .. } => account,
    };
    match snapshot.evaluation.unknown_principal {
        Unknown::DenyWhereDescribed => snapshot.described_accounts.contains(account),
        Unknown::Deny => true,
        Unknown::NoPolicies => false,
    }
}

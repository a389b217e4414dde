//! Grants: who may use a key for what, until the grant is retired or revoked.

use std::sync::Arc;

use super::kms::action::ActionSet;
use super::policy::principal::PrincipalPattern;
use super::term::account::AccountId;
use super::term::time::Timestamp;

/// A grant on a key.
///
/// Source: AWS KMS Developer Guide, "Grants in AWS KMS"; AWS KMS API Reference, `GrantListEntry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: Box<str>,
    /// ARN of its key.
    pub key_arn: Box<str>,
    /// Who may use it.
    pub grantee: PrincipalPattern,
    /// Who may retire it.
    pub retiring: Option<PrincipalPattern>,
    /// What it permits; never empty.
    pub operations: ActionSet,
    /// Limits on the encryption context.
    pub context: ContextConstraint,
    /// The value that `aws:SourceArn` must have.
    pub source_arn: Option<Box<str>>,
    /// The account from which it was created.
    pub issuing_account: Option<AccountId>,
    /// Its name.
    pub name: Option<Box<str>>,
    /// The token by which a request may point at it.
    pub token: Option<Box<str>>,
    /// Not yet visible without its token.
    pub pending: bool,
    /// The document it comes from and its line there, from 1; a live grant has none.
    pub origin: Option<(Arc<str>, u32)>,
    /// When it was created, where that is known.
    pub created: Option<Timestamp>,
}

/// A limit on the encryption context of requests under a grant. Pairs are sorted by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextConstraint {
    /// None.
    Unlimited,
    /// The context must be these pairs and no others.
    Equals(Box<[(Box<str>, Box<str>)]>),
    /// The context must hold these pairs.
    Subset(Box<[(Box<str>, Box<str>)]>),
}

/// A grantee or retiring principal as something to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GranteeRef<'a> {
    kind: Kind,
    text: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// A user, session, federated user or role, by ARN; `*`, which is nobody.
    Named,
    Account,
    Service,
    UniqueId,
}

impl<'a> GranteeRef<'a> {
    /// Of a pattern.
    #[must_use]
    pub fn of(pattern: &'a PrincipalPattern) -> Self {
        match pattern {
            PrincipalPattern::Everyone | PrincipalPattern::AnyAws => Self::named("*"),
            PrincipalPattern::Account(account, _) => Self::account(account.as_str()),
            PrincipalPattern::User(arn)
            | PrincipalPattern::Role(arn)
            | PrincipalPattern::Session(arn)
            | PrincipalPattern::Federated(arn)
            | PrincipalPattern::Provider(arn) => Self::named(arn),
            PrincipalPattern::Service(name) => Self::service(name),
            PrincipalPattern::UniqueId(id) => Self::unique_id(id),
        }
    }

    /// A user, session, federated user or role.
    #[must_use]
    pub fn named(arn: &'a str) -> Self {
        Self { kind: Kind::Named, text: arn }
    }

    /// An account.
    #[must_use]
    pub fn account(account: &'a str) -> Self {
        Self { kind: Kind::Account, text: account }
    }

    /// A service.
    #[must_use]
    pub fn service(name: &'a str) -> Self {
        Self { kind: Kind::Service, text: name }
    }

    /// What remains of a deleted user or role.
    #[must_use]
    pub fn unique_id(id: &'a str) -> Self {
        Self { kind: Kind::UniqueId, text: id }
    }
}

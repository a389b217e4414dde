//! What an authorization is about: a key, an alias, or nothing in particular.

use std::cell::OnceCell;

use super::caller::Caller;
use crate::engine::policy::arn_pattern::Target;
use crate::engine::snapshot::{Key, Snapshot};
use crate::engine::term::account::AccountId;
use crate::engine::term::arn::Arn;
use crate::engine::term::composed::Composed;
use crate::engine::term::key_id::KeyId;
use crate::engine::term::request::{InvalidRequest, Request};

/// What an authorization is about.
#[derive(Clone, Debug)]
pub enum Resource<'a, 'n> {
    /// A key of the set.
    Key(&'a Key),
    /// A key, or an alias of one, that the set does not have.
    UnknownKey {
        /// Its ARN, or the ARN of the alias.
        arn: &'n str,
        /// Of another account than the caller's.
        foreign: bool,
    },
    /// An alias as such.
    Alias {
        /// Its ARN.
        arn: &'n str,
        /// Its account.
        account: AccountId,
    },
    /// A key that is being made.
    NewKey {
        /// `arn:…:key/` and whatever its id will be.
        arn: &'n str,
    },
    /// No resource. KMS accepts `*`, and for CreateKey all of an account.
    Any {
        /// `arn:…:` of the caller's account and whatever it is.
        arn: &'n str,
    },
    /// The principal that ListRetirableGrants names.
    RetiringPrincipal(Option<&'n str>),
}

/// Names that were put together for one request. They stand where they are, so that what bears them
/// is short.
#[derive(Debug, Default)]
pub struct Names {
    /// Enough for every operation but one.
    first: [OnceCell<Composed<'static>>; 2],
    rest: OnceCell<Box<Names>>,
}

impl Names {
    /// Keeps a name.
    fn keep(&self, name: Composed<'static>) -> &str {
        match self.first.iter().find(|cell| cell.get().is_none()) {
            Some(free) => free.get_or_init(|| name),
            None => self.rest.get_or_init(Box::default).keep(name),
        }
    }
}

/// Stands for "whatever it is" at the end of an ARN: no policy writes it, so that a wildcard alone
/// matches it, and an asterisk as a character does not.
const WHATEVER: &str = "\u{F8FF}";

impl<'n> Resource<'_, 'n> {
    /// How answers write the ARN of a key that is being made.
    #[must_use]
    pub(super) fn shown(arn: &str) -> Composed<'static> {
        match arn.strip_suffix(WHATEVER) {
            None => Composed::of(&[arn]),
            Some(prefix) => Composed::of(&[prefix, "*"]),
        }
    }

    /// What `Resource` elements are matched against.
    #[must_use]
    pub fn target(&self) -> Target<'_> {
        Target::new(match self {
            Self::Key(key) => &key.arn,
            Self::UnknownKey { arn, .. }
            | Self::Alias { arn, .. }
            | Self::NewKey { arn }
            | Self::Any { arn } => arn,
            Self::RetiringPrincipal(arn) => arn.unwrap_or_default(),
        })
    }

    /// The account that owns it.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Key(key) => Some(key.account),
            Self::Alias { account, .. } => Some(*account),
            Self::NewKey { arn } => Arn::parse(arn).and_then(|arn| arn.account_id()),
            Self::UnknownKey { .. } | Self::Any { .. } | Self::RetiringPrincipal(_) => None,
        }
    }

    /// The key, if it is one of the set.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        if let Self::Key(key) = self { Some(key) } else { None }
    }
}

/// Finds keys and aliases for one caller.
pub struct Locator<'a, 'n> {
    /// The set.
    pub snapshot: &'a Snapshot,
    /// The request.
    pub request: &'a Request<'a>,
    /// The caller.
    pub caller: &'n Caller<'a>,
    /// Where names are kept that are put together.
    pub names: &'n Names,
}

/// A key that was found, or not.
#[derive(Clone, Debug)]
pub struct Located<'a, 'n> {
    /// The key.
    pub resource: Resource<'a, 'n>,
    /// Its Region.
    pub region: &'a str,
    /// The alias by which the request named it.
    pub alias: Option<&'a str>,
}

impl<'a, 'n> Locator<'a, 'n> {
    /// The key that a `KeyId` parameter names.
    ///
    /// Source: AWS KMS Developer Guide, "Key identifiers (KeyId)".
    ///
    /// # Errors
    ///
    /// No Region, or no account, can be told.
    #[inline(always)]
    pub fn key(&self, id: &KeyId<'a>, field: &str) -> Result<Located<'a, 'n>, InvalidRequest> {
        let alias = id.alias_name();
        let region = match id.region() {
            Some(region) => region,
            None => self.region()?,
        };
        let made = match id {
            KeyId::Arn(_) | KeyId::AliasArn(_) => None,
            KeyId::Id(id) => Some(self.local(region, "key/", id, field)?),
            KeyId::AliasName(name) => Some(self.local(region, "", name, field)?),
        };
        let told = match id {
            KeyId::Arn(arn) | KeyId::AliasArn(arn) => arn.text,
            KeyId::Id(id) | KeyId::AliasName(id) => id,
        };
        let arn = made.as_deref().unwrap_or(told);
        let found = if alias.is_some() { self.behind(arn) } else { self.snapshot.key(arn) };
        let resource = match found {
            Some(key) => Resource::Key(key),
            None => {
                let account = id.home().map(|(account, _)| account).or(self.caller.account());
                let own = account == self.caller.account() && self.caller.may_reach(arn);
                let arn = made.map_or(told, |made| self.names.keep(made));
                Resource::UnknownKey { foreign: !own, arn }
            }
        };
        Ok(Located { resource, region, alias })
    }

    /// The key with the id of `key` in another Region.
    #[must_use]
    pub fn twin(&self, key: &Key, region: &'a str) -> Located<'a, 'n> {
        let account = key.account.as_str();
        let parts = ["arn:", key.partition(), ":kms:", region, ":", account, ":key/", key.id()];
        let arn = Composed::of(&parts);
        let foreign = Some(key.account) != self.caller.account() || !self.caller.may_reach(&arn);
        let resource = match self.snapshot.key(&arn) {
            Some(key) => Resource::Key(key),
            None => Resource::UnknownKey { arn: self.names.keep(arn), foreign },
        };
        Located { resource, region, alias: None }
    }

    /// The key behind an alias of the set.
    fn behind(&self, alias_arn: &str) -> Option<&'a Key> {
        self.snapshot.aliases.get(alias_arn).and_then(|arn| self.snapshot.key(arn))
    }

    /// An alias of the caller's account, by name.
    ///
    /// # Errors
    ///
    /// No Region, or no account, can be told.
    pub fn alias(
        &self,
        name: &str,
        field: &str,
    ) -> Result<(Resource<'a, 'n>, &'a str), InvalidRequest> {
        let region = self.region()?;
        let arn = self.names.keep(self.local(region, "", name, field)?);
        let account = self.account(field)?;
        Ok((Resource::Alias { arn, account }, region))
    }

    /// The key behind an alias, or an unknown key that is named after the alias.
    #[must_use]
    pub fn target_of(&self, alias: &Resource<'a, 'n>, region: &'a str) -> Located<'a, 'n> {
        let arn = if let Resource::Alias { arn, .. } = alias { *arn } else { "" };
        let resource = match self.behind(arn) {
            Some(key) => Resource::Key(key),
            None => Resource::UnknownKey { arn, foreign: false },
        };
        Located { resource, region, alias: None }
    }

    /// Region of the endpoint that was called.
    ///
    /// # Errors
    ///
    /// Neither the request nor the configuration says, and the keys lie in several Regions.
    pub fn region(&self) -> Result<&'a str, InvalidRequest> {
        let told = self.request.region.or(self.snapshot.default_region.as_deref());
        told.or(self.snapshot.only_region.as_deref()).ok_or_else(|| {
            InvalidRequest::new(
                "region",
                "no Region: give `region`, start with `--region`, or name the key by its ARN",
            )
        })
    }

    /// The caller's account.
    ///
    /// # Errors
    ///
    /// A service has none.
    pub fn account(&self, field: &str) -> Result<AccountId, InvalidRequest> {
        self.caller.account().ok_or_else(|| {
            InvalidRequest::new(
                field,
                "a service has no account of its own: name the key by its ARN",
            )
        })
    }

    /// `arn:…:kms:REGION:ACCOUNT:` of the caller, and then `kind` and `name`.
    fn local(
        &self,
        region: &str,
        kind: &str,
        name: &str,
        field: &str,
    ) -> Result<Composed<'static>, InvalidRequest> {
        let account = self.account(field)?;
        let partition = self.caller.partition().unwrap_or("aws");
        let parts = ["arn:", partition, ":kms:", region, ":", account.as_str(), ":", kind, name];
        Ok(Composed::of(&parts))
    }

    /// `arn:…:` of the caller's account in a Region, `kind`, and whatever follows.
    #[must_use]
    pub fn in_account(&self, region: &str, kind: &str) -> &'n str {
        let partition = self.caller.partition().unwrap_or("aws");
        let account = self.caller.account();
        let account = account.as_ref().map_or("", AccountId::as_str);
        let parts = ["arn:", partition, ":kms:", region, ":", account, ":", kind, WHATEVER];
        self.names.keep(Composed::of(&parts))
    }
}

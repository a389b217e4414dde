//! The truth table: from what the layers say to a decision. The one place where an allow is made.
//!
//! Source: IAM User Guide, "Policy evaluation logic"; AWS KMS Developer Guide, "Key policies in AWS
//! KMS", "Troubleshooting AWS KMS permissions".

use super::decision::{Basis, Decision, Denial, Layer, Matched, Missing, Permit};

/// What the layers say of one authorization.
#[derive(Clone, Debug)]
pub struct Verdicts<'a, 'v> {
    /// A Deny that applies, the one that is reported first.
    pub denied: Option<Matched<'a>>,
    /// What keeps the request out before any allow is looked for.
    pub barred: Option<Missing>,
    /// What may allow.
    pub path: Path<'a, 'v>,
}

/// What may allow, by the kind of caller and resource.
#[derive(Clone, Debug)]
pub enum Path<'a, 'v> {
    /// A service acts as itself: key policy or grant.
    Service {
        /// An Allow of the key policy that names the service.
        key_policy: Option<Matched<'a>>,
        /// A grant to the service.
        grant: Option<Matched<'a>>,
    },
    /// No key is involved: the caller's own policies.
    NoKey(&'v Limits<'a>),
    /// A key of the caller's account.
    SameAccount {
        /// What of the key policy allows.
        key_policy: &'v Allows<'a>,
        /// Grants that apply.
        grants: &'v Allows<'a>,
        /// The caller's own policies.
        limits: &'v Limits<'a>,
        /// Key policy and identity policy must both allow.
        dual_control: bool,
    },
    /// A key of another account.
    CrossAccount {
        /// What of the key policy allows.
        key_policy: &'v Allows<'a>,
        /// Grants that apply.
        grants: &'v Allows<'a>,
        /// Grants that need no identity policy: issued from the caller's account.
        own_grants: &'v Allows<'a>,
        /// The caller's own policies.
        limits: &'v Limits<'a>,
    },
    /// RetireGrant: whoever the grant lets retire it, or an identity policy where that counts.
    Retire {
        /// The grant that lets the caller retire it.
        by_grant: Option<Matched<'a>>,
        /// Whether identity policies count: in the key's account, or in that of the retiring
        /// principal.
        by_policy: bool,
        /// The caller's own policies.
        limits: &'v Limits<'a>,
    },
}

/// What of a policy or of the grants on a key allows, by how it names the caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allows<'a> {
    /// The caller itself or everyone, or the policy names no principals: not limited by boundary and
    /// session policies.
    pub direct: Option<Matched<'a>>,
    /// The role or user behind a session: limited by boundary and session policies.
    pub behind: Option<Matched<'a>>,
    /// The account: identity policies must also allow.
    pub account: Option<Matched<'a>>,
}

impl<'a> Allows<'a> {
    /// One of them, however it names the caller.
    #[must_use]
    pub fn any(&self) -> Option<Matched<'a>> {
        let nearer = self.direct.as_ref().or(self.behind.as_ref());
        nearer.or(self.account.as_ref()).copied()
    }
}

/// What the caller's own policies say.
#[derive(Clone, Debug)]
pub struct Limits<'a> {
    /// Identity policies.
    pub identity: Says<'a>,
    /// The permissions boundary.
    pub boundary: Says<'a>,
    /// Session policies.
    pub session: Says<'a>,
}

/// Of somebody without any policies: identity policies must allow.
impl Default for Limits<'_> {
    fn default() -> Self {
        Self { identity: Says::Silent, boundary: Says::NoLimit, session: Says::NoLimit }
    }
}

/// What a layer that must allow says.
#[derive(Clone, Copy, Debug)]
pub enum Says<'a> {
    /// A statement allows.
    Allows(Matched<'a>),
    /// It is not there, and does not limit.
    NoLimit,
    /// It is there and does not allow.
    Silent,
}

impl<'a> Says<'a> {
    fn missing(self, layer: Layer) -> Option<Layer> {
        match self {
            Self::Allows(_) | Self::NoLimit => None,
            Self::Silent => Some(layer),
        }
    }

    fn matched(self) -> Option<Matched<'a>> {
        if let Self::Allows(by) = self { Some(by) } else { None }
    }
}

impl<'a> Limits<'a> {
    /// Whether boundary and session policies allow.
    #[must_use]
    pub fn bound(&self) -> bool {
        self.bounds().is_ok()
    }

    /// Boundary and session policies allow, or the layer that does not.
    fn bounds(&self) -> Result<(), Layer> {
        let missing =
            self.boundary.missing(Layer::Boundary).or(self.session.missing(Layer::Session));
        missing.map_or(Ok(()), Err)
    }

    /// Identity policies too; what they allow by.
    fn own(&self) -> Result<Option<Matched<'a>>, Layer> {
        if let Some(layer) = self.identity.missing(Layer::Identity) {
            return Err(layer);
        }
        self.bounds().map(|()| self.identity.matched())
    }
}

/// Decides one authorization. A Deny anywhere is a deny; after that everything that must allow
/// has to.
#[must_use]
#[inline(always)]
pub fn combine<'a>(verdicts: &Verdicts<'a, '_>) -> Decision<'a> {
    if let Some(by) = verdicts.denied {
        return Decision::Deny(Denial::Explicit(by));
    }
    if let Some(missing) = verdicts.barred {
        return Decision::Deny(Denial::Implicit(missing));
    }
    let allowed = match verdicts.path {
        Path::Service { key_policy, grant } => {
            key_policy.or(grant).map(|by| [Some(by), None]).ok_or(Missing::Layer(Layer::KeyPolicy))
        }
        Path::NoKey(limits) => limits.own().map(|by| [by, None]).map_err(Missing::Layer),
        Path::SameAccount { key_policy, grants, limits, dual_control } => {
            same_account(key_policy, grants, limits, dual_control).map_err(Missing::Layer)
        }
        Path::CrossAccount { key_policy, grants, own_grants, limits } => {
            cross_account(key_policy, grants, own_grants, limits).map_err(Missing::Layer)
        }
        Path::Retire { by_grant: Some(by), .. } => Ok([Some(by), None]),
        Path::Retire { by_grant: None, by_policy: true, limits } => {
            limits.own().map(|by| [by, None]).map_err(Missing::Layer)
        }
        Path::Retire { by_grant: None, by_policy: false, .. } => Err(Missing::NotRetirable),
    };
    match allowed {
        Ok(basis) => Decision::Allow(Permit::by(basis)),
        Err(missing) => Decision::Deny(Denial::Implicit(missing)),
    }
}

/// The first way that is open, or what the most promising one lacks.
#[inline(always)]
fn same_account<'a>(
    key_policy: &Allows<'a>,
    grants: &Allows<'a>,
    limits: &Limits<'a>,
    dual_control: bool,
) -> Result<Basis<'a>, Layer> {
    let by_key = by_key(key_policy, grants, limits);
    if dual_control && key_policy.account.is_none() {
        // The stricter profile: what the key allows an identity policy must allow too.
        let by_key = match (by_key, grants.account) {
            (Err(_), Some(by)) => limits.bounds().map(|()| by),
            (by_key, _) => by_key,
        }?;
        let by_identity = match limits.identity {
            Says::Allows(by) => Some(by),
            Says::NoLimit => None,
            Says::Silent => return Err(Layer::Identity),
        };
        return Ok([Some(by_key), by_identity]);
    }
    match by_key {
        Ok(by) => Ok([Some(by), None]),
        Err(missing) => match key_policy.account.or(grants.account) {
            Some(by) => limits.own().map(|own| [Some(by), own]),
            None => Err(missing),
        },
    }
}

/// Key policy or grant alone, as far as they name the caller nearer than by its account.
#[inline(always)]
fn by_key<'a>(
    key_policy: &Allows<'a>,
    grants: &Allows<'a>,
    limits: &Limits<'a>,
) -> Result<Matched<'a>, Layer> {
    if let Some(by) = key_policy.direct {
        return Ok(by);
    }
    let mut missing = Layer::KeyPolicy;
    if let Some(by) = key_policy.behind {
        match limits.bounds() {
            Ok(()) => return Ok(by),
            Err(layer) => missing = layer,
        }
    }
    match by_grant(grants, limits) {
        Ok(by) => Ok(by),
        Err(Layer::KeyPolicy) => Err(missing),
        Err(layer) => Err(layer),
    }
}

/// A grant alone, as far as it names the caller nearer than by its account.
fn by_grant<'a>(grants: &Allows<'a>, limits: &Limits<'a>) -> Result<Matched<'a>, Layer> {
    if let Some(by) = grants.direct {
        return Ok(by);
    }
    match grants.behind {
        Some(by) => limits.bounds().map(|()| by),
        None => Err(Layer::KeyPolicy),
    }
}

/// Both accounts must allow, but for grants that the caller's own account issued.
fn cross_account<'a>(
    key_policy: &Allows<'a>,
    grants: &Allows<'a>,
    own_grants: &Allows<'a>,
    limits: &Limits<'a>,
) -> Result<Basis<'a>, Layer> {
    let by = key_policy.any().or(grants.any()).ok_or(Layer::KeyPolicy)?;
    match limits.own() {
        Ok(own) => Ok([Some(by), own]),
        Err(missing) => match by_grant(own_grants, limits) {
            Ok(by) => Ok([Some(by), None]),
            Err(_) => Err(missing),
        },
    }
}

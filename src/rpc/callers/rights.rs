//! What a caller may ask about, and what it may claim.

use super::pattern::{Attributes, Pattern};
use crate::engine::term::principal::Principal;
use crate::engine::term::request::{Parameters, Request};
use crate::engine::term::text::same;

/// Something that a request claims, and that Keyward has to take on trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    EncryptionContext,
    Parameters,
    Tags,
    UserId,
    SourceIdentity,
    SessionPolicies,
    RoleArn,
    IssuerArn,
    ViaService,
    RecipientAttestation,
    ServicePrincipals,
    Root,
    Detail,
}

impl Claim {
    /// Every claim, by the name that a callers file has for it.
    pub(super) const ALL: [(&'static str, Self); 13] = [
        ("encryption_context", Self::EncryptionContext),
        ("parameters", Self::Parameters),
        ("tags", Self::Tags),
        ("user_id", Self::UserId),
        ("source_identity", Self::SourceIdentity),
        ("session_policies", Self::SessionPolicies),
        ("role_arn", Self::RoleArn),
        ("issuer_arn", Self::IssuerArn),
        ("via_service", Self::ViaService),
        ("recipient_attestation", Self::RecipientAttestation),
        ("service_principals", Self::ServicePrincipals),
        ("root", Self::Root),
        ("detail", Self::Detail),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, claim)| *claim == self).map_or("", |(name, _)| name)
    }
}

/// What a caller may claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    /// A bit each.
    claims: u16,
    keys: Keys,
}

/// Condition keys that a caller may assert.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Keys {
    All,
    /// By name, or `prefix:*`.
    These(Vec<Box<str>>),
}

impl Claims {
    /// Everything.
    pub(super) fn everything() -> Self {
        Self { claims: u16::MAX, keys: Keys::All }
    }

    /// What a named caller may claim when its entry says nothing.
    pub(super) fn narrow() -> Self {
        let mut claims = Self::nothing();
        for name in ["encryption_context", "parameters", "aws:SourceIp"] {
            claims.add(name);
        }
        claims
    }

    /// Nothing.
    pub(super) fn nothing() -> Self {
        Self { claims: 0, keys: Keys::These(Vec::new()) }
    }

    /// Adds one by its name: that of a claim, a condition key, `aws:*`, or `*`. Says whether there
    /// is such a one.
    pub(super) fn add(&mut self, name: &str) -> bool {
        if name == "*" {
            *self = Self::everything();
            return true;
        }
        if let Some((_, claim)) = Claim::ALL.iter().find(|(known, _)| *known == name) {
            self.claims |= 1 << *claim as u16;
            return true;
        }
        let is_key = name.split_once(':').is_some_and(|(prefix, key)| {
            !prefix.is_empty() && !key.is_empty() && !key.trim_end_matches('*').contains('*')
        });
        if let (true, Keys::These(keys)) = (is_key, &mut self.keys) {
            keys.push(name.into());
        }
        is_key
    }

    fn has(&self, claim: Claim) -> bool {
        self.claims & (1 << claim as u16) != 0
    }

    fn has_key(&self, name: &str) -> bool {
        match &self.keys {
            Keys::All => true,
            Keys::These(keys) => keys.iter().any(|known| match known.strip_suffix('*') {
                None => same(known, name),
                Some(prefix) => name.get(..prefix.len()).is_some_and(|start| same(start, prefix)),
            }),
        }
    }
}

/// What an entry of the callers file allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rights {
    /// `None`: about everybody.
    pub(super) principals: Option<Vec<Pattern>>,
    pub(super) claims: Claims,
}

impl Rights {
    /// What keeps a request back: the claim or the principal that is not the caller's to make.
    pub(super) fn obstacle(
        &self,
        request: &Request<'_>,
        wants_detail: bool,
        attributes: &Attributes,
    ) -> Option<String> {
        if let Some(patterns) = &self.principals {
            let asked = request.principal.text();
            if !patterns.iter().any(|pattern| pattern.matches(asked, attributes)) {
                return Some(format!("may not ask about `{asked}`"));
            }
        }
        if self.claims == Claims::everything() {
            return None;
        }
        claims(request, wants_detail)
            .find(|claim| !self.claims.has(*claim))
            .map(|claim| format!("may not use `{}`", claim.name()))
            .or_else(|| {
                let asserted = request.context.iter().find(|key| !self.claims.has_key(key.name))?;
                Some(format!("may not assert the condition key `{}`", asserted.name))
            })
    }
}

/// What a request claims, condition keys apart.
fn claims(request: &Request<'_>, wants_detail: bool) -> impl Iterator<Item = Claim> {
    let parameters: &Parameters<'_> = &request.parameters;
    [
        (!request.encryption_context.is_empty(), Claim::EncryptionContext),
        (!parameters.destination_encryption_context.is_empty(), Claim::EncryptionContext),
        (*parameters != Parameters::default(), Claim::Parameters),
        (!parameters.recipient_attestation.is_empty(), Claim::RecipientAttestation),
        (!request.session_tags.is_empty(), Claim::Tags),
        (request.user_id.is_some(), Claim::UserId),
        (request.source_identity.is_some(), Claim::SourceIdentity),
        (!request.session_policies.is_empty(), Claim::SessionPolicies),
        (request.role_arn.is_some(), Claim::RoleArn),
        (request.issuer_arn.is_some(), Claim::IssuerArn),
        (request.via_service.is_some(), Claim::ViaService),
        (matches!(request.principal, Principal::Service { .. }), Claim::ServicePrincipals),
        (matches!(request.principal, Principal::Root { .. }), Claim::Root),
        (wants_detail, Claim::Detail),
    ]
    .into_iter()
    .filter_map(|(made, claim)| made.then_some(claim))
}

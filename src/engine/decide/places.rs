//! Statements by their places, so that they can be found again in a later snapshot.

use super::combine::{Allows, Limits, Says};
use super::decision::{Layer, Matched, Missing};
use super::facts::Facts;
use super::guardrails::{Guard, endpoint_id, member};
use super::heard::Heard;
use super::layers::{Found, SESSION_POLICY_IDS};
use crate::engine::policy::Policy;
use crate::engine::snapshot::organization::{Level, Member};
use crate::engine::snapshot::{Attached, Identity, Key};
use crate::engine::term::request::Request;

/// Where a statement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    layer: Layer,
    /// Of an organization.
    level: u8,
    /// Which policy.
    policy: u16,
    /// Which statement of it.
    statement: u32,
}

/// What a layer that must allow says.
#[derive(Clone, Copy, Debug)]
enum Said {
    Allows(Place),
    NoLimit,
    Silent,
}

/// What the policies said, by the places of statements.
#[derive(Clone, Copy, Debug)]
pub struct Findings {
    guard_denies: Option<Place>,
    guard_missing: Option<Missing>,
    key_denies: Option<Place>,
    key_direct: Option<Place>,
    key_behind: Option<Place>,
    key_account: Option<Place>,
    own_denies: Option<Place>,
    identity: Said,
    boundary: Said,
    session: Said,
}

impl Findings {
    /// What was heard; `None` if a statement has no place, which does not happen.
    pub(super) fn of(heard: &Heard<'_>, places: &Places<'_>) -> Option<Self> {
        let Heard { guard, key, own_denies, limits } = heard;
        let Guard { denies: guard_denies, missing: guard_missing } = *guard;
        let Found { denies, allows: Allows { direct, behind, account } } = *key;
        let Limits { identity, boundary, session } = *limits;
        let place = |matched: Option<Matched<'_>>| match matched {
            None => Some(None),
            Some(matched) => places.place(&matched).map(Some),
        };
        let said = |says: Says<'_>| match says {
            Says::Allows(by) => places.place(&by).map(Said::Allows),
            Says::NoLimit => Some(Said::NoLimit),
            Says::Silent => Some(Said::Silent),
        };
        Some(Self {
            guard_denies: place(guard_denies)?,
            guard_missing,
            key_denies: place(denies)?,
            key_direct: place(direct)?,
            key_behind: place(behind)?,
            key_account: place(account)?,
            own_denies: place(*own_denies)?,
            identity: said(identity)?,
            boundary: said(boundary)?,
            session: said(session)?,
        })
    }

    /// What would be heard again; `None` if there is no such place, which does not happen.
    pub(super) fn heard<'a>(&self, places: &Places<'a>) -> Option<Heard<'a>> {
        let matched = |place: Option<Place>| match place {
            None => Some(None),
            Some(place) => places.matched(place).map(Some),
        };
        let says = |said: Said| match said {
            Said::Allows(place) => places.matched(place).map(Says::Allows),
            Said::NoLimit => Some(Says::NoLimit),
            Said::Silent => Some(Says::Silent),
        };
        Some(Heard {
            guard: Guard { denies: matched(self.guard_denies)?, missing: self.guard_missing },
            key: Found {
                denies: matched(self.key_denies)?,
                allows: Allows {
                    direct: matched(self.key_direct)?,
                    behind: matched(self.key_behind)?,
                    account: matched(self.key_account)?,
                },
            },
            own_denies: matched(self.own_denies)?,
            limits: Limits {
                identity: says(self.identity)?,
                boundary: says(self.boundary)?,
                session: says(self.session)?,
            },
        })
    }
}

/// The policies that are looked at for one authorization, by place.
pub(super) struct Places<'a> {
    key: &'a Key,
    identity: &'a Identity,
    request: &'a Request<'a>,
    /// In the organization: of the caller's account, and of the key's.
    members: [Option<&'a Member>; 2],
    endpoint: Option<(&'a str, &'a Policy)>,
}

impl<'a> Places<'a> {
    pub(super) fn of(facts: &Facts<'a, '_>, key: &'a Key, identity: &'a Identity) -> Self {
        let (snapshot, request) = (facts.snapshot, facts.request);
        let accounts = [facts.caller.account(), Some(key.account)];
        let endpoints = Some(&snapshot.endpoints).filter(|endpoints| !endpoints.is_empty());
        let endpoint = endpoints.and_then(|endpoints| {
            let (id, policy) = endpoints.get_key_value(endpoint_id(request)?)?;
            Some((&**id, &**policy))
        });
        let members = accounts.map(|account| member(snapshot, account));
        Self { key, identity, request, members, endpoint }
    }

    /// A policy, and the name that it goes by.
    fn policy(&self, layer: Layer, level: u8, at: u16) -> Option<(&'a str, &'a Policy)> {
        let (level, nth) = (usize::from(level), usize::from(at));
        let attached = |attached: &'a Attached| (&*attached.id, &*attached.policy);
        let in_level = |member: Option<&'a Member>, of: fn(&'a Level) -> Option<&'a [Attached]>| {
            of(member?.levels.get(level)?)?.get(nth).map(attached)
        };
        let [caller, owner] = self.members;
        match layer {
            Layer::KeyPolicy => match nth {
                0 => Some(("default", &*self.key.policy)),
                1 => self.key.ram_policy.as_deref().map(|policy| ("AWS_RAM", policy)),
                _ => None,
            },
            Layer::Grant => None,
            Layer::Identity => self.identity.policies.get(nth).map(attached),
            Layer::Boundary => self.identity.boundary.as_ref().filter(|_| nth == 0).map(attached),
            Layer::Session => {
                let policy = self.request.session_policies.get(nth)?;
                SESSION_POLICY_IDS.get(nth).map(|id| (*id, &**policy))
            }
            Layer::Scp => in_level(caller, |level| level.service_control_policies.as_deref()),
            Layer::Rcp => in_level(owner, |level| level.resource_control_policies.as_deref()),
            Layer::Endpoint => self.endpoint.filter(|_| nth == 0),
        }
    }

    /// The place of a statement.
    fn place(&self, matched: &Matched<'_>) -> Option<Place> {
        let (layer, statement) = (matched.layer, matched.statement?);
        let levels = match layer {
            Layer::Scp | Layer::Rcp => u8::try_from(self.levels(layer)).ok()?,
            _ => 1,
        };
        let index = statement.index;
        let is_it = |level: u8, at: u16| {
            let (id, policy) = self.policy(layer, level, at)?;
            // One policy may be attached by several names.
            let stands_here = policy.statement(index).is_some_and(|at| std::ptr::eq(at, statement));
            Some(stands_here && *id == *matched.policy_id)
        };
        for level in 0..levels {
            for policy in 0..=u16::MAX {
                match is_it(level, policy) {
                    Some(true) => return Some(Place { layer, level, policy, statement: index }),
                    Some(false) => {}
                    None => break,
                }
            }
        }
        None
    }

    fn levels(&self, layer: Layer) -> usize {
        let [caller, owner] = self.members;
        let member = if layer == Layer::Scp { caller } else { owner };
        member.map_or(0, |member| member.levels.len())
    }

    /// The statement at a place.
    fn matched(&self, place: Place) -> Option<Matched<'a>> {
        let Place { layer, level, policy, statement } = place;
        let (policy_id, policy) = self.policy(layer, level, policy)?;
        Some(Matched { layer, policy_id, statement: Some(policy.statement(statement)?) })
    }
}

//! Questions to the engine: what can a principal do with a key?

use super::open::Open;
use super::set::{Set, patterns};
use crate::engine::decide::caller::Caller;
use crate::engine::decide::decide;
use crate::engine::decide::decision::Verdict;
use crate::engine::decide::naming::Naming;
use crate::engine::evaluation::{AbacInKeyPolicy, RamPolicy};
use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::policy::arn_pattern::Target;
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::policy::statement::{Effect, Statement};
use crate::engine::snapshot::{Identity, Key};
use crate::engine::term::arn::Arn;
use crate::engine::term::key_id::KeyId;
use crate::engine::term::principal::Principal;
use crate::engine::term::request::{Asked, Request};
use crate::engine::term::truth::Truth;

/// The name of the session that stands for all sessions of a role.
const SESSION: &str = "keyward-lint";

/// Whether something can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Can {
    /// By no request.
    No,
    /// By requests that meet conditions.
    UnderConditions,
    /// By a request with nothing in particular.
    Yes,
}

/// Somebody who can be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// As a request names it.
    arn: String,
    /// The role behind the session.
    role_arn: Option<String>,
    /// As a policy names it.
    pattern: PrincipalPattern,
}

impl Probe {
    /// Whom a principal of a policy names; an account stands for its root user. `None` when it is
    /// nobody in particular.
    #[must_use]
    pub fn of(pattern: &PrincipalPattern, partition: &str) -> Option<Self> {
        let (arn, role_arn) = match pattern {
            PrincipalPattern::Account(account, _) => {
                (format!("arn:{partition}:iam::{account}:root"), None)
            }
            PrincipalPattern::User(arn)
            | PrincipalPattern::Session(arn)
            | PrincipalPattern::Federated(arn)
            | PrincipalPattern::Service(arn) => (arn.to_string(), None),
            PrincipalPattern::Role(role) => {
                let arn = Arn::parse(role)?;
                let name = arn.resource().rsplit('/').next()?;
                let session = format!(
                    "arn:{}:sts::{}:assumed-role/{name}/{SESSION}",
                    arn.partition(),
                    arn.account()
                );
                (session, Some(role.to_string()))
            }
            PrincipalPattern::Everyone
            | PrincipalPattern::AnyAws
            | PrincipalPattern::UniqueId(_)
            | PrincipalPattern::Provider(_) => return None,
        };
        Some(Self { arn, role_arn, pattern: pattern.clone() })
    }

    /// The same, where the set may know whose unique id it is.
    #[must_use]
    pub fn known(set: &Set<'_>, pattern: &PrincipalPattern, partition: &str) -> Option<Self> {
        let PrincipalPattern::UniqueId(id) = pattern else { return Self::of(pattern, partition) };
        let probe = Self::identity(set.of_unique_id(id)?)?;
        Some(Self { pattern: pattern.clone(), ..probe })
    }

    /// A user or role of the set.
    #[must_use]
    pub fn identity(identity: &Identity) -> Option<Self> {
        let pattern = PrincipalPattern::aws(&identity.arn).ok()?;
        Self::of(&pattern, "aws")
    }

    /// As a policy names it.
    #[must_use]
    pub fn pattern(&self) -> &PrincipalPattern {
        &self.pattern
    }

    /// Whether a principal of a policy or grant is one session of the role: what it may, some
    /// request of the role may.
    fn has_session(&self, pattern: &PrincipalPattern) -> bool {
        let (Some(role), PrincipalPattern::Session(session)) =
            (self.role_arn.as_deref().and_then(Arn::parse), pattern)
        else {
            return false;
        };
        Arn::parse(session).is_some_and(|session| {
            session.account() == role.account()
                && session.resource().split('/').nth(1) == role.resource().rsplit('/').next()
        })
    }

    fn request(&self, action: Action, set: &Set<'_>) -> Option<Request<'_>> {
        Some(Request {
            principal: Principal::parse(&self.arn).ok()?,
            role_arn: self.role_arn.as_deref().and_then(Arn::parse),
            issuer_arn: None,
            session_tags: Default::default(),
            session_policies: Default::default(),
            user_id: None,
            source_identity: None,
            asked: Asked::Action(action),
            key_id: None,
            encryption_context: Default::default(),
            grant_tokens: Default::default(),
            context: Default::default(),
            parameters: Default::default(),
            region: None,
            via_service: None,
            dry_run: false,
            now: set.settings.now,
            overrides: Vec::new(),
        })
    }
}

/// Whether a principal can do something with a key.
#[must_use]
pub fn can(set: &Set<'_>, key: &Key, probe: &Probe, action: Action) -> Can {
    let Some(request) = probe.request(action, set) else { return Can::No };
    if surely(set, key, probe, action) {
        return Can::Yes;
    }
    match Caller::find(set.snapshot, &request) {
        Ok(caller) if possibly(set, key, probe, action, &caller) => Can::UnderConditions,
        Ok(_) if granted(set, key, probe, action) => Can::UnderConditions,
        _ => Can::No,
    }
}

/// Whether a request with nothing in particular of a principal is allowed: [`Can::Yes`].
#[must_use]
pub fn surely(set: &Set<'_>, key: &Key, probe: &Probe, action: Action) -> bool {
    let Some(request) = probe.request(action, set) else { return false };
    let request =
        Request { key_id: KeyId::parse(&key.arn).ok(), region: Some(key.region()), ..request };
    decide(set.snapshot, &request).is_ok_and(|answer| {
        // Whether the key is enabled today says nothing about who may.
        matches!(answer.verdict(), Verdict::Allowed | Verdict::KeyState)
    })
}

/// Whether a grant may permit it to some request: one that has the grant's token, or meets its
/// constraint, or is of the session that it is for.
fn granted(set: &Set<'_>, key: &Key, probe: &Probe, action: Action) -> bool {
    let to = |grantee: &PrincipalPattern| *grantee == probe.pattern || probe.has_session(grantee);
    let mut grants = set.snapshot.grants.documents.on(&key.arn).iter();
    action.grantable() && grants.any(|one| one.operations.contains(action) && to(&one.grantee))
}

/// Whether some request of a principal may be allowed by policies. That is sooner known than what
/// [`can`] says; grants are left out.
#[must_use]
pub fn may(set: &Set<'_>, key: &Key, probe: &Probe, action: Action) -> bool {
    let Some(request) = probe.request(action, set) else { return false };
    Caller::find(set.snapshot, &request)
        .is_ok_and(|caller| possibly(set, key, probe, action, &caller))
}

/// The statements of the key policy, and those of the `AWS_RAM` policy as far as they count.
pub fn resource_statements<'k>(
    set: &Set<'_>,
    key: &'k Key,
) -> impl Iterator<Item = &'k Statement> + use<'k> {
    let allows = set.snapshot.evaluation.ram_policy == RamPolicy::Statements;
    let shared = key.ram_policy.iter().flat_map(|policy| policy.statements());
    let counted = shared.filter(move |statement| allows || statement.effect == Effect::Deny);
    key.policy.statements().chain(counted).map(|statement| &**statement)
}

/// The actions among `actions` that a principal can do with a key, under whatever conditions.
#[must_use]
pub fn abilities(set: &Set<'_>, key: &Key, probe: &Probe, actions: ActionSet) -> ActionSet {
    actions.iter().filter(|action| can(set, key, probe, *action) > Can::No).collect()
}

/// Whether some request may be allowed: an Allow that can apply in every layer that must allow, and
/// no Deny that always applies. Guardrails of the organization are left out: they are not known
/// better here than above.
fn possibly(set: &Set<'_>, key: &Key, probe: &Probe, action: Action, caller: &Caller<'_>) -> bool {
    let foreign = caller.account().is_some_and(|account| account != key.account);
    if caller.unknown || (foreign && !action.cross_account()) {
        return false;
    }
    let Some(arn) = Arn::parse(&key.arn) else { return false };
    let target = Target::new(arn.text);
    let root = match caller.principal {
        Principal::Root { arn, .. } => Some(arn),
        _ => None,
    };
    let open = Open { action, key: Some(key), caller: Some(&probe.pattern), root };
    let evaluation = &set.snapshot.evaluation;
    let closed = evaluation.abac_keys_in_key_policy == AbacInKeyPolicy::FailClosed;
    let truth = |statement: &Statement, in_key_policy| {
        statement.applies(action, &target, &open, in_key_policy, evaluation)
    };
    let mut namings = Vec::new();
    let mut by_session = false;
    for statement in resource_statements(set, key) {
        match statement.effect {
            Effect::Deny => {
                let about = caller.denied_among(&statement.principals, evaluation);
                if about == Truth::True && truth(statement, true) == Truth::True {
                    return false;
                }
            }
            // What depends on tags or aliases of the key never allows in a key policy, unless told
            // to.
            Effect::Allow if statement.reads_key_attributes && closed => {}
            Effect::Allow if truth(statement, true) != Truth::False => {
                namings.push(caller.named_among(&statement.principals, evaluation));
                by_session |= patterns(statement).iter().any(|one| probe.has_session(one));
            }
            Effect::Allow => {}
        }
    }
    let own = || caller.identity.into_iter().flat_map(|identity| identity.policies.iter());
    let statements = || own().flat_map(|attached| attached.policy.statements());
    let denied = statements().any(|statement| {
        statement.effect == Effect::Deny && truth(statement, false) == Truth::True
    });
    let is_root = matches!(caller.principal, Principal::Root { .. });
    let own_allow = is_root
        || statements().any(|statement| {
            statement.effect == Effect::Allow && truth(statement, false) != Truth::False
        });
    let named = |naming| namings.iter().any(|namings| namings.has(naming));
    let directly =
        by_session || named(Naming::Star) || named(Naming::Exact) || named(Naming::Behind);
    let by_account = named(Naming::Account);
    // Policies that the set does not hold are taken as none, but for principals of other accounts:
    // theirs are seldom at hand.
    let foreign_allow = own_allow || caller.identity.is_none();
    !denied
        && if foreign {
            (directly || by_account) && foreign_allow
        } else {
            directly || (by_account && own_allow)
        }
}

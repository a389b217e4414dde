//! Whether a statement can be about a request at all, told without looking at the statement.
//!
//! Each statement of a policy has a gist of a few bytes beside it: its actions, and marks for the
//! principals and resources that it names. A request has marks too. Where the two have no mark in
//! common, the statement is about other principals or other resources, and is not looked at.
//! Different names may have one mark: then it is looked at for nothing.

use memchr::memrchr;

use super::arn_pattern::ResourcePattern;
use super::principal::PrincipalPattern;
use super::statement::{Principals, Resources, Statement};
use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::term::account::AccountId;
use crate::engine::term::arn::Arn;
use crate::engine::term::principal::Principal;

/// A set of marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Marks(u32);

impl Marks {
    /// None.
    pub const NONE: Self = Self(0);
    /// All of them: has one in common with every request.
    pub const ALL: Self = Self(u32::MAX);
    /// A mark that no name has. Every caller has it, and every principal that cannot be told apart
    /// by its name.
    pub const ANYONE: Self = Self(1 << 31);
    /// A mark of every statement, whatever it names. Whoever wants to hear of all statements has it.
    const STATEMENT: Self = Self(1 << 30);

    /// The mark of an account.
    #[must_use]
    pub fn account(account: &AccountId) -> Self {
        Self::hashed(1, account.digits())
    }

    /// The mark of a user, by the last segment of its ARN: where the path is not known, one of the
    /// same name may be meant.
    #[must_use]
    pub fn user(arn_or_name: &str) -> Self {
        Self::of(2, last_segment(arn_or_name))
    }

    /// The mark of a role, likewise.
    #[must_use]
    pub fn role(arn_or_name: &str) -> Self {
        Self::of(3, last_segment(arn_or_name))
    }

    /// The mark of a session of a role or of a federated user, by ARN.
    #[must_use]
    pub fn session(arn: &str) -> Self {
        Self::of(4, arn)
    }

    /// The mark of a service.
    #[must_use]
    pub fn service(name: &str) -> Self {
        Self::of(5, name)
    }

    /// The mark of a resource, by ARN.
    #[must_use]
    pub fn resource(arn: &str) -> Self {
        Self::of(6, arn)
    }

    /// The mark of a value of a condition key.
    #[must_use]
    pub fn value(text: &str) -> Self {
        Self::of(7, text)
    }

    /// The mark of a principal of a policy.
    #[must_use]
    pub fn pattern(pattern: &PrincipalPattern) -> Self {
        match pattern {
            // Ids are matched with ids that perhaps nobody knows.
            PrincipalPattern::Everyone
            | PrincipalPattern::AnyAws
            | PrincipalPattern::UniqueId(_) => Self::ANYONE,
            PrincipalPattern::Account(account, _) => Self::account(account),
            PrincipalPattern::User(arn) => Self::user(arn),
            PrincipalPattern::Role(arn) => Self::role(arn),
            PrincipalPattern::Session(arn) | PrincipalPattern::Federated(arn) => Self::session(arn),
            PrincipalPattern::Service(name) => Self::service(name),
            // Never calls KMS.
            PrincipalPattern::Provider(_) => Self::NONE,
        }
    }

    /// The marks of the principals that name a user or role of the set, or its account.
    #[must_use]
    pub fn identity(arn: &Arn<'_>, name: &str, account: &AccountId) -> Self {
        let named = match arn.resource().starts_with("role/") {
            true => Self::role(arn.text).and(Self::role(name)),
            false => Self::user(arn.text).and(Self::user(name)),
        };
        named.and(Self::account(account))
    }

    /// The marks of every principal of a policy that may be about a caller. `known` are those of the
    /// user or role of the set that the caller is or has a session of, `behind_federated` those of the
    /// user behind a federated session.
    #[must_use]
    pub fn caller(
        principal: &Principal<'_>,
        known: Option<Self>,
        role_arn: Option<&str>,
        behind_federated: Self,
    ) -> Self {
        let account = || principal.account().as_ref().map_or(Self::NONE, Self::account);
        let named = match (principal, known) {
            (Principal::Root { .. }, _) => account(),
            (Principal::User { .. }, Some(known)) => known,
            (Principal::User { name, .. }, None) => account().and(Self::of(2, name)),
            (Principal::Session { arn, .. }, Some(known)) => Self::session(arn).and(known),
            (Principal::Session { arn, role, .. }, None) => {
                let behind = role_arn.map_or_else(|| Self::of(3, role), Self::role);
                account().and(Self::session(arn)).and(behind)
            }
            (Principal::Federated { arn, .. }, _) => {
                account().and(Self::session(arn)).and(behind_federated)
            }
            (Principal::Service { name }, _) => Self::service(name),
        };
        Self::ANYONE.and(named)
    }

    /// The marks of either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is a mark in common.
    #[must_use]
    pub const fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn of(kind: u64, text: &str) -> Self {
        Self::hashed(kind, text.as_bytes())
    }

    /// One of 30 marks, by the length of a text, its first eight bytes and its last ones. Equal texts
    /// have equal marks.
    fn hashed(kind: u64, bytes: &[u8]) -> Self {
        const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
        let fold = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
        let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => (0, fold(bytes)),
        };
        let mix = |hash: u64| hash.wrapping_mul(FACTOR).rotate_left(29);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let hash = mix(mix(mix(first ^ kind) ^ last) ^ length);
        Self(1 << ((hash >> 32) % 30))
    }
}

/// What is behind the last `/`.
fn last_segment(arn_or_name: &str) -> &str {
    let behind = memrchr(b'/', arn_or_name.as_bytes()).map_or(0, |at| at + 1);
    arn_or_name.get(behind..).unwrap_or_default()
}

/// What a statement is about, roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gist {
    actions: ActionSet,
    principals: Marks,
    resources: Marks,
    /// The values that it wants of a condition key; all of them where it wants none in particular.
    values: Marks,
    /// Which condition key that is, by its position in the policy's list.
    key: u8,
}

impl Gist {
    /// Of a statement.
    #[must_use]
    pub fn of(statement: &Statement) -> Self {
        let principals = match &statement.principals {
            Principals::Bearer | Principals::AllBut(_) => Marks::ALL,
            Principals::These(patterns) => patterns
                .iter()
                .fold(Marks::NONE, |marks, pattern| marks.and(Marks::pattern(pattern))),
        };
        let resources = match &statement.resources {
            Resources::Any | Resources::AllBut(_) => Marks::ALL,
            Resources::Nothing => Marks::NONE,
            Resources::These(patterns) => {
                patterns.iter().fold(Marks::NONE, |marks, pattern| match pattern {
                    ResourcePattern::Exact(arn) => marks.and(Marks::resource(arn)),
                    _ => Marks::ALL,
                })
            }
        };
        Self {
            actions: statement.actions,
            principals: principals.and(Marks::STATEMENT),
            resources: resources.and(Marks::STATEMENT),
            values: Marks::ALL,
            key: 0,
        }
    }

    /// The gist of a statement that does not apply unless the condition key at `key` has one of
    /// `values`.
    #[must_use]
    pub fn wanting(self, key: u8, values: Marks) -> Self {
        Self { key, values, ..self }
    }

    /// Which condition key it wants a value of.
    #[must_use]
    pub fn wanted(&self) -> Option<u8> {
        (self.values != Marks::ALL).then_some(self.key)
    }

    /// Whether one of the values that it wants may be among `values`.
    #[must_use]
    pub fn is_content_with(&self, values: Marks) -> bool {
        self.values.meet(values)
    }
}

/// What a request is about: lets pass the statements that may be about it.
#[derive(Clone, Copy, Debug)]
pub struct Sieve {
    action: ActionSet,
    principals: Marks,
    resources: Marks,
}

impl Sieve {
    /// Lets the statements pass that may be about an action, by a caller with some marks, on a
    /// resource.
    #[must_use]
    pub fn new(action: Action, caller: Marks, resource: &str) -> Self {
        Self {
            action: ActionSet::of(action),
            principals: caller,
            resources: Marks::resource(resource),
        }
    }

    /// Lets every statement pass that names the action, whatever else it names.
    #[must_use]
    pub fn of_action(action: Action) -> Self {
        Self { action: ActionSet::of(action), principals: Marks::ALL, resources: Marks::ALL }
    }

    /// Whether a statement may be about the request.
    #[inline]
    #[must_use]
    pub fn passes(&self, gist: &Gist) -> bool {
        gist.principals.meet(self.principals)
            && gist.actions.meets(self.action)
            && gist.resources.meet(self.resources)
    }
}

#[cfg(test)]
mod tests {
    use super::{Gist, Marks, Sieve};
    use crate::engine::kms::action::Action;
    use crate::engine::policy::principal::PrincipalPattern;
    use crate::engine::policy::{Policy, session};

    #[test]
    fn a_name_has_one_mark_and_names_share_few() {
        let roles: Vec<Marks> = (0..310).map(|n| Marks::role(&format!("Role{n}"))).collect();
        assert!(roles.iter().all(|marks| marks.0.count_ones() == 1 && *marks != Marks::ANYONE));
        for mark in 0..30 {
            let sharing = roles.iter().filter(|marks| marks.0 == 1 << mark).count();
            assert!((1..=25).contains(&sharing), "{sharing} of 310 roles have mark {mark}");
        }
        assert_eq!(Marks::role("arn:aws:iam::111122223333:role/team/App"), Marks::role("App"));
    }

    #[test]
    fn who_is_told_by_id_may_be_anyone() {
        for text in ["*", "AROAEXAMPLEEXAMPLEAPP"] {
            let pattern = PrincipalPattern::aws(text).unwrap();
            assert!(Marks::pattern(&pattern).meet(Marks::ANYONE), "{text}");
        }
    }

    fn statement(resource: &str) -> Gist {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"kms:Decrypt","Resource":{resource}}}}}"#
        );
        let policy: std::sync::Arc<Policy> = session("test", &text).unwrap();
        Gist::of(policy.statements().next().unwrap())
    }

    #[test]
    fn a_statement_on_other_keys_does_not_pass_and_one_on_many_does() {
        let key = |n: u32| format!("arn:aws:kms:us-west-2:111122223333:key/1234abcd-{n:04}");
        let asked = |n: u32| Sieve::new(Action::Decrypt, Marks::ANYONE, &key(n));
        let one = statement(&format!("\"{}\"", key(1)));
        assert!(asked(1).passes(&one));
        let let_pass = (2..302).filter(|n| asked(*n).passes(&one)).count();
        assert!(let_pass < 30, "{let_pass} of 300 other keys");
        for many in ["\"*\"", "\"arn:aws:kms:*:111122223333:key/*\"", "\"arn:aws:kms:us-west-2:*\""]
        {
            assert!(asked(1).passes(&statement(many)), "{many}");
        }
        assert!(!Sieve::new(Action::Encrypt, Marks::ANYONE, &key(1)).passes(&one));
        assert!(Sieve::of_action(Action::Decrypt).passes(&one));
    }
}

//! Every input of a request, and how it becomes another one.

use std::sync::{Arc, LazyLock};

use keyward::engine::kms::action::{Action, ActionSet};
use keyward::engine::policy::{Policy, session};
use keyward::engine::term::arn::Arn;
use keyward::engine::term::few::Few;
use keyward::engine::term::key_id::KeyId;
use keyward::engine::term::principal::Principal;
use keyward::engine::term::request::{
    Asked, Asserted, AssertedValues, Given, GrantParameters, Override, OverrideValue, Parameters,
    Request,
};
use keyward::engine::term::time::Timestamp;

/// What can become something else.
pub(crate) trait Other {
    /// Becomes something else, in one of several ways.
    fn other(&mut self, way: usize);
}

/// A change of one input.
pub(crate) type Change<T> = (&'static str, fn(&mut T, usize));

/// Lists every field of a structure once: one that is missing does not compile.
macro_rules! inputs {
    ($(#[$doc:meta])* $name:ident of $kind:ident: $($field:ident),+ $(,)?) => {
        $(#[$doc])*
        pub(crate) fn $name<'a>() -> Vec<Change<$kind<'a>>> {
            let _ = |whole: $kind<'a>| {
                let $kind { $($field: _),+ } = whole;
            };
            vec![$((stringify!($field), |whole, way| whole.$field.other(way))),+]
        }
    };
}

inputs! {
    /// Of a request.
    of_request of Request:
    principal, role_arn, issuer_arn, session_tags, session_policies, user_id, source_identity, asked,
    key_id, encryption_context, grant_tokens, context, parameters, region, via_service, dry_run, now,
    overrides,
}

inputs! {
    /// Of the parameters of an operation.
    of_parameters of Parameters:
    encryption_algorithm, destination_key_id, source_key_id, destination_encryption_context,
    destination_encryption_algorithm, key_pair_spec, signing_algorithm, mac_algorithm,
    key_agreement_algorithm, wrapping_algorithm, wrapping_key_spec, message_type, policy_name,
    pending_window_in_days, rotation_period_in_days, bypass_policy_lockout_safety_check,
    expiration_model, valid_to, primary_region, replica_region, recipient_attestation, key_spec,
    key_usage, origin, multi_region, tags, tag_keys, alias_name, target_key_id, grant_id,
    retiring_principal, grant,
}

inputs! {
    /// Of the grant that CreateGrant makes.
    of_grant of GrantParameters:
    grantee_principal, grantee_service_principal, retiring_principal, retiring_service_principal,
    operations, encryption_context_equals, encryption_context_subset, source_arn, name,
}

impl Other for bool {
    fn other(&mut self, _: usize) {
        *self = !*self;
    }
}

impl Other for Option<bool> {
    fn other(&mut self, way: usize) {
        let others = [None, Some(false), Some(true)];
        *self = others.into_iter().filter(|other| other != self).nth(way % 2).flatten();
    }
}

impl Other for Option<i32> {
    fn other(&mut self, way: usize) {
        let others = [None, Some(0), Some(7)];
        *self = others.into_iter().filter(|other| other != self).nth(way % 2).flatten();
    }
}

impl Other for &str {
    fn other(&mut self, way: usize) {
        let others = ["", "o", "other"];
        *self = others.into_iter().filter(|other| other != self).nth(way % 2).unwrap_or("another");
    }
}

impl Other for Option<&str> {
    fn other(&mut self, way: usize) {
        let others = [None, Some(""), Some("other")];
        *self = others.into_iter().filter(|other| other != self).nth(way % 2).flatten();
    }
}

impl Other for Timestamp {
    fn other(&mut self, way: usize) {
        let (seconds, nanoseconds) = (self.seconds(), self.nanoseconds());
        *self = match way % 2 {
            0 => Self::new(seconds + 1_000_000, nanoseconds),
            _ => Self::new(seconds, if nanoseconds == 0 { 1 } else { 0 }),
        };
    }
}

impl Other for Option<Timestamp> {
    fn other(&mut self, way: usize) {
        match self {
            None => *self = Some(Timestamp::new(0, 0)),
            Some(at) => at.other(way),
        }
    }
}

impl<const N: usize> Other for Few<(&str, &str), N> {
    fn other(&mut self, way: usize) {
        let count = self.len();
        match (way % 4, self.first_mut()) {
            (0, Some((name, _))) => name.other(way),
            (1, Some((_, value))) => value.other(way),
            (2, Some(_)) => self.retain({
                let mut left = count;
                move |_| {
                    left -= 1;
                    left > 0
                }
            }),
            _ => self.push(("", "")),
        }
    }
}

impl<const N: usize> Other for Few<&str, N> {
    fn other(&mut self, way: usize) {
        match (way % 2, self.first_mut()) {
            (0, Some(text)) => text.other(way),
            _ => self.push(""),
        }
    }
}

impl<const N: usize> Other for Few<Asserted<'_>, N> {
    fn other(&mut self, way: usize) {
        let added = || Asserted { name: "aws:Another", values: AssertedValues::One("") };
        let Some(first) = self.first_mut() else { return self.push(added()) };
        match (way % 4, &mut first.values) {
            (0, _) => self.push(added()),
            (1, AssertedValues::One(value)) => value.other(way),
            (1, AssertedValues::Many(values)) => values.other(way),
            (2, AssertedValues::One(value)) => {
                first.values = AssertedValues::Many([*value].into_iter().collect());
            }
            _ => first.name.other(way),
        }
    }
}

impl<const N: usize> Other for Few<Arc<Policy>, N> {
    fn other(&mut self, way: usize) {
        static OTHERS: LazyLock<[Arc<Policy>; 2]> = LazyLock::new(|| {
            ["Allow", "Deny"].map(|effect| {
                let text = format!(
                    r#"{{"Version":"2012-10-17","Statement":{{"Effect":"{effect}","Action":"kms:*","Resource":"*"}}}}"#
                );
                session("other", &text).expect("a session policy")
            })
        });
        self.push(Arc::clone(&OTHERS[way % 2]));
    }
}

impl Other for Option<Arn<'_>> {
    fn other(&mut self, _: usize) {
        let other = Arn::parse("arn:aws:iam::111122223333:role/another/App");
        *self = if *self == other { None } else { other };
    }
}

impl Other for Option<KeyId<'_>> {
    fn other(&mut self, way: usize) {
        *self = match (way % 2, *self) {
            // The same key by another name, where it is of the caller's account.
            (0, Some(KeyId::Arn(arn))) => arn.resource().strip_prefix("key/").map(KeyId::Id),
            (0, Some(KeyId::AliasArn(arn))) => Some(KeyId::AliasName(arn.resource())),
            (_, Some(KeyId::AliasName("alias/other"))) => None,
            _ => Some(KeyId::AliasName("alias/other")),
        };
    }
}

impl Other for Principal<'_> {
    /// Another session of the same role or user, where it is a session.
    fn other(&mut self, _: usize) {
        let other = format!("{}-2", self.text());
        *self = Principal::parse(other.leak()).unwrap_or(Self::Service { name: "x.amazonaws.com" });
    }
}

impl Other for Asked {
    fn other(&mut self, way: usize) {
        let others = [Action::Decrypt, Action::DescribeKey, Action::Encrypt].map(Self::Action);
        *self = others.into_iter().filter(|other| other != self).nth(way % 2).unwrap_or(others[0]);
    }
}

impl Other for ActionSet {
    fn other(&mut self, way: usize) {
        let more = self.union([Action::ALL[way % Action::ALL.len()]].into_iter().collect());
        *self = if more == *self { self.complement() } else { more };
    }
}

impl Other for Option<GrantParameters<'_>> {
    fn other(&mut self, way: usize) {
        let Some(grant) = self else {
            *self = Some(GrantParameters::default());
            return;
        };
        let changes = of_grant();
        changes[way % changes.len()].1(grant, way / changes.len());
    }
}

impl Other for Given<'_> {
    fn other(&mut self, way: usize) {
        let mut parameters = self.told().cloned().unwrap_or_default();
        let changes = of_parameters();
        changes[way % changes.len()].1(&mut parameters, way / changes.len());
        *self = parameters.into();
    }
}

impl Other for Vec<Override> {
    fn other(&mut self, _: usize) {
        self.push(Override { name: "aws:sourceip".to_owned(), value: OverrideValue::Absent });
    }
}

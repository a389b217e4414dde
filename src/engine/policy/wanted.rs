//! Statements that want one of some values of a condition key, and so tell at a glance that they do
//! not apply.
//!
//! Long identity policies often say the same of many tenants or departments, one statement each:
//! with the value in the [`Gist`](super::gist::Gist) only the one statement is looked at.

use super::condition::{Condition, Quantifier, Test};
use super::gist::Marks;
use super::statement::{Principals, Statement};
use super::template::Template;
use crate::engine::term::condition_key::ConditionKey;

/// Statements that must want values of a key before it is worth looking at: its value is looked up
/// once more for that.
const WORTH: usize = 3;

/// Keys of a policy that are told apart.
const KEYS: usize = 16;

/// The condition keys of which at least [`WORTH`] statements of identities want particular values.
pub(super) fn keys<'s>(statements: impl Iterator<Item = &'s Statement>) -> Box<[ConditionKey]> {
    let mut found: Vec<(&ConditionKey, usize)> = Vec::new();
    for (key, _) in statements.filter_map(wants) {
        match found.iter_mut().find(|(other, _)| *other == key) {
            Some((_, count)) => *count += 1,
            None => found.push((key, 1)),
        }
    }
    let worth = found.into_iter().filter(|(_, count)| *count >= WORTH);
    worth.take(KEYS).map(|(key, _)| key.clone()).collect()
}

/// Which of `keys` a statement wants which values of.
pub(super) fn of(statement: &Statement, keys: &[ConditionKey]) -> Option<(u8, Marks)> {
    let (key, values) = wants(statement)?;
    let at = keys.iter().position(|other| other == key)?;
    Some((u8::try_from(at).ok()?, values))
}

/// The first condition without which a statement surely does not apply: the key has one of some
/// values. Statements that name principals are told apart by these.
fn wants(statement: &Statement) -> Option<(&ConditionKey, Marks)> {
    if statement.principals != Principals::Bearer {
        return None;
    }
    statement.conditions.iter().find_map(|condition| Some((&condition.key, values(condition)?)))
}

/// The values that a condition wants, where it is false with every other one and without any.
fn values(condition: &Condition) -> Option<Marks> {
    let plain = condition.quantifier == Quantifier::None
        && !condition.if_exists
        && !condition.negated
        // A key policy looks at these in its own way.
        && !condition.key.is_abac();
    let Test::Text(templates) = &condition.test else { return None };
    let literal = |template: &Template| match template {
        Template::Literal(text) => Some(Marks::value(text)),
        Template::Any | Template::Prefix(_) | Template::Parts(_) => None,
    };
    let all = templates
        .iter()
        .try_fold(Marks::NONE, |all, template| literal(template).map(|mark| all.and(mark)))?;
    (plain && all != Marks::ALL).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::keys;
    use crate::engine::policy::session;

    /// Conditions of three statements each; the keys that tell them apart.
    #[track_caller]
    fn check(condition: &str, expected: &[&str]) {
        let statement = |n: u32| {
            let condition = condition.replace('#', &n.to_string());
            format!(
                r#"{{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{condition}}}"#
            )
        };
        let all: Vec<String> = (0..3).map(statement).collect();
        let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, all.join(","));
        let policy = session("test", &text).unwrap();
        let found = keys(policy.statements().map(|statement| &**statement));
        let names: Vec<&str> = found.iter().map(|key| &*key.name).collect();
        assert_eq!(names, expected, "{condition}");
    }

    #[test]
    fn only_conditions_that_are_false_with_every_other_value_and_without_one_count() {
        let tenant = "kms:EncryptionContext:tenant";
        check(&format!(r##"{{"StringEquals":{{"{tenant}":["a#","b"]}}}}"##), &[tenant]);
        check(&format!(r##"{{"StringLike":{{"{tenant}":"a#"}}}}"##), &[tenant]);
        for operator in [
            "StringNotEquals",
            "StringEqualsIfExists",
            "StringEqualsIgnoreCase",
            "ForAllValues:StringEquals",
            "ForAnyValue:StringEquals",
            "StringNotLike",
        ] {
            check(&format!(r##"{{"{operator}":{{"{tenant}":"a#"}}}}"##), &[]);
        }
        check(&format!(r##"{{"StringLike":{{"{tenant}":["a#","b*"]}}}}"##), &[]);
        check(&format!(r##"{{"StringEquals":{{"{tenant}":"${{aws:username}}"}}}}"##), &[]);
        check(r##"{"StringEquals":{"aws:ResourceTag/tenant":"a#"}}"##, &[]);
        check(r#"{"Null":{"kms:ViaService":"true"}}"#, &[]);
        // The second condition tells them apart as well.
        check(
            r##"{"Bool":{"aws:SecureTransport":"true"},"StringEquals":{"aws:SourceVpc":"v#"}}"##,
            &["aws:SourceVpc"],
        );
    }
}

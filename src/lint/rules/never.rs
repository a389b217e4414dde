//! Conditions that are never met, or always.

use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::policy::condition::{BoolOperand, Comparison, Condition, Quantifier, Test};
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::policy::template::Template;
use crate::engine::term::condition_key::KeySource;
use crate::engine::term::time::Timestamp;
use crate::engine::term::truth::Truth;
use crate::engine::term::values::{Context as _, Scalar, Values};
use crate::lint::open::{Fixed, Open};
use crate::lint::rule::{Check, Example, Rule, Severity};
use crate::lint::view::{ConditionView, Report, StatementView};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "condition-key-absent",
        severity: Severity::Warning,
        title: "a condition key that no request of the statement's actions has",
        why: "The condition asks for something that these requests never carry: the statement never matches.",
        advice: "see which operations have the condition key, and name those",
        source: "AWS KMS Developer Guide, \"AWS KMS condition keys\" (API operations of each key)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:app": "orders"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:Decrypt",
 "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:app": "orders"}}}"#,
        ),
        check: Check::Statement(condition_key_absent),
    },
    Rule {
        code: "condition-excludes-action",
        severity: Severity::Warning,
        title: "an action named beside a condition that its requests never meet",
        why: "Some actions of the statement have the condition key and others do not: the statement never matches the \
              others, though it names them.",
        advice: "put these actions into a statement without the condition",
        source: "AWS KMS Developer Guide, \"AWS KMS condition keys\" (API operations of each key)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": ["kms:Decrypt", "kms:DescribeKey"], "Resource": "*",
 "Condition": {"StringEquals": {"kms:EncryptionContext:app": "orders"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": ["kms:Decrypt", "kms:DescribeKey"], "Resource": "*",
 "Condition": {"StringEquals": {"kms:ViaService": "s3.us-west-2.amazonaws.com"}}}"#,
        ),
        check: Check::Statement(condition_excludes_action),
    },
    Rule {
        code: "condition-never-met",
        severity: Severity::Warning,
        title: "conditions that contradict each other, the key or the principal",
        why: "No request meets them all: the statement never matches.",
        advice: "see which of the conditions is meant",
        source: "IAM User Guide, \"Conditions with multiple context keys or values\" (all must be met)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"kms:CallerAccount": "444455556666"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"kms:CallerAccount": "111122223333"}}}"#,
        ),
        check: Check::Statement(condition_never_met),
    },
    Rule {
        code: "condition-always-met",
        severity: Severity::SecurityWarning,
        title: "a condition that limits nothing",
        why: "The requests never have the condition key, and the operator holds when the key is absent: the condition \
              looks like a limit and is none.",
        advice: "use a condition key that the requests have, and an operator that needs it to be there",
        source: "IAM User Guide, \"Condition operators\" (…IfExists, negated operators and missing keys)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEqualsIfExists": {"kms:EncryptionContext:app": "orders"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"kms:RequestAlias": "alias/orders"}}}"#,
        ),
        check: Check::Statement(condition_always_met),
    },
    Rule {
        code: "expired-date",
        severity: Severity::Warning,
        title: "a date that has passed",
        why: "The statement was to hold until a date: it matches no request any more.",
        advice: "remove the statement, or move the date",
        source: "IAM User Guide, \"Condition operators\" (date condition operators)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"DateLessThan": {"aws:CurrentTime": "2120-01-01T00:00:00Z"}}}"#,
        ),
        check: Check::Statement(expired_date),
    },
];

/// A Deny that never matches is worse than an Allow: someone relies on it.
fn never(view: &StatementView<'_>) -> Severity {
    if view.allows() { Severity::Warning } else { Severity::SecurityWarning }
}

/// Whether the requests of an action never have the key of a condition.
fn lacks(condition: &Condition, view: &StatementView<'_>, action: Action) -> bool {
    let open = Open { action, key: view.of.key, caller: None, root: None };
    crate::lint::open::request_key(condition.key.source).is_some()
        && open.values(&condition.key) == Values::Absent
}

fn truth(condition: &Condition, view: &StatementView<'_>, open: &Open<'_>) -> Truth {
    condition.holds(open, &view.of.set.snapshot.evaluation)
}

/// Actions that the condition keeps the statement from, because their requests lack the key.
fn kept_out(condition: &Condition, view: &StatementView<'_>) -> ActionSet {
    let out = |action: &Action| {
        let open = Open { action: *action, key: view.of.key, caller: None, root: None };
        lacks(condition, view, *action) && truth(condition, view, &open) == Truth::False
    };
    view.compiled.actions.iter().filter(out).collect()
}

fn condition_key_absent(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.is_kms_only() || view.compiled.actions.is_empty() {
        return;
    }
    for ConditionView { condition, span, .. } in view.conditions() {
        if kept_out(condition, view) == view.compiled.actions {
            let message =
                format!("the requests of these actions never have `{}`", condition.key.name);
            report.at(span, message).severity(never(view));
        }
    }
}

fn condition_excludes_action(view: &StatementView<'_>, report: &mut Report<'_>) {
    for ConditionView { condition, .. } in view.conditions() {
        let out = kept_out(condition, view);
        if out == view.compiled.actions {
            continue;
        }
        for (action, span) in view.spelt_actions() {
            if out.contains(action) {
                let message = format!(
                    "requests of `{}` never have `{}`, on which the statement has a condition",
                    action.name(),
                    condition.key.name
                );
                report.at(span, message).severity(never(view));
            }
        }
    }
}

fn condition_always_met(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.allows() || !view.is_kms_only() || view.compiled.actions.is_empty() {
        return;
    }
    for ConditionView { condition, span, .. } in view.conditions() {
        // What depends on tags or aliases never allows in a key policy: it limits.
        if view.in_key_policy() && condition.keys().any(|key| key.is_abac()) {
            continue;
        }
        let always = view.compiled.actions.iter().all(|action| {
            let open = Open { action, key: view.of.key, caller: None, root: None };
            lacks(condition, view, action) && truth(condition, view, &open) == Truth::True
        });
        if always {
            let message =
                format!("the requests never have `{}`, and so always pass", condition.key.name);
            report.at(span, message);
        }
    }
}

fn condition_never_met(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.is_kms_only() || view.compiled.actions.is_empty() {
        return;
    }
    let conditions = view.conditions();
    let principals: Vec<Option<&PrincipalPattern>> = match view.principals().as_slice() {
        [] => vec![None],
        named => named.iter().map(|(pattern, _)| Some(*pattern)).collect(),
    };
    for ConditionView { condition, span, .. } in &conditions {
        let refuted = view.compiled.actions.iter().all(|action| {
            !lacks(condition, view, action)
                && principals.iter().all(|caller| {
                    let open = Open { action, key: view.of.key, caller: *caller, root: None };
                    truth(condition, view, &open) == Truth::False
                })
        });
        if refuted {
            let message = format!(
                "`{}` on `{}` is met by no request of these principals on this key",
                condition.operator, condition.key.name
            );
            report.at(*span, message).severity(never(view));
            return;
        }
    }
    for (index, one) in conditions.iter().enumerate() {
        let key = &one.condition.key.name;
        let same: Vec<&ConditionView<'_>> =
            conditions.iter().filter(|other| other.condition.key.is(key)).collect();
        let first = !conditions.iter().take(index).any(|other| other.condition.key.is(key));
        if first && same.len() > 1 && contradict(&same, view) {
            let message = format!("the conditions on `{key}` contradict each other");
            report.at(one.span, message).severity(never(view));
        }
    }
}

/// Whether no value of the one condition key meets all of these conditions.
fn contradict(same: &[&ConditionView<'_>], view: &StatementView<'_>) -> bool {
    let plain = |one: &&ConditionView<'_>| one.condition.quantifier == Quantifier::None;
    if !same.iter().all(plain) {
        return false;
    }
    // Only where one condition leaves finitely many values, or intervals, can all be tried.
    let closed = |one: &&ConditionView<'_>| match &one.condition.test {
        Test::Text(templates) => {
            let literal = |template: &Template| matches!(template, Template::Literal(_));
            !one.condition.negated && templates.iter().all(literal)
        }
        Test::Bool(operands) => {
            operands.iter().all(|operand| matches!(operand, BoolOperand::Literal(_)))
        }
        Test::Number(..) | Test::Date(..) => true,
        Test::Null(operands) => operands.iter().all(|absent| *absent),
        Test::TextFolded(_) | Test::Binary(_) | Test::Address(_) | Test::Arn(_) => false,
    };
    let Some(first) = same.iter().find(|one| closed(one)) else { return false };
    let evaluation = &view.of.set.snapshot.evaluation;
    let meets = |value: Option<Scalar<'_>>| {
        let fixed = Fixed { key: &first.condition.key, value };
        same.iter().all(|one| one.condition.holds(&fixed, evaluation) != Truth::False)
    };
    if meets(None) {
        return false;
    }
    let texts: Vec<&str> =
        same.iter().flat_map(|one| one.values.iter().map(|(text, _)| &**text)).collect();
    let mut tried = texts.iter().map(|text| Scalar::Text(text)).collect::<Vec<_>>();
    tried.extend([Scalar::Bool(true), Scalar::Bool(false)]);
    for text in &texts {
        if let Ok(number) = text.parse::<i64>() {
            let near = [number.saturating_sub(1), number, number.saturating_add(1)];
            tried.extend(near.map(Scalar::Integer));
        }
        if let Some(instant) = Timestamp::parse(text) {
            let at = instant.seconds();
            let near =
                [(at - 1, 0), (at - 1, 500_000_000), (at, 0), (at, 500_000_000), (at + 1, 0)];
            tried.extend(near.map(|(seconds, nanos)| Scalar::Time(Timestamp::new(seconds, nanos))));
        }
    }
    !tried.into_iter().any(|value| meets(Some(value)))
}

fn expired_date(view: &StatementView<'_>, report: &mut Report<'_>) {
    let now = view.of.set.settings.now;
    for ConditionView { condition, span, .. } in view.conditions() {
        let value = match condition.key.source {
            KeySource::CurrentTime => Scalar::Time(now),
            KeySource::EpochTime => Scalar::Integer(now.seconds()),
            _ => continue,
        };
        let ends = |comparison: &Comparison| {
            matches!(comparison, Comparison::Less | Comparison::LessOrEqual | Comparison::Equal)
        };
        let ends = match &condition.test {
            Test::Date(comparison, _) => ends(comparison),
            Test::Number(comparison, _) => ends(comparison) && *comparison != Comparison::Equal,
            _ => false,
        };
        let fixed = Fixed { key: &condition.key, value: Some(value) };
        let holds = condition.holds(&fixed, &view.of.set.snapshot.evaluation);
        let past = match &condition.test {
            // A day that is still to come is not over.
            Test::Date(_, operands) => operands.iter().all(|operand| *operand < now),
            Test::Number(..) => true,
            _ => false,
        };
        if ends && past && !condition.negated && holds == Truth::False {
            report.at(span, format!("it was over before {now}")).severity(never(view));
        }
    }
}

//! Who looks after a key, and whether they can. The engine is asked.

use super::lockout;
use crate::engine::json::Span;
use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::policy::statement::{Effect, Statement};
use crate::engine::snapshot::Key;
use crate::engine::term::partition::Partition;
use crate::lint::ask::{Can, Probe, abilities, can, resource_statements};
use crate::lint::rule::{Check, Example, Rule, Severity};
use crate::lint::set::patterns;
use crate::lint::view::{PolicyView, Report};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "lockout",
        severity: Severity::Error,
        title: "no one left who may change the key policy",
        why: "Nobody that the set knows may call PutKeyPolicy on the key: it cannot be repaired, and AWS Support has \
              to be asked. KMS refuses such a policy unless the check is bypassed.",
        advice: "allow `kms:PutKeyPolicy` to the account principal (`arn:aws:iam::ACCOUNT:root`)",
        source: "AWS KMS Developer Guide, \"Default key policy\" (reduces the risk of the KMS key becoming \
                 unmanageable); AWS KMS API Reference, PutKeyPolicy",
        bad: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
   "Action": ["kms:GetKeyPolicy", "kms:DescribeKey"], "Resource": "*"}]}"#,
        ),
        good: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
   "Action": ["kms:GetKeyPolicy", "kms:DescribeKey", "kms:PutKeyPolicy"], "Resource": "*"}]}"#,
        ),
        check: Check::Policy(lockout::lockout),
    },
    Rule {
        code: "lockout-under-conditions",
        severity: Severity::Warning,
        title: "the key policy can only be changed while conditions hold",
        why: "Should the condition not be met one day (the endpoint is gone, the device is lost), nobody can repair \
              the key policy.",
        advice: "leave one way to call PutKeyPolicy without condition, such as the account principal",
        source: "AWS KMS Developer Guide, \"Default key policy\"",
        bad: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*",
   "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1111bbbb"}}}]}"#,
        ),
        good: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
  {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
   "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1111bbbb"}, "Bool": {"aws:ViaAWSService": "false"}}}]}"#,
        ),
        check: Check::Policy(lockout::under_conditions),
    },
    Rule {
        code: "delegation-missing",
        severity: Severity::Warning,
        title: "no statement enables the account's IAM policies",
        why: "Without the account principal, IAM policies open nothing, and when the principals that the policy names \
              are deleted the key cannot be managed any more.",
        advice: "add a statement for `arn:aws:iam::ACCOUNT:root` that allows at least what is needed to repair the \
                 policy",
        source: "AWS KMS Developer Guide, \"Default key policy\" (allows access to the AWS account)",
        bad: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"},
   "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:DescribeKey"], "Resource": "*"}]}"#,
        ),
        good: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"},
   "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:DescribeKey"], "Resource": "*"},
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
   "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:DescribeKey"], "Resource": "*"}]}"#,
        ),
        check: Check::Policy(delegation_missing),
    },
    Rule {
        code: "delegation-doubled",
        severity: Severity::Suggestion,
        title: "the account's IAM policies are enabled twice",
        why: "Two statements say the same of the account: whoever narrows one of them changes nothing.",
        advice: "keep one of the statements",
        source: "AWS KMS Developer Guide, \"Default key policy\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:DescribeKey", "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:role/Reader"},
 "Action": "kms:DescribeKey", "Resource": "*"}"#,
        ),
        check: Check::Policy(delegation_doubled),
    },
    Rule {
        code: "admin-and-use",
        severity: Severity::SecurityWarning,
        title: "administration and use in one hand",
        why: "One principal may both manage the key (change its policy, or delete it) and use it. Nobody watches over \
              it, and one stolen credential is enough for everything.",
        advice: "name one role for administration and another for use",
        source: "AWS KMS Developer Guide, \"Default key policy\" (key administrators and key users); AWS Prescriptive \
                 Guidance, \"Encryption best practices\" (separation of duties)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"},
 "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:DescribeKey", "kms:Encrypt"], "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"},
 "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        check: Check::Policy(admin_and_use),
    },
    Rule {
        code: "administrator-cannot-read",
        severity: Severity::Warning,
        title: "an administrator who cannot read the policy",
        why: "Whoever may replace the key policy but not read it replaces it blindly, and loses what others added.",
        advice: "add `kms:GetKeyPolicy` (or `kms:Get*`) and `kms:DescribeKey`",
        source: "AWS KMS Developer Guide, \"Default key policy\" (allows key administrators)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"},
 "Action": ["kms:Put*", "kms:Describe*"], "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"},
 "Action": ["kms:Put*", "kms:Describe*", "kms:Get*"], "Resource": "*"}"#,
        ),
        check: Check::Policy(cannot_read),
    },
    Rule {
        code: "administrator-cannot-repair",
        severity: Severity::Suggestion,
        title: "an administrator who cannot repair the policy",
        why: "Whoever enables, disables or deletes the key but may not change its policy has to find someone else when \
              the policy is wrong.",
        advice: "add `kms:PutKeyPolicy` and `kms:GetKeyPolicy`, or explain who repairs the policy",
        source: "AWS KMS Developer Guide, \"Default key policy\" (allows key administrators)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"},
 "Action": ["kms:DisableKey", "kms:EnableKey", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"},
 "Action": ["kms:DisableKey", "kms:EnableKey", "kms:DescribeKey", "kms:PutKeyPolicy", "kms:GetKeyPolicy"],
 "Resource": "*"}"#,
        ),
        check: Check::Policy(cannot_repair),
    },
    Rule {
        code: "deletion-cannot-be-cancelled",
        severity: Severity::Warning,
        title: "who schedules the deletion of the key cannot cancel it",
        why: "A mistaken deletion destroys everything that the key encrypted. In the waiting period every hour counts, \
              and the one who erred cannot undo it.",
        advice: "add `kms:CancelKeyDeletion` beside `kms:ScheduleKeyDeletion`",
        source: "AWS KMS Developer Guide, \"Deleting AWS KMS keys\" (controlling access to key deletion)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"},
 "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:ScheduleKeyDeletion"], "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"},
 "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"],
 "Resource": "*"}"#,
        ),
        check: Check::Policy(cannot_cancel),
    },
];

/// What only administrators do.
const ADMINISTRATION: [Action; 6] = [
    Action::PutKeyPolicy,
    Action::ScheduleKeyDeletion,
    Action::DisableKey,
    Action::EnableKey,
    Action::DeleteImportedKeyMaterial,
    Action::UpdateKeyDescription,
];

fn administration() -> ActionSet {
    ADMINISTRATION.into_iter().collect()
}

fn cryptography() -> ActionSet {
    Action::ALL.iter().copied().filter(|action| action.is_cryptographic()).collect()
}

/// Whether a statement enables the IAM policies of the account.
fn delegates(statement: &Statement, view: &PolicyView<'_>) -> bool {
    let is_account = |pattern: &PrincipalPattern| match pattern {
        PrincipalPattern::Account(account, partition) => {
            let here = view.key.map(Key::partition);
            let named = partition.as_ref().map(Partition::as_str);
            Some(*account) == view.account && (named.is_none() || named == here)
        }
        _ => false,
    };
    statement.effect == Effect::Allow && patterns(statement).iter().any(is_account)
}

fn delegation_missing(view: &PolicyView<'_>, report: &mut Report<'_>) {
    let Some(key) = view.key else { return };
    if !resource_statements(view.set, key).any(|statement| delegates(statement, view)) {
        let message =
            "no statement names the account: the policy leaves nothing to its IAM policies";
        report.at(view.span(), message);
    }
}

fn delegation_doubled(view: &PolicyView<'_>, report: &mut Report<'_>) {
    if view.key.is_none() {
        return;
    }
    let statements = view.statements();
    let plain = |statement: &Statement| {
        delegates(statement, view)
            && statement.conditions.is_empty()
            && !statement.actions.is_empty()
    };
    for (index, later) in statements.iter().enumerate() {
        if !plain(later.compiled) {
            continue;
        }
        let covered = statements.iter().enumerate().any(|(other, earlier)| {
            let (wide, narrow) = (earlier.compiled, later.compiled);
            let equal = wide.actions == narrow.actions;
            let sure = |action| !wide.doubtful_actions.contains(action);
            let covers =
                narrow.actions.iter().all(|action| wide.actions.contains(action) && sure(action));
            other != index
                && plain(wide)
                && wide.resources == narrow.resources
                && covers
                && (!equal || other < index)
        });
        if covered {
            let span = later.span("Principal");
            let message = "another statement already allows this to the account";
            let raw = report.in_statement(later, span, message);
            if later.principals().len() > 1 {
                raw.help("take the account out of this statement, or narrow the other one");
            }
        }
    }
}

/// Users, roles and sessions that an Allow names, with the place of the first naming; the account
/// itself aside.
fn named(view: &PolicyView<'_>) -> Vec<(Probe, Span)> {
    let Some(key) = view.key else { return Vec::new() };
    let mut found: Vec<(Probe, Span)> = Vec::new();
    for statement in view.statements() {
        if !statement.opens_key() {
            continue;
        }
        for (pattern, span) in statement.principals() {
            let is_account = matches!(pattern, PrincipalPattern::Account(..));
            let seen = found.iter().any(|(probe, _)| probe.pattern() == pattern);
            if !is_account && !seen {
                let probe = Probe::known(view.set, pattern, key.partition());
                found.extend(probe.map(|probe| (probe, span)));
            }
        }
    }
    found
}

/// Everything that an Allow with this principal mentions.
fn mentioned(view: &PolicyView<'_>, pattern: &PrincipalPattern) -> ActionSet {
    let names = |statement: &Statement| patterns(statement).contains(pattern);
    let allows = view.policy.statements();
    allows
        .filter(|statement| statement.effect == Effect::Allow && names(statement))
        .fold(ActionSet::EMPTY, |all, statement| all.union(statement.actions))
}

fn any(wanted: ActionSet) -> bool {
    !wanted.is_empty()
}

/// Has `check` look at each named principal with what it can really do among `actions`, where those
/// that are allowed to it `matter`. `kms:*` has a finding of its own.
fn each(
    view: &PolicyView<'_>,
    actions: ActionSet,
    matter: impl Fn(ActionSet) -> bool,
    mut check: impl FnMut(&Probe, Span, ActionSet),
) {
    let Some(key) = view.key else { return };
    for (probe, span) in named(view) {
        let mentioned = mentioned(view, probe.pattern());
        if mentioned == ActionSet::ALL {
            continue;
        }
        let wanted: ActionSet =
            actions.iter().filter(|action| mentioned.contains(*action)).collect();
        if matter(wanted) {
            check(&probe, span, abilities(view.set, key, &probe, wanted));
        }
    }
}

fn meet(a: ActionSet, b: ActionSet) -> Option<Action> {
    a.iter().find(|action| b.contains(*action))
}

fn admin_and_use(view: &PolicyView<'_>, report: &mut Report<'_>) {
    let decisive: ActionSet =
        [Action::PutKeyPolicy, Action::ScheduleKeyDeletion].into_iter().collect();
    let both = |wanted: ActionSet| {
        meet(wanted, decisive).is_some() && meet(wanted, cryptography()).is_some()
    };
    each(view, decisive.union(cryptography()), both, |probe, span, can| {
        if let (Some(admin), Some(use_)) = (meet(can, decisive), meet(can, cryptography())) {
            let who = probe.pattern().text();
            let message = format!("`{who}` may both {} and {}", admin.name(), use_.name());
            report.at(span, message);
        }
    });
}

fn cannot_read(view: &PolicyView<'_>, report: &mut Report<'_>) {
    let change = [Action::PutKeyPolicy].into_iter().collect();
    each(view, change, any, |probe, span, can| {
        if can.contains(Action::PutKeyPolicy) && !reads(view, probe) {
            let who = probe.pattern().text();
            report.at(span, format!("`{who}` may change the key policy, but not read it"));
        }
    });
}

/// Whether the principal can read the key policy, in whatever way.
fn reads(view: &PolicyView<'_>, probe: &Probe) -> bool {
    view.key.is_some_and(|key| can(view.set, key, probe, Action::GetKeyPolicy) > Can::No)
}

fn cannot_repair(view: &PolicyView<'_>, report: &mut Report<'_>) {
    let Some(key) = view.key else { return };
    each(
        view,
        administration(),
        |wanted| wanted.len() >= 2,
        |probe, span, abilities| {
            let administers = abilities.len() >= 2;
            let repairs = || can(view.set, key, probe, Action::PutKeyPolicy) > Can::No;
            if administers && !repairs() {
                let who = probe.pattern().text();
                report.at(
                    span,
                    format!("`{who}` administers the key, but may not change its policy"),
                );
            }
        },
    );
}

fn cannot_cancel(view: &PolicyView<'_>, report: &mut Report<'_>) {
    let Some(key) = view.key else { return };
    let deletion = [Action::ScheduleKeyDeletion].into_iter().collect();
    each(view, deletion, any, |probe, span, abilities| {
        let deletes = abilities.contains(Action::ScheduleKeyDeletion);
        if deletes && can(view.set, key, probe, Action::CancelKeyDeletion) == Can::No {
            let who = probe.pattern().text();
            report.at(
                span,
                format!("`{who}` may schedule the deletion of the key, but not cancel it"),
            );
        }
    });
}

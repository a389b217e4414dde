//! Who can get at a key.

use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::policy::statement::Principals;
use crate::lint::open::account_of;
use crate::lint::rule::{Check, Example, Rule, Severity};
use crate::lint::set::knows;
use crate::lint::view::{Report, StatementView};

/// Condition keys that say whose requests are meant.
const WHOSE: [&str; 13] = [
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:userid",
    "kms:CallerAccount",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:VpceOrgID",
];

/// Condition keys that tie a service to one's own resources.
const WHICH_SOURCE: [&str; 7] = [
    "aws:SourceArn",
    "aws:SourceAccount",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:ResourceOrgID",
    "kms:EncryptionContext:",
    "kms:CallerAccount",
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "open-to-everyone",
        severity: Severity::Error,
        title: "a key open to everyone",
        why: "`*` is every identity of every AWS account. Whoever learns the key's ARN can use it as far as the \
              statement goes.",
        advice: "name those who are meant, or add a condition that says whose requests count, such as \
                 `aws:PrincipalOrgID` or `kms:CallerAccount`",
        source: "AWS KMS Developer Guide, \"Creating a key policy\" (principal `*`)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Encrypt", "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Encrypt", "Resource": "*",
 "Condition": {"StringEquals": {"kms:CallerAccount": "111122223333"}}}"#,
        ),
        check: Check::Statement(open_to_everyone),
    },
    Rule {
        code: "open-under-weak-condition",
        severity: Severity::SecurityWarning,
        title: "a key open to everyone who meets a condition that says nothing about who they are",
        why: "A service, an address, an encryption context or a tag can be had by other accounts too: the condition \
              narrows how the key is used, not by whom.",
        advice: "add a condition on whose requests count, such as `kms:CallerAccount` or `aws:PrincipalOrgID`",
        source: "AWS KMS Developer Guide, \"AWS KMS condition keys\" (`kms:CallerAccount`, `kms:ViaService`)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Encrypt", "Resource": "*",
 "Condition": {"StringEquals": {"kms:ViaService": "s3.us-west-2.amazonaws.com"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Encrypt", "Resource": "*",
 "Condition": {"StringEquals": {"kms:ViaService": "s3.us-west-2.amazonaws.com", "kms:CallerAccount": "111122223333"}}}"#,
        ),
        check: Check::Statement(open_under_weak_condition),
    },
    Rule {
        code: "open-to-other-account",
        severity: Severity::SecurityWarning,
        title: "a key open to another account without condition",
        why: "The administrators of that account decide who uses the key, now and later; you do not learn of it.",
        advice: "name the users or roles that need it, or add a condition such as `kms:EncryptionContext:…` or \
                 `kms:ViaService`",
        source: "AWS KMS Developer Guide, \"Allowing users in other accounts to use a KMS key\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
 "Action": "kms:Encrypt", "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:role/Exporter"},
 "Action": ["kms:Encrypt", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        check: Check::Statement(open_to_other_account),
    },
    Rule {
        code: "never-across-accounts",
        severity: Severity::Warning,
        title: "principals of another account are allowed what never works across accounts",
        why: "KMS refuses it whatever the policies say: the statement promises what nobody gets.",
        advice: "take these actions out of the statement, or let a role of the key's account do them",
        source: "AWS KMS Developer Guide, \"Allowing users in other accounts to use a KMS key\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:role/Exporter"},
 "Action": "kms:DisableKey", "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:role/Exporter"},
 "Action": "kms:DescribeKey", "Resource": "*"}"#,
        ),
        check: Check::Statement(never_across_accounts),
    },
    Rule {
        code: "all-actions",
        severity: Severity::SecurityWarning,
        title: "`kms:*` for anyone but the account",
        why: "It makes one principal administrator and user at once: it can decrypt, hand out grants, change the \
              policy and delete the key. New KMS actions are added to it without anyone deciding so.",
        advice: "list the actions that are needed; leave `kms:*` to the account principal, which only enables IAM \
                 policies",
        source: "AWS KMS Developer Guide, \"Key policies in AWS KMS\" (least privilege); \"Default key policy\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:*",
 "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": ["kms:Decrypt", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        check: Check::Statement(all_actions),
    },
    Rule {
        code: "allow-not-action",
        severity: Severity::SecurityWarning,
        title: "an Allow with `NotAction`",
        why: "It allows everything that is not listed, what KMS will offer later included.",
        advice: "list what is allowed in `Action`; forbid the rest with a Deny",
        source: "IAM User Guide, \"IAM JSON policy elements: NotAction\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "NotAction": "kms:ScheduleKeyDeletion", "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": ["kms:Decrypt", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        check: Check::Statement(allow_not_action),
    },
    Rule {
        code: "not-principal",
        severity: Severity::Warning,
        title: "`NotPrincipal`",
        why: "The Deny hits everyone whose whole chain of principals is not listed: leave out the account, and the \
              account is denied too; a principal with a permissions boundary is always denied.",
        advice: "write `\"Principal\": \"*\"` with a condition such as `ArnNotEquals` on `aws:PrincipalArn`",
        source: "IAM User Guide, \"AWS JSON policy elements: NotPrincipal\"",
        bad: Example::Statement(
            r#"{"Effect": "Deny", "NotPrincipal": {"AWS": ["arn:aws:iam::111122223333:role/App",
 "arn:aws:iam::111122223333:root"]}, "Action": "kms:Decrypt", "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
 "Condition": {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/App"}}}"#,
        ),
        check: Check::Statement(not_principal),
    },
    Rule {
        code: "service-without-source",
        severity: Severity::SecurityWarning,
        title: "a service may use the key for whoever asks it",
        why: "A service acts for all its customers. Without a condition on whose resource it acts for, another \
              account's resource can make it use this key (the confused deputy).",
        advice: "add `aws:SourceArn` or `aws:SourceAccount`",
        source: "IAM User Guide, \"The confused deputy problem\"; AWS KMS Developer Guide, \"Key policies in AWS KMS\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
 "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
 "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*",
 "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}}"#,
        ),
        check: Check::Statement(service_without_source),
    },
    Rule {
        code: "deleted-principal",
        severity: Severity::Warning,
        title: "the unique id of a deleted user or role",
        why: "IAM writes the id in place of a principal that was deleted. It matches nobody any more, not even a new \
              user or role of the same name. An id that the set has is not found.",
        advice: "remove it, or name the new user or role",
        source: "IAM User Guide, \"IAM identifiers\" (unique identifiers); \"AWS JSON policy elements: Principal\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "AROAEXAMPLEDELETED001"}, "Action": "kms:DescribeKey",
 "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": "kms:DescribeKey", "Resource": "*"}"#,
        ),
        check: Check::Statement(deleted_principal),
    },
    Rule {
        code: "unknown-principal",
        severity: Severity::Warning,
        title: "a principal that the set does not know",
        why: "The set describes the account, but not this user or role: it was deleted or is misspelt. Whoever \
              creates one of that name gets its access.",
        advice: "correct the ARN (the path counts), or remove it",
        source: "IAM User Guide, \"AWS JSON policy elements: Principal\"",
        bad: Example::Document(
            r#"{"Keys": [{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}, "Policy": {"Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Ap"}, "Action": "kms:DescribeKey", "Resource": "*"}]}}],
 "RoleDetailList": [{"RoleName": "App", "Arn": "arn:aws:iam::111122223333:role/App", "RolePolicyList": []}]}"#,
        ),
        good: Example::Document(
            r#"{"Keys": [{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}, "Policy": {"Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey", "Resource": "*"}]}}],
 "RoleDetailList": [{"RoleName": "App", "Arn": "arn:aws:iam::111122223333:role/App", "RolePolicyList": []}]}"#,
        ),
        check: Check::Statement(unknown_principal),
    },
];

fn is_everyone(pattern: &PrincipalPattern) -> bool {
    matches!(pattern, PrincipalPattern::Everyone | PrincipalPattern::AnyAws)
}

fn open_to_everyone(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.opens_key() || view.is_narrowed() || view.compiled.actions.is_empty() {
        return;
    }
    if let Some((_, span)) = view.principals().iter().find(|(pattern, _)| is_everyone(pattern)) {
        report.at(*span, "every AWS account may do this with the key");
    }
}

fn open_under_weak_condition(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.opens_key() || !view.is_narrowed() || view.is_narrowed_by(&WHOSE) {
        return;
    }
    if let Some((_, span)) = view.principals().iter().find(|(pattern, _)| is_everyone(pattern)) {
        report.at(*span, "the conditions do not say whose requests count");
    }
}

fn open_to_other_account(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.opens_key() || view.is_narrowed() {
        return;
    }
    for (pattern, span) in view.principals() {
        if let PrincipalPattern::Account(account, _) = pattern
            && Some(*account) != view.of.account
        {
            report.at(span, format!("all of the account `{account}` may be given this"));
        }
    }
}

fn never_across_accounts(view: &StatementView<'_>, report: &mut Report<'_>) {
    let principals = view.principals();
    let foreign = |pattern: &PrincipalPattern| {
        account_of(pattern).is_some_and(|account| Some(account) != view.of.account)
    };
    if !view.opens_key()
        || principals.is_empty()
        || !principals.iter().all(|(pattern, _)| foreign(pattern))
    {
        return;
    }
    for (action, span) in view.spelt_actions() {
        if !action.cross_account() {
            report.at(span, format!("`{}` never works across accounts", action.name()));
        }
    }
}

fn all_actions(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.opens_key() || view.element("Action").is_none() {
        return;
    }
    if view.compiled.actions != ActionSet::ALL {
        return;
    }
    let others = view.principals().into_iter().filter(|(pattern, _)| match pattern {
        PrincipalPattern::Account(account, _) => Some(*account) != view.of.account,
        _ => true,
    });
    for (pattern, _) in others {
        let message = format!("`{}` may do everything with the key", pattern.text());
        report.at(view.action_span(ActionSet::ALL), message);
    }
}

fn allow_not_action(view: &StatementView<'_>, report: &mut Report<'_>) {
    let relevant = view.opens_key() || view.allows_identity();
    if relevant && view.element("NotAction").is_some() {
        let count = view.compiled.actions.len();
        report.at(view.span("NotAction"), format!("it allows {count} actions of KMS unnamed"));
    }
}

fn not_principal(view: &StatementView<'_>, report: &mut Report<'_>) {
    if let Principals::AllBut(_) = view.compiled.principals {
        report.at(view.span("NotPrincipal"), "who is left out is hard to tell, and easily too few");
    }
}

fn service_without_source(view: &StatementView<'_>, report: &mut Report<'_>) {
    let crypto = view.compiled.actions.iter().any(Action::is_cryptographic)
        || view.compiled.actions.contains(Action::CreateGrant);
    if !view.opens_key() || !crypto || view.is_narrowed_by(&WHICH_SOURCE) {
        return;
    }
    for (pattern, span) in view.principals() {
        if let PrincipalPattern::Service(name) = pattern {
            report.at(span, format!("`{name}` may use the key on behalf of any account"));
        }
    }
}

fn deleted_principal(view: &StatementView<'_>, report: &mut Report<'_>) {
    for (pattern, span) in view.principals() {
        if let PrincipalPattern::UniqueId(id) = pattern
            && view.of.set.of_unique_id(id).is_none()
        {
            report.at(span, format!("`{id}` is what remains of a deleted user or role"));
        }
    }
}

fn unknown_principal(view: &StatementView<'_>, report: &mut Report<'_>) {
    for (pattern, span) in view.principals() {
        if !knows(view.of.set.snapshot, pattern) {
            report.at(span, format!("the set describes the account, but not `{}`", pattern.text()));
        }
    }
}

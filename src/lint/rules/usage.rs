//! How a key is used.

use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::kms::key_state::KeySpec;
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::policy::statement::{Effect, Principals};
use crate::lint::ask::{Can, Probe, can};
use crate::lint::rule::{Check, Example, Rule, Severity};
use crate::lint::view::{Report, StatementView, is};

/// What limits the grants that a statement lets create.
///
/// A service that calls on behalf of a principal sets `kms:ViaService` as it sets
/// `kms:GrantIsForAWSResource`.
const GRANT_LIMITS: [&str; 3] =
    ["kms:GrantOperations", "kms:GrantIsForAWSResource", "kms:ViaService"];

/// What ties decryption to a purpose.
const PURPOSE: [&str; 4] = [
    "kms:EncryptionContext:",
    "kms:EncryptionContextKeys",
    "kms:ViaService",
    "kms:RecipientAttestation:",
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "create-grant-unlimited",
        severity: Severity::SecurityWarning,
        title: "CreateGrant without limit on the operations or on whom it is for",
        why: "Whoever creates grants gives others, or themselves, any operation on the key, also those that the \
              statement does not allow them.",
        advice: "limit `kms:GrantOperations` with `ForAllValues:StringEquals` and `Null`, or demand \
                 `\"Bool\": {\"kms:GrantIsForAWSResource\": \"true\"}`",
        source: "AWS KMS Developer Guide, \"Grants in AWS KMS\" (controlling access to grants)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": "kms:CreateGrant", "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": "kms:CreateGrant", "Resource": "*", "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}}"#,
        ),
        check: Check::Statement(create_grant_unlimited),
    },
    Rule {
        code: "create-grant-by-wildcard",
        severity: Severity::Suggestion,
        title: "`kms:Create*` lets administrators create grants",
        why: "In a key policy `kms:Create*` stands for CreateAlias and CreateGrant (not CreateKey). With CreateGrant an \
              administrator gives anyone the use of the key.",
        advice: "write `kms:CreateAlias`, or say why administrators create grants",
        source: "AWS KMS Developer Guide, \"Default key policy\" (allows key administrators; the warning)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"},
 "Action": ["kms:Create*", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"},
 "Action": ["kms:CreateAlias", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        check: Check::Statement(create_grant_by_wildcard),
    },
    Rule {
        code: "decrypt-unbound",
        severity: Severity::Suggestion,
        title: "Decrypt that no encryption context and no service binds",
        why: "The principal decrypts whatever was ever encrypted under the key, for whatever purpose.",
        advice: "add a condition on `kms:EncryptionContext:…` or `kms:ViaService`, or explain why there is none",
        source: "AWS KMS Developer Guide, \"Encryption context\"; \"AWS KMS condition keys\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": ["kms:Decrypt", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": "kms:Decrypt", "Resource": "*",
 "Condition": {"StringEquals": {"kms:EncryptionContext:app": "orders"}}}"#,
        ),
        check: Check::Statement(decrypt_unbound),
    },
    Rule {
        code: "use-without-describe",
        severity: Severity::Suggestion,
        title: "use without DescribeKey",
        why: "Clients and services look a key up before they use it; without DescribeKey they fail with a message \
              about another operation.",
        advice: "add `kms:DescribeKey`",
        source: "AWS KMS Developer Guide, \"Default key policy\" (allows key users)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": ["kms:Encrypt", "kms:GenerateDataKey*"], "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": ["kms:Encrypt", "kms:GenerateDataKey*", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        check: Check::Statement(use_without_describe),
    },
];

/// Whether someone but the account itself is allowed.
fn names_others(view: &StatementView<'_>) -> bool {
    view.principals().iter().any(|(pattern, _)| match pattern {
        PrincipalPattern::Account(account, _) => Some(*account) != view.of.account,
        PrincipalPattern::Provider(_) => false,
        PrincipalPattern::UniqueId(id) => view.of.set.of_unique_id(id).is_some(),
        _ => true,
    })
}

fn grants() -> ActionSet {
    [Action::CreateGrant].into_iter().collect()
}

/// Whether a condition limits the grants. `ForAllValues` is how their operations are tested: they
/// are never absent.
fn limits_grants(view: &StatementView<'_>) -> bool {
    view.compiled.conditions.iter().any(|condition| {
        !condition.negated
            && !condition.if_exists
            && GRANT_LIMITS.iter().any(|key| is(condition, key))
    })
}

fn create_grant_unlimited(view: &StatementView<'_>, report: &mut Report<'_>) {
    let relevant = (view.opens_key() && names_others(view)) || view.allows_identity();
    let spelt = view.spelt_actions();
    let found = spelt.iter().find(|(action, _)| *action == Action::CreateGrant);
    let Some((_, span)) = found.filter(|_| relevant && !limits_grants(view)) else { return };
    report.at(*span, "grants for any operation may be created");
}

fn create_grant_by_wildcard(view: &StatementView<'_>, report: &mut Report<'_>) {
    let spelt = view.spelt_actions().iter().any(|(action, _)| *action == Action::CreateGrant);
    if !view.opens_key()
        || !names_others(view)
        || spelt
        || view.element("NotAction").is_some()
        || view.compiled.actions == ActionSet::ALL
        || !view.compiled.actions.contains(Action::CreateGrant)
        || limits_grants(view)
    {
        return;
    }
    report.at(view.action_span(grants()), "the wildcard stands for `kms:CreateGrant` too");
}

fn decrypt_unbound(view: &StatementView<'_>, report: &mut Report<'_>) {
    let decrypts = view.compiled.actions.contains(Action::Decrypt);
    let symmetric = view.of.key.is_none_or(|key| key.spec == KeySpec::SymmetricDefault);
    let people = view.principals().iter().any(|(pattern, _)| match pattern {
        PrincipalPattern::Account(account, _) => Some(*account) != view.of.account,
        PrincipalPattern::Service(_) | PrincipalPattern::Provider(_) => false,
        PrincipalPattern::UniqueId(id) => view.of.set.of_unique_id(id).is_some(),
        _ => true,
    });
    if !view.opens_key()
        || !decrypts
        || !symmetric
        || !people
        || view.element("NotAction").is_some()
        || view.compiled.actions == ActionSet::ALL
        || view.is_narrowed_by(&PURPOSE)
    {
        return;
    }
    let decrypt = [Action::Decrypt].into_iter().collect();
    report.at(view.action_span(decrypt), "it decrypts whatever was encrypted under the key");
}

fn use_without_describe(view: &StatementView<'_>, report: &mut Report<'_>) {
    let Some(key) = view.of.key.filter(|_| view.opens_key()) else { return };
    // Decrypt alone needs no look at the key: the ciphertext names it.
    let wants = [Action::Encrypt, Action::GenerateDataKey, Action::Sign, Action::GenerateMac];
    let Some(action) = wants.into_iter().find(|action| view.compiled.actions.contains(*action))
    else {
        return;
    };
    for (pattern, span) in view.principals() {
        let one = matches!(pattern, PrincipalPattern::User(_) | PrincipalPattern::Role(_));
        // Said at the first statement that lets it use the key.
        let before = view.of.policy.statements().take(view.compiled.index as usize);
        let said = before
            .filter(|earlier| earlier.effect == Effect::Allow)
            .filter(|earlier| wants.iter().any(|action| earlier.actions.contains(*action)))
            .any(|earlier| match &earlier.principals {
                Principals::These(patterns) => patterns.contains(pattern),
                Principals::Bearer | Principals::AllBut(_) => false,
            });
        if !one || said {
            continue;
        }
        let Some(probe) = Probe::of(pattern, key.partition()) else { continue };
        let uses = can(view.of.set, key, &probe, action) > Can::No;
        if uses && can(view.of.set, key, &probe, Action::DescribeKey) == Can::No {
            let message =
                format!("`{}` may {}, but not describe the key", pattern.text(), action.name());
            report.at(span, message);
        }
    }
}

//! Grants of the documents.

use crate::engine::grant::ContextConstraint;
use crate::engine::kms::action::Action;
use crate::engine::kms::key_state::KeySpec;
use crate::engine::policy::principal::PrincipalPattern;
use crate::lint::open::account_of;
use crate::lint::rule::{Check, Example, Rule, Severity};
use crate::lint::set::knows;
use crate::lint::view::{GrantView, Report};

const DAY: i64 = 86_400;

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "old-grant",
        severity: Severity::Warning,
        title: "a grant older than the limit",
        why: "Grants are meant for temporary permission, but they never expire: those that nobody retires pile up and \
              are forgotten.",
        advice: "retire or revoke it if it is no longer needed; a longer limit is set with `--grant-days`",
        source: "AWS KMS Developer Guide, \"Grants in AWS KMS\" (best practices: retire grants)",
        bad: Example::Grant(
            r#"{"GrantId": "a1", "GranteePrincipal": "arn:aws:iam::111122223333:role/Batch", "CreationDate": "2020-01-01T00:00:00Z",
 "RetiringPrincipal": "arn:aws:iam::111122223333:role/Batch", "Operations": ["Decrypt"],
 "Constraints": {"EncryptionContextSubset": {"app": "orders"}}}"#,
        ),
        good: Example::Grant(
            r#"{"GrantId": "a1", "GranteePrincipal": "arn:aws:iam::111122223333:role/Batch", "CreationDate": "2120-01-01T00:00:00Z",
 "RetiringPrincipal": "arn:aws:iam::111122223333:role/Batch", "Operations": ["Decrypt"],
 "Constraints": {"EncryptionContextSubset": {"app": "orders"}}}"#,
        ),
        check: Check::Grant(old_grant),
    },
    Rule {
        code: "unconstrained-grant",
        severity: Severity::Suggestion,
        title: "a grant without constraint",
        why: "The grantee may do its operations with whatever is encrypted under the key.",
        advice: "give it `EncryptionContextSubset` or `EncryptionContextEquals`; for a service, `SourceArn`",
        source: "AWS KMS Developer Guide, \"Grants in AWS KMS\" (using grant constraints)",
        bad: Example::Grant(
            r#"{"GrantId": "a1", "GranteePrincipal": "arn:aws:iam::111122223333:role/Batch", "Operations": ["Decrypt"],
 "RetiringPrincipal": "arn:aws:iam::111122223333:role/Batch"}"#,
        ),
        good: Example::Grant(
            r#"{"GrantId": "a1", "GranteePrincipal": "arn:aws:iam::111122223333:role/Batch", "Operations": ["Decrypt"],
 "RetiringPrincipal": "arn:aws:iam::111122223333:role/Batch", "Constraints": {"EncryptionContextSubset": {"app": "orders"}}}"#,
        ),
        check: Check::Grant(unconstrained_grant),
    },
    Rule {
        code: "never-retirable-grant",
        severity: Severity::Warning,
        title: "a grant that neither grantee nor anyone named may retire",
        why: "Without retiring principal and without the operation RetireGrant, the grant stays until an administrator \
              revokes it.",
        advice: "name a retiring principal, or add `RetireGrant` to the operations",
        source: "AWS KMS Developer Guide, \"Retiring and revoking grants\"",
        bad: Example::Grant(
            r#"{"GrantId": "a1", "GranteePrincipal": "arn:aws:iam::111122223333:role/Batch", "Operations": ["Decrypt"],
 "Constraints": {"EncryptionContextSubset": {"app": "orders"}}}"#,
        ),
        good: Example::Grant(
            r#"{"GrantId": "a1", "GranteePrincipal": "arn:aws:iam::111122223333:role/Batch", "Operations": ["Decrypt", "RetireGrant"],
 "Constraints": {"EncryptionContextSubset": {"app": "orders"}}}"#,
        ),
        check: Check::Grant(never_retirable_grant),
    },
    Rule {
        code: "grant-creates-grants",
        severity: Severity::Warning,
        title: "a grant that lets its grantee create grants",
        why: "The grantee passes its operations on to anyone, and what it passed on stays when its own grant is \
              revoked.",
        advice: "leave `CreateGrant` out of the operations",
        source: "AWS KMS Developer Guide, \"Creating grants\" (granting CreateGrant permission)",
        bad: Example::Grant(
            r#"{"GrantId": "a1", "GranteePrincipal": "arn:aws:iam::111122223333:role/Batch",
 "Operations": ["Decrypt", "CreateGrant", "RetireGrant"], "Constraints": {"EncryptionContextSubset": {"app": "orders"}}}"#,
        ),
        good: Example::Grant(
            r#"{"GrantId": "a1", "GranteePrincipal": "arn:aws:iam::111122223333:role/Batch",
 "Operations": ["Decrypt", "RetireGrant"], "Constraints": {"EncryptionContextSubset": {"app": "orders"}}}"#,
        ),
        check: Check::Grant(grant_creates_grants),
    },
    Rule {
        code: "grant-to-other-account",
        severity: Severity::Warning,
        title: "a grant to a principal of another account",
        why: "It opens the key across accounts without a word in the key policy, where one looks for it.",
        advice: "see that the account is meant, and explain it; or revoke the grant",
        source: "AWS KMS Developer Guide, \"Grants in AWS KMS\"; \"Allowing users in other accounts to use a KMS key\"",
        bad: Example::Grant(
            r#"{"GrantId": "a1", "GranteePrincipal": "arn:aws:iam::444455556666:role/Batch",
 "Operations": ["Decrypt", "RetireGrant"], "Constraints": {"EncryptionContextSubset": {"app": "orders"}}}"#,
        ),
        good: Example::Grant(
            r#"{"GrantId": "a1", "GranteePrincipal": "arn:aws:iam::111122223333:role/Batch",
 "Operations": ["Decrypt", "RetireGrant"], "Constraints": {"EncryptionContextSubset": {"app": "orders"}}}"#,
        ),
        check: Check::Grant(grant_to_other_account),
    },
    Rule {
        code: "grant-to-nobody",
        severity: Severity::Warning,
        title: "a grant to a principal that is gone",
        why: "The grantee was deleted or is not known to the set. Whoever creates a principal of that name gets the \
              grant.",
        advice: "revoke the grant",
        source: "AWS KMS Developer Guide, \"Grants in AWS KMS\"; IAM User Guide, \"IAM identifiers\"",
        bad: Example::Grant(
            r#"{"GrantId": "a1", "GranteePrincipal": "AROAEXAMPLEDELETED001",
 "Operations": ["Decrypt", "RetireGrant"], "Constraints": {"EncryptionContextSubset": {"app": "orders"}}}"#,
        ),
        good: Example::Grant(
            r#"{"GrantId": "a1", "GranteePrincipal": "arn:aws:iam::111122223333:role/Batch",
 "Operations": ["Decrypt", "RetireGrant"], "Constraints": {"EncryptionContextSubset": {"app": "orders"}}}"#,
        ),
        check: Check::Grant(grant_to_nobody),
    },
];

fn old_grant(view: &GrantView<'_>, report: &mut Report<'_>) {
    let Some(created) = view.grant.created else { return };
    let settings = view.set.settings;
    let days = (settings.now.seconds() - created.seconds()) / DAY;
    if days > i64::from(settings.grant_days) {
        let limit = settings.grant_days;
        let message = format!("the grant is {days} days old, more than {limit}");
        report.at(view.span("CreationDate"), message);
    }
}

fn unconstrained_grant(view: &GrantView<'_>, report: &mut Report<'_>) {
    let grant = view.grant;
    // Only symmetric encryption keys know encryption contexts.
    let symmetric = view.key.is_none_or(|key| key.spec == KeySpec::SymmetricDefault);
    let free = grant.context == ContextConstraint::Unlimited && grant.source_arn.is_none();
    if symmetric && free && grant.operations.iter().any(Action::has_encryption_context) {
        report.at(view.span("Operations"), "no constraint says what it is for");
    }
}

fn never_retirable_grant(view: &GrantView<'_>, report: &mut Report<'_>) {
    let grant = view.grant;
    if grant.retiring.is_none() && !grant.operations.contains(Action::RetireGrant) {
        report.at(view.span("Operations"), "nobody named by the grant may retire it");
    }
}

fn grant_creates_grants(view: &GrantView<'_>, report: &mut Report<'_>) {
    if view.grant.operations.contains(Action::CreateGrant) {
        report.at(view.span("Operations"), "the grantee may pass its operations on to anyone");
    }
}

fn grant_to_other_account(view: &GrantView<'_>, report: &mut Report<'_>) {
    let grantee = account_of(&view.grant.grantee);
    if let (Some(account), Some(key)) = (grantee, view.key)
        && account != key.account
    {
        let message = format!("the grantee is of the account `{account}`");
        report.at(view.span("GranteePrincipal"), message);
    }
}

fn grant_to_nobody(view: &GrantView<'_>, report: &mut Report<'_>) {
    let deleted = match &view.grant.grantee {
        PrincipalPattern::UniqueId(id) => view.set.of_unique_id(id).is_none(),
        _ => false,
    };
    if deleted || !knows(view.set.snapshot, &view.grant.grantee) {
        let who = view.grant.grantee.text();
        report.at(view.span("GranteePrincipal"), format!("there is no principal `{who}` any more"));
    }
}

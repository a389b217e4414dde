//! Documents and explanations.

use crate::engine::policy::PolicyKind;
use crate::lint::rule::{Check, Example, Rule, Severity};
use crate::lint::view::{PolicyView, Report};

/// The code of explanations that cannot be read.
pub const BAD: &str = "bad-explanation";

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "old-version",
        severity: Severity::Suggestion,
        title: "a policy without version 2012-10-17",
        why: "Without it the policy is of the version of 2008, which knows no variables: a `${…}` that is added later is \
              plain text.",
        advice: "write `\"Version\": \"2012-10-17\"`",
        source: "IAM User Guide, \"IAM JSON policy elements: Version\"",
        bad: Example::Policy(
            r#"{"Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}]}"#,
        ),
        good: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}]}"#,
        ),
        check: Check::Policy(old_version),
    },
    Rule {
        code: "duplicate-sid",
        severity: Severity::Warning,
        title: "two statements with one Sid",
        why: "Decisions and logs name a statement by its Sid: with two of them nobody knows which one decided. IAM \
              refuses it in identity policies.",
        advice: "give each statement a Sid of its own",
        source: "IAM User Guide, \"IAM JSON policy elements: Sid\"",
        bad: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Sid": "A", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
  {"Sid": "A", "Effect": "Deny", "Principal": "*", "Action": "kms:DisableKey", "Resource": "*"}]}"#,
        ),
        good: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Sid": "A", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
  {"Sid": "B", "Effect": "Deny", "Principal": "*", "Action": "kms:DisableKey", "Resource": "*"}]}"#,
        ),
        check: Check::Policy(duplicate_sid),
    },
    Rule {
        code: BAD,
        severity: Severity::Warning,
        title: "an explanation that cannot be read",
        why: "An entry of `Lint` names the `Code` that it explains and says `Why`; without these it explains nothing.",
        advice: "write `{\"Code\": \"…\", \"Why\": \"…\"}`, with `\"Sid\"` where one statement is meant",
        source: "Keyward's own: `docs/lint.md`",
        bad: Example::Document(
            r#"{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}, "KeyRotationEnabled": false, "Policy": "default",
 "Lint": [{"Code": "rotation-off"}]}"#,
        ),
        good: Example::Document(
            r#"{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}, "KeyRotationEnabled": false, "Policy": "default",
 "Lint": [{"Code": "rotation-off", "Why": "the key is replaced every month"}]}"#,
        ),
        check: Check::Explanations,
    },
    Rule {
        code: "unused-explanation",
        severity: Severity::Warning,
        title: "an explanation of something that is not found",
        why: "What it explained is gone, or never was there: it would hide the next finding of its kind unseen.",
        advice: "remove it",
        source: "Keyward's own: `docs/lint.md`",
        bad: Example::Document(
            r#"{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}, "KeyRotationEnabled": true, "Policy": "default",
 "Lint": [{"Code": "rotation-off", "Why": "the key is replaced every month"}]}"#,
        ),
        good: Example::Document(
            r#"{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}, "KeyRotationEnabled": false, "Policy": "default",
 "Lint": [{"Code": "rotation-off", "Why": "the key is replaced every month"}]}"#,
        ),
        check: Check::Explanations,
    },
];

fn old_version(view: &PolicyView<'_>, report: &mut Report<'_>) {
    let ours = matches!(view.kind, PolicyKind::Key | PolicyKind::Identity);
    if ours && view.version() != Some("2012-10-17") {
        report.at(view.span(), "the policy is not of version 2012-10-17");
    }
}

fn duplicate_sid(view: &PolicyView<'_>, report: &mut Report<'_>) {
    let statements = view.statements();
    for (index, later) in statements.iter().enumerate() {
        let sid = later.compiled.sid.as_deref().filter(|sid| !sid.is_empty());
        let Some(sid) = sid else { continue };
        let mut earlier = statements.iter().take(index);
        if earlier.any(|other| other.compiled.sid.as_deref() == Some(sid)) {
            report.in_statement(
                later,
                later.span("Sid"),
                format!("`{sid}` names another statement too"),
            );
        }
    }
}

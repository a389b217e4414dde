//! Keys themselves.

use crate::engine::json::Json;
use crate::engine::kms::key_state::{KeyOrigin, KeySpec, KeyState};
use crate::engine::term::time::Timestamp;
use crate::lint::rule::{Check, Example, Rule, Severity};
use crate::lint::view::{KeyView, Report, member_span};

const DAY: i64 = 86_400;

/// Days after which a key is long-lived: the rotation period that KMS proposes.
const LONG: i64 = 365;

/// Days within which a use is recent.
const RECENT: i64 = 90;

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "rotation-off",
        severity: Severity::Warning,
        title: "a long-lived key without rotation",
        why: "Rotation limits how much is encrypted under one key material, and costs nothing: KMS keeps the old \
              material for decryption.",
        advice: "enable automatic rotation (`aws kms enable-key-rotation`)",
        source: "AWS KMS Developer Guide, \"Rotating AWS KMS keys\"; AWS Security Hub, KMS.4",
        bad: Example::Document(
            r#"{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1", "CreationDate": "2020-01-01T00:00:00Z"},
 "KeyRotationEnabled": false, "Policy": "default"}"#,
        ),
        good: Example::Document(
            r#"{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1", "CreationDate": "2020-01-01T00:00:00Z"},
 "KeyRotationEnabled": true, "Policy": "default"}"#,
        ),
        check: Check::Key(rotation_off),
    },
    Rule {
        code: "deleted-while-used",
        severity: Severity::Warning,
        title: "a key that is scheduled for deletion and was used lately",
        why: "When the waiting period ends, everything that the key encrypted is lost for ever.",
        advice: "cancel the deletion and disable the key first, to see what still needs it",
        source: "AWS KMS Developer Guide, \"Deleting AWS KMS keys\" (determine past usage of a KMS key)",
        bad: Example::Document(
            r#"{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1", "KeyState": "PendingDeletion"}, "Policy": "default",
 "KeyLastUsage": {"Timestamp": "2026-01-01T00:00:00Z"}}"#,
        ),
        good: Example::Document(
            r#"{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1", "KeyState": "PendingDeletion"}, "Policy": "default",
 "KeyLastUsage": {"Timestamp": "2020-01-01T00:00:00Z"}}"#,
        ),
        check: Check::Key(deleted_while_used),
    },
];

fn rotation_off(view: &KeyView<'_>, report: &mut Report<'_>) {
    let key = view.key;
    let off = view.json.member("KeyRotationEnabled").and_then(Json::as_bool) == Some(false);
    let rotates = key.spec == KeySpec::SymmetricDefault
        && key.origin == KeyOrigin::AwsKms
        && !key.custom_key_store
        && !matches!(key.state, KeyState::PendingDeletion | KeyState::PendingReplicaDeletion);
    let created = view.metadata.member("CreationDate").and_then(instant);
    // A key of unknown age counts as long-lived.
    let age = created.map(|at| (view.set.settings.now.seconds() - at.seconds()) / DAY);
    if off && rotates && age.is_none_or(|days| days >= LONG) {
        let old = age.map_or(String::new(), |days| format!(" after {days} days"));
        let span = member_span(view.json, &["KeyRotationEnabled"]);
        report.at(span, format!("automatic rotation is off{old}"));
    }
}

fn deleted_while_used(view: &KeyView<'_>, report: &mut Report<'_>) {
    let pending =
        matches!(view.key.state, KeyState::PendingDeletion | KeyState::PendingReplicaDeletion);
    // Without a time of use the key may only have been watched since lately.
    let used = view.json.member("KeyLastUsage").is_some_and(|usage| {
        let last = usage.member("KeyLastUsage").unwrap_or(usage);
        last.member("Timestamp").is_some()
    });
    let since = view.key.unused_since.filter(|_| used);
    let days = since.map(|at| (view.set.settings.now.seconds() - at.seconds()) / DAY);
    if let Some(days) = days.filter(|days| pending && *days < RECENT) {
        let span = member_span(view.metadata, &["KeyState", "Arn"]);
        report.at(span, format!("the key was used {days} days ago"));
    }
}

/// A date as the AWS command line prints it.
fn instant(json: &Json<'_>) -> Option<Timestamp> {
    match (json.as_text(), json.as_number()) {
        (Some(text), _) => Timestamp::parse(&text.replacen(' ', "T", 1)),
        (None, Some(number)) if number.contains('.') => Timestamp::parse(number),
        (None, Some(number)) => Timestamp::parse(&format!("{number}.0")),
        (None, None) => None,
    }
}

//! Conditions that say something else than they seem to.

use crate::engine::kms::action::Action;
use crate::engine::kms::condition_key::find;
use crate::engine::policy::condition::{BoolOperand, Condition, Quantifier, Test};
use crate::engine::term::condition_key::KeySource;
use crate::lint::rule::{Check, Example, Rule, Severity};
use crate::lint::view::{Report, StatementView, is};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "for-all-values-without-null",
        severity: Severity::SecurityWarning,
        title: "`ForAllValues` in an Allow, without `Null`",
        why: "`ForAllValues` also holds when the request does not have the condition key at all.",
        advice: "add `\"Null\": {\"KEY\": \"false\"}`",
        source: "IAM User Guide, \"Set operators for multivalued context keys\" (ForAllValues)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:Encrypt",
 "Resource": "*", "Condition": {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["app", "tenant"]}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:Encrypt",
 "Resource": "*", "Condition": {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["app", "tenant"]},
 "Null": {"kms:EncryptionContextKeys": "false"}}}"#,
        ),
        check: Check::Statement(for_all_values_without_null),
    },
    Rule {
        code: "overly-permissive-condition",
        severity: Severity::Error,
        title: "`ForAllValues` on encryption context or request tags",
        why: "It holds for every request that leaves the pair out. KMS refuses new key policies with it \
              (OverlyPermissiveCondition).",
        advice: "use the operator without `ForAllValues`",
        source: "AWS KMS Developer Guide, \"AWS KMS condition keys\" (kms:EncryptionContext:context-key)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:Encrypt",
 "Resource": "*", "Condition": {"ForAllValues:StringEquals": {"kms:EncryptionContext:app": "orders"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:Encrypt",
 "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:app": "orders"}}}"#,
        ),
        check: Check::Statement(overly_permissive_condition),
    },
    Rule {
        code: "multivalued-without-set-operator",
        severity: Severity::Warning,
        title: "a multivalued condition key without set operator",
        why: "What it means is not defined: here the statement never allows. A Deny of that kind is refused.",
        advice: "write `ForAnyValue:` or `ForAllValues:` (with `Null`) before the operator",
        source: "IAM User Guide, \"Single-valued vs. multivalued context keys\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:Encrypt",
 "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContextKeys": "app"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:Encrypt",
 "Resource": "*", "Condition": {"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "app"}}}"#,
        ),
        check: Check::Statement(multivalued_without_set_operator),
    },
    Rule {
        code: "set-operator-on-single-value",
        severity: Severity::Warning,
        title: "a set operator on a single-valued condition key",
        why: "The key has one value or none. `ForAllValues` adds nothing but that the condition also holds when there \
              is none; `ForAnyValue` adds nothing at all.",
        advice: "use the operator without set operator",
        source: "IAM User Guide, \"Single-valued vs. multivalued context keys\"; \"IAM Access Analyzer policy check reference\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"ForAllValues:StringEquals": {"kms:ViaService": "s3.us-west-2.amazonaws.com"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"kms:ViaService": "s3.us-west-2.amazonaws.com"}}}"#,
        ),
        check: Check::Statement(set_operator_on_single_value),
    },
    Rule {
        code: "tag-or-alias-in-key-policy",
        severity: Severity::Warning,
        title: "a condition on tags or aliases of the key, in a key policy",
        why: "`aws:ResourceTag/…` and `kms:ResourceAliases` count in IAM policies alone. In a key policy an Allow that \
              depends on them never applies here, and a Deny applies whichever way it is read.",
        advice: "put the condition into an IAM policy; a key policy knows which key it is on",
        source: "AWS KMS Developer Guide, \"ABAC for AWS KMS\"; \"AWS KMS condition keys\" (policy type)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/team": "orders"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalTag/team": "orders"}}}"#,
        ),
        check: Check::Statement(tag_or_alias_in_key_policy),
    },
    Rule {
        code: "if-exists-in-allow",
        severity: Severity::SecurityWarning,
        title: "an Allow whose condition passes when the key is absent",
        why: "`…IfExists` and negated operators hold when the request does not have the condition key: a direct call \
              without service, source or context passes.",
        advice: "use the positive operator, or add `\"Null\": {\"KEY\": \"false\"}`",
        source: "IAM User Guide, \"Condition operators\" (…IfExists condition operators)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:Encrypt",
 "Resource": "*", "Condition": {"StringEqualsIfExists": {"kms:ViaService": "s3.us-west-2.amazonaws.com"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:Encrypt",
 "Resource": "*", "Condition": {"StringEquals": {"kms:ViaService": "s3.us-west-2.amazonaws.com"}}}"#,
        ),
        check: Check::Statement(if_exists_in_allow),
    },
    Rule {
        code: "network-deny-hits-services",
        severity: Severity::Warning,
        title: "a Deny by address or endpoint that also hits AWS services",
        why: "Services that use the key on behalf of a principal do not come from its network: the Deny breaks EBS, S3 \
              and the like.",
        advice: "exempt them with `\"BoolIfExists\": {\"aws:ViaAWSService\": \"false\"}` (and \
                 `aws:PrincipalIsAWSService`)",
        source: "AWS KMS Developer Guide, \"Using the IP address condition in policies with AWS KMS permissions\"",
        bad: Example::Statement(
            r#"{"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
 "Condition": {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
 "Condition": {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}, "Bool": {"aws:ViaAWSService": "false"}}}"#,
        ),
        check: Check::Statement(network_deny_hits_services),
    },
    Rule {
        code: "mfa-deny-misses-keys",
        severity: Severity::SecurityWarning,
        title: "a Deny without MFA that long-term credentials escape",
        why: "Requests with long-term access keys do not have `aws:MultiFactorAuthPresent`, so that `Bool` … `false` \
              does not match them, and the Deny does not hit.",
        advice: "write `BoolIfExists`",
        source: "IAM User Guide, \"AWS global condition context keys\" (aws:MultiFactorAuthPresent)",
        bad: Example::Statement(
            r#"{"Effect": "Deny", "Principal": "*", "Action": "kms:DisableKey", "Resource": "*",
 "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "false"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Deny", "Principal": "*", "Action": "kms:DisableKey", "Resource": "*",
 "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}}"#,
        ),
        check: Check::Statement(mfa_deny_misses_keys),
    },
];

/// Condition keys that a request may well be without, and that Allows are narrowed by.
const OPTIONAL: [&str; 10] = [
    "kms:ViaService",
    "kms:EncryptionContext:",
    "kms:RequestAlias",
    "aws:SourceArn",
    "aws:SourceAccount",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:SourceIp",
    "aws:PrincipalOrgID",
    "aws:PrincipalTag/",
];

const NETWORK: [&str; 4] = ["aws:SourceIp", "aws:SourceVpc", "aws:SourceVpce", "aws:VpcSourceIp"];

/// What tells that a service acts.
const BY_SERVICE: [&str; 8] = [
    "aws:ViaAWSService",
    "aws:PrincipalIsAWSService",
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
    "aws:PrincipalServiceName",
    "kms:ViaService",
    "kms:GrantIsForAWSResource",
];

fn is_multivalued(condition: &Condition) -> bool {
    find(&condition.key.name).is_some_and(|row| row.multivalued)
}

/// Whether another condition demands that the key is there.
fn demanded(view: &StatementView<'_>, condition: &Condition) -> bool {
    view.compiled.conditions.iter().any(|other| {
        let same = other.key.is(&condition.key.name);
        let present = match &other.test {
            Test::Null(operands) => operands.iter().all(|absent| !absent),
            _ => !other.negated && !other.if_exists && other.quantifier != Quantifier::ForAll,
        };
        same && present
    })
}

/// Whether the names of the encryption context are tested beside one of its pairs, which must be
/// there.
fn has_pair(view: &StatementView<'_>, condition: &Condition) -> bool {
    condition.key.source == KeySource::EncryptionContextKeys
        && view.is_narrowed_by(&["kms:EncryptionContext:"])
}

/// The operations of a new grant are never absent.
fn is_never_absent(view: &StatementView<'_>, condition: &Condition) -> bool {
    condition.key.source == KeySource::GrantOperations
        && view.compiled.actions.iter().all(|action| action == Action::CreateGrant)
}

fn is_user_chosen(condition: &Condition) -> bool {
    matches!(condition.key.source, KeySource::EncryptionContext | KeySource::RequestTag)
}

fn for_all_values_without_null(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.allows() {
        return;
    }
    for one in view.conditions() {
        let condition = one.condition;
        if condition.quantifier == Quantifier::ForAll
            && is_multivalued(condition)
            && !is_never_absent(view, condition)
            && !demanded(view, condition)
            && !has_pair(view, condition)
        {
            let message = format!("it also holds for requests without `{}`", condition.key.name);
            report
                .at(one.operator, message)
                .help(format!("add `\"Null\": {{\"{}\": \"false\"}}`", condition.key.name));
        }
    }
}

fn overly_permissive_condition(view: &StatementView<'_>, report: &mut Report<'_>) {
    for one in view.conditions() {
        if one.condition.quantifier == Quantifier::ForAll && is_user_chosen(one.condition) {
            let message =
                format!("it also holds for requests without `{}`", one.condition.key.name);
            report.at(one.operator, message);
        }
    }
}

fn multivalued_without_set_operator(view: &StatementView<'_>, report: &mut Report<'_>) {
    for one in view.conditions() {
        let bare = one.condition.quantifier == Quantifier::None
            && !matches!(one.condition.test, Test::Null(_));
        if bare && is_multivalued(one.condition) {
            let message = format!("`{}` may have several values", one.condition.key.name);
            report.at(one.operator, message);
        }
    }
}

fn set_operator_on_single_value(view: &StatementView<'_>, report: &mut Report<'_>) {
    for one in view.conditions() {
        let single = find(&one.condition.key.name).is_some_and(|row| !row.multivalued);
        if one.condition.quantifier != Quantifier::None && single && !is_user_chosen(one.condition)
        {
            let message = format!("`{}` has one value at most", one.condition.key.name);
            let raw = report.at(one.operator, message);
            if view.allows() && one.condition.quantifier == Quantifier::ForAll {
                raw.severity(Severity::SecurityWarning);
            }
        }
    }
}

fn tag_or_alias_in_key_policy(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.in_key_policy() {
        return;
    }
    for one in view.conditions() {
        if one.condition.keys().any(|key| key.is_abac()) {
            report.at(one.span, "key policies cannot depend on tags or aliases of the key");
        }
    }
}

fn if_exists_in_allow(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !(view.opens_key() || view.allows_identity()) || !view.is_kms_only() {
        return;
    }
    for one in view.conditions() {
        let condition = one.condition;
        let optional = OPTIONAL.iter().any(|name| is(condition, name));
        let passes = condition.if_exists || condition.negated;
        if optional && passes && !demanded(view, condition) {
            let message = format!("requests without `{}` pass", condition.key.name);
            report.at(one.span, message);
        }
    }
}

fn network_deny_hits_services(view: &StatementView<'_>, report: &mut Report<'_>) {
    let exempted = view
        .compiled
        .conditions
        .iter()
        .any(|condition| BY_SERVICE.iter().any(|name| is(condition, name)));
    if view.allows() || exempted || view.compiled.actions.is_empty() {
        return;
    }
    for one in view.conditions() {
        let negated = one.condition.negated;
        if negated && NETWORK.iter().any(|name| is(one.condition, name)) {
            report.at(one.span, "AWS services that act for a principal are denied too");
        }
    }
}

fn mfa_deny_misses_keys(view: &StatementView<'_>, report: &mut Report<'_>) {
    for one in view.conditions() {
        let condition = one.condition;
        let no_mfa = match &condition.test {
            Test::Bool(operands) => operands.contains(&BoolOperand::Literal(false)),
            _ => false,
        };
        if !view.allows()
            && no_mfa
            && !condition.if_exists
            && is(condition, "aws:MultiFactorAuthPresent")
        {
            report.at(one.operator, "requests with long-term access keys are not denied");
        }
    }
}

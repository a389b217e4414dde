//! Names and values that no request has.

use crate::engine::kms::action::Action;
use crate::engine::kms::condition_key::{CONDITION_KEYS, find};
use crate::engine::kms::key_state::{KeyOrigin, KeySpec, KeyUsage, MultiRegionKeyType};
use crate::engine::policy::condition::{Condition, Test};
use crate::engine::policy::template::Template;
use crate::engine::term::account::AccountId;
use crate::engine::term::condition_key::KeySource;
use crate::lint::rule::{Check, Example, Rule, Severity};
use crate::lint::view::{Report, StatementView};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "unknown-condition-key",
        severity: Severity::Warning,
        title: "a condition key that AWS does not have",
        why: "No request has the key: with most operators the statement never matches, with the others the condition \
              limits nothing.",
        advice: "spell it as in the documentation",
        source: "AWS KMS Developer Guide, \"AWS KMS condition keys\"; IAM User Guide, \"AWS global condition context keys\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"kms:ViaServices": "s3.us-west-2.amazonaws.com"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"kms:ViaService": "s3.us-west-2.amazonaws.com"}}}"#,
        ),
        check: Check::Statement(unknown_condition_key),
    },
    Rule {
        code: "wrong-case-value",
        severity: Severity::Warning,
        title: "a value in the wrong case",
        why: "`StringEquals` and `StringLike` heed case, and KMS writes this value otherwise: the condition is never \
              met.",
        advice: "write the value as KMS writes it",
        source: "IAM User Guide, \"Condition operators\" (string condition operators are case-sensitive)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"kms:KeyOrigin": "aws_kms"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}}}"#,
        ),
        check: Check::Statement(wrong_case_value),
    },
    Rule {
        code: "unknown-value",
        severity: Severity::Warning,
        title: "a value that the condition key never has",
        why: "The condition key has a few values, or values of one form, and this is none of them.",
        advice: "see the values of the condition key in the documentation",
        source: "AWS KMS Developer Guide, \"AWS KMS condition keys\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"kms:ViaService": "s3"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"kms:ViaService": "s3.us-west-2.amazonaws.com"}}}"#,
        ),
        check: Check::Statement(unknown_value),
    },
    Rule {
        code: "wildcard-without-like",
        severity: Severity::Warning,
        title: "a wildcard that the operator takes literally",
        why: "`StringEquals` compares `*` and `?` as characters: only a value that has them matches.",
        advice: "use `StringLike` (or `ArnLike`)",
        source: "IAM User Guide, \"Condition operators\" (string condition operators)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringEquals": {"kms:RequestAlias": "alias/orders-*"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*", "Condition": {"StringLike": {"kms:RequestAlias": "alias/orders-*"}}}"#,
        ),
        check: Check::Statement(wildcard_without_like),
    },
    Rule {
        code: "variable-in-old-version",
        severity: Severity::Warning,
        title: "a policy variable in a policy of the old version",
        why: "Before version 2012-10-17 `${…}` is plain text, which no value equals.",
        advice: "write `\"Version\": \"2012-10-17\"`",
        source: "IAM User Guide, \"IAM JSON policy elements: Version\"",
        bad: Example::Policy(
            r#"{"Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:role/Reader"}, "Action": "kms:Encrypt", "Resource": "*",
   "Condition": {"StringEquals": {"kms:EncryptionContext:user": "${aws:username}"}}}]}"#,
        ),
        good: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:role/Reader"}, "Action": "kms:Encrypt", "Resource": "*",
   "Condition": {"StringEquals": {"kms:EncryptionContext:user": "${aws:username}"}}}]}"#,
        ),
        check: Check::Statement(variable_in_old_version),
    },
    Rule {
        code: "session-as-principal-arn",
        severity: Severity::Warning,
        title: "the ARN of a role session in `aws:PrincipalArn`",
        why: "For a session `aws:PrincipalArn` is the ARN of its role (`…:role/Name`, with its path): the ARN of a \
              session never matches.",
        advice: "write the ARN of the role",
        source: "IAM User Guide, \"AWS global condition context keys\" (aws:PrincipalArn)",
        bad: Example::Statement(
            r#"{"Effect": "Deny", "Principal": "*", "Action": "kms:DisableKey", "Resource": "*",
 "Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:sts::111122223333:assumed-role/App/*"}}}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Deny", "Principal": "*", "Action": "kms:DisableKey", "Resource": "*",
 "Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/App"}}}"#,
        ),
        check: Check::Statement(session_as_principal_arn),
    },
];

/// A Deny that never matches is worse than an Allow: someone relies on it.
fn never(view: &StatementView<'_>) -> Severity {
    if view.allows() { Severity::Warning } else { Severity::SecurityWarning }
}

fn unknown_condition_key(view: &StatementView<'_>, report: &mut Report<'_>) {
    for one in view.conditions() {
        let name = &one.condition.key.name;
        let of_aws = ["kms:", "aws:"]
            .iter()
            .any(|prefix| name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(prefix)));
        if !of_aws || find(name).is_some() || !view.is_kms_only() {
            continue;
        }
        let raw = report.at(one.span, format!("AWS has no condition key `{name}`"));
        raw.severity(never(view));
        let known = CONDITION_KEYS.iter().map(|row| row.name);
        let start = name.to_lowercase();
        if start.starts_with("kms:encryptioncontext") {
            raw.help("write `kms:EncryptionContext:NAME`, or `kms:EncryptionContextKeys`");
        } else if let Some(near) = super::nearest(name, known) {
            raw.help(format!("did you mean `{near}`?"));
        }
    }
}

/// What a condition key can be.
enum Values {
    /// One of these.
    These(Vec<&'static str>),
    /// A text of this form.
    Form(fn(&str) -> bool, &'static str),
}

const ENCRYPTION_ALGORITHMS: [&str; 4] =
    ["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"];
const SIGNING_ALGORITHMS: [&str; 13] = [
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "ECDSA_SHA_256",
    "ECDSA_SHA_384",
    "ECDSA_SHA_512",
    "SM2DSA",
    "ML_DSA_SHAKE_256",
    "ED25519_SHA_512",
    "ED25519_PH_SHA_512",
];
const MAC_ALGORITHMS: [&str; 4] = ["HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512"];
const WRAPPING_ALGORITHMS: [&str; 6] = [
    "RSAES_PKCS1_V1_5",
    "RSAES_OAEP_SHA_1",
    "RSAES_OAEP_SHA_256",
    "RSA_AES_KEY_WRAP_SHA_1",
    "RSA_AES_KEY_WRAP_SHA_256",
    "SM2PKE",
];

/// The values of condition keys that have few.
///
/// Source: AWS KMS API Reference (the values of each parameter); IAM User Guide, "AWS global
/// condition context keys" (aws:PrincipalType).
fn values(source: KeySource) -> Option<Values> {
    use KeySource as S;
    let these = |names: &[&'static str]| Some(Values::These(names.to_vec()));
    match source {
        S::KeySpec | S::CustomerMasterKeySpec => these(KeySpec::NAMES),
        S::DataKeyPairSpec => these(KeySpec::NAMES),
        S::KeyUsage | S::CustomerMasterKeyUsage => these(KeyUsage::NAMES),
        S::KeyOrigin => these(KeyOrigin::NAMES),
        S::MultiRegionKeyType => these(MultiRegionKeyType::NAMES),
        S::EncryptionAlgorithm => these(&ENCRYPTION_ALGORITHMS),
        S::SigningAlgorithm => these(&SIGNING_ALGORITHMS),
        S::MacAlgorithm => these(&MAC_ALGORITHMS),
        S::WrappingAlgorithm => these(&WRAPPING_ALGORITHMS),
        S::WrappingKeySpec => these(&["RSA_2048", "RSA_3072", "RSA_4096", "SM2"]),
        S::KeyAgreementAlgorithm => these(&["ECDH"]),
        S::MessageType => these(&["RAW", "DIGEST", "EXTERNAL_MU"]),
        S::ExpirationModel => these(&["KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"]),
        S::GrantConstraintType => these(&["EncryptionContextEquals", "EncryptionContextSubset"]),
        S::GrantOperations => {
            let grantable = Action::ALL.iter().filter(|action| action.grantable());
            Some(Values::These(grantable.map(|action| action.bare()).collect()))
        }
        S::PolicyName => these(&["default", "AWS_RAM"]),
        S::PrincipalType => {
            these(&["Account", "User", "FederatedUser", "AssumedRole", "Anonymous"])
        }
        S::CallerAccount | S::PrincipalAccount | S::ResourceAccount => Some(Values::Form(
            |text| AccountId::parse(text).is_some(),
            "an account of twelve digits",
        )),
        S::ViaService => Some(Values::Form(is_via_service, "`SERVICE.REGION.amazonaws.com`")),
        S::RequestAlias | S::ResourceAliases => {
            Some(Values::Form(|text| text.starts_with("alias/"), "an alias name, `alias/…`"))
        }
        _ => None,
    }
}

/// Source: AWS KMS Developer Guide, "AWS KMS condition keys" (kms:ViaService).
fn is_via_service(text: &str) -> bool {
    let name = text.strip_suffix(".amazonaws.com").unwrap_or_default();
    let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    name.contains('.') && name.chars().all(lower)
}

/// The literal operands of a positive condition that heeds case.
fn literals(condition: &Condition) -> Vec<Option<&str>> {
    let Test::Text(templates) = &condition.test else { return Vec::new() };
    let mut literals = Vec::with_capacity(templates.len());
    for template in templates {
        literals.push(if let Template::Literal(text) = template { Some(&**text) } else { None });
    }
    literals
}

/// Has `found` look at each literal operand that is no value of its condition key, with the value
/// that differs in case alone, if there is one.
fn each_wrong(
    view: &StatementView<'_>,
    mut found: impl FnMut(&Condition, &str, crate::engine::json::Span, Option<&'static str>, &Values),
) {
    for one in view.conditions() {
        let Some(values) = values(one.condition.key.source) else { continue };
        for (literal, (_, span)) in literals(one.condition).into_iter().zip(&one.values) {
            // A wildcard where none counts has a finding of its own.
            let Some(literal) = literal.filter(|text| !text.contains(['*', '?', '$'])) else {
                continue;
            };
            match &values {
                Values::These(names) if names.contains(&literal) => {}
                Values::These(names) => {
                    let same = names.iter().find(|name| name.eq_ignore_ascii_case(literal));
                    found(one.condition, literal, *span, same.copied(), &values);
                }
                Values::Form(fits, _) if fits(literal) => {}
                Values::Form(..) => found(one.condition, literal, *span, None, &values),
            }
        }
    }
}

fn wrong_case_value(view: &StatementView<'_>, report: &mut Report<'_>) {
    each_wrong(view, |condition, literal, span, same, _| {
        if let Some(right) = same {
            let name = &condition.key.name;
            let message = format!("`{name}` is never `{literal}`: case counts");
            report.at(span, message).severity(never(view)).help(format!("write `{right}`"));
        }
    });
}

fn unknown_value(view: &StatementView<'_>, report: &mut Report<'_>) {
    each_wrong(view, |condition, literal, span, same, values| {
        if same.is_some() {
            return;
        }
        let help = match values {
            Values::These(names) => format!("values are {}", names.join(", ")),
            Values::Form(_, form) => format!("expected {form}"),
        };
        let message = format!("`{}` is never `{literal}`", condition.key.name);
        report.at(span, message).severity(never(view)).help(help);
    });
}

fn wildcard_without_like(view: &StatementView<'_>, report: &mut Report<'_>) {
    for one in view.conditions() {
        // An encryption context may hold any character.
        let free = one.condition.key.source == KeySource::EncryptionContext;
        let literal = matches!(one.condition.test, Test::Text(_) | Test::TextFolded(_))
            && !one.condition.operator.contains("Like");
        if !literal {
            continue;
        }
        for (text, span) in &one.values {
            let alone = text.contains('*') || (text.contains('?') && !free);
            if alone && !text.contains("${*}") && !text.contains("${?}") {
                let operator = &one.condition.operator;
                report.at(*span, format!("`{operator}` takes the wildcard in `{text}` literally"));
            }
        }
    }
}

fn variable_in_old_version(view: &StatementView<'_>, report: &mut Report<'_>) {
    if view.of.version() == Some("2012-10-17") {
        return;
    }
    let conditions = view.conditions();
    let operands =
        conditions.iter().flat_map(|one| one.values.iter().map(|(text, span)| (&**text, *span)));
    for (text, span) in operands.chain(view.texts("Resource")) {
        if text.contains("${") {
            report.at(span, "it is plain text here: the policy is not of version 2012-10-17");
        }
    }
}

fn session_as_principal_arn(view: &StatementView<'_>, report: &mut Report<'_>) {
    for one in view.conditions() {
        if one.condition.key.source != KeySource::PrincipalArn {
            continue;
        }
        for (text, span) in &one.values {
            if text.starts_with("arn:") && text.contains(":assumed-role/") {
                report.at(*span, "`aws:PrincipalArn` is never the ARN of a role session");
            }
        }
    }
}

//! Operators against values, as the tables of the IAM User Guide have them.

use crate::engine::bundle::Limits;
use crate::engine::evaluation::Evaluation;
use crate::engine::json::{Source, read};
use crate::engine::policy::{Policy, PolicyKind, compile};
use crate::engine::problem::Problem;
use crate::engine::term::condition_key::ConditionKey;
use crate::engine::term::truth::Truth::{self, False, True, Unsure};
use crate::engine::term::values::{Context, Many, Scalar, Values};

/// A request in which every key of the test has the same values.
struct Has<'a>(Values<'a>);

impl Context for Has<'_> {
    fn values<'v>(&'v self, key: &'v ConditionKey) -> Values<'v> {
        match &*key.name {
            "aws:PrincipalTag/team" => Values::One(Scalar::Text("blue")),
            "aws:PrincipalTag/none" => Values::Absent,
            _ => self.0,
        }
    }
}

fn policy(condition: &str, effect: &str) -> (Option<Policy>, Vec<Problem>) {
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":"kms:*","Resource":"*","Condition":{condition}}}]}}"#
    );
    let mut problems = Vec::new();
    let source = Source::new("p".into(), &text);
    let json = read(&source, &Limits::default(), &mut problems).expect("JSON");
    (compile(PolicyKind::Identity, &json, &source, &mut problems), problems)
}

#[track_caller]
fn check(operator: &str, operand: &str, values: Values<'_>, expected: Truth) {
    check_key("aws:SourceArn", operator, operand, values, expected);
}

#[track_caller]
fn check_key(key: &str, operator: &str, operand: &str, values: Values<'_>, expected: Truth) {
    let (policy, problems) = policy(&format!(r#"{{"{operator}":{{"{key}":{operand}}}}}"#), "Allow");
    let policy = policy.unwrap_or_else(|| panic!("{problems:?}"));
    let condition = &policy.statements().next().unwrap().conditions[0];
    let found = condition.holds(&Has(values), &Evaluation::default());
    assert_eq!(found, expected, "{operator} {operand} on {values:?}");
}

#[track_caller]
fn one(operator: &str, operand: &str, value: &str, expected: Truth) {
    check(operator, operand, Values::text(Some(value)), expected);
}

#[track_caller]
fn many(operator: &str, operand: &str, values: &[&str], expected: Truth) {
    check(operator, operand, Values::texts(values), expected);
}

#[test]
fn texts() {
    one("StringEquals", r#""a""#, "a", True);
    one("StringEquals", r#""a""#, "A", False);
    one("StringEquals", r#"["b","a"]"#, "a", True);
    one("StringEquals", r#""a*""#, "a*", True);
    one("StringEquals", r#""a*""#, "ab", False);
    one("StringNotEquals", r#"["a","b"]"#, "b", False);
    one("StringNotEquals", r#"["a","b"]"#, "c", True);
    one("StringEqualsIgnoreCase", r#""Äb""#, "äB", True);
    one("StringNotEqualsIgnoreCase", r#""AB""#, "ab", False);
    one("StringLike", r#""*""#, "*x", True);
    one("StringLike", r#""a?c*""#, "abcd", True);
    one("StringNotLike", r#""a*""#, "b", True);
    one("StringEquals", r#""""#, "", True);
    one("StringEquals", "12", "12", True);
    one("StringEquals", "true", "true", True);
    one("StringEquals", r#""${aws:PrincipalTag/team}""#, "blue", True);
    one("StringEquals", r#""${aws:PrincipalTag/none}""#, "", False);
    one("StringNotEquals", r#""${aws:PrincipalTag/none}""#, "x", True);
    one("StringEqualsIgnoreCase", r#""x${aws:PrincipalTag/team}""#, "XBLUE", True);
}

#[test]
fn numbers() {
    one("NumericEquals", r#""180.0""#, "180", True);
    one("NumericNotEquals", "180", "181", True);
    one("NumericLessThan", r#""10""#, "9", True);
    one("NumericLessThanEquals", r#""9""#, "9", True);
    one("NumericGreaterThan", r#""9""#, "10", True);
    one("NumericGreaterThanEquals", r#""10.5""#, "10.4", False);
    one("NumericEquals", r#""1""#, "one", False);
    one("NumericNotEquals", r#""1""#, "one", Unsure);
}

#[test]
fn dates() {
    one("DateEquals", r#""2026-01-01T00:00:00Z""#, "2026-01-01T01:00:00+01:00", True);
    one("DateNotEquals", r#""2026-01-01""#, "2026-01-02", True);
    one("DateLessThan", r#""1760400000""#, "2025-10-13T23:59:59Z", True);
    one("DateLessThanEquals", r#""2026""#, "2026-01-01T00:00:00Z", True);
    one("DateGreaterThan", r#""2026-01-01""#, "2026-01-01T00:00:00Z", False);
    one("DateGreaterThanEquals", r#""2026-01-01""#, "2026-01-01T00:00:00Z", True);
    one("DateNotEquals", r#""2026-01-01""#, "soon", Unsure);
    check("DateEquals", r#""12""#, Values::One(Scalar::Integer(12)), True);
}

#[test]
fn truth_values_bytes_and_addresses() {
    one("Bool", r#""TRUE""#, "true", True);
    one("Bool", "false", "False", True);
    one("Bool", "true", "yes", False);
    check("Bool", "true", Values::One(Scalar::Bool(true)), True);
    one("BinaryEquals", r#""QmFzZTY0""#, "QmFzZTY0", True);
    one("BinaryEquals", r#""QmFzZTY0""#, "QmFzZTY1", False);
    one("IpAddress", r#"["10.0.0.0/8","203.0.113.5"]"#, "203.0.113.5", True);
    one("NotIpAddress", r#""10.0.0.0/8""#, "10.1.2.3", False);
    one("NotIpAddress", r#""10.0.0.0/8""#, "not an address", Unsure);
}

#[test]
fn arns() {
    let arn = "arn:aws:iam::111122223333:role/team/App";
    one("ArnEquals", r#""arn:aws:iam::*:role/*""#, arn, True);
    one("ArnLike", r#""arn:aws:iam::111122223333:role/App""#, arn, False);
    one("ArnNotLike", r#""arn:aws:iam::444455556666:*""#, arn, True);
    one("ArnNotEquals", r#""arn:aws:iam::111122223333:role/team/App""#, arn, False);
    one("ArnLike", r#""arn:aws:iam::1:x""#, "no arn", False);
    one("ArnNotLike", r#""arn:aws:iam::1:x""#, "no arn", Unsure);
}

#[test]
fn absent_keys() {
    check("StringEquals", r#""a""#, Values::Absent, False);
    check("StringNotEquals", r#""a""#, Values::Absent, True);
    check("StringEqualsIfExists", r#""a""#, Values::Absent, True);
    check("StringNotEqualsIfExists", r#""a""#, Values::Absent, True);
    check("Null", r#""true""#, Values::Absent, True);
    check("Null", r#""false""#, Values::Absent, False);
    check("ForAllValues:StringEquals", r#""a""#, Values::Absent, True);
    check("ForAllValues:StringNotEquals", r#""a""#, Values::Absent, Unsure);
    check("ForAnyValue:StringEquals", r#""a""#, Values::Absent, False);
    check("ForAnyValue:StringNotEquals", r#""a""#, Values::Absent, False);
    check("ForAnyValue:StringEqualsIfExists", r#""a""#, Values::Absent, Unsure);
}

#[test]
fn present_and_empty() {
    one("Null", "true", "x", False);
    one("Null", "false", "x", True);
    one("Null", "false", "", False);
    one("Null", "true", "", Unsure);
    one("ForAllValues:StringEquals", r#""a""#, "", True);
    one("ForAnyValue:StringEquals", r#""""#, "", False);
}

#[test]
fn several_values() {
    many("StringEquals", r#""a""#, &["a"], Unsure);
    many("StringNotEquals", r#""a""#, &["b"], Unsure);
    many("ForAllValues:StringEquals", r#"["a","b"]"#, &["a", "b"], True);
    many("ForAllValues:StringEquals", r#"["a","b"]"#, &["a", "c"], False);
    many("ForAnyValue:StringEquals", r#"["a"]"#, &["c", "a"], True);
    many("ForAnyValue:StringNotEquals", r#"["a"]"#, &["a"], False);
    many("ForAllValues:StringNotEquals", r#"["a"]"#, &["b", "a"], False);
    many("Null", "true", &["a"], False);
}

#[test]
fn tags_that_differ_in_case_must_agree() {
    let both = || Values::Each(Many::Texts(&["A", "B"]));
    check("StringEquals", r#""A""#, both(), Unsure);
    check("StringEquals", r#"["A","B"]"#, both(), True);
    check("StringEquals", r#""C""#, both(), False);
    check("StringNotEquals", r#""A""#, both(), Unsure);
    check("StringNotEquals", r#""C""#, both(), True);
    check("StringNotEquals", r#"["A","B"]"#, both(), False);
    check("NumericNotEquals", r#""1""#, both(), Unsure);
}

#[test]
fn pairs_that_differ_in_case_must_all_fit() {
    let both = || Values::Each(Many::Texts(&["A", "B"]));
    let pairs = |operator: &str, operand: &str, expected: Truth| {
        check_key("kms:EncryptionContext:team", operator, operand, both(), expected);
    };
    pairs("StringEquals", r#""A""#, False);
    pairs("StringEquals", r#"["A","B"]"#, True);
    pairs("StringNotEquals", r#""A""#, False);
    pairs("StringNotEquals", r#""C""#, True);
}

#[test]
fn what_nobody_knows_is_unsure() {
    check("StringEquals", r#""A""#, Values::Unknown, Unsure);
    check("Null", "true", Values::Unknown, Unsure);
    check("ForAllValues:StringLike", r#""*""#, Values::Unknown, Unsure);
}

#[track_caller]
fn refused(condition: &str, effect: &str, code: &str) {
    let (policy, problems) = policy(condition, effect);
    assert!(policy.is_none(), "{condition}");
    assert_eq!(
        problems.iter().map(|problem| problem.code).collect::<Vec<_>>(),
        [code],
        "{condition}"
    );
}

#[test]
fn bad_conditions_are_refused() {
    refused(r#"[]"#, "Allow", "bad-condition");
    refused(r#"{"StringEquals":[]}"#, "Allow", "bad-condition");
    refused(r#"{"StringEqual":{"aws:x":"a"}}"#, "Allow", "bad-operator");
    refused(r#"{"stringequals":{"aws:SourceIp":"a"}}"#, "Allow", "bad-operator");
    refused(r#"{"NullIfExists":{"aws:SourceIp":"true"}}"#, "Allow", "bad-operator");
    refused(r#"{"ForAnyValue:Null":{"aws:SourceIp":"true"}}"#, "Allow", "bad-operator");
    refused(r#"{"StringEquals":{"tenant":"a"}}"#, "Allow", "bad-condition-key");
    refused(r#"{"StringEquals":{"aws:SourceIp":[]}}"#, "Allow", "empty-element");
    refused(r#"{"StringEquals":{"aws:SourceIp":null}}"#, "Allow", "wrong-type");
    refused(r#"{"NumericEquals":{"aws:SourceIp":"1e3"}}"#, "Allow", "bad-operand");
    refused(r#"{"DateEquals":{"aws:CurrentTime":"soon"}}"#, "Allow", "bad-operand");
    refused(r#"{"Bool":{"aws:SecureTransport":"maybe"}}"#, "Allow", "bad-operand");
    refused(r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}"#, "Allow", "bad-operand");
    refused(r#"{"BinaryEquals":{"saml:x":"%%"}}"#, "Allow", "bad-operand");
    refused(r#"{"Null":{"aws:SourceIp":"perhaps"}}"#, "Allow", "bad-operand");
    refused(r#"{"StringEquals":{"aws:SourceIp":"${aws:"}}"#, "Allow", "bad-variable");
    refused(
        r#"{"StringEquals":{"kms:GrantOperations":"Decrypt"}}"#,
        "Deny",
        "multivalued-without-set-operator",
    );
}

#[test]
fn doubtful_conditions_are_warned_of() {
    let warned = |condition: &str| -> Vec<&'static str> {
        let (policy, problems) = policy(condition, "Allow");
        assert!(policy.is_some(), "{condition}: {problems:?}");
        problems.iter().map(|problem| problem.code).collect()
    };
    assert_eq!(warned(r#"{"StringEquals":{"kms:NoSuchKey":"a"}}"#)[0], "unknown-condition-key");
    assert_eq!(
        warned(r#"{"StringEquals":{"kms:GrantOperations":"Decrypt"}}"#),
        ["multivalued-without-set-operator"]
    );
    assert_eq!(
        warned(r#"{"ForAllValues:StringEquals":{"kms:EncryptionContext:a":"b"}}"#),
        ["overly-permissive-condition"]
    );
}

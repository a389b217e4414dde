//! Condition blocks: from JSON to conditions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::address::AddressRange;
use super::number::Decimal;
use super::operand::truth_value;
use super::{BoolOperand, Comparison, Condition, Quantifier, Test};
use crate::engine::json::{Json, Member, Value};
use crate::engine::kms::condition_key::find;
use crate::engine::policy::arn_pattern::ArnTemplate;
use crate::engine::policy::document::{Reader, texts_of};
use crate::engine::policy::statement::Effect;
use crate::engine::policy::template::{Syntax, Template};
use crate::engine::term::condition_key::{ConditionKey, KeySource};
use crate::engine::term::time::Timestamp;

/// What an operator tests, its prefix and suffix aside.
#[derive(Clone, Copy)]
enum Kind {
    Text { fold: bool, like: bool },
    Number(Comparison),
    Date(Comparison),
    Bool,
    Binary,
    Address,
    Arn,
    Null,
}

/// Operators without prefix and suffix; the flag says whether the operator is a negation.
///
/// Source: IAM User Guide, "Condition operators".
const OPERATORS: [(&str, Kind, bool); 27] = [
    ("StringEquals", Kind::Text { fold: false, like: false }, false),
    ("StringNotEquals", Kind::Text { fold: false, like: false }, true),
    ("StringEqualsIgnoreCase", Kind::Text { fold: true, like: false }, false),
    ("StringNotEqualsIgnoreCase", Kind::Text { fold: true, like: false }, true),
    ("StringLike", Kind::Text { fold: false, like: true }, false),
    ("StringNotLike", Kind::Text { fold: false, like: true }, true),
    ("NumericEquals", Kind::Number(Comparison::Equal), false),
    ("NumericNotEquals", Kind::Number(Comparison::Equal), true),
    ("NumericLessThan", Kind::Number(Comparison::Less), false),
    ("NumericLessThanEquals", Kind::Number(Comparison::LessOrEqual), false),
    ("NumericGreaterThan", Kind::Number(Comparison::Greater), false),
    ("NumericGreaterThanEquals", Kind::Number(Comparison::GreaterOrEqual), false),
    ("DateEquals", Kind::Date(Comparison::Equal), false),
    ("DateNotEquals", Kind::Date(Comparison::Equal), true),
    ("DateLessThan", Kind::Date(Comparison::Less), false),
    ("DateLessThanEquals", Kind::Date(Comparison::LessOrEqual), false),
    ("DateGreaterThan", Kind::Date(Comparison::Greater), false),
    ("DateGreaterThanEquals", Kind::Date(Comparison::GreaterOrEqual), false),
    ("Bool", Kind::Bool, false),
    ("BinaryEquals", Kind::Binary, false),
    ("IpAddress", Kind::Address, false),
    ("NotIpAddress", Kind::Address, true),
    ("ArnEquals", Kind::Arn, false),
    ("ArnNotEquals", Kind::Arn, true),
    ("ArnLike", Kind::Arn, false),
    ("ArnNotLike", Kind::Arn, true),
    ("Null", Kind::Null, false),
];

struct Operator<'a> {
    name: &'a str,
    quantifier: Quantifier,
    if_exists: bool,
    negated: bool,
    kind: Kind,
}

fn operator(name: &str) -> Option<Operator<'_>> {
    let (quantifier, rest) = if let Some(rest) = name.strip_prefix("ForAllValues:") {
        (Quantifier::ForAll, rest)
    } else if let Some(rest) = name.strip_prefix("ForAnyValue:") {
        (Quantifier::ForAny, rest)
    } else {
        (Quantifier::None, name)
    };
    let (if_exists, base) = match rest.strip_suffix("IfExists") {
        Some(base) => (true, base),
        None => (false, rest),
    };
    let (_, kind, negated) = OPERATORS.iter().find(|(text, ..)| *text == base)?;
    let plain = quantifier == Quantifier::None && !if_exists;
    if matches!(kind, Kind::Null) && !plain {
        return None;
    }
    Some(Operator { name, quantifier, if_exists, negated: *negated, kind: *kind })
}

/// Compiles a `Condition` block.
pub fn conditions(
    block: &Json<'_>,
    effect: Effect,
    reader: &mut Reader<'_, '_>,
) -> Box<[Condition]> {
    let Value::Object(operators) = &block.value else {
        reader.error("bad-condition", "the condition block is not an object", block.span);
        return Box::default();
    };
    let mut conditions = Vec::new();
    for member in operators {
        let Some(operator) = operator(&member.name) else {
            reader
                .error("bad-operator", format!("`{}` is no condition operator", member.name), member.name_span)
                .help("operators are spelt as in the IAM User Guide, such as `StringEquals`, `ForAnyValue:StringLike` or `BoolIfExists`");
            continue;
        };
        let Value::Object(keys) = &member.value.value else {
            reader.error(
                "bad-condition",
                format!("`{}` is not an object of condition keys", member.name),
                member.value.span,
            );
            continue;
        };
        for key in keys {
            conditions.extend(condition(&operator, key, effect, reader));
        }
    }
    conditions.into()
}

fn condition(
    operator: &Operator<'_>,
    member: &Member<'_>,
    effect: Effect,
    reader: &mut Reader<'_, '_>,
) -> Option<Condition> {
    let Some(key) = ConditionKey::parse(&member.name) else {
        reader
            .error(
                "bad-condition-key",
                format!("`{}` is no condition key", member.name),
                member.name_span,
            )
            .help("a condition key has the form `prefix:name`, such as `kms:ViaService`");
        return None;
    };
    check_key(&key, operator, member, effect, reader);
    let texts = texts_of(&member.value, reader)?;
    if texts.is_empty() {
        reader.error(
            "empty-element",
            format!("`{}` has no values", member.name),
            member.value.span,
        );
        return None;
    }
    let variables = reader.variables();
    let test = match operator.kind {
        Kind::Text { fold, like } => {
            let syntax = Syntax { wildcards: like, variables };
            let templates = reader.each(&texts, "bad-variable", |text| Template::parse(text, syntax))?;
            if fold { Test::TextFolded(templates) } else { Test::Text(templates) }
        }
        Kind::Number(comparison) => Test::Number(
            comparison,
            reader.each(&texts, "bad-operand", |text| {
                Decimal::parse(text).map(|n| n.to_owned()).ok_or_else(|| format!("`{text}` is no decimal number"))
            })?,
        ),
        Kind::Date(comparison) => Test::Date(
            comparison,
            reader.each(&texts, "bad-operand", |text| {
                Timestamp::parse(text).ok_or_else(|| {
                    format!("`{text}` is no date: expected `2026-01-02T03:04:05Z` or seconds since the epoch")
                })
            })?,
        ),
        Kind::Bool => Test::Bool(reader.each(&texts, "bad-operand", |text| bool_operand(text, variables))?),
        Kind::Binary => Test::Binary(reader.each(&texts, "bad-operand", |text| {
            STANDARD.decode(text).map(Vec::into_boxed_slice).map_err(|_| format!("`{text}` is not base64"))
        })?),
        Kind::Address => Test::Address(reader.each(&texts, "bad-operand", |text| {
            AddressRange::parse(text).ok_or_else(|| format!("`{text}` is no IP address or CIDR range"))
        })?),
        Kind::Arn => Test::Arn(reader.each(&texts, "bad-variable", |text| ArnTemplate::parse(text, variables))?),
        Kind::Null => Test::Null(reader.each(&texts, "bad-operand", |text| {
            truth_value(text).ok_or_else(|| format!("`{text}` is neither `true` nor `false`"))
        })?),
    };
    Some(Condition {
        key,
        operator: operator.name.into(),
        quantifier: operator.quantifier,
        if_exists: operator.if_exists,
        negated: operator.negated,
        test,
    })
}

fn bool_operand(text: &str, variables: bool) -> Result<BoolOperand, String> {
    if let Some(value) = truth_value(text) {
        return Ok(BoolOperand::Literal(value));
    }
    match Template::parse(text, Syntax { wildcards: false, variables })? {
        template @ Template::Parts(_) => Ok(BoolOperand::Variable(template)),
        _ => Err(format!("`{text}` is neither `true` nor `false`")),
    }
}

/// What AWS, or Keyward, finds wrong with a key in this place.
fn check_key(
    key: &ConditionKey,
    operator: &Operator<'_>,
    member: &Member<'_>,
    effect: Effect,
    reader: &mut Reader<'_, '_>,
) {
    let row = find(&key.name.to_lowercase());
    let aws = ["kms:", "aws:"]
        .iter()
        .any(|prefix| key.name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(prefix)));
    if aws && row.is_none() {
        reader
            .warning(
                "unknown-condition-key",
                format!("KMS has no condition key `{}`", key.name),
                member.name_span,
            )
            .help("the key is absent from every request unless the caller asserts it");
    }
    let multivalued = row.is_some_and(|row| row.multivalued);
    let bare = operator.quantifier == Quantifier::None && !matches!(operator.kind, Kind::Null);
    if multivalued && bare {
        let message =
            format!("`{}` has several values: `{}` cannot test it", key.name, operator.name);
        let help = format!("write `ForAnyValue:{0}` or `ForAllValues:{0}`", operator.name);
        match effect {
            Effect::Deny => reader
                .error("multivalued-without-set-operator", message, member.name_span)
                .help(help),
            Effect::Allow => reader
                .warning("multivalued-without-set-operator", message, member.name_span)
                .help(help),
        };
    }
    let user_chosen = matches!(key.source, KeySource::EncryptionContext | KeySource::RequestTag);
    if operator.quantifier == Quantifier::ForAll && user_chosen {
        // Source: AWS KMS Developer Guide, "AWS KMS condition keys" (OverlyPermissiveCondition).
        reader
            .warning(
                "overly-permissive-condition",
                format!(
                    "`ForAllValues` on `{}` also holds when the request has no such pair",
                    key.name
                ),
                member.name_span,
            )
            .help("KMS refuses new key policies with it; use the operator without `ForAllValues`");
    }
}

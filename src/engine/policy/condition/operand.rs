//! One value against the operands of an operator.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smallvec::SmallVec;

use super::number::Decimal;
use super::{BoolOperand, Test};
use crate::engine::policy::template::Template;
use crate::engine::term::arn::Arn;
use crate::engine::term::condition_key::ConditionKey;
use crate::engine::term::time::Timestamp;
use crate::engine::term::truth::Truth;
use crate::engine::term::values::{Context, Scalar};

impl Test {
    /// Whether the value matches one of the operands; `None` when it has not their type.
    pub(super) fn matches(&self, value: &Scalar<'_>, context: &impl Context) -> Option<Truth> {
        match self {
            Self::Text(templates) => Some(value.with_text(|text| {
                any(templates.iter().map(|template| template.matches(text, context)))
            })),
            Self::TextFolded(templates) => Some(value.with_text(|text| {
                any(templates.iter().map(|template| template.equals_folded(text, context)))
            })),
            Self::Number(comparison, operands) => value.with_text(|text| {
                let number = Decimal::parse(text)?;
                let holds = |operand: &Decimal<Box<str>>| comparison.holds(number.compare(operand));
                Some(operands.iter().any(holds).into())
            }),
            Self::Date(comparison, operands) => {
                let instant = instant(*value)?;
                let holds = |operand: &Timestamp| comparison.holds(instant.cmp(operand));
                Some(operands.iter().any(holds).into())
            }
            Self::Bool(operands) => {
                let value = match value {
                    Scalar::Bool(value) => *value,
                    other => other.with_text(truth_value)?,
                };
                Some(any(operands.iter().map(|operand| bool_operand(operand, value, context))))
            }
            Self::Binary(operands) => value.with_text(|text| {
                let mut room: SmallVec<[u8; 256]> = SmallVec::from_elem(0, text.len());
                let length = STANDARD.decode_slice(text, &mut room).ok()?;
                let bytes = room.get(..length)?;
                Some(operands.iter().any(|operand| **operand == *bytes).into())
            }),
            Self::Address(operands) => value.with_text(|text| {
                let address: IpAddr = text.parse().ok()?;
                Some(operands.iter().any(|range| range.contains(address)).into())
            }),
            Self::Arn(operands) => value.with_text(|text| {
                let arn = Arn::parse(text)?;
                Some(any(operands.iter().map(|operand| operand.matches(&arn, context))))
            }),
            // Presence is tested before any value is.
            Self::Null(_) => None,
        }
    }

    /// The condition keys of variables in the operands.
    pub(super) fn variables(&self) -> impl Iterator<Item = &ConditionKey> {
        let templates: Vec<&Template> = match self {
            Self::Text(templates) | Self::TextFolded(templates) => templates.iter().collect(),
            Self::Arn(operands) => operands.iter().map(|operand| operand.template()).collect(),
            Self::Bool(operands) => operands
                .iter()
                .filter_map(|operand| match operand {
                    BoolOperand::Variable(template) => Some(template),
                    BoolOperand::Literal(_) => None,
                })
                .collect(),
            Self::Number(..)
            | Self::Date(..)
            | Self::Binary(_)
            | Self::Address(_)
            | Self::Null(_) => Vec::new(),
        };
        templates.into_iter().flat_map(Template::variables)
    }
}

fn any(truths: impl Iterator<Item = Truth>) -> Truth {
    truths.fold(Truth::False, Truth::or)
}

fn instant(value: Scalar<'_>) -> Option<Timestamp> {
    match value {
        Scalar::Time(instant) => Some(instant),
        Scalar::Integer(seconds) => Some(Timestamp::new(seconds, 0)),
        Scalar::Text(text) => Timestamp::parse(text),
        Scalar::Bool(_) => None,
    }
}

/// `true` or `false`, in any case.
pub(super) fn truth_value(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    text.eq_ignore_ascii_case("false").then_some(false)
}

fn bool_operand(operand: &BoolOperand, value: bool, context: &impl Context) -> Truth {
    match operand {
        BoolOperand::Literal(literal) => (*literal == value).into(),
        BoolOperand::Variable(template) => {
            template.equals_folded(if value { "true" } else { "false" }, context).doubted()
        }
    }
}

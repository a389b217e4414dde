//! Conditions: one operator on one condition key, compiled.

pub mod address;
pub mod compile;
pub mod number;
mod operand;

use std::cmp::Ordering;

use self::address::AddressRange;
use self::number::Decimal;
use super::arn_pattern::ArnTemplate;
use super::template::Template;
use crate::engine::evaluation::{Evaluation, ForAnyIfExists, MultivalueWithoutSetop};
use crate::engine::term::condition_key::{ConditionKey, KeySource};
use crate::engine::term::time::Timestamp;
use crate::engine::term::truth::Truth;
use crate::engine::term::values::{Context, Scalar, Values};

/// A condition: `"Operator": {"key": values}`.
///
/// Source: IAM User Guide, "IAM JSON policy elements: Condition", "Condition operators",
/// "Single-valued vs. multivalued context keys".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The key.
    pub key: ConditionKey,
    /// The operator as written, with its prefix and suffix.
    pub operator: Box<str>,
    /// `ForAllValues:` or `ForAnyValue:`.
    pub quantifier: Quantifier,
    /// `…IfExists`.
    pub if_exists: bool,
    /// The operator is the negation of `test`.
    pub negated: bool,
    /// What each value is tested for.
    pub test: Test,
}

/// The set operator of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// None.
    None,
    /// `ForAllValues:`.
    ForAll,
    /// `ForAnyValue:`.
    ForAny,
}

/// What a value is tested for; operands are alternatives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// `StringEquals`, `StringLike`: the templates know whether `*` is a wildcard.
    Text(Box<[Template]>),
    /// `StringEqualsIgnoreCase`.
    TextFolded(Box<[Template]>),
    /// `Numeric…`.
    Number(Comparison, Box<[Decimal<Box<str>>]>),
    /// `Date…`.
    Date(Comparison, Box<[Timestamp]>),
    /// `Bool`.
    Bool(Box<[BoolOperand]>),
    /// `BinaryEquals`, decoded.
    Binary(Box<[Box<[u8]>]>),
    /// `IpAddress`.
    Address(Box<[AddressRange]>),
    /// `ArnEquals`, `ArnLike`.
    Arn(Box<[ArnTemplate]>),
    /// `Null`: `true` asks for absence.
    Null(Box<[bool]>),
}

/// How an ordered value must compare with an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Less.
    Less,
    /// Less or equal.
    LessOrEqual,
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterOrEqual,
}

impl Comparison {
    /// Whether an ordering fulfils it.
    #[must_use]
    #[inline(always)]
    pub fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// An operand of `Bool`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BoolOperand {
    /// `true` or `false`.
    Literal(bool),
    /// A text with variables: supported in a Deny alone, so a match is a doubt.
    Variable(Template),
}

impl Condition {
    /// Whether the condition holds.
    pub fn holds(&self, context: &impl Context, evaluation: &Evaluation) -> Truth {
        let values = context.values(&self.key);
        if let Test::Null(operands) = &self.test {
            return null(operands, &values);
        }
        match &values {
            Values::Unknown => Truth::Unsure,
            Values::Absent => self.absent(evaluation),
            Values::One(value) => self.element(value, context),
            Values::Each(values) => {
                let each = || values.iter().map(|value| self.element(&value, context));
                let (all, any) =
                    (each().fold(Truth::True, Truth::and), each().fold(Truth::False, Truth::or));
                match self.key.source {
                    // The documents leave it open; read so that every pair has to fit.
                    KeySource::EncryptionContext => all,
                    // Which of the tags AWS would take nobody knows.
                    _ if all == any => all,
                    _ => Truth::Unsure,
                }
            }
            Values::Many(values) => {
                let each = || values.iter().map(|value| self.element(&value, context));
                let any = || each().fold(Truth::False, Truth::or);
                match (self.quantifier, evaluation.multivalue_without_setop) {
                    (Quantifier::ForAll, _) => each().fold(Truth::True, Truth::and),
                    (Quantifier::ForAny, _)
                    | (Quantifier::None, MultivalueWithoutSetop::ForAny) => any(),
                    (Quantifier::None, MultivalueWithoutSetop::Unsure) => Truth::Unsure,
                    (Quantifier::None, MultivalueWithoutSetop::NoMatch) => Truth::False,
                }
            }
        }
    }

    fn absent(&self, evaluation: &Evaluation) -> Truth {
        match (self.quantifier, self.if_exists) {
            (Quantifier::None, true) => Truth::True,
            (Quantifier::None, false) => self.negated.into(),
            // One rule says that no value is every value, another that nothing matches.
            (Quantifier::ForAll, _) if self.negated => Truth::Unsure,
            (Quantifier::ForAll, _) => Truth::True,
            (Quantifier::ForAny, false) => Truth::False,
            (Quantifier::ForAny, true) => match evaluation.forany_ifexists_absent {
                ForAnyIfExists::Unsure => Truth::Unsure,
                ForAnyIfExists::True => Truth::True,
                ForAnyIfExists::False => Truth::False,
            },
        }
    }

    /// The operator on one value.
    #[inline(always)]
    fn element(&self, value: &Scalar<'_>, context: &impl Context) -> Truth {
        match (value.is_empty(), self.quantifier) {
            (true, Quantifier::ForAll) => return Truth::True,
            (true, Quantifier::ForAny) => return Truth::False,
            (true, Quantifier::None) | (false, _) => {}
        }
        match (self.test.matches(value, context), self.negated) {
            (Some(truth), false) => truth,
            (Some(truth), true) => truth.negate(),
            // The value has not the type of the operator.
            (None, false) => Truth::False,
            (None, true) => Truth::Unsure,
        }
    }

    /// The condition keys that it reads: its own and those of variables.
    pub fn keys(&self) -> impl Iterator<Item = &ConditionKey> {
        std::iter::once(&self.key).chain(self.test.variables())
    }
}

/// `Null` tests presence. An empty text is not quite there: `false` does not hold, `true` is a
/// doubt.
fn null(operands: &[bool], values: &Values<'_>) -> Truth {
    let (absent, empty) = match values {
        Values::Unknown => return Truth::Unsure,
        Values::Absent => (true, false),
        Values::One(value) => (false, value.is_empty()),
        Values::Many(values) | Values::Each(values) => {
            (false, values.iter().all(|value| value.is_empty()))
        }
    };
    let each = operands.iter().map(|wants_absence| match (wants_absence, empty) {
        (true, true) => Truth::Unsure,
        (true, false) => absent.into(),
        (false, _) => (!absent && !empty).into(),
    });
    each.fold(Truth::False, Truth::or)
}

#[cfg(test)]
mod tests;

//! The operators. Each says whether one value of the request matches one listed value.
//!
//! Source: IAM User Guide, "IAM JSON policy elements: Condition operators".

use std::cmp::Ordering;

use super::pattern::{Sign, glob, segments, written};
use super::truth::Truth;
use super::{arn, values, variables};

/// What an operator asks, without prefix, suffix and negation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Order),
    Date(Order),
    Bool,
    BinaryEquals,
    IpAddress,
    Arn,
    Null,
}

/// How numbers and dates are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Equals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

impl Order {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equals => ordering == Ordering::Equal,
            Self::LessThan => ordering == Ordering::Less,
            Self::LessThanEquals => ordering != Ordering::Greater,
            Self::GreaterThan => ordering == Ordering::Greater,
            Self::GreaterThanEquals => ordering != Ordering::Less,
        }
    }
}

/// Every operator: its name, what it asks, and whether it is negated.
pub(crate) const OPERATORS: [(&str, Comparison, bool); 27] = [
    ("StringEquals", Comparison::StringEquals, false),
    ("StringNotEquals", Comparison::StringEquals, true),
    ("StringEqualsIgnoreCase", Comparison::StringEqualsIgnoreCase, false),
    ("StringNotEqualsIgnoreCase", Comparison::StringEqualsIgnoreCase, true),
    ("StringLike", Comparison::StringLike, false),
    ("StringNotLike", Comparison::StringLike, true),
    ("NumericEquals", Comparison::Numeric(Order::Equals), false),
    ("NumericNotEquals", Comparison::Numeric(Order::Equals), true),
    ("NumericLessThan", Comparison::Numeric(Order::LessThan), false),
    ("NumericLessThanEquals", Comparison::Numeric(Order::LessThanEquals), false),
    ("NumericGreaterThan", Comparison::Numeric(Order::GreaterThan), false),
    ("NumericGreaterThanEquals", Comparison::Numeric(Order::GreaterThanEquals), false),
    ("DateEquals", Comparison::Date(Order::Equals), false),
    ("DateNotEquals", Comparison::Date(Order::Equals), true),
    ("DateLessThan", Comparison::Date(Order::LessThan), false),
    ("DateLessThanEquals", Comparison::Date(Order::LessThanEquals), false),
    ("DateGreaterThan", Comparison::Date(Order::GreaterThan), false),
    ("DateGreaterThanEquals", Comparison::Date(Order::GreaterThanEquals), false),
    ("Bool", Comparison::Bool, false),
    ("BinaryEquals", Comparison::BinaryEquals, false),
    ("IpAddress", Comparison::IpAddress, false),
    ("NotIpAddress", Comparison::IpAddress, true),
    ("ArnEquals", Comparison::Arn, false),
    ("ArnNotEquals", Comparison::Arn, true),
    ("ArnLike", Comparison::Arn, false),
    ("ArnNotLike", Comparison::Arn, true),
    ("Null", Comparison::Null, false),
];

impl Comparison {
    /// Policy variables work in the values of String*, Arn* and (in a Deny) Bool operators.
    pub(crate) fn takes_variables(self) -> bool {
        matches!(
            self,
            Self::StringEquals
                | Self::StringEqualsIgnoreCase
                | Self::StringLike
                | Self::Arn
                | Self::Bool
        )
    }

    /// Whether this value of a policy can be read; what cannot is refused at load.
    pub(crate) fn accepts(self, value: &str, with_variables: bool) -> bool {
        if self.takes_variables() && with_variables && !variables::are_readable(value) {
            return false;
        }
        match self {
            Self::StringEquals | Self::StringEqualsIgnoreCase | Self::StringLike | Self::Arn => {
                true
            }
            Self::Numeric(_) => values::decimal(value).is_some(),
            Self::Date(_) => values::instant(value).is_some(),
            Self::Bool => {
                let variable = with_variables && variables::holds_variable(value);
                values::boolean(value).is_some() || variable
            }
            Self::Null => values::boolean(value).is_some(),
            Self::BinaryEquals => values::bytes(value).is_some(),
            Self::IpAddress => values::network(value).is_some(),
        }
    }

    /// Whether the operator can compare this value of the request at all.
    pub(crate) fn can_read(self, request: &str) -> bool {
        match self {
            Self::StringEquals | Self::StringEqualsIgnoreCase | Self::StringLike => true,
            Self::Numeric(_) => values::decimal(request).is_some(),
            Self::Date(_) => values::instant(request).is_some(),
            Self::Bool | Self::Null => values::boolean(request).is_some(),
            Self::BinaryEquals => values::bytes(request).is_some(),
            Self::IpAddress => request.parse::<std::net::IpAddr>().is_ok(),
            Self::Arn => arn::parts(request).is_some(),
        }
    }

    /// Whether the value of the request matches the listed one.
    pub(crate) fn matches(self, request: &str, listed: &[Sign]) -> Truth {
        let text = written(listed);
        match self {
            Self::StringEquals => Truth::of(request == text),
            Self::StringEqualsIgnoreCase => {
                Truth::of(request.to_lowercase() == text.to_lowercase())
            }
            Self::StringLike => Truth::of(glob(listed, request)),
            Self::Numeric(order) => {
                both(values::decimal(request), values::decimal(&text), |r, l| {
                    order.holds(values::compare_decimals(&r, &l))
                })
            }
            Self::Date(order) => both(values::instant(request), values::instant(&text), |r, l| {
                order.holds(r.cmp(&l))
            }),
            Self::Bool => both(values::boolean(request), values::boolean(&text), |r, l| r == l),
            Self::BinaryEquals => both(values::bytes(request), values::bytes(&text), |r, l| r == l),
            Self::IpAddress => {
                both(request.parse().ok(), values::network(&text), |r, l| values::contains(l, r))
            }
            Self::Arn => arn_matches(request, listed),
            Self::Null => panic!("Null compares no values"),
        }
    }
}

fn both<T, U>(left: Option<T>, right: Option<U>, holds: impl Fn(T, U) -> bool) -> Truth {
    match (left, right) {
        (Some(left), Some(right)) => Truth::of(holds(left, right)),
        _ => Truth::False,
    }
}

/// Six components, matched one by one; how a shorter pattern is to be read is not said.
fn arn_matches(request: &str, pattern: &[Sign]) -> Truth {
    let Some(parts) = arn::parts(request) else {
        return Truth::False;
    };
    let patterns = segments(pattern);
    let mut pairs = patterns.iter().zip(parts);
    let fits = pairs.all(|(pattern, part)| glob(pattern, part));
    match patterns.len() {
        6 => Truth::of(fits),
        // As one text, or as if any components followed: where neither fits, no reading does.
        _ => Truth::of(fits || glob(pattern, request)).doubted(),
    }
}

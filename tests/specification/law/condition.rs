//! The condition block of a statement.
//!
//! Source: IAM User Guide, "IAM JSON policy elements: Condition", "Single-valued vs. multivalued
//! context keys", "Condition operators" (IfExists, Null).

use serde_json::Value;

use super::Refusal;
use super::context::{Context, Entry, is_condition_key, is_multivalued};
use super::operators::{Comparison, OPERATORS};
use super::pattern::{Sign, signs};
use super::switches::Switches;
use super::truth::Truth;
use super::values;
use super::variables::{self, expand};

/// `ForAllValues:` or `ForAnyValue:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantifier {
    ForAllValues,
    ForAnyValue,
}

/// One condition key under one operator.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) comparison: Comparison,
    pub(crate) negated: bool,
    pub(crate) quantifier: Option<Quantifier>,
    pub(crate) if_exists: bool,
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
}

/// Reads a condition block.
pub(crate) fn read(block: &Value, with_variables: bool) -> Result<Vec<Test>, Refusal> {
    let mut tests = Vec::new();
    for (operator, keys) in block.as_object().ok_or(Refusal::Policy)? {
        for (key, values) in keys.as_object().ok_or(Refusal::Policy)? {
            tests.push(Test::read(operator, key, values, with_variables).ok_or(Refusal::Policy)?);
        }
    }
    Ok(tests)
}

/// What a condition block is judged with.
pub(crate) struct Setting<'a> {
    pub(crate) context: &'a Context,
    /// The version of the policy has variables.
    pub(crate) variables: bool,
    pub(crate) switches: &'a Switches,
}

/// AND over operators and keys.
pub(crate) fn holds(tests: &[Test], setting: &Setting<'_>) -> Truth {
    Truth::all(tests.iter().map(|test| test.holds(setting)))
}

impl Test {
    /// The operator is written as in `ForAllValues:StringLikeIfExists`.
    fn read(operator: &str, key: &str, values: &Value, with_variables: bool) -> Option<Self> {
        let (quantifier, rest) = match operator.split_once(':') {
            Some(("ForAllValues", rest)) => (Some(Quantifier::ForAllValues), rest),
            Some(("ForAnyValue", rest)) => (Some(Quantifier::ForAnyValue), rest),
            Some(_) => return None,
            None => (None, operator),
        };
        let (name, if_exists) = match rest.strip_suffix("IfExists") {
            Some(name) => (name, true),
            None => (rest, false),
        };
        let (_, comparison, negated) = *OPERATORS.iter().find(|known| known.0 == name)?;
        let decorated = quantifier.is_some() || if_exists;
        if (comparison == Comparison::Null && decorated) || !is_condition_key(key) {
            return None;
        }
        let value = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let values: Vec<String> = match values {
            Value::Array(list) => list.iter().map(value).collect::<Option<_>>()?,
            one => vec![value(one)?],
        };
        let readable = values.iter().all(|value| comparison.accepts(value, with_variables));
        let key = key.to_owned();
        let test = Self { comparison, negated, quantifier, if_exists, key, values };
        (readable && !test.values.is_empty()).then_some(test)
    }

    fn holds(&self, setting: &Setting<'_>) -> Truth {
        match setting.context.get(&self.key) {
            Some(Entry::Unknown) => Truth::Unsure,
            entry if self.comparison == Comparison::Null => self.null(entry),
            None => self.absent(setting),
            Some(Entry::One(value)) if !is_multivalued(&self.key) => self.one(value, setting),
            Some(Entry::One(value)) => self.set(std::slice::from_ref(value), setting),
            Some(Entry::Many(values)) => self.set(values, setting),
            Some(Entry::Colliding(values)) => {
                let each: Vec<Truth> =
                    values.iter().map(|value| self.one(value, setting)).collect();
                let agree = each.windows(2).all(|two| two[0] == two[1]);
                // Of pairs of an encryption context all have to match, under a negated operator
                // none. Which of several tags counts nobody knows.
                let is_pair = self.key.to_lowercase().starts_with("kms:encryptioncontext:");
                if agree || is_pair { Truth::all(each) } else { Truth::Unsure }
            }
        }
    }

    /// `Null` tests presence alone, of sets too. An empty text is not quite there: that it is
    /// present does not hold, that it is absent is a doubt.
    fn null(&self, entry: Option<&Entry>) -> Truth {
        let is_empty = |entry: &Entry| match entry {
            Entry::One(value) => value.is_empty(),
            Entry::Many(values) | Entry::Colliding(values) => values.iter().all(String::is_empty),
            Entry::Unknown => false,
        };
        let holds = |value: &String| match (entry, values::boolean(value) == Some(true)) {
            (None, wants_absence) => Truth::of(wants_absence),
            (Some(entry), true) if is_empty(entry) => Truth::Unsure,
            (Some(entry), false) if is_empty(entry) => Truth::False,
            (Some(_), wants_absence) => Truth::of(!wants_absence),
        };
        Truth::any(self.values.iter().map(holds))
    }

    /// Without a set operator: positive operators fail, negated ones and IfExists hold.
    /// ForAllValues holds, but for negated operators the documents contradict each other;
    /// ForAnyValue fails, but with IfExists they contradict each other again.
    fn absent(&self, setting: &Setting<'_>) -> Truth {
        match self.quantifier {
            None => Truth::of(self.negated || self.if_exists),
            Some(Quantifier::ForAllValues) if self.negated => Truth::Unsure,
            Some(Quantifier::ForAllValues) => Truth::True,
            Some(Quantifier::ForAnyValue) if self.if_exists => {
                match setting.switches.value("forany_ifexists_absent") {
                    "true" => Truth::True,
                    "false" => Truth::False,
                    _ => Truth::Unsure,
                }
            }
            Some(Quantifier::ForAnyValue) => Truth::False,
        }
    }

    /// The values of a set. Without a set operator nobody knows what is meant.
    fn set(&self, request: &[String], setting: &Setting<'_>) -> Truth {
        let each = || request.iter().map(|value| self.one(value, setting));
        match self.quantifier {
            Some(Quantifier::ForAllValues) => Truth::all(each()),
            Some(Quantifier::ForAnyValue) => Truth::any(each()),
            None => match setting.switches.value("multivalue_without_setop") {
                "any_value" => Truth::any(each()),
                "never" => Truth::False,
                _ => Truth::Unsure,
            },
        }
    }

    /// One value of the request: OR over the listed values; a negated operator holds if none of
    /// them matches. Under a set operator an empty text is as good as no value.
    fn one(&self, request: &str, setting: &Setting<'_>) -> Truth {
        match self.quantifier {
            Some(Quantifier::ForAllValues) if request.is_empty() => return Truth::True,
            Some(Quantifier::ForAnyValue) if request.is_empty() => return Truth::False,
            _ => {}
        }
        if !self.comparison.can_read(request) {
            return if self.negated { Truth::Unsure } else { Truth::False };
        }
        let listed = |value: &String| self.matches(request, value, setting);
        let any = Truth::any(self.values.iter().map(listed));
        if self.negated { any.not() } else { any }
    }

    fn matches(&self, request: &str, listed: &str, setting: &Setting<'_>) -> Truth {
        let matches = |pattern: &[Sign]| self.comparison.matches(request, pattern);
        if !setting.variables || !self.comparison.takes_variables() {
            return matches(&signs(listed));
        }
        let matched = expand(listed, setting.context).matching(matches);
        // Under Bool the documents disagree on variables: they count in a Deny alone.
        let disputed = self.comparison == Comparison::Bool && variables::holds_variable(listed);
        if disputed { matched.doubted() } else { matched }
    }
}

//! Values of condition keys in one request.

use std::fmt;

use super::condition_key::ConditionKey;
use super::text::same;
use super::time::Timestamp;
use crate::engine::kms::action::{Action, ActionSet};

/// Where a policy finds the values of condition keys.
pub trait Context {
    /// The values of `key` in this request.
    fn values<'v>(&'v self, key: &'v ConditionKey) -> Values<'v>;
}

/// The values of a condition key in one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values<'a> {
    /// The request does not have the key.
    Absent,
    /// A value of a single-valued key.
    One(Scalar<'a>),
    /// Values of a multivalued key; not empty.
    Many(Many<'a>),
    /// Values of encryption-context pairs whose names differ in case alone. All must agree.
    Each(Many<'a>),
    /// The request has it or not, with who knows what value.
    Unknown,
}

/// Several values, read where they stand.
#[derive(Clone, Copy, Debug)]
pub enum Many<'a> {
    /// Of a request.
    Texts(&'a [&'a str]),
    /// Of a simulation.
    Strings(&'a [String]),
    /// Of the policy set.
    Stored(&'a [Box<str>]),
    /// The names of pairs.
    Names(PairList<'a>),
    /// The values of the pairs with this name, whose case does not count.
    ValuesOf(PairList<'a>, &'a str),
    /// Names of actions without prefix.
    Actions(ActionSet),
}

/// Pairs of texts, of a request or of the policy set.
#[derive(Clone, Copy, Debug)]
pub enum PairList<'a> {
    /// Of a request.
    Told(&'a [(&'a str, &'a str)]),
    /// Of the policy set.
    Stored(&'a [(Box<str>, Box<str>)]),
}

impl<'a> PairList<'a> {
    /// The pair at a position.
    fn at(&self, index: usize) -> Option<(&'a str, &'a str)> {
        match self {
            Self::Told(pairs) => pairs.get(index).copied(),
            Self::Stored(pairs) => pairs.get(index).map(|(name, value)| (&**name, &**value)),
        }
    }

    /// The values of the pairs with this name; several when names differ in case alone.
    #[must_use]
    pub fn values_of(self, name: &'a str) -> Values<'a> {
        match self {
            Self::Told(pairs) => self.among(pairs.iter().copied(), name),
            Self::Stored(pairs) => {
                self.among(pairs.iter().map(|(name, value)| (&**name, &**value)), name)
            }
        }
    }

    #[inline]
    fn among(
        self,
        mut pairs: impl Iterator<Item = (&'a str, &'a str)>,
        name: &'a str,
    ) -> Values<'a> {
        let Some((_, value)) = pairs.find(|(other, _)| same(other, name)) else {
            return Values::Absent;
        };
        if pairs.any(|(other, _)| same(other, name)) {
            return Values::Each(Many::ValuesOf(self, name));
        }
        Values::One(Scalar::Text(value))
    }
}

impl<'a> Many<'a> {
    /// The values in order.
    pub fn iter(self) -> impl Iterator<Item = Scalar<'a>> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let text = self.from(&mut next)?;
            Some(Scalar::Text(text))
        })
    }

    /// The first value at a position or behind it; the position moves on.
    fn from(&self, next: &mut usize) -> Option<&'a str> {
        loop {
            let index = *next;
            *next += 1;
            return match self {
                Self::Texts(texts) => texts.get(index).copied(),
                Self::Strings(texts) => texts.get(index).map(String::as_str),
                Self::Stored(texts) => texts.get(index).map(|text| &**text),
                Self::Names(pairs) => pairs.at(index).map(|(name, _)| name),
                Self::ValuesOf(pairs, name) => {
                    let (other, value) = pairs.at(index)?;
                    if !same(other, name) {
                        continue;
                    }
                    Some(value)
                }
                Self::Actions(actions) => {
                    let action = Action::ALL.get(index)?;
                    if !actions.contains(*action) {
                        continue;
                    }
                    Some(action.bare())
                }
            };
        }
    }
}

impl PartialEq for Many<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a> Values<'a> {
    /// One text, or absent.
    #[must_use]
    pub fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Absent, |text| Self::One(Scalar::Text(text)))
    }

    /// Several texts; absent when there are none.
    #[must_use]
    pub fn many(values: Many<'a>) -> Self {
        if values.iter().next().is_none() { Self::Absent } else { Self::Many(values) }
    }

    /// Several texts; absent when there are none.
    #[must_use]
    pub fn texts(texts: &'a [&'a str]) -> Self {
        Self::many(Many::Texts(texts))
    }
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// A text.
    Text(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// An instant.
    Time(Timestamp),
}

impl Scalar<'_> {
    /// Hands the value to `read` as text.
    #[inline]
    pub fn with_text<T>(&self, read: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Text(text) => read(text),
            Self::Bool(true) => read("true"),
            Self::Bool(false) => read("false"),
            Self::Integer(_) | Self::Time(_) => read(ShortText::of(self).as_str()),
        }
    }

    /// Whether it is the empty text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Text(""))
    }
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Time(value) => write!(f, "{value}"),
        }
    }
}

/// A text of at most 40 bytes, kept in place: numbers and instants.
#[derive(Clone, Copy, Debug)]
pub struct ShortText {
    bytes: [u8; 40],
    len: usize,
}

impl ShortText {
    /// The text of a number, an instant or a truth value. Longer texts are cut off.
    #[must_use]
    pub fn of(value: &impl fmt::Display) -> Self {
        use fmt::Write as _;
        let mut text = Self { bytes: [0; 40], len: 0 };
        // A text that does not fit is cut: nothing that is passed here is longer.
        let _ = write!(text, "{value}");
        text
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }
}

impl fmt::Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Many, PairList, Scalar, Values};
    use crate::engine::kms::action::ActionSet;
    use crate::engine::term::time::Timestamp;

    #[test]
    fn every_scalar_has_a_text() {
        let text = |scalar: Scalar<'_>| scalar.with_text(str::to_owned);
        assert_eq!(text(Scalar::Text("a")), "a");
        assert_eq!(text(Scalar::Bool(false)), "false");
        assert_eq!(text(Scalar::Integer(i64::MIN)), i64::MIN.to_string());
        assert_eq!(text(Scalar::Time(Timestamp::new(0, 0))), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn an_empty_list_is_absence() {
        assert_eq!(Values::texts(&[]), Values::Absent);
    }

    #[test]
    fn values_of_pairs_are_found_whatever_the_case_of_the_name() {
        let pairs = [("Team", "a"), ("x", "b"), ("TEAM", "c")];
        let told = PairList::Told(&pairs);
        assert_eq!(told.values_of("team"), Values::Each(Many::Texts(&["a", "c"])));
        assert_eq!(told.values_of("X"), Values::One(Scalar::Text("b")));
        assert_eq!(told.values_of("y"), Values::Absent);
        let stored = pairs.map(|(name, value)| (Box::from(name), Box::from(value)));
        let stored = PairList::Stored(&stored);
        assert_eq!(stored.values_of("team"), told.values_of("team"));
        assert_eq!(Many::Names(stored), Many::Texts(&["Team", "x", "TEAM"]));
    }

    #[test]
    fn actions_are_named_in_the_order_of_the_table() {
        let actions = ActionSet::matching("kms:*crypt");
        assert_eq!(Many::Actions(actions), Many::Texts(&["Decrypt", "Encrypt"]));
    }
}

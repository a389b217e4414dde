//! Values of condition keys in one request.

use std::fmt;

use super::condition_key::ConditionKey;
use super::time::Timestamp;

/// Where a policy finds the values of condition keys.
pub trait Context {
    /// The values of `key` in this request.
    fn values(&self, key: &ConditionKey) -> Values<'_>;
}

/// The values of a condition key in one request.
#[derive(Clone, Debug, PartialEq)]
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

/// Several values: the first few in place.
#[derive(Clone, Debug, PartialEq)]
pub struct Many<'a> {
    first: [Scalar<'a>; 8],
    len: usize, // Of `first` that count.
    more: Vec<Scalar<'a>>,
}

impl<'a> Many<'a> {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = Scalar<'a>> + '_ {
        self.first.iter().take(self.len).chain(&self.more).copied()
    }
}

impl<'a> FromIterator<Scalar<'a>> for Many<'a> {
    fn from_iter<I: IntoIterator<Item = Scalar<'a>>>(values: I) -> Self {
        let mut many = Self { first: [Scalar::Bool(false); 8], len: 0, more: Vec::new() };
        for value in values {
            match many.first.get_mut(many.len) {
                Some(slot) => {
                    *slot = value;
                    many.len += 1;
                }
                None => many.more.push(value),
            }
        }
        many
    }
}

impl<'a> Values<'a> {
    /// One text, or absent.
    #[must_use]
    pub fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Absent, |text| Self::One(Scalar::Text(text)))
    }

    /// Several texts; absent when there are none.
    pub fn texts(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let values: Many<'a> = texts.into_iter().map(Scalar::Text).collect();
        if values.is_empty() { Self::Absent } else { Self::Many(values) }
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
    pub fn with_text<T>(self, read: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Text(text) => read(text),
            Self::Bool(true) => read("true"),
            Self::Bool(false) => read("false"),
            Self::Integer(_) | Self::Time(_) => read(ShortText::of(&self).as_str()),
        }
    }

    /// Whether it is the empty text.
    #[must_use]
    pub fn is_empty(self) -> bool {
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
    use super::{Scalar, Values};
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
        assert_eq!(Values::texts([]), Values::Absent);
    }
}

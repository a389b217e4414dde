//! Decimal numbers of any length, compared without rounding.

use std::cmp::Ordering;

/// A decimal number.
///
/// Source: IAM User Guide, "Condition operators" (numeric condition operators).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal<T> {
    negative: bool, // Invariant: zero is not negative.
    whole: T,       // Without leading zeros.
    fraction: T,    // Without trailing zeros.
}

impl<'a> Decimal<&'a str> {
    /// Reads `12`, `-1.50` or `+3`; no exponent, no blank.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((_, "")) => return None,
            Some((whole, fraction)) => (whole, fraction),
            None => (digits, ""),
        };
        let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let zero = whole.is_empty() && fraction.is_empty();
        Some(Self { negative: negative && !zero, whole, fraction })
    }

    /// The same number with texts of its own.
    #[must_use]
    pub fn to_owned(&self) -> Decimal<Box<str>> {
        Decimal {
            negative: self.negative,
            whole: self.whole.into(),
            fraction: self.fraction.into(),
        }
    }
}

impl<T: AsRef<str>> Decimal<T> {
    /// Which of two numbers is greater.
    pub fn compare<U: AsRef<str>>(&self, other: &Decimal<U>) -> Ordering {
        let (a, b) = (self.whole.as_ref(), other.whole.as_ref());
        let magnitude = a
            .len()
            .cmp(&b.len())
            .then_with(|| a.cmp(b))
            .then_with(|| self.fraction.as_ref().cmp(other.fraction.as_ref()));
        match (self.negative, other.negative) {
            (false, false) => magnitude,
            (true, true) => magnitude.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{self, Equal, Greater, Less};

    use super::Decimal;

    #[track_caller]
    fn check(a: &str, b: &str, expected: Ordering) {
        let (x, y) = (Decimal::parse(a).unwrap(), Decimal::parse(b).unwrap());
        assert_eq!(x.compare(&y), expected, "{a} to {b}");
        assert_eq!(y.compare(&x.to_owned()), expected.reverse(), "{b} to {a}");
    }

    #[test]
    fn numbers_compare_by_value() {
        check("10", "9", Greater);
        check("180", "180.0", Equal);
        check("007", "7", Equal);
        check("-1", "1", Less);
        check("-2", "-10", Greater);
        check("0", "-0.00", Equal);
        check("1.05", "1.5", Less);
        check("+3", "3", Equal);
        check("123456789012345678901234567890.1", "123456789012345678901234567890.09", Greater);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", "1e3", " 1", "1 ", "1.", ".5", "0x1", "1,5", "--1", "٣"] {
            assert!(Decimal::parse(text).is_none(), "{text:?}");
        }
    }
}

//! The twelve digits that name an AWS account.

use std::fmt;
use std::str::FromStr;

/// An AWS account id, such as `111122223333`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId([u8; 12]); // Invariant: ASCII digits.

impl AccountId {
    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The digits as bytes.
    #[must_use]
    pub fn digits(&self) -> &[u8; 12] {
        &self.0
    }

    /// The account id in `text`, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::of(text.as_bytes())
    }

    /// The same, in bytes.
    #[inline]
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let digits: [u8; 12] = bytes.try_into().ok()?;
        // Without a way out: all twelve are looked at together, four at once.
        let all = digits.as_chunks::<4>().0.iter().fold(true, |all, four| {
            let word = u32::from_le_bytes(*four);
            // 0x30 to 0x39: such a byte begins with 3, and with six more still does.
            let three = |word: u32| word & 0xf0f0_f0f0 == 0x3030_3030;
            all & three(word) & three(word.wrapping_add(0x0606_0606))
        });
        all.then_some(Self(digits))
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountId({self})")
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AccountId {
    type Err = InvalidAccountId;

    fn from_str(text: &str) -> Result<Self, InvalidAccountId> {
        Self::parse(text).ok_or_else(|| InvalidAccountId(text.to_owned()))
    }
}

/// The text is not an account id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid account id `{0}`: expected twelve digits")]
pub struct InvalidAccountId(String);

#[cfg(test)]
mod tests {
    use super::AccountId;

    #[track_caller]
    fn check(text: &str, valid: bool) {
        assert_eq!(text.parse::<AccountId>().is_ok(), valid, "{text:?}");
    }

    #[test]
    fn only_twelve_ascii_digits_name_an_account() {
        check("111122223333", true);
        check("11112222333", false);
        check("1111222233334", false);
        check("11112222333x", false);
        check("１１１１", false);
        for (place, byte) in (0..12).flat_map(|place| (0..128).map(move |byte| (place, byte))) {
            let mut digits = *b"012345678901";
            digits[place] = byte;
            let text = std::str::from_utf8(&digits).unwrap();
            check(text, byte.is_ascii_digit());
        }
    }

    #[test]
    fn an_account_shows_its_digits() {
        assert_eq!(
            AccountId::parse("000000000001").map(|a| a.to_string()).as_deref(),
            Some("000000000001")
        );
    }
}

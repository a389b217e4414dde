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
        let digits: [u8; 12] = text.as_bytes().try_into().ok()?;
        // Without a way out: all twelve are looked at together.
        let all = digits.iter().fold(true, |all, byte| all & byte.is_ascii_digit());
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
    }

    #[test]
    fn an_account_shows_its_digits() {
        assert_eq!(
            AccountId::parse("000000000001").map(|a| a.to_string()).as_deref(),
            Some("000000000001")
        );
    }
}

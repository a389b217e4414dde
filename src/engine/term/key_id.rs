//! How a request names a key.

use super::account::AccountId;
use super::arn::Arn;
use super::text::Alphabet;

static ID: Alphabet<1> = Alphabet::with(*b"-");
static ALIAS: Alphabet<3> = Alphabet::with(*b"/_-");

/// One of the four forms of KMS's `KeyId` parameter.
///
/// Source: AWS KMS Developer Guide, "Key identifiers (KeyId)".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyId<'a> {
    /// `1234abcd-12ab-34cd-56ef-1234567890ab`: in the caller's account and the called Region.
    Id(&'a str),
    /// `arn:aws:kms:us-west-2:111122223333:key/1234…`.
    Arn(Arn<'a>),
    /// `alias/ExampleAlias`: in the caller's account and the called Region.
    AliasName(&'a str),
    /// `arn:aws:kms:us-west-2:111122223333:alias/ExampleAlias`.
    AliasArn(Arn<'a>),
}

impl<'a> KeyId<'a> {
    /// Reads a key id.
    ///
    /// # Errors
    ///
    /// The text has none of the four forms.
    pub fn parse(text: &'a str) -> Result<Self, InvalidKeyId> {
        let invalid = |expected| InvalidKeyId { text: text.to_owned(), expected };
        if text.len() > 2048 {
            return Err(invalid("at most 2048 characters"));
        }
        if text.starts_with("alias/") {
            return if is_alias_name(text) {
                Ok(Self::AliasName(text))
            } else {
                Err(invalid("an alias name of letters, digits, `/`, `_` and `-`"))
            };
        }
        if text.starts_with("arn:") {
            return Self::parse_arn(text).ok_or_else(|| invalid("the ARN of a KMS key or alias"));
        }
        if is_id(text) {
            Ok(Self::Id(text))
        } else {
            Err(invalid("a key id, key ARN, alias name or alias ARN"))
        }
    }

    fn parse_arn(text: &'a str) -> Option<Self> {
        let arn = Arn::parse(text)?;
        if arn.service() != "kms" || !is_region(arn.region()) || arn.account_id().is_none() {
            return None;
        }
        let resource = arn.resource();
        if resource.strip_prefix("key/").is_some_and(is_id) {
            return Some(Self::Arn(arn));
        }
        is_alias_name(resource).then_some(Self::AliasArn(arn))
    }

    /// Account and Region, where the form names them.
    #[must_use]
    pub fn home(&self) -> Option<(AccountId, &'a str)> {
        match self {
            Self::Arn(arn) | Self::AliasArn(arn) => Some((arn.account_id()?, arn.region())),
            Self::Id(_) | Self::AliasName(_) => None,
        }
    }

    /// The Region, where the form names it.
    #[must_use]
    pub fn region(&self) -> Option<&'a str> {
        match self {
            Self::Arn(arn) | Self::AliasArn(arn) => Some(arn.region()),
            Self::Id(_) | Self::AliasName(_) => None,
        }
    }

    /// The alias name, where an alias is named.
    #[must_use]
    pub fn alias_name(&self) -> Option<&'a str> {
        match self {
            Self::AliasName(name) => Some(name),
            Self::AliasArn(arn) => Some(arn.resource()),
            Self::Id(_) | Self::Arn(_) => None,
        }
    }
}

/// Whether `text` is a key id: letters, digits and hyphens.
#[must_use]
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 256 && ID.makes(text)
}

/// Whether `text` is an alias name: `alias/` and letters, digits, `/`, `_` and `-`.
///
/// Source: AWS KMS API Reference, `CreateAlias`.
#[must_use]
pub fn is_alias_name(text: &str) -> bool {
    text.len() <= 256
        && text.strip_prefix("alias/").is_some_and(|name| !name.is_empty() && ALIAS.makes(name))
}

/// Whether the ARN is of an alias that AWS keeps for itself.
///
/// Source: AWS KMS API Reference, `CreateAlias` (`alias/aws/` is reserved).
#[must_use]
pub fn is_reserved_alias(arn: &str) -> bool {
    arn.contains(":alias/aws/")
}

/// Whether `text` has the form of a Region, such as `us-west-2` or `us-gov-east-1`: two or three words
/// of lower-case letters and a number, with hyphens between them.
#[must_use]
pub fn is_region(text: &str) -> bool {
    let (mut rest, mut words) = (text.as_bytes(), 0);
    loop {
        let letters = rest.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
        if letters == 0 {
            let number = !rest.is_empty() && rest.iter().all(u8::is_ascii_digit);
            return number && (2..=3).contains(&words) && text.len() <= 32;
        }
        match rest.get(letters..).and_then(<[u8]>::split_first) {
            Some((b'-', behind)) => (rest, words) = (behind, words + 1),
            _ => return false,
        }
    }
}

/// The text names no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid key id `{text}`: expected {expected}")]
pub struct InvalidKeyId {
    text: String,
    expected: &'static str,
}

#[cfg(test)]
mod tests {
    use super::{KeyId, is_region};

    #[track_caller]
    fn check(text: &str, form: Option<&str>) {
        let found = KeyId::parse(text).ok().map(|id| match id {
            KeyId::Id(_) => "id",
            KeyId::Arn(_) => "arn",
            KeyId::AliasName(_) => "alias name",
            KeyId::AliasArn(_) => "alias arn",
        });
        assert_eq!(found, form, "{text:?}");
    }

    #[test]
    fn the_four_forms_are_told_apart() {
        check("1234abcd-12ab-34cd-56ef-1234567890ab", Some("id"));
        check("mrk-1234abcd12ab34cd56ef1234567890ab", Some("id"));
        check("arn:aws:kms:us-west-2:111122223333:key/1234abcd", Some("arn"));
        check("alias/a/b_c-d", Some("alias name"));
        check("arn:aws:kms:us-west-2:111122223333:alias/x", Some("alias arn"));
    }

    #[test]
    fn anything_else_is_refused() {
        check("", None);
        check("alias/", None);
        check("alias/a:b", None);
        check("alias/*", None);
        check("arn:aws:kms:us-west-2:111122223333:key/", None);
        check("arn:aws:kms:us-west-2:111122223333:key/a/b", None);
        check("arn:aws:kms::111122223333:key/a", None);
        check("arn:aws:s3:us-west-2:111122223333:key/a", None);
        check("key 1", None);
    }

    #[test]
    fn regions_have_two_or_three_words_and_a_number() {
        assert!(
            is_region("us-west-2") && is_region("us-gov-east-1") && is_region("ap-southeast-10")
        );
        assert!(
            !is_region("us-west")
                && !is_region("US-west-2")
                && !is_region("2")
                && !is_region("a-b-c-d-1")
                && !is_region("us-west-")
                && !is_region("us-west-2a")
                && !is_region("us-west2-1")
                && !is_region("us--2")
                && !is_region("1-west-2")
                && !is_region("us-west-2-3")
                && !is_region("-us-west-2")
                && !is_region("")
        );
    }
}

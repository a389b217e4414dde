//! Masking: what of a value is told outside.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use sha2::Sha256;

/// How values are told. Their names always are.
#[derive(Clone)]
pub enum Mask {
    /// As they are.
    Clear,
    /// Hashed with a key: equal values stay equal, and nobody without the key can try out values.
    Hashed(Hasher),
    /// Left out: `null` in place of each value.
    Omitted,
}

/// A keyed hash.
#[derive(Clone)]
pub struct Hasher(Hmac<Sha256>);

impl Hasher {
    /// Hashes with `key`.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(keyed(key))
    }
}

/// HMAC-SHA256 under `key`, of any length.
#[must_use]
pub fn keyed(key: &[u8]) -> Hmac<Sha256> {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(hmac) => hmac,
        Err(_) => unreachable!("HMAC takes keys of any length"),
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Clear => "Clear",
            Self::Hashed(_) => "Hashed",
            Self::Omitted => "Omitted",
        })
    }
}

/// Name and value pairs, masked when written.
pub(super) struct Masked<'a> {
    pub(super) pairs: &'a [(&'a str, &'a str)],
    pub(super) mask: &'a Mask,
}

impl Serialize for Masked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.pairs.len()))?;
        for (name, value) in self.pairs {
            match self.mask {
                Mask::Clear => map.serialize_entry(name, value)?,
                Mask::Omitted => map.serialize_entry(name, &())?,
                Mask::Hashed(hasher) => map.serialize_entry(name, hasher.text(value).as_str())?,
            }
        }
        map.end()
    }
}

/// What is written before a hash.
const PREFIX: &str = "hmac-sha256:";

/// Bytes of the hash that are written: 128 bits, so that equal hashes mean equal values.
const KEPT: usize = 16;

impl Hasher {
    fn text(&self, value: &str) -> String {
        let mut hmac = self.0.clone();
        hmac.update(value.as_bytes());
        let digest = hmac.finalize().into_bytes();
        let mut text = String::with_capacity(PREFIX.len() + 2 * KEPT);
        text.push_str(PREFIX);
        push_hex(&mut text, digest.get(..KEPT).unwrap_or_default());
        text
    }
}

/// Appends bytes in hexadecimal.
pub fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Hasher, Mask, Masked};

    fn written(mask: &Mask) -> String {
        let pairs = [("a", "secret"), ("b", "secret"), ("c", "other")];
        serde_json::to_string(&Masked { pairs: &pairs, mask }).unwrap()
    }

    #[test]
    fn hashed_values_stay_equal_and_cannot_be_tried_out_without_the_key() {
        let one = written(&Mask::Hashed(Hasher::new(b"key")));
        let value: serde_json::Value = serde_json::from_str(&one).unwrap();
        assert_eq!(value["a"], value["b"]);
        assert_ne!(value["a"], value["c"]);
        assert!(value["a"].as_str().unwrap().starts_with("hmac-sha256:"));
        assert!(!one.contains("secret"));
        assert_ne!(one, written(&Mask::Hashed(Hasher::new(b"another key"))));
        assert_eq!(one, written(&Mask::Hashed(Hasher::new(b"key"))));
    }

    #[test]
    fn values_are_left_out_and_names_stay() {
        assert_eq!(written(&Mask::Omitted), r#"{"a":null,"b":null,"c":null}"#);
        assert_eq!(written(&Mask::Clear), r#"{"a":"secret","b":"secret","c":"other"}"#);
    }
}

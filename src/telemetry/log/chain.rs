//! The chain that makes a log tamper-evident: each record carries its number, the hash of the record
//! before, and its own hash, perhaps keyed.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::wire::record::mask::{keyed, push_hex};

/// Where a log stands: the number and the hash of its last record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last record; 0 before the first.
    pub sequence: u64,
    /// Its hash in hexadecimal.
    pub hash: String,
    /// All decisions lost up to it.
    pub lost: u64,
}

impl Default for Head {
    fn default() -> Self {
        Self { sequence: 0, hash: "0".repeat(64), lost: 0 }
    }
}

impl Head {
    /// Decisions and records of the log about itself that are accounted for: written, or reported
    /// as lost.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.sequence.saturating_add(self.lost)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash)
    }
}

/// A head as somebody noted it: the number, and the hash or its first digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotedHead {
    /// The number of the record.
    pub sequence: u64,
    /// The first digits of its hash.
    pub digits: String,
}

/// So many digits of a hash cannot be met by chance.
const DIGITS: usize = 13;

impl FromStr for NotedHead {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, InvalidHead> {
        let invalid = || InvalidHead(text.to_owned());
        let (sequence, digits) = text.split_once(':').ok_or_else(invalid)?;
        let sequence = sequence.parse().map_err(|_| invalid())?;
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !hexadecimal || !(DIGITS..=64).contains(&digits.len()) {
            return Err(invalid());
        }
        Ok(Self { sequence, digits: digits.to_ascii_lowercase() })
    }
}

/// The text is no head of a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no head: expected the number of a record, a colon, and at least 13 digits of its hash, such as `120:6f1ce09b4c21d`"
)]
pub struct InvalidHead(String);

/// How records are hashed.
#[derive(Clone)]
pub struct Algorithm(Option<Hmac<Sha256>>);

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Algorithm {
    /// HMAC-SHA256 with a key; SHA-256 without one.
    #[must_use]
    pub fn new(key: Option<&[u8]>) -> Self {
        Self(key.map(keyed))
    }

    /// Its name in the log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.0.is_some() { "hmac-sha256" } else { "sha256" }
    }

    /// The hash of some bytes, in hexadecimal.
    #[must_use]
    pub fn hash(&self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity(64);
        match &self.0 {
            Some(hmac) => {
                let mut hmac = hmac.clone();
                hmac.update(bytes);
                push_hex(&mut text, &hmac.finalize().into_bytes());
            }
            None => push_hex(&mut text, &Sha256::digest(bytes)),
        }
        text
    }

    /// Appends `body`, a JSON object, to `out` as the record after `head`, sealed, with the line's
    /// end; `head` becomes that of the record.
    pub fn seal(&self, head: &mut Head, body: &[u8], lost_before: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(body.strip_suffix(b"}").unwrap_or(body));
        head.sequence += 1;
        head.lost += lost_before;
        let mut seal = format!(r#","chain":{{"sequence":{}"#, head.sequence);
        if lost_before > 0 {
            seal.push_str(&format!(r#","lostBefore":{lost_before}"#));
        }
        seal.push_str(&format!(r#","lost":{},"previous":"{}""#, head.lost, head.hash));
        out.extend_from_slice(seal.as_bytes());
        head.hash = self.hash(out.get(start..).unwrap_or_default());
        out.extend_from_slice(BEFORE_HASH);
        out.extend_from_slice(head.hash.as_bytes());
        out.extend_from_slice(AFTER_HASH);
        out.push(b'\n');
    }
}

const BEFORE_HASH: &[u8] = br#","hash":""#;
const AFTER_HASH: &[u8] = br#""}}"#;

/// Cuts a record, without the line's end, into what is hashed and its hash.
#[must_use]
pub fn unseal(line: &[u8]) -> Option<(&[u8], &str)> {
    let rest = line.strip_suffix(AFTER_HASH)?;
    let (rest, hash) = rest.split_at_checked(rest.len().checked_sub(64)?)?;
    let hashed = rest.strip_suffix(BEFORE_HASH)?;
    let hash = std::str::from_utf8(hash).ok()?;
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    hash.bytes().all(lower).then_some((hashed, hash))
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, Head, NotedHead, unseal};
    use crate::wire::record::control::Sealed;

    #[test]
    fn a_sealed_record_can_be_unsealed_and_every_changed_byte_shows() {
        for key in [None, Some(&b"key"[..])] {
            let algorithm = Algorithm::new(key);
            let (mut head, mut out) = (Head::default(), Vec::new());
            algorithm.seal(&mut head, br#"{"keyward":{"a":1}}"#, 0, &mut out);
            algorithm.seal(&mut head, br#"{"keyward":{"a":2}}"#, 3, &mut out);
            let lines: Vec<&[u8]> = out.split(|byte| *byte == b'\n').collect();
            assert_eq!(lines.len(), 3);
            for (line, lost) in lines[..2].iter().zip([0, 3]) {
                let (hashed, hash) = unseal(line).unwrap();
                assert_eq!(algorithm.hash(hashed), hash);
                let sealed: Sealed = serde_json::from_slice(line).unwrap();
                assert_eq!((sealed.chain.lost_before, sealed.chain.lost), (lost, lost));
                for at in 0..line.len() {
                    let mut changed = line.to_vec();
                    changed[at] ^= 1;
                    let still = unseal(&changed)
                        .is_some_and(|(hashed, hash)| algorithm.hash(hashed) == hash);
                    assert!(!still, "byte {at}");
                }
            }
            assert_eq!((head.sequence, head.lost, head.accounted()), (2, 3, 5));
        }
    }

    #[test]
    fn a_noted_head_is_a_number_and_digits() {
        let head: NotedHead = "12:0123456789ABC".parse().unwrap();
        assert_eq!((head.sequence, &*head.digits), (12, "0123456789abc"));
        for text in ["", "12", "12:", "12:0123", "x:0123456789abc", "12:0123456789abg"] {
            assert!(text.parse::<NotedHead>().is_err(), "{text:?}");
        }
    }
}

//! Data keys, sealed by AES-256-GCM under keys that are named by ARN.
//!
//! A sealed data key is `1`, the length of the ARN (2 bytes), the ARN, a nonce (12 bytes), and the 32
//! bytes encrypted, with their tag. The ARN and the encryption context are authenticated with it.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use tonic::Status;
use tower::Service;
use zeroize::Zeroizing;

use crate::enforce::{Allowed, Question};
use crate::keyward::{AuthorizeRequest, Principal};

/// The version of the form.
const VERSION: u8 = 1;

/// Bytes of a data key.
const DATA_KEY: usize = 32;

/// The longest ARN that a sealed data key may name, in bytes.
const LONGEST_ARN: usize = 2048;

/// Something that a principal wants done.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Who: known by the connection.
    pub principal: String,
    /// With what: bound to the data key.
    pub encryption_context: HashMap<String, String>,
    /// What.
    pub wanted: Wanted,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// A new data key, under a key that is named.
    DataKey {
        /// Key id, key ARN, alias name or alias ARN.
        key_id: String,
    },
    /// The data key in what was stored.
    Decrypt {
        /// What was stored.
        sealed: Sealed,
    },
}

impl Question for Operation {
    fn question(&self) -> AuthorizeRequest {
        let (action, key_id) = match &self.wanted {
            Wanted::DataKey { key_id } => ("kms:GenerateDataKey", key_id.clone()),
            Wanted::Decrypt { sealed } => ("kms:Decrypt", sealed.key_arn.clone()),
        };
        AuthorizeRequest {
            principal: Some(Principal { arn: self.principal.clone(), ..Principal::default() }),
            action: action.to_owned(),
            key_id,
            encryption_context: self.encryption_context.clone(),
            ..AuthorizeRequest::default()
        }
    }
}

/// A sealed data key, taken apart. Nothing of it is proven until it is opened.
#[derive(Clone, Debug)]
pub struct Sealed {
    key_arn: String,
    nonce: [u8; NONCE_LEN],
    ciphertext: Vec<u8>,
}

impl Sealed {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT`: it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Status> {
        let read = || {
            let (version, rest) = bytes.split_first()?;
            let (length, rest) = rest.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (arn, rest) = rest.split_at_checked(length)?;
            let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>()?;
            let whole = ciphertext.len() == DATA_KEY + AES_256_GCM.tag_len();
            (*version == VERSION && length <= LONGEST_ARN && whole).then_some(Self {
                key_arn: str::from_utf8(arn).ok()?.to_owned(),
                nonce: *nonce,
                ciphertext: ciphertext.to_vec(),
            })
        };
        read().ok_or_else(|| Status::invalid_argument("ciphertext_blob: no sealed data key"))
    }

    fn bytes(&self) -> Vec<u8> {
        let length = u16::try_from(self.key_arn.len()).unwrap_or(u16::MAX);
        let head = [&[VERSION][..], &length.to_be_bytes(), self.key_arn.as_bytes()].concat();
        [&head, &self.nonce[..], &self.ciphertext].concat()
    }
}

/// What came of an operation.
#[derive(Debug)]
pub struct DataKey {
    /// The 32 bytes.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The same, sealed; for a new one alone.
    pub sealed: Option<Vec<u8>>,
    /// The key that sealed it.
    pub key_arn: String,
}

/// The keys. Only what is [`Allowed`] gets to them.
#[derive(Clone, Debug)]
pub struct Keys {
    by_arn: Arc<HashMap<String, LessSafeKey>>,
    random: SystemRandom,
}

impl Keys {
    /// Keys of 32 bytes, by ARN.
    ///
    /// # Errors
    ///
    /// One has another length, or an ARN that is too long.
    pub fn new<'k>(keys: impl IntoIterator<Item = (String, &'k [u8])>) -> Result<Self, String> {
        let mut by_arn = HashMap::new();
        for (arn, key) in keys {
            let unbound = UnboundKey::new(&AES_256_GCM, key);
            let (Ok(unbound), true) = (unbound, arn.len() <= LONGEST_ARN) else {
                return Err(format!("the key of `{arn}`: expected 32 bytes"));
            };
            by_arn.insert(arn, LessSafeKey::new(unbound));
        }
        Ok(Self { by_arn: Arc::new(by_arn), random: SystemRandom::new() })
    }

    fn key(&self, arn: &str) -> Result<&LessSafeKey, Status> {
        let missing = || Status::failed_precondition(format!("no material of the key {arn} here"));
        self.by_arn.get(arn).ok_or_else(missing)
    }

    fn generate(
        &self,
        key_arn: String,
        context: &HashMap<String, String>,
    ) -> Result<DataKey, Status> {
        let key = self.key(&key_arn)?;
        let no_randomness = |_| Status::internal("no randomness");
        let mut plaintext = Zeroizing::new(vec![0; DATA_KEY]);
        self.random.fill(&mut plaintext).map_err(no_randomness)?;
        // A nonce at random for each data key: fewer than 2^32 under one key, says NIST SP 800-38D.
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(no_randomness)?;
        let mut ciphertext = plaintext.to_vec();
        let aad = Aad::from(authenticated(&key_arn, context));
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut ciphertext)
            .map_err(|_| Status::internal("the data key cannot be sealed"))?;
        let sealed = Sealed { key_arn, nonce, ciphertext };
        Ok(DataKey { plaintext, sealed: Some(sealed.bytes()), key_arn: sealed.key_arn })
    }

    fn open(&self, sealed: Sealed, context: &HashMap<String, String>) -> Result<DataKey, Status> {
        let Sealed { key_arn, nonce, ciphertext } = sealed;
        let key = self.key(&key_arn)?;
        let mut bytes = Zeroizing::new(ciphertext);
        let aad = Aad::from(authenticated(&key_arn, context));
        let opened = key
            .open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut bytes)
            .map_err(|_| Status::invalid_argument("InvalidCiphertextException"))?;
        let plaintext = Zeroizing::new(opened.to_vec());
        Ok(DataKey { plaintext, sealed: None, key_arn })
    }
}

impl Service<Allowed<Operation>> for Keys {
    type Response = DataKey;
    type Error = Status;
    type Future = Ready<Result<DataKey, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, allowed: Allowed<Operation>) -> Self::Future {
        let (operation, key_arn) = allowed.into_parts();
        let context = &operation.encryption_context;
        ready(match operation.wanted {
            Wanted::DataKey { .. } => self.generate(key_arn, context),
            // What was allowed is one key. It is the one that the sealed data key names, or nothing.
            Wanted::Decrypt { sealed } if sealed.key_arn == key_arn => self.open(sealed, context),
            Wanted::Decrypt { .. } => Err(Status::permission_denied("another key was allowed")),
        })
    }
}

/// What is authenticated with a data key: each text with its length, so that no two contexts read
/// the same; the pairs in order.
fn authenticated(key_arn: &str, context: &HashMap<String, String>) -> Vec<u8> {
    let mut pairs: Vec<_> = context.iter().collect();
    pairs.sort();
    let texts = pairs.into_iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let mut bytes = vec![VERSION];
    for text in [key_arn].into_iter().chain(texts) {
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Keys, Sealed, authenticated};

    fn context(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_data_key_opens_with_its_key_and_context_alone() {
        let keys = Keys::new([("a".to_owned(), &[7; 32][..]), ("b".to_owned(), &[8; 32])]).unwrap();
        let tenant = context(&[("tenant", "acme")]);
        let made = keys.generate("a".to_owned(), &tenant).unwrap();
        let sealed = Sealed::parse(&made.sealed.unwrap()).unwrap();
        assert_eq!(keys.open(sealed.clone(), &tenant).unwrap().plaintext, made.plaintext);
        for other in [context(&[]), context(&[("tenant", "globex")])] {
            assert!(keys.open(sealed.clone(), &other).is_err());
        }
        let elsewhere = Sealed { key_arn: "b".to_owned(), ..sealed.clone() };
        assert!(keys.open(elsewhere, &tenant).is_err());
        let mut bent = sealed;
        bent.ciphertext[0] ^= 1;
        assert!(keys.open(bent, &tenant).is_err());
    }

    #[test]
    fn two_data_keys_are_never_the_same() {
        let keys = Keys::new([("a".to_owned(), &[7; 32][..])]).unwrap();
        let make = || keys.generate("a".to_owned(), &HashMap::new()).unwrap();
        let (one, other) = (make(), make());
        assert_ne!(one.plaintext, other.plaintext);
        assert_ne!(one.sealed, other.sealed);
    }

    #[test]
    fn no_two_contexts_are_authenticated_as_the_same_bytes() {
        let one = authenticated("k", &context(&[("a", "bc")]));
        assert_ne!(one, authenticated("k", &context(&[("ab", "c")])));
        assert_ne!(one, authenticated("ka", &context(&[("", "bc")])));
    }

    #[test]
    fn what_is_no_sealed_data_key_is_refused() {
        let keys = Keys::new([("a".to_owned(), &[7; 32][..])]).unwrap();
        let whole = keys.generate("a".to_owned(), &HashMap::new()).unwrap().sealed.unwrap();
        for end in 0..whole.len() {
            assert!(Sealed::parse(&whole[..end]).is_err(), "{end}");
        }
        assert!(Sealed::parse(&[&whole[..], &[0]].concat()).is_err());
    }
}

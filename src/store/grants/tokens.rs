//! Grant tokens: opaque, and made by nobody else.
//!
//! A token names a grant; it allows nothing by itself. Whoever reads one looks the grant up, and a
//! grant that is gone has no valid token. All tokens of a grant are valid while it lives.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The longest token that is looked at, as in KMS.
const LONGEST: usize = 8192;

const VERSION: u8 = 1;
const NONCE: usize = 16;
const SEAL: usize = 32;

/// What a seal is about, so that it is good for nothing else.
const PURPOSE: &[u8] = b"keyward grant token\0";

/// Makes and reads the tokens of one database.
#[derive(Clone)]
pub struct Tokens {
    seal: Hmac<Sha256>,
}

impl Tokens {
    /// Seals with the secret of the database.
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        // HMAC fills a short key up with zeros itself.
        let mut block = [0; 64];
        block.iter_mut().zip(secret).for_each(|(to, from)| *to = *from);
        Self { seal: Hmac::new(&block.into()) }
    }

    /// A new token for a grant. No two are equal.
    ///
    /// # Errors
    ///
    /// The system has no randomness.
    pub fn mint(&self, grant_id: &str) -> Result<String, NoRandomness> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(NoRandomness)?;
        let mut token = Vec::with_capacity(1 + NONCE + grant_id.len() + SEAL);
        token.push(VERSION);
        token.extend(nonce);
        token.extend(grant_id.as_bytes());
        let seal = self.sealing(&token).finalize();
        token.extend(seal.as_bytes());
        Ok(URL_SAFE_NO_PAD.encode(token))
    }

    /// The id of the grant that a token of this database names; such a grant need not exist.
    ///
    /// # Errors
    ///
    /// This database did not make the token.
    pub fn read(&self, token: &str) -> Result<String, ForgedOrForeign> {
        if token.len() > LONGEST {
            return Err(ForgedOrForeign);
        }
        let mut sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| ForgedOrForeign)?;
        let at = sealed.len().checked_sub(SEAL).ok_or(ForgedOrForeign)?;
        let seal = sealed.split_off(at);
        // In constant time.
        self.sealing(&sealed).verify_slice(&seal).map_err(|_| ForgedOrForeign)?;
        match sealed.split_first() {
            Some((&VERSION, rest)) => {
                let id = rest.get(NONCE..).ok_or(ForgedOrForeign)?;
                String::from_utf8(id.to_vec()).map_err(|_| ForgedOrForeign)
            }
            _ => Err(ForgedOrForeign),
        }
    }

    fn sealing(&self, content: &[u8]) -> Hmac<Sha256> {
        let mut seal = self.seal.clone();
        seal.update(PURPOSE);
        seal.update(content);
        seal
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

/// The text is no token that this database made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the grant token is not one that this service gave out")]
pub struct ForgedOrForeign;

/// The system has no randomness to give.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gives no randomness: {0}")]
pub struct NoRandomness(getrandom::Error);

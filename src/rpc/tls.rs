//! TLS, with certificates that are replaced while the service runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::certificate::expiry;
use crate::engine::term::time::Timestamp;

/// The largest file with certificates or a key, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Where certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate and those between it and its CA, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
    /// CAs of client certificates, as PEM. With them every client needs a certificate.
    pub client_ca: Option<PathBuf>,
}

/// TLS as it is now. All of the files are taken over together, or none.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    now: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    content: Content,
    config: Arc<ServerConfig>,
    expires: Timestamp,
}

/// The bytes of the files.
#[derive(Clone, PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// A key is nothing to write into a log.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").finish_non_exhaustive()
    }
}

/// The files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One does not hold what it should.
    #[error("`{}`: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// They do not fit together.
    #[error("`{}` and `{}` cannot be used together: {source}", certificate.display(), key.display())]
    Together {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// What looking at the files came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// They say what they said before.
    Same,
    /// New connections use what they say now.
    Changed,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// They cannot be used.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let loaded = loaded(&files, read(&files)?)?;
        Ok(Self { files, now: ArcSwap::from_pointee(loaded) })
    }

    /// Looks at the files again. What cannot be used changes nothing.
    ///
    /// # Errors
    ///
    /// They cannot be used: connections go on as before.
    pub fn reload(&self) -> Result<Reloaded, TlsError> {
        let content = read(&self.files)?;
        if content == self.now.load().content {
            return Ok(Reloaded::Same);
        }
        // A new configuration: sessions that clients remember are not taken up again, so a client
        // whose CA is gone has to prove itself.
        self.now.store(Arc::new(loaded(&self.files, content)?));
        Ok(Reloaded::Changed)
    }

    /// How new connections are made.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.now.load().config)
    }

    /// When the first of the server's certificates ends to hold.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.now.load().expires
    }
}

fn read(files: &TlsFiles) -> Result<Content, TlsError> {
    let content = |path: &Path| {
        let unreadable = |source| TlsError::Unreadable { path: path.to_owned(), source };
        let metadata = fs::metadata(path).map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() > LARGEST {
            let why = format!("not a file of at most {LARGEST} bytes");
            return Err(TlsError::Content { path: path.to_owned(), why });
        }
        fs::read(path).map_err(unreadable)
    };
    Ok(Content {
        certificate: content(&files.certificate)?,
        key: content(&files.key)?,
        client_ca: files.client_ca.as_deref().map(content).transpose()?,
    })
}

fn loaded(files: &TlsFiles, content: Content) -> Result<Loaded, TlsError> {
    let chain = certificates(&files.certificate, &content.certificate)?;
    let expires = chain.iter().filter_map(|certificate| expiry(certificate)).min();
    let expires = expires
        .ok_or_else(|| wrong(&files.certificate, "a certificate says nothing of its validity"))?;
    let key = PrivateKeyDer::from_pem_slice(&content.key)
        .map_err(|error| wrong(&files.key, format!("no private key in PEM: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let together = |source| TlsError::Together {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(together)?;
    let builder = match (&files.client_ca, &content.client_ca) {
        (Some(path), Some(pem)) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, pem)? {
                roots.add(certificate).map_err(|error| wrong(path, error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| wrong(path, error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(together)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Loaded { content, config: Arc::new(config), expires })
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(wrong(path, "no certificate in PEM")),
        Err(error) => Err(wrong(path, format!("no certificates in PEM: {error}"))),
    }
}

fn wrong(path: &Path, why: impl Into<String>) -> TlsError {
    TlsError::Content { path: path.to_owned(), why: why.into() }
}

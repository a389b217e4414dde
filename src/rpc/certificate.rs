//! What a certificate says: who it is for, and how long it holds.

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::peer::Certificate;
use crate::engine::term::time::Timestamp;

/// What a client's certificate says of it.
///
/// A SPIFFE id is the one URI among the alternative names; a certificate with several URIs has
/// none (SPIFFE, "X.509-SVID", section 2).
#[must_use]
pub(super) fn client(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut uris = certificate
        .extensions()
        .iter()
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        })
        .flatten()
        .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None });
    let only = uris.next().filter(|_| uris.next().is_none());
    Some(Certificate {
        spiffe: only.filter(|uri| uri.starts_with("spiffe://")).map(Into::into),
        subject: certificate.subject().to_string().into(),
    })
}

/// The instant after which a certificate does not hold any more.
#[must_use]
pub(super) fn expiry(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(Timestamp::new(certificate.validity().not_after.timestamp(), 0))
}

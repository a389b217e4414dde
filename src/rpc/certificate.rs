//! What a certificate says: who it is for, and how long it holds.

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::objects::oid_registry;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::{RelativeDistinguishedName, X509Name};

use super::peer::Certificate;
use crate::engine::term::time::Timestamp;

/// What a client's certificate says of it.
///
/// A SPIFFE id is the one URI among the alternative names; a certificate with several URIs has
/// none (SPIFFE, "X.509-SVID", section 2).
#[must_use]
pub fn client(der: &[u8]) -> Option<Certificate> {
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
        subject: subject(certificate.subject()).unwrap_or_default().into(),
    })
}

/// A subject, such as `CN=orders, O=Example`; `None` when a value cannot be read. What would look
/// like another attribute within a value has a `\` before it (RFC 4514, section 2.4): a name that
/// somebody chose does not say more than itself.
fn subject(name: &X509Name<'_>) -> Option<String> {
    let mut text = String::new();
    for relative in name.iter() {
        for (index, attribute) in relative.iter().enumerate() {
            if !text.is_empty() {
                text.push_str(if index == 0 { ", " } else { " + " });
            }
            let alone = RelativeDistinguishedName::from_iter([attribute.clone()]);
            let alone = X509Name::from_iter([alone]).to_string_with_registry(oid_registry());
            let (kind, value) = alone.as_deref().ok()?.split_once('=')?;
            text.push_str(kind);
            text.push('=');
            for character in value.chars() {
                if [',', '+', '\\'].contains(&character) {
                    text.push('\\');
                }
                text.push(character);
            }
        }
    }
    Some(text)
}

/// The instant after which a certificate does not hold any more.
#[must_use]
pub(super) fn expiry(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(Timestamp::new(certificate.validity().not_after.timestamp(), 0))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

    use super::client;
    use crate::rpc::peer::Certificate;

    fn read(names: &[(DnType, &str)], uris: &[&str]) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in names {
            params.distinguished_name.push(kind.clone(), DnValue::Utf8String((*value).to_owned()));
        }
        let uri = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
        params.subject_alt_names = uris.iter().map(uri).collect();
        let key = KeyPair::generate().unwrap();
        client(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn the_only_uri_is_the_spiffe_id() {
        let id = "spiffe://prod.example/ns/shop/sa/orders";
        assert_eq!(read(&[], &[id]).spiffe.as_deref(), Some(id));
        assert_eq!(read(&[], &[id, "https://prod.example"]).spiffe, None);
        assert_eq!(read(&[], &["https://prod.example"]).spiffe, None);
        assert_eq!(client(b"no certificate"), None);
    }

    #[test]
    fn a_name_does_not_say_more_than_itself() {
        let (name, organization) = (DnType::CommonName, DnType::OrganizationName);
        let two = read(&[(name.clone(), "storage"), (organization, "Example")], &[]);
        assert_eq!(&*two.subject, "CN=storage, O=Example");
        let one = read(&[(name.clone(), "storage, O=Example")], &[]);
        assert_eq!(&*one.subject, r"CN=storage\, O=Example");
        let one = read(&[(name, r"a + OU=x\")], &[]);
        assert_eq!(&*one.subject, r"CN=a \+ OU=x\\");
    }
}

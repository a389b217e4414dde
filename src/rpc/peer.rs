//! Who is at the other end of a connection, as far as the connection proves it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The other end of a connection. A clone shares it: every request of the connection carries one.
#[derive(Clone, Debug)]
pub struct Peer(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    origin: Origin,
    identity: Identity,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Through a Unix socket, whose permissions say who may.
    Unix,
    /// From this machine.
    Loopback,
    /// From another machine.
    Network(IpAddr),
}

/// What a connection proves of who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Nothing.
    Nobody,
    /// The user id that the operating system knows of a process on this machine.
    Unix {
        /// The user id.
        uid: u32,
    },
    /// A certificate that the client CA vouches for.
    Certificate(Certificate),
}

/// What Keyward reads of a client's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// The SPIFFE id: the only URI among the alternative names, if it is one.
    pub spiffe: Option<Box<str>>,
    /// The subject, such as `CN=orders, O=Example`.
    pub subject: Box<str>,
}

impl Peer {
    /// A peer.
    #[must_use]
    pub fn new(origin: Origin, identity: Identity) -> Self {
        Self(Arc::new(Facts { origin, identity }))
    }

    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// What it proved.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }
}

impl Origin {
    /// By the address of the other end.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        // An IPv4 address may arrive in the clothes of IPv6.
        let address = address.to_canonical();
        if address.is_loopback() { Self::Loopback } else { Self::Network(address) }
    }
}

/// As the log tells it.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.identity, self.0.origin) {
            (Identity::Certificate(Certificate { spiffe: Some(id), .. }), _) => f.write_str(id),
            (Identity::Certificate(certificate), _) => f.write_str(&certificate.subject),
            (Identity::Unix { uid }, _) => write!(f, "uid {uid}"),
            (Identity::Nobody, Origin::Unix | Origin::Loopback) => f.write_str("anonymous"),
            (Identity::Nobody, Origin::Network(address)) => write!(f, "anonymous at {address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Certificate, Identity, Origin, Peer};

    #[test]
    fn loopback_is_loopback_in_every_notation() {
        for text in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(Origin::of(text.parse().unwrap()), Origin::Loopback, "{text}");
        }
        for text in ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1"] {
            assert_ne!(Origin::of(text.parse().unwrap()), Origin::Loopback, "{text}");
        }
    }

    #[test]
    fn the_log_tells_the_nearest_name() {
        let certificate = Certificate {
            spiffe: Some("spiffe://example/orders".into()),
            subject: "CN=orders".into(),
        };
        let named = Peer::new(Origin::Loopback, Identity::Certificate(certificate));
        assert_eq!(named.to_string(), "spiffe://example/orders");
        let other = Peer::new(Origin::of("10.0.0.1".parse().unwrap()), Identity::Nobody);
        assert_eq!(other.to_string(), "anonymous at 10.0.0.1");
    }
}

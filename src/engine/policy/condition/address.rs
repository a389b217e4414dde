//! Ranges of IP addresses.

use std::net::IpAddr;

/// A range of addresses in CIDR notation; an address alone is a range of one.
///
/// The families never match each other, mapped addresses included.
///
/// Source: IAM User Guide, "Condition operators" (IP address condition operators).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRange {
    start: IpAddr, // Invariant: host bits are zero.
    prefix: u8,
}

impl AddressRange {
    /// Reads `203.0.113.0/24`, `2001:db8::/32` or a lone address. Host bits are ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= longest)?
            }
            Some(_) => return None,
        };
        Some(Self { start: mask(address, prefix), prefix })
    }

    /// Whether the address lies in the range.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.start.is_ipv4() && mask(address, self.prefix) == self.start
    }
}

fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let bits = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & bits).into())
        }
        IpAddr::V6(v6) => {
            let bits = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & bits).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AddressRange;

    #[track_caller]
    fn check(range: &str, address: &str, expected: bool) {
        let range = AddressRange::parse(range).unwrap();
        assert_eq!(range.contains(address.parse().unwrap()), expected, "{range:?} {address}");
    }

    #[test]
    fn a_range_holds_its_addresses() {
        check("203.0.113.0/24", "203.0.113.255", true);
        check("203.0.113.0/24", "203.0.114.0", false);
        check("203.0.113.5", "203.0.113.5", true);
        check("203.0.113.5", "203.0.113.6", false);
        check("203.0.113.77/24", "203.0.113.1", true);
        check("0.0.0.0/0", "255.255.255.255", true);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("::/0", "::1", true);
    }

    #[test]
    fn families_never_match_each_other() {
        check("0.0.0.0/0", "::1", false);
        check("::/0", "1.2.3.4", false);
        check("1.2.3.4", "::ffff:1.2.3.4", false);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "1.2.3",
            "1.2.3.4/33",
            "1.2.3.4/",
            "010.0.0.0/8",
            "::/129",
            "1.2.3.4/-1",
            "1.2.3.4/+8",
        ] {
            assert!(AddressRange::parse(text).is_none(), "{text:?}");
        }
    }
}

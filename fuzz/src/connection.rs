//! What comes with a connection and a call, beside the message: a certificate, a trace, a deadline.

use std::time::Duration;

use keyward::rpc::certificate::client;
use keyward::rpc::freshness::read_timeout;
use keyward::telemetry::trace::Parent;
use tonic::Code;

/// Reads any bytes as a client's certificate, and lines of text as `grpc-timeout`, `traceparent`
/// and `tracestate`.
///
/// A SPIFFE id stands in the certificate as it is told, and a certificate with two has none. Headers
/// are refused, or are as they would be written.
pub fn run(data: &[u8]) {
    certificate(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    timeout(next());
    trace(next(), next());
}

fn certificate(der: &[u8]) {
    let Some(certificate) = client(der) else { return };
    let Some(id) = certificate.spiffe else { return };
    assert!(id.starts_with("spiffe://"));
    let places = |wanted: &[u8]| der.windows(wanted.len()).filter(|part| *part == wanted).count();
    assert!(places(id.as_bytes()) > 0, "{id} does not stand there");
    // The id a second time, beside itself: as long as lengths allow that in one byte each.
    let name = [&[0x86, u8::try_from(id.len()).unwrap_or(0)], id.as_bytes()].concat();
    if id.len() < 64 && places(&name) == 1 {
        let at = der.windows(name.len()).position(|part| part == name).expect("it is there");
        let twice = [&der[..at], &*name, &der[at..]].concat();
        if let Some(other) =
            lengthened(&twice, der.len(), at, name.len()).and_then(|der| client(&der))
        {
            assert_eq!(other.spiffe, None, "two names, and one of them is told");
        }
    }
}

/// DER with `more` bytes put in at `at`: every length around them made longer; `None` where that
/// would take more bytes.
fn lengthened(der: &[u8], before: usize, at: usize, more: usize) -> Option<Vec<u8>> {
    let mut der = der.to_vec();
    let (mut start, mut end) = (0, before);
    while start < at {
        let tag = *der.get(start)?;
        let first = usize::from(*der.get(start + 1)?);
        let (size, length) = match first {
            0..=127 => (1, first),
            0x81 => (2, usize::from(*der.get(start + 2)?)),
            0x82 => {
                (3, usize::from(u16::from_be_bytes([*der.get(start + 2)?, *der.get(start + 3)?])))
            }
            _ => return None,
        };
        let content = start + 1 + size;
        if content + length > end {
            return None;
        }
        if content + length <= at {
            start = content + length;
            continue;
        }
        let longer = length + more;
        match size {
            1 if longer < 128 => der[start + 1] = u8::try_from(longer).ok()?,
            2 if longer < 256 => der[start + 2] = u8::try_from(longer).ok()?,
            3 if longer < 65536 => {
                der[start + 2..start + 4]
                    .copy_from_slice(&u16::try_from(longer).ok()?.to_be_bytes());
            }
            _ => return None,
        }
        // Only what holds other things holds the name: a constructed one, or an octet string.
        end = content + length;
        start = if tag & 0x20 != 0 || tag == 4 { content } else { return None };
    }
    Some(der)
}

fn timeout(header: &str) {
    let left = match read_timeout(Some(header)) {
        Ok(left) => left,
        Err(status) => {
            let none_left = matches!(header.as_bytes(), [digits @ .., unit] if b"HMSmun".contains(unit)
                && (1..=8).contains(&digits.len()) && digits.iter().all(|digit| *digit == b'0'));
            assert_eq!(status.code() == Code::DeadlineExceeded, none_left, "{header}");
            return;
        }
    };
    let (digits, unit) = header.split_at(header.len() - 1);
    let nanos: u128 = match unit {
        "H" => 3_600_000_000_000,
        "M" => 60_000_000_000,
        "S" => 1_000_000_000,
        "m" => 1_000_000,
        "u" => 1_000,
        "n" => 1,
        _ => panic!("{header}: a unit that does not exist"),
    };
    let value: u128 = digits.parse().expect("digits");
    assert!(digits.len() <= 8 && left != Duration::ZERO);
    assert_eq!(left.as_nanos(), value * nanos, "{header}");
}

fn trace(parent: &str, state: &str) {
    let header = |name: &str| match name {
        "traceparent" => Some(parent),
        "tracestate" => Some(state),
        _ => None,
    };
    let Some(read) = Parent::read(header) else { return };
    let parent = parent.trim();
    assert!(read.trace != 0 && read.span != 0);
    let start = format!("-{:032x}-{:016x}-", read.trace, read.span);
    assert_eq!(&parent[2..2 + start.len()], start, "{parent}");
    let flags = &parent[2 + start.len()..4 + start.len()];
    assert_eq!(u8::from_str_radix(flags, 16).expect("flags") & 1 == 1, read.sampled);
    assert!(!parent.starts_with("ff") && (!parent.starts_with("00") || parent.len() == 55));
    match read.state {
        None => assert!(!read.sampled || state.len() > 512),
        Some(told) => assert!(read.sampled && *told == *state),
    }
}

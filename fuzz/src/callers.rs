//! The callers file, and whom it lets in.

use std::net::IpAddr;

use keyward::engine::term::request::Request;
use keyward::rpc::callers::rpc::Rpc;
use keyward::rpc::callers::{Callers, Gate};
use keyward::rpc::peer::{Certificate, Identity, Origin, Peer};
use keyward::wire::proto::request::request;
use keyward::wire::v1;
use tonic::Code;

use super::documents::BETWEEN;
use super::set::noon;

/// Reads a text as a callers file, and what follows it as the SPIFFE id and the subject of a caller
/// and the principal that it asks about.
///
/// A file is refused with a place in it, or lets in exactly those whom a plain reading of it lets
/// in, for what it lets them ask. A caller of another machine that proves nothing, and that no
/// entry is about, asks nothing.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.split(BETWEEN);
    let mut next = || parts.next().unwrap_or_default();
    let (file, spiffe, subject, principal) = (next(), next(), next(), next());
    for anonymous in [false, true] {
        match Callers::read(file, anonymous) {
            Err(error) => {
                let line = file.split('\n').nth(error.line - 1).expect("a line of the file");
                assert!(error.column <= line.chars().count() + 1, "{error}");
                assert!(!error.message.is_empty());
                return;
            }
            Ok(callers) => {
                let entries = entries(file);
                assert_eq!(callers.len(), entries.len());
                let gate = Gate::new(callers);
                for peer in peers(spiffe, subject) {
                    compare(&gate, &entries, anonymous, &peer, principal);
                }
            }
        }
    }
}

fn entries(file: &str) -> Vec<toml::Table> {
    let table: toml::Table = file.parse().expect("a file that was read is TOML");
    let list = table.get("caller").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    list.into_iter().map(|entry| entry.as_table().expect("a table").clone()).collect()
}

fn peers(spiffe: &str, subject: &str) -> Vec<Peer> {
    let address = |text: &str| Origin::of(text.parse().expect("an address"));
    let certificate = |spiffe: Option<&str>, subject: &str| {
        Identity::Certificate(Certificate {
            spiffe: spiffe.map(Into::into),
            subject: subject.into(),
        })
    };
    vec![
        Peer::new(address("10.1.2.3"), certificate(Some(spiffe), subject)),
        Peer::new(address("10.1.2.3"), certificate(None, subject)),
        Peer::new(address("10.1.2.3"), Identity::Nobody),
        Peer::new(address("2001:db8::1"), Identity::Nobody),
        Peer::new(address("127.0.0.1"), Identity::Nobody),
        Peer::new(Origin::Unix, Identity::Unix { uid: 1000 }),
    ]
}

fn compare(gate: &Gate, entries: &[toml::Table], anonymous: bool, peer: &Peer, principal: &str) {
    let here = matches!(peer.origin(), Origin::Unix | Origin::Loopback);
    let entry = entries.iter().find_map(|entry| Some((entry, known(entry, peer)?)));
    for (rpc, name) in [
        (Rpc::Authorize, "Authorize"),
        (Rpc::AuthorizeStream, "AuthorizeStream"),
        (Rpc::Grants, ""),
        (Rpc::Operators, ""),
    ] {
        let admitted = gate.recognise(Some(peer), rpc);
        let expected = match &entry {
            Some((entry, _)) => may_call(entry, rpc, name),
            None => {
                let nameless = !matches!(peer.identity(), Identity::Certificate(_));
                nameless && here && anonymous && !name.is_empty()
            }
        };
        assert_eq!(admitted.is_ok(), expected, "{peer} {rpc:?}");
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(status) => {
                assert!(matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated));
                continue;
            }
        };
        for message in questions(principal) {
            let Ok(request) = request(&message, noon()) else { continue };
            let permitted = admitted.permit(&request, message.detail != 0);
            let expected = entry
                .as_ref()
                .is_none_or(|(entry, attributes)| may_ask(entry, attributes, &message, &request));
            assert_eq!(permitted.is_ok(), expected, "{peer} {message:?}");
        }
    }
}

/// Questions about the principal, and about some that claim more.
fn questions(principal: &str) -> Vec<v1::AuthorizeRequest> {
    let about = |arn: &str| v1::AuthorizeRequest {
        principal: Some(v1::Principal { arn: arn.to_owned(), ..v1::Principal::default() }),
        action: "kms:Decrypt".to_owned(),
        key_id: "alias/orders".to_owned(),
        ..v1::AuthorizeRequest::default()
    };
    let with = |change: &dyn Fn(&mut v1::AuthorizeRequest)| {
        let mut message = about("arn:aws:sts::111122223333:assumed-role/App/one");
        change(&mut message);
        message
    };
    vec![
        about(principal),
        about("arn:aws:iam::111122223333:root"),
        about("s3.amazonaws.com"),
        with(&|_| {}),
        with(&|message| message.detail = 1),
        with(&|message| message.via_service = "s3.us-west-2.amazonaws.com".to_owned()),
        with(&|message| {
            message.context.insert("aws:SourceVpce".to_owned(), "vpce-1".to_owned());
        }),
        with(&|message| {
            message.encryption_context.insert("tenant".to_owned(), "42".to_owned());
        }),
    ]
}

type Attributes = Vec<(String, String)>;

/// What is read of the peer, if the entry is about it.
fn known(entry: &toml::Table, peer: &Peer) -> Option<Attributes> {
    let text = |name: &str| entry.get(name).and_then(toml::Value::as_str);
    match peer.identity() {
        Identity::Certificate(certificate) => match (text("spiffe"), text("subject")) {
            (Some(pattern), _) => reads(pattern, certificate.spiffe.as_deref()?),
            (None, Some(pattern)) => reads(pattern, &certificate.subject),
            (None, None) => None,
        },
        Identity::Unix { uid } => (entry.get("uid")?.as_integer()? == i64::from(*uid))
            .then(|| vec![("uid".to_owned(), uid.to_string())]),
        Identity::Nobody => match peer.origin() {
            Origin::Network(address) => within(text("network")?, address).then(Vec::new),
            Origin::Unix | Origin::Loopback => None,
        },
    }
}

fn within(network: &str, address: IpAddr) -> bool {
    let (start, bits) = network.split_once('/').map_or((network, None), |(a, b)| (a, Some(b)));
    let all = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    };
    let start: IpAddr = start.parse().expect("an address");
    let ((start_bits, most), (bits_of, _)) = (all(start), all(address));
    let bits: u32 = bits.map_or(most, |bits| bits.parse().expect("a number of bits"));
    let shift = |value: u128| value.checked_shr(128 - bits).unwrap_or(0);
    start.is_ipv4() == address.is_ipv4() && shift(start_bits) == shift(bits_of)
}

/// Reads attributes from a text, one character after the other.
fn reads(pattern: &str, text: &str) -> Option<Attributes> {
    let (pattern, all) = open(pattern);
    let (mut found, mut left) = (Attributes::new(), text);
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let end = left.find(['/', ':', ',']).unwrap_or(left.len());
        let (component, after) = left.split_at(end);
        match first {
            '*' => (rest, left) = (&rest[1..], after),
            '{' => {
                let (name, behind) = rest[1..].split_once('}')?;
                let plain = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
                if component.is_empty() || !component.chars().all(plain) {
                    return None;
                }
                found.push((name.to_owned(), component.to_owned()));
                (rest, left) = (behind, after);
            }
            literal => {
                left = left.strip_prefix(literal)?;
                rest = &rest[literal.len_utf8()..];
            }
        }
    }
    (all || left.is_empty()).then_some(found)
}

/// The pattern without the `**` at its end, and whether there was one.
fn open(pattern: &str) -> (&str, bool) {
    match pattern.strip_suffix("**") {
        Some(pattern) => (pattern, true),
        None if pattern == "*" => ("", true),
        None => (pattern, false),
    }
}

fn may_call(entry: &toml::Table, rpc: Rpc, name: &str) -> bool {
    let flag = |name: &str| entry.get(name).and_then(toml::Value::as_bool).unwrap_or(false);
    let list = |name: &str| entry.get(name).and_then(toml::Value::as_array);
    match rpc {
        Rpc::Operators => flag("admin"),
        Rpc::Grants => flag("admin") || flag("grants"),
        Rpc::Authorize | Rpc::BatchAuthorize | Rpc::AuthorizeStream => match list("rpcs") {
            Some(names) => names.iter().any(|known| known.as_str() == Some(name)),
            None => !flag("admin") || list("principals").is_some_and(|list| !list.is_empty()),
        },
    }
}

fn may_ask(
    entry: &toml::Table,
    attributes: &Attributes,
    message: &v1::AuthorizeRequest,
    request: &Request<'_>,
) -> bool {
    let texts = |name: &str| -> Option<Vec<&str>> {
        let list = entry.get(name)?.as_array()?;
        Some(list.iter().filter_map(toml::Value::as_str).collect())
    };
    let arn = &message.principal.as_ref().expect("a principal").arn;
    let about = texts("principals").unwrap_or_default();
    if !about.iter().any(|pattern| fits(pattern, arn, attributes)) {
        return false;
    }
    let usual = vec!["encryption_context", "parameters", "aws:SourceIp"];
    let claims = texts("assert").unwrap_or(usual);
    let may = |claim: &str| claims.contains(&claim) || claims.contains(&"*");
    let key = |name: &str| {
        claims.iter().filter(|claim| claim.contains(':')).any(|claim| {
            let (claim, name) = (claim.to_ascii_lowercase(), name.to_ascii_lowercase());
            claim.strip_suffix('*').map_or(claim == name, |prefix| name.starts_with(prefix))
        })
    };
    (message.encryption_context.is_empty() || may("encryption_context"))
        && (message.via_service.is_empty() || may("via_service"))
        && (message.detail == 0 || may("detail"))
        && (!arn.ends_with(".amazonaws.com") || may("service_principals"))
        && (request.principal.text() != *arn || !arn.ends_with(":root") || may("root"))
        && (message.context.is_empty() || may("*") || key("aws:SourceVpce"))
}

/// Whether a pattern is about a text: every way to lay it over the text is tried.
fn fits(pattern: &str, text: &str, attributes: &Attributes) -> bool {
    let (pattern, all) = open(pattern);
    let mut places = vec![text];
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        match first {
            '*' => {
                let runs = |place: &&'_ str| -> Vec<usize> {
                    let end = place.find(['/', ':']).unwrap_or(place.len());
                    place
                        .char_indices()
                        .map(|(at, _)| at)
                        .chain([place.len()])
                        .filter(|at| *at <= end)
                        .collect()
                };
                places = places
                    .iter()
                    .flat_map(|place| runs(place).into_iter().map(|at| &place[at..]))
                    .collect();
                rest = &rest[1..];
            }
            '{' => {
                let (name, behind) = rest[1..].split_once('}').expect("a name");
                let value =
                    attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value);
                places = places.iter().filter_map(|place| place.strip_prefix(&**value?)).collect();
                rest = behind;
            }
            literal => {
                places = places.iter().filter_map(|place| place.strip_prefix(literal)).collect();
                rest = &rest[literal.len_utf8()..];
            }
        }
        places.sort_by_key(|place| place.len());
        places.dedup();
    }
    places.iter().any(|place| all || place.is_empty())
}

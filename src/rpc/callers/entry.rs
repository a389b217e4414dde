//! One entry of the callers file, checked: how a caller is recognised, and what it may.

use std::net::IpAddr;
use std::num::NonZeroU32;

use super::pattern::{Attributes, Pattern};
use super::rights::{Claims, Rights};
use super::rpc::Rpc;
use crate::engine::policy::condition::address::AddressRange;
use crate::rpc::peer::{Identity, Origin, Peer};
use crate::wire::callers::{CallerEntry, InvalidCallers};

/// An entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What the log calls it.
    pub(super) name: Box<str>,
    known_by: KnownBy,
    /// A bit a method.
    rpcs: u32,
    pub(super) rights: Rights,
    pub(super) requests_per_second: Option<NonZeroU32>,
}

/// How a caller is recognised.
#[derive(Clone, Debug)]
enum KnownBy {
    Spiffe(Pattern),
    Subject(Pattern),
    Uid(u32),
    Network(AddressRange),
}

impl Entry {
    /// Checks an entry; `offset` is where it stands in `text`.
    pub(super) fn read(
        entry: &CallerEntry,
        offset: usize,
        text: &str,
    ) -> Result<Self, InvalidCallers> {
        let wrong = |offset: usize, message: String| InvalidCallers::at(text, offset, message);
        let known_by = known_by(entry, offset, text)?;
        let attributes: Vec<&str> = match &known_by {
            KnownBy::Spiffe(pattern) | KnownBy::Subject(pattern) => pattern.attributes().collect(),
            KnownBy::Uid(_) => vec!["uid"],
            KnownBy::Network(_) => Vec::new(),
        };
        let mut principals = Vec::new();
        for written in &entry.principals {
            let pattern = Pattern::parse(written.get_ref())
                .map_err(|error| wrong(written.span().start, error.to_string()))?;
            if let Some(name) = pattern.attributes().find(|name| !attributes.contains(name)) {
                let message = format!("the entry does not say what `{{{name}}}` is");
                return Err(wrong(written.span().start, message));
            }
            principals.push(pattern);
        }
        let mut claims = if entry.assert.is_some() { Claims::nothing() } else { Claims::narrow() };
        for written in entry.assert.iter().flatten() {
            if !claims.add(written.get_ref()) {
                let message = format!("`{}` is nothing that can be claimed", written.get_ref());
                return Err(wrong(written.span().start, message));
            }
        }
        let mut rpcs = 0;
        for written in entry.rpcs.iter().flatten() {
            let rpc = Rpc::from_name(written.get_ref()).ok_or_else(|| {
                let message = format!(
                    "`{}` is no method of AuthorizationService: there are Authorize, BatchAuthorize, AuthorizeStream",
                    written.get_ref()
                );
                wrong(written.span().start, message)
            })?;
            rpcs |= rpc.bit();
        }
        // An operator who names no principals asks no questions through the data listener.
        if entry.rpcs.is_none() && !(entry.admin && principals.is_empty()) {
            rpcs = Rpc::QUESTIONS;
        }
        if entry.grants {
            rpcs |= Rpc::Grants.bit();
        }
        if entry.admin {
            rpcs |= Rpc::Grants.bit() | Rpc::Operators.bit();
        }
        if principals.is_empty() && rpcs != Rpc::Operators.bit() | Rpc::Grants.bit() {
            let message = "`principals` is missing: whom may it ask about? (`[\"*\"]`: everybody)";
            return Err(wrong(offset, message.to_owned()));
        }
        Ok(Self {
            name: entry.name.as_str().into(),
            known_by,
            rpcs,
            rights: Rights { principals: Some(principals), claims },
            requests_per_second: entry.requests_per_second,
        })
    }

    /// The attributes of the peer, if the entry is about it.
    pub(super) fn recognises(&self, peer: &Peer) -> Option<Attributes> {
        match (&self.known_by, peer.identity()) {
            (KnownBy::Spiffe(pattern), Identity::Certificate(certificate)) => {
                pattern.read(certificate.spiffe.as_deref()?)
            }
            (KnownBy::Subject(pattern), Identity::Certificate(certificate)) => {
                pattern.read(&certificate.subject)
            }
            (KnownBy::Uid(wanted), Identity::Unix { uid }) if wanted == uid => {
                Some(vec![("uid".into(), uid.to_string().into())])
            }
            (KnownBy::Network(network), Identity::Nobody) => {
                let address: IpAddr = match peer.origin() {
                    Origin::Network(address) => address,
                    Origin::Unix | Origin::Loopback => return None,
                };
                network.contains(address).then(Vec::new)
            }
            _ => None,
        }
    }

    /// Whether it may call a method.
    pub(super) fn may_call(&self, rpc: Rpc) -> bool {
        self.rpcs & rpc.bit() != 0
    }
}

fn known_by(entry: &CallerEntry, offset: usize, text: &str) -> Result<KnownBy, InvalidCallers> {
    let pattern = |written: &toml::Spanned<String>| {
        let at = written.span().start;
        let pattern = Pattern::parse(written.get_ref())
            .map_err(|error| InvalidCallers::at(text, at, error.to_string()))?;
        if pattern.is_readable() {
            return Ok(pattern);
        }
        let message = "an attribute or `*` ends at `/`, `:`, `,` or at the end: put one behind it";
        Err(InvalidCallers::at(text, at, message))
    };
    match (&entry.spiffe, &entry.subject, entry.uid, &entry.network) {
        (Some(id), None, None, None) => pattern(id).map(KnownBy::Spiffe),
        (None, Some(subject), None, None) => pattern(subject).map(KnownBy::Subject),
        (None, None, Some(uid), None) => Ok(KnownBy::Uid(uid)),
        (None, None, None, Some(written)) => {
            AddressRange::parse(written.get_ref()).map(KnownBy::Network).ok_or_else(|| {
                let message = format!("`{}` is no network such as `10.0.0.0/8`", written.get_ref());
                InvalidCallers::at(text, written.span().start, message)
            })
        }
        _ => Err(InvalidCallers::at(
            text,
            offset,
            format!(
                "the entry `{}` needs one of `spiffe`, `subject`, `uid` and `network`",
                entry.name
            ),
        )),
    }
}

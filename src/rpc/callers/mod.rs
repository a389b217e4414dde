//! Who may ask, about whom, and what it may claim.

mod entry;
mod pattern;
mod rights;
pub mod rpc;

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use governor::clock::DefaultClock;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use tonic::{Code, Status};

use self::entry::Entry;
use self::pattern::Attributes;
use self::rights::{Claims, Rights};
use self::rpc::Rpc;
use super::peer::{Identity, Origin, Peer};
use super::quiet::Quiet;
use super::status;
use crate::engine::term::request::Request;
use crate::wire::callers::{InvalidCallers, read};

/// The callers that are known, of one reading of the callers file.
#[derive(Debug)]
pub struct Callers {
    /// `None`: there is no callers file.
    entries: Option<Vec<Entry>>,
    /// Whether callers on this machine that prove nothing are answered.
    anonymous: bool,
    /// By entry and identity; entries with a limit alone.
    rates: Rates,
}

type Rate = RateLimiter<(usize, String), DefaultKeyedStateStore<(usize, String)>, DefaultClock>;

/// A limiter for each entry that has a limit, by its place.
#[derive(Debug)]
struct Rates(Vec<Option<Rate>>);

/// Identities whose rate is remembered, of one entry, before those that rest are forgotten.
const REMEMBERED: usize = 10_000;

impl Callers {
    /// Without a callers file.
    #[must_use]
    pub fn unnamed(anonymous: bool) -> Self {
        Self { entries: None, anonymous, rates: Rates(Vec::new()) }
    }

    /// Those of a callers file.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub fn read(text: &str, anonymous: bool) -> Result<Self, InvalidCallers> {
        let file = read(text)?;
        let mut entries: Vec<Entry> = Vec::new();
        for written in &file.caller {
            let offset = written.span().start;
            let entry = Entry::read(written.get_ref(), offset, text)?;
            if entries.iter().any(|other| other.name == entry.name) {
                let message = format!("two callers have the name `{}`", entry.name);
                return Err(InvalidCallers::at(text, offset, message));
            }
            entries.push(entry);
        }
        let limiter = |entry: &Entry| {
            entry
                .requests_per_second
                .map(|rate: NonZeroU32| RateLimiter::keyed(Quota::per_second(rate)))
        };
        let rates = Rates(entries.iter().map(limiter).collect());
        Ok(Self { entries: Some(entries), anonymous, rates })
    }

    /// How many callers it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, Vec::len)
    }

    /// Whether it names nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn entry(&self, index: usize) -> Option<&Entry> {
        self.entries.as_ref()?.get(index)
    }

    /// The caller behind a connection.
    fn find(&self, peer: &Peer) -> Result<Found, Unknown> {
        for (index, entry) in self.entries.iter().flatten().enumerate() {
            if let Some(attributes) = entry.recognises(peer) {
                return Ok(Found::Entry { index, attributes });
            }
        }
        let here = matches!(peer.origin(), Origin::Unix | Origin::Loopback);
        match peer.identity() {
            // The client CA vouches for it, and nobody says that this is not enough.
            Identity::Certificate(_) if self.entries.is_none() => Ok(Found::Vouched),
            Identity::Certificate(_) => Err(Unknown::NotNamed),
            Identity::Unix { .. } | Identity::Nobody if here && self.anonymous => {
                Ok(Found::Anonymous)
            }
            Identity::Unix { .. } => Err(Unknown::NotNamed),
            Identity::Nobody => Err(Unknown::ProvesNothing),
        }
    }
}

#[derive(Clone, Debug)]
enum Found {
    /// On this machine, not named.
    Anonymous,
    /// With a certificate, where no file names callers.
    Vouched,
    Entry {
        index: usize,
        attributes: Attributes,
    },
}

#[derive(Clone, Copy, Debug)]
enum Unknown {
    NotNamed,
    ProvesNothing,
}

/// Lets callers in, by the callers file of the moment.
#[derive(Debug)]
pub struct Gate {
    callers: ArcSwap<Callers>,
    /// Rights of those whom a certificate alone vouches for.
    vouched: Rights,
    quiet: Quiet,
    refusals: Refusals,
}

/// Calls that were refused because of who made them, since the start.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Nobody knows the caller.
    pub unknown: AtomicU64,
    /// The caller may not ask this.
    pub forbidden: AtomicU64,
    /// The caller asks too often.
    pub too_fast: AtomicU64,
}

/// A caller that was let in for one call.
#[derive(Clone, Debug)]
pub struct Admitted<'g> {
    gate: &'g Gate,
    callers: Option<Arc<Callers>>,
    found: Found,
    peer: Peer,
}

impl Gate {
    /// Lets in whom `callers` lets in.
    #[must_use]
    pub fn new(callers: Callers) -> Self {
        Self {
            callers: ArcSwap::from_pointee(callers),
            vouched: Rights { principals: None, claims: Claims::narrow() },
            quiet: Quiet::default(),
            refusals: Refusals::default(),
        }
    }

    /// Takes over another reading of the callers file.
    pub fn install(&self, callers: Callers) {
        self.callers.store(Arc::new(callers));
    }

    /// Whether the caller of a call may call a method at all, with so many questions.
    ///
    /// # Errors
    ///
    /// `UNAUTHENTICATED` where the connection proves nothing, `PERMISSION_DENIED` where what it
    /// proves is not enough, `RESOURCE_EXHAUSTED` above its rate.
    pub fn admit(
        &self,
        peer: Option<&Peer>,
        rpc: Rpc,
        count: usize,
    ) -> Result<Admitted<'_>, Status> {
        let admitted = self.recognise(peer, rpc)?;
        if let (Found::Entry { index, .. }, Some(callers)) = (&admitted.found, &admitted.callers)
            && let Some(Some(rate)) = callers.rates.0.get(*index)
        {
            if rate.len() > REMEMBERED {
                rate.retain_recent();
            }
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
            let key = (*index, admitted.peer.to_string());
            let why = match rate.check_key_n(&key, count) {
                Ok(Ok(())) => return Ok(admitted),
                Ok(Err(_)) => "the caller asks more often than its `requests_per_second`",
                Err(_) => {
                    "a batch with more questions than the caller's `requests_per_second` never \
                     passes: ask in smaller ones"
                }
            };
            self.refusals.too_fast.fetch_add(1, Ordering::Relaxed);
            return Err(status::refused(Code::ResourceExhausted, "CALLER_TOO_FAST", why));
        }
        Ok(admitted)
    }

    /// The same, for a call that was counted already.
    ///
    /// # Errors
    ///
    /// As [`admit`](Self::admit), but for the rate.
    pub fn recognise(&self, peer: Option<&Peer>, rpc: Rpc) -> Result<Admitted<'_>, Status> {
        let Some(peer) = peer else {
            self.refusals.unknown.fetch_add(1, Ordering::Relaxed);
            return Err(status::refused(
                Code::Unauthenticated,
                "CALLER_UNKNOWN",
                "nothing is known of this connection",
            ));
        };
        let callers = self.callers.load();
        let found = callers.find(peer).map_err(|unknown| self.unknown(peer, rpc, &unknown))?;
        let may = match &found {
            Found::Anonymous | Found::Vouched => Rpc::QUESTIONS & rpc.bit() != 0,
            Found::Entry { index, .. } => {
                callers.entry(*index).is_some_and(|entry| entry.may_call(rpc))
            }
        };
        if !may {
            return Err(self.refuse(peer, &format!("may not call {}", rpc.name())));
        }
        let callers = matches!(found, Found::Entry { .. }).then(|| Arc::clone(&callers));
        Ok(Admitted { gate: self, callers, found, peer: peer.clone() })
    }

    /// How many calls were refused.
    #[must_use]
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    fn unknown(&self, peer: &Peer, rpc: Rpc, unknown: &Unknown) -> Status {
        self.refusals.unknown.fetch_add(1, Ordering::Relaxed);
        self.quiet.warn(|skipped| {
            let method = rpc.name();
            tracing::warn!(caller = %peer, method, skipped, "an unknown caller is refused");
        });
        match unknown {
            Unknown::NotNamed => status::refused(
                Code::PermissionDenied,
                "CALLER_NOT_NAMED",
                format!("no entry of the callers file is about `{peer}`"),
            ),
            Unknown::ProvesNothing => status::refused(
                Code::Unauthenticated,
                "CALLER_UNKNOWN",
                "this connection proves nothing about its caller: use a client certificate, or \
                 let the callers file name its network",
            ),
        }
    }

    fn refuse(&self, peer: &Peer, what: &str) -> Status {
        self.refusals.forbidden.fetch_add(1, Ordering::Relaxed);
        self.quiet.warn(|skipped| {
            tracing::warn!(caller = %peer, what, skipped, "a caller is refused");
        });
        let message = format!("the caller `{peer}` {what}");
        status::refused(Code::PermissionDenied, "CALLER_MAY_NOT", message)
    }
}

impl Admitted<'_> {
    /// Whether the caller may ask this.
    ///
    /// # Errors
    ///
    /// `PERMISSION_DENIED`: it may not ask about the principal, or claims what it may not.
    pub fn permit(&self, request: &Request<'_>, wants_detail: bool) -> Result<(), Status> {
        let none = Attributes::new();
        let (rights, attributes) = match (&self.found, &self.callers) {
            (Found::Anonymous, _) => return Ok(()),
            (Found::Entry { index, attributes }, Some(callers)) => {
                let Some(entry) = callers.entry(*index) else {
                    return Err(self.gate.refuse(&self.peer, "is gone"));
                };
                (&entry.rights, attributes)
            }
            (Found::Vouched | Found::Entry { .. }, _) => (&self.gate.vouched, &none),
        };
        match rights.obstacle(request, wants_detail, attributes) {
            None => Ok(()),
            Some(what) => Err(self.gate.refuse(&self.peer, &what)),
        }
    }

    /// The caller's name, for records.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.found, &self.callers) {
            (Found::Entry { index, .. }, Some(callers)) => {
                callers.entry(*index).map_or_else(String::new, |entry| entry.name.to_string())
            }
            _ => self.peer.to_string(),
        }
    }
}

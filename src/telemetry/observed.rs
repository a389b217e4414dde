//! Metrics that are read where they are kept: of caches, grants, the policy set, the decision log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::clock;
use super::log::DecisionLog;
use super::log::counts::{Counts, Loss};
use super::metrics::{Family, Kind, Point};
use super::policy::PolicyFacts;

/// A number that others keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Answers of a cache, by the name of the cache.
    CacheHits(&'static str),
    /// Questions that a cache could not answer.
    CacheMisses(&'static str),
    /// Entries that a cache gave up.
    CacheEvictions(&'static str),
    /// Entries of a cache.
    CacheEntries(&'static str),
    /// Grants that are live.
    Grants,
    /// Calls that were refused before anything was decided, by reason.
    Refused(&'static str),
    /// Connections that were cut because they said nothing any more.
    Silenced,
    /// Changes of a file that says who may come in: what it holds, and what came of it.
    Reloads(&'static str, &'static str),
    /// When the certificate ends to hold, in seconds since 1970.
    CertificateExpiry,
}

/// Reads a number.
type Read = Box<dyn Fn() -> u64 + Send + Sync>;

/// Numbers that others keep.
#[derive(Default)]
pub(super) struct Observed(Mutex<Vec<(Quantity, Read)>>);

impl std::fmt::Debug for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observed")
    }
}

impl Observed {
    pub(super) fn add(&self, what: Quantity, read: Read) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((what, read));
    }

    pub(super) fn families(&self) -> Vec<Family> {
        let counter = Kind::Counter;
        let mut families = vec![
            Family::new(counter, "keyward.cache.hits", "{hit}", "Answers of a cache.", vec![]),
            Family::new(
                counter,
                "keyward.cache.misses",
                "{miss}",
                "Questions that a cache could not answer.",
                vec![],
            ),
            Family::new(
                counter,
                "keyward.cache.evictions",
                "{entry}",
                "Entries that a cache gave up.",
                vec![],
            ),
            Family::new(
                Kind::Gauge,
                "keyward.cache.entries",
                "{entry}",
                "Entries of a cache.",
                vec![],
            ),
            Family::new(Kind::Gauge, "keyward.grants", "{grant}", "Grants that are live.", vec![]),
            Family::new(
                counter,
                "keyward.refused",
                "{call}",
                "Calls refused before anything was decided, by reason.",
                vec![],
            ),
            Family::new(
                counter,
                "keyward.access.reload",
                "{reload}",
                "Changes of the callers file and of the certificate, by result.",
                vec![],
            ),
            Family::new(
                Kind::Gauge,
                "keyward.tls.certificate_expiry_timestamp",
                "s",
                "When the server's certificate ends to hold.",
                vec![],
            ),
            Family::new(
                counter,
                "keyward.connections.silenced",
                "{connection}",
                "Connections cut because they said nothing any more.",
                vec![],
            ),
        ];
        for (what, read) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let (index, labels) = match what {
                Quantity::CacheHits(cache) => (0, vec![("cache", (*cache).into())]),
                Quantity::CacheMisses(cache) => (1, vec![("cache", (*cache).into())]),
                Quantity::CacheEvictions(cache) => (2, vec![("cache", (*cache).into())]),
                Quantity::CacheEntries(cache) => (3, vec![("cache", (*cache).into())]),
                Quantity::Grants => (4, Vec::new()),
                Quantity::Refused(reason) => (5, vec![("reason", (*reason).into())]),
                Quantity::Reloads(what, result) => {
                    (6, vec![("file", (*what).into()), ("result", (*result).into())])
                }
                Quantity::CertificateExpiry => (7, Vec::new()),
                Quantity::Silenced => (8, Vec::new()),
            };
            if let Some(family) = families.get_mut(index) {
                family.points.push(Point::count(labels, read()));
            }
        }
        families
    }
}

/// The metrics of the policy set.
pub(super) fn policy(facts: &PolicyFacts) -> Vec<Family> {
    let reloads = [("success", facts.succeeded), ("failure", facts.failed)]
        .map(|(result, count)| Point::count(vec![("result", result.into())], count));
    let last = facts.last_success;
    let age = clock::since_epoch().saturating_sub(last);
    let number = |value: Duration| vec![Point::number(Vec::new(), value.as_secs_f64())];
    let info = Point::count(
        vec![("revision", facts.revision.to_string().into()), ("origin", facts.origin.into())],
        1,
    );
    let objects = facts.objects.iter();
    let objects = objects.map(|(kind, count)| Point::count(vec![("kind", (*kind).into())], *count));
    vec![
        Family::new(
            Kind::Counter,
            "keyward.policy.reload",
            "{reload}",
            "Loads of the policy set, the first included, by result.",
            reloads.to_vec(),
        ),
        Family::new(
            Kind::Gauge,
            "keyward.policy.age",
            "s",
            "Time since it was last seen that the active policy set is what its source holds.",
            number(age),
        ),
        Family::new(
            Kind::Gauge,
            "keyward.policy.last_success_timestamp",
            "s",
            "When it was last seen that the active policy set is what its source holds, since the epoch.",
            number(last),
        ),
        Family::new(
            Kind::Gauge,
            "keyward.policy.objects",
            "{object}",
            "Objects of the active policy set, by kind.",
            objects.collect(),
        ),
        Family::new(
            Kind::Gauge,
            "keyward.policy.info",
            "1",
            "The revision of the active policy set, and where it came from.",
            vec![info],
        ),
    ]
}

/// The metrics of the decision log.
pub(super) fn decision_log(log: &DecisionLog) -> Vec<Family> {
    let sinks: Vec<_> = log.sinks().collect();
    let of = |read: &dyn Fn(&Counts) -> u64| -> Vec<Point> {
        let point = |(name, counts, _): &(&str, &Counts, _)| {
            Point::count(vec![("sink", (*name).to_owned().into())], read(counts))
        };
        sinks.iter().map(point).collect()
    };
    let dropped = sinks.iter().flat_map(|(name, counts, _)| {
        Loss::ALL.map(|reason| {
            let labels =
                vec![("sink", (*name).to_owned().into()), ("reason", reason.name().into())];
            Point::count(labels, counts.lost(reason))
        })
    });
    let heads = sinks.iter().map(|(name, _, head)| {
        let labels = vec![("sink", (*name).to_owned().into())];
        (Point::count(labels.clone(), head.sequence), Point::count(labels, digits(&head.hash)))
    });
    let (numbers, hashes) = heads.unzip();
    let (counter, gauge) = (Kind::Counter, Kind::Gauge);
    vec![
        Family::new(
            counter,
            "keyward.decision_log.written",
            "{record}",
            "Decision records written.",
            of(&Counts::written),
        ),
        Family::new(
            counter,
            "keyward.decision_log.dropped",
            "{record}",
            "Decision records lost, by reason.",
            dropped.collect(),
        ),
        Family::new(
            gauge,
            "keyward.decision_log.queue_depth",
            "{record}",
            "Decision records that wait in memory.",
            of(&Counts::depth),
        ),
        Family::new(
            gauge,
            "keyward.decision_log.spilled",
            "{record}",
            "Decision records that wait on disk.",
            of(&Counts::spilled),
        ),
        Family::new(
            gauge,
            "keyward.decision_log.head_sequence",
            "{record}",
            "The number of the last record of the log.",
            numbers,
        ),
        Family::new(
            gauge,
            "keyward.decision_log.head_hash",
            "1",
            "The first 13 hexadecimal digits of the hash of the last record, as a number.",
            hashes,
        ),
    ]
}

/// The first 52 bits of a hash, which a floating-point number holds exactly.
fn digits(hash: &str) -> u64 {
    hash.get(..13).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

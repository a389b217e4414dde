//! What long policies said before makes no answer another one.
//!
//! A million pairs of random requests that differ in one input are put to random sets, all through
//! one cache a thread; entries of sets that are gone stay in it.

use std::cell::RefCell;
use std::ops::Range;

use keyward::engine::decide::decision::{Answer, Decision, Denial};
use keyward::engine::decide::memory::{Findings, Grounds, Held, Memory};
use keyward::engine::decide::{decide, remembering};
use keyward::engine::snapshot::Snapshot;
use keyward::engine::term::request::{InvalidRequest, Request};
use keyward::pdp::decisions::Decisions;

use crate::each::each;
use crate::generator::{Random, generate};
use crate::inputs::{Change, of_request};
use crate::properties::read;

/// Sets that take turns with the requests of each other.
const COMPANY: u64 = 16;

/// Companies.
const COMPANIES: Range<u64> = 400_000..405_000;

/// Changes of each request.
const CHANGES: usize = 7;

/// Inputs that are no part of the grounds: policies do not depend on them.
const UNASKED: [&str; 3] = ["grant_tokens", "dry_run", "now"];

/// Tells on what grounds it was asked, and keeps nothing.
#[derive(Default)]
struct Asked(RefCell<Vec<Held>>);

impl Memory for Asked {
    fn worthwhile(&self) -> u32 {
        0
    }
    fn recall(&self, grounds: &Grounds<'_>) -> Option<Findings> {
        self.0.borrow_mut().push(grounds.hold());
        None
    }
    fn keep(&self, _: &Grounds<'_>, _: Findings) {}
}

/// On what grounds a request is decided.
fn grounds(snapshot: &Snapshot, request: &Request<'_>) -> Vec<Held> {
    let asked = Asked::default();
    let _ = remembering(snapshot, request, &asked);
    asked.0.into_inner()
}

fn same_decision(a: &Decision<'_>, b: &Decision<'_>) -> bool {
    let reason = match (a, b) {
        (Decision::Allow(_), Decision::Allow(_))
        | (Decision::Deny(Denial::Explicit(_)), Decision::Deny(Denial::Explicit(_))) => true,
        (Decision::Deny(Denial::Implicit(a)), Decision::Deny(Denial::Implicit(b))) => a == b,
        (Decision::Deny(Denial::KeyState(a)), Decision::Deny(Denial::KeyState(b))) => a == b,
        _ => false,
    };
    let basis = a.basis().zip(b.basis()).all(|(a, b)| {
        let statement = match (a.statement, b.statement) {
            (Some(a), Some(b)) => std::ptr::eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        statement && a.layer == b.layer && a.policy_id == b.policy_id
    });
    reason && basis && a.basis().count() == b.basis().count()
}

fn same(a: &Result<Answer<'_>, InvalidRequest>, b: &Result<Answer<'_>, InvalidRequest>) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => {
            a.key_arn == b.key_arn
                && a.dry_run == b.dry_run
                && a.legs.len() == b.legs.len()
                && a.legs.iter().zip(&b.legs).all(|(a, b)| {
                    a.action == b.action
                        && a.resource == b.resource
                        && same_decision(&a.decision, &b.decision)
                })
        }
        (Err(a), Err(b)) => a == b,
        _ => false,
    }
}

/// How often what was seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Pairs of which both had grounds.
    pairs: usize,
    /// Requests whose answer came from the cache.
    recalled: usize,
}

/// Decides with and without the cache; whether the cache had it.
fn agrees(decisions: &Decisions, snapshot: &Snapshot, request: &Request<'_>) -> bool {
    let recall = decisions.recall();
    let (plain, remembered) = (decide(snapshot, request), remembering(snapshot, request, &recall));
    assert!(same(&plain, &remembered), "{plain:?}\n{remembered:?}\n{request:?}");
    plain.is_ok_and(|answer| recall.made(&answer))
}

/// A request, and others that differ from it in one input.
fn pairs<'a>(
    (decisions, changes): (&Decisions, &[Change<Request<'a>>]),
    snapshot: &Snapshot,
    request: &Request<'a>,
    random: &mut Random,
) -> Seen {
    let mut seen = Seen::default();
    let grounds_before = grounds(snapshot, request);
    let Some(before) = grounds_before.first() else { return seen };
    for _ in 0..2 {
        agrees(decisions, snapshot, request);
    }
    for _ in 0..CHANGES {
        let (name, change) = random.pick(changes);
        let mut changed = request.clone();
        change(&mut changed, random.below(1 << 16));
        agrees(decisions, snapshot, &changed);
        let after = grounds(snapshot, &changed);
        if name == "overrides" {
            assert!(after.is_empty(), "a simulation is remembered");
        } else if let Some(after) = after.first() {
            let same = before == after;
            assert_eq!(same, UNASKED.contains(&name), "{name}: {request:?}\n{changed:?}");
            seen.pairs += 1;
        }
    }
    seen.recalled = usize::from(agrees(decisions, snapshot, request));
    seen
}

#[test]
fn a_million_pairs_are_decided_alike_and_each_input_counts() {
    thread_local! {
        static DECISIONS: Decisions = Decisions::from(0);
    }
    let seen = each(COMPANIES, |company| {
        let first = company * COMPANY;
        let cases: Vec<_> =
            (first..first + COMPANY).filter_map(|seed| read(&generate(seed))).collect();
        let requests: Vec<_> = cases.iter().filter_map(|case| case.request().ok()).collect();
        let (changes, random) = (of_request(), &mut Random::new(company));
        let mut all = Seen::default();
        for case in &cases {
            for request in &requests {
                let tools = |decisions: &Decisions| {
                    pairs((decisions, &changes), &case.snapshot, request, random)
                };
                let Seen { pairs, recalled } = DECISIONS.with(tools);
                all.pairs += pairs;
                all.recalled += recalled;
            }
        }
        all
    });
    let sum = |of: fn(&Seen) -> usize| seen.iter().map(of).sum::<usize>();
    let (pairs, recalled) = (sum(|seen| seen.pairs), sum(|seen| seen.recalled));
    assert!(pairs >= 1_000_000 && recalled >= 100_000, "{pairs} pairs, {recalled} recalled");
}

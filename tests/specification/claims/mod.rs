//! What the lint claims of a policy set is put to many requests that could contradict it.
//!
//! "It never matches" means that the set decides alike without it; "nobody may" means that no
//! request is allowed.
//!
//! ```console
//! $ KEYWARD_SEEDS=3000000..3100000 cargo test --locked --test specification lint_claims
//! ```

mod claim;
mod requests;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;

use keyward::engine::bundle::{Document, Limits, Options};
use keyward::engine::decide::decide;
use keyward::engine::json::{self, Source};
use keyward::engine::snapshot::Snapshot;
use keyward::engine::term::time::Timestamp;
use keyward::lint::finding::Finding;
use keyward::lint::{GRANT_DAYS, Settings, lint};
use keyward::wire::case::{self, Case, outcome};
use serde_json::{Value, json};

use self::claim::{Claim, Says};
use crate::each::{each, named_seeds};
use crate::generator::{Random, generate};
use crate::policies_of::each_policy;
use crate::shrink::shrink;

/// The seeds of every run of the tests.
const SEEDS: Range<u64> = 3_000_000..3_001_500;

/// Requests that each claim is put to.
const REQUESTS: usize = 40;

/// A claim is put to requests at least so often, by code, in the seeds of every run.
const LEAST: [(&str, usize); 19] = [
    ("lockout", 10_000),
    ("lockout-under-conditions", 500),
    ("delegation-missing", 5_000),
    ("administrator-cannot-read", 40),
    ("deletion-cannot-be-cancelled", 40),
    ("use-without-describe", 200),
    ("deleted-principal", 200),
    ("never-across-accounts", 500),
    ("hidden-by-deny", 500),
    ("redundant-allow", 10_000),
    ("condition-key-absent", 5_000),
    ("condition-excludes-action", 400),
    ("condition-never-met", 1_000),
    ("condition-always-met", 3_000),
    ("resource-not-this-key", 1_000),
    ("identity-allow-inert", 900),
    ("resource-not-key-arn", 3_000),
    ("wrong-case-value", 500),
    ("unknown-value", 2_000),
];

fn read(case: &Value) -> Option<Case> {
    let text = case.to_string();
    let source = Source::new("case".into(), &text);
    let json = json::read(&source, &Limits::default(), &mut Vec::new())?;
    case::read(&json, &source, Timestamp::new(0, 0)).ok()
}

/// The set of a case, with everything that a claim may be about.
struct Subject {
    /// `documents` and `options`, without a request.
    set: Value,
    now: Timestamp,
    snapshot: Snapshot,
}

impl Subject {
    fn of(case: &Value) -> Option<Self> {
        let mut set = case.clone();
        set.as_object_mut()?.remove("contextOverrides");
        set["request"] = json!({});
        name_statements(&mut set);
        let Case { snapshot, now, .. } = read(&set)?;
        Some(Self { set, now, snapshot })
    }

    fn findings(&self) -> Vec<Finding> {
        let documents: Vec<Document> = self.set["documents"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
            .map(|(index, document)| Document {
                name: index.to_string().into(),
                text: document.to_string().into(),
            })
            .collect();
        let evaluation = self.snapshot.evaluation.clone();
        let options = Options { allow_empty: true, evaluation, ..Options::default() };
        let settings = Settings { now: self.now, grant_days: GRANT_DAYS };
        lint(&documents, &options, &self.snapshot, settings).all().to_vec()
    }

    fn claims(&self) -> Vec<Claim> {
        self.findings().iter().filter_map(|finding| Claim::of(finding, self)).collect()
    }

    /// What contradicts a claim: what was decided, if anything.
    fn contradiction(&self, claim: &Claim, request: &Value) -> Option<String> {
        let Case { message, overrides, .. } = read(&json!({"request": request}))?;
        let decided = |snapshot: &Snapshot| {
            let (message, overrides) = (message.clone(), overrides.clone());
            let case = Case { message, overrides, now: self.now, snapshot: snapshot.clone() };
            let request = case.request().ok()?;
            let answer = decide(&case.snapshot, &request).ok()?;
            outcome(&answer)["decision"].as_str().map(str::to_owned)
        };
        let here = decided(&self.snapshot)?;
        let allowed = |decision: &str| ["allowed", "keyState"].contains(&decision);
        match &claim.says {
            Says::NeverAllowed => allowed(&here).then(|| here.clone()),
            Says::Alike(other) => {
                let there = decided(other)?;
                (here != there).then(|| format!("{here} with it, {there} without it"))
            }
            Says::AllowedAlike(other) => {
                let there = decided(other)?;
                (allowed(&here) != allowed(&there))
                    .then(|| format!("{here} with it, {there} without it"))
            }
        }
    }
}

/// Gives each statement a name of its own, by which findings tell it; equal key policies keep equal
/// names.
fn name_statements(case: &mut Value) {
    let mut policies = 0;
    let mut seen: Vec<String> = Vec::new();
    each_policy(case, &mut |layer, policy| {
        let text = policy.to_string();
        let number = match seen.iter().position(|other| *other == text) {
            Some(number) if layer == crate::generator::Layer::Key => number,
            _ => {
                seen.push(text);
                policies
            }
        };
        policies = policies.max(number + 1);
        let name = |index: usize, statement: &mut Value| {
            if let Some(members) = statement.as_object_mut() {
                members.insert("Sid".to_owned(), json!(format!("S{number}x{index}")));
            }
        };
        match &mut policy["Statement"] {
            Value::Array(all) => {
                all.iter_mut().enumerate().for_each(|(index, one)| name(index, one));
            }
            one => name(0, one),
        }
    });
}

/// What came of the claims of a seed: how often each was put to a request, and what is false.
#[derive(Default)]
struct Heard {
    put: BTreeMap<&'static str, usize>,
    wrong: Option<String>,
}

fn ask(seed: u64) -> Heard {
    let mut heard = Heard::default();
    let case = generate(seed);
    let Some(subject) = Subject::of(&case) else { return heard };
    let random = &mut Random::new(seed);
    for claim in subject.claims() {
        for request in requests::for_claim(&claim, &case, random, REQUESTS) {
            *heard.put.entry(claim.code).or_default() += 1;
            if let Some(what) = subject.contradiction(&claim, &request) {
                heard.wrong = Some(report(seed, &case, &claim, &request, &what));
                return heard;
            }
        }
    }
    heard
}

/// The smallest set of which the same is claimed, and in which it is as wrong.
fn report(seed: u64, case: &Value, claim: &Claim, request: &Value, what: &str) -> String {
    let mut found = case.clone();
    found["request"] = request.clone();
    let same = |case: &Value| {
        let subject = Subject::of(case)?;
        let same = |other: &&Claim| other.code == claim.code && other.is_about(&case["request"]);
        let claims = subject.claims();
        let mut found = claims.iter().filter(same);
        found.find_map(|claim| {
            subject.contradiction(claim, &case["request"]).map(|what| (claim.message.clone(), what))
        })
    };
    let small = shrink(&found, |case| same(case).is_some());
    let (message, what) = same(&small).unwrap_or((claim.message.clone(), what.to_owned()));
    format!("seed {seed}: {} claims that {message}, but {what}:\n{small}", claim.code)
}

#[test]
fn lint_claims_nothing_that_a_request_contradicts() {
    let named = named_seeds();
    let seeds = named.clone().unwrap_or(SEEDS);
    let heard = each(seeds.clone(), ask);
    let wrong: Vec<&String> = heard.iter().filter_map(|heard| heard.wrong.as_ref()).collect();
    // The first of each code.
    let code = |text: &String| text.split(' ').nth(2).map(str::to_owned);
    let mut first = wrong.clone();
    first.sort_by_key(|text| code(text));
    first.dedup_by_key(|text| code(text));
    assert!(wrong.is_empty(), "{} false claims, the first of each code:\n{first:#?}", wrong.len());
    let mut put: BTreeMap<&str, usize> = BTreeMap::new();
    for (code, times) in heard.iter().flat_map(|heard| &heard.put) {
        *put.entry(code).or_default() += times;
    }
    if named.is_some() {
        // Straight to the terminal: the test harness keeps what is printed.
        writeln!(std::io::stderr(), "claims of seeds {seeds:?}, put to requests: {put:?}")
            .expect("a terminal");
        return;
    }
    for (code, least) in LEAST {
        let times = put.get(code).copied().unwrap_or_default();
        assert!(
            times >= least,
            "{code} was put to {times} requests alone, expected {least}: {put:?}"
        );
    }
}

/// Requests notice when an ordinary statement is gone: else they could not contradict anything.
#[test]
fn the_requests_notice_a_statement_that_is_gone() {
    let noticed = each(SEEDS.start..SEEDS.start + 600, |seed| {
        let case = generate(seed);
        let subject = Subject::of(&case)?;
        let found: Vec<Finding> = subject.findings();
        let random = &mut Random::new(seed);
        let claim = Claim::that_is_false(&subject, &found)?;
        let mut asked = requests::for_claim(&claim, &case, random, REQUESTS).into_iter();
        Some(asked.any(|request| subject.contradiction(&claim, &request).is_some()))
    });
    let all = noticed.iter().flatten().count();
    let seen = noticed.iter().flatten().filter(|noticed| **noticed).count();
    assert!(all >= 150 && seen * 2 >= all, "{seen} of {all} noticed");
}

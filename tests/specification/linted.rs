//! What the lint says of a policy holds for the requests that are made of it: a statement that
//! "never matches" matches none, and one that is "redundant" makes no difference.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use keyward::engine::bundle::{Document, Limits, Options};
use keyward::engine::decide::explain;
use keyward::engine::decide::explain::{LegExplanation, StatementFinding};
use keyward::engine::json::{self, Source};
use keyward::engine::snapshot::build::build;
use keyward::engine::term::time::Timestamp;
use keyward::engine::term::truth::Truth;
use keyward::lint::finding::Finding;
use keyward::lint::{GRANT_DAYS, Settings, lint};
use keyward::wire::case::{self, Case};
use serde_json::{Value, json};

use crate::each::each;
use crate::generator::generate;
use crate::law::Outcome;
use crate::policies_of::{each_policy, statements};
use crate::product;

/// Seeds that no other test uses.
const SEEDS: Range<u64> = 2_000_000..2_008_000;

/// Findings that say that no request meets the statement.
const NEVER: [&str; 6] = [
    "resource-not-this-key",
    "missing-resource",
    "missing-action",
    "condition-key-absent",
    "condition-never-met",
    "expired-date",
];

/// Findings that say so of the requests of one action, which their message names first.
const NEVER_FOR_ONE: [&str; 3] =
    ["condition-excludes-action", "no-effect-in-key-policy", "never-across-accounts"];

/// Findings that say that the statement could as well not be there.
const NO_DIFFERENCE: [&str; 3] = ["hidden-by-deny", "redundant-allow", "delegation-doubled"];

/// What was looked at: how often a claim of each kind was put to the test.
type Asked = BTreeMap<&'static str, usize>;

/// A case in which every statement has a Sid of its own, and nothing is overridden.
fn named(seed: u64) -> Value {
    let mut case = generate(seed);
    if let Some(members) = case.as_object_mut() {
        members.remove("contextOverrides");
    }
    let mut number = 0;
    each_policy(&mut case, &mut |_, policy| {
        let all = match &mut policy["Statement"] {
            Value::Array(all) => all.as_mut_slice(),
            one => std::slice::from_mut(one),
        };
        for statement in all.iter_mut().filter_map(Value::as_object_mut) {
            statement.insert("Sid".to_owned(), json!(format!("seen{number}")));
            number += 1;
        }
    });
    case
}

fn read(case: &Value) -> Option<Case> {
    let text = case.to_string();
    let source = Source::new("case".into(), &text);
    let json = json::read(&source, &Limits::default(), &mut Vec::new())?;
    case::read(&json, &source, Timestamp::new(0, 0)).ok()
}

fn findings(case: &Value, read: &Case) -> Vec<Finding> {
    let texts = case["documents"].as_array().into_iter().flatten();
    let documents: Vec<Document> = texts
        .enumerate()
        .map(|(at, document)| Document {
            name: format!("{at}.json").into(),
            text: Arc::from(document.to_string()),
        })
        .collect();
    let options = Options {
        evaluation: read.snapshot.evaluation.clone(),
        allow_empty: true,
        ..Options::default()
    };
    let Ok(built) = build(&documents, &options) else { return Vec::new() };
    let settings = Settings { now: read.now, grant_days: GRANT_DAYS };
    lint(&documents, &options, &built.snapshot, settings).all().to_vec()
}

/// Whether a statement took effect: a Deny does on a doubt too.
fn applied(seen: &StatementFinding) -> bool {
    match seen.effect {
        "Allow" => seen.outcome == Truth::True,
        _ => seen.outcome != Truth::False,
    }
}

fn with_sid<'l>(
    leg: &'l LegExplanation,
    sid: &'l str,
) -> impl Iterator<Item = &'l StatementFinding> {
    let all = leg.layers.iter().flat_map(|layer| &layer.statements);
    all.filter(move |seen| seen.statement.sid.as_deref() == Some(sid))
}

/// The case without a statement; nothing, if its policy would be empty.
fn without(case: &Value, sid: &str) -> Option<Value> {
    let (mut fewer, mut removed) = (case.clone(), false);
    each_policy(&mut fewer, &mut |_, policy| {
        let all = statements(policy);
        if all.len() > 1 && all.iter().any(|one| one["Sid"] == sid) {
            let kept: Vec<Value> =
                all.into_iter().filter(|one| one["Sid"] != sid).cloned().collect();
            policy["Statement"] = kept.into();
            removed = true;
        }
    });
    removed.then_some(fewer)
}

/// Whether a statement has one principal alone.
fn names_one(case: &Value, sid: &str) -> bool {
    let mut one = false;
    each_policy(&mut case.clone(), &mut |_, policy| {
        one |= statements(policy)
            .iter()
            .any(|statement| statement["Sid"] == sid && statement["Principal"]["AWS"].is_string());
    });
    one
}

/// Puts what is said of the statements of a case to its request.
fn claims(seed: u64) -> Result<Asked, String> {
    let mut asked = Asked::new();
    let case = named(seed);
    let Some(read) = read(&case) else { return Ok(asked) };
    let Ok(request) = read.request() else { return Ok(asked) };
    let Ok((_, explanation)) = explain(&read.snapshot, &request) else { return Ok(asked) };
    for finding in findings(&case, &read) {
        let Some(sid) = finding.sid.as_deref().filter(|sid| sid.starts_with("seen")) else {
            continue;
        };
        let code = finding.rule.code;
        let wrong = |what: &str| {
            Err(format!("{code} of `{sid}` ({}), but {what}:\n{case}", finding.message))
        };
        for leg in &explanation.legs {
            let about = format!("`{}`", leg.action.name());
            let this_one = NEVER_FOR_ONE.contains(&code) && finding.message.contains(&about);
            if code == "never-across-accounts" && this_one {
                *asked.entry(code).or_default() += 1;
                let rests = leg.determining.iter().any(|one| one.sid.as_deref() == Some(sid));
                if rests && leg.missing.is_empty() {
                    return wrong("it allowed");
                }
            } else if NEVER.contains(&code) || this_one {
                *asked.entry(code).or_default() += with_sid(leg, sid).count();
                if with_sid(leg, sid).any(applied) {
                    return wrong("it applied");
                }
            }
        }
        // What is said of the account is not said of others that the statement names.
        let of_all = code != "delegation-doubled" || names_one(&case, sid);
        if NO_DIFFERENCE.contains(&code)
            && of_all
            && let Some(fewer) = without(&case, sid)
        {
            *asked.entry(code).or_default() += 1;
            let (before, after) = (product::decide(&case).0, product::decide(&fewer).0);
            if before != after {
                return wrong(&format!("without it {before:?} became {after:?}"));
            }
        }
    }
    Ok(asked)
}

/// What goes wrong first, and how often something does.
fn none_of(wrong: &[(u64, String)]) {
    if let Some((seed, message)) = wrong.first() {
        panic!("{} seeds; seed {seed}: {message}", wrong.len());
    }
}

#[test]
fn what_is_said_of_a_statement_holds_for_every_request() {
    let (mut all, mut wrong) = (Asked::new(), Vec::new());
    for (seed, said) in SEEDS.zip(each(SEEDS, claims)) {
        match said {
            Ok(asked) => {
                asked.into_iter().for_each(|(code, count)| *all.entry(code).or_default() += count);
            }
            Err(message) => wrong.push((seed, message)),
        }
    }
    none_of(&wrong);
    for code in ["condition-key-absent", "condition-never-met", "redundant-allow", "hidden-by-deny"]
    {
        let count = all.get(code).copied().unwrap_or_default();
        assert!(count >= 5, "{code} was put to the test {count} times alone: {all:?}");
    }
}

/// A key whose policy somebody may change is not said to be locked.
fn lock(seed: u64) -> Result<bool, String> {
    let mut case = named(seed);
    let keys = case["documents"].as_array().into_iter().flatten();
    let arns: Vec<Value> = keys.map(|document| document["KeyMetadata"]["Arn"].clone()).collect();
    let Some(arn) = arns.into_iter().find(Value::is_string) else { return Ok(false) };
    case["request"]["action"] = json!("kms:PutKeyPolicy");
    case["request"]["keyId"] = arn.clone();
    if let Some(request) = case["request"].as_object_mut() {
        for member in ["parameters", "encryptionContext", "grantTokens", "dryRun"] {
            request.remove(member);
        }
    }
    let (decided, _) = product::decide(&case);
    if !matches!(&decided, Outcome::Decided { decision, .. } if decision == "allowed") {
        return Ok(false);
    }
    let Some(read) = read(&case) else { return Ok(false) };
    let locked = findings(&case, &read)
        .iter()
        .any(|finding| finding.rule.code == "lockout" && arn == *finding.subject);
    if locked { Err(format!("locked, but it may be changed: {case}")) } else { Ok(true) }
}

#[test]
fn a_key_whose_policy_someone_may_change_is_not_said_to_be_locked() {
    let (mut asked, mut wrong) = (0, Vec::new());
    for (seed, said) in SEEDS.zip(each(SEEDS, lock)) {
        match said {
            Ok(allowed) => asked += usize::from(allowed),
            Err(message) => wrong.push((seed, message)),
        }
    }
    none_of(&wrong);
    assert!(asked >= 50, "asked of {asked} cases alone");
}

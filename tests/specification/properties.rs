//! What must hold of every case, whatever the law says.

use std::ops::Range;

use serde_json::{Value, json};

use keyward::engine::bundle::Limits;
use keyward::engine::decide::{decide, explain};
use keyward::engine::json::{self, Source};
use keyward::engine::policy::principal::PrincipalPattern;
use keyward::engine::term::account::AccountId;
use keyward::engine::term::arn::Arn;
use keyward::engine::term::condition_key::ConditionKey;
use keyward::engine::term::key_id::KeyId;
use keyward::engine::term::principal::Principal;
use keyward::engine::term::time::Timestamp;
use keyward::wire::case::{self, Case, outcome};

use crate::each::each;
use crate::generator::{Layer, Random, generate};
use crate::law::Outcome;
use crate::policies_of::{each_policy, statements};
use crate::product;

/// Seeds that the comparison with the law does not use.
const SEEDS: Range<u64> = 1_000_000..1_005_000;

/// Asserts of every seed; the name of the seed goes before the message.
fn of_every_case(holds: impl Fn(u64, Value) -> Result<bool, String> + Sync) {
    let said = each(SEEDS, |seed| {
        holds(seed, generate(seed)).unwrap_or_else(|message| panic!("seed {seed}: {message}"))
    });
    let asked = said.iter().filter(|asked| **asked).count();
    let least = said.len() / 20;
    assert!(asked >= least, "the property was put to {asked} cases alone");
}

pub(crate) fn read(case: &Value) -> Option<Case> {
    let text = case.to_string();
    let source = Source::new("case".into(), &text);
    let json = json::read(&source, &Limits::default(), &mut Vec::new())?;
    case::read(&json, &source, Timestamp::new(0, 0)).ok()
}

/// The decision, error code and legs, or the kind of refusal.
fn decided(case: &Value) -> Outcome {
    product::decide(case).0
}

fn is_allowed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Decided { decision, .. } if decision == "allowed")
}

/// Both cases are answered alike.
fn alike(case: &Value, changed: &Value) -> Result<bool, String> {
    if case == changed {
        return Ok(false);
    }
    let (before, after) = (decided(case), decided(changed));
    match before == after {
        true => Ok(true),
        false => Err(format!("{before:?}\nbecame {after:?}\nof {case}\nchanged to {changed}")),
    }
}

#[test]
fn listening_changes_nothing() {
    of_every_case(|_, case| {
        let Some(read) = read(&case) else { return Ok(false) };
        let Ok(request) = read.request() else { return Ok(false) };
        let silent = decide(&read.snapshot, &request);
        let heard = explain(&read.snapshot, &request);
        match (silent, heard) {
            (Ok(answer), Ok((same, explanation))) => {
                let verdicts: Vec<_> =
                    answer.legs.iter().map(|leg| leg.decision.verdict()).collect();
                let told: Vec<_> = explanation.legs.iter().map(|leg| leg.verdict).collect();
                let agrees = outcome(&answer) == outcome(&same) && verdicts == told;
                if agrees { Ok(true) } else { Err(format!("explained otherwise: {case}")) }
            }
            (Err(silent), Err(heard)) if silent == heard => Ok(true),
            _ => Err(format!("refused one way alone: {case}")),
        }
    });
}

/// The statements of a case that deny, with the layer they stand in.
fn denies(case: &Value) -> Vec<(Layer, Value)> {
    let mut found = Vec::new();
    each_policy(&mut case.clone(), &mut |layer, policy| {
        let denies = |statement: &&&Value| statement["Effect"] == "Deny";
        let denying = statements(policy);
        found.extend(denying.iter().filter(denies).map(|deny| (layer, (*deny).clone())));
    });
    found
}

#[test]
fn a_deny_anywhere_allows_nothing() {
    of_every_case(|seed, mut case| {
        let before = decided(&case);
        if is_allowed(&before) || matches!(before, Outcome::Refused(_)) {
            return Ok(false);
        }
        // Denies of another case, which speak of the same callers and keys.
        let others = denies(&generate(seed + 1));
        let random = &mut Random::new(seed);
        each_policy(&mut case, &mut |layer, policy| {
            let fitting = others.iter().filter(|(of, _)| *of == layer);
            let mut all: Vec<Value> = statements(policy).into_iter().cloned().collect();
            for (_, deny) in fitting {
                if random.chance(50) {
                    all.insert(random.below(all.len() + 1), deny.clone());
                }
            }
            policy["Statement"] = all.into();
        });
        match decided(&case) {
            after if is_allowed(&after) => Err(format!("a Deny allowed {case}")),
            _ => Ok(!others.is_empty()),
        }
    });
}

#[test]
fn a_deny_of_everything_denies_what_was_allowed() {
    of_every_case(|_, mut case| {
        if !is_allowed(&decided(&case)) {
            return Ok(false);
        }
        let is_retire =
            case["request"]["action"].as_str().is_some_and(|a| a.ends_with("RetireGrant"));
        let mut added = false;
        each_policy(&mut case, &mut |layer, policy| {
            if layer == Layer::Key && !is_retire {
                let mut all: Vec<Value> = statements(policy).into_iter().cloned().collect();
                all.push(
                    json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}),
                );
                policy["Statement"] = all.into();
                added = true;
            }
        });
        let on_a_key = decided(&case).legs().iter().any(|leg| {
            leg["resource"]
                .as_str()
                .is_some_and(|arn| arn.contains(":key/") && !arn.ends_with("/*"))
        });
        let denied = matches!(decided(&case), Outcome::Decided { decision, .. } if decision == "explicitDeny");
        if on_a_key && added && !denied && !case.to_string().contains("\"default\"") {
            return Err(format!("still allowed: {case}"));
        }
        Ok(on_a_key && added)
    });
}

#[test]
fn to_remove_a_grant_allows_nothing() {
    of_every_case(|_, case| {
        let before = decided(&case);
        if is_allowed(&before) || matches!(before, Outcome::Refused(_)) {
            return Ok(false);
        }
        let mut asked = false;
        for document in 0..case["documents"].as_array().map_or(0, Vec::len) {
            let grants = case["documents"][document]["Grants"].as_array().map_or(0, Vec::len);
            for grant in 0..grants {
                let mut fewer = case.clone();
                let all = fewer["documents"][document]["Grants"].as_array_mut();
                all.expect("grants").remove(grant);
                asked = true;
                if is_allowed(&decided(&fewer)) {
                    return Err(format!("without a grant it is allowed: {fewer}"));
                }
            }
        }
        Ok(asked)
    });
}

fn shuffle(random: &mut Random, items: &mut [Value]) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.below(last + 1));
    }
}

#[test]
fn the_order_of_statements_does_not_count() {
    of_every_case(|seed, case| {
        let mut otherwise = case.clone();
        // Equal policies stay equal ones: a thing may be described twice.
        each_policy(&mut otherwise, &mut |_, policy| {
            let Value::Array(statements) = &mut policy["Statement"] else { return };
            match seed % 2 {
                0 => statements.reverse(),
                _ => statements.sort_by_key(Value::to_string),
            }
        });
        match decided(&case) {
            Outcome::Refused(_) => Ok(false),
            Outcome::Decided { .. } => alike(&case, &otherwise),
        }
    });
}

#[test]
fn a_key_policy_as_text_is_the_policy() {
    of_every_case(|_, case| {
        let mut as_text = case.clone();
        for document in as_text["documents"].as_array_mut().into_iter().flatten() {
            if document["Policy"].is_object() {
                document["Policy"] = json!(document["Policy"].to_string());
            }
        }
        same_set(&case, &as_text)
    });
}

/// Both cases are answered alike, and their sets have one revision.
fn same_set(case: &Value, changed: &Value) -> Result<bool, String> {
    let revision = |case| read(case).map(|read| read.snapshot.revision.to_string());
    match (revision(case), revision(changed)) {
        (before, after) if before == after => alike(case, changed),
        (before, after) => {
            Err(format!("{before:?} became {after:?}: {case}\nchanged to {changed}"))
        }
    }
}

/// Every list of every document as so many documents, and those in another order.
fn split(case: &Value, random: &mut Random) -> Value {
    const LISTS: [&str; 6] =
        ["Keys", "UserDetailList", "GroupDetailList", "RoleDetailList", "Policies", "VpcEndpoints"];
    let mut documents = Vec::new();
    for document in case["documents"].as_array().into_iter().flatten() {
        let mut rest = document.clone();
        for list in LISTS {
            let Some(items) = document[list].as_array().filter(|items| !items.is_empty()) else {
                continue;
            };
            documents.extend(items.iter().map(|item| json!({list: [item]})));
            rest.as_object_mut().expect("a document").remove(list);
        }
        if rest.as_object().is_some_and(|members| !members.is_empty()) {
            documents.push(rest);
        }
    }
    shuffle(random, &mut documents);
    let mut case = case.clone();
    case["documents"] = documents.into();
    case
}

#[test]
fn how_documents_are_split_into_files_does_not_count() {
    of_every_case(|seed, case| {
        let random = &mut Random::new(seed);
        match decided(&case) {
            Outcome::Refused(_) => Ok(false),
            Outcome::Decided { .. } => same_set(&case, &split(&case, random)),
        }
    });
}

/// Every text of a case.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            found.push(name.clone());
            texts(value, found);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What the text says as one of the words of the engine, written again; none if it is none.
fn written_again(text: &str) -> Vec<(&'static str, String)> {
    let account = AccountId::parse(text).map(|word| ("account", word.to_string()));
    let arn = Arn::parse(text).map(|word| ("arn", word.parts().join(":")));
    let principal = Principal::parse(text).ok().map(|word| ("principal", word.text().to_owned()));
    let pattern = PrincipalPattern::aws(text).ok().map(|word| {
        let again = PrincipalPattern::aws(&word.text()).ok();
        ("pattern", if again == Some(word) { text.to_owned() } else { String::new() })
    });
    let key = ConditionKey::parse(text).map(|word| ("condition key", word.name.to_string()));
    let in_four_digits = |word: &Timestamp| (0..253_402_300_800).contains(&word.seconds());
    let instant = Timestamp::parse(text).filter(in_four_digits).map(|word| {
        let again = Timestamp::parse(&word.to_string());
        let same = again.map(Timestamp::seconds) == Some(word.seconds());
        ("instant", if same { text.to_owned() } else { word.to_string() })
    });
    let key_id = KeyId::parse(text).ok().map(|word| {
        let written = match word {
            KeyId::Arn(arn) | KeyId::AliasArn(arn) => arn.parts().join(":"),
            KeyId::Id(id) => id.to_owned(),
            KeyId::AliasName(name) => name.to_owned(),
        };
        ("key id", written)
    });
    [account, arn, principal, pattern, key, instant, key_id].into_iter().flatten().collect()
}

#[test]
fn words_are_written_as_they_were_read() {
    of_every_case(|_, case| {
        let mut found = Vec::new();
        texts(&case, &mut found);
        let mut words = 0;
        for text in found {
            for (word, written) in written_again(&text) {
                if written != text {
                    return Err(format!("the {word} `{text}` is written `{written}`"));
                }
                words += 1;
            }
        }
        Ok(words > 0)
    });
}

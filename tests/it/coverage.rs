//! Every rule of the semantics occurs in some conformance case, or on a list of exceptions.

use std::collections::{BTreeMap, BTreeSet};

use keyward::engine::decide::decide;
use keyward::engine::decide::decision::{Decision, Denial, Layer, Missing, Verdict};
use keyward::engine::evaluation::{Evaluation, InvalidSwitch};
use keyward::engine::json::percent_decoded;
use keyward::engine::kms::action::Action;
use keyward::engine::kms::condition_key::CONDITION_KEYS;
use keyward::engine::kms::key_state::{
    KeyFacts, KeyOrigin, KeyRole, KeySpec, KeyState, KeyUsage, outcome,
};
use keyward::engine::kms::operation::Operation;
use keyward::wire::case::answer;
use serde_json::Value;

use crate::doors::{case, lines, noon, parsed};

/// What no case shows, and why. What a case does show may not stand here.
const EXCEPTIONS: [(&str, &str); 1] = [(
    "switch multivalue_without_setop = never",
    "an Allow is left out either way, and such a Deny is refused when the set is loaded",
)];

const CASES: &str = "tests/conformance";

/// What the cases show, by kind and name.
#[derive(Default)]
struct Shown(BTreeSet<String>);

impl Shown {
    fn add(&mut self, kind: &str, name: &str) {
        self.0.insert(format!("{kind} {name}"));
    }
}

/// Operators without prefix and suffix.
///
/// Source: IAM User Guide, "Condition operators".
const OPERATORS: [&str; 26] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnNotEquals",
    "ArnLike",
    "ArnNotLike",
];

/// Everything that a case has to show.
fn wanted() -> BTreeSet<String> {
    let mut wanted = Shown::default();
    wanted.add("operator", "Null");
    for operator in OPERATORS {
        for prefix in ["", "ForAllValues:", "ForAnyValue:"] {
            wanted.add("operator", &format!("{prefix}{operator}"));
            wanted.add("operator", &format!("{prefix}{operator}IfExists"));
        }
    }
    for row in CONDITION_KEYS {
        wanted.add("condition key", row.name);
    }
    for (name, kind) in types() {
        wanted.add("condition key", &format!("{name} as {kind}"));
    }
    for action in Action::ALL {
        wanted.add("action", action.name());
        if action.is_operation() {
            wanted.add("operation", action.bare());
        }
    }
    wanted.add("operation", "ReEncrypt");
    for constraint in ["EncryptionContextEquals", "EncryptionContextSubset", "SourceArn"] {
        wanted.add("grant constraint", constraint);
    }
    for layer in LAYERS {
        wanted.add("layer", layer.name());
        if layer != Layer::Grant {
            wanted.add("deny by", layer.reason());
            wanted.add("implicit deny", layer.reason());
        }
    }
    for missing in MISSING {
        wanted.add("implicit deny", missing.reason());
    }
    for reason in ["root", "key_policy", "grant", "identity_policy"] {
        wanted.add("allow by", reason);
    }
    for refusal in refusals() {
        wanted.add("key state", &refusal);
    }
    for name in Evaluation::NAMES {
        let Err(InvalidSwitch::Value { expected, .. }) = Evaluation::default().set(name, "") else {
            panic!("{name} takes anything")
        };
        for value in expected {
            wanted.add("switch", &format!("{name} = {value}"));
        }
    }
    wanted.0
}

const LAYERS: [Layer; 8] = [
    Layer::KeyPolicy,
    Layer::Grant,
    Layer::Identity,
    Layer::Boundary,
    Layer::Session,
    Layer::Scp,
    Layer::Rcp,
    Layer::Endpoint,
];

const MISSING: [Missing; 11] = [
    Missing::CrossAccount,
    Missing::OtherPartition,
    Missing::UnknownKey,
    Missing::UnknownForeignKey,
    Missing::UnknownPrincipal,
    Missing::UnknownEndpoint,
    Missing::ReservedAlias,
    Missing::AwsManaged,
    Missing::UnknownGrant,
    Missing::NotRetirable,
    Missing::SourceArnDiffers,
];

/// Every sentence that a key state can be refused with, with its exception.
fn refusals() -> BTreeSet<String> {
    let mut refusals = BTreeSet::new();
    let all = |names: &'static [&'static str]| names.iter().copied();
    for state in all(KeyState::NAMES).filter_map(KeyState::from_name) {
        for origin in all(KeyOrigin::NAMES).filter_map(KeyOrigin::from_name) {
            for custom_key_store in [false, true] {
                let (spec, usage) = (KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt);
                let key = KeyFacts { state, origin, custom_key_store, spec, usage };
                for action in Action::ALL {
                    if let Err(refusal) = outcome(*action, &key, KeyRole::Only) {
                        refusals.insert(format!("{}{}", refusal.exception, refusal.message("")));
                    }
                }
            }
        }
    }
    refusals
}

/// The condition keys of the catalog with the kind of operator that their type asks for.
fn types() -> BTreeMap<String, &'static str> {
    let text = std::fs::read_to_string("tests/data/kms-catalog.json").expect("the catalog");
    let catalog = parsed(&text);
    let keys = catalog["condition_keys"].as_object().expect("condition keys");
    keys.iter()
        .map(|(name, row)| {
            let kind = match row["type"].as_str().expect("a type") {
                "String" => "text",
                "ARN" => "ARN",
                "Bool" => "truth value",
                "Numeric" => "number",
                "Date" => "instant",
                "ArrayOfString" => "texts",
                other => panic!("type {other}"),
            };
            (row_name(name.split(['$', '<']).next().unwrap_or(name)), kind)
        })
        .collect()
}

/// The name of the row of a condition key: families end with their separator.
fn row_name(name: &str) -> String {
    let folded = name.to_lowercase();
    let row = CONDITION_KEYS.iter().find(|row| {
        let known = row.name.to_lowercase();
        folded == known || row.name.ends_with([':', '/']) && folded.starts_with(&known)
    });
    row.map_or_else(|| name.to_owned(), |row| row.name.to_owned())
}

/// The kind of values that an operator compares.
fn kind(operator: &str) -> &'static str {
    if operator.starts_with("For") {
        return "texts";
    }
    let base = operator.trim_end_matches("IfExists");
    match base {
        "Bool" => "truth value",
        _ if base.starts_with("Numeric") => "number",
        _ if base.starts_with("Date") => "instant",
        _ if base.starts_with("Arn") => "ARN",
        _ if base.starts_with("String") => "text",
        _ => "other",
    }
}

/// Adds the operators and condition keys of the policies in a case.
fn policies(json: &Value, shown: &mut Shown) {
    match json {
        Value::Array(items) => items.iter().for_each(|item| policies(item, shown)),
        Value::String(text) if text.starts_with('{') || text.starts_with("%7B") => {
            let text = percent_decoded(text).unwrap_or_else(|| text.clone());
            if let Ok(json) = serde_json::from_str::<Value>(&text) {
                policies(&json, shown);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("Condition", Value::Object(operators)) => conditions(operators, shown),
                    ("Constraints", Value::Object(constraints)) => {
                        constraints.keys().for_each(|name| shown.add("grant constraint", name));
                    }
                    _ => policies(value, shown),
                }
            }
        }
        _ => {}
    }
}

fn conditions(operators: &serde_json::Map<String, Value>, shown: &mut Shown) {
    for (operator, keys) in operators {
        shown.add("operator", operator);
        for name in keys.as_object().into_iter().flat_map(serde_json::Map::keys) {
            let name = row_name(name);
            shown.add("condition key", &name);
            shown.add("condition key", &format!("{name} as {}", kind(operator)));
        }
    }
}

/// Adds what an answer rests on.
fn answers(line: &str, shown: &mut Shown) {
    let Ok(case) = case(line) else { return };
    let Ok(request) = case.request() else { return };
    let Ok(answer) = decide(&case.snapshot, &request) else { return };
    for matched in answer.matched() {
        shown.add("layer", matched.layer.name());
    }
    let how = match answer.verdict() {
        Verdict::Allowed => "allow by",
        Verdict::ExplicitDeny => "deny by",
        Verdict::ImplicitDeny | Verdict::KeyState => "implicit deny",
    };
    shown.add(how, answer.reason());
    for leg in &answer.legs {
        if let Decision::Deny(Denial::KeyState(refusal)) = &leg.decision {
            shown.add("key state", &format!("{}{}", refusal.exception, refusal.message("")));
        }
        if let Decision::Deny(Denial::Implicit(Missing::Layer(layer))) = &leg.decision {
            shown.add("layer", layer.name());
        }
    }
}

/// Adds the values of switches without which the case is decided otherwise.
fn switches(line: &str, shown: &mut Shown) {
    let row = parsed(line);
    let Some(options) = row["options"].as_object() else { return };
    for (option, value) in options {
        let name = option.strip_prefix("evaluation.").unwrap_or(option);
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut without = row.clone();
        without["options"].as_object_mut().expect("options").remove(option);
        let decided = |row: &Value| answer(&row.to_string(), noon());
        if decided(&row)["decision"] != decided(&without)["decision"] {
            shown.add("switch", &format!("{name} = {value}"));
            // And the default decides it without.
            let defaults = Evaluation::default();
            let default = defaults.values().find(|(known, _)| *known == name);
            shown.add("switch", &format!("{name} = {}", default.expect("a switch").1));
        }
    }
}

#[test]
fn every_rule_occurs_in_a_case_or_is_an_exception() {
    let mut shown = Shown::default();
    for line in lines(CASES) {
        let row = parsed(&line);
        policies(&row["documents"], &mut shown);
        policies(&row["request"]["principal"]["sessionPolicies"], &mut shown);
        if let Some(action) = row["request"]["action"].as_str() {
            if Operation::from_name(action).is_some() {
                shown.add("operation", action);
            } else {
                shown.add("action", action);
            }
        }
        answers(&line, &mut shown);
        switches(&line, &mut shown);
    }
    let missing: BTreeSet<String> = wanted().difference(&shown.0).cloned().collect();
    let excused: BTreeSet<String> = EXCEPTIONS.iter().map(|(what, _)| (*what).to_owned()).collect();
    let unexcused: Vec<&String> = missing.difference(&excused).collect();
    assert!(unexcused.is_empty(), "no case shows {unexcused:#?}");
    let stale: Vec<&String> = excused.difference(&missing).collect();
    assert!(stale.is_empty(), "no exceptions any more: {stale:#?}");
}

#[test]
fn cases_have_a_name_and_an_id_of_their_own() {
    let mut ids = BTreeSet::new();
    for line in lines(CASES) {
        let row = parsed(&line);
        let id = row["id"].as_str().expect("an id").to_owned();
        assert!(row["name"].as_str().is_some_and(|name| !name.is_empty()), "{id}");
        assert!(ids.insert(id.clone()), "{id} is there twice");
    }
}

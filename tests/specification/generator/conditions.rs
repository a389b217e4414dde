//! Condition blocks that speak of the request.

use serde_json::{Value, json};

use super::operands::listed;
use super::random::Random;
use super::scene::Scene;
use crate::law::context::is_multivalued;

const STRINGS: [&str; 6] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
];
pub(crate) const ARNS: [&str; 4] = ["ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"];
pub(crate) const NUMBERS: [&str; 6] = [
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
];
pub(crate) const DATES: [&str; 6] = [
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
];
pub(crate) const ADDRESSES: [&str; 2] = ["IpAddress", "NotIpAddress"];

/// One to three tests. In a Deny a multivalued key needs a set operator.
pub(crate) fn condition(random: &mut Random, scene: &Scene, denies: bool) -> Value {
    let mut block = json!({});
    for _ in 0..random.weighted(&[(70, 1), (22, 2), (8, 3)]) {
        let (key, value) = random.pick(&scene.facts);
        let (operator, values) = test(random, scene, &key, &value, denies);
        let key = if random.chance(15) { random.recased(&key) } else { key };
        let known = block[&operator]
            .as_object()
            .is_some_and(|keys| keys.keys().any(|known| known.eq_ignore_ascii_case(&key)));
        if !known {
            block[&operator][&key] = values;
        }
    }
    block
}

fn test(
    random: &mut Random,
    scene: &Scene,
    key: &str,
    value: &str,
    denies: bool,
) -> (String, Value) {
    if random.chance(9) {
        let values = [json!("true"), json!("false"), json!(true), json!(false)];
        return ("Null".to_owned(), random.pick(&values));
    }
    let base = operator(random, key, value);
    let mut operator = base.to_owned();
    let set = match is_multivalued(key) {
        true => denies || random.chance(92),
        false => random.chance(10),
    };
    if set {
        operator = format!("{}:{base}", random.pick(&["ForAllValues", "ForAnyValue"]));
    }
    if random.chance(18) {
        operator += "IfExists";
    }
    let mut values = vec![listed(random, scene, base, value)];
    while random.chance(25) {
        values.push(listed(random, scene, base, value));
    }
    match &values[..] {
        [one] if random.chance(70) => (operator, one.clone()),
        _ => (operator, json!(values)),
    }
}

/// An operator that fits the value, mostly.
fn operator(random: &mut Random, key: &str, value: &str) -> &'static str {
    let key = key.to_lowercase();
    if random.chance(6) {
        return random.pick(&[&STRINGS[..], &NUMBERS, &DATES, &ADDRESSES, &ARNS].concat());
    }
    if random.chance(2) {
        return "BinaryEquals";
    }
    let dated = ["aws:currenttime", "aws:epochtime", "kms:validto", "aws:tokenissuetime"];
    if dated.contains(&key.as_str()) && random.chance(75) {
        return random.pick(&DATES);
    }
    if key == "aws:sourceip" && random.chance(85) {
        return random.pick(&ADDRESSES);
    }
    if ["true", "false"].contains(&value) && random.chance(80) {
        return "Bool";
    }
    let number = !value.is_empty() && value.len() < 12 && value.chars().all(|c| c.is_ascii_digit());
    if (number || key.ends_with("authage")) && random.chance(80) {
        return random.pick(&NUMBERS);
    }
    if value.starts_with("arn:") && random.chance(60) {
        return random.pick(&ARNS);
    }
    // Positive ones more often, so that Allows apply.
    random.weighted(&[
        (6, STRINGS[0]),
        (3, STRINGS[1]),
        (2, STRINGS[2]),
        (1, STRINGS[3]),
        (5, STRINGS[4]),
        (2, STRINGS[5]),
    ])
}

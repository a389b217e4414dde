//! Listed values of conditions: the request's, or nearly, or others.

use serde_json::{Value, json};

use super::conditions::{ADDRESSES, ARNS, DATES, NUMBERS};
use super::random::Random;
use super::scene::{AWAY, Scene};
use crate::law::values;

pub(crate) fn listed(random: &mut Random, scene: &Scene, operator: &str, value: &str) -> Value {
    match operator {
        "Bool" => {
            let variable = json!("${aws:SecureTransport}");
            let (right, itself) = (json!(value == "true"), json!(value));
            let values = [
                (6, right),
                (if ["true", "false"].contains(&value) { 6 } else { 0 }, itself),
                (4, json!("TRUE")),
                (4, json!("false")),
                (2, variable),
            ];
            random.weighted(&values)
        }
        "BinaryEquals" => json!(random.pick(&["cmVk", "cmVkYmx1ZQ==", ""])),
        _ if NUMBERS.contains(&operator) => number(random, value),
        _ if DATES.contains(&operator) => json!(random.pick(&[
            "2026-01-01T00:00:00Z",
            "2026-01-01",
            "2026",
            "1767225600",
            "1767225600.0",
            "2026-01-01T01:00:00+01:00",
            "2025-12-31T23:59:59.9Z",
            "2027-01-01T00:00Z",
            "1767225601",
            "2025-06",
        ])),
        _ if ADDRESSES.contains(&operator) => json!(random.pick(&[
            "192.0.2.0/24",
            "192.0.2.7",
            "192.0.2.7/32",
            "0.0.0.0/0",
            "198.51.100.0/25",
            "2001:db8::/32",
            "::/0",
            "192.0.2.200/25",
            "::ffff:192.0.2.7",
        ])),
        _ if ARNS.contains(&operator) => json!(arn(random, scene, value)),
        _ => json!(text(random, scene, value)),
    }
}

fn number(random: &mut Random, value: &str) -> Value {
    let right = random.chance(60) && values::decimal(value).is_some();
    if right && !value.contains('.') {
        return json!(format!("{value}{}", random.pick(&["", ".0", ".00"])));
    }
    let others = [
        json!("30"),
        json!(365),
        json!("-1.5"),
        json!("9"),
        json!(3600),
        json!("300.5"),
        json!(0.5),
    ];
    random.pick(&others)
}

fn text(random: &mut Random, scene: &Scene, value: &str) -> String {
    let signs: Vec<char> = value.chars().collect();
    let shorter: String = signs[..signs.len().saturating_sub(2)].iter().collect();
    match random.below(16) {
        0..=6 => value.to_owned(),
        7 => random.recased(value),
        8 => format!("{shorter}*"),
        9 => format!("{shorter}??"),
        10 => format!("*{}", signs.iter().skip(1).collect::<String>()),
        11 => "*".to_owned(),
        12 => variable(random).to_owned(),
        13 => format!("{value}x"),
        14 => {
            let odd = [
                "", "red", "blue", "a?b", "Decrypt", "${*}", "r${?}d", "GRÖßE", "gr*e", "gr?ße",
                "?", "?*", "😀", "**", "${$}{*}",
            ];
            random.pick(&odd).to_owned()
        }
        _ => random.pick(&scene.facts).1,
    }
}

fn variable(random: &mut Random) -> &'static str {
    random.pick(&[
        "${aws:PrincipalTag/team}",
        "${aws:username}",
        "${AWS:PrincipalArn}",
        "${aws:PrincipalTag/team, 'red'}",
        "${aws:PrincipalAccount}",
        "${aws:PrincipalTag/none}",
        "${kms:EncryptionContext:team}",
        "x${$}",
        "${aws:SourceIdentity,'alice@example.com'}",
        "${aws:CalledVia}",
        "${kms:ResourceAliases, 'red'}",
        "${aws:ResourceTag/team}",
        "${aws:userid}*",
    ])
}

fn arn(random: &mut Random, scene: &Scene, value: &str) -> String {
    let parts: Vec<&str> = value.splitn(6, ':').collect();
    let with = |at: usize, text: &str| {
        let mut parts = parts.clone();
        if let Some(part) = parts.get_mut(at) {
            *part = text;
        }
        parts.join(":")
    };
    let others =
        ["${aws:PrincipalArn}", "arn:aws:iam::${aws:PrincipalAccount}:*", "arn:aws:*", "*"];
    match random.below(10) {
        0..=3 => value.to_owned(),
        4 => with(4, "*"),
        5 => with(5, "*"),
        6 => with(4, "11112222333?"),
        7 => format!("arn:aws:iam::{}:*", scene.account),
        8 => random.pick(&others).to_owned(),
        _ => with(4, AWAY),
    }
}

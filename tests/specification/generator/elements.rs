//! Actions, resources and principals of statements: the right ones, nearly right ones, others.

use serde_json::{Value, json};

use super::policies::Layer;
use super::random::Random;
use super::scene::{AWAY, HOME, Kind, SERVICE, Scene, account_of, root_of};
use crate::law::arn;

pub(crate) fn actions(random: &mut Random, scene: &Scene) -> Value {
    let first = action(random, scene);
    match random.chance(30) && first != "*" {
        true => json!([first, action(random, scene).replace('*', "?")]),
        false => json!(first),
    }
}

fn action(random: &mut Random, scene: &Scene) -> String {
    let action = &scene.action;
    let shorter: String = action.chars().take(action.len() - 2).collect();
    let others = ["kms:ReEncrypt*", "kms:Describe*", "s3:*", "kms:ReEncrypt", "kms:Generate*"];
    match random.below(15) {
        0..=4 => format!("kms:{action}"),
        5 => format!("kms:{shorter}*"),
        6 => format!("kms:{shorter}??"),
        7 => random.recased(&format!("kms:{action}")),
        8 => format!("kms:*{}", &action[1..]),
        9 | 10 => "kms:*".to_owned(),
        11 => format!("kms:{action}?"),
        12 => random.pick(&others).to_owned(),
        // Wildcards that no service has.
        13 => {
            let services = ["k*", "???", "*", "?ms", "KM?", "s*", "??"];
            let name = random.pick(&[action.as_str(), "*", &format!("{shorter}*")]).to_owned();
            format!("{}:{name}", random.pick(&services))
        }
        _ => random.pick(&["*", "kms:TagResource", "kms:Decrypt", "kms:CreateKey"]).to_owned(),
    }
}

pub(crate) fn resources(random: &mut Random, scene: &Scene, layer: Layer) -> Value {
    if random.chance(if layer == Layer::Key { 75 } else { 45 }) {
        return json!("*");
    }
    match random.chance(80) {
        true => json!(resource(random, scene)),
        false => json!([resource(random, scene), resource(random, scene)]),
    }
}

fn resource(random: &mut Random, scene: &Scene) -> String {
    let (key, account) = (&scene.key, account_of(&scene.key));
    let id = arn::after(key, "key/").unwrap_or("");
    let (start, end) = (&key[..key.len() - 9], &key[key.len() - 9..]);
    let alias = scene.alias_of(key);
    match random.below(28) {
        0..=3 => key.clone(),
        4 => format!("arn:aws:kms:*:{account}:key/*"),
        5 => format!("{start}*"),
        6 => format!("{start}?????????"),
        7 => "arn:aws:kms:*:*:key/*".to_owned(),
        8 => "arn:aws:kms:*".to_owned(),
        9 => format!("arn:aws:kms:us-west-2:{account}:alias/*"),
        10 => format!("arn:aws:kms:us-west-2:{}:{alias}", scene.account),
        11 => scene.other_key.clone(),
        12 => id.to_owned(),
        // Wildcards that cross colons, or must not.
        13 => format!("arn:aws:kms:us*{end}"),
        14 => format!("arn:aws:kms:us-west-2?{account}:key/*"),
        15 => "arn:aws:kms:us-west-?:11112222333?:*/*".to_owned(),
        16 => format!("arn:aws:kms:*:key/{id}"),
        17 => random.pick(&["arn:aws:*", "arn:*", "arn:aws:kms:us-west-2:*"]).to_owned(),
        // Wildcards that no ARN has.
        18 => format!("arn:aws:k*:us-west-2:{account}:key/*"),
        19 => format!("a*:aws:kms:us-west-2:{account}:key/*"),
        // Variables.
        20 => "arn:aws:kms:us-west-2:111122223333:key/${aws:PrincipalTag/team}*".to_owned(),
        21 => format!(
            "arn:aws:kms:us-west-2:{account}:key/${{aws:PrincipalTag/none, '{}'}}*",
            &id[..2]
        ),
        22 => format!("arn:aws:kms:*:{account}:key/${{aws:PrincipalTag/none}}*"),
        23 => format!("arn:aws:kms:us-west-2:{account}:key/${{aws:CalledVia}}*"),
        24 => format!("arn:aws:kms:${{aws:RequestedRegion}}:{account}:key/*"),
        25 => "arn:aws:kms:*:key/${aws:PrincipalTag/team}*".to_owned(),
        26 => format!("arn:aws:kms:us-west-2:{account}:key/${{aws:ResourceTag/team,'{id}'}}"),
        _ => format!("arn:aws:kms:us-west-2:{account}:key/${{*}}"),
    }
}

pub(crate) fn principal(random: &mut Random, scene: &Scene) -> Value {
    if scene.kind == Kind::Service && random.chance(60) {
        return json!({"Service": random.pick(&[SERVICE, SERVICE, "s3.amazonaws.com"])});
    }
    match random.below(20) {
        0 | 1 => json!("*"),
        2 | 3 => json!({"AWS": "*"}),
        4 => json!({"AWS": aws_principals(random, scene), "Service": SERVICE}),
        5 => json!({"AWS": [aws_principal(random, scene), "*"]}),
        6 => json!({"AWS": aws_principals(random, scene), "Federated": "accounts.google.com"}),
        _ => json!({"AWS": aws_principals(random, scene)}),
    }
}

fn aws_principals(random: &mut Random, scene: &Scene) -> Value {
    match random.chance(70) {
        true => json!(aws_principal(random, scene)),
        false => json!([aws_principal(random, scene), aws_principal(random, scene)]),
    }
}

/// Every form of a principal, mostly such that the caller is meant.
fn aws_principal(random: &mut Random, scene: &Scene) -> String {
    let account = &scene.account;
    match random.below(17) {
        0..=2 if scene.kind != Kind::Service => scene.caller.clone(),
        3..=5 => scene.entity.clone(),
        6 | 7 => root_of(account),
        8 => account.clone(),
        9 => format!("arn:aws:sts::{account}:assumed-role/App/s2"),
        10 => format!("arn:aws:iam::{account}:role/App"),
        11 => format!("arn:aws:iam::{account}:role/team/App"),
        12 => format!("arn:aws:iam::{account}:user/alice"),
        13 => random.pick(&["AIDAALICE111122223333", "AIDABOB444455556666"]).to_owned(),
        14 => "AROAAPP111122223333".to_owned(),
        15 => root_of(account).replace("arn:aws:", "arn:aws-cn:"),
        _ => format!("arn:aws:iam::{}:user/Bob", random.pick(&[HOME, AWAY])),
    }
}

/// Some of the caller's chain, all of it, or others.
pub(crate) fn not_principal(random: &mut Random, scene: &Scene) -> Value {
    if scene.kind == Kind::Service && random.chance(50) {
        return json!({"Service": SERVICE});
    }
    if random.chance(4) {
        return random.pick(&[json!("*"), json!({"AWS": "*"})]);
    }
    let itself = if scene.kind == Kind::Session { 12 } else { 70 };
    let chain = [
        (70, root_of(&scene.account)),
        (70, scene.entity.clone()),
        (itself, scene.caller.clone()),
        (15, format!("arn:aws:iam::{HOME}:user/Bob")),
        (5, "AROAAPP111122223333".to_owned()),
        (5, root_of(&scene.account).replace("arn:aws:", "arn:aws-cn:")),
    ];
    let mut values = Vec::new();
    for (likely, value) in chain {
        if random.chance(likely) && value != SERVICE && !values.contains(&value) {
            values.push(value);
        }
    }
    if values.is_empty() {
        values.push(format!("arn:aws:iam::{HOME}:role/Admin"));
    }
    json!({"AWS": values})
}

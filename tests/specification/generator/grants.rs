//! Grants on the keys.

use serde_json::{Value, json};

use super::facts::encryption_context;
use super::parameters::map;
use super::random::Random;
use super::scene::{AWAY, HOME, Kind, SERVICE, SOURCE_ARN, Scene, root_of};
use crate::law::catalog;

/// A grant, mostly such that it opens the key to the caller. Key and number make the token.
pub(crate) fn grant(random: &mut Random, scene: &Scene, key: usize, number: usize) -> Value {
    let mut grant = json!({
        "GrantId": format!("grant-{number}"),
        "GrantToken": format!("token-{key}-{number}"),
        "Operations": operations(random, scene),
        "IssuingAccount": issuer(random),
    });
    let grantee = principal(random, scene);
    name(random, &mut grant, "Grantee", &grantee);
    if random.chance(40) {
        let retiring = principal(random, scene);
        name(random, &mut grant, "Retiring", &retiring);
    }
    if random.chance(35) {
        let member = random.pick(&["EncryptionContextEquals", "EncryptionContextSubset"]);
        let pairs = match random.chance(60) && !scene.encryption_context.is_empty() {
            true => scene.encryption_context.clone(),
            false => encryption_context(random),
        };
        grant["Constraints"][member] = map(&pairs);
    }
    let bound = if scene.kind == Kind::Service { 60 } else { 12 };
    if !grant["GranteeServicePrincipal"].is_null() || random.chance(bound) {
        let unbound = random.chance(5); // A warning, no error.
        grant["Constraints"]["SourceArn"] = if unbound { Value::Null } else { json!(SOURCE_ARN) };
    }
    if random.chance(25) {
        grant["State"] = json!(random.pick(&["pending", "active"]));
    }
    grant
}

fn issuer(random: &mut Random) -> String {
    let root = root_of(random.pick(&[HOME, HOME, AWAY]));
    match random.below(20) {
        0 => root.replace("arn:aws:", "arn:aws-cn:"),
        1 => HOME.to_owned(),
        _ => root,
    }
}

/// The operation that is asked, if a grant can permit it, and others.
fn operations(random: &mut Random, scene: &Scene) -> Value {
    let mut operations = vec![random.pick(&["DescribeKey", "Decrypt", "GenerateDataKey"])];
    if random.chance(75) && catalog::is_grantable(&json!(scene.action)) {
        operations.push(&scene.action);
        if scene.action.starts_with("ReEncrypt") {
            operations.extend(["ReEncryptFrom", "ReEncryptTo"]);
        }
    }
    if random.chance(30) {
        operations.extend(["Decrypt", "Encrypt", "RetireGrant"]);
    }
    json!(operations)
}

fn principal(random: &mut Random, scene: &Scene) -> String {
    let everyone = [
        (40, scene.caller.clone()),
        (20, scene.entity.clone()),
        (8, format!("arn:aws:iam::{HOME}:user/Bob")),
        (8, root_of(&scene.account)),
        (3, scene.account.clone()),
        (3, root_of(&scene.account).replace("arn:aws:", "arn:aws-cn:")),
        (2, format!("arn:aws:sts::{}:assumed-role/App/s2", scene.account)),
        (2, "AIDAALICE111122223333".to_owned()),
        (2, "AROAAPP111122223333".to_owned()),
        (2, SERVICE.to_owned()),
    ];
    random.weighted(&everyone)
}

/// Services have a member of their own; old grants show them where the others stand.
fn name(random: &mut Random, grant: &mut Value, role: &str, principal: &str) {
    let is_service = principal.ends_with("amazonaws.com");
    let member = match is_service && random.chance(80) {
        true => format!("{role}ServicePrincipal"),
        false => format!("{role}Principal"),
    };
    grant[member] = json!(principal);
}

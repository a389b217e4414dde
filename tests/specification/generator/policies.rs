//! Policies that speak of the caller, the action and the key.

use serde_json::{Value, json};

use super::conditions::condition;
use super::elements::{actions, not_principal, principal, resources};
use super::object;
use super::random::Random;
use super::scene::{HOME, Scene, account_of, root_of};

/// Where a policy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    Key,
    Identity,
    ServiceControl,
    Endpoint,
    ResourceControl,
}

/// How likely (in percent) the policy holds one broad Allow, and a Deny.
#[derive(Clone, Copy)]
pub(crate) struct Mood {
    pub(crate) broad: usize,
    pub(crate) deny: usize,
}

pub(crate) fn policy(random: &mut Random, scene: &Scene, layer: Layer, mood: Mood) -> Value {
    let mut statements = Vec::new();
    if layer != Layer::ResourceControl {
        if random.chance(mood.broad) {
            statements.push(broad(random, scene, layer));
        }
        for _ in 0..random.weighted(&[(30, 0), (50, 1), (20, 2)]) {
            statements.push(statement(random, scene, layer, "Allow"));
        }
    }
    if random.chance(mood.deny) {
        statements.push(statement(random, scene, layer, "Deny"));
    }
    if !statements.is_empty() && random.chance(3) {
        statements.push(random.pick(&statements));
    }
    if statements.len() > 1 && random.chance(30) {
        statements.reverse();
    }
    let statements = match &mut statements[..] {
        [one] if random.chance(10) => one.take(),
        _ => statements.into(),
    };
    let version = match random.below(100) {
        _ if layer == Layer::ResourceControl => json!("2012-10-17"),
        0..6 => json!("2008-10-17"),
        6..9 => return object([("Statement", statements)]),
        _ => json!("2012-10-17"),
    };
    object([("Version", version), ("Statement", statements)])
}

/// An Allow that is wide open; in a key policy for some.
fn broad(random: &mut Random, scene: &Scene, layer: Layer) -> Value {
    let mut statement = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"});
    match layer {
        Layer::Key => {
            let accounts = [root_of(&account_of(&scene.key)), root_of(&scene.account)];
            statement["Principal"] = random.weighted(&[
                (50, json!({"AWS": accounts})),
                (20, json!({"AWS": scene.entity})),
                (15, json!({"AWS": HOME})),
                (10, json!({"AWS": "*"})),
            ]);
        }
        Layer::Endpoint | Layer::ResourceControl => statement["Principal"] = json!("*"),
        Layer::Identity | Layer::ServiceControl => {
            let actions = [json!("kms:*"), json!("*"), json!(["kms:*", "s3:GetObject"])];
            statement["Action"] = random.pick(&actions);
        }
    }
    statement
}

fn statement(random: &mut Random, scene: &Scene, layer: Layer, effect: &str) -> Value {
    let mut statement = json!({"Effect": effect});
    let denies = effect == "Deny";
    match layer {
        Layer::Key | Layer::Endpoint if denies && random.chance(35) => {
            statement["NotPrincipal"] = not_principal(random, scene);
        }
        Layer::Key | Layer::Endpoint => statement["Principal"] = principal(random, scene),
        Layer::ResourceControl => statement["Principal"] = json!("*"),
        Layer::Identity | Layer::ServiceControl => {}
    }
    let needs_service = layer == Layer::ResourceControl;
    // In a key policy either element may be missing.
    let missing = |random: &mut Random| layer == Layer::Key && random.chance(2);
    if !needs_service && random.chance(9) {
        let others = [json!("kms:ScheduleKeyDeletion"), json!("s3:*"), actions(random, scene)];
        statement["NotAction"] = random.pick(&others);
    } else if !missing(random) {
        let action = actions(random, scene);
        let bare = needs_service && action == "*";
        statement["Action"] = if bare { json!("kms:*") } else { action };
    }
    if random.chance(8) {
        statement["NotResource"] = resources(random, scene, layer);
    } else if !missing(random) {
        statement["Resource"] = resources(random, scene, layer);
    }
    if random.chance(if denies { 75 } else { 40 }) {
        statement["Condition"] = condition(random, scene, denies);
    }
    statement
}

//! Random cases of `keyward simulate`: small universes in which the policies speak of the request,
//! so that they allow, deny and contradict each other.

mod conditions;
mod elements;
mod facts;
mod flaws;
mod focus;
mod grants;
mod iam;
mod keys;
mod operands;
mod organization;
mod parameters;
mod policies;
mod random;
mod request;
mod scatter;
mod scene;

use serde_json::{Value, json};

pub(crate) use self::policies::Layer;
use self::policies::{Mood, policy};
pub(crate) use self::random::Random;
use self::scene::{Kind, Scene, VPCE};
use crate::law::switches::SWITCHES;

/// A case that depends on the seed alone.
pub(crate) fn generate(seed: u64) -> Value {
    let random = &mut Random::new(seed);
    let mut scene = Scene::new(random);
    if random.chance(45) {
        let mut case = focus::case(random, &mut scene);
        case["id"] = json!(format!("seed-{seed}"));
        return case;
    }
    let mut documents = vec![iam::document(random, &scene)];
    for (index, key) in scene.keys.iter().enumerate() {
        documents.push(keys::document(random, &scene, key, index));
    }
    if random.chance(25) {
        documents.push(organization::document(random, &scene));
    }
    let described = if scene.came_through_endpoint() { 85 } else { 5 };
    if random.chance(described) {
        let content = policy(random, &scene, Layer::Endpoint, Mood { broad: 80, deny: 25 });
        let endpoint = json!({"VpcEndpointId": VPCE, "PolicyDocument": content.to_string()});
        documents.push(json!({"VpcEndpoints": [endpoint]}));
    }
    if random.chance(10) {
        scatter::scatter(random, &mut documents);
    }
    if random.chance(3) {
        let again = random.pick(&documents);
        documents.push(again);
    }
    add_session_policies(random, &mut scene);
    let mut case = object([
        ("id", json!(format!("seed-{seed}"))),
        ("documents", documents.into()),
        ("now", json!(scene.now)),
        ("request", scene.request.take()),
    ]);
    if random.chance(8) {
        case["contextOverrides"] = overrides(random, &scene);
    }
    if random.chance(30) {
        case["options"] = options(random);
    }
    if random.chance(6) {
        flaws::spoil(random, &mut case);
    }
    if random.chance(5) { elsewhere(random, case) } else { case }
}

/// Like `json!`, which would write and read every value again.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Some of the switches.
fn options(random: &mut Random) -> Value {
    options_among(random, &SWITCHES.map(|(name, _)| name))
}

/// Some of these switches.
fn options_among(random: &mut Random, names: &[&str]) -> Value {
    let mut options = json!({});
    for _ in 0..random.weighted(&[(60, 1), (30, 2), (10, 4)]) {
        let wanted = random.pick(names);
        let known = SWITCHES.iter().find(|(name, _)| *name == wanted);
        let (name, values) = known.expect("a switch");
        let name =
            if random.chance(20) { format!("evaluation.{name}") } else { (*name).to_owned() };
        let value = random.pick(values);
        options[name] = match value.parse::<bool>() {
            Ok(value) if random.chance(50) => json!(value),
            _ => json!(value),
        };
    }
    options
}

/// The same case in another partition, or a part of it.
fn elsewhere(random: &mut Random, mut case: Value) -> Value {
    let moved = |part: &Value| {
        let text = part.to_string().replace("arn:aws:", "arn:aws-us-gov:");
        serde_json::from_str(&text).expect("still JSON")
    };
    let count = case["documents"].as_array().map_or(0, Vec::len);
    let document = format!("/documents/{}", random.below(count.max(1)));
    let places = [
        (50, ""),
        (12, "/request/principal"),
        (6, "/request/principal/arn"),
        (6, "/request/keyId"),
        (6, "/request"),
        (8, "/documents"),
        (12, &document),
    ];
    if let Some(part) = case.pointer_mut(random.weighted(&places)) {
        *part = moved(part);
    }
    case
}

fn add_session_policies(random: &mut Random, scene: &mut Scene) {
    let likely = match scene.kind {
        Kind::Session => 25,
        Kind::Federated => 75,
        Kind::Root => 5,
        Kind::User | Kind::Service => 0,
    };
    if random.chance(likely) {
        let count = random.weighted(&[(85, 1), (15, 2)]);
        let mood = Mood { broad: 60, deny: 10 };
        let texts: Vec<String> =
            (0..count).map(|_| policy(random, scene, Layer::Identity, mood).to_string()).collect();
        scene.request["principal"]["sessionPolicies"] = json!(texts);
    }
}

fn overrides(random: &mut Random, scene: &Scene) -> Value {
    let (key, value) = random.pick(&scene.facts);
    let shapes = [json!(null), json!(value), json!([value, "other"]), json!([value]), json!([])];
    json!({ key: random.pick(&shapes) })
}

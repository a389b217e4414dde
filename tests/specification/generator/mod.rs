//! Random cases of `keyward simulate`: small universes in which the policies speak of the request,
//! so that they allow, deny and contradict each other.

mod conditions;
mod elements;
mod facts;
mod grants;
mod iam;
mod keys;
mod operands;
mod organization;
mod parameters;
mod policies;
mod random;
mod request;
mod scene;

use serde_json::{Value, json};

use self::policies::{Layer, Mood, policy};
pub(crate) use self::random::Random;
use self::scene::{Kind, Scene, VPCE};
use crate::law::switches::SWITCHES;

/// A case that depends on the seed alone.
pub(crate) fn generate(seed: u64) -> Value {
    let random = &mut Random::new(seed);
    let mut scene = Scene::new(random);
    let mut documents = vec![iam::document(random, &scene)];
    for (index, key) in scene.keys.iter().enumerate() {
        documents.push(keys::document(random, &scene, key, index));
    }
    if random.chance(25) {
        documents.push(organization::document(random, &scene));
    }
    if scene.came_through_endpoint() || random.chance(5) {
        let content = policy(random, &scene, Layer::Endpoint, Mood { broad: 80, deny: 25 });
        let endpoint = json!({"VpcEndpointId": VPCE, "PolicyDocument": content.to_string()});
        documents.push(json!({"VpcEndpoints": [endpoint]}));
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
    if random.chance(3) { elsewhere(&case) } else { case }
}

/// Like `json!`, which would write and read every value again.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Some of the switches.
fn options(random: &mut Random) -> Value {
    let mut options = json!({});
    for _ in 0..random.weighted(&[(60, 1), (30, 2), (10, 4)]) {
        let (name, values) = random.pick(&SWITCHES);
        let name = if random.chance(20) { format!("evaluation.{name}") } else { name.to_owned() };
        let value = random.pick(values);
        options[name] = match value.parse::<bool>() {
            Ok(value) if random.chance(50) => json!(value),
            _ => json!(value),
        };
    }
    options
}

/// The same case in another partition.
fn elsewhere(case: &Value) -> Value {
    let moved = case.to_string().replace("arn:aws:", "arn:aws-us-gov:");
    serde_json::from_str(&moved).expect("still JSON")
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
    let shapes = [json!(null), json!(value), json!([value, "other"]), json!([value])];
    json!({ key: random.pick(&shapes) })
}

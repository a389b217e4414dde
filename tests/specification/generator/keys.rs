//! The documents of the keys.

use serde_json::{Value, json};

use super::grants::grant;
use super::object;
use super::policies::{Layer, Mood, policy};
use super::random::Random;
use super::scene::{Kind, Scene};

/// One of the keys of the scene.
pub(crate) fn document(random: &mut Random, scene: &Scene, key: &str, index: usize) -> Value {
    let mood = Mood { broad: if key == scene.key { 60 } else { 70 }, deny: 28 };
    let content = policy(random, scene, Layer::Key, mood);
    let content = match random.below(20) {
        0 | 1 => json!(content.to_string()),
        2 => json!("default"),
        _ => content,
    };
    let mut document = object([
        ("KeyMetadata", metadata(random, scene, key)),
        ("Policy", content),
        ("Aliases", json!([scene.alias_of(key)])),
    ]);
    if random.chance(3) {
        // More aliases than a key may have.
        let names = (0..50).map(|number| format!("alias/a{number}"));
        let own = std::iter::once(scene.alias_of(key).to_owned());
        document["Aliases"] = own.chain(names).collect();
    }
    if random.chance(50) {
        let value = random.pick(&["red", "blue"]);
        document["Tags"] = json!([{"TagKey": random.pick(&["team", "Team"]), "TagValue": value}]);
    }
    if random.chance(2) {
        document["Tags"] = json!([{"TagKey": "team", "TagValue": "red"},
            {"TagKey": "Team", "TagValue": random.pick(&["red", "blue"])}]);
    }
    if random.chance(4) {
        document["RamPolicy"] = policy(random, scene, Layer::Key, Mood { broad: 40, deny: 15 });
    }
    if random.chance(if scene.action.contains("KeyDeletion") { 50 } else { 3 }) {
        document["KeyLastUsage"] = last_usage(random);
    }
    let likely = if scene.kind == Kind::Service { 70 } else { 30 };
    if scene.action == "RetireGrant" || random.chance(likely) {
        let count = random.weighted(&[(60, 1), (30, 2), (10, 3)]);
        document["Grants"] =
            (1..=count).map(|number| grant(random, scene, index, number)).collect();
    }
    if random.chance(5) { object([("Keys", vec![document].into())]) } else { document }
}

pub(super) fn metadata(random: &mut Random, scene: &Scene, key: &str) -> Value {
    let mut metadata = json!({"Arn": key});
    if random.chance(12) {
        let states = [
            "Disabled",
            "PendingDeletion",
            "PendingImport",
            "Creating",
            "Updating",
            "PendingReplicaDeletion",
            "Unavailable",
        ];
        metadata["KeyState"] = json!(random.pick(&states));
    }
    if random.chance(2) {
        metadata["Enabled"] = json!(false);
    }
    if scene.action == "CancelKeyDeletion" && random.chance(60) {
        metadata["KeyState"] = json!("PendingDeletion");
    }
    if random.chance(if scene.action.contains("Import") { 60 } else { 20 }) {
        let origins = ["EXTERNAL", "AWS_CLOUDHSM", "AWS_KMS", "EXTERNAL_KEY_STORE"];
        metadata["Origin"] = json!(random.pick(&origins));
    }
    if random.chance(15) {
        metadata["MultiRegion"] = json!(true);
        let kind = random.pick(&["PRIMARY", "REPLICA"]);
        metadata["MultiRegionConfiguration"] = json!({"MultiRegionKeyType": kind});
    }
    if random.chance(10) {
        metadata["KeySpec"] = json!("RSA_2048");
        metadata["KeyUsage"] = json!("SIGN_VERIFY");
    }
    if random.chance(3) {
        metadata["KeyManager"] = json!(random.pick(&["AWS", "CUSTOMER"]));
    }
    metadata
}

/// The output of `get-key-last-usage`.
pub(super) fn last_usage(random: &mut Random) -> Value {
    let mut usage = json!({"TrackingStartDate": "2025-11-30T00:00:00Z"});
    if random.chance(60) {
        let times = ["2025-12-01T00:00:01Z", "2025-12-31T00:00:00Z", "2026-06-30T12:00:00Z"];
        usage["KeyLastUsage"] = json!({"Timestamp": random.pick(&times), "Operation": "Decrypt"});
    }
    if random.chance(50) {
        usage["KeyCreationDate"] = json!(random.pick(&["2020-01-01T00:00:00Z", "2025-12-02"]));
    }
    usage
}

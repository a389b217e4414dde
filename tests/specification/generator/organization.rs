//! The organization: root, unit, account. The management account is sometimes one of the two.

use serde_json::{Value, json};

use super::policies::{Layer, Mood, policy};
use super::random::Random;
use super::scene::{AWAY, HOME, ORGANIZATION, Scene};

pub(crate) fn document(random: &mut Random, scene: &Scene) -> Value {
    let mut root = level(random, scene, "r-ab12");
    let mut unit = level(random, scene, "ou-ab12-1");
    unit["Accounts"] = json!([level(random, scene, HOME)]);
    root["OrganizationalUnits"] = json!([unit]);
    if random.chance(40) {
        root["Accounts"] = json!([level(random, scene, AWAY)]);
    }
    let management = random.weighted(&[(85, "999900001111"), (8, HOME), (7, AWAY)]);
    json!({"Organization":
        {"Id": ORGANIZATION, "ManagementAccountId": management, "Root": root}})
}

/// What is attached to one level. Ids of policies are unique.
fn level(random: &mut Random, scene: &Scene, id: &str) -> Value {
    let mut level = json!({"Id": id});
    if random.chance(70) {
        let content = policy(random, scene, Layer::ServiceControl, Mood { broad: 88, deny: 18 });
        let scp = json!({"Name": "scp", "Id": format!("p-scp-{id}"), "Content": content});
        level["ServiceControlPolicies"] = if random.chance(98) { json!([scp]) } else { json!([]) };
    }
    if random.chance(60) {
        let mut policies = vec![json!({
            "Name": "RCPFullAWSAccess",
            "Id": "p-RCPFullAWSAccess",
            "Content": {"Version": "2012-10-17", "Statement":
                [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]},
        })];
        if random.chance(40) {
            let mood = Mood { broad: 0, deny: 100 };
            let content = policy(random, scene, Layer::ResourceControl, mood);
            let id = format!("p-rcp-{id}");
            policies.push(json!({"Name": "rcp", "Id": id, "Content": content}));
        }
        level["ResourceControlPolicies"] = json!(policies);
    }
    level
}

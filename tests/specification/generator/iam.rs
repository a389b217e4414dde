//! The users, groups and roles of both accounts.

use serde_json::{Value, json};

use super::object;
use super::policies::{Layer, Mood, policy};
use super::random::Random;
use super::scene::{AWAY, HOME, Kind, Scene, account_of};

pub(crate) fn document(random: &mut Random, scene: &Scene) -> Value {
    let mut iam = Iam { managed: Vec::new(), users: Vec::new(), roles: Vec::new() };
    let mut groups = Vec::new();
    let accounts = random.weighted(&[(94, vec![HOME, AWAY]), (4, vec![HOME]), (2, vec![])]);
    for account in accounts {
        let mood = mood(account, scene);
        let partition = random.weighted(&[(97, "aws"), (3, "aws-cn")]);
        groups.push(object([
            ("GroupName", json!("Team")),
            ("GroupId", json!("AGPATEAM")),
            ("Arn", json!(format!("arn:{partition}:iam::{account}:group/Team"))),
            ("GroupPolicyList", inline(random, scene, mood)),
        ]));
        iam.add_users(random, scene, account);
        iam.add_role(random, scene, account);
    }
    object([
        ("UserDetailList", iam.users.into()),
        ("GroupDetailList", groups.into()),
        ("RoleDetailList", iam.roles.into()),
        ("Policies", iam.managed.into()),
    ])
}

/// In another account than the key's an identity policy is needed.
fn mood(account: &str, scene: &Scene) -> Mood {
    let broad = if account == account_of(&scene.key) { 50 } else { 70 };
    Mood { broad, deny: 18 }
}

/// A list of inline policies: as an object, as text, or as URL-encoded text.
fn inline(random: &mut Random, scene: &Scene, mood: Mood) -> Value {
    if random.chance(15) {
        return json!([]);
    }
    let document = policy(random, scene, Layer::Identity, mood);
    let document = match random.below(20) {
        0 => json!(document.to_string()),
        1 => json!(percent_encoded(&document.to_string())),
        _ => document,
    };
    vec![object([("PolicyName", json!("inline")), ("PolicyDocument", document)])].into()
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

struct Iam {
    managed: Vec<Value>,
    users: Vec<Value>,
    roles: Vec<Value>,
}

impl Iam {
    fn add_users(&mut self, random: &mut Random, scene: &Scene, account: &str) {
        for name in ["Alice", "Bob"] {
            let arn = format!("arn:aws:iam::{account}:user/{name}");
            let mine = arn == scene.entity;
            if mine && random.chance(3) {
                continue; // Not described, though the account is.
            }
            let mood = if mine { mood(account, scene) } else { Mood { broad: 10, deny: 0 } };
            let mut user = object([
                ("UserName", json!(name)),
                ("UserId", json!(format!("AIDA{}{account}", name.to_uppercase()))),
                ("Arn", json!(arn)),
                ("UserPolicyList", inline(random, scene, mood)),
            ]);
            if random.chance(25) {
                user["GroupList"] = json!(["Team"]);
            }
            self.furnish(random, scene, &mut user, mine);
            self.users.push(user);
        }
    }

    fn add_role(&mut self, random: &mut Random, scene: &Scene, account: &str) {
        let arn = format!("arn:aws:iam::{account}:role/{}App", scene.role_path);
        let mine = arn == scene.entity;
        if mine && scene.kind == Kind::Session && random.chance(3) {
            return;
        }
        let mut role = object([
            ("RoleName", json!("App")),
            ("RoleId", json!(format!("AROAAPP{account}"))),
            ("Arn", json!(arn)),
            ("RolePolicyList", inline(random, scene, mood(account, scene))),
        ]);
        self.furnish(random, scene, &mut role, mine);
        self.roles.push(role);
    }

    /// Tags, boundary and attached policies.
    fn furnish(&mut self, random: &mut Random, scene: &Scene, identity: &mut Value, mine: bool) {
        if random.chance(60) {
            let value = random.pick(&["red", "blue", "1111aaaa", "us-west-2"]);
            identity["Tags"] = json!([{"Key": random.pick(&["team", "Team"]), "Value": value}]);
        }
        if mine && random.chance(18) {
            let arn = self.manage(random, scene, Mood { broad: 55, deny: 12 });
            identity["PermissionsBoundary"] =
                json!({"PermissionsBoundaryArn": arn, "PermissionsBoundaryType": "Policy"});
        }
        if mine && random.chance(12) {
            let arn = self.manage(random, scene, Mood { broad: 40, deny: 15 });
            identity["AttachedManagedPolicies"] =
                json!([{"PolicyArn": arn, "PolicyName": "attached"}]);
        }
    }

    /// A managed policy of which an older version would decide otherwise.
    fn manage(&mut self, random: &mut Random, scene: &Scene, mood: Mood) -> String {
        let arn = format!("arn:aws:iam::{}:policy/policy-{}", scene.account, self.managed.len());
        let document = policy(random, scene, Layer::Identity, mood);
        let older = policy(random, scene, Layer::Identity, mood);
        self.managed.push(json!({"Arn": arn, "PolicyVersionList": [
            {"IsDefaultVersion": false, "VersionId": "v1", "Document": older},
            {"IsDefaultVersion": true, "VersionId": "v2", "Document": document},
        ]}));
        arn
    }
}

//! What long policies said before is found again exactly as long as nothing that they read has
//! changed.

use std::sync::Arc;

use keyward::engine::bundle::{Document, Options};
use keyward::engine::decide::{decide, remembering};
use keyward::engine::snapshot::Snapshot;
use keyward::engine::snapshot::build::{Assembly, Interned, Piece, Recall, grant};
use keyward::engine::snapshot::grants::live::Change;
use keyward::engine::term::time::Timestamp;
use keyward::pdp::Pdp;
use keyward::pdp::decisions::Decisions;
use keyward::wire::case::outcome;
use keyward::wire::proto::request::{request, request_with};
use keyward::wire::proto::view::View;
use keyward::wire::v1;
use serde_json::{Value, json};

use crate::doors::noon;

pub(crate) const KEY: &str =
    "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER_KEY: &str =
    "arn:aws:kms:us-west-2:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321";
const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/Boundary";

pub(crate) fn policy(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn allow(action: &str) -> Value {
    json!({"Effect": "Allow", "Action": action, "Resource": "*"})
}

pub(crate) fn deny() -> Value {
    json!({"Effect": "Deny", "Action": "kms:*", "Resource": "*"})
}

fn of_everyone(mut statement: Value) -> Value {
    statement["Principal"] = json!("*");
    statement
}

/// The documents of the set by name.
fn documents() -> Vec<(&'static str, Value)> {
    let delegation = json!({"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*",
        "Resource": "*"});
    let tagged = json!({"Effect": "Allow", "Action": ["kms:Decrypt", "kms:Sign"], "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/class": "secret"}}});
    let timed = json!({"Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*",
        "Condition": {"DateLessThan": {"aws:CurrentTime": "2026-01-02T00:00:00Z"}}});
    let full = policy(json!([allow("*")]));
    let level = json!([{"Id": "p-FullAWSAccess", "Content": full}]);
    vec![
        ("key", key(KEY, std::slice::from_ref(&delegation))),
        ("other-key", key(OTHER_KEY, &[delegation])),
        (
            "iam",
            json!({
                "RoleDetailList": [{"Arn": "arn:aws:iam::111122223333:role/App", "RoleName": "App",
                    "RoleId": "AROAEXAMPLEEXAMPLEAPP",
                    "RolePolicyList": [{"PolicyName": "own",
                        "PolicyDocument": policy(json!([tagged, timed, allow("kms:Encrypt")]))}],
                    "PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": BOUNDARY}}],
                "Policies": [managed(&[allow("kms:*")])],
            }),
        ),
        (
            "organization",
            json!({"Organization": {"Id": "o-1", "ManagementAccountId": "999999999999",
                "Root": {"Id": "r-1", "ServiceControlPolicies": level, "Accounts": [{"Id": "111122223333"}]}}}),
        ),
        ("endpoint", endpoint(&of_everyone(allow("*")))),
    ]
}

fn key(arn: &str, statements: &[Value]) -> Value {
    json!({"Keys": [{"KeyMetadata": {"Arn": arn}, "Policy": policy(statements.into()),
        "Tags": [{"TagKey": "class", "TagValue": "secret"}]}]})
}

fn managed(statements: &[Value]) -> Value {
    json!({"Arn": BOUNDARY, "PolicyName": "Boundary", "DefaultVersionId": "v1",
        "PolicyVersionList": [{"VersionId": "v1", "IsDefaultVersion": true, "Document": policy(statements.into())}]})
}

fn endpoint(statement: &Value) -> Value {
    json!({"VpcEndpoints": [{"VpcEndpointId": "vpce-1", "PolicyDocument": policy(json!([statement]))}]})
}

/// A set whose documents change one by one, and what answers from it.
pub(crate) struct World {
    assembly: Assembly,
    interned: Interned,
    pub(crate) pdp: Pdp,
}

impl World {
    pub(crate) fn new() -> Self {
        let pdp = Pdp::new(Snapshot::default()).remembering(Decisions::from(0));
        let mut world = Self { assembly: Assembly::default(), interned: Interned::default(), pdp };
        for (name, json) in documents() {
            world.read(name, &json);
        }
        world.install();
        world
    }

    fn read(&mut self, name: &str, json: &Value) {
        let document = Document { name: name.into(), text: json.to_string().into() };
        let piece =
            Piece::read(&document, &Options::default(), &self.interned, &mut Recall::default());
        self.assembly.set(Arc::clone(&document.name), piece);
    }

    fn install(&mut self) {
        let built = self.assembly.assemble(&Options::default(), &|_| None);
        self.pdp.live().install(&built.expect("a good set").snapshot);
    }

    fn change(&mut self, name: &str, json: &Value) {
        self.read(name, json);
        self.install();
    }

    /// The decision, and whether it came from the cache.
    fn ask(&self, message: &v1::AuthorizeRequest, now: Timestamp) -> (String, bool) {
        let snapshot = self.pdp.snapshot();
        let request = request(message, now).expect("a good request");
        let recall = self.pdp.decisions().recall();
        let answer = remembering(&snapshot, &request, &recall).expect("an answer");
        let plain = decide(&snapshot, &request).expect("an answer");
        assert_eq!(outcome(&answer), outcome(&plain));
        let decision = outcome(&answer)["decision"].as_str().expect("a decision").to_owned();
        (decision, recall.made(&answer))
    }

    /// Asks what was not asked before, until it comes from the cache.
    #[track_caller]
    fn warm(&self, action: &str, decision: &str) {
        for cached in [false, false, true] {
            self.check(action, decision, cached);
        }
    }

    #[track_caller]
    fn check(&self, action: &str, decision: &str, cached: bool) {
        assert_eq!(self.ask(&question(action), noon()), (decision.to_owned(), cached));
    }
}

pub(crate) fn question(action: &str) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest {
        principal: Some(v1::Principal {
            arn: "arn:aws:sts::111122223333:assumed-role/App/i-1".to_owned(),
            ..v1::Principal::default()
        }),
        action: action.to_owned(),
        key_id: KEY.to_owned(),
        context: [("aws:SourceVpce".to_owned(), "vpce-1".to_owned())].into(),
        ..v1::AuthorizeRequest::default()
    }
}

/// The document of this name with a change.
fn changed(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let found = documents().into_iter().find(|(other, _)| *other == name);
    let (_, mut json) = found.expect("a document");
    change(&mut json);
    json
}

#[test]
fn what_policies_read_is_seen_at_once_when_it_changes() {
    let denying = |place: &'static str| {
        move |json: &mut Value| {
            let statements = json.pointer_mut(place).and_then(Value::as_array_mut);
            statements.expect("statements").push(deny());
        }
    };
    let changes: Vec<(&str, Value, &str)> = vec![
        (
            "key",
            changed("key", |json| {
                let statements = json["Keys"][0]["Policy"]["Statement"].as_array_mut();
                statements.expect("statements").push(of_everyone(deny()));
            }),
            "explicitDeny",
        ),
        (
            "key",
            changed("key", |json| json["Keys"][0]["KeyMetadata"]["KeyState"] = "Disabled".into()),
            "keyState",
        ),
        (
            "key",
            changed("key", |json| json["Keys"][0]["Tags"][0]["TagValue"] = "public".into()),
            "implicitDeny",
        ),
        (
            "iam",
            changed("iam", denying("/RoleDetailList/0/RolePolicyList/0/PolicyDocument/Statement")),
            "explicitDeny",
        ),
        (
            "iam",
            changed("iam", |json| json["RoleDetailList"][0]["RolePolicyList"] = json!([])),
            "implicitDeny",
        ),
        (
            "iam",
            changed("iam", |json| json["Policies"] = json!([managed(&[allow("kms:Encrypt")])])),
            "implicitDeny",
        ),
        (
            "organization",
            changed(
                "organization",
                denying("/Organization/Root/ServiceControlPolicies/0/Content/Statement"),
            ),
            "explicitDeny",
        ),
        ("endpoint", endpoint(&of_everyone(deny())), "explicitDeny"),
    ];
    for (name, json, decision) in changes {
        let mut world = World::new();
        world.warm("kms:Decrypt", "allowed");
        world.change(name, &json);
        world.warm("kms:Decrypt", decision);
    }
}

#[test]
fn what_no_policy_of_the_decision_reads_keeps_it_warm() {
    let mut world = World::new();
    world.warm("kms:Decrypt", "allowed");
    let revision = Arc::clone(&world.pdp.snapshot().revision);
    let changes: [(&str, Value); 5] = [
        ("other-key", key(OTHER_KEY, &[of_everyone(deny())])),
        (
            "iam",
            changed("iam", |json| {
                let mut other = json["RoleDetailList"][0].clone();
                other["Arn"] = json!("arn:aws:iam::111122223333:role/Other");
                other["RoleName"] = json!("Other");
                json["RoleDetailList"].as_array_mut().expect("roles").push(other);
            }),
        ),
        (
            "organization",
            changed("organization", |json| {
                let other = json!({"Id": "444455556666", "ServiceControlPolicies": []});
                json["Organization"]["Root"]["Accounts"]
                    .as_array_mut()
                    .expect("accounts")
                    .push(other);
            }),
        ),
        ("endpoint", {
            let mut both = endpoint(&of_everyone(allow("*")));
            let mut other = endpoint(&of_everyone(deny()))["VpcEndpoints"][0].take();
            other["VpcEndpointId"] = json!("vpce-2");
            both["VpcEndpoints"].as_array_mut().expect("endpoints").push(other);
            both
        }),
        (
            "alias",
            json!({"Aliases": [{"AliasArn": "arn:aws:kms:us-west-2:111122223333:alias/other", "TargetKeyId": OTHER_KEY}]}),
        ),
    ];
    for (name, json) in changes {
        world.change(name, &json);
        world.check("kms:Decrypt", "allowed", true);
    }
    assert_ne!(world.pdp.snapshot().revision, revision);
}

#[test]
fn grants_count_at_once_though_policies_are_remembered() {
    let world = World::new();
    world.warm("kms:Verify", "implicitDeny");
    let text = format!(
        r#"{{"KeyId":"{KEY}","GrantId":"a","GranteePrincipal":"arn:aws:iam::111122223333:role/App","Operations":["Verify"]}}"#
    );
    let created = Change::Created(Arc::new(grant("test", &text).expect("a grant")));
    world.pdp.live().follow(&[created], 1);
    world.check("kms:Verify", "allowed", true);
    world.pdp.live().follow(&[Change::Removed { key_arn: KEY.into(), id: "a".into() }], 2);
    world.check("kms:Verify", "implicitDeny", true);
}

#[test]
fn what_depends_on_the_time_is_decided_each_time() {
    let world = World::new();
    let encrypt = question("kms:Encrypt");
    let later = Timestamp::parse("2026-01-02T00:00:00Z").expect("an instant");
    for _ in 0..3 {
        assert_eq!(world.ask(&encrypt, noon()), ("explicitDeny".to_owned(), false));
        assert_eq!(world.ask(&encrypt, later), ("allowed".to_owned(), false));
    }
    // Statements about other actions do not ask for the time.
    let decrypt = question("kms:Decrypt");
    world.warm("kms:Decrypt", "allowed");
    assert_eq!(world.ask(&decrypt, later), ("allowed".to_owned(), true));
}

#[test]
fn session_policies_count_by_what_they_say() {
    let world = World::new();
    let mut message = question("kms:Decrypt");
    let mut with = |statement: Value, decision: &str, cached: bool| {
        let text = policy(json!([statement])).to_string();
        let principal = message.principal.as_mut().expect("a principal");
        principal.session_policies = vec![text];
        let snapshot = world.pdp.snapshot();
        let sessions = |name: &str, text: &str| world.pdp.sessions().get(name, text);
        let mut view = View::of(&message);
        let request = request_with(&mut view, noon(), &sessions).expect("a good request");
        let recall = world.pdp.decisions().recall();
        let answer = remembering(&snapshot, &request, &recall).expect("an answer");
        assert_eq!(outcome(&answer)["decision"], decision);
        assert_eq!(recall.made(&answer), cached);
    };
    with(allow("kms:Decrypt"), "allowed", false);
    with(allow("kms:Decrypt"), "allowed", false);
    with(allow("kms:Decrypt"), "allowed", true);
    with(allow("kms:Encrypt"), "implicitDeny", false);
    with(deny(), "explicitDeny", false);
    with(allow("kms:Decrypt"), "allowed", true);
}

#[test]
fn callers_with_few_statements_are_not_looked_up() {
    let mut world = World::new();
    world.pdp = Pdp::new(Snapshot::clone(&world.pdp.snapshot()));
    for _ in 0..3 {
        world.check("kms:Decrypt", "allowed", false);
    }
    let counts = world.pdp.decisions().counts();
    assert_eq!((counts.hits, counts.misses, counts.entries), (0, 0, 0));
}

#[test]
fn what_is_kept_is_bounded() {
    let world = World::new();
    let mut message = question("kms:Decrypt");
    for number in 0..60_000 {
        message.encryption_context = [("n".to_owned(), format!("{number:0200}"))].into();
        for _ in 0..2 {
            world.ask(&message, noon());
        }
    }
    let counts = world.pdp.decisions().counts();
    assert_eq!((counts.hits, counts.misses), (0, 120_000));
    assert!(counts.evictions > 0 && counts.entries < 40_000, "{counts:?}");
}

#[test]
fn what_comes_once_is_not_kept() {
    let world = World::new();
    let mut message = question("kms:Decrypt");
    for number in 0..1_000 {
        message.encryption_context = [("n".to_owned(), number.to_string())].into();
        world.ask(&message, noon());
    }
    assert_eq!(world.pdp.decisions().counts().entries, 0);
}

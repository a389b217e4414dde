//! Deciding, in nanoseconds a decision: Keyward against Cedar with equivalent policies, in one run.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml --bin decide`

use std::collections::HashMap;
use std::hint::black_box;
use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request as CedarRequest};
use keyward::engine::bundle::{Document, Options};
use keyward::engine::decide::decide;
use keyward::engine::decide::decision::Verdict;
use keyward::engine::kms::action::Action;
use keyward::engine::snapshot::Snapshot;
use keyward::engine::snapshot::build::build;
use keyward::engine::term::key_id::KeyId;
use keyward::engine::term::principal::Principal;
use keyward::engine::term::request::{Asked, Parameters, Request};
use keyward::engine::term::time::Timestamp;
use keyward_benches::{Contender, nanoseconds, print};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/App/i-0abc";
const STEPS: u32 = 50_000;

fn main() {
    small_key_policy();
    managed_policies();
}

/// A key policy of ten statements; the ninth allows. Then the same with a context that does not.
fn small_key_policy() {
    let snapshot = snapshot(vec![key(ten_statements()), role(vec![])]);
    let cedar = Cedar::new(&ten_cedar_policies());
    for (case, tenant, expected) in
        [("small key policy", "42", Verdict::Allowed), ("small key policy, miss", "43", Verdict::ImplicitDeny)]
    {
        compare(case, &snapshot, &cedar, tenant, expected);
    }
}

/// A key that delegates to its account, and a role with twenty managed policies of five statements;
/// the last one allows.
fn managed_policies() {
    let delegation = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}]});
    let documents: Vec<Value> = (0..20).map(managed_policy).collect();
    let snapshot = snapshot(vec![key(delegation), role(documents)]);
    let cedar = Cedar::new(&managed_cedar_policies());
    compare("twenty managed policies", &snapshot, &cedar, "42", Verdict::Allowed);
    compare("twenty managed policies, miss", &snapshot, &cedar, "43", Verdict::ImplicitDeny);
}

fn compare(case: &str, snapshot: &Snapshot, cedar: &Cedar, tenant: &str, expected: Verdict) {
    assert_eq!(ask(snapshot, tenant), expected, "{case}");
    assert_eq!(cedar.ask(tenant) == Decision::Allow, expected == Verdict::Allowed, "{case}");
    let mut contenders = [
        Contender { name: "keyward_ns", step: Box::new(|| { black_box(ask(snapshot, black_box(tenant))); }) },
        Contender { name: "cedar_ns", step: Box::new(|| { black_box(cedar.ask(black_box(tenant))); }) },
    ];
    let mut found = nanoseconds(&mut contenders, STEPS);
    let (ours, theirs) = (found[0].1, found[1].1);
    found.push(("cedar_over_keyward", theirs / ours));
    print("decide", case, &found);
}

/// One decision, from texts.
fn ask(snapshot: &Snapshot, tenant: &str) -> Verdict {
    let request = Request {
        principal: Principal::parse(SESSION).expect("a session"),
        role_arn: None,
        issuer_arn: None,
        session_tags: Vec::new(),
        session_policies: Vec::new(),
        user_id: None,
        source_identity: None,
        asked: Asked::Action(Action::from_name("kms:Decrypt").expect("an action")),
        key_id: Some(KeyId::parse(KEY).expect("a key")),
        encryption_context: vec![("tenant", tenant), ("purpose", "orders")],
        grant_tokens: Vec::new(),
        context: Vec::new(),
        parameters: Parameters::default(),
        region: None,
        via_service: None,
        dry_run: false,
        now: Timestamp::new(1_767_225_600, 0),
        overrides: Vec::new(),
    };
    decide(snapshot, &request).expect("a valid request").verdict()
}

fn snapshot(documents: Vec<Value>) -> Snapshot {
    let documents: Vec<Document> = documents
        .into_iter()
        .enumerate()
        .map(|(index, json)| Document { name: index.to_string().into(), text: Arc::from(json.to_string()) })
        .collect();
    build(&documents, &Options::default()).unwrap_or_else(|problems| panic!("{problems}")).snapshot
}

fn key(policy: Value) -> Value {
    json!({"KeyMetadata": {"Arn": KEY}, "Policy": policy})
}

fn role(policies: Vec<Value>) -> Value {
    let arn = |index: usize| format!("arn:aws:iam::111122223333:policy/p{index}");
    let attached: Vec<Value> = (0..policies.len())
        .map(|index| json!({"PolicyName": format!("p{index}"), "PolicyArn": arn(index)}))
        .collect();
    let managed: Vec<Value> = policies
        .into_iter()
        .enumerate()
        .map(|(index, document)| json!({"PolicyName": format!("p{index}"), "Arn": arn(index), "DefaultVersionId": "v1",
            "PolicyVersionList": [{"VersionId": "v1", "IsDefaultVersion": true, "Document": document}]}))
        .collect();
    json!({"RoleDetailList": [{"RoleName": "App", "RoleId": "AROAEXAMPLEEXAMPLEAPP", "Path": "/",
        "Arn": "arn:aws:iam::111122223333:role/App", "RolePolicyList": [], "AttachedManagedPolicies": attached}],
        "Policies": managed})
}

/// Ten statements with seven conditions; the ninth allows tenant 42.
fn ten_statements() -> Value {
    let role = |name: &str| json!({"AWS": format!("arn:aws:iam::111122223333:role/{name}")});
    let mut statements = vec![json!({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}})];
    for name in ["A", "B", "C", "D", "E", "F", "G"] {
        statements.push(json!({"Effect": "Allow", "Principal": role(name), "Action": ["kms:Decrypt", "kms:Encrypt"],
            "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": name}}}));
    }
    statements.push(json!({"Effect": "Allow", "Principal": role("App"), "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": "42"}}}));
    statements.push(json!({"Effect": "Allow", "Principal": role("Admin"), "Action": ["kms:Put*", "kms:Describe*"], "Resource": "*"}));
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn managed_policy(index: usize) -> Value {
    let tenant = if index == 19 { "42".to_owned() } else { format!("t{index}") };
    let statements: Vec<Value> = (0..5)
        .map(|n| json!({"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": "arn:aws:kms:us-west-2:111122223333:key/*",
            "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": if n == 4 { tenant.clone() } else { format!("t{index}-{n}") }}}}))
        .collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

struct Cedar {
    policies: PolicySet,
    authorizer: Authorizer,
    entities: Entities,
}

impl Cedar {
    fn new(text: &str) -> Self {
        let entities = json!([
            {"uid": {"type": "Role", "id": "App"}, "attrs": {}, "parents": []},
            {"uid": {"type": "Session", "id": SESSION}, "attrs": {}, "parents": [{"type": "Role", "id": "App"}]},
        ]);
        Self {
            policies: PolicySet::from_str(text).expect("Cedar policies"),
            authorizer: Authorizer::new(),
            entities: Entities::from_json_value(entities, None).expect("entities"),
        }
    }

    fn ask(&self, tenant: &str) -> Decision {
        let uid = |kind: &str, id: &str| {
            EntityUid::from_type_name_and_id(kind.parse().expect("a type"), cedar_policy::EntityId::new(id))
        };
        let pairs = HashMap::from([("tenant".to_owned(), tenant), ("purpose".to_owned(), "orders")]);
        let context = Context::from_pairs([
            ("secure".to_owned(), cedar_policy::RestrictedExpression::new_bool(true)),
            (
                "encryptionContext".to_owned(),
                cedar_policy::RestrictedExpression::new_record(
                    pairs.into_iter().map(|(name, value)| {
                        (name, cedar_policy::RestrictedExpression::new_string(value.to_owned()))
                    }),
                )
                .expect("a record"),
            ),
        ])
        .expect("a context");
        let request =
            CedarRequest::new(uid("Session", SESSION), uid("Action", "Decrypt"), uid("Key", KEY), context, None)
                .expect("a request");
        self.authorizer.is_authorized(&request, &self.policies, &self.entities).decision()
    }
}

fn ten_cedar_policies() -> String {
    let mut text = String::from("forbid(principal, action, resource) when { !context.secure };\n");
    let permit = |role: &str, tenant: &str| {
        format!(
            "permit(principal in Role::\"{role}\", action in [Action::\"Decrypt\", Action::\"Encrypt\"], resource == Key::\"{KEY}\") \
             when {{ context.encryptionContext has tenant && context.encryptionContext.tenant == \"{tenant}\" }};\n"
        )
    };
    for name in ["A", "B", "C", "D", "E", "F", "G"] {
        text += &permit(name, name);
    }
    text += &permit("App", "42");
    text += &format!(
        "permit(principal in Role::\"Admin\", action in [Action::\"PutKeyPolicy\", Action::\"DescribeKey\"], resource == Key::\"{KEY}\");\n"
    );
    text
}

fn managed_cedar_policies() -> String {
    let mut text = String::new();
    for index in 0..20 {
        for n in 0..5 {
            let tenant = if (index, n) == (19, 4) { "42".to_owned() } else { format!("t{index}-{n}") };
            text += &format!(
                "permit(principal in Role::\"App\", action == Action::\"Decrypt\", resource is Key) \
                 when {{ context.encryptionContext has tenant && context.encryptionContext.tenant == \"{tenant}\" }};\n"
            );
        }
    }
    text
}

//! The same questions to the engine as it is and as it was: those of the first benchmark of deciding.

use serde_json::{Value, json};

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/App/i-0abc";
const NOW: i64 = 1_767_225_600;

/// A question to a set: whether tenant 42, or another, may decrypt.
pub struct Case {
    /// As the first benchmark called it.
    pub name: &'static str,
    tenant: &'static str,
    expected: &'static str,
    documents: Vec<String>,
}

/// The cases of the first benchmark of deciding.
pub fn cases() -> Vec<Case> {
    let small = || documents(ten_statements(), vec![]);
    let managed = || documents(delegation(), (0..20).map(managed_policy).collect());
    let (yes, no) = ("Allowed", "ImplicitDeny");
    vec![
        Case { name: "small key policy", tenant: "42", expected: yes, documents: small() },
        Case { name: "small key policy, miss", tenant: "43", expected: no, documents: small() },
        Case { name: "twenty managed policies", tenant: "42", expected: yes, documents: managed() },
        Case { name: "twenty managed policies, miss", tenant: "43", expected: no, documents: managed() },
    ]
}

/// One decision, everything read from texts.
pub type Step = Box<dyn Fn()>;

macro_rules! engine {
    ($engine:ident, $doc:literal, $tags:expr, $policies:expr, $context:expr, $tokens:expr, $asserted:expr) => {
        #[doc = $doc]
        pub fn $engine(case: &Case) -> Step {
            use std::hint::black_box;

            use $engine::engine::bundle::{Document, Options};
            use $engine::engine::decide::decide;
            use $engine::engine::kms::action::Action;
            use $engine::engine::snapshot::build::build;
            use $engine::engine::term::key_id::KeyId;
            use $engine::engine::term::principal::Principal;
            use $engine::engine::term::request::{Asked, Request};
            use $engine::engine::term::time::Timestamp;

            let documents: Vec<Document> = case
                .documents
                .iter()
                .enumerate()
                .map(|(index, text)| Document { name: index.to_string().into(), text: text.as_str().into() })
                .collect();
            let built = build(&documents, &Options::default());
            let snapshot = built.unwrap_or_else(|problems| panic!("{problems}")).snapshot;
            let ask = move |tenant: &str| {
                let request = Request {
                    principal: Principal::parse(SESSION).expect("a session"),
                    role_arn: None,
                    issuer_arn: None,
                    session_tags: $tags,
                    session_policies: $policies,
                    user_id: None,
                    source_identity: None,
                    asked: Asked::Action(Action::from_name("kms:Decrypt").expect("an action")),
                    key_id: Some(KeyId::parse(KEY).expect("a key")),
                    encryption_context: $context(tenant),
                    grant_tokens: $tokens,
                    context: $asserted,
                    parameters: Default::default(),
                    region: None,
                    via_service: None,
                    dry_run: false,
                    now: Timestamp::new(NOW, 0),
                    overrides: Vec::new(),
                };
                decide(&snapshot, &request).expect("a valid request").verdict()
            };
            let (tenant, expected) = (case.tenant, case.expected);
            assert_eq!(format!("{:?}", ask(tenant)), expected, "{}", case.name);
            Box::new(move || {
                black_box(ask(black_box(tenant)));
            })
        }
    };
}

engine!(
    before,
    "Asks the engine as it was.",
    Vec::new(),
    Vec::new(),
    |tenant| vec![("tenant", tenant), ("purpose", "orders")],
    Vec::new(),
    Vec::new()
);
engine!(
    now,
    "Asks the engine as it is.",
    Default::default(),
    Default::default(),
    |tenant| [("tenant", tenant), ("purpose", "orders")].into_iter().collect(),
    Default::default(),
    Default::default()
);

fn documents(policy: Value, managed: Vec<Value>) -> Vec<String> {
    vec![json!({"KeyMetadata": {"Arn": KEY}, "Policy": policy}).to_string(), role(managed).to_string()]
}

fn delegation() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}]})
}

fn role(policies: Vec<Value>) -> Value {
    let arn = |index: usize| format!("arn:aws:iam::111122223333:policy/p{index}");
    let attached: Vec<Value> = (0..policies.len())
        .map(|index| json!({"PolicyName": format!("p{index}"), "PolicyArn": arn(index)}))
        .collect();
    let managed: Vec<Value> = policies
        .into_iter()
        .enumerate()
        .map(|(index, document)| {
            json!({"PolicyName": format!("p{index}"), "Arn": arn(index), "DefaultVersionId": "v1",
                "PolicyVersionList": [{"VersionId": "v1", "IsDefaultVersion": true, "Document": document}]})
        })
        .collect();
    json!({"RoleDetailList": [{"RoleName": "App", "RoleId": "AROAEXAMPLEEXAMPLEAPP", "Path": "/",
        "Arn": "arn:aws:iam::111122223333:role/App", "RolePolicyList": [], "AttachedManagedPolicies": attached}],
        "Policies": managed})
}

/// Ten statements with seven conditions; the ninth allows tenant 42.
fn ten_statements() -> Value {
    let role = |name: &str| json!({"AWS": format!("arn:aws:iam::111122223333:role/{name}")});
    let mut statements = vec![json!({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "kms:*",
        "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}})];
    for name in ["A", "B", "C", "D", "E", "F", "G"] {
        statements.push(json!({"Effect": "Allow", "Principal": role(name), "Action": ["kms:Decrypt", "kms:Encrypt"],
            "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": name}}}));
    }
    statements.push(json!({"Effect": "Allow", "Principal": role("App"),
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "*",
        "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": "42"}}}));
    statements.push(json!({"Effect": "Allow", "Principal": role("Admin"),
        "Action": ["kms:Put*", "kms:Describe*"], "Resource": "*"}));
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn managed_policy(index: usize) -> Value {
    let tenant = |n: usize| match (index, n) {
        (19, 4) => "42".to_owned(),
        (_, 4) => format!("t{index}"),
        _ => format!("t{index}-{n}"),
    };
    let statements: Vec<Value> = (0..5)
        .map(|n| {
            json!({"Effect": "Allow", "Action": ["kms:Decrypt"],
                "Resource": "arn:aws:kms:us-west-2:111122223333:key/*",
                "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": tenant(n)}}})
        })
        .collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

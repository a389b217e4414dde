//! Policy sets and questions: what is decided.

use std::ops::Range;
use std::sync::Arc;

use keyward::engine::bundle::{Document, Options};
use keyward::engine::decide::{decide, remembering};
use keyward::engine::decide::decision::Verdict;
use keyward::engine::kms::action::Action;
use keyward::engine::snapshot::{Key, PolicySet, Snapshot};
use keyward::engine::snapshot::build::build;
use keyward::engine::term::key_id::KeyId;
use keyward::engine::term::principal::Principal;
use keyward::engine::term::request::{Asked, Asserted, AssertedValues, Request};
use keyward::engine::term::time::Timestamp;
use keyward::pdp::decisions::Decisions;
use keyward::wire::v1;
use serde_json::{Value, json};

/// The key of every small set.
pub const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// The caller.
pub const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/App/i-0abc";

/// A question, as texts.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The key.
    pub key: &'a str,
    /// Value of the pair `tenant` of the encryption context.
    pub tenant: &'a str,
    /// A grant token, or none.
    pub token: Option<&'a str>,
    /// The address that it comes from.
    pub source_ip: &'a str,
}

/// A question on [`KEY`].
pub fn on_key(tenant: &str) -> Question<'_> {
    Question { key: KEY, tenant, token: None, source_ip: "192.0.2.7" }
}

/// One decision, everything read from texts.
pub fn ask(snapshot: &Snapshot, question: Question<'_>) -> Verdict {
    asked(question, |request| match decide(snapshot, request) {
        Ok(answer) => answer.verdict(),
        Err(error) => panic!("{error}"),
    })
}

/// The same, where what long policies say is remembered.
pub fn ask_remembering(decisions: &Decisions, snapshot: &Snapshot, question: Question<'_>) -> Verdict {
    asked(question, |request| match remembering(snapshot, request, &decisions.recall()) {
        Ok(answer) => answer.verdict(),
        Err(error) => panic!("{error}"),
    })
}

// A request is long: it is made where it is used.
#[inline(always)]
fn asked(question: Question<'_>, answer: impl FnOnce(&Request<'_>) -> Verdict) -> Verdict {
    let one = |name, value| Asserted { name, values: AssertedValues::One(value) };
    let request = Request {
        principal: Principal::parse(SESSION).expect("a session"),
        role_arn: None,
        issuer_arn: None,
        session_tags: Default::default(),
        session_policies: Default::default(),
        user_id: None,
        source_identity: None,
        asked: Asked::Action(Action::from_name("kms:Decrypt").expect("an action")),
        key_id: Some(KeyId::parse(question.key).expect("a key")),
        encryption_context: [("app", "orders"), ("purpose", "pii"), ("tenant", question.tenant)].into_iter().collect(),
        grant_tokens: question.token.into_iter().collect(),
        context: [
            one("aws:MultiFactorAuthPresent", "false"),
            one("aws:PrincipalOrgID", "o-example1"),
            one("aws:SecureTransport", "true"),
            one("aws:SourceIp", question.source_ip),
            one("aws:SourceVpce", "vpce-0abc"),
        ]
        .into_iter()
        .collect(),
        parameters: Default::default(),
        region: None,
        via_service: None,
        dry_run: false,
        now: Timestamp::new(1_767_225_600, 0),
        overrides: Vec::new(),
    };
    answer(&request)
}

/// A set of documents, compiled.
pub fn snapshot(documents: impl IntoIterator<Item = Value>) -> Snapshot {
    let documents: Vec<Document> = documents
        .into_iter()
        .enumerate()
        .map(|(index, json)| Document { name: index.to_string().into(), text: Arc::from(json.to_string()) })
        .collect();
    build(&documents, &Options::default()).unwrap_or_else(|problems| panic!("{problems}")).snapshot
}

/// ARN of one of many keys.
pub fn key_arn(index: usize) -> String {
    format!("arn:aws:kms:us-west-2:111122223333:key/{index:08x}-12ab-34cd-56ef-1234567890ab")
}

/// `count` keys, all with equal policies.
pub fn templated(count: usize) -> Snapshot {
    let small = snapshot([key(KEY, ten_statements("42")), role(vec![])]);
    let mut set = PolicySet::clone(&small.policies);
    let template = set.keys.get(KEY).expect("the key").clone();
    let named = (0..count).map(|index| {
        let key = Key { arn: key_arn(index).into(), ..Key::clone(&template) };
        Arc::new(key)
    });
    set.keys = named.chain([template.clone()]).collect();
    Snapshot { policies: Arc::new(set), grants: small.grants }
}

/// `count` keys whose policies differ in every statement's operand.
pub fn unique(count: usize) -> Snapshot {
    let keys = (0..count).map(|index| key(&key_arn(index), unique_statements(index)));
    snapshot(keys.chain([role(vec![])]))
}

/// Keys with equal policies, as a document.
pub fn document_of_keys(indices: Range<usize>) -> String {
    let policy = ten_statements("42").to_string();
    let keys: Vec<String> = indices
        .map(|index| format!(r#"{{"KeyMetadata":{{"Arn":"{}"}},"Policy":{policy}}}"#, key_arn(index)))
        .collect();
    format!(r#"{{"Keys":[{}]}}"#, keys.join(","))
}

/// The question about one of many keys as a message.
pub fn request(index: usize) -> v1::AuthorizeRequest {
    let map = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    v1::AuthorizeRequest {
        request_id: "0192d3a4-5b6c-7d8e-9f01-234567890abc".to_owned(),
        principal: Some(v1::Principal { arn: SESSION.to_owned(), ..v1::Principal::default() }),
        action: "kms:Decrypt".to_owned(),
        key_id: key_arn(index),
        encryption_context: map(&[("app", "orders"), ("purpose", "pii"), ("tenant", "42")]),
        context: map(&[
            ("aws:MultiFactorAuthPresent", "false"),
            ("aws:PrincipalOrgID", "o-example1"),
            ("aws:SecureTransport", "true"),
            ("aws:SourceIp", "192.0.2.7"),
            ("aws:SourceVpce", "vpce-0abc"),
        ]),
        ..v1::AuthorizeRequest::default()
    }
}

/// A key.
pub fn key(arn: &str, policy: Value) -> Value {
    json!({"KeyMetadata": {"Arn": arn}, "Policy": policy})
}

/// A key policy that leaves everything to identity policies.
pub fn delegation() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}]})
}

/// The caller's role, with managed policies.
pub fn role(policies: Vec<Value>) -> Value {
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

/// Ten statements with seven conditions; the ninth allows the tenant.
pub fn ten_statements(tenant: &str) -> Value {
    let names = ["A", "B", "C", "D", "E"].map(|name| (name, name.to_owned()));
    statements(&names, tenant)
}

/// Ten statements of which six differ from those of every other index.
pub fn unique_statements(index: usize) -> Value {
    let names = ["A", "B", "C", "D", "E"].map(|name| (name, format!("{name}-{index}")));
    statements(&names, &format!("t{index}"))
}

fn statements(others: &[(&str, String)], tenant: &str) -> Value {
    let role = |name: &str| json!({"AWS": format!("arn:aws:iam::111122223333:role/{name}")});
    let mut statements = vec![
        json!({"Sid": "RequireTls", "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
        json!({"Sid": "Administration", "Effect": "Allow", "Principal": role("Admin"),
            "Action": ["kms:Put*", "kms:Describe*", "kms:Get*", "kms:List*", "kms:Enable*", "kms:Disable*"], "Resource": "*"}),
        json!({"Sid": "Aliases", "Effect": "Allow", "Principal": role("Admin"),
            "Action": ["kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"], "Resource": "*"}),
    ];
    for (name, tenant) in others {
        statements.push(json!({"Sid": format!("Use{name}"), "Effect": "Allow", "Principal": role(name),
            "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*"], "Resource": "*",
            "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": tenant}}}));
    }
    statements.push(json!({"Sid": "UseApp", "Effect": "Allow", "Principal": role("App"),
        "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*"], "Resource": "*",
        "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": tenant}}}));
    statements.push(json!({"Sid": "GrantsForServices", "Effect": "Allow", "Principal": role("Admin"),
        "Action": ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"], "Resource": "*"}));
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// The `index`th of `count` managed policies of five statements; the last statement of the last
/// one allows tenant 42.
pub fn managed_policy(index: usize, count: usize) -> Value {
    let statements: Vec<Value> = (0..5)
        .map(|n| {
            json!({"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": "arn:aws:kms:us-west-2:111122223333:key/*",
            "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": managed_tenant(index, n, count)}}})
        })
        .collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// The same, of statements that all have to be looked at: patterns.
pub fn managed_patterns(index: usize, count: usize) -> Value {
    let mut policy = managed_policy(index, count);
    for (n, statement) in policy["Statement"].as_array_mut().expect("statements").iter_mut().enumerate() {
        let pattern = format!("{}*", managed_tenant(index, n, count));
        statement["Condition"] = json!({"StringLike": {"kms:EncryptionContext:tenant": pattern}});
    }
    policy
}

/// The tenant that a managed policy's statement allows.
pub fn managed_tenant(index: usize, n: usize, count: usize) -> String {
    if (index + 1, n) == (count, 4) { "42".to_owned() } else { format!("t{index}-{n}") }
}

/// `count` grants on a key, each to another role; the caller's is among them, in the middle.
pub fn grants(count: usize) -> Value {
    let grants: Vec<Value> = (0..count)
        .map(|index| {
            let role = if index == count / 2 { "App".to_owned() } else { format!("R{index}") };
            json!({"KeyId": KEY, "GrantId": format!("{index:064x}"), "GrantToken": format!("token-{index}"),
            "GranteePrincipal": format!("arn:aws:iam::111122223333:role/{role}"), "Operations": ["Decrypt", "Encrypt"],
            "Constraints": {"EncryptionContextSubset": {"tenant": "42"}}})
        })
        .collect();
    json!({"Grants": grants})
}

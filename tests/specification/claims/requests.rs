//! Requests that could contradict a claim.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use keyward::engine::kms::action::{Action, ActionSet};
use serde_json::{Value, json};

use super::claim::Claim;
use crate::generator::{Random, generate};
use crate::law::arn;

/// Seeds whose requests are asked of other sets.
const POOL: u64 = 6_000;

/// Requests of many cases, by action.
static BY_ACTION: LazyLock<BTreeMap<String, Vec<Value>>> = LazyLock::new(|| {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for mut request in (0..POOL).map(|seed| generate(seed)["request"].take()) {
        let Some(action) = request["action"].as_str() else { continue };
        let action =
            if action.starts_with("kms:") { action.to_owned() } else { format!("kms:{action}") };
        request["action"] = json!(action);
        found.entry(action).or_default().push(request);
    }
    found
});

/// The actions that a statement is about.
fn actions(statement: &Value) -> Vec<String> {
    let texts = |element: &str| -> Vec<String> {
        match &statement[element] {
            Value::String(text) => vec![text.clone()],
            Value::Array(items) => {
                items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    };
    let matching = |texts: &[String]| -> Vec<Action> {
        texts.iter().flat_map(|text| ActionSet::matching(text).iter().collect::<Vec<_>>()).collect()
    };
    let (these, others) = (matching(&texts("Action")), matching(&texts("NotAction")));
    let meant = |action: &&Action| match statement["NotAction"] {
        Value::Null => these.contains(action),
        _ => !others.contains(action),
    };
    Action::ALL.iter().filter(meant).map(|action| format!("kms:{}", action.bare())).collect()
}

/// Somebody whom a policy names.
fn caller(named: &str, random: &mut Random) -> Option<Value> {
    if named.len() == 12 || named.ends_with(":root") {
        let account = if named.len() == 12 { named } else { arn::account(named)? };
        let path = random.pick(&["", "team/", "aws-service-role/"]);
        return Some(match random.below(4) {
            0 => json!({"arn": format!("arn:aws:iam::{account}:root")}),
            1 => json!({"arn": format!("arn:aws:iam::{account}:user/Alice")}),
            2 => json!({"arn": format!("arn:aws:iam::{account}:user/Bob")}),
            _ => json!({"arn": format!("arn:aws:sts::{account}:assumed-role/App/s1"),
                "roleArn": format!("arn:aws:iam::{account}:role/{path}App")}),
        });
    }
    if named.contains(":role/") {
        let (account, name) = (arn::account(named)?, arn::last_name(named));
        let session = random.pick(&["s1", "s2"]);
        let arn = format!("arn:aws:sts::{account}:assumed-role/{name}/{session}");
        return Some(json!({"arn": arn, "roleArn": named}));
    }
    let known = [":user/", ":assumed-role/", ":federated-user/", ".amazonaws.com"];
    known.iter().any(|sign| named.contains(sign)).then(|| json!({"arn": named}))
}

/// Those whom a statement names.
fn named(statement: &Value) -> Vec<String> {
    fn texts(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
            Value::Object(members) => members.values().for_each(|member| texts(member, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    texts(&statement["Principal"], &mut found);
    found
}

/// Sets a member of a member of the request, unless the generator spoilt it.
fn set(request: &mut Value, member: &str, name: &str, text: &str) {
    if request[member].is_null() {
        request[member] = json!({});
    }
    if let Some(members) = request[member].as_object_mut() {
        members.insert(name.to_owned(), json!(text));
    }
}

/// Has the request meet the conditions of a statement, or some of them.
fn meet(statement: &Value, request: &mut Value, random: &mut Random) {
    for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
        for (key, operands) in keys.as_object().into_iter().flatten() {
            let value = match operands {
                Value::Array(items) if !items.is_empty() => random.pick(items),
                one => one.clone(),
            };
            let Some(text) = value.as_str() else { continue };
            if operator == "Null" || !random.chance(70) {
                continue;
            }
            let text = text.replace('*', "x").replace('?', "y");
            let folded = key.to_lowercase();
            if let Some(name) = folded.strip_prefix("kms:encryptioncontext:") {
                set(request, "encryptionContext", name, &text);
            } else if folded == "kms:viaservice" {
                request["viaService"] = json!(text);
            } else if folded.starts_with("aws:source") || folded.starts_with("aws:mu") {
                set(request, "context", key, &text);
            }
        }
    }
}

/// As many requests as are wanted, of those that the claim is about.
pub(super) fn for_claim(
    claim: &Claim,
    case: &Value,
    random: &mut Random,
    count: usize,
) -> Vec<Value> {
    let all = actions(&claim.statement);
    let known = all.iter().filter(|action| BY_ACTION.contains_key(*action));
    let known: Vec<&String> = known.collect();
    let own = &case["request"];
    let names = named(&claim.statement);
    let mut found = Vec::with_capacity(count);
    for index in 0..count {
        let action = match &claim.action {
            Some(action) => Some(action.clone()),
            None if known.is_empty() => None,
            None => Some(random.pick(&known).clone()),
        };
        let pool = action.as_ref().and_then(|action| BY_ACTION.get(action));
        let mut request = match pool {
            Some(pool) if index > 1 => random.pick(pool),
            _ => own.clone(),
        };
        if !request.is_object() {
            continue;
        }
        if claim.bare {
            request = json!({"principal": request["principal"], "region": "us-west-2"});
        }
        if let Some(action) = action.filter(|_| index != 0 || claim.action.is_some()) {
            request["action"] = json!(action);
        }
        if let Some(key) = &claim.key {
            request["keyId"] = json!(key);
        } else if random.chance(50) && !own["keyId"].is_null() && !request["keyId"].is_null() {
            request["keyId"] = own["keyId"].clone();
        }
        let wanted = match (&claim.principal, &claim.account) {
            (Some(principal), _) => Some(principal.clone()),
            (None, Some(account)) => Some(account.clone()),
            _ if !names.is_empty() && random.chance(50) => Some(random.pick(&names)),
            _ => None,
        };
        match wanted.and_then(|wanted| caller(&wanted, random)) {
            Some(caller) => request["principal"] = caller,
            None if random.chance(40) => request["principal"] = own["principal"].clone(),
            None => {}
        }
        if claim.bare {
            // To be of one session is a condition too.
            let arn = request["principal"]["arn"].as_str().unwrap_or_default();
            let session = arn.contains(":assumed-role/").then(|| arn.rsplit_once('/')).flatten();
            let arn = session.map_or(arn.to_owned(), |(role, _)| format!("{role}/another"));
            let role = request["principal"]["roleArn"].clone();
            request["principal"] = json!({"arn": arn});
            if !role.is_null() {
                request["principal"]["roleArn"] = role;
            }
        } else {
            meet(&claim.statement, &mut request, random);
        }
        // Who claims to have an id that the set does not know contradicts nothing.
        if claim.code == "deleted-principal"
            && let Some(principal) = request["principal"].as_object_mut()
        {
            principal.remove("userId");
        }
        if claim.is_about(&request) {
            found.push(request);
        }
    }
    found
}

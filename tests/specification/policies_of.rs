//! The policies of a case, wherever they stand, as objects or as text.

use serde_json::Value;

use crate::generator::Layer;

/// Shows every policy of a case, to be changed; a text is read before and written after.
pub(crate) fn each_policy(case: &mut Value, change: &mut dyn FnMut(Layer, &mut Value)) {
    walk(&mut case["documents"], "", change);
    walk(&mut case["request"]["principal"], "", change);
}

/// `member` is the member of a document below which the value stands.
fn walk(value: &mut Value, member: &str, change: &mut dyn FnMut(Layer, &mut Value)) {
    match value {
        Value::Object(members) if members.contains_key("Statement") => {
            change(layer(member), value);
        }
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                // These names stand in lists of different kinds.
                let of_list = ["PolicyDocument", "Content", "Document"].contains(&name.as_str());
                walk(value, if of_list { member } else { name }, change);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, member, change)),
        Value::String(text) if text.starts_with('{') => {
            let Ok(mut policy) = serde_json::from_str(text) else { return };
            walk(&mut policy, member, change);
            *text = ascii(&policy.to_string());
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The same JSON with escapes: how a text spells a character counts, and ASCII may stand anywhere.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for unit in json.chars() {
        if unit.is_ascii() {
            text.push(unit);
            continue;
        }
        for unit in unit.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}

fn layer(member: &str) -> Layer {
    match member {
        "Policy" | "RamPolicy" => Layer::Key,
        "VpcEndpoints" => Layer::Endpoint,
        "ServiceControlPolicies" => Layer::ServiceControl,
        "ResourceControlPolicies" => Layer::ResourceControl,
        _ => Layer::Identity,
    }
}

/// The statements of a policy.
pub(crate) fn statements(policy: &Value) -> Vec<&Value> {
    match &policy["Statement"] {
        Value::Array(statements) => statements.iter().collect(),
        one => vec![one],
    }
}

//! Grants and aliases in documents of their own.

use serde_json::{Value, json};

use super::random::Random;

/// Takes what belongs to a key out of its document, as other commands of AWS would print it.
pub(super) fn scatter(random: &mut Random, documents: &mut Vec<Value>) {
    let mut apart = Vec::new();
    for document in documents.iter_mut() {
        let Some(arn) = document["KeyMetadata"]["Arn"].as_str().map(str::to_owned) else {
            continue;
        };
        let (above, id) = arn.split_once("key/").unwrap_or_default();
        if let Some(grants) = document["Grants"].as_array().filter(|_| random.chance(70)) {
            let of_key = |grant: &Value| {
                let mut grant = grant.clone();
                grant["KeyId"] = json!(arn);
                grant
            };
            apart.push(json!({"Grants": grants.iter().map(of_key).collect::<Vec<_>>()}));
            document["Grants"] = json!([]);
        }
        if let Some(names) = document["Aliases"].as_array().filter(|_| random.chance(70)) {
            let entry = |name: &Value| {
                let name = name.as_str().unwrap_or_default();
                json!({"AliasName": name, "AliasArn": format!("{above}{name}"), "TargetKeyId": id})
            };
            apart.push(json!({"Aliases": names.iter().map(entry).collect::<Vec<_>>()}));
            document["Aliases"] = json!([]);
        }
    }
    documents.extend(apart);
}

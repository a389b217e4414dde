//! The forms of texts in a request.
//!
//! Source: AWS KMS API Reference, `CreateAlias`, `DescribeKey` (KeyId); AWS KMS Developer Guide,
//! "kms:ViaService"; `proto/keyward/v1/authorization.proto`.

use serde_json::Value;

use super::Refusal;
use super::arn;
use super::principals::is_service;
use super::world::list;

/// Parameters of a request, as proto3 JSON names them.
const PARAMETERS: [&str; 32] = [
    "aliasName",
    "bypassPolicyLockoutSafetyCheck",
    "destinationEncryptionAlgorithm",
    "destinationEncryptionContext",
    "destinationKeyId",
    "encryptionAlgorithm",
    "expirationModel",
    "grant",
    "grantId",
    "keyAgreementAlgorithm",
    "keyPairSpec",
    "keySpec",
    "keyUsage",
    "macAlgorithm",
    "messageType",
    "multiRegion",
    "origin",
    "pendingWindowInDays",
    "policyName",
    "primaryRegion",
    "recipientAttestation",
    "replicaRegion",
    "retiringPrincipal",
    "rotationPeriodInDays",
    "signingAlgorithm",
    "sourceKeyId",
    "tagKeys",
    "tags",
    "targetKeyId",
    "validTo",
    "wrappingAlgorithm",
    "wrappingKeySpec",
];

/// Parameters that are numbers.
const NUMBERS: [&str; 2] = ["pendingWindowInDays", "rotationPeriodInDays"];

/// `us-west-2`, `us-gov-east-1`
fn is_region(text: &str) -> bool {
    let words: Vec<&str> = text.split('-').collect();
    let Some((number, names)) = words.split_last() else { return false };
    let is_name = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
    let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    (2..=3).contains(&names.len()) && names.iter().all(is_name) && is_number
}

fn is_alias_name(text: &str) -> bool {
    let name = text.strip_prefix("alias/").unwrap_or("");
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "/_-".contains(c))
}

/// One of the four forms of a key identifier.
fn is_key_id(text: &str) -> bool {
    let is_id =
        |id: &str| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if text.starts_with("alias/") {
        return is_alias_name(text);
    }
    let Some(parts) = arn::parts(text) else { return is_id(text) };
    let [_, _, service, region, account, resource] = parts;
    let is_resource = is_alias_name(resource) || resource.strip_prefix("key/").is_some_and(is_id);
    service == "kms" && is_region(region) && arn::is_account_id(account) && is_resource
}

/// Checks what stands in the request; a text that is missing or empty is not there.
pub(crate) fn check(request: &Value) -> Result<(), Refusal> {
    let parameters = &request["parameters"];
    let fits = |value: &Value, has_form: fn(&str) -> bool| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty() || has_form(text),
        _ => false,
    };
    let is_service_call = |text: &str| is_service(text) && text.ends_with(".amazonaws.com");
    let ids = ["destinationKeyId", "sourceKeyId", "targetKeyId"].map(|name| &parameters[name]);
    let regions = ["primaryRegion", "replicaRegion"].map(|name| &parameters[name]);
    let tags: Vec<&Value> = list(&parameters["tags"]).iter().map(|tag| &tag["tagKey"]).collect();
    let tag_twice = (0..tags.len()).any(|at| tags[..at].contains(&tags[at]));
    let known = parameters
        .as_object()
        .is_none_or(|members| members.keys().all(|member| PARAMETERS.contains(&member.as_str())));
    let numbers =
        NUMBERS.iter().all(|name| parameters[*name].is_null() || parameters[*name].is_i64());
    let named = |map: &Value| {
        map.as_object().is_none_or(|members| members.keys().all(|name| !name.is_empty()))
    };
    let tokens = list(&request["grantTokens"]);
    let lawful = known
        && numbers
        && !tag_twice
        && fits(&request["viaService"], is_service_call)
        && fits(&request["region"], is_region)
        && regions.into_iter().all(|region| fits(region, is_region))
        && fits(&request["keyId"], is_key_id)
        && ids.into_iter().all(|id| fits(id, is_key_id))
        && fits(&parameters["aliasName"], is_alias_name)
        && named(&request["encryptionContext"])
        && named(&parameters["destinationEncryptionContext"])
        && (request["dryRun"].is_null() || request["dryRun"].is_boolean())
        && tokens.iter().all(|token| token != "");
    if lawful { Ok(()) } else { Err(Refusal::Request) }
}

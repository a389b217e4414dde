//! The catalog of KMS as data: operations, actions, the key-state table.
//!
//! Source: AWS KMS API Reference; AWS KMS Developer Guide, "AWS KMS permissions", "Key states of AWS
//! KMS keys", gathered in `tests/data/kms-catalog.json`.

use std::sync::LazyLock;

use serde_json::Value;

use super::world::list;

const TEXT: &str = include_str!("../../data/kms-catalog.json");

static CATALOG: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(TEXT).expect("the catalog is JSON"));

/// An operation's entry; `Null` if there is none of that name.
pub(crate) fn operation(name: &str) -> &'static Value {
    &CATALOG["operations"][name]
}

pub(crate) fn is_operation(name: &str) -> bool {
    !operation(name).is_null()
}

/// Names of operations.
pub(crate) fn operations() -> Vec<String> {
    let operations = CATALOG["operations"].as_object().expect("an object");
    operations.keys().cloned().collect()
}

/// `kms:X` is an action, except `kms:ReEncrypt`, which stands for two.
pub(crate) fn is_action(name: &str) -> bool {
    let bare = name.strip_prefix("kms:").unwrap_or("");
    let known = !CATALOG["iam_actions"][name].is_null() || is_operation(bare);
    known && bare != "ReEncrypt"
}

/// The operation that an action (without prefix) belongs to.
pub(crate) fn operation_of_action(action: &str) -> &str {
    match action {
        "ReEncryptFrom" | "ReEncryptTo" => "ReEncrypt",
        other => other,
    }
}

fn flag(action: &str, member: &str) -> bool {
    operation(operation_of_action(action))[member] == Value::Bool(true)
}

/// Whether the operation works across accounts.
pub(crate) fn is_cross_account(action: &str) -> bool {
    flag(action, "cross_account")
}

pub(crate) fn is_cryptographic(action: &str) -> bool {
    flag(action, "cryptographic_operation")
}

/// Whether the key may be named by an alias.
pub(crate) fn takes_alias(action: &str) -> bool {
    let forms = &operation(operation_of_action(action))["key_identifier_forms"];
    list(forms).contains(&Value::from("alias-name"))
}

/// Operations on no key.
pub(crate) fn is_on_no_key(action: &str) -> bool {
    let no_key = ["CreateKey", "ListRetirableGrants"].contains(&action);
    no_key || operation(action)["authorizations"][0]["resource"] == "*"
}

/// Operations that have the condition key `kms:CallerAccount` although they are on no key.
pub(crate) fn is_on_custom_key_store(action: &str) -> bool {
    action.contains("CustomKeyStore")
}

/// Whether the action is one of the eight with an encryption context.
pub(crate) fn has_encryption_context(action: &str) -> bool {
    let eight = &CATALOG["grant"]["operations_with_encryption_context"];
    list(eight).contains(&Value::from(action))
}

/// Whether a grant can permit the action.
pub(crate) fn is_grantable(action: &Value) -> bool {
    list(&CATALOG["grant"]["operations"]).contains(action)
}

/// The entry of the key-state table.
pub(crate) fn key_state(action: &str, column: &str) -> Option<&'static str> {
    operation(operation_of_action(action))["key_state"][column].as_str()
}

/// Names of condition keys; families end with `${…}` or `<n>`.
pub(crate) fn condition_keys() -> Vec<String> {
    let keys = CATALOG["condition_keys"].as_object().expect("an object");
    keys.keys().cloned().collect()
}

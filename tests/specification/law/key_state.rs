//! What the state of a key forbids, from the catalog's table of key states.
//!
//! Source: AWS KMS Developer Guide, "Key states of AWS KMS keys".

use serde_json::Value;

use super::catalog;
use super::world::Key;

/// Which key of UpdateAlias is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    TheKey,
    CurrentKeyOfAlias,
}

/// The error that KMS raises for the key's state; none if the operation succeeds.
pub(crate) fn error(action: &str, key: &Key, role: Role) -> Option<&'static str> {
    let state = key.state();
    let column = match state.as_str() {
        "PendingReplicaDeletion" => "PendingDeletion",
        other => other,
    };
    // An entry is `OK`, `NA`, `X` (fails) or `?` (may fail), then the numbers of footnotes.
    let entry = catalog::key_state(action, column)?;
    let digits = entry.find(|c: char| c.is_ascii_digit()).unwrap_or(entry.len());
    let (kind, footnotes) = entry.split_at(digits);
    let footnotes: Vec<&str> = footnotes.split(['|', ',']).collect();
    let fails = match kind {
        "X" => true,
        "?" => fails_conditionally(footnotes[0], key, role),
        "NA" => return Some("KMSInvalidStateException"), // Impossible, so never allowed.
        _ => false,
    };
    fails.then(|| footnote_error(&footnotes, key))
}

/// Footnotes of entries that may fail.
fn fails_conditionally(footnote: &str, key: &Key, role: Role) -> bool {
    match footnote {
        "7" => is_in_custom_key_store(key),
        "9" => !has_imported_material(key),
        "10" => role == Role::TheKey, // The key that an alias leaves may be pending deletion.
        other => panic!("footnote {other} has no condition"),
    }
}

fn is_in_custom_key_store(key: &Key) -> bool {
    let origin = key.property("Origin", "AWS_KMS");
    let in_store = key.metadata["CustomKeyStoreId"] != Value::Null;
    in_store || ["AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"].contains(&origin.as_str())
}

fn has_imported_material(key: &Key) -> bool {
    key.property("Origin", "AWS_KMS") == "EXTERNAL"
}

/// The table gives two exceptions for a key that is pending deletion (footnotes 2 and 3): it is the
/// second.
fn footnote_error(footnotes: &[&str], key: &Key) -> &'static str {
    match footnotes {
        ["8", "9"] if !has_imported_material(key) => "UnsupportedOperationException",
        [_, "7"] if is_in_custom_key_store(key) => "UnsupportedOperationException",
        ["1", ..] => "DisabledException",
        ["6" | "7" | "9", ..] => "UnsupportedOperationException",
        _ => "KMSInvalidStateException",
    }
}

//! KMS keys of the policy set, and the grants on them.
//!
//! Source: AWS KMS API Reference, `KeyMetadata`, `GrantListEntry`; AWS KMS Developer Guide, "Default
//! key policy".

use serde_json::{Value, json};

use super::policy::{self, Kind, Policy};
use super::principals::{is_aws_principal, is_service};
use super::request::pairs;
use super::world::{list, text};
use super::{Refusal, arn, catalog};

type Read<T> = Result<T, Refusal>;

/// One key and what belongs to it.
pub(crate) struct Key {
    pub(crate) arn: String,
    pub(crate) account: String,
    pub(crate) region: String,
    /// `KeyMetadata`.
    pub(crate) metadata: Value,
    pub(crate) policy: Policy,
    pub(crate) ram_policy: Option<Policy>,
    pub(crate) tags: Vec<(String, String)>,
    /// Entries of `list-grants`.
    pub(crate) grants: Vec<Value>,
    pub(crate) last_usage: Value,
}

impl Key {
    /// A property of `KeyMetadata`, or what KMS has by default.
    pub(crate) fn property(&self, name: &str, default: &str) -> String {
        self.metadata[name].as_str().unwrap_or(default).to_owned()
    }

    /// A key that is not enabled is disabled, if nothing more is said.
    pub(crate) fn state(&self) -> String {
        let default = if self.metadata["Enabled"] == false { "Disabled" } else { "Enabled" };
        self.property("KeyState", default)
    }

    /// As the metadata say, or else as they and the id look.
    pub(crate) fn is_multi_region(&self) -> bool {
        let looks = !self.metadata["MultiRegionConfiguration"].is_null()
            || arn::after(&self.arn, "key/mrk-").is_some();
        self.metadata["MultiRegion"].as_bool().unwrap_or(looks)
    }

    pub(crate) fn is_aws_managed(&self) -> bool {
        self.metadata["KeyManager"] == "AWS"
    }
}

pub(crate) fn read_key(document: &Value, arn: &str) -> Read<Key> {
    if arn::after(arn, "key/").is_none() {
        return Err(Refusal::Policy);
    }
    let policy = match document.get("Policy") {
        None => return Err(Refusal::Policy),
        Some(name) if name == "default" => policy::read(&default_policy(arn), Kind::Key)?,
        Some(policy) if policy::has_lawful_characters(policy) => policy::read(policy, Kind::Key)?,
        Some(_) => return Err(Refusal::Policy),
    };
    let ram_policy = document.get("RamPolicy").filter(|policy| !policy.is_null());
    let tag = |tag: &Value| Ok((text(&tag["TagKey"])?, text(&tag["TagValue"])?));
    Ok(Key {
        arn: arn.to_owned(),
        account: arn::account(arn).unwrap_or("").to_owned(),
        region: arn::region(arn).unwrap_or("").to_owned(),
        metadata: document["KeyMetadata"].clone(),
        policy,
        ram_policy: ram_policy.map(|policy| policy::read(policy, Kind::Key)).transpose()?,
        tags: list(&document["Tags"]).iter().map(tag).collect::<Read<_>>()?,
        grants: Vec::new(),
        last_usage: document["KeyLastUsage"].clone(),
    })
}

/// The policy of a key that was made without one: it delegates to the account.
fn default_policy(key_arn: &str) -> Value {
    let partition = arn::partition(key_arn).unwrap_or("aws");
    let account = arn::account(key_arn).unwrap_or("");
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": format!("arn:{partition}:iam::{account}:root")},
        "Action": "kms:*",
        "Resource": "*",
    }]})
}

/// A token names one grant.
pub(crate) fn check_tokens(keys: &[Key]) -> Read<()> {
    let grants = keys.iter().flat_map(|key| &key.grants);
    let mut tokens: Vec<&str> = grants.filter_map(|grant| grant["GrantToken"].as_str()).collect();
    tokens.sort_unstable();
    let twice = tokens.windows(2).any(|two| two[0] == two[1]);
    if twice { Err(Refusal::Policy) } else { Ok(()) }
}

/// A grant permits what grants can, to one grantee; a constraint that cannot be read must not look
/// like none.
pub(crate) fn is_readable_grant(grant: &Value) -> bool {
    let names_one = |principal: &str, service: &str| match (&grant[principal], &grant[service]) {
        (Value::String(name), Value::Null) => is_aws_principal(name) || is_service(name),
        (Value::Null, Value::String(name)) => is_service(name),
        _ => false,
    };
    let has_retiring =
        ["RetiringPrincipal", "RetiringServicePrincipal"].iter().any(|m| !grant[m].is_null());
    let operations = list(&grant["Operations"]);
    let constraints = &grant["Constraints"];
    let [equals, subset] = ["EncryptionContextEquals", "EncryptionContextSubset"]
        .map(|name| pairs(&constraints[name]));
    let limits = match (equals, subset) {
        (Ok(equals), Ok(subset)) => equals.is_empty() || subset.is_empty(),
        _ => false,
    };
    let known = ["EncryptionContextEquals", "EncryptionContextSubset", "SourceArn"];
    let only_known = constraints
        .as_object()
        .is_none_or(|members| members.keys().all(|member| known.contains(&member.as_str())));
    let is_state = ["pending", "active"].iter().any(|state| grant["State"] == *state);
    only_known
        && (grant["State"].is_null() || is_state)
        && names_one("GranteePrincipal", "GranteeServicePrincipal")
        && (!has_retiring || names_one("RetiringPrincipal", "RetiringServicePrincipal"))
        && !operations.is_empty()
        && operations.iter().all(catalog::is_grantable)
        && limits
        && (constraints["SourceArn"].is_null() || constraints["SourceArn"].is_string())
}

//! The condition context of one authorization: what it is on.
//!
//! Source: AWS KMS Developer Guide, "AWS KMS condition keys", "ABAC for AWS KMS"; IAM User Guide,
//! "AWS global condition context keys".

use serde_json::Value;

use super::arn;
use super::caller::{Caller, Kind};
use super::catalog;
use super::context::{Context, Entry};
use super::legs::{Leg, Target};
use super::request::Request;
use super::resources::Resource;
use super::values;
use super::world::{Key, World};

/// Aliases that a key may have. With more, nobody is to rely on them.
const ALIASES_PER_KEY: usize = 50;

/// The account that owns what the leg is on.
pub(crate) fn owner(leg: &Leg<'_>, caller: &Caller<'_>) -> Option<String> {
    match &leg.target {
        Target::Key(key, _) => Some(key.account.clone()),
        Target::Alias(alias) => arn::account(alias).map(str::to_owned),
        Target::NoKey(Resource::EveryKey(_)) => caller.account.clone(),
        Target::NoKey(_) | Target::Unknown { .. } => None,
    }
}

pub(crate) fn keys(
    context: &mut Context,
    leg: &Leg<'_>,
    caller: &Caller<'_>,
    request: &Request,
    world: &World,
) {
    context.set_if_some("aws:ResourceAccount", owner(leg, caller));
    if let Target::Key(key, _) = &leg.target {
        context.set_pairs("aws:ResourceTag/", &key.tags);
        let aliases = world.aliases.iter().filter(|alias| alias.key_arn == key.arn);
        let names: Vec<String> = aliases.map(|alias| alias.name()).collect();
        match names.len() > ALIASES_PER_KEY {
            true => context.put("kms:ResourceAliases", Entry::Unknown),
            false => context.set_many("kms:ResourceAliases", names),
        }
    }
    let on_key = matches!(leg.target, Target::Key(..));
    // CreateKey, and the tagging that goes with it.
    let makes_a_key =
        matches!(&leg.target, Target::NoKey(Resource::AccountWide(_) | Resource::EveryKey(_)));
    if on_key || makes_a_key || catalog::is_on_custom_key_store(&leg.action) {
        context.set_if_some("kms:CallerAccount", caller.account.clone());
    }
    if (on_key || makes_a_key) && caller.kind != Kind::Service {
        context.set_if_some("kms:ViaService", request.via_service.clone());
    }
    if let Target::Key(key, _) = &leg.target {
        set_properties(context, of_key(key));
    } else if makes_a_key {
        set_properties(context, of_new_key(leg, request));
    }
}

/// Spec, usage, origin, whether the key is a multi-Region key, and of which kind.
type Properties = [Option<String>; 5];

fn of_key(key: &Key) -> Properties {
    let spec = key.property("CustomerMasterKeySpec", "SYMMETRIC_DEFAULT");
    let kind = key.metadata["MultiRegionConfiguration"]["MultiRegionKeyType"].as_str();
    [
        Some(key.property("KeySpec", &spec)),
        Some(key.property("KeyUsage", "ENCRYPT_DECRYPT")),
        Some(key.property("Origin", "AWS_KMS")),
        Some(key.is_multi_region().to_string()),
        kind.filter(|_| key.is_multi_region()).map(str::to_owned),
    ]
}

/// As the request asks, or as the key of which a replica is made.
fn of_new_key(leg: &Leg<'_>, request: &Request) -> Properties {
    if let Some(primary) = leg.replica_of {
        let [spec, usage, origin, ..] = of_key(primary);
        return [spec, usage, origin, Some("true".into()), Some("REPLICA".into())];
    }
    let asked = |name: &str, default: &str| request.parameter(name).or(Some(default.to_owned()));
    let multi_region = asked("multiRegion", "false");
    let is_primary = multi_region.as_deref() == Some("true");
    [
        asked("keySpec", "SYMMETRIC_DEFAULT"),
        asked("keyUsage", "ENCRYPT_DECRYPT"),
        asked("origin", "AWS_KMS"),
        multi_region,
        is_primary.then(|| "PRIMARY".to_owned()),
    ]
}

fn set_properties(context: &mut Context, [spec, usage, origin, multi, kind]: Properties) {
    for old_and_new in ["kms:KeySpec", "kms:CustomerMasterKeySpec"] {
        context.set_if_some(old_and_new, spec.clone());
    }
    for old_and_new in ["kms:KeyUsage", "kms:CustomerMasterKeyUsage"] {
        context.set_if_some(old_and_new, usage.clone());
    }
    context.set_if_some("kms:KeyOrigin", origin);
    context.set_if_some("kms:MultiRegion", multi);
    context.set_if_some("kms:MultiRegionKeyType", kind);
}

/// Whole days since the key was last used, or made, or watched; 0 when the set does not say.
pub(crate) fn days_without_usage(key: &Key, now: &str) -> i128 {
    let read =
        |value: &Value| values::instant(&value.as_str().map_or(value.to_string(), str::to_owned));
    let usage = &key.last_usage;
    let watched = read(&usage["TrackingStartDate"]);
    let made = read(&usage["KeyCreationDate"]).or(read(&key.metadata["CreationDate"]));
    let since = read(&usage["KeyLastUsage"]["Timestamp"])
        .or(watched.map(|at| made.max(Some(at)).unwrap_or(at)));
    match (since.map(values::seconds), values::instant(now).map(values::seconds)) {
        (Some(since), Some(now)) => ((now - since) / 86_400).max(0),
        _ => 0,
    }
}

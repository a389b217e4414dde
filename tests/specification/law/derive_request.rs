//! The condition context of one authorization: the parameters of the request, its tags and its
//! encryption context.
//!
//! Source: AWS KMS Developer Guide, "AWS KMS condition keys", "Condition keys for attested
//! platforms".

use serde_json::Value;

use super::catalog;
use super::context::Context;
use super::derive_resource::days_without_usage;
use super::grants::{ContextConstraint, own_encryption_context};
use super::legs::{Leg, Target};
use super::request::{Request, pairs};
use super::retire::grant_of;
use super::values;
use super::world::list;

/// Actions, condition key, parameter, and what counts when the parameter is not sent.
type Row = (&'static [&'static str], &'static str, &'static str, Option<&'static str>);

const PARAMETERS: [Row; 14] = [
    (
        &["CreateKey", "PutKeyPolicy", "ReplicateKey"],
        "BypassPolicyLockoutSafetyCheck",
        "bypassPolicyLockoutSafetyCheck",
        None,
    ),
    (
        &["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"],
        "DataKeyPairSpec",
        "keyPairSpec",
        None,
    ),
    (&["ImportKeyMaterial"], "ExpirationModel", "expirationModel", None),
    (&["DeriveSharedSecret"], "KeyAgreementAlgorithm", "keyAgreementAlgorithm", None),
    (&["GenerateMac", "VerifyMac"], "MacAlgorithm", "macAlgorithm", None),
    (&["Sign", "Verify"], "MessageType", "messageType", Some("RAW")),
    (&["Sign", "Verify"], "SigningAlgorithm", "signingAlgorithm", None),
    (&["GetKeyPolicy", "PutKeyPolicy"], "PolicyName", "policyName", Some("default")),
    (&["UpdatePrimaryRegion"], "PrimaryRegion", "primaryRegion", None),
    (&["ReplicateKey"], "ReplicaRegion", "replicaRegion", None),
    (&["EnableKeyRotation"], "RotationPeriodInDays", "rotationPeriodInDays", Some("365")),
    (
        &["ScheduleKeyDeletion"],
        "ScheduleKeyDeletionPendingWindowInDays",
        "pendingWindowInDays",
        Some("30"),
    ),
    (&["GetParametersForImport"], "WrappingAlgorithm", "wrappingAlgorithm", None),
    (&["GetParametersForImport"], "WrappingKeySpec", "wrappingKeySpec", None),
];

/// Actions that take the attestation document of an enclave.
const ATTESTED: [&str; 5] =
    ["Decrypt", "DeriveSharedSecret", "GenerateDataKey", "GenerateDataKeyPair", "GenerateRandom"];

pub(crate) fn keys(context: &mut Context, leg: &Leg<'_>, request: &Request) {
    if matches!(leg.target, Target::Unknown { .. } | Target::Alias(_)) {
        return;
    }
    let action = leg.action.as_str();
    for (actions, key, parameter, default) in PARAMETERS {
        if actions.contains(&action) {
            let value = request.parameter(parameter).or(default.map(str::to_owned));
            context.set_if_some(&format!("kms:{key}"), value);
        }
    }
    if ATTESTED.contains(&action) {
        let document = pairs(&request.parameters["recipientAttestation"]).unwrap_or_default();
        context.set_pairs("kms:RecipientAttestation:", &document);
    }
    match action {
        "ImportKeyMaterial" => {
            let instant = request.parameter("validTo").and_then(|text| values::instant(&text));
            let seconds = instant.map(|instant| values::seconds(instant).to_string());
            context.set_if_some("kms:ValidTo", seconds);
        }
        "CreateGrant" => grant_keys(context, &request.parameters["grant"]),
        _ => {}
    }
    if ["CreateGrant", "ListGrants", "RevokeGrant"].contains(&action) {
        context.set("kms:GrantIsForAWSResource", request.via_service.is_some().to_string());
    }
    tag_keys(context, action, request);
    keys_on_a_key(context, leg, request);
}

fn keys_on_a_key(context: &mut Context, leg: &Leg<'_>, request: &Request) {
    let Target::Key(key, alias) = &leg.target else { return };
    let action = leg.action.as_str();
    let takes_alias = ["DescribeKey", "GetPublicKey"].contains(&action);
    if catalog::is_cryptographic(action) || takes_alias {
        context.set_if_some("kms:RequestAlias", alias.clone());
    }
    if ["DisableKey", "ScheduleKeyDeletion"].contains(&action) {
        let days = days_without_usage(key, &request.now);
        context.set("kms:TrailingDaysWithoutKeyUsage", days.to_string());
    }
    if let Some(other) = &leg.other_key {
        context.set("kms:ReEncryptOnSameKey", (key.arn == *other).to_string());
    }
    if catalog::has_encryption_context(action) {
        let of_destination = action == "ReEncryptTo" && request.action == "ReEncrypt";
        let parameter =
            if of_destination { "destinationEncryptionAlgorithm" } else { "encryptionAlgorithm" };
        // The data-key operations have no choice.
        let chosen =
            request.parameter(parameter).filter(|_| !action.starts_with("GenerateDataKey"));
        let algorithm = chosen.unwrap_or("SYMMETRIC_DEFAULT".to_owned());
        context.set("kms:EncryptionAlgorithm", algorithm);
    }
    // Of a grant that is made or retired, its constraint counts as encryption context.
    let constraint = match action {
        "CreateGrant" => ContextConstraint::of_child(request),
        "RetireGrant" => {
            grant_of(key, request).map_or(ContextConstraint::None, ContextConstraint::of_grant)
        }
        _ => ContextConstraint::None,
    };
    let encryption_context = match constraint {
        ContextConstraint::Equals(pairs) => {
            context.set("kms:GrantConstraintType", "EncryptionContextEquals");
            pairs
        }
        ContextConstraint::Subset(pairs) => {
            context.set("kms:GrantConstraintType", "EncryptionContextSubset");
            pairs
        }
        ContextConstraint::None if catalog::has_encryption_context(action) => {
            own_encryption_context(action, request)
        }
        ContextConstraint::None => return,
    };
    context.set_pairs("kms:EncryptionContext:", &encryption_context);
    let names = encryption_context.into_iter().map(|(name, _)| name).collect();
    context.set_many("kms:EncryptionContextKeys", names);
}

/// CreateGrant: the grant to be made.
fn grant_keys(context: &mut Context, grant: &Value) {
    let text = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    let texts = [
        ("kms:GranteePrincipal", &grant["granteePrincipal"]),
        ("kms:GranteeServicePrincipal", &grant["granteeServicePrincipal"]),
        ("kms:RetiringPrincipal", &grant["retiringPrincipal"]),
        ("kms:RetiringServicePrincipal", &grant["retiringServicePrincipal"]),
        ("kms:GrantConstraintSourceArn", &grant["constraints"]["sourceArn"]),
    ];
    for (key, value) in texts {
        context.set_if_some(key, text(value));
    }
    let operations = list(&grant["operations"]).iter().filter_map(text).collect();
    context.set_many("kms:GrantOperations", operations);
}

fn tag_keys(context: &mut Context, action: &str, request: &Request) {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    match action {
        "CreateKey" | "ReplicateKey" | "TagResource" => {
            let tags = list(&request.parameters["tags"]).iter();
            let tags: Vec<(String, String)> =
                tags.map(|tag| (text(&tag["tagKey"]), text(&tag["tagValue"]))).collect();
            context.set_pairs("aws:RequestTag/", &tags);
            context.set_many("aws:TagKeys", tags.into_iter().map(|(key, _)| key).collect());
        }
        "UntagResource" => {
            let names = list(&request.parameters["tagKeys"]).iter();
            context.set_many("aws:TagKeys", names.map(text).collect());
        }
        _ => {}
    }
}

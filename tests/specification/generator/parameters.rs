//! The parameters of the request.

use serde_json::{Value, json};

use super::facts::encryption_context;
use super::random::Random;
use super::scene::{AWAY, HOME, OTHER_REGION, REGION, SERVICE, SOURCE_ARN, Scene};

/// Operations, a parameter that they have, and values of it; each is often left out.
type Row = (&'static [&'static str], &'static str, &'static [&'static str]);

const TEXTS: [Row; 13] = [
    (
        &["Encrypt", "Decrypt", "GenerateDataKey", "ReEncrypt"],
        "encryptionAlgorithm",
        &["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_256"],
    ),
    (&["ReEncrypt"], "destinationEncryptionAlgorithm", &["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1"]),
    (&["Sign", "Verify"], "messageType", &["RAW", "DIGEST"]),
    (&["Sign", "Verify"], "signingAlgorithm", &["ECDSA_SHA_256", "RSASSA_PSS_SHA_256"]),
    (&["GenerateMac", "VerifyMac"], "macAlgorithm", &["HMAC_SHA_256", "HMAC_SHA_512"]),
    (&["PutKeyPolicy", "GetKeyPolicy"], "policyName", &["default"]),
    (
        &["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"],
        "keyPairSpec",
        &["RSA_2048", "ECC_NIST_P256"],
    ),
    (&["DeriveSharedSecret"], "keyAgreementAlgorithm", &["ECDH"]),
    (&["GetParametersForImport"], "wrappingAlgorithm", &["RSAES_OAEP_SHA_256"]),
    (
        &["ImportKeyMaterial"],
        "expirationModel",
        &["KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"],
    ),
    (&["ImportKeyMaterial"], "validTo", &["2027-01-01T00:00:00Z", "2026-06-01T12:00:00Z"]),
    (&["GetParametersForImport"], "wrappingKeySpec", &["RSA_2048", "RSA_4096"]),
    (&["CreateKey"], "keySpec", &["SYMMETRIC_DEFAULT", "RSA_2048"]),
];

/// Operations that take the attestation document of an enclave.
const ATTESTED: [&str; 4] = ["Decrypt", "GenerateDataKey", "GenerateRandom", "DeriveSharedSecret"];

pub(crate) fn parameters(scene: &Scene, operation: &str, random: &mut Random) -> Value {
    let mut parameters = json!({});
    for (operations, name, values) in TEXTS {
        if operations.contains(&operation) && random.chance(60) {
            parameters[name] = json!(random.pick(values));
        }
    }
    let mut maybe = |random: &mut Random, name: &str, values: &[Value]| {
        if random.chance(60) {
            parameters[name] = random.pick(values);
        }
    };
    match operation {
        "EnableKeyRotation" => {
            maybe(random, "rotationPeriodInDays", &[json!(90), json!(365), json!(400)]);
        }
        "ScheduleKeyDeletion" => maybe(random, "pendingWindowInDays", &[json!(7), json!(30)]),
        "PutKeyPolicy" => {
            maybe(random, "bypassPolicyLockoutSafetyCheck", &[json!(true), json!(false)]);
        }
        "CreateKey" => {
            maybe(random, "multiRegion", &[json!(true), json!(false)]);
            maybe(random, "tags", &[tags(&["team"]), tags(&["team", "app"])]);
            maybe(random, "bypassPolicyLockoutSafetyCheck", &[json!(true), json!(false)]);
            maybe(random, "keyUsage", &[json!("ENCRYPT_DECRYPT"), json!("SIGN_VERIFY")]);
            maybe(random, "origin", &[json!("AWS_KMS"), json!("EXTERNAL")]);
        }
        "ReplicateKey" => {
            maybe(random, "tags", &[tags(&["team"]), differing_tags()]);
            parameters["replicaRegion"] = json!(OTHER_REGION);
            if random.chance(40) {
                parameters["bypassPolicyLockoutSafetyCheck"] = json!(random.chance(50));
            }
        }
        "TagResource" => {
            let sets = [tags(&["team"]), tags(&["team", "app"]), tags(&["app"]), differing_tags()];
            parameters["tags"] = random.pick(&sets);
        }
        "UntagResource" => {
            parameters["tagKeys"] = random.pick(&[json!(["team"]), json!(["team", "app"])]);
        }
        "UpdatePrimaryRegion" => {
            let region = random.weighted(&[(1, REGION), (3, OTHER_REGION)]);
            parameters["primaryRegion"] = json!(region);
        }
        "ListRetirableGrants" => {
            let bob = format!("arn:aws:iam::{AWAY}:user/Bob");
            maybe(random, "retiringPrincipal", &[json!(scene.entity), json!(bob)]);
        }
        "RetireGrant" | "RevokeGrant" => {
            let by_token = operation == "RetireGrant" && scene.request["grantTokens"].is_array();
            if !(by_token && random.chance(50)) {
                let ids = ["grant-1", "grant-1", "grant-2", "grant-none"];
                parameters["grantId"] = json!(random.pick(&ids));
            }
        }
        "CreateGrant" => parameters["grant"] = grant(random),
        "ReEncrypt" => re_encrypt(&mut parameters, scene, random),
        "CreateAlias" | "UpdateAlias" | "DeleteAlias" if scene.request["keyId"].is_null() => {
            let own = scene.alias_of(&scene.other_key);
            let names = [(6, own), (6, "alias/orders"), (3, "alias/new"), (1, "alias/aws/s3")];
            parameters["aliasName"] = json!(random.weighted(&names));
            if operation != "DeleteAlias" {
                parameters["targetKeyId"] = json!(scene.key);
            }
        }
        _ => {}
    }
    if ATTESTED.contains(&operation) && random.chance(12) {
        let measurement = random.pick(&["1de4f2", "1DE4F2", "00"]);
        let name = random.pick(&["PCR1", "PCR1", "ImageSha384", "NitroTPMPCR4", "pcr1"]);
        parameters["recipientAttestation"] = json!({name: measurement});
    }
    parameters
}

fn re_encrypt(parameters: &mut Value, scene: &Scene, random: &mut Random) {
    let none = format!("arn:aws:kms:{REGION}:{HOME}:key/none");
    let other =
        random.weighted(&[(60, scene.other_key.clone()), (35, scene.key.clone()), (5, none)]);
    let is_operation = scene.request["action"] == "ReEncrypt";
    if is_operation || (scene.action == "ReEncryptFrom" && random.chance(60)) {
        parameters["destinationKeyId"] = json!(other);
    } else if scene.action == "ReEncryptTo" && random.chance(60) {
        parameters["sourceKeyId"] = json!(other);
    }
    if is_operation && random.chance(60) {
        let own = !scene.encryption_context.is_empty() && random.chance(50);
        let pairs = if own { scene.encryption_context.clone() } else { encryption_context(random) };
        parameters["destinationEncryptionContext"] = map(&pairs);
    }
}

fn tags(keys: &[&str]) -> Value {
    keys.iter().map(|key| json!({"tagKey": key, "tagValue": "red"})).collect()
}

/// Two tags that are one condition key.
fn differing_tags() -> Value {
    json!([{"tagKey": "team", "tagValue": "red"}, {"tagKey": "Team", "tagValue": "blue"}])
}

/// Pairs as a JSON object.
pub(crate) fn map(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
}

/// The grant that CreateGrant asks for.
fn grant(random: &mut Random) -> Value {
    let operations = [
        json!(["Decrypt"]),
        json!(["Decrypt", "Encrypt"]),
        json!(["GenerateDataKey"]),
        json!(["Decrypt", "CreateGrant"]),
    ];
    let mut grant = json!({"operations": random.pick(&operations)});
    if random.chance(85) {
        grant["granteePrincipal"] = json!(format!("arn:aws:iam::{HOME}:user/Bob"));
    } else {
        grant["granteeServicePrincipal"] = json!(SERVICE);
        grant["constraints"] = json!({"sourceArn": SOURCE_ARN});
    }
    match random.below(10) {
        0..3 => grant["retiringPrincipal"] = json!(format!("arn:aws:iam::{HOME}:role/Admin")),
        3 => grant["retiringServicePrincipal"] = json!(SERVICE),
        _ => {}
    }
    if random.chance(45) {
        let name = random.pick(&["encryptionContextEquals", "encryptionContextSubset"]);
        grant["constraints"][name] = map(&encryption_context(random));
    }
    grant
}

//! `engine/kms` against the machine-readable catalog of KMS, whole, in both directions.
//!
//! `tests/data/kms-catalog.json` was put together from KMS's service model, the Service
//! Authorization Reference and the AWS KMS Developer Guide; it names its sources.

use std::collections::BTreeSet;
use std::fs;

use keyward::engine::bundle::{Document, Options};
use keyward::engine::decide::decide;
use keyward::engine::kms::action::Action;
use keyward::engine::kms::condition_key::{CONDITION_KEYS, RequestKey};
use keyward::engine::kms::key_state::{
    KeyFacts, KeyOrigin, KeyRole, KeySpec, KeyState, KeyUsage, MultiRegionKeyType,
    grant_operations, outcome,
};
use keyward::engine::kms::operation::Operation;
use keyward::engine::kms::table::ResourceKind;
use keyward::engine::snapshot::Snapshot;
use keyward::engine::snapshot::build::build;
use keyward::wire::proto::json::read;
use keyward::wire::proto::request::request;
use keyward::wire::v1;
use serde_json::{Value, json};

use crate::doors::{keyward, noon, text};

fn catalog() -> Value {
    let text = fs::read_to_string("tests/data/kms-catalog.json").expect("the catalog");
    serde_json::from_str(&text).expect("JSON")
}

fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array().expect("a list").iter().map(|item| item.as_str().expect("a text")).collect()
}

fn names(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn is(value: &Value) -> bool {
    value.as_bool().expect("a truth value")
}

/// Sections of the catalog that no table of the engine has a counterpart for.
const NOT_COMPARED: [(&str, &str); 6] = [
    ("generated_from", "its sources"),
    ("notes", "prose"),
    ("key_state_note", "prose: the engine gives both states one column"),
    ("exceptions", "what KMS raises for other reasons than authorization"),
    ("shapes", "bounds of KMS's own parameters: requests are bounded at the edge"),
    ("key_state_footnotes", "read by the test of key states"),
];

#[test]
fn every_section_of_the_catalog_is_compared_or_said_not_to_be() {
    let catalog = catalog();
    let compared = [
        "resource_types",
        "iam_actions",
        "operations",
        "condition_keys",
        "grant",
        "enums",
        "key_state_columns",
        "limits",
    ];
    let known: BTreeSet<&str> =
        compared.into_iter().chain(NOT_COMPARED.map(|(name, _)| name)).collect();
    assert_eq!(names(&catalog), known);
}

/// The actions that an operation is named after: its own, or the halves of ReEncrypt.
fn actions(operation: Operation) -> Vec<Action> {
    match operation {
        Operation::Named(action) => vec![action],
        Operation::ReEncrypt => vec![Action::ReEncryptFrom, Action::ReEncryptTo],
    }
}

fn operations(catalog: &Value) -> Vec<(Operation, &Value)> {
    let of = |(name, row)| (Operation::from_name(name).unwrap_or_else(|| panic!("{name}")), row);
    catalog["operations"]
        .as_object()
        .expect("operations")
        .iter()
        .map(|(name, row)| of((name.as_str(), row)))
        .collect()
}

#[test]
fn operations_and_actions_are_those_of_kms() {
    let catalog = catalog();
    let found: BTreeSet<&str> =
        operations(&catalog).iter().map(|(found, _)| found.name()).collect();
    assert_eq!(found, names(&catalog["operations"]));
    for action in Action::ALL {
        let operation = Operation::from_name(action.bare()).is_some();
        assert_eq!(operation, found.contains(action.bare()), "{action:?}");
    }
    let ours: BTreeSet<&str> = Action::ALL.iter().map(|action| action.name()).collect();
    let mut theirs: BTreeSet<String> =
        names(&catalog["iam_actions"]).into_iter().map(with_prefix).collect();
    // Newer than the Service Authorization Reference.
    for newer in ["kms:Decapsulate", "kms:Encapsulate"] {
        assert!(theirs.insert(newer.to_owned()), "{newer} is no longer an exception");
    }
    assert_eq!(ours, theirs.iter().map(String::as_str).collect());
}

fn with_prefix(name: &str) -> String {
    if name.starts_with("kms:") { name.to_owned() } else { format!("kms:{name}") }
}

#[test]
fn every_operation_has_the_traits_of_its_row() {
    let catalog = catalog();
    for (operation, row) in operations(&catalog) {
        let name = operation.name();
        assert_eq!(operation.accepts_dry_run(), is(&row["accepts_dry_run"]), "{name}");
        let grantable = texts(&row["grantable_as"]);
        for action in actions(operation) {
            assert_eq!(action.cross_account(), is(&row["cross_account"]), "{name}");
            assert_eq!(action.is_cryptographic(), is(&row["cryptographic_operation"]), "{name}");
            assert_eq!(action.accepts_dry_run(), is(&row["accepts_dry_run"]), "{name}");
            assert_eq!(action.grantable(), grantable.contains(action.bare()), "{name}");
            let context = !texts(&row["encryption_context_parameters"]).is_empty();
            assert_eq!(action.has_encryption_context(), context, "{name}");
            let alias = texts(&row["key_identifier_forms"]).contains("alias-name");
            assert_eq!(action.takes_alias(), alias, "{name}");
            let recipient = action.condition_key(RequestKey::RecipientAttestation);
            assert_eq!(recipient, is(&row["accepts_recipient_attestation"]), "{name}");
            let kind = match row["policy_type"].as_str().expect("a text") {
                "key policy" | "grant (see RetireGrant rule)" => ResourceKind::Key,
                "IAM policy" if name == "ListRetirableGrants" => ResourceKind::RetiringPrincipal,
                "IAM policy" => ResourceKind::Account,
                _ => ResourceKind::AliasAndKey,
            };
            assert_eq!(action.row().resource, kind, "{name}");
        }
    }
}

#[test]
fn grants_permit_what_the_catalog_says() {
    let catalog = catalog();
    let grant = &catalog["grant"];
    let grantable: BTreeSet<&str> = Action::ALL
        .iter()
        .filter(|action| action.grantable())
        .map(|action| action.bare())
        .collect();
    assert_eq!(grantable, texts(&grant["operations"]));
    assert_eq!(grantable, texts(&catalog["enums"]["GrantOperation"]));
    let with_context: BTreeSet<&str> = Action::ALL
        .iter()
        .filter(|action| action.has_encryption_context())
        .map(|action| action.bare())
        .collect();
    assert_eq!(with_context, texts(&grant["operations_with_encryption_context"]));
    let kinds = [
        (
            "SYMMETRIC_DEFAULT (ENCRYPT_DECRYPT)",
            KeyUsage::EncryptDecrypt,
            KeySpec::SymmetricDefault,
        ),
        ("RSA/SM2 ENCRYPT_DECRYPT", KeyUsage::EncryptDecrypt, KeySpec::Rsa2048),
        ("SIGN_VERIFY", KeyUsage::SignVerify, KeySpec::EccNistP256),
        ("GENERATE_VERIFY_MAC", KeyUsage::GenerateVerifyMac, KeySpec::Hmac256),
        ("KEY_AGREEMENT", KeyUsage::KeyAgreement, KeySpec::EccNistP256),
        ("ENCAPSULATE_DECAPSULATE", KeyUsage::EncapsulateDecapsulate, KeySpec::MlKem768),
    ];
    let by_type = &grant["operations_by_key_type"];
    assert_eq!(names(by_type), kinds.iter().map(|(name, _, _)| *name).collect());
    for (name, usage, spec) in kinds {
        let ours: BTreeSet<&str> = grant_operations(usage, spec).iter().map(Action::bare).collect();
        assert_eq!(ours, texts(&by_type[name]), "{name}");
    }
    assert_eq!(
        names(&grant["constraints"]),
        BTreeSet::from(["EncryptionContextEquals", "EncryptionContextSubset", "SourceArn"])
    );
}

/// Values of request parameters, which are compared as texts whatever they are.
const TEXTS_OF_REQUESTS: [&str; 15] = [
    "AlgorithmSpec",
    "CustomKeyStoreType",
    "DataKeyPairSpec",
    "DataKeySpec",
    "DryRunModifierType",
    "EncapsulationAlgorithmSpec",
    "EncryptionAlgorithmSpec",
    "ExpirationModelType",
    "KeyAgreementAlgorithmSpec",
    "KeyManagerType",
    "MacAlgorithmSpec",
    "MessageType",
    "ResourceOwnerType",
    "SigningAlgorithmSpec",
    "WrappingKeySpec",
];

#[test]
fn closed_values_are_those_of_kms() {
    let catalog = catalog();
    let ours: [(&str, &[&str]); 5] = [
        ("KeyState", KeyState::NAMES),
        ("KeySpec", KeySpec::NAMES),
        ("KeyUsageType", KeyUsage::NAMES),
        ("OriginType", KeyOrigin::NAMES),
        ("MultiRegionKeyType", MultiRegionKeyType::NAMES),
    ];
    for (name, names) in ours {
        assert_eq!(texts(&catalog["enums"][name]), names.iter().copied().collect(), "{name}");
    }
    let known: BTreeSet<&str> = ours
        .iter()
        .map(|(name, _)| *name)
        .chain(TEXTS_OF_REQUESTS)
        .chain(["GrantOperation"])
        .collect();
    assert_eq!(names(&catalog["enums"]), known);
}

/// The name of a condition key as the engine writes it: families end with their separator.
fn family(name: &str) -> &str {
    let end = name.find(['$', '*']).unwrap_or(name.len());
    let name = &name[..end];
    let attested = "kms:RecipientAttestation:";
    if name.starts_with(attested) { attested } else { name }
}

/// What a key has, whatever is asked of it; CreateKey has what the new key will have.
const OF_THE_KEY: [&str; 9] = [
    "aws:ResourceTag/",
    "kms:CustomerMasterKeySpec",
    "kms:CustomerMasterKeyUsage",
    "kms:KeyOrigin",
    "kms:KeySpec",
    "kms:KeyUsage",
    "kms:MultiRegion",
    "kms:MultiRegionKeyType",
    "kms:ResourceAliases",
];

#[test]
fn condition_keys_have_the_names_and_the_arity_of_the_catalog() {
    let catalog = catalog();
    let theirs = catalog["condition_keys"].as_object().expect("condition keys");
    for (name, row) in theirs {
        let ours = CONDITION_KEYS.iter().find(|row| row.name == family(name));
        let ours = ours.unwrap_or_else(|| panic!("{name} is unknown"));
        assert_eq!(ours.multivalued, row["values"] == "multi", "{name}");
        assert_eq!(ours.multivalued, row["type"] == "ArrayOfString", "{name}");
    }
    let known: BTreeSet<&str> = theirs.keys().map(|name| family(name)).collect();
    for ours in CONDITION_KEYS.iter().filter(|row| row.name.starts_with("kms:")) {
        assert!(known.contains(ours.name), "KMS has no {}", ours.name);
    }
    for key in RequestKey::ALL {
        assert!(known.contains(key.name()), "KMS has no {}", key.name());
    }
    let of_a_key: BTreeSet<&str> = texts(&catalog["resource_types"]["key"]["condition_keys"])
        .into_iter()
        .map(family)
        .collect();
    let ours: BTreeSet<&str> = OF_THE_KEY
        .into_iter()
        .filter(|name| !name.starts_with("kms:CustomerMasterKey"))
        .chain(["kms:CallerAccount", "kms:ViaService"])
        .collect();
    assert_eq!(of_a_key, ours);
    assert!(texts(&catalog["resource_types"]["alias"]["condition_keys"]).is_empty());
}

/// Whether the catalog lists an action for a condition key, by name or as one of a group.
fn listed(listing: &str, action: Action) -> bool {
    let on_a_key = matches!(action.row().resource, ResourceKind::Key | ResourceKind::AliasAndKey);
    match listing {
        "KMS key resource operations" => on_a_key,
        "custom key store operations" => action.bare().contains("CustomKeyStore"),
        "cryptographic operations (not GenerateRandom)" => {
            action.is_cryptographic() && action != Action::GenerateRandom
        }
        name => name == action.bare(),
    }
}

#[test]
fn every_action_has_the_condition_keys_of_its_rows() {
    let catalog = catalog();
    let by_key = catalog["condition_keys"].as_object().expect("condition keys");
    let operations = operations(&catalog);
    let by_operation = |key: RequestKey, action: Action| {
        operations.iter().any(|(operation, row)| {
            actions(*operation).contains(&action)
                && texts(&row["condition_keys"]).into_iter().any(|name| family(name) == key.name())
        })
    };
    let by_key = |key: RequestKey, action: Action| {
        by_key.iter().filter(|(name, _)| family(name) == key.name()).any(|(_, row)| {
            texts(&row["operations"]).into_iter().any(|listing| listed(listing, action))
        })
    };
    for action in Action::ALL {
        for key in RequestKey::ALL {
            let theirs = by_operation(*key, *action) || by_key(*key, *action);
            assert_eq!(action.condition_key(*key), theirs, "{action:?} and {}", key.name());
        }
    }
    // What is said of a key is said of every key, and of the one that CreateKey makes.
    for (operation, row) in &operations {
        for name in texts(&row["condition_keys"]).into_iter().map(family) {
            let of_request = RequestKey::ALL.iter().any(|key| key.name() == name);
            assert!(of_request || OF_THE_KEY.contains(&name), "{}: {name}", operation.name());
        }
    }
}

/// What a footnote of the table of key states raises, for which keys.
fn footnote(note: &str, key: &KeyFacts, role: KeyRole) -> Option<&'static str> {
    const INVALID: &str = "KMSInvalidStateException";
    const UNSUPPORTED: &str = "UnsupportedOperationException";
    let external = key.origin == KeyOrigin::External;
    match note {
        "1" | "2" => Some("DisabledException"),
        "3" | "4" | "5" | "11" | "14" | "15" => Some(INVALID),
        "6" => external.then_some(UNSUPPORTED),
        "7" => key.custom_key_store.then_some(UNSUPPORTED),
        "8" => external.then_some(INVALID),
        "9" => (!external).then_some(UNSUPPORTED),
        "10" => (role != KeyRole::Current).then_some(INVALID),
        "12" | "13" => None,
        other => panic!("footnote {other}"),
    }
}

/// The exceptions that a cell of the table admits; none when the operation succeeds.
fn admitted(cell: &str, key: &KeyFacts, role: KeyRole) -> BTreeSet<&'static str> {
    let cell = cell.split(" (").next().unwrap_or(cell);
    if let Some(notes) = cell.strip_prefix('X') {
        let notes: Vec<&str> = notes.split(['|', ',']).collect();
        // What looks at the kind of key comes before what holds of the state.
        let special = ["6", "7", "8", "9"];
        let conditional = notes.iter().filter(|note| special.contains(note));
        let raised: BTreeSet<&str> =
            conditional.filter_map(|note| footnote(note, key, role)).collect();
        if !raised.is_empty() {
            return raised;
        }
        let always = notes.iter().filter(|note| !special.contains(note));
        let raised: BTreeSet<&str> = always.filter_map(|note| footnote(note, key, role)).collect();
        if !raised.is_empty() {
            return raised;
        }
        // The state itself makes the footnote true: a key in a store, or without imported material.
        return notes
            .iter()
            .filter_map(|note| match *note {
                "6" | "7" | "9" => Some("UnsupportedOperationException"),
                "8" => Some("KMSInvalidStateException"),
                _ => None,
            })
            .collect();
    }
    match cell {
        "NA" => BTreeSet::from(["KMSInvalidStateException"]),
        "OK" | "OK12" | "OK(no-effect)" => BTreeSet::new(),
        cell => {
            let note = cell.strip_prefix('?').unwrap_or_else(|| panic!("cell {cell}"));
            footnote(note, key, role).into_iter().collect()
        }
    }
}

#[test]
fn every_key_state_does_to_every_operation_what_the_table_says() {
    let catalog = catalog();
    let columns = texts(&catalog["key_state_columns"]);
    let mut cells = 0;
    for (operation, row) in operations(&catalog) {
        for state in KeyState::NAMES {
            let column = if *state == "PendingReplicaDeletion" { "PendingDeletion" } else { state };
            assert!(columns.contains(column));
            let cell = row["key_state"][column].as_str();
            for origin in KeyOrigin::NAMES {
                let origin = KeyOrigin::from_name(origin).expect("an origin");
                let key = KeyFacts {
                    state: KeyState::from_name(state).expect("a state"),
                    origin,
                    custom_key_store: matches!(
                        origin,
                        KeyOrigin::AwsCloudhsm | KeyOrigin::ExternalKeyStore
                    ),
                    spec: KeySpec::SymmetricDefault,
                    usage: KeyUsage::EncryptDecrypt,
                };
                for role in [KeyRole::Only, KeyRole::Current, KeyRole::New] {
                    let admitted =
                        cell.map_or_else(BTreeSet::new, |cell| admitted(cell, &key, role));
                    for action in actions(operation) {
                        let raised =
                            outcome(action, &key, role).err().map(|refusal| refusal.exception);
                        let agrees = match raised {
                            None => admitted.is_empty(),
                            Some(exception) => admitted.contains(exception),
                        };
                        assert!(
                            agrees,
                            "{action:?} {key:?} {role:?}: {raised:?}, not {admitted:?}"
                        );
                        cells += 1;
                    }
                }
            }
        }
    }
    assert!(cells > 5000, "only {cells} cells");
}

const PRIMARY: &str = "arn:aws:kms:us-west-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab";

/// A pair of multi-Region keys, an alias and a grant.
fn world() -> Snapshot {
    let key = |region: &str, kind: &str| {
        let arn = PRIMARY.replace("us-west-2", region);
        json!({"KeyMetadata": {"Arn": arn, "MultiRegion": true, "MultiRegionConfiguration": {"MultiRegionKeyType": kind}},
            "Policy": "default"})
    };
    let mut primary = key("us-west-2", "PRIMARY");
    primary["Aliases"] = json!(["alias/app"]);
    primary["Grants"] =
        json!([{"GrantId": "g", "GranteePrincipal": "111122223333", "Operations": ["Decrypt"]}]);
    let text = json!({"Keys": [primary, key("us-east-1", "REPLICA")]}).to_string();
    let documents = [Document { name: "world.json".into(), text: text.into() }];
    build(&documents, &Options::default()).expect("a good set").snapshot
}

/// The question for a whole operation, with all that its legs need.
fn question(operation: Operation) -> v1::AuthorizeRequest {
    let key = match operation {
        Operation::ReEncrypt => true,
        Operation::Named(action) => action.row().resource == ResourceKind::Key,
    };
    let parameters = match operation.name() {
        "CreateAlias" => json!({"aliasName": "alias/new", "targetKeyId": PRIMARY}),
        "UpdateAlias" => json!({"aliasName": "alias/app", "targetKeyId": PRIMARY}),
        "DeleteAlias" => json!({"aliasName": "alias/app"}),
        "ReEncrypt" => json!({"destinationKeyId": PRIMARY}),
        "CreateGrant" => {
            json!({"grant": {"granteePrincipal": "arn:aws:iam::111122223333:root", "operations": ["Decrypt"]}})
        }
        "RetireGrant" | "RevokeGrant" => json!({"grantId": "g"}),
        "CreateKey" => json!({"tags": [{"tagKey": "a", "tagValue": "b"}]}),
        "ReplicateKey" => {
            json!({"replicaRegion": "eu-west-1", "tags": [{"tagKey": "a", "tagValue": "b"}]})
        }
        "UpdatePrimaryRegion" => json!({"primaryRegion": "us-east-1"}),
        "ListRetirableGrants" => json!({"retiringPrincipal": "arn:aws:iam::111122223333:root"}),
        _ => json!({}),
    };
    let message = json!({"principal": {"arn": "arn:aws:iam::111122223333:root"}, "action": operation.name(),
        "keyId": if key { PRIMARY } else { "" }, "region": "us-west-2", "parameters": parameters});
    read("AuthorizeRequest", &message.to_string()).expect("a message")
}

/// What kind of thing a leg is about, as the catalog's words and as its ARN say it.
fn kind(resource: &str) -> &'static str {
    match resource {
        text if text.starts_with("alias") || text.contains(":alias/") => "alias",
        text if text.starts_with("key/*") || text.ends_with(":key/*") => "new key",
        text if text.starts_with('*') => "*",
        text if text.starts_with("the RetiringPrincipal") || text.contains(":iam:") => "principal",
        _ => "key",
    }
}

#[test]
fn every_operation_has_the_authorizations_of_its_row() {
    let catalog = catalog();
    let world = world();
    for (operation, row) in operations(&catalog) {
        let theirs: Vec<(String, &str)> = row["authorizations"]
            .as_array()
            .expect("authorizations")
            .iter()
            .map(|leg| {
                (leg["action"].as_str().expect("a text"), leg["resource"].as_str().expect("a text"))
            })
            // Another service's permission: KMS's own question ends with KMS's actions.
            .filter(|(action, _)| *action != "iam:CreateServiceLinkedRole")
            .map(|(action, resource)| (action.to_owned(), kind(resource)))
            .collect();
        let message = question(operation);
        let request = request(&message, noon())
            .unwrap_or_else(|error| panic!("{}: {error:?}", operation.name()));
        let answer = decide(&world, &request).expect("an answer");
        let ours: Vec<(String, &str)> = answer
            .legs
            .iter()
            .map(|leg| (leg.action.name().to_owned(), kind(&leg.resource)))
            .collect();
        assert_eq!(ours, theirs, "{}", operation.name());
    }
}

/// Quotas that authorization does not ask about.
const NO_LIMITS_OF_OURS: [&str; 7] = [
    "custom_key_stores_per_account_region",
    "key_policy_note",
    "keys_per_account_region",
    "on_demand_rotations_per_key",
    "pending_window_days",
    "rotation_period_days",
    "session_policy_plaintext_chars",
];

/// A policy of so many characters, none of them white space.
fn policy(length: usize, members: &str) -> String {
    let with = |sid: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"{sid}","Effect":"Allow","Action":"kms:*","Resource":"*"{members}}}]}}"#
        )
    };
    with(&"x".repeat(length - with("").len()))
}

/// The codes of what building a document says.
fn said(document: &Value) -> BTreeSet<&'static str> {
    let documents = [Document { name: "one.json".into(), text: document.to_string().into() }];
    match build(&documents, &Options::default()) {
        Ok(built) => built.warnings.iter().map(|problem| problem.code).collect(),
        Err(problems) => problems.as_slice().iter().map(|problem| problem.code).collect(),
    }
}

#[test]
fn limits_are_those_of_the_catalog() {
    let catalog = catalog();
    let limits = &catalog["limits"];
    let number =
        |value: &Value| usize::try_from(value.as_u64().expect("a number")).expect("a number");
    let key = |more: Value| {
        let mut key = json!({"KeyMetadata": {"Arn": PRIMARY}, "Policy": "default"});
        for (name, value) in more.as_object().expect("members") {
            key[name] = value.clone();
        }
        key
    };
    let grant = |pairs: Value| {
        key(
            json!({"Grants": [{"GrantId": "g", "GranteePrincipal": "111122223333", "Operations": ["Decrypt"],
            "Constraints": {"EncryptionContextSubset": pairs}}]}),
        )
    };
    let pairs = |count: usize| {
        (0..count).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<_, _>>()
    };
    let list = |count: usize, one: &dyn Fn(usize) -> Value| (0..count).map(one).collect::<Value>();
    let inline = |kind: &str, policies: &str, arn: &str, text: String| {
        json!({kind: [{"Arn": arn, "UserName": "n", "RoleName": "n", "GroupName": "n", "UserId": "AIDA", "RoleId": "AROA",
            "GroupId": "AGPA", policies: [{"PolicyName": "p", "PolicyDocument": text}]}]})
    };
    let organization = |kind: &str, text: String| {
        json!({"Organization": {"Id": "o-example123", "ManagementAccountId": "111122223333", "Root": {"Id": "r-ab12",
            kind: [{"Name": "p", "Id": "p-1", "Content": text}]}}})
    };
    let in_account = |name: &str| format!("arn:aws:iam::111122223333:{name}/n");
    let principal = r#","Principal":"*""#;
    let denies = |length: usize| policy(length + 1, principal).replace("Allow", "Deny");
    let chars = |kind: &str| number(&limits["inline_policy_chars"][kind]);
    type Sized<'a> = (&'a str, usize, &'static str, Box<dyn Fn(usize) -> Value + 'a>);
    let sized: Vec<Sized<'_>> = vec![
        (
            "key_policy_bytes",
            number(&limits["key_policy_bytes"]),
            "key-policy-too-large",
            Box::new(|n| key(json!({"Policy": policy(n, principal)}))),
        ),
        (
            "aliases_per_key",
            number(&limits["aliases_per_key"]),
            "too-many-aliases",
            Box::new(|n| key(json!({"Aliases": list(n, &|n| json!(format!("alias/a{n}")))}))),
        ),
        (
            "tags_per_key",
            number(&limits["tags_per_key"]),
            "too-many-tags",
            Box::new(|n| {
                key(
                    json!({"Tags": list(n, &|n| json!({"TagKey": format!("t{n}"), "TagValue": ""}))}),
                )
            }),
        ),
        (
            "grant_encryption_context_pairs",
            number(&limits["grant_encryption_context_pairs"]),
            "constraint-too-large",
            Box::new(|n| grant(pairs(n).into())),
        ),
        (
            "grant_encryption_context_value_chars",
            number(&limits["grant_encryption_context_value_chars"]),
            "constraint-too-large",
            Box::new(|n| grant(json!({"k": "v".repeat(n)}))),
        ),
        (
            "managed_policy_chars",
            number(&limits["managed_policy_chars"]),
            "policy-too-large",
            Box::new(|n| {
                json!({"Policies": [{"PolicyName": "n", "Arn": in_account("policy"), "DefaultVersionId": "v1",
                "PolicyVersionList": [{"VersionId": "v1", "IsDefaultVersion": true, "Document": policy(n, "")}]}]})
            }),
        ),
        (
            "inline_policy_chars",
            chars("user"),
            "policy-too-large",
            Box::new(|n| {
                inline("UserDetailList", "UserPolicyList", &in_account("user"), policy(n, ""))
            }),
        ),
        (
            "inline_policy_chars",
            chars("role"),
            "policy-too-large",
            Box::new(|n| {
                inline("RoleDetailList", "RolePolicyList", &in_account("role"), policy(n, ""))
            }),
        ),
        (
            "inline_policy_chars",
            chars("group"),
            "policy-too-large",
            Box::new(|n| {
                inline("GroupDetailList", "GroupPolicyList", &in_account("group"), policy(n, ""))
            }),
        ),
        (
            "scp_bytes",
            number(&limits["scp_bytes"]),
            "policy-too-large",
            Box::new(|n| organization("ServiceControlPolicies", policy(n, ""))),
        ),
        (
            "rcp_bytes",
            number(&limits["rcp_bytes"]),
            "policy-too-large",
            Box::new(|n| organization("ResourceControlPolicies", denies(n))),
        ),
    ];
    let mut compared: BTreeSet<&str> = sized.iter().map(|(name, ..)| *name).collect();
    for (name, limit, code, document) in &sized {
        let (within, beyond) = (said(&document(*limit)), said(&document(limit + 1)));
        assert!(!within.contains(code), "{name}: {limit} is within: {within:?}");
        assert!(beyond.contains(code), "{name}: {limit} is the most: {beyond:?}");
    }
    let tokens = number(&limits["grant_tokens_per_request"]);
    for (count, fits) in [(tokens, true), (tokens + 1, false)] {
        let mut message = question(Operation::Named(Action::Decrypt));
        message.grant_tokens = vec!["token".to_owned(); count];
        assert_eq!(request(&message, noon()).is_ok(), fits, "{count} grant tokens");
    }
    let output = keyward(&["serve", "--policies", "p", "--check-config"], "");
    let per_key = format!("per_key = {}", limits["grants_per_key"]);
    assert!(text(&output.stdout).contains(&per_key), "no {per_key}");
    compared.extend(["grant_tokens_per_request", "grants_per_key"]);
    compared.extend(NO_LIMITS_OF_OURS);
    assert_eq!(names(limits), compared);
}

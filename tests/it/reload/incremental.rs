//! What is read bit by bit is what would be read at once.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use keyward::engine::bundle::Options;
use keyward::engine::problem::{Problem, Problems};
use keyward::engine::snapshot::build::Built;
use keyward::pdp::load::{Loader, NotLoaded, load};
use keyward::store::directory::Scope;
use keyward::store::directory::watch::Watch;
use serde_json::json;

use super::{KEY, key_for};
use crate::doors::verified;

/// Numbers that look random, and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

const NAMES: [&str; 8] =
    ["a.json", "b.json", "c.json", "d/a.json", "d/b.json", "e/f/a.json", "z.json", "k.txt"];

/// Documents that agree, contradict each other, need each other, or cannot be read.
fn documents() -> Vec<Vec<u8>> {
    let other = key_for("1").replace("1234abcd-12ab", "aaaaaaaa-12ab");
    let allow = json!({"Version": "2012-10-17", "Statement":
        {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}});
    let iam = |name: &str| format!("arn:aws:iam::111122223333:{name}");
    let grant = |key: &str, id: &str, operation: &str| {
        json!({"KeyId": key, "GrantId": id,
        "GranteePrincipal": iam("role/R"), "Operations": [operation]})
    };
    let managed = json!([{"Arn": iam("policy/P"), "PolicyVersionList":
        [{"IsDefaultVersion": true, "Document": allow}]}]);
    let role = |more: serde_json::Value| {
        let mut role = json!({"Arn": iam("role/R"), "RoleName": "R"});
        role.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        json!({"RoleDetailList": [role]})
    };
    let attached = json!([{"PolicyArn": iam("policy/P")}]);
    let alias = |target: &str| {
        json!({"Aliases": [{"AliasName": "alias/a", "TargetKeyId": target,
        "AliasArn": "arn:aws:kms:us-west-2:111122223333:alias/a"}]})
    };
    let id = "1234abcd-12ab-34cd-56ef-1234567890ab";
    let organization = |id: &str| {
        json!({"Organization": {"Id": "o-1", "Root": {"Id": id,
        "ServiceControlPolicies": [{"Id": "p-1", "Content": allow}]}}})
    };
    let holds = |decision: &str| {
        json!({"Assertions": [{"name": "n", "principal": super::ALICE,
        "action": "kms:Decrypt", "key": KEY, "encryption_context": {"tenant": "1"},
        "expect": {"decision": decision}}]})
    };
    let texts = [
        key_for("1"),
        key_for("2"),
        other.clone(),
        format!("{{\"Keys\": [{}, {other}]}}", key_for("1")),
        format!("\n  {}", key_for("1")),
        key_for("1").replace("us-west-2", "eu-west-1"),
        alias(id).to_string(),
        alias("aaaaaaaa-12ab-34cd-56ef-1234567890ab").to_string(),
        json!({"Grants": [grant(KEY, "g1", "Decrypt")]}).to_string(),
        json!({"Grants": [grant(id, "g1", "Decrypt"), grant(id, "g2", "Sign")]}).to_string(),
        json!({"Grants": [grant(KEY, "g1", "Encrypt")]}).to_string(),
        json!({"Policies": managed}).to_string(),
        role(json!({"AttachedManagedPolicies": attached})).to_string(),
        role(json!({"PermissionsBoundary": {"PermissionsBoundaryArn": iam("policy/P")}}))
            .to_string(),
        json!({"UserDetailList": [{"Arn": iam("user/alice"), "GroupList": ["G"]}]}).to_string(),
        json!({"GroupDetailList": [{"Arn": iam("group/G"), "AttachedManagedPolicies": attached}]})
            .to_string(),
        organization("r-1").to_string(),
        organization("r-2").to_string(),
        json!({"VpcEndpoints": [{"VpcEndpointId": "vpce-1", "PolicyDocument": {"Statement": []}}]})
            .to_string(),
        holds("allowed").to_string(),
        holds("implicitDeny").to_string(),
        "{\"KeyMetadata\": {,}}".to_owned(),
        json!({"Grants": [], "Truncated": true}).to_string(),
        json!({"Something": 1}).to_string(),
    ];
    let mut documents: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    documents.push(vec![b'{', 0xff, b'}']);
    documents
}

/// Documents that describe keys and their aliases, now and then with grants, or with an alias of
/// another's key.
fn plain_documents() -> Vec<Vec<u8>> {
    let mut documents = Vec::new();
    let beside = |key: &str, more: &str| key.replacen('{', &format!("{{{more},"), 1);
    for (id, region) in
        [("1234abcd", "us-west-2"), ("aaaaaaaa", "us-west-2"), ("aaaaaaaa", "eu-west-1")]
    {
        for tenant in ["1", "2"] {
            let key = key_for(tenant).replace("1234abcd", id).replace("us-west-2", region);
            documents.push(beside(&key, &format!("\"Aliases\": [\"alias/{id}\"]")));
            documents.push(beside(&key, &format!("\"Aliases\": [\"alias/{id}\", \"alias/x\"]")));
            documents.push(key);
        }
    }
    let many: Vec<String> = ["1234abcd", "aaaaaaaa", "bbbbbbbb"]
        .map(|id| beside(&key_for(id).replace("1234abcd", id), "\"Aliases\": [\"alias/m\"]"))
        .into();
    documents
        .push(format!("{{\"Keys\": [{}]}}", many[1..].join(",")).replacen("alias/m", "alias/n", 1));
    documents.push(many[2].clone());
    documents.push(many[2].replace("alias/m", "alias/x"));
    let grant = json!([{"GrantId": "g", "GranteePrincipal": super::ALICE, "Operations": ["Sign"]}]);
    documents.push(beside(&key_for("3"), &format!("\"Grants\": {grant}")));
    let alias = json!({"AliasName": "alias/y", "TargetKeyId": "bbbbbbbb-12ab-34cd-56ef-1234567890ab",
        "AliasArn": "arn:aws:kms:us-west-2:111122223333:alias/y"});
    documents.push(json!({"Aliases": [alias]}).to_string());
    documents.into_iter().map(String::into_bytes).collect()
}

/// One change of the folder.
fn change(root: &Path, documents: &[Vec<u8>], numbers: &mut Numbers) {
    let path = root.join(NAMES[numbers.below(NAMES.len())]);
    let other = root.join(NAMES[numbers.below(NAMES.len())]);
    match numbers.below(10) {
        0..5 => {
            // Through a link the other file is written.
            let _ = fs::write(&path, &documents[numbers.below(documents.len())]);
        }
        5..8 => {
            let _ = fs::remove_file(&path);
        }
        8 => {
            let _ = fs::rename(&path, &other);
        }
        _ => {
            let _ = symlink(&other, &path);
        }
    }
}

/// Everything that can be known of a set.
fn known(loaded: Result<&Built, &[Problem]>) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    let mut tell =
        |name: String, what: &dyn std::fmt::Debug| known.insert(name, format!("{what:?}"));
    let built = match loaded {
        Ok(built) => built,
        Err(problems) => {
            tell("problems".to_owned(), &problems);
            return known;
        }
    };
    let snapshot = &built.snapshot;
    tell("revision".to_owned(), &snapshot.revision);
    tell("warnings".to_owned(), &built.warnings);
    tell("assertions".to_owned(), &built.assertions);
    tell("region".to_owned(), &snapshot.only_region);
    tell("organization".to_owned(), &snapshot.organization);
    for (arn, key) in snapshot.keys.iter() {
        tell(format!("key {arn}"), key);
        tell(format!("grants {arn}"), &snapshot.grants.documents.on(arn));
    }
    for (arn, target) in snapshot.aliases.iter() {
        tell(format!("alias {arn}"), target);
    }
    for (arn, user) in &snapshot.users {
        tell(format!("user {arn}"), user);
    }
    for (name, role) in &snapshot.roles {
        tell(format!("role {name:?}"), role);
    }
    for account in &snapshot.described_accounts {
        tell(format!("account {account}"), &());
    }
    for (id, policy) in &snapshot.endpoints {
        tell(format!("endpoint {id}"), policy);
    }
    known
}

fn at_once(root: &Path) -> BTreeMap<String, String> {
    match load(root, &Options::default(), &verified) {
        Ok(built) => known(Ok(&built)),
        Err(problems) => known(Err(problems.as_slice())),
    }
}

/// Changes folders at random, and compares; how many sets were usable, and how many of them were
/// made of the set before.
fn compare(
    documents: &[Vec<u8>],
    seeds: std::ops::RangeInclusive<u64>,
    changes: usize,
) -> (usize, usize) {
    let (mut usable, mut shared) = (0, 0);
    for seed in seeds {
        let root = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(root.path().join("d")).expect("a folder");
        fs::create_dir_all(root.path().join("e/f")).expect("a folder");
        let mut numbers = Numbers(seed);
        let mut loader = Loader::new(root.path(), Options::default());
        let mut watch = Watch::off();
        let mut last = BTreeMap::new();
        let mut before = None;
        for step in 0..120 {
            for _ in 0..=numbers.below(changes) {
                change(root.path(), documents, &mut numbers);
            }
            let scope = if numbers.below(8) == 0 { Scope::Contents } else { Scope::Stamps };
            let found = match loader.load(&scope, &mut watch, &verified) {
                Ok(Some(built)) => {
                    let now = built.snapshot.surroundings.clone();
                    shared += usize::from(before.as_ref().is_some_and(|it| Arc::ptr_eq(it, &now)));
                    before = Some(now);
                    known(Ok(&built))
                }
                Ok(None) => last,
                Err(NotLoaded::Refused(problems)) => known(Err(Problems::as_slice(&problems))),
                Err(error) => panic!("seed {seed}, step {step}: {error}"),
            };
            assert_eq!(found, at_once(root.path()), "seed {seed}, step {step}");
            usable += usize::from(found.contains_key("revision"));
            last = found;
        }
    }
    (usable, shared)
}

#[test]
fn after_any_changes_the_set_is_the_one_that_a_new_start_would_read() {
    let (usable, _) = compare(&documents(), 1..=6, 3);
    assert!(usable > 20, "only {usable} usable sets");
}

#[test]
fn keys_that_change_alone_are_changed_alone_and_the_set_is_the_same() {
    let (usable, shared) = compare(&plain_documents(), 11..=40, 2);
    assert!(usable > 200 && shared > 50, "{usable} usable sets, {shared} of them made of another");
}

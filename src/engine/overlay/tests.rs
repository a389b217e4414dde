use std::sync::Arc;

use super::overlay;
use crate::engine::bundle::{Document, Limits, Options};
use crate::engine::problem::Problems;
use crate::engine::snapshot::Snapshot;
use crate::engine::snapshot::build::{Built, build};

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn documents(name: &str, texts: &[&str]) -> Vec<Document> {
    let one = |(index, text): (usize, &&str)| Document {
        name: format!("{name}[{index}]").into(),
        text: Arc::from(text.replace("KEY", KEY)),
    };
    texts.iter().enumerate().map(one).collect()
}

/// The set that some texts make with others over them.
fn over(base: &[&str], over: &[&str]) -> Result<Built, Problems> {
    let all = overlay(&documents("base", base), &documents("over", over), &Limits::default());
    build(&all, &Options { allow_empty: true, ..Options::default() })
}

fn snapshot(base: &[&str], texts: &[&str]) -> Snapshot {
    let built = over(base, texts).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(built.warnings, []);
    built.snapshot
}

const KEY_DOCUMENT: &str = r#"{"KeyMetadata": {"Arn": "KEY", "KeyState": "Disabled"}, "Policy": "default", "Aliases": ["alias/a"],
    "Tags": [{"TagKey": "t", "TagValue": "v"}],
    "Grants": [{"GrantId": "g", "GranteePrincipal": "111122223333", "Operations": ["Decrypt"]}]}"#;
const MORE_GRANTS: &str = r#"{"Grants": [{"KeyId": "KEY", "GrantId": "h", "GranteePrincipal": "111122223333", "Operations": ["Encrypt"]}]}"#;
const POLICY: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*"}}"#;

#[test]
fn what_a_keys_new_description_leaves_out_stays_as_it_was() {
    for base in [
        vec![KEY_DOCUMENT.to_owned(), MORE_GRANTS.to_owned()],
        vec![format!(r#"{{"Keys": [{KEY_DOCUMENT}], "Grants": {}"#, &MORE_GRANTS[11..])],
    ] {
        let base: Vec<&str> = base.iter().map(String::as_str).collect();
        let new = format!(r#"{{"KeyMetadata": {{"Arn": "KEY"}}, "Policy": {POLICY}}}"#);
        let found = snapshot(&base, &[&new]);
        let key = &found.keys[KEY];
        assert_eq!(key.policy.statements().count(), 1);
        assert_eq!(key.policy.statements().next().unwrap().effect.name(), "Deny");
        assert_eq!((key.state.name(), key.aliases.len(), key.tags.len()), ("Disabled", 1, 1));
        assert!(found.grants.find(KEY, "g").is_some() && found.grants.find(KEY, "h").is_some());
        let new = r#"{"Keys": [{"KeyMetadata": {"Arn": "KEY", "KeyState": "Enabled"}, "Grants": [], "Aliases": []}]}"#;
        let found = snapshot(&base, &[new]);
        let key = &found.keys[KEY];
        assert_eq!((key.state.name(), key.aliases.len(), found.grants.len()), ("Enabled", 0, 0));
        assert_eq!(key.policy.statements().next().unwrap().effect.name(), "Allow");
    }
}

#[test]
fn entities_take_the_place_of_those_of_the_same_name() {
    let managed = |effect: &str| {
        format!(
            r#"{{"Policies": [{{"PolicyName": "P", "Arn": "arn:aws:iam::111122223333:policy/P", "DefaultVersionId": "v1",
            "PolicyVersionList": [{{"VersionId": "v1", "IsDefaultVersion": true, "Document": {{"Version": "2012-10-17",
            "Statement": [{{"Effect": "{effect}", "Action": "kms:*", "Resource": "*"}}]}}}}]}}],
            "RoleDetailList": [ROLES]}}"#
        )
    };
    let role = |name: &str, attached: &str| {
        format!(
            r#"{{"RoleName": "{name}", "Arn": "arn:aws:iam::111122223333:role/{name}", "RolePolicyList": [],
            "AttachedManagedPolicies": [{attached}]}}"#
        )
    };
    let attached = r#"{"PolicyName": "P", "PolicyArn": "arn:aws:iam::111122223333:policy/P"}"#;
    let both = [role("A", attached), role("B", attached)].join(",");
    let base = managed("Allow").replace("ROLES", &both);
    let new = managed("Deny").replace("ROLES", &role("B", ""));
    let found = snapshot(&[&base], &[&new]);
    let role = |name: &str| found.roles.values().find(|role| &*role.name == name).unwrap();
    assert_eq!(role("A").policies[0].policy.statements().next().unwrap().effect.name(), "Deny");
    assert_eq!((role("B").policies.len(), found.roles.len()), (0, 2));
}

#[test]
fn the_organization_endpoints_grants_and_aliases_are_replaced_too() {
    let organization = |id: &str| {
        format!(
            r#"{{"Organization": {{"Id": "{id}", "ManagementAccountId": "999999999999", "Root": {{"Id": "r-1", "Accounts": []}}}}}}"#
        )
    };
    let endpoint = |policy: &str| {
        format!(
            r#"{{"VpcEndpoints": [{{"VpcEndpointId": "vpce-1", "PolicyDocument": {policy}}}]}}"#
        )
    };
    let alias = |key: &str| {
        format!(
            r#"{{"Aliases": [{{"AliasName": "alias/b", "AliasArn": "arn:aws:kms:us-west-2:111122223333:alias/b", "TargetKeyId": "{key}"}}]}}"#
        )
    };
    let other = KEY_DOCUMENT.replace("KEY\"", "KEY2\"").replace("alias/a", "alias/c");
    let allow = POLICY.replace("Deny", "Allow");
    let base = [
        KEY_DOCUMENT.to_owned(),
        MORE_GRANTS.to_owned(),
        other,
        organization("o-1"),
        endpoint(&allow),
        alias("1234abcd-12ab-34cd-56ef-1234567890ab"),
    ];
    let new = [
        organization("o-2"),
        endpoint(POLICY),
        alias("1234abcd-12ab-34cd-56ef-1234567890ab2"),
        MORE_GRANTS.replace("Encrypt", "Decrypt"),
    ];
    let texts =
        |all: &[String]| all.iter().map(|text| text.clone().into_boxed_str()).collect::<Vec<_>>();
    let (base, new) = (texts(&base), texts(&new));
    let base: Vec<&str> = base.iter().map(|text| &**text).collect();
    let new: Vec<&str> = new.iter().map(|text| &**text).collect();
    let found = snapshot(&base, &new);
    assert_eq!(found.organization.as_ref().map(|all| &*all.id), Some("o-2"));
    assert_eq!(found.endpoints["vpce-1"].statements().next().unwrap().effect.name(), "Deny");
    assert!(found.aliases["arn:aws:kms:us-west-2:111122223333:alias/b"].ends_with("ab2"));
    let operations = found.grants.find(KEY, "h").unwrap().operations;
    assert!(operations.contains(crate::engine::kms::action::Action::Decrypt));
    assert_eq!(found.keys.len(), 2);
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_the_rest_is_not_touched() {
    let base = documents("base", &[KEY_DOCUMENT, r#"{"Keys": []}"#]);
    let new = documents(
        "over",
        &[
            "{\"KeyMetadata\": {\"Arn\": \"KEY\"},\n \"Policy\": {\"Statement\": [\n  {\"Effect\": \"Alow\"}]}}",
            "nonsense",
        ],
    );
    let all = overlay(&base, &new, &Limits::default());
    assert_eq!(all.len(), 3, "the key's old document has nothing left to say");
    assert!(Arc::ptr_eq(&all[0].text, &base[1].text));
    let problems = build(&all, &Options::default()).unwrap_err();
    let found: Vec<(&str, String)> = problems
        .as_slice()
        .iter()
        .filter_map(|problem| Some((problem.code, problem.place.as_ref()?.to_string())))
        .collect();
    assert!(found.contains(&("bad-effect", "over[0]:3:14".to_owned())), "{found:?}");
    assert!(found.contains(&("json-syntax", "over[1]:1:1".to_owned())), "{found:?}");
}

//! What several documents say together.

use std::sync::Arc;

use super::{ARN, built, key, problems};
use crate::engine::bundle::{Document, Options};
use crate::engine::grant::ContextConstraint;
use crate::engine::kms::key_state::{KeyOrigin, KeySpec, KeyState, KeyUsage, MultiRegionKeyType};
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::snapshot::Named;
use crate::engine::snapshot::build::build;
use crate::engine::term::account::AccountId;

const ALLOW: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}"#;

fn account() -> AccountId {
    AccountId::parse("111122223333").expect("it has twelve digits")
}

#[test]
fn a_key_needs_arn_and_policy_alone() {
    let built = built(&[&key("")]);
    let key = &built.snapshot.keys[ARN];
    assert_eq!(
        (key.state, key.spec, key.usage, key.origin),
        (KeyState::Enabled, KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt, KeyOrigin::AwsKms,)
    );
    assert!(
        !key.custom_key_store
            && !key.aws_managed
            && !key.multi_region
            && key.unused_since.is_none()
    );
    assert_eq!(built.snapshot.only_region.as_deref(), Some("us-west-2"));
    assert_eq!(key.policy.statements().count(), 1);
}

#[test]
fn a_key_is_what_its_metadata_say() {
    let text = r#"{"KeyMetadata":{"Arn":"arn:aws:kms:us-west-2:111122223333:key/mrk-1","KeyState":"PendingImport",
        "CustomerMasterKeySpec":"RSA_2048","KeyUsage":"SIGN_VERIFY","Origin":"AWS_CLOUDHSM","KeyManager":"AWS",
        "MultiRegionConfiguration":{"MultiRegionKeyType":"REPLICA"}},"Policy":"default",
        "Tags":[{"TagKey":"b","TagValue":"2"},{"TagKey":"a","TagValue":"1"}]}"#;
    let built = built(&[text]);
    let key = &built.snapshot.keys["arn:aws:kms:us-west-2:111122223333:key/mrk-1"];
    assert_eq!(
        (key.state, key.spec, key.usage, key.origin),
        (KeyState::PendingImport, KeySpec::Rsa2048, KeyUsage::SignVerify, KeyOrigin::AwsCloudhsm,)
    );
    assert!(key.custom_key_store && key.aws_managed && key.multi_region);
    assert_eq!(key.multi_region_type, Some(MultiRegionKeyType::Replica));
    assert_eq!(*key.tags, [("a".into(), "1".into()), ("b".into(), "2".into())]);
}

#[test]
fn the_last_use_of_a_key_has_several_spellings() {
    let since = |members: &str| {
        let built = built(&[&key(members)]);
        built.snapshot.keys[ARN].unused_since.map(|since| since.to_string())
    };
    let used = "\"KeyLastUsage\":{\"Timestamp\":\"2026-01-02 03:04:05.5+01:00\",\"Operation\":\"Decrypt\"},";
    assert_eq!(since(used).as_deref(), Some("2026-01-02T02:04:05Z"));
    let whole = "\"KeyLastUsage\":{\"KeyId\":\"1\",\"KeyLastUsage\":{},\"TrackingStartDate\":1760400001,\"KeyCreationDate\":1.5},";
    assert_eq!(since(whole).as_deref(), Some("2025-10-14T00:00:01Z"));
    let beside = "\"KeyLastUsage\":{},\"TrackingStartDate\":2026,\"KeyCreationDate\":\"2026-01-01T00:00:00Z\",";
    assert_eq!(since(beside).as_deref(), Some("2026-01-01T00:00:00Z"));
}

#[test]
fn equal_descriptions_are_one_and_differing_ones_are_refused() {
    let one = key("");
    assert_eq!(built(&[&one, &one, &format!("{{\"Keys\":[{one}]}}")]).snapshot.keys.len(), 1);
    let found = problems(&[&one, &format!("\n{}", key("\"Tags\":[],"))], &Options::default());
    let [problem] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        problem.to_string(),
        format!(
            "1.json:2:16: error[conflicting-documents]: the key `{ARN}` is described twice and differently, first at 0.json:1:16"
        )
    );
}

#[test]
fn the_policy_may_be_the_default_by_option() {
    let text = format!(r#"{{"KeyMetadata":{{"Arn":"{ARN}"}}}}"#);
    let documents = [Document { name: "a".into(), text: text.as_str().into() }];
    let options = Options { assume_default_key_policy: true, ..Options::default() };
    let assumed = build(&documents, &options).expect("it is there by option").snapshot;
    assert_eq!(assumed.keys[ARN].policy, built(&[&key("")]).snapshot.keys[ARN].policy);
}

#[test]
fn aliases_of_key_and_account_come_together() {
    let listed = r#"{"Aliases":[{"AliasName":"alias/b","AliasArn":"arn:aws:kms:us-west-2:111122223333:alias/b","TargetKeyId":"1"},
        {"AliasName":"alias/c","AliasArn":"arn:aws:kms:eu-west-1:111122223333:alias/c","TargetKeyId":"1"}]}"#;
    let built = built(&[&key(r#""Aliases":["alias/z","alias/b"],"#), listed]);
    let names: Vec<&str> = built.snapshot.keys[ARN].aliases.iter().map(|name| &**name).collect();
    assert_eq!(names, ["alias/b", "alias/z"]);
    assert_eq!(built.snapshot.aliases.len(), 3);
    assert_eq!(&*built.snapshot.aliases["arn:aws:kms:us-west-2:111122223333:alias/z"], ARN);
    assert_eq!(built.warnings.len(), 1);
    let moved = r#"{"Aliases":[{"AliasArn":"arn:aws:kms:us-west-2:111122223333:alias/z","TargetKeyId":"2"}]}"#;
    let found = problems(&[&key(r#""Aliases":["alias/z"],"#), moved], &Options::default());
    assert_eq!(found[0].code, "conflicting-documents");
}

#[test]
fn a_grant_in_its_key_and_alone_is_one() {
    let grant = r#""GrantId":"g","GranteePrincipal":"dynamodb.us-west-2.amazonaws.com","IssuingAccount":"arn:aws:iam::111122223333:root",
        "Operations":["Decrypt","ReEncryptFrom"],"Constraints":{"EncryptionContextSubset":{"b":"2","a":"1"}},"State":"pending""#;
    let alone = format!(r#"{{"Grants":[{{"KeyId":"{ARN}",{grant}}}]}}"#);
    let built = built(&[&key(&format!("\"Grants\":[{{{grant}}}],")), &alone]);
    let [found] = built.snapshot.grants.documents.on(ARN) else {
        panic!("{:?}", built.snapshot.grants)
    };
    assert_eq!(found.grantee, PrincipalPattern::Service("dynamodb.us-west-2.amazonaws.com".into()));
    assert_eq!(
        found.context,
        ContextConstraint::Subset([("a".into(), "1".into()), ("b".into(), "2".into())].into())
    );
    assert_eq!(
        (found.operations.len(), found.pending, found.issuing_account),
        (2, true, Some(account()))
    );
}

#[test]
fn principals_carry_inline_attached_and_group_policies() {
    let details = format!(
        r#"{{"IsTruncated":false,
        "UserDetailList":[{{"Arn":"arn:aws:iam::111122223333:user/a/Alice","UserId":"AIDA1","GroupList":["Staff"],
            "UserPolicyList":[{{"PolicyName":"inline","PolicyDocument":{ALLOW}}}],
            "AttachedManagedPolicies":[{{"PolicyArn":"arn:aws:iam::aws:policy/P"}}],
            "PermissionsBoundary":{{"PermissionsBoundaryArn":"arn:aws:iam::aws:policy/P"}}}}],
        "RoleDetailList":[{{"Arn":"arn:aws:iam::111122223333:role/aws-service-role/x/Linked","RoleId":"AROA1","PermissionsBoundary":null}}]}}"#
    );
    let rest = format!(
        r#"{{"GroupDetailList":[{{"Arn":"arn:aws:iam::111122223333:group/Staff",
            "GroupPolicyList":[{{"PolicyName":"of-group","PolicyDocument":{ALLOW}}}],
            "AttachedManagedPolicies":[{{"PolicyArn":"arn:aws:iam::aws:policy/Q"}}]}}],
        "Policies":[{{"Arn":"arn:aws:iam::aws:policy/P","PolicyVersionList":[{{"IsDefaultVersion":true,"Document":{ALLOW}}}]}},
            {{"Arn":"arn:aws:iam::aws:policy/Q","PolicyVersionList":[{{"IsDefaultVersion":true,"Document":{ALLOW}}}]}}]}}"#
    );
    let snapshot = built(&[&details, &rest]).snapshot;
    let alice = &snapshot.users["arn:aws:iam::111122223333:user/a/Alice"];
    let ids: Vec<&str> = alice.policies.iter().map(|policy| &*policy.id).collect();
    assert_eq!(
        ids,
        ["inline", "arn:aws:iam::aws:policy/P", "of-group", "arn:aws:iam::aws:policy/Q"]
    );
    assert!(
        alice.policies.iter().all(|policy| Arc::ptr_eq(&policy.policy, &alice.policies[0].policy))
    );
    assert_eq!(
        alice.boundary.as_ref().map(|boundary| &*boundary.id),
        Some("arn:aws:iam::aws:policy/P")
    );
    assert_eq!(snapshot.user_arns.get(&Named(account(), "Alice")), Some(&alice.arn));
    assert!(snapshot.roles[&Named(account(), "Linked")].service_linked);
    assert!(
        snapshot.described_accounts.contains(&account()) && snapshot.described_accounts.len() == 1
    );
}

#[test]
fn accounts_stand_under_all_levels_above_them() {
    let text = format!(
        r#"{{"Organization":{{"Id":"o-1","ManagementAccountId":"999900001111","Root":{{"Id":"r-1",
        "ServiceControlPolicies":[{{"Id":"p-1","Name":"All","Content":{ALLOW}}}],"Accounts":[{{"Id":"444455556666"}}],
        "OrganizationalUnits":[{{"Id":"ou-1","OrganizationalUnits":[{{"Id":"ou-2","ServiceControlPolicies":[],
            "Accounts":[{{"Id":"111122223333","ResourceControlPolicies":[]}}]}}]}}]}}}}}}"#
    );
    let organization = built(&[&text]).snapshot.organization.clone().expect("there is one");
    let member = &organization.accounts[&account()];
    assert_eq!(&*member.path, "o-1/r-1/ou-1/ou-2/");
    let limits: Vec<_> = member
        .levels
        .iter()
        .map(|level| {
            let count =
                |policies: &Option<Arc<[_]>>| policies.as_ref().map(|policies| policies.len());
            (count(&level.service_control_policies), count(&level.resource_control_policies))
        })
        .collect();
    assert_eq!(limits, [(Some(1), None), (None, None), (Some(0), None), (None, Some(0))]);
    assert_eq!(organization.accounts.len(), 2);
}

#[test]
fn assertions_are_kept_for_later() {
    let built = built(&["{\"Assertions\":[\n {\"name\":\"n\",\"b\":1,\"a\":2}]}"]);
    let [assertion] = built.assertions.as_slice() else { panic!("{:?}", built.assertions) };
    assert_eq!((&*assertion.name, &*assertion.case), ("n", r#"{"name":"n","b":1,"a":2}"#));
    assert_eq!(assertion.place.to_string(), "0.json:2:2");
}

#[test]
fn keys_are_found_by_their_parts() {
    let built = built(&[&key("")]);
    let parts =
        built.snapshot.keys.values().map(|key| (key.region(), key.partition(), key.id())).next();
    assert_eq!(parts, Some(("us-west-2", "aws", "1")));
}

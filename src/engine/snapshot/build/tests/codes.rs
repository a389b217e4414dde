//! Every problem of a set: its code and its place.

use super::{ARN, documents, key, problems};
use crate::engine::bundle::{Limits, Options};
use crate::engine::problem::Severity;
use crate::engine::snapshot::build::build;

/// All problems of the documents: severity, code, document, line and column.
#[track_caller]
fn check_with(options: &Options, texts: &[&str], expected: &[&str]) {
    let found: Vec<String> = problems(texts, options)
        .iter()
        .map(|problem| {
            let place = problem.place.as_ref();
            let place = place.map(|p| {
                format!(" {}:{}:{}", p.document.trim_end_matches(".json"), p.line, p.column)
            });
            format!("{} {}{}", problem.severity.name(), problem.code, place.unwrap_or_default())
        })
        .collect();
    assert_eq!(found, expected, "{texts:#?}\n{:#?}", problems(texts, options));
}

#[track_caller]
fn check(texts: &[&str], expected: &[&str]) {
    check_with(&Options::default(), texts, expected);
}

/// One key; `members` start on a line of their own.
#[track_caller]
fn check_key(members: &str, expected: &[&str]) {
    check(&[&key(&format!("\n{members},"))], expected);
}

/// One key; members of its metadata start on a line of their own.
#[track_caller]
fn check_metadata(members: &str, expected: &[&str]) {
    check(
        &[&format!("{{\"Policy\":\"default\",\"KeyMetadata\":{{\"Arn\":\"{ARN}\",\n{members}}}}}")],
        expected,
    );
}

/// One grant beside its key.
#[track_caller]
fn check_grant(members: &str, expected: &[&str]) {
    check_key(&format!("\"Grants\":[\n{{\"GrantId\":\"g\",{members}}}]"), expected);
}

#[test]
fn documents_are_json_objects_with_known_members() {
    check(&["{"], &["error json-syntax 0:1:1"]);
    check(&[&key("\n\"Policy\":1,")], &["error json-duplicate-member 0:2:1"]);
    check(&["\n[]"], &["error unknown-document 0:2:1"]);
    check(&[" {\"keymetadata\":{}}"], &["error unknown-document 0:1:2"]);
    check(&[" {\"Policy\":{}}"], &["error unknown-document 0:1:2"]);
    check(&["{\"Keys\":\n7}"], &["error wrong-type 0:2:1"]);
    let limits = Limits { document_bytes: 20, depth: 2 };
    let options = Options { limits, ..Options::default() };
    check_with(&options, &["{\"Keys\":[\n{}]}"], &["error json-too-deep 0:2:1"]);
    check_with(&options, &["{\"Keys\":[],\"Grants\":[]}"], &["error document-too-large 0:1:1"]);
}

#[test]
fn all_problems_of_a_set_are_told() {
    check(
        &["{", "[]", "{\"Keys\":[{},\n1]}"],
        &[
            "error json-syntax 0:1:1",
            "error unknown-document 1:1:1",
            "error missing-member 2:1:10",
            "error wrong-type 2:2:1",
        ],
    );
}

#[test]
fn what_was_cut_off_is_refused() {
    for (member, code) in [
        ("IsTruncated", "error truncated-export 0:2:15"),
        ("Truncated", "error truncated-export 0:2:13"),
    ] {
        check(&[&format!("{{\"UserDetailList\":[],\n\"{member}\":true}}")], &[code]);
        check(&[&format!("{{\"Keys\":[{}]}}", key(&format!("\n\"{member}\":true,")))], &[code]);
    }
    check(&["{\"VpcEndpoints\":[],\"NextToken\":\n\"x\"}"], &["error truncated-export 0:2:1"]);
    check(&["{\"Grants\":[],\"Truncated\":\n0}"], &["error wrong-type 0:2:1"]);
}

#[test]
fn the_set_as_a_whole_may_lack_something() {
    check(&[], &["error empty-set"]);
    check(&["{\"Grants\":[]}"], &["error empty-set"]);
    assert!(build(&[], &Options { allow_empty: true, ..Options::default() }).is_ok());
    let require = vec!["keys".to_owned(), "iam".to_owned(), "users".to_owned()];
    let options = Options { require, ..Options::default() };
    check_with(&options, &[&key("")], &["error missing-part", "error unknown-part"]);
}

#[test]
fn keys_are_checked() {
    check(&["{\"KeyMetadata\":\n{},\"Policy\":\"default\"}"], &["error missing-member 0:2:1"]);
    check(
        &["{\"KeyMetadata\":{\"Arn\":\n\"k\"},\"Policy\":\"default\"}"],
        &["error bad-key-arn 0:2:1"],
    );
    check(
        &[&format!("{{\"KeyMetadata\":\n{{\"Arn\":\"{ARN}\"}}}}")],
        &["error missing-key-policy 0:2:1"],
    );
    check_metadata("\"KeyId\":\"2\"", &["error contradicting-members 0:2:9"]);
    check_metadata("\"AWSAccountId\":\"444455556666\"", &["error contradicting-members 0:2:16"]);
    for name in ["KeyState", "KeyUsage", "KeySpec", "Origin", "KeyManager"] {
        check_metadata(&format!("\"{name}\":\n\"?\""), &["error unknown-value 0:3:1"]);
    }
    check_metadata("\"CustomerMasterKeySpec\":\"?\"", &["error unknown-value 0:2:25"]);
    check_metadata(
        "\"MultiRegionConfiguration\":{\"MultiRegionKeyType\":\"?\"}",
        &["error unknown-value 0:2:50"],
    );
    check_metadata("\"MultiRegion\":\"true\"", &["error wrong-type 0:2:15"]);
    check_key("\"RamPolicy\":1", &["error wrong-type 0:2:13"]);
    check_key("\"KeyLastUsage\":{}", &["warning incomplete-last-usage 0:2:16"]);
    check_key("\"KeyLastUsage\":{\"Timestamp\":\"soon\"}", &["error bad-date 0:2:29"]);
}

#[test]
fn tags_are_unique() {
    let tag = "{\"TagKey\":\"a\",\"TagValue\":\"1\"}";
    check_key(&format!("\"Tags\":[{tag},\n{tag}]"), &["error duplicate-tag 0:3:1"]);
    check_key("\"Tags\":[\n{\"TagKey\":\"a\"}]", &["error missing-member 0:3:1"]);
    let many: Vec<String> =
        (0..51).map(|n| format!("{{\"Key\":\"{n}\",\"Value\":\"\"}}")).collect();
    check_key(&format!("\"Tags\":[{}]", many.join(",")), &["warning too-many-tags 0:2:8"]);
}

#[test]
fn aliases_are_checked() {
    check_key("\"Aliases\":[\n\"orders\"]", &["error bad-alias 0:3:1"]);
    check_key("\"Aliases\":[\n1]", &["error wrong-type 0:3:1"]);
    check(&["{\"Aliases\":[\n\"alias/a\"]}"], &["error bad-alias 0:2:1"]);
    let arn = "\"AliasArn\":\"arn:aws:kms:us-west-2:111122223333:alias/a\"";
    check(
        &[&format!("{{\"Aliases\":[\n{{{arn}}}]}}")],
        &["error empty-set", "warning alias-without-target 0:2:1"],
    );
    check(
        &[&format!("{{\"Aliases\":[\n{{{arn},\"TargetKeyId\":\"1\"}}]}}")],
        &["warning alias-for-unknown-key 0:2:1"],
    );
    check(
        &[&format!("{{\"Aliases\":[\n{{{arn},\"TargetKeyId\":\"a b\"}}]}}")],
        &["error bad-alias 0:2:1"],
    );
    check(
        &[&format!("{{\"Aliases\":[\n{{{arn},\"AliasName\":\"alias/b\"}}]}}")],
        &["error contradicting-members 0:2:1"],
    );
    check(&["{\"Aliases\":[\n{\"AliasName\":\"alias/a\"}]}"], &["error missing-member 0:2:1"]);
    let many: Vec<String> = (0..51).map(|n| format!("\"alias/{n}\"")).collect();
    check_key(&format!("\"Aliases\":[{}]", many.join(",")), &["warning too-many-aliases 0:1:16"]);
}

#[test]
fn grants_are_checked() {
    let grantee = "\"GranteePrincipal\":\"arn:aws:iam::111122223333:role/App\"";
    let decrypt = "\"Operations\":[\"Decrypt\"]";
    check_grant(&format!("{grantee},{decrypt}"), &[]);
    check_grant(decrypt, &["error bad-grantee 0:3:1"]);
    check_grant(&format!("{decrypt},\n\"GranteePrincipal\":\"*\""), &["error bad-grantee 0:4:20"]);
    check_grant(&format!("{decrypt},\"GranteePrincipal\":null"), &["error bad-grantee 0:3:1"]);
    let both = format!(
        "{grantee},\"GranteeServicePrincipal\":\"s3.amazonaws.com\",\"Constraints\":{{\"SourceArn\":\"a\"}}"
    );
    check_grant(&format!("{both},{decrypt}"), &["error bad-grantee 0:3:1"]);
    let service = "\"GranteeServicePrincipal\":\"s3.amazonaws.com\"";
    check_grant(&format!("{service},{decrypt}"), &["warning grant-without-source-arn 0:3:1"]);
    check_grant(
        &format!("{grantee},{decrypt},\n\"RetiringPrincipal\":\"x\""),
        &["error bad-retiring-principal 0:4:21"],
    );
    check_grant(grantee, &["error missing-member 0:3:1"]);
    check_grant(&format!("{grantee},\"Operations\":\n[]"), &["error bad-grant-operation 0:4:1"]);
    check_grant(
        &format!("{grantee},\"Operations\":[\n\"PutKeyPolicy\"]"),
        &["error bad-grant-operation 0:4:1"],
    );
    check_grant(
        &format!("{grantee},{decrypt},\n\"State\":\"gone\""),
        &["error unknown-value 0:4:9"],
    );
    check_grant(
        &format!("{grantee},{decrypt},\"IssuingAccount\":\"me\""),
        &["warning unknown-issuing-account 0:3:1"],
    );
    check_grant(&format!("{grantee},{decrypt},\"KeyId\":\"2\""), &["error bad-key-arn 0:3:1"]);
    let on_other =
        format!("{{\"Grants\":[\n{{\"KeyId\":\"{ARN}\",\"GrantId\":\"g\",{grantee},{decrypt}}}]}}");
    check(&[&on_other], &["warning grant-for-unknown-key 0:2:1"]);
    let two = |token: &str| {
        format!("{{\"GrantId\":\"{token}\",\"GrantToken\":\"t\",{grantee},{decrypt}}}")
    };
    check_key(
        &format!("\"Grants\":[{},\n{}]", two("a"), two("b")),
        &["error duplicate-grant-token 0:3:1"],
    );
}

#[test]
fn grant_constraints_are_checked() {
    let grant =
        "\"GranteePrincipal\":\"111122223333\",\"Operations\":[\"Decrypt\"],\"Constraints\":";
    let check = |constraints: &str, expected: &[&str]| {
        check_grant(&format!("{grant}\n{constraints}"), expected)
    };
    check("{}", &[]);
    check("{\"EncryptionContextEquals\":{},\"EncryptionContextSubset\":{\"a\":\"b\"}}", &[]);
    let both =
        "{\"EncryptionContextEquals\":{\"a\":\"b\"},\"EncryptionContextSubset\":{\"a\":\"b\"}}";
    check(both, &["error contradicting-members 0:4:1"]);
    check("{\"EncryptionContextEquals\":{\"a\":1}}", &["error wrong-type 0:4:33"]);
    check("{\"Encryptioncontextequals\":{}}", &["error misspelt-member 0:4:2"]);
    check("{\"EncryptionContext\":{}}", &["error unknown-constraint 0:4:2"]);
    let long = format!("{{\"EncryptionContextSubset\":{{\"a\":\n\"{}\"}}}}", "x".repeat(385));
    check(&long, &["warning constraint-too-large 0:5:1"]);
}

#[test]
fn principals_are_checked() {
    let user = |members: &str| {
        format!(
            "{{\"UserDetailList\":[{{\"Arn\":\n\"arn:aws:iam::111122223333:user/a/Alice\",\n{members}}}]}}"
        )
    };
    check(&[&user("\"UserName\":\"Alice\"")], &[]);
    check(&[&user("\"UserName\":\"Bob\"")], &["error contradicting-members 0:2:1"]);
    check(
        &["{\"RoleDetailList\":[{\"Arn\":\n\"arn:aws:iam::111122223333:user/Alice\"}]}"],
        &["error bad-arn 0:2:1"],
    );
    check(&[&user("\"GroupList\":[\"Staff\"]")], &["error missing-group 0:3:14"]);
    check(
        &[&user("\"AttachedManagedPolicies\":[{\"PolicyArn\":\"x\"}]")],
        &["error missing-policy 0:3:28"],
    );
    check(
        &[&user("\"PermissionsBoundary\":{\"PermissionsBoundaryArn\":\"x\"}")],
        &["error missing-boundary 0:3:23"],
    );
    check(&[&user("\"PermissionsBoundary\":{}")], &["error missing-member 0:3:23"]);
    check(
        &[&user("\"UserPolicyList\":[{\"PolicyName\":\"p\"}]")],
        &["error missing-member 0:3:19"],
    );
    let tags = "\"Tags\":[{\"Key\":\"a\",\"Value\":\"1\"},\n{\"Key\":\"A\",\"Value\":\"2\"}]";
    check(&[&user(tags)], &["error duplicate-tag 0:4:1"]);
    let group = "{\"GroupDetailList\":[{\"Arn\":\"arn:aws:iam::111122223333:group/Staff\",\"AttachedManagedPolicies\":[\n{\"PolicyArn\":\"x\"}]}]}";
    check(&[&user("\"GroupList\":[\"Staff\"]"), group], &["error missing-policy 1:2:1"]);
    check(&[&user("\"GroupList\":[\"Staff\"]"), "{"], &["error json-syntax 1:1:1"]);
}

#[test]
fn managed_policies_have_one_default_version() {
    let policy = |versions: &str| {
        format!(
            "{{\"Policies\":[\n{{\"Arn\":\"arn:aws:iam::aws:policy/P\",\"DefaultVersionId\":\"v2\",\"PolicyVersionList\":[{versions}]}}]}}"
        )
    };
    let document = "\"Document\":{\"Statement\":[]}";
    check(&[&policy("")], &["error no-default-version 0:2:1"]);
    check(
        &[&policy(&format!("{{\"VersionId\":\"v1\",\"IsDefaultVersion\":true,{document}}}"))],
        &["error no-default-version 0:2:1"],
    );
    check(
        &[&policy(&format!("{{\"VersionId\":\"v1\"}},{{\"VersionId\":\"v2\",{document}}}"))],
        &[],
    );
    check(
        &[
            "{\"Policies\":[{\"Arn\":\n\"arn:aws:iam::aws:role/P\",\"PolicyVersionList\":[{\"IsDefaultVersion\":true,\"Document\":{\"Statement\":[]}}]}]}",
        ],
        &["error bad-arn 0:2:1"],
    );
    check(
        &["{\"Policies\":[\n{\"Arn\":\"arn:aws:iam::aws:policy/P\"}]}"],
        &["error missing-member 0:2:1"],
    );
}

#[test]
fn endpoints_need_a_policy() {
    check(
        &[
            "{\"VpcEndpoints\":[\n{\"VpcEndpointId\":\"vpce-1\",\"VpcEndpointType\":\"Interface\"}]}",
        ],
        &["error missing-member 0:2:1"],
    );
    check(
        &["{\"VpcEndpoints\":[\n{\"VpcEndpointId\":\"vpce-1\",\"PolicyDocument\":\"{\"}]}"],
        &["error json-syntax 0:2:46"],
    );
}

#[test]
fn organizations_are_checked() {
    let check = |members: &str, expected: &[&str]| {
        check(
            &[&format!(
                "{{\"Organization\":{{\"Id\":\"o-1\",\"Root\":{{\"Id\":\"r-1\",\n{members}}}}}}}"
            )],
            expected,
        );
    };
    check("\"Accounts\":[{\"Id\":\"1\"}]", &["error bad-account 0:2:13"]);
    check(
        "\"Accounts\":[{\"Id\":\"111122223333\"},\n{\"Id\":\"111122223333\"}]",
        &["error duplicate-account 0:3:1"],
    );
    check("\"OrganizationalUnits\":[{\"Id\":\"ou/1\"}]", &["error bad-organization-id 0:2:30"]);
    check("\"ServiceControlPolices\":[]", &["warning unknown-member 0:2:1"]);
    check("\"ServiceControlPolicies\":null", &["error wrong-type 0:2:26"]);
    check("\"ServiceControlPolicies\":[{\"Id\":\"p\"}]", &["error missing-member 0:2:27"]);
    let scp = |effect: &str| {
        format!(
            "{{\"Id\":\"p\",\"Content\":{{\"Statement\":{{\"Effect\":\"{effect}\",\"Action\":\"*\",\"Resource\":\"*\"}}}}}}"
        )
    };
    let differing = format!("\"ServiceControlPolicies\":[{},\n{}]", scp("Allow"), scp("Deny"));
    check(&differing, &["error conflicting-documents 0:3:1"]);
}

#[test]
fn assertions_have_names() {
    check(&["{\"Assertions\":[\n{}]}"], &["error missing-member 0:2:1"]);
}

#[test]
fn every_problem_says_what_to_do() {
    let texts = [
        "{",
        "{\"Grants\":[{}]}",
        "{\"Aliases\":[{}]}",
        "{\"Organization\":{}}",
        "{\"Policies\":[{}]}",
        "{\"Keys\":[{}]}",
    ];
    for problem in problems(&texts, &Options::default()) {
        assert!(!problem.help.is_empty() && problem.severity == Severity::Error, "{problem}");
    }
    assert_eq!(documents(&texts).len(), texts.len());
}

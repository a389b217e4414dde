//! The revision depends on the content alone.

use super::{ARN, built};

#[track_caller]
fn check(same: bool, one: &[&str], other: &[&str]) {
    let revision = |texts| built(texts).snapshot.revision.clone();
    assert_eq!(revision(one) == revision(other), same, "{one:#?}\n{other:#?}");
}

fn key(policy: &str, members: &str) -> String {
    format!(
        r#"{{"KeyMetadata":{{"Arn":"{ARN}","KeyState":"Enabled"}},"Policy":{policy}{members}}}"#
    )
}

const POLICY: &str = r#"{"Id":"a","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*"}]}"#;
const POLICY_TEXT: &str = r#""{ \"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"Action\":\"kms:*\",\"Resource\":\"*\"}], \"Id\" : \"a\" }""#;
const GRANT: &str =
    r#""GrantId":"g","GranteePrincipal":"111122223333","Operations":["Decrypt","Encrypt"]"#;

#[test]
fn it_is_a_sha_256() {
    let revision = built(&[&key(POLICY, "")]).snapshot.revision.clone();
    let digits = revision.strip_prefix("sha256:").expect("it says so");
    assert!(
        digits.len() == 64
            && digits.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    );
}

#[test]
fn spelling_does_not_matter() {
    check(true, &[&key(POLICY, "")], &[&key(POLICY_TEXT, "")]);
    check(true, &[&key(POLICY, "")], &[&format!("\n{}\n", key(POLICY, ", \"Unknown\" : 1"))]);
    let reordered =
        format!(r#"{{"Policy":{POLICY},"KeyMetadata":{{"KeyState":"Enabled","Arn":"{ARN}"}}}}"#);
    check(true, &[&key(POLICY, "")], &[&reordered]);
}

#[test]
fn the_split_into_documents_does_not_matter() {
    let listed = r#"{"Aliases":[{"AliasName":"alias/a","AliasArn":"arn:aws:kms:us-west-2:111122223333:alias/a","TargetKeyId":"1"}]}"#;
    let grants = format!(r#"{{"Grants":[{{"KeyId":"{ARN}",{GRANT}}}],"Truncated":false}}"#);
    let role = r#""RoleDetailList":[{"Arn":"arn:aws:iam::111122223333:role/R"}]"#;
    let together = key(
        POLICY,
        &format!(r#","Aliases":["alias/a"],"Grants":[{{{GRANT}}}],"IsTruncated":false,{role}"#),
    );
    let alone = format!("{{{role}}}");
    let apart = [&key(POLICY, ""), listed, &grants, &alone];
    check(true, &[&together], &apart);
    let reversed: Vec<&str> = apart.iter().rev().copied().collect();
    check(true, &[&together], &reversed);
    check(true, &[&together], &[&together, &together]);
    check(true, &[&together], &[&format!("{{\"Keys\":[{together}],{role}}}")]);
    check(false, &[&together], &apart[..3]);
}

#[test]
fn iam_policies_count_alike_however_they_are_written() {
    let role = |trust: &str, inline: &str| {
        format!(
            r#"{{"RoleDetailList":[{{"Arn":"arn:aws:iam::111122223333:role/R","AssumeRolePolicyDocument":{trust},"RolePolicyList":[{inline}]}}]}}"#
        )
    };
    let object = r#"{"PolicyName":"p","PolicyDocument":{"Statement":[],"Id":"a"}}"#;
    let text = r#"{"PolicyDocument":"{\"Id\":\"a\",\"Statement\":[]}","PolicyName":"p"}"#;
    let encoded = r#"{"PolicyName":"p","PolicyDocument":"%7B%22Statement%22%3A%5B%5D%2C%22Id%22%3A%22a%22%7D"}"#;
    let other = r#"{"PolicyName":"q","PolicyDocument":{"Statement":[]}}"#;
    check(true, &[&role("{\"a\":[1]}", object)], &[&role("\"{ \\\"a\\\":[1]}\"", text)]);
    check(true, &[&role("{\"a\":[1]}", object)], &[&role("\"%7B%22a%22:[1]}\"", encoded)]);
    check(
        true,
        &[&role("1", &format!("{object},{other}"))],
        &[&role("1", &format!("{other},{text}"))],
    );
    check(false, &[&role("1", object)], &[&role("2", object)]);
    check(false, &[&role("1", object)], &[&role("1", other)]);
}

#[test]
fn what_is_said_matters() {
    let one = key(POLICY, "");
    check(false, &[&one], &[&key(&POLICY.replace("Allow", "Deny"), "")]);
    check(false, &[&one], &[&key("\"default\"", "")]);
    check(false, &[&one], &[&key(POLICY, ",\"Aliases\":[\"alias/a\"]")]);
    check(false, &[&one], &[&key(POLICY, ",\"Tags\":[{\"TagKey\":\"a\",\"TagValue\":\"b\"}]")]);
    check(false, &[&one], &[&one, "{\"Assertions\":[{\"name\":\"a\"}]}"]);
    let grant = |context: &str| {
        key(
            POLICY,
            &format!(
                r#","Grants":[{{{GRANT},"Constraints":{{"EncryptionContextSubset":{{"Policy":"{context}"}}}}}}]"#
            ),
        )
    };
    check(false, &[&grant("{}")], &[&grant("{ }")]);
}

use std::sync::Arc;

use super::finding::Findings;
use super::rule::{Example, Severity};
use super::{GRANT_DAYS, Settings, lint, rules};
use crate::engine::bundle::{Document, Options};
use crate::engine::snapshot::build::build;
use crate::engine::term::time::Timestamp;

/// 2026-01-15.
const NOW: i64 = 1_768_435_200;

fn look(text: &str) -> Findings {
    let documents = [Document { name: "set.json".into(), text: Arc::from(text) }];
    let options = Options::default();
    let built = build(&documents, &options).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    let settings = Settings { now: Timestamp::new(NOW, 0), grant_days: GRANT_DAYS };
    lint(&documents, &options, &built.snapshot, settings)
}

fn codes(findings: &Findings) -> Vec<&'static str> {
    findings.open().map(|finding| finding.rule.code).collect()
}

fn shown(example: Example) -> &'static str {
    match example {
        Example::Statement(text)
        | Example::Policy(text)
        | Example::Identity(text)
        | Example::Grant(text)
        | Example::Document(text) => text,
    }
}

#[test]
fn every_rule_finds_its_bad_example_and_not_its_good_one() {
    let mut failed = Vec::new();
    for rule in rules::all() {
        let bad = look(&rule.bad.document());
        let text = rule.bad.document();
        let found = bad.open().find(|finding| finding.rule.code == rule.code);
        match found {
            None => failed.push(format!("{}: not found, but {:?}", rule.code, codes(&bad))),
            Some(finding) => {
                // The place lies in what the example shows.
                let line = text.lines().nth(finding.place.line as usize - 1).unwrap_or_default();
                let shows = shown(rule.bad).lines().any(|part| line.contains(part.trim()));
                if !shows {
                    failed.push(format!("{}: points at {line}", rule.code));
                }
            }
        }
        let good = codes(&look(&rule.good.document()));
        if good.contains(&rule.code) {
            failed.push(format!("{}: found in the good example", rule.code));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn good_examples_are_good_in_every_way() {
    let mut failed = Vec::new();
    for rule in rules::all() {
        let others = look(&rule.good.document());
        let worse: Vec<String> = others
            .open()
            .filter(|finding| finding.severity > Severity::Suggestion)
            .map(|finding| format!("{}: {}", finding.rule.code, finding.message))
            .collect();
        if !worse.is_empty() {
            failed.push(format!("{}: {worse:?}", rule.code));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn codes_are_unique_and_texts_follow_the_house() {
    let mut seen: Vec<&str> = rules::all().map(|rule| rule.code).collect();
    assert!(seen.len() >= 40, "{} rules", seen.len());
    seen.sort_unstable();
    let all = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), all, "a code is there twice");
    for rule in rules::all() {
        let plain = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(rule.code.chars().all(plain), "{}", rule.code);
        assert!(!rule.title.ends_with('.') && !rule.advice.ends_with('.'), "{}", rule.code);
        assert!(rule.why.ends_with('.'), "{}", rule.code);
        assert!(!rule.source.is_empty(), "{}", rule.code);
    }
}

#[test]
fn an_explanation_covers_what_it_stands_beside() {
    let key = |id: &str, lint: &str| {
        format!(
            r#"{{"KeyMetadata": {{"Arn": "arn:aws:kms:us-west-2:111122223333:key/{id}"}}, "KeyRotationEnabled": false{lint},
            "Policy": "default"}}"#
        )
    };
    let why = r#", "Lint": [{"Code": "rotation-off", "Why": "short-lived"}]"#;
    let set = format!(r#"{{"Keys": [{}, {}, {}]}}"#, key("1", ""), key("2", why), key("3", ""));
    let found = look(&set);
    assert_eq!(codes(&found), ["rotation-off", "rotation-off"]);
    let explained: Vec<&str> =
        found.all().iter().filter_map(|finding| finding.explained.as_deref()).collect();
    assert_eq!(explained, ["short-lived"]);
    let whole = format!(r#"{{"Keys": [{}, {}]{why}}}"#, key("1", ""), key("2", ""));
    assert!(codes(&look(&whole)).is_empty());
}

#[test]
fn places_in_policy_texts_are_those_of_the_document() {
    let statement = r#"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"kms:Encrypt\",\"Resource\":\"*\"}]}"#;
    let key = |id: &str| {
        format!(
            r#"{{"KeyMetadata": {{"Arn": "arn:aws:kms:us-west-2:111122223333:key/{id}"}},
 "Policy": "{statement}"}}"#
        )
    };
    let set = format!("{{\"Keys\": [{},\n{}]}}", key("1"), key("2"));
    let found = look(&set);
    let lines: Vec<(u32, u32)> = found
        .open()
        .filter(|finding| finding.rule.code == "open-to-everyone")
        .map(|finding| (finding.place.line, finding.place.column))
        .collect();
    let column = set.lines().nth(1).and_then(|line| line.find(r#"\"*\""#)).map(|at| at as u32 + 1);
    let column = column.unwrap_or_default();
    assert_eq!(lines, [(2, column), (4, column)], "{set}");
}

#[test]
fn the_engine_is_asked_who_can_repair_a_policy() {
    // The role is named, but a Deny that always applies takes it back.
    let set = r#"{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}, "Policy": {"Version": "2012-10-17", "Statement": [
      {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"}, "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy"], "Resource": "*"},
      {"Effect": "Deny", "Principal": "*", "Action": "kms:Put*", "Resource": "*", "Condition": {"StringEquals": {"kms:CallerAccount": "111122223333"}}}]}}"#;
    let found = codes(&look(set));
    assert!(found.contains(&"lockout"), "{found:?}");
    // An IAM policy of the account helps, where the key policy enables it.
    let set = |action: &str| {
        format!(
            r#"{{"Keys": [{{"KeyMetadata": {{"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}}, "Policy": {{"Version": "2012-10-17", "Statement": [
      {{"Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::111122223333:root"}}, "Action": "kms:*", "Resource": "*"}},
      {{"Effect": "Deny", "Principal": "*", "Action": "kms:PutKeyPolicy", "Resource": "*",
        "Condition": {{"ArnNotEquals": {{"aws:PrincipalArn": "arn:aws:iam::111122223333:role/Admin"}}}}}}]}}}}],
      "RoleDetailList": [{{"RoleName": "Admin", "Arn": "arn:aws:iam::111122223333:role/Admin", "RolePolicyList": [{{"PolicyName": "p",
       "PolicyDocument": {{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "{action}", "Resource": "arn:aws:kms:us-west-2:111122223333:key/1"}}]}}}}]}}]}}"#
        )
    };
    assert!(!codes(&look(&set("kms:PutKeyPolicy"))).contains(&"lockout"));
    assert!(codes(&look(&set("kms:GetKeyPolicy"))).contains(&"lockout"));
}

#[test]
fn an_allow_that_perhaps_means_another_service_makes_no_other_needless() {
    let policy = |first: &str| {
        let allow = |action: &str| {
            format!(
                r#"{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::111122223333:role/App"}},"Action":"{action}","Resource":"*"}}"#
            )
        };
        format!(
            r#"{{"KeyMetadata":{{"Arn":"arn:aws:kms:us-west-2:111122223333:key/1"}},"Policy":{{"Version":"2012-10-17","Statement":[{},{}]}}}}"#,
            allow(first),
            allow("kms:DescribeKey")
        )
    };
    assert!(codes(&look(&policy("kms:Describe*"))).contains(&"redundant-allow"));
    assert!(!codes(&look(&policy("k*:Describe*"))).contains(&"redundant-allow"));
}

#[test]
fn a_unique_id_is_whose_the_set_says() {
    let set = |id: &str| {
        format!(
            r#"{{"KeyMetadata": {{"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}}, "Policy": {{"Version": "2012-10-17", "Statement": [
      {{"Effect": "Allow", "Principal": {{"AWS": "AROAEXAMPLEADMIN0001"}}, "Resource": "*",
        "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:Encrypt", "kms:DescribeKey"]}}]}},
      "RoleDetailList": [{{"RoleName": "Admin", "RoleId": "{id}", "Arn": "arn:aws:iam::111122223333:role/Admin", "RolePolicyList": []}}]}}"#
        )
    };
    let known = codes(&look(&set("AROAEXAMPLEADMIN0001")));
    assert_eq!(known, ["delegation-missing", "admin-and-use"]);
    let other = codes(&look(&set("AROAEXAMPLEADMIN0002")));
    assert_eq!(other, ["lockout", "delegation-missing", "deleted-principal"]);
}

#[test]
fn a_shared_policy_may_keep_a_key_from_being_locked() {
    let set = |effect: &str| {
        format!(
            r#"{{"KeyMetadata": {{"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}}, "Policy": {{"Version": "2012-10-17", "Statement": []}},
      "RamPolicy": {{"Version": "2012-10-17", "Statement": [{{"Effect": "{effect}", "Resource": "*",
        "Principal": {{"AWS": "arn:aws:iam::111122223333:role/Admin"}}, "Action": "kms:PutKeyPolicy"}}]}}}}"#
        )
    };
    assert!(!codes(&look(&set("Allow"))).contains(&"lockout"));
    assert!(codes(&look(&set("Deny"))).contains(&"lockout"));
}

#[test]
fn to_enable_the_account_twice_may_leave_others_in_the_statement() {
    let set = r#"{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}, "Policy": {"Version": "2012-10-17", "Statement": [
      {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
      {"Effect": "Allow", "Principal": {"AWS": ["111122223333", "arn:aws:iam::111122223333:role/Reader"]}, "Action": "kms:DescribeKey", "Resource": "*"}]}}"#;
    let found = look(set);
    let doubled = found.open().find(|finding| finding.rule.code == "delegation-doubled");
    let help = doubled.map(|finding| finding.help.as_str());
    assert_eq!(help, Some("take the account out of this statement, or narrow the other one"));
}

#[test]
fn a_unique_id_that_may_be_somebodys_locks_nobody_out() {
    let set = |more: &str| {
        format!(
            r#"{{"KeyMetadata": {{"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}}, "Policy": {{"Version": "2012-10-17", "Statement": [
      {{"Effect": "Allow", "Principal": {{"AWS": "AROAEXAMPLEADMIN0001"}}, "Action": "kms:*", "Resource": "*"}}]}}{more}}}"#
        )
    };
    let role = |id: &str| {
        format!(
            r#", "RoleDetailList": [{{"RoleName": "Admin", {id}"Arn": "arn:aws:iam::111122223333:role/Admin", "RolePolicyList": []}}]"#
        )
    };
    // Neither of these sets knows whose it is.
    assert!(!codes(&look(&set(""))).contains(&"lockout"));
    assert!(!codes(&look(&set(&role("")))).contains(&"lockout"));
    let other = role(r#""RoleId": "AROAEXAMPLEADMIN0002", "#);
    assert!(codes(&look(&set(&other))).contains(&"lockout"));
}

#[test]
fn a_condition_that_needs_tags_or_aliases_of_the_key_limits() {
    let set = |operand: &str| {
        format!(
            r#"{{"KeyMetadata": {{"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}}, "Policy": {{"Version": "2012-10-17", "Statement": [
      {{"Effect": "Allow", "Principal": {{"Service": "s3.amazonaws.com"}}, "Action": "kms:Decrypt", "Resource": "*",
        "Condition": {{"StringNotEquals": {{"kms:WrappingAlgorithm": "{operand}"}}}}}}]}}}}"#
        )
    };
    assert!(codes(&look(&set("red"))).contains(&"condition-always-met"));
    let needs = look(&set("${kms:ResourceAliases, 'red'}"));
    assert!(!codes(&needs).contains(&"condition-always-met"));
}

#[test]
fn a_grant_to_a_unique_id_is_to_whom_the_set_says() {
    let set = |id: &str| {
        format!(
            r#"{{"KeyMetadata": {{"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}}, "Policy": "default", "Grants": [
      {{"GrantId": "a1", "GranteePrincipal": "AROAEXAMPLEBATCH0001", "Operations": ["Decrypt"]}}],
      "RoleDetailList": [{{"RoleName": "Batch", "RoleId": "{id}", "Arn": "arn:aws:iam::111122223333:role/Batch", "RolePolicyList": []}}]}}"#
        )
    };
    assert!(!codes(&look(&set("AROAEXAMPLEBATCH0001"))).contains(&"grant-to-nobody"));
    assert!(codes(&look(&set("AROAEXAMPLEBATCH0002"))).contains(&"grant-to-nobody"));
}

#[test]
fn with_more_administrators_than_are_asked_nothing_is_claimed() {
    let set = |count: usize| {
        let role = |number: usize| {
            format!(
                r#"{{"RoleName": "R{number}", "Arn": "arn:aws:iam::111122223333:role/R{number}", "RolePolicyList": [{{"PolicyName": "p",
       "PolicyDocument": {{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "kms:PutKeyPolicy", "Resource": "*"}}]}}}}]}}"#
            )
        };
        let roles: Vec<String> = (0..count).map(role).collect();
        format!(
            r#"{{"Keys": [{{"KeyMetadata": {{"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}}, "Policy": {{"Version": "2012-10-17", "Statement": [
      {{"Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::111122223333:root"}}, "Action": "kms:*", "Resource": "*",
        "Condition": {{"StringEquals": {{"aws:PrincipalArn": "arn:aws:iam::111122223333:role/Nobody"}}}}}}]}}}}],
      "RoleDetailList": [{}]}}"#,
            roles.join(", ")
        )
    };
    assert!(codes(&look(&set(3))).contains(&"lockout"));
    assert!(!codes(&look(&set(100))).contains(&"lockout"));
}

/// A set with one key, whose policy has these statements.
fn key_with(statements: &str, more: &str) -> String {
    format!(
        r#"{{"KeyMetadata": {{"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}}, "Policy": {{"Version": "2012-10-17", "Statement": [
      {statements}]}}{more}}}"#
    )
}

#[test]
fn what_a_session_of_a_role_may_the_role_may() {
    let encrypts = r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:Encrypt", "Resource": "*"}"#;
    let describes = |session: &str| {
        let by_policy = format!(
            r#"{encrypts}, {{"Effect": "Allow", "Principal": {{"AWS": "arn:aws:sts::111122223333:assumed-role/{session}"}}, "Action": "kms:DescribeKey", "Resource": "*"}}"#
        );
        let by_grant = format!(
            r#", "Grants": [{{"GrantId": "a1", "GranteePrincipal": "arn:aws:sts::111122223333:assumed-role/{session}", "Operations": ["DescribeKey"]}}]"#
        );
        [key_with(&by_policy, ""), key_with(encrypts, &by_grant)]
    };
    for set in describes("App/s1") {
        assert!(!codes(&look(&set)).contains(&"use-without-describe"), "{set}");
    }
    for set in describes("Other/s1") {
        assert!(codes(&look(&set)).contains(&"use-without-describe"), "{set}");
    }
}

#[test]
fn a_shared_policy_may_leave_the_key_to_the_account() {
    let set = |action: &str| {
        let shared = format!(
            r#", "RamPolicy": {{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Resource": "*",
        "Principal": {{"AWS": "arn:aws:iam::111122223333:root"}}, "Action": "{action}"}}]}},
      "RoleDetailList": [{{"RoleName": "App", "Arn": "arn:aws:iam::111122223333:role/App", "RolePolicyList": [{{"PolicyName": "p",
       "PolicyDocument": {{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "kms:Decrypt",
        "Resource": "arn:aws:kms:us-west-2:111122223333:key/1"}}]}}}}]}}]"#
        );
        key_with("", &shared)
    };
    let found = codes(&look(&set("kms:*")));
    assert!(
        !found.contains(&"delegation-missing") && !found.contains(&"identity-allow-inert"),
        "{found:?}"
    );
    assert!(codes(&look(&set("kms:Encrypt"))).contains(&"identity-allow-inert"));
}

#[test]
fn the_same_digits_in_another_partition_are_another_account() {
    let set = |partition: &str| {
        key_with(
            &format!(
                r#"{{"Effect": "Allow", "Principal": {{"AWS": "arn:{partition}:iam::111122223333:root"}}, "Action": "kms:*", "Resource": "*"}},
      {{"Effect": "Allow", "Principal": {{"AWS": "111122223333"}}, "Action": "kms:DescribeKey", "Resource": "*"}}"#
            ),
            "",
        )
    };
    assert!(codes(&look(&set("aws"))).contains(&"delegation-doubled"));
    assert!(!codes(&look(&set("aws-cn"))).contains(&"delegation-doubled"));
}

#[test]
fn a_wildcard_may_stand_for_the_start_of_an_arn() {
    let set = |resource: &str| {
        format!(
            r#"{{"RoleDetailList": [{{"RoleName": "App", "Arn": "arn:aws:iam::111122223333:role/App", "RolePolicyList": [{{"PolicyName": "p",
       "PolicyDocument": {{"Version": "2012-10-17", "Statement": [{{"Effect": "Deny", "Action": "kms:DescribeKey", "Resource": "{resource}"}}]}}}}]}}]}}"#
        )
    };
    assert!(codes(&look(&set("key/1"))).contains(&"resource-not-key-arn"));
    assert!(
        !codes(&look(&set("a*:aws:kms:us-west-2:111122223333:key/*")))
            .contains(&"resource-not-key-arn")
    );
}

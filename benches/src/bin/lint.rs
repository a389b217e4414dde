//! Linting 10,000 keys, against loading them: milliseconds, and how many times the load it takes.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml --bin lint`

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use keyward::engine::bundle::{Document, Options};
use keyward::engine::snapshot::build::build;
use keyward::engine::term::time::Timestamp;
use keyward::lint::{GRANT_DAYS, Settings, lint};
use keyward_benches::{Contender, nanoseconds, print};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: usize = 10_000;
const ROLES: usize = 200;
const MANY_ROLES: usize = 5_000;
/// Policies that keys share where they do.
const SHARED: usize = 20;

/// An IAM policy of administrators.
const REPAIRS: &str = r#"{"Effect": "Allow", "Action": "kms:PutKeyPolicy", "Resource": "*"}"#;

fn main() {
    let some = || roles(ROLES, &|_| REPAIRS.to_owned());
    compare("one of 20 policies a key", &|key| policy(key % SHARED, ""), "", &some());
    compare("a policy of its own a key", &|key| policy(key, ""), "", &some());
    compare(
        "something found in every policy",
        &|key| {
            policy(
                key,
                r#", {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Encrypt", "Resource": "*"}"#,
            )
        },
        "",
        &some(),
    );
    compare(
        "nobody repairs the policy of any key",
        &|key| delegation(key, "kms:DescribeKey", ""),
        "",
        &some(),
    );
    compare(
        "each policy is left to the account through an endpoint",
        &|key| {
            delegation(
                key,
                "kms:*",
                r#", "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}"#,
            )
        },
        "",
        &some(),
    );
    compare(
        "each policy is left to whom a tag says",
        &|key| {
            delegation(
                key,
                "kms:*",
                r#", "Condition": {"StringEquals": {"aws:PrincipalTag/a": "b"}}"#,
            )
        },
        "",
        &some(),
    );
    compare(
        "each policy is kept from all but one administrator",
        &|key| {
            let deny = r#"{"Effect": "Deny", "Principal": "*", "Action": "kms:PutKeyPolicy", "Resource": "*",
                "Condition": {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/Role199"}}}"#;
            let all = delegation(key, "kms:*", "");
            format!("{}, {deny}]}}", all.strip_suffix("]}").unwrap_or(&all))
        },
        "",
        &some(),
    );
    compare(
        "200 roles may do everything with keys that leave it to nobody",
        &|key| policy(key, "").replace("111122223333:root", "111122223333:role/Admin"),
        "",
        &roles(ROLES, &|_| r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}"#.to_owned()),
    );
    compare(
        "5,000 roles may do everything with every key",
        &|key| policy(key, ""),
        "",
        &roles(MANY_ROLES, &|_| {
            r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}"#.to_owned()
        }),
    );
    compare(
        "5,000 roles may do everything with a key each",
        &|key| policy(key, ""),
        "",
        &roles(MANY_ROLES, &|role| {
            format!(r#"{{"Effect": "Allow", "Action": "kms:*", "Resource": "{}"}}"#, arn(role))
        }),
    );
    let grants: String = (0..10)
        .map(|grant| {
            let comma = if grant == 0 { "" } else { ", " };
            format!(
                r#"{comma}{{"GrantId": "{grant}", "GranteePrincipal": "arn:aws:iam::111122223333:role/Role{grant}",
                "Operations": ["Decrypt", "CreateGrant"], "CreationDate": 1262304000}}"#
            )
        })
        .collect();
    compare(
        "ten grants a key",
        &|key| policy(key, ""),
        &format!(r#", "Grants": [{grants}]"#),
        &some(),
    );
}

fn compare(case: &str, policy: &dyn Fn(usize) -> String, more: &str, iam: &str) {
    let mut documents: Vec<Document> =
        (0..KEYS).map(|key| document(key, &policy(key), more)).collect();
    documents.push(Document { name: "iam.json".into(), text: Arc::from(iam) });
    let options = Options::default();
    let built = build(&documents, &options).expect("a set that can be used");
    let settings = Settings { now: Timestamp::new(1_768_435_200, 0), grant_days: GRANT_DAYS };
    let found = lint(&documents, &options, &built.snapshot, settings).all().len();
    let times = nanoseconds(
        &mut [
            Contender {
                name: "load",
                step: Box::new(|| {
                    black_box(build(&documents, &options).expect("a set"));
                }),
            },
            Contender {
                name: "lint",
                step: Box::new(|| {
                    black_box(lint(&documents, &options, &built.snapshot, settings));
                }),
            },
        ],
        1,
    );
    let of = |name: &str| {
        let time = times.iter().find(|(contender, _)| *contender == name);
        time.map_or(f64::NAN, |(_, nanoseconds)| nanoseconds / 1e6)
    };
    let (load, lint) = (of("load"), of("lint"));
    print(
        "lint",
        case,
        &[
            ("load_ms", load),
            ("lint_ms", lint),
            ("times_the_load", lint / load),
            ("findings", found as f64),
        ],
    );
}

fn arn(key: usize) -> String {
    format!("arn:aws:kms:us-west-2:111122223333:key/{key:08}-12ab-34cd-56ef-1234567890ab")
}

fn document(key: usize, policy: &str, more: &str) -> Document {
    let text = format!(
        r#"{{"KeyMetadata": {{"Arn": "{}"}}, "KeyRotationEnabled": true, "Policy": {policy}{more}}}"#,
        arn(key)
    );
    Document { name: format!("keys/{key}.json").into(), text: text.into() }
}

/// Console's default key policy, for a role of its own; `more` are further statements.
fn policy(number: usize, more: &str) -> String {
    let role = number % ROLES;
    format!(
        r#"{{"Version": "2012-10-17", "Id": "policy-{number}", "Statement": [
      {{"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::111122223333:root"}},
        "Action": "kms:*", "Resource": "*"}},
      {{"Sid": "Administrators", "Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::111122223333:role/Admin"}},
        "Action": ["kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*",
          "kms:Disable*", "kms:Get*", "kms:Delete*", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"], "Resource": "*"}},
      {{"Sid": "Users", "Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::111122223333:role/Role{role}"}},
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"], "Resource": "*",
        "Condition": {{"StringEquals": {{"kms:EncryptionContext:app": "app-{number}"}}}}}},
      {{"Sid": "Attachment", "Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::111122223333:role/Role{role}"}},
        "Action": ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant", "kms:DescribeKey"], "Resource": "*",
        "Condition": {{"StringEquals": {{"kms:ViaService": "ec2.us-west-2.amazonaws.com"}}}}}}{more}]}}"#
    )
}

/// A key policy that leaves an action to the account.
fn delegation(key: usize, action: &str, more: &str) -> String {
    format!(
        r#"{{"Version": "2012-10-17", "Id": "{key}", "Statement": [{{"Effect": "Allow", "Principal":
        {{"AWS": "arn:aws:iam::111122223333:root"}}, "Action": "{action}", "Resource": "*"{more}}}]}}"#
    )
}

/// So many roles, each with a policy of one statement.
fn roles(count: usize, statement: &dyn Fn(usize) -> String) -> String {
    let mut text = String::from(
        r#"{"RoleDetailList": [{"RoleName": "Admin", "Arn": "arn:aws:iam::111122223333:role/Admin", "RolePolicyList": []}"#,
    );
    for role in 0..count {
        let statement = statement(role);
        let _ = write!(
            text,
            r#", {{"RoleName": "Role{role}", "Arn": "arn:aws:iam::111122223333:role/Role{role}", "RolePolicyList": [
            {{"PolicyName": "p", "PolicyDocument": {{"Version": "2012-10-17", "Statement": [{statement}]}}}}]}}"#
        );
    }
    text.push_str("]}");
    text
}

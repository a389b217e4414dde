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
/// Policies that keys share where they do.
const SHARED: usize = 20;

fn main() {
    compare("one of 20 policies a key", &|key| policy(key % SHARED, ""));
    compare("a policy of its own a key", &|key| policy(key, ""));
    compare("something found in every policy", &|key| {
        policy(key, r#", {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Encrypt", "Resource": "*"}"#)
    });
    compare("nobody repairs the policy of any key", &|key| {
        format!(
            r#"{{"Version": "2012-10-17", "Id": "{key}", "Statement": [{{"Effect": "Allow", "Principal":
            {{"AWS": "arn:aws:iam::111122223333:root"}}, "Action": "kms:DescribeKey", "Resource": "*"}}]}}"#
        )
    });
}

fn compare(case: &str, policy: &dyn Fn(usize) -> String) {
    let mut documents: Vec<Document> = (0..KEYS).map(|key| document(key, &policy(key))).collect();
    documents.push(Document { name: "iam.json".into(), text: Arc::from(roles()) });
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
        &[("load_ms", load), ("lint_ms", lint), ("times_the_load", lint / load), ("findings", found as f64)],
    );
}

fn document(key: usize, policy: &str) -> Document {
    let text = format!(
        r#"{{"KeyMetadata": {{"Arn": "arn:aws:kms:us-west-2:111122223333:key/{key:08}-12ab-34cd-56ef-1234567890ab"}},
        "KeyRotationEnabled": true, "Policy": {policy}}}"#
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

fn roles() -> String {
    let mut text = String::from(
        r#"{"RoleDetailList": [{"RoleName": "Admin", "Arn": "arn:aws:iam::111122223333:role/Admin", "RolePolicyList": []}"#,
    );
    for role in 0..ROLES {
        let _ = write!(
            text,
            r#", {{"RoleName": "Role{role}", "Arn": "arn:aws:iam::111122223333:role/Role{role}", "RolePolicyList": [
            {{"PolicyName": "p", "PolicyDocument": {{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow",
            "Action": "kms:PutKeyPolicy", "Resource": "*"}}]}}}}]}}"#
        );
    }
    text.push_str("]}");
    text
}

//! Statements that want another value of a condition key are not looked at, which changes nothing:
//! who listens to all statements hears the same decision.

use std::collections::BTreeSet;

use keyward::engine::decide::coverage::Trace;
use keyward::engine::decide::{decide, observed};
use keyward::wire::proto::request::request;
use serde_json::{Value, json};

use crate::doors::{case, noon};

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A statement, mostly one that wants a value of a key that others want values of too.
    fn statement(&mut self) -> Value {
        const OPERATORS: [&str; 10] = [
            "StringEquals",
            "StringEquals",
            "StringEquals",
            "StringLike",
            "StringNotEquals",
            "StringEqualsIfExists",
            "StringEqualsIgnoreCase",
            "ForAnyValue:StringEquals",
            "ForAllValues:StringEquals",
            "StringNotLike",
        ];
        const KEYS: [&str; 5] = [
            "kms:EncryptionContext:tenant",
            "kms:EncryptionContext:Tenant",
            "aws:SourceVpc",
            "aws:PrincipalTag/tenant",
            "kms:ViaService",
        ];
        const VALUES: [&str; 6] = ["a", "b", "A", "", "c*", "${aws:PrincipalTag/tenant}"];
        let mut conditions = json!({});
        for _ in 0..1 + self.below(2) {
            let values: Vec<&str> = (0..1 + self.below(2)).map(|_| self.one(&VALUES)).collect();
            conditions[self.one(&OPERATORS)][self.one(&KEYS)] = json!(values);
        }
        let effect = if self.below(5) == 0 { "Deny" } else { "Allow" };
        let action = self.one(&["kms:Decrypt", "kms:*", "kms:Encrypt"]);
        json!({"Effect": effect, "Action": action, "Resource": "*", "Condition": conditions})
    }

    fn policy(&mut self, name: usize) -> Value {
        let statements: Vec<Value> = (0..4 + self.below(8)).map(|_| self.statement()).collect();
        json!({"PolicyName": format!("p{name}"), "PolicyDocument": {"Version": "2012-10-17", "Statement": statements}})
    }

    fn set(&mut self) -> Value {
        let policies: Vec<Value> = (0..2).map(|name| self.policy(name)).collect();
        json!([
            {"KeyMetadata": {"Arn": KEY}, "Policy": {"Version": "2012-10-17", "Statement": {"Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}}},
            {"UserDetailList": [{"UserName": "Alice", "Path": "/", "UserId": "AIDAEXAMPLEEXAMPLEALI",
                "Arn": "arn:aws:iam::111122223333:user/Alice", "UserPolicyList": policies,
                "Tags": [{"Key": "tenant", "Value": self.one(&["a", "b"])}]}]},
        ])
    }
}

#[test]
fn statements_that_want_another_value_change_nothing() {
    let mut numbers = Numbers(0x1357_9bdf_0246_8ace);
    let mut verdicts = BTreeSet::new();
    let (mut looked_at, mut asked) = (0, 0);
    for _ in 0..300 {
        let line = json!({"id": "x", "documents": numbers.set(), "request":
            {"principal": {"arn": "arn:aws:iam::111122223333:user/Alice"}, "action": "kms:Decrypt", "keyId": KEY}});
        let case = case(&line.to_string()).unwrap_or_else(|refused| panic!("{refused:?}: {line}"));
        for _ in 0..30 {
            let mut message = case.message.clone();
            for name in ["tenant", "Tenant"] {
                if numbers.below(2) == 0 {
                    let value = numbers.one(&["a", "b", "A", "cd", "x"]);
                    message.encryption_context.insert(name.to_owned(), value.to_owned());
                }
            }
            if numbers.below(2) == 0 {
                let value = numbers.one(&["a", "b", "", "c"]);
                message.context.insert("aws:SourceVpc".to_owned(), value.to_owned());
            }
            let request = request(&message, noon()).expect("a good request");
            let silent = decide(&case.snapshot, &request).expect("an answer");
            let mut trace = Trace::default();
            let heard = observed(&case.snapshot, &request, &mut trace).expect("an answer");
            assert_eq!(format!("{silent:?}"), format!("{heard:?}"), "{line} {message:?}");
            verdicts.insert(silent.verdict());
            looked_at += trace.statements.len();
            asked += 1;
        }
    }
    assert!(verdicts.len() > 2 && looked_at > 5 * asked, "{verdicts:?}, {looked_at} of {asked}");
}

//! Policies as objects and texts, their sizes, and that equal ones are shared.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{ARN, built, problems};
use crate::engine::bundle::Options;

const KEY_POLICY: &str =
    r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*"}}"#;
const BAD: &str = r#"{"Statement": [], "Statements": []}"#;

fn key_with(number: u32, policy: &str) -> String {
    format!("{{\"KeyMetadata\":{{\"Arn\":\"{ARN}{number}\"}},\n\"Policy\":{policy}}}")
}

fn text_of(json: &str) -> String {
    serde_json::Value::from(json).to_string()
}

fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            _ => write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail"),
        }
    }
    encoded
}

fn user_with(policy: &str) -> String {
    format!(
        "{{\"UserDetailList\":[{{\"Arn\":\"arn:aws:iam::111122223333:user/A\",\"UserPolicyList\":[{{\"PolicyName\":\"p\",\n\"PolicyDocument\":{policy}}}]}}]}}"
    )
}

/// Code and place of all problems.
#[track_caller]
fn check(text: &str, expected: &[(&str, u32, u32)]) {
    let found = problems(&[text], &Options::default());
    let places: Vec<_> = found
        .iter()
        .map(|problem| {
            let (line, column) =
                problem.place.as_ref().map_or((0, 0), |place| (place.line, place.column));
            (problem.code, line, column)
        })
        .collect();
    assert_eq!(places, expected, "{text}\n{found:#?}");
}

#[test]
fn problems_in_policies_have_their_place_in_the_document() {
    check(&key_with(1, BAD), &[("unknown-element", 2, 28)]);
    check(&key_with(1, &text_of(BAD)), &[("unknown-element", 2, 31)]);
    check(&key_with(1, r#""{\"Statement\":\n[,]}""#), &[("json-syntax", 2, 29)]);
    check(&key_with(1, r#""{\"a\":1,\"a\":2}""#), &[("json-duplicate-member", 2, 20)]);
    check(&user_with(BAD), &[("unknown-element", 2, 36)]);
    check(&user_with(&text_of(BAD)), &[("unknown-element", 2, 39)]);
    let encoded = text_of(&percent(BAD));
    let column =
        encoded.find("%22Statements").expect("it is there") + "\"PolicyDocument\":".len() + 1;
    check(
        &user_with(&encoded),
        &[("unknown-element", 2, u32::try_from(column).expect("it is small"))],
    );
    check(&user_with("\"%7B%2\""), &[("bad-percent-encoding", 2, 18)]);
    check(&key_with(1, &text_of(&percent(KEY_POLICY))), &[("json-syntax", 2, 11)]);
}

#[test]
fn equal_policies_are_one() {
    let spaced = KEY_POLICY.replace(':', " : ");
    let reordered = r#"{"Statement":{"Resource":"*","Action":"kms:*","Effect":"Allow","Principal":{"AWS":"*"}}}"#;
    let list = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*"}]}"#;
    let spaced = spaced.replace("kms : ", "kms:");
    let texts = [
        key_with(1, KEY_POLICY),
        key_with(2, &spaced),
        key_with(3, reordered),
        key_with(4, &text_of(&spaced)),
        key_with(5, list),
        key_with(6, "\"default\""),
        key_with(7, "\"default\""),
    ];
    let keys = built(&texts.each_ref().map(|text| &**text)).snapshot.keys.clone();
    let same = |a: u32, b: u32| {
        Arc::ptr_eq(&keys[&*format!("{ARN}{a}")].policy, &keys[&*format!("{ARN}{b}")].policy)
    };
    assert!(same(1, 2) && same(1, 3) && same(1, 4) && same(6, 7));
    assert!(!same(1, 5) && !same(1, 6));
}

#[test]
fn warnings_are_told_for_every_place() {
    let odd = KEY_POLICY.replace("kms:*", "kms:Frobnicate");
    let keys = format!("{{\"Keys\":[{},{}]}}", key_with(1, &odd), key_with(2, &odd));
    let found = problems(&[&keys], &Options::default());
    assert_eq!(
        found.iter().filter(|problem| problem.code == "unknown-action").count(),
        2,
        "{found:#?}"
    );
}

#[test]
fn key_policies_have_at_most_32_kib() {
    let sized = |size: usize, indentation: &str| {
        let frame = format!("{{\n{indentation}\"Statement\":[],\"Id\":\"\"}}");
        let missing = size - frame.len() + indentation.len();
        frame.replace("\"\"", &format!("\"{}\"", "x".repeat(missing)))
    };
    let indented = |size| key_with(1, &sized(size, "   ")).replace("\"Policy\"", "   \"Policy\"");
    check(&key_with(1, &sized(32_768, "")), &[]);
    check(&key_with(1, &sized(32_769, "")), &[("key-policy-too-large", 2, 10)]);
    check(&indented(32_768), &[]);
    check(&indented(32_769), &[("key-policy-too-large", 2, 13)]);
    check(&key_with(1, &text_of(&sized(32_768, ""))), &[]);
    check(&key_with(1, &text_of(&sized(32_769, ""))), &[("key-policy-too-large", 2, 10)]);
}

#[test]
fn key_policies_have_latin_characters_alone() {
    check(&key_with(1, r#"{"Id":"ÿ","Statement":[]}"#), &[]);
    check(&key_with(1, r#"{"Id":"Ā","Statement":[]}"#), &[("key-policy-characters", 2, 17)]);
    check(
        &key_with(1, r#""{\"Id\":\"\u0100\",\"Statement\":[]}""#),
        &[("key-policy-characters", 2, 21)],
    );
}

#[test]
fn large_policies_elsewhere_are_odd() {
    let sized = |size: usize| {
        let (start, end) = (r#"{"Statement": [], "Id":""#, "\"}");
        format!("{start}{}{end}", "x".repeat(size - (start.len() + end.len() - 2)))
    };
    check(&user_with(&sized(2048)), &[]);
    check(&user_with(&sized(2049)), &[("policy-too-large", 2, 18)]);
    check(&user_with(&text_of(&percent(&sized(2049)))), &[("policy-too-large", 2, 18)]);
    check(&user_with(&text_of(&percent(&sized(2048)))), &[]);
    let scp = |size| {
        format!(
            "{{\"Organization\":{{\"Id\":\"o-1\",\"Root\":{{\"Id\":\"r-1\",\"ServiceControlPolicies\":[{{\"Id\":\"p\",\n\"Content\":{}}}]}}}}}}",
            sized(size)
        )
    };
    check(&scp(5120), &[]);
    check(&scp(5121), &[("policy-too-large", 2, 11)]);
}

#[test]
fn only_the_full_access_policy_may_allow_resources() {
    let rcp = |name: &str| {
        let allow = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;
        format!(
            "{{\"Organization\":{{\"Id\":\"o-1\",\"Root\":{{\"Id\":\"r-1\",\"ResourceControlPolicies\":[{{{name},\"Content\":{allow}}}]}}}}}}"
        )
    };
    for name in [r#""Id":"p-RCPFullAWSAccess""#, r#""Name":"RCPFullAWSAccess""#] {
        assert_eq!(problems(&[&rcp(name)], &Options::default()), []);
    }
    assert!(!problems(&[&rcp(r#""Id":"p-1""#)], &Options::default()).is_empty());
}

#[test]
fn a_policy_that_is_recalled_counts_as_if_it_were_read_again() {
    for policy in [KEY_POLICY.to_owned(), text_of(KEY_POLICY)] {
        let alike: Vec<String> = (0..5).map(|n| key_with(n, &policy)).collect();
        let alike: Vec<&str> = alike.iter().map(|text| &**text).collect();
        // Spelt in as many ways as there are keys, it is read each time.
        let spelt = |n: u32| {
            let blanks = " ".repeat(usize::try_from(n).unwrap());
            key_with(n, &KEY_POLICY.replace(r#""Effect":"#, &format!(r#""Effect":{blanks}"#)))
        };
        let spelt: Vec<String> = (0..5).map(spelt).collect();
        let spelt: Vec<&str> = spelt.iter().map(|text| &**text).collect();
        let (alike, spelt) = (built(&alike).snapshot, built(&spelt).snapshot);
        assert_eq!(alike.revision, spelt.revision);
        assert_eq!(alike.keys.len(), 5);
        for (arn, key) in alike.keys.iter() {
            assert_eq!(key.policy, spelt.keys[arn].policy, "{arn}");
            assert!(Arc::ptr_eq(&key.policy, &alike.keys[&*format!("{ARN}0")].policy), "{arn}");
        }
    }
}

#[test]
fn what_is_wrong_around_a_policy_that_is_recalled_is_told() {
    let good: Vec<String> = (0..3).map(|n| key_with(n, KEY_POLICY)).collect();
    let codes = |last: &str| {
        let texts: Vec<&str> = good.iter().map(|text| &**text).chain([last]).collect();
        let found = problems(&texts, &Options::default());
        found.iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(&key_with(7, KEY_POLICY)), [""; 0]);
    assert_eq!(codes(&key_with(7, &format!("{KEY_POLICY}}}"))), ["json-syntax"]);
    assert_eq!(
        codes(&key_with(1, &format!("{KEY_POLICY},\"Tags\":[]"))),
        ["conflicting-documents"]
    );
    let twice = format!("{KEY_POLICY},\"Policy\":{KEY_POLICY}");
    assert_eq!(codes(&key_with(7, &twice)), ["json-duplicate-member"]);
    // Elsewhere the same bytes are what they are there.
    assert_eq!(codes(&format!(r#"{{"Policy":{KEY_POLICY}}}"#)), ["unknown-document"]);
    let ram = format!("{KEY_POLICY},\"RamPolicy\":{KEY_POLICY}");
    assert_eq!(codes(&key_with(7, &ram)), [""; 0]);
    assert_eq!(codes(&key_with(7, &format!("[{KEY_POLICY}]"))), ["wrong-type"]);
}

#[test]
fn policies_that_differ_share_the_statements_that_do_not() {
    let statement = |action: &str| {
        format!(r#"{{"Effect":"Allow","Principal":"*","Action":"{action}","Resource":"*"}}"#)
    };
    let policy = |action: &str| {
        let [first, second] = [statement("kms:Decrypt"), statement(action)];
        format!(r#"{{"Statement":[{first},{second}]}}"#)
    };
    let texts = [key_with(1, &policy("kms:Encrypt")), key_with(2, &policy("kms:Sign"))];
    let keys = built(&texts.each_ref().map(|text| &**text)).snapshot.keys.clone();
    let statements = |number: u32| -> Vec<_> {
        keys[&*format!("{ARN}{number}")].policy.statements().cloned().collect()
    };
    let (one, other) = (statements(1), statements(2));
    assert!(Arc::ptr_eq(&one[0], &other[0]));
    assert_ne!(one[1], other[1]);
}

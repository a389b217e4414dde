use serde_json::{Value, json};

use super::assertions::verify;
use super::{Syntax, read};
use crate::engine::bundle::{Document, Options};
use crate::engine::json::{Source, write_text};
use crate::engine::problem::Problem;
use crate::engine::snapshot::build::{Built, build};
use crate::engine::term::time::Timestamp;
use crate::wire::cases::expectation::Outcome;
use crate::wire::cases::{LIMITS, yaml};

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ALICE: &str = "arn:aws:iam::111122223333:user/alice";

fn noon() -> Timestamp {
    Timestamp::parse("2026-01-01T12:00:00Z").unwrap()
}

fn set(assertions: &Value) -> Built {
    let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": ALICE},
        "Action": "kms:Decrypt", "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:a": "b"}}}});
    let text = json!({"KeyMetadata": {"Arn": KEY}, "Policy": policy, "Assertions": assertions})
        .to_string();
    build(&[Document { name: "set.json".into(), text: text.into() }], &Options::default()).unwrap()
}

fn codes(assertions: &Value) -> Vec<&'static str> {
    verify(&set(assertions), noon()).iter().map(|problem| problem.code).collect()
}

#[test]
fn an_assertion_holds_or_is_a_problem_of_the_set() {
    let case = |context: &str, decision: &str, reason: &str| {
        json!([{"name": "n", "principal": ALICE, "action": "kms:Decrypt", "key": KEY,
            "encryption_context": {"a": context}, "context": {"aws:SourceIp": "192.0.2.1"},
            "expect": {"decision": decision, "reason": reason}}])
    };
    assert_eq!(codes(&case("b", "allowed", "key_policy")), [""; 0]);
    assert_eq!(codes(&case("c", "implicitDeny", "key_policy")), [""; 0]);
    assert_eq!(codes(&case("c", "allowed", "key_policy")), ["assertion-failed"]);
    assert_eq!(codes(&case("b", "allowed", "grant")), ["assertion-failed"]);
    assert_eq!(codes(&case("b", "yes", "grant")), ["bad-assertion"]);
    assert_eq!(codes(&case("b", "allowed", "key policy")), ["bad-assertion"]);
}

#[test]
fn a_case_that_cannot_be_read_is_never_taken_for_one_that_holds() {
    let whole = json!({"name": "n", "principal": ALICE, "action": "kms:Decrypt", "key": KEY,
        "expect": {"decision": "implicitDeny"}});
    for missing in ["principal", "action", "expect", "key"] {
        let mut case = whole.clone();
        case.as_object_mut().unwrap().remove(missing);
        assert_eq!(codes(&json!([case])), ["bad-assertion"], "{missing}");
    }
    for (name, value) in [
        ("actoin", json!("x")),
        ("now", json!("noon")),
        ("context", json!([])),
        ("context", json!({"kms:ViaService": "x"})),
        ("tags", json!({"a": null})),
        ("parameters", json!({"no_such": 1})),
        ("parameters", json!({"grant": {"constraints": {"no_such": {}}}})),
        ("grant_tokens", json!([1])),
        ("action", json!("kms:Decript")),
        ("key", json!("alias/")),
        ("key", json!(7)),
    ] {
        let mut case = whole.clone();
        case.as_object_mut().unwrap().insert(name.to_owned(), value);
        assert_eq!(codes(&json!([case])), ["bad-assertion"], "{name}");
    }
}

#[test]
fn a_failed_case_says_what_was_decided_and_why() {
    let text = format!(
        "- name: n\n  principal: {ALICE}\n  action: kms:Decrypt\n  key: {KEY}\n  context: {{aws:CalledVia: [s3.amazonaws.com]}}\n  expect: {{decision: allowed}}\n"
    );
    let cases = read("a.yaml", &text, Syntax::Yaml).unwrap();
    let Outcome::Fails(message) = cases[0].check(&set(&json!([])).snapshot, noon()) else {
        panic!("it fails")
    };
    assert!(message.starts_with("expected allowed, decided implicitDeny (key_policy): User: "));
    assert_eq!((cases[0].place.line, cases[0].place.column), (1, 3));
}

/// The problems of a text: code, line, column and a part of the message.
#[track_caller]
fn check(text: &str, expected: &[(&str, u32, u32, &str)]) {
    let found = match read("a.yaml", text, Syntax::Yaml) {
        Ok(cases) => panic!("{} cases in {text}", cases.len()),
        Err(problems) => problems,
    };
    let found: Vec<&Problem> = found.as_slice().iter().collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (problem, (code, line, column, part)) in found.iter().zip(expected) {
        let place = problem.place.as_ref().unwrap();
        assert_eq!((problem.code, place.line, place.column), (*code, *line, *column), "{problem}");
        assert!(problem.message.contains(part), "{problem}");
    }
}

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_place_all_at_once() {
    check(
        "- name: é ü\n  principel: x\n  action: kms:Decrypt\n  key: 1\n  expect: {decision: allowed, raeson: x}\n\
         - name: b\n  principal: arn:aws:iam::111122223333:user/alice\n  action: kms:Decript\n  key: k\n\
         \x20 expect: {decision: allowed}\n",
        &[
            ("bad-case", 1, 3, "the case has no `principal`"),
            ("bad-case", 2, 3, "did you mean `principal`?"),
            ("bad-case", 4, 8, "`key`: expected a text, found a number: put it in quotes"),
            ("bad-case", 5, 31, "unknown member `expect.raeson`"),
            ("bad-case", 8, 11, "no action or operation `kms:Decript`"),
        ],
    );
    check("name: x\n", &[("bad-case", 1, 1, "a file of cases is a list")]);
    check("- - x\n", &[("bad-case", 1, 3, "a case is an object, not a list")]);
}

#[test]
fn what_is_no_strict_yaml_is_refused_with_its_place() {
    check("- é: ü\n  é: x\n", &[("yaml-duplicate-key", 2, 3, "first on line 1")]);
    check("- {a: 1, \"a\": 2}\n", &[("yaml-duplicate-key", 1, 10, "`a` is there twice")]);
    check("- a: !!binary x\n", &[("yaml-tag", 1, 6, "binary")]);
    check("- ? [a]\n  : b\n", &[("yaml-syntax", 1, 5, "a key is a text")]);
    check("- a: [1\n", &[("yaml-syntax", 2, 1, "")]);
    check("- a: *b\n", &[("yaml-syntax", 1, 6, "")]);
    check("- &a [*a]\n", &[("yaml-syntax", 1, 7, "inside what it stands for")]);
    check(&"[".repeat(40), &[("yaml-too-deep", 1, 33, "32 levels")]);
}

#[test]
fn aliases_are_bounded_by_what_they_stand_for() {
    let mut bomb = "- &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("- &a{level} [{aliases}]\n"));
    }
    let found = read("a.yaml", &bomb, Syntax::Yaml).unwrap_err();
    assert_eq!(found.as_slice()[0].code, "yaml-too-many-values");
    let mut deep = "- &a0 [x]\n".to_owned();
    for level in 1..40 {
        deep.push_str(&format!("- &a{level} [*a{}]\n", level - 1));
    }
    let found = read("a.yaml", &deep, Syntax::Yaml).unwrap_err();
    assert_eq!(found.as_slice()[0].code, "yaml-too-deep");
}

/// What a text is as JSON.
#[track_caller]
fn value(text: &str, expected: &Value) {
    let source = Source::new("a.yaml".into(), text);
    let mut problems = Vec::new();
    let documents = yaml::read(&source, &LIMITS, &mut problems).unwrap_or_default();
    assert_eq!(problems, [], "{text}");
    let mut found = Vec::new();
    found.push(b'[');
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            found.push(b',');
        }
        document.canonical(&mut found);
    }
    found.push(b']');
    assert_eq!(serde_json::from_slice::<Value>(&found).unwrap(), *expected, "{text}");
}

#[test]
fn yaml_is_read_by_the_core_schema() {
    value(
        "a: 42\nb: '42'\nc: !!str 42\nd: 0x1F\ne: 007\nf: 1e3\ng: -0.5\n",
        &json!([
        {"a": 42, "b": "42", "c": "42", "d": "0x1F", "e": "007", "f": 1e3, "g": -0.5}]),
    );
    value(
        "[true, yes, ~, null, '', No, False, 2026-01-01]",
        &json!([[true, "yes", null, null, "", "No", false, "2026-01-01"]]),
    );
    value("- &x {a: b}\n- *x\n---\n- é\n", &json!([[{"a": "b"}, {"a": "b"}], ["é"]]));
    value(
        "a: |\n  line\n  more\nb: >\n  one\n  line\n",
        &json!([{"a": "line\nmore\n", "b": "one line\n"}]),
    );
    value("", &json!([]));
    value("# nothing\n", &json!([]));
}

#[test]
fn json_is_yaml_and_read_as_such() {
    let mut name = Vec::new();
    write_text("a \"quoted\" näme\twith\\ \u{1F600}", &mut name);
    let name = String::from_utf8(name).unwrap();
    let text = format!(
        "[{{\"name\": {name}, \"principal\": \"{ALICE}\", \"action\": \"Decrypt\", \"key\": \"{KEY}\", \"expect\": {{\"decision\": \"implicitDeny\"}}}}]"
    );
    let [yaml, json] = [Syntax::Yaml, Syntax::Json].map(|syntax| read("a", &text, syntax).unwrap());
    assert_eq!((&yaml[0].name, &yaml[0].message), (&json[0].name, &json[0].message));
}

#[test]
fn whatever_bytes_come_the_reader_ends_without_panic() {
    let seeds = [
        "- name: x\n  expect: {decision: allowed}\n  a: &b [1, 'two', \"three\\u0041\"]\n  c: *b\n",
        "%YAML 1.2\n---\n? a\n: |2-\n   x\n...\n--- !!str\n>+\n y\n",
        "[{\"a\": [1e5, null, true], \"b\": {\"c\": \"\\ud83d\\ude00\"}}]",
    ];
    let alphabet: Vec<char> = "[]{}:,-?&*!|>'\"%@`#~ \n\t\\a1é\u{feff}\r".chars().collect();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    for round in 0..20_000 {
        let mut text: Vec<char> = seeds[round % seeds.len()].chars().collect();
        for _ in 0..=next(6) {
            let at = next(text.len());
            match next(3) {
                0 => text.insert(at, alphabet[next(alphabet.len())]),
                1 => drop(text.remove(at)),
                _ => text[at] = alphabet[next(alphabet.len())],
            }
            if text.is_empty() {
                text.push('-');
            }
        }
        let text: String = text.into_iter().collect();
        let _ = read("a.yaml", &text, Syntax::Yaml);
    }
}

//! `keyward test`: cases against a set, in every format.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::doors::{keyward, parsed, text};

/// Example sets; beside each are the cases that test all of it.
const EXAMPLES: [&str; 5] = [
    "examples/quickstart",
    "examples/envelope",
    "examples/cross-account",
    "examples/console",
    "examples/service",
];

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ALICE: &str = "arn:aws:iam::111122223333:user/alice";

/// A copy of the quickstart set in which one file reads differently.
fn quickstart_with(file: &str, old: &str, new: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    copy(Path::new("examples/quickstart"), folder.path());
    let path = folder.path().join(file);
    let said = fs::read_to_string(&path).expect("a file");
    assert!(said.contains(old), "no {old:?} in {file}");
    fs::write(path, said.replacen(old, new, 1)).expect("a file");
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("a file");
        }
    }
}

fn test(folder: &Path, more: &[&str]) -> std::process::Output {
    let folder = folder.to_str().expect("UTF-8");
    keyward(&[&["test", "--policies", folder], more].concat(), "")
}

/// A folder with a key that alice may decrypt with in one context, and a file of cases.
fn alice(assertions: &str, cases: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let key = format!(
        r#"{{"KeyMetadata": {{"Arn": "{KEY}"}}, "Policy": {{"Version": "2012-10-17", "Statement": [
 {{"Sid": "alice", "Effect": "Allow", "Principal": {{"AWS": "{ALICE}"}}, "Action": "kms:Decrypt", "Resource": "*",
  "Condition": {{"StringEquals": {{"kms:EncryptionContext:a": "b"}}}}}},
 {{"Sid": "never", "Effect": "Deny", "Principal": "*", "Action": "kms:DisableKey", "Resource": "*"}}]}},
 "Assertions": [{assertions}]}}"#
    );
    fs::create_dir(folder.path().join("set")).expect("a folder");
    fs::write(folder.path().join("set/key.json"), key).expect("a file");
    fs::write(folder.path().join("cases.yaml"), cases).expect("a file");
    folder
}

fn case(name: &str, context: &str, decision: &str) -> String {
    format!(
        "- {{name: {name}, principal: '{ALICE}', action: kms:Decrypt, key: '{KEY}', encryption_context: {{a: {context}}}, expect: {{decision: {decision}}}}}\n"
    )
}

fn run(folder: &tempfile::TempDir, more: &[&str]) -> std::process::Output {
    let cases = folder.path().join("cases.yaml");
    let cases = cases.to_str().expect("UTF-8");
    test(&folder.path().join("set"), &[&[cases], more].concat())
}

#[test]
fn the_cases_of_every_example_hold_and_leave_nothing_untested() {
    for set in EXAMPLES {
        let cases = format!("{set}-cases.yaml");
        let checked = keyward(&["check", "--policies", set, "--format", "json"], "");
        assert_eq!(parsed(&text(&checked.stdout))["problems"], serde_json::json!([]), "{set}");
        let output = test(Path::new(set), &[&cases, "--coverage", "--mutate", "--strict"]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{set}:\n{said}{}", text(&output.stderr));
        assert!(said.contains("statements (100 %)") && said.contains("changes noticed:"), "{said}");
        assert!(!said.contains("not noticed"), "{said}");
    }
    let folders =
        fs::read_dir("examples").expect("a folder").map(|entry| entry.expect("an entry").path());
    let sets = folders.filter(|path| {
        path.with_file_name(format!("{}-cases.yaml", path.file_name().expect("a name").display()))
            .exists()
    });
    assert_eq!(sets.count(), EXAMPLES.len(), "an example with cases is not tried");
}

#[test]
fn a_broken_policy_fails_its_cases_with_the_reason_on_one_screen() {
    let broken = quickstart_with("keys/orders.json", r#"["42", "77"]"#, r#"["77"]"#);
    let output = test(broken.path(), &["examples/quickstart-cases.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stdout);
    let screens: Vec<&str> = said.split("\nFAIL ").collect();
    assert_eq!(screens.len(), 1, "{said}");
    assert!(said.lines().count() <= 24, "{said}");
    for part in [
        "FAIL the orders service decrypts for its tenants",
        "assertions.json:3:5",
        "expected  allowed (key_policy)",
        "decided   implicitDeny (key_policy)",
        "because no resource-based policy allows the kms:Decrypt action",
        "Allow `The orders service, for its tenants` of key policy `default`: does not apply: `StringEquals` on \
         `kms:EncryptionContext:tenant` does not hold: the request has `42`",
        "missing: no statement of the key policy allows kms:Decrypt",
        "FAILED: 21 of 22 cases hold, 1 do not, in 2 files",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    let open = quickstart_with("keys/orders.json", r#""Effect": "Deny""#, r#""Effect": "Allow""#);
    let said = text(&test(open.path(), &["examples/quickstart-cases.yaml"]).stdout);
    for part in [
        "FAIL administrators do not delete the orders key\n  at examples/quickstart-cases.yaml:",
        "decided   allowed (key_policy)",
        "decided by `Nobody deletes this key` of key policy `default`",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
}

/// How many lines of a screen a text takes.
fn screen_lines(text: &str) -> usize {
    text.lines().map(|line| line.chars().count().div_ceil(100).max(1)).sum()
}

/// Every way to turn one statement of a policy around: the document with `Deny` in place of `Allow`
/// in one place, or the reverse.
fn turned_around(document: &str) -> Vec<String> {
    let effects = [("\"Effect\": \"Allow\"", "Deny"), ("\"Effect\": \"Deny\"", "Allow")];
    let places = effects.iter().flat_map(|(old, effect)| {
        document.match_indices(old).map(move |(at, old)| (at, old.len(), *effect))
    });
    places
        .map(|(at, length, effect)| {
            let (before, after) = (&document[..at], &document[at + length..]);
            format!("{before}\"Effect\": \"{effect}\"{after}")
        })
        .collect()
}

#[test]
fn a_set_broken_in_one_place_fails_on_one_screen_however_many_cases_fail() {
    let mut most = 0;
    for set in EXAMPLES {
        let folder = tempfile::tempdir().expect("a folder");
        copy(Path::new(set), folder.path());
        let keys = ["keys/orders.json", "key.json"].map(|name| folder.path().join(name));
        let key = keys.iter().find(|path| path.exists()).expect("a key");
        let document = fs::read_to_string(key).expect("a document");
        let broken = turned_around(&document);
        assert!(broken.len() >= 3, "{set}");
        for document in broken {
            fs::write(key, document).expect("a file");
            let output = test(folder.path(), &[&format!("{set}-cases.yaml")]);
            let said = text(&output.stdout);
            assert_eq!(output.status.code(), Some(2), "{set}:\n{said}");
            assert!(screen_lines(&said) <= 24, "{set}:\n{said}");
            assert!(said.contains("\n  decided by ") || said.contains("\n  missing: "), "{said}");
            let failed = said.split("hold, ").nth(1).and_then(|rest| rest.split(' ').next());
            most = most.max(failed.and_then(|count| count.parse().ok()).unwrap_or(0));
        }
    }
    assert!(most >= 10, "at most {most} cases fail");
}

#[test]
fn more_failures_than_fit_are_counted_and_a_filter_shows_them_whole() {
    let broken = tempfile::tempdir().expect("a folder");
    copy(Path::new("examples/console"), broken.path());
    let (key, cases) = (broken.path().join("key.json"), "examples/console-cases.yaml");
    let document = fs::read_to_string(&key).expect("a document");
    // The first way to break it by which more cases fail than fit.
    let mut all = turned_around(&document).into_iter().map(|document| {
        fs::write(&key, document).expect("a file");
        text(&test(broken.path(), &[cases]).stdout)
    });
    let counted = " more (--filter NAME shows the reasoning, --format json all)";
    let said = all.find(|said| said.contains(counted)).expect("many cases fail");
    drop(all);
    assert_eq!(said.matches("  asked  ").count(), 1, "{said}");
    let whole = text(&test(broken.path(), &[cases, "--filter", "e"]).stdout);
    let failed = whole.matches("FAIL ").count();
    assert!(failed > 1 && whole.matches("  asked  ").count() == failed, "{whole}");
}

#[test]
fn the_same_run_is_json_and_junit() {
    let cases =
        [case("holds", "b", "allowed"), case("<&\"fails\u{1F512}", "c", "allowed")].concat();
    let cases = cases.replace("name: <&\"fails\u{1F512}", "name: '<&\"fails\u{1F512}'");
    let folder = alice("", &cases);
    let output = run(&folder, &["--format", "json", "--mutate"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let report = parsed(&text(&output.stdout));
    assert_eq!(report["summary"]["failed"], 1);
    assert_eq!(report["cases"][0]["holds"], true);
    let failed = &report["cases"][1];
    assert_eq!(failed["decided"]["decision"], "implicitDeny");
    assert_eq!(failed["place"]["line"], 2);
    assert_eq!(
        failed["explanation"]["legs"][0]["layers"][0]["policyType"],
        "POLICY_TYPE_KEY_POLICY"
    );
    let statements = &report["coverage"]["statements"];
    assert_eq!(
        (&statements[0]["touched"], &statements[1]["touched"]),
        (&Value::from(true), &Value::from(false))
    );
    assert_eq!(statements[1]["place"]["line"], 4);
    assert_eq!(report["mutants"]["survivors"][0]["kind"], "drop-condition");

    let output = run(&folder, &["--format", "junit"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stdout);
    let xml = roxmltree::Document::parse(&said).expect("XML");
    let root = xml.root_element();
    assert_eq!((root.tag_name().name(), root.attribute("tests")), ("testsuites", Some("2")));
    let found: Vec<_> = xml.descendants().filter(|node| node.has_tag_name("testcase")).collect();
    let [holds, fails] = found.as_slice() else { panic!("two cases in\n{said}") };
    assert!(holds.children().all(|node| !node.is_element()), "{said}");
    assert_eq!(fails.attribute("name"), Some("<&\"fails\u{1F512}"));
    assert_eq!(fails.attribute("line"), Some("2"));
    let failure = fails.first_element_child().expect("a failure");
    assert_eq!(failure.attribute("type"), Some("implicitDeny"));
    assert!(failure.text().expect("the reasoning").contains("the request has `c`"), "{said}");
}

#[test]
fn what_was_seen_of_a_statement_was_not_seen_of_its_like_in_another_policy() {
    let folder = alice("", &case("holds", "b", "allowed"));
    let key = fs::read_to_string(folder.path().join("set/key.json")).expect("a file");
    // The first statement is the same, the second another one.
    let other = key.replace(KEY, &KEY.replace("1234abcd", "aaaaaaaa")).replace("Disable", "Enable");
    fs::write(folder.path().join("set/other.json"), other).expect("a file");
    let report = parsed(&text(&run(&folder, &["--format", "json"]).stdout));
    let statements = report["coverage"]["statements"].as_array().expect("statements");
    let touched: Vec<_> = statements.iter().map(|one| (&one["sid"], &one["touched"])).collect();
    let [alice, never, touched_not] = ["alice", "never", "alice"].map(Value::from);
    let (yes, no) = (Value::from(true), Value::from(false));
    assert_eq!(touched, [(&alice, &yes), (&never, &no), (&touched_not, &no), (&never, &no)]);
}

#[test]
fn what_no_case_touched_is_listed_and_strict_fails_on_it() {
    let folder = alice("", &case("holds", "b", "allowed"));
    let output = run(&folder, &["--coverage", "--mutate"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in [
        "never seen to keep a request out: `StringEquals` on `kms:EncryptionContext:a` in `alice` of the key policy",
        "not touched: `never` of the key policy of arn:aws:kms:us-west-2:111122223333:key/1234",
        "set/key.json:4:2",
        "not noticed: without `StringEquals` on `kms:EncryptionContext:a` in `alice`",
        "not noticed: Allow in place of Deny in `never`",
        "touched: 1 of 2 statements (50 %), 0 of 1 condition (0 %)\n",
        "changes noticed: 1 of 3",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    assert_eq!(run(&folder, &["--strict"]).status.code(), Some(2));
    let said = text(&run(&folder, &["--mutate", "--most-mutants", "1"]).stdout);
    assert!(said.contains("changes noticed: 1 of 1, 2 not tried"), "{said}");
}

#[test]
fn assertions_of_the_set_are_cases_too_and_need_not_hold_to_be_run() {
    let assertion = format!(
        r#"{{"name": "alice decrypts", "principal": "{ALICE}", "action": "kms:Decrypt", "key": "{KEY}", "expect": {{"decision": "allowed"}}}}"#
    );
    let folder = alice(&assertion, &case("holds", "b", "allowed"));
    let output = run(&folder, &[]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("FAIL alice decrypts\n") && said.contains("set/key.json:5:17"), "{said}");
    let folder = alice(&assertion.replace("action", "acton"), "[]");
    let output = run(&folder, &[]);
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(said.contains("did you mean `action`?") && said.contains("key.json:5:"), "{said}");
    let report = parsed(&text(&run(&folder, &["--format", "json"]).stdout));
    assert_eq!(
        (&report["problems"][0]["line"], &report["problems"][0]["column"]),
        (&5.into(), &97.into())
    );
}

#[test]
fn a_run_without_cases_or_with_broken_ones_is_no_success() {
    for (cases, part) in [
        ("[]", "no cases"),
        ("- name: x\n", "the case has no `principal`"),
        ("- name: [\n", "this is no YAML"),
        ("a: b\n", "a file of cases is a list"),
    ] {
        let output = run(&alice("", cases), &[]);
        assert_eq!(output.status.code(), Some(64), "{cases}");
        assert!(text(&output.stderr).contains(part), "{}", text(&output.stderr));
    }
    let folder = alice("", &case("holds", "b", "allowed"));
    assert_eq!(run(&folder, &["--filter", "hold"]).status.code(), Some(0));
    let output = run(&folder, &["--filter", "other"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("no case has `other` in its name"));
    let missing = test(&folder.path().join("set"), &["no/such.yaml"]);
    assert_eq!(missing.status.code(), Some(64));
    assert!(text(&missing.stderr).contains("cannot read the cases in `no/such.yaml`"));
    assert_eq!(test(&folder.path().join("none"), &["x.yaml"]).status.code(), Some(3));
    // A report that continuous integration reads is there all the same.
    let output = run(&alice("", "- name: <x\n"), &["--format", "junit"]);
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output.stdout);
    let xml = roxmltree::Document::parse(&said).expect("XML");
    let errors: Vec<_> = xml.descendants().filter(|node| node.has_tag_name("error")).collect();
    assert_eq!(xml.root_element().attribute("errors"), Some(&*errors.len().to_string()));
    let messages: Vec<_> = errors.iter().filter_map(|error| error.attribute("message")).collect();
    assert!(messages.contains(&"the case has no `principal`"), "{said}");
    assert!(text(&output.stderr).contains("the case has no `principal`"));
}

//! `keyward policy new`: what it writes is used as it is, and passes its own cases.

use std::fs;

use crate::doors::{keyward, parsed, text};

const ADMIN: [&str; 2] = ["--admin", "arn:aws:iam::111122223333:role/KeyAdmin"];
const USER: [&str; 2] = ["--user", "arn:aws:iam::111122223333:role/services/Orders"];
const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn new(template: &str, more: &[&str]) -> std::process::Output {
    let args = ["policy", "new", "--template", template, "--account", "111122223333"];
    keyward(&[&args, more].concat(), "")
}

/// What a template writes loads without a warning, lints clean, and holds what its cases say, which
/// leave nothing of it untested.
#[track_caller]
fn check(template: &str, more: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = [more, &["--key-arn", KEY]].concat();
    let written = new(template, &whole);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    fs::create_dir(folder.path().join("set")).expect("a folder");
    fs::write(folder.path().join("set/key.json"), &written.stdout).expect("a file");
    let cases = folder.path().join("cases.yaml");
    let written_cases = new(template, &[&whole[..], &["--cases"]].concat());
    fs::write(&cases, &written_cases.stdout).expect("a file");
    let (set, cases) = (folder.path().join("set"), cases.to_str().expect("UTF-8"));
    let set = set.to_str().expect("UTF-8");
    let loaded =
        parsed(&text(&keyward(&["check", "--policies", set, "--format", "json"], "").stdout));
    assert_eq!((&loaded["usable"], &loaded["problems"]), (&true.into(), &serde_json::json!([])));
    let tested =
        keyward(&["test", "--policies", set, cases, "--coverage", "--mutate", "--strict"], "");
    let said = text(&tested.stdout);
    assert_eq!(
        tested.status.code(),
        Some(0),
        "{template} {more:?}:\n{said}{}",
        text(&tested.stderr)
    );
    let linted = keyward(&["lint", "--policies", set, "--fail-on", "suggestion"], "");
    assert_eq!(linted.status.code(), Some(0), "{template} {more:?}:\n{}", text(&linted.stdout));
    let alone = parsed(&text(&new(template, &[more, &["--region", "us-west-2"]].concat()).stdout));
    assert_eq!(alone, parsed(&text(&written.stdout))["Policy"], "the policy alone is another one");
}

#[test]
fn every_template_loads_lints_clean_and_passes_its_own_cases() {
    let both = [ADMIN, USER].concat();
    let with = |more: &[&'static str]| [&both[..], more].concat();
    check("default", &[]);
    check("console", &ADMIN);
    check("console", &with(&["--partner", "444455556666"]));
    for kind in ["symmetric", "hmac", "rsa-encryption", "signing", "key-agreement"] {
        check("console", &with(&["--kind", kind]));
        check("admin-and-use", &with(&["--kind", kind]));
    }
    check("admin-and-use", &with(&["--context", "tenant=42", "--context", "tenant=77"]));
    check("envelope", &with(&["--context", "tenant=42", "--context", "purpose=x \"y\""]));
    check("service", &with(&["--service", "s3", "--service", "rds.eu-west-1.amazonaws.com"]));
    check("cross-account", &with(&["--partner", "444455556666", "--context", "tenant=42"]));
    let role = "arn:aws:iam::444455556666:role/Reader";
    check("cross-account", &with(&["--partner", role, "--context", "tenant=42"]));
    check("grants-only", &both);
    check(
        "multi-region",
        &with(&["--replica-region", "eu-west-1", "--replica-region", "af-south-1"]),
    );
    check("signing", &both);
}

#[test]
fn the_default_template_is_the_default_policy_of_the_service() {
    let policy = parsed(&text(&new("default", &[]).stdout));
    let statement = &policy["Statement"][0];
    assert_eq!(policy["Id"], "key-default-1");
    assert_eq!(statement["Principal"]["AWS"], "arn:aws:iam::111122223333:root");
    assert_eq!((&statement["Action"], &statement["Resource"]), (&"kms:*".into(), &"*".into()));
}

#[test]
fn a_bad_argument_is_named() {
    let both = [ADMIN, USER].concat();
    let with = |more: &[&'static str]| [&both[..], more].concat();
    for (template, more, said) in [
        ("envelope", both.clone(), "--context is missing: the template `envelope` needs it"),
        ("default", ADMIN.to_vec(), "--admin: the template `default` has no use for it"),
        (
            "console",
            vec!["--admin", "arn:aws:iam::111122223333:group/A"],
            "--admin: `arn:aws:iam::111122223333:group/A` is no principal: expected a user or a role: a group",
        ),
        (
            "console",
            vec!["--admin", "arn:aws:iam::444455556666:role/A"],
            "--admin: `arn:aws:iam::444455556666:role/A` is not of the account 111122223333",
        ),
        ("console", vec!["--admin", "*"], "--admin: `*`: expected the ARN of a user or role"),
        (
            "cross-account",
            with(&["--context", "a=b", "--partner", "111122223333"]),
            "--partner: `111122223333` is of the key's own account",
        ),
        (
            "service",
            with(&["--service", "s3.amazonaws.com"]),
            "--service: `s3.amazonaws.com` is no service",
        ),
        ("envelope", with(&["--context", "tenant"]), "--context: `tenant`: expected NAME=VALUE"),
        ("multi-region", with(&["--replica-region", "eu"]), "--replica-region: `eu` is no Region"),
        (
            "multi-region",
            with(&["--replica-region", "us-east-1"]),
            "is the Region of the key itself",
        ),
        ("default", vec!["--key-arn", "alias/x"], "--key-arn: `alias/x` is not the ARN of a key"),
        (
            "default",
            vec!["--key-arn", KEY, "--region", "eu-west-1"],
            "--region: `eu-west-1` is not the Region of",
        ),
        (
            "admin-and-use",
            with(&["--kind", "hmac", "--context", "a=b"]),
            "--context: only a symmetric key",
        ),
    ] {
        let output = new(template, &more);
        let found = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{template} {more:?}: {found}");
        assert!(found.contains(said), "no {said:?} in {found}");
    }
    let output = keyward(&["policy", "new", "--template", "default", "--account", "1"], "");
    assert!(
        text(&output.stderr).contains("--account: invalid account id `1`: expected twelve digits")
    );
    assert_eq!(keyward(&["policy", "new", "--template", "other"], "").status.code(), Some(64));
}

#[test]
fn the_templates_are_listed() {
    let said = text(&keyward(&["policy", "new", "--list"], "").stdout);
    assert!(
        said.contains("cross-account\n")
            && said.contains("needs: --admin --user --partner --context"),
        "{said}"
    );
    let list = parsed(&text(&keyward(&["policy", "new", "--list", "--format", "json"], "").stdout));
    assert_eq!(list.as_array().map(Vec::len), Some(9));
    assert!(text(&keyward(&["policy", "new", "--help"], "").stdout).contains("Examples"));
}

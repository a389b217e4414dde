//! What the documentation says is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use keyward::engine::evaluation::{Evaluation, InvalidSwitch};

use crate::doors::{lines, parsed};

fn page(name: &str) -> String {
    fs::read_to_string(Path::new("docs").join(name)).expect("a page")
}

/// Quoted words of lower-case letters with hyphens between, such as the codes of problems.
fn hyphenated(text: &str, quote: char) -> BTreeSet<String> {
    let is_code = |word: &&str| {
        let mut parts = word.split('-');
        word.contains('-')
            && parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()))
    };
    text.split(quote).skip(1).filter(is_code).map(str::to_owned).collect()
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Hyphenated words of the engine that are no codes of problems.
const NO_CODES: [&str; 7] = [
    "assumed-role",
    "deny-where-described",
    "dual-control",
    "federated-user",
    "grants-writer",
    "last-good-policies",
    "no-policies",
];

/// The codes that reading a policy set can end in: `engine` and `store` raise nothing else, of `wire`
/// the cases and assertions, and of `pdp` that a read does not end.
#[test]
fn the_page_of_problems_lists_exactly_the_codes_that_are_raised() {
    let mut files = ["src/wire/case.rs", "src/pdp/reload/standing.rs"].map(PathBuf::from).to_vec();
    for folder in ["src/engine", "src/store", "src/wire/cases"] {
        rust_files(Path::new(folder), &mut files);
    }
    let mut raised: BTreeSet<String> = BTreeSet::new();
    for file in files.iter().filter(|file| !file.to_string_lossy().contains("/tests")) {
        let text = fs::read_to_string(file).expect("a file");
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        raised.extend(hyphenated(product, '"'));
    }
    for word in NO_CODES {
        assert!(raised.remove(word), "`{word}` is no exception any more");
    }
    let page = page("problems.md");
    let mut told = BTreeSet::new();
    for line in page.lines() {
        if let Some(row) = line.strip_prefix("| `") {
            let cell = row.split(" |").next().unwrap_or_default();
            told.extend(hyphenated(&format!("`{cell}"), '`'));
        } else if !line.starts_with('|') {
            told.extend(hyphenated(line, '`').into_iter().filter(|word| raised.contains(word)));
        }
    }
    assert_eq!(told, raised);
}

/// Ids of cases in a text: two capital letters, a hyphen, three digits, perhaps a small letter.
fn ids(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| {
            let bytes = word.as_bytes();
            matches!(bytes.len(), 6 | 7)
                && bytes[..2].iter().all(u8::is_ascii_uppercase)
                && bytes[2] == b'-'
                && bytes[3..6].iter().all(u8::is_ascii_digit)
                && bytes[6..].iter().all(u8::is_ascii_lowercase)
        })
        .collect()
}

#[test]
fn the_page_of_semantics_names_cases_that_exist_and_every_group_of_them() {
    let page = page("semantics.md");
    let named = ids(&page);
    let rows: Vec<String> = lines("tests/conformance")
        .iter()
        .map(|line| parsed(line)["id"].as_str().expect("an id").to_owned())
        .collect();
    let known: BTreeSet<&str> = rows.iter().map(String::as_str).collect();
    let unknown: Vec<&&str> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "no cases {unknown:?}");
    let group = |id: &&str| id[..2].to_owned();
    let groups: BTreeSet<String> = known.iter().map(group).collect();
    assert_eq!(named.iter().map(group).collect::<BTreeSet<_>>(), groups);
}

#[test]
fn every_rule_on_the_page_of_semantics_names_a_case() {
    let page = page("semantics.md");
    let mut rules = 0;
    let mut head = true;
    for line in page.lines() {
        if !line.starts_with('|') {
            head = true;
            continue;
        }
        let separator = line.starts_with("|--") || line.starts_with("| --");
        if head || separator {
            head = head && !separator;
            continue;
        }
        rules += 1;
        assert!(!ids(line).is_empty() || line.contains("no case: "), "no case in {line}");
    }
    assert!(rules > 80, "only {rules} rules");
}

#[test]
fn the_page_of_semantics_lists_every_switch_with_its_values_the_default_first() {
    let page = page("semantics.md");
    for name in Evaluation::NAMES {
        let Err(InvalidSwitch::Value { expected, .. }) = Evaluation::default().set(name, "") else {
            panic!("{name} takes anything")
        };
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")))
            .unwrap_or_else(|| panic!("no row of `{name}`"));
        let values: Vec<String> = expected.iter().map(|value| format!("`{value}`")).collect();
        let cell = row.split('|').nth(2).unwrap_or_default().trim();
        assert_eq!(cell, values.join(", "), "{name}");
    }
}

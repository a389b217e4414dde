//! The law against what it must agree with: the cases that people wrote. And what it may not know.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::law::{self, Outcome};

const CASES: &str = "tests/conformance";

/// Every row of every file of cases.
pub(crate) fn rows() -> Vec<Value> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(CASES).expect("cases") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a file of cases");
        rows.extend(text.lines().map(|line| -> Value {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        }));
    }
    rows
}

#[test]
fn the_law_decides_every_row_as_it_expects() {
    let rows = rows();
    assert!(rows.len() > 150, "only {} rows", rows.len());
    for row in rows {
        let outcome = law::decide(&row);
        assert_eq!(outcome.word(), row["expect"].as_str().expect("`expect`"), "{}", row["id"]);
        let codes = match &row["expectErrorCode"] {
            Value::Null => continue,
            Value::Array(codes) => codes.clone(),
            one => vec![one.clone()],
        };
        let Outcome::Decided { error_code, .. } = outcome else { panic!("{}: refused", row["id"]) };
        assert!(codes.contains(&error_code.clone().into()), "{}: {error_code:?}", row["id"]);
    }
}

#[test]
fn the_law_shares_no_code_with_the_product() {
    let mut read = 0;
    for entry in fs::read_dir(Path::new("tests/specification/law")).expect("the law") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a source file");
        for word in ["keyward::", "use keyward", "extern crate", "crate::product", "src/engine"] {
            assert!(!text.contains(word), "{}: the law names `{word}`", path.display());
        }
        read += 1;
    }
    assert!(read > 20, "only {read} files were read");
}

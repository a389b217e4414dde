//! Rules of the house that no lint knows.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Who may import whom. A folder may always import itself.
const MAY_IMPORT: [(&str, &[&str]); 8] = [
    ("engine", &[]),
    ("lint", &["engine"]),
    ("store", &["engine"]),
    ("wire", &["engine", "lint"]),
    ("pdp", &["engine", "store"]),
    ("telemetry", &["engine", "wire"]),
    ("rpc", &["engine", "lint", "wire", "pdp", "telemetry"]),
    ("cli", &["engine", "lint", "wire", "store", "pdp", "telemetry", "rpc"]),
];

/// What the engine must never know.
const OUTSIDE: [&str; 12] = [
    "tokio",
    "async fn",
    ".await",
    "tonic",
    "prost",
    "tracing",
    "opentelemetry",
    "std::fs",
    "std::net::Tcp",
    "std::env",
    "SystemTime",
    "Instant",
];

/// Files over 400 lines, each with its reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// File names that gather what belongs elsewhere.
const DRAWERS: [&str; 6] =
    ["error.rs", "types.rs", "utils.rs", "common.rs", "helpers.rs", "models"];

/// Files that may derive `Serialize` and `Deserialize`, beside all of `wire`.
const SERDE: [&str; 3] = ["cli/config.rs", "cli/config/telemetry.rs", "cli/config/access.rs"];

fn rust_files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return files };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a readable file");
            files.push((path, text));
        }
    }
    files.sort();
    files
}

/// A source file without its unit tests.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

#[test]
fn imports_run_downward() {
    for (folder, below) in MAY_IMPORT {
        for (file, text) in rust_files(&Path::new("src").join(folder)) {
            for import in text.split("crate::").skip(1) {
                let target =
                    import.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
                let allowed = target == folder || below.contains(&target);
                assert!(allowed, "{}: may not import crate::{target}", file.display());
            }
        }
    }
}

#[test]
fn every_folder_of_the_source_has_its_place_in_the_plan() {
    for entry in fs::read_dir("src").expect("sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let planned = MAY_IMPORT.iter().any(|(folder, _)| *folder == name);
        assert!(
            planned || !path.is_dir(),
            "src/{name} is not in the plan: see docs/architecture.md"
        );
    }
}

#[test]
fn the_engine_knows_nothing_of_the_world() {
    // The lint is as pure: what it finds depends on what it is handed alone.
    let pure = ["src/engine", "src/lint"];
    for (file, text) in pure.iter().flat_map(|folder| rust_files(Path::new(folder))) {
        for line in product(&text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            for word in OUTSIDE {
                assert!(
                    !line.contains(word),
                    "{}: the engine may not know `{word}`: {line}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn an_allow_is_minted_in_one_place() {
    let minting: Vec<PathBuf> = rust_files(Path::new("src"))
        .into_iter()
        .filter(|(_, text)| text.contains("Permit::by(") || text.contains("Permit {"))
        .map(|(file, _)| file)
        .filter(|file| !file.ends_with("engine/decide/decision.rs"))
        .collect();
    assert_eq!(minting, [Path::new("src/engine/decide/combine.rs")]);
    let combine = fs::read_to_string("src/engine/decide/combine.rs").expect("combine.rs");
    assert_eq!(combine.matches("Permit::by(").count(), 1, "an allow is minted once");
}

#[test]
fn files_stay_small() {
    for (file, text) in rust_files(Path::new("src")) {
        let lines = text.lines().count();
        let excused = LONG_FILES.iter().any(|(name, _)| file.ends_with(name));
        assert!(
            lines <= 400 || excused,
            "{}: {lines} lines: what second idea has moved in?",
            file.display()
        );
        assert!(
            lines > 400 || !excused,
            "{}: no longer long: take it off the list",
            file.display()
        );
    }
}

#[test]
fn there_are_no_drawers() {
    for (file, _) in rust_files(Path::new("src")) {
        for drawer in DRAWERS {
            let found = file.components().any(|part| part.as_os_str() == drawer);
            assert!(!found, "{}: a drawer for anything", file.display());
        }
    }
}

#[test]
fn outside_forms_are_converted_at_the_edge() {
    for (file, text) in rust_files(Path::new("src")) {
        let edge = file.starts_with("src/wire") || SERDE.iter().any(|name| file.ends_with(name));
        let derives = product(&text)
            .lines()
            .any(|line| line.trim_start().starts_with("#[derive(") && line.contains("ialize"));
        assert!(edge || !derives, "{}: derives serde outside wire and cli/config", file.display());
    }
}

#[test]
fn the_library_root_declares_and_does_not_re_export() {
    let root = fs::read_to_string("src/lib.rs").expect("lib.rs");
    assert!(!root.contains("pub use"), "src/lib.rs re-exports");
}

#[test]
fn nothing_is_left_for_later_or_waits_by_the_clock() {
    let folders = ["src", "tests", "benches", "examples", "fuzz/src"];
    for (file, text) in folders.iter().flat_map(|folder| rust_files(Path::new(folder))) {
        if file.ends_with("tests/tidy.rs") {
            continue;
        }
        for word in
            ["todo!(", "unimplemented!(", "FIXME", "#[ignore", "thread::sleep", "time::sleep("]
        {
            let found = text.lines().any(|line| line.contains(word) && !line.contains("reason = "));
            assert!(!found, "{}: `{word}`", file.display());
        }
    }
}

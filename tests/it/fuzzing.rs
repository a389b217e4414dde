//! Every kept input through its fuzz target, and a short run beside it.

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;

use super::fuzz::{TARGETS, Target};
use crate::doors::{case, lines, parsed};

/// Inputs made from each kept one: a short run of what the fuzzer does at length.
const CHANGED: usize = 8;

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// What the conformance cases give to a target.
fn derived(target: &str) -> Vec<Vec<u8>> {
    let joined = |line: &String| {
        let documents = parsed(line)["documents"].as_array().cloned().unwrap_or_default();
        documents.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n%%\n").into_bytes()
    };
    let message = |line: &String| Some(case(line).ok()?.message.encode_to_vec());
    let lines = lines("tests/conformance");
    match target {
        "documents" => lines.iter().map(joined).collect(),
        "request" => lines.iter().filter_map(message).collect(),
        "simulate" => lines.into_iter().map(String::into_bytes).collect(),
        _ => Vec::new(),
    }
}

/// A small generator of its own: the same inputs on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }
}

/// The input with a byte changed, taken away or put in, or with an end cut off.
fn changed(input: &[u8], dice: &mut Dice) -> Vec<u8> {
    const TELLING: &[u8] = b"{}[]\",:*?$\\/%0-\n\x00\xff";
    let mut bytes = input.to_vec();
    let at = dice.roll(bytes.len());
    let byte = TELLING[dice.roll(TELLING.len())];
    match dice.roll(4) {
        _ if bytes.is_empty() => bytes.push(byte),
        0 => bytes[at] = byte,
        1 => {
            bytes.remove(at);
        }
        2 => bytes.insert(at, byte),
        _ => bytes.truncate(at),
    }
    bytes
}

/// Runs the target; whoever meets its panic learns the input too.
fn give(target: Target, input: &[u8], named: &str) {
    assert!(std::panic::catch_unwind(|| target(input)).is_ok(), "the input was {named}");
}

fn replay(name: &str) {
    let target: Target = TARGETS.iter().find(|(known, _)| *known == name).expect("a target").1;
    let mut dice = Dice(1);
    let folder = |kind: &str| Path::new("fuzz").join(kind).join(name);
    let kept = [files(&folder("corpus")), files(&folder("regressions"))].concat();
    assert!(!kept.is_empty(), "no kept inputs of {name}");
    for file in kept {
        let input = fs::read(&file).expect("an input");
        give(target, &input, &file.display().to_string());
        for _ in 0..CHANGED {
            let other = changed(&input, &mut dice);
            give(target, &other, &format!("{}, changed: {}", file.display(), other.escape_ascii()));
        }
    }
    for input in derived(name) {
        give(target, &input, &String::from_utf8_lossy(&input));
    }
}

macro_rules! replayed {
    ($($name:ident),+) => {
        $(#[test] fn $name() { replay(stringify!($name)); })+
        const REPLAYED: &[&str] = &[$(stringify!($name)),+];
    };
}
replayed!(
    assertion, callers, cases, config, connection, documents, grants, json, last_good, log, policy,
    request, resumed, simulate, words
);

#[test]
fn every_target_is_replayed_and_can_be_fuzzed() {
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, REPLAYED);
    let manifest = fs::read_to_string("fuzz/Cargo.toml").expect("the manifest");
    for name in names {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
        assert!(Path::new("fuzz/fuzz_targets").join(format!("{name}.rs")).exists(), "{name}");
    }
    for kind in ["corpus", "regressions"] {
        for folder in files(&Path::new("fuzz").join(kind)) {
            let name = folder.file_name().and_then(|name| name.to_str()).expect("a name");
            assert!(REPLAYED.contains(&name), "{}: inputs of no target", folder.display());
        }
    }
}

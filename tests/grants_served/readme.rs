//! The README's walk through a grant's life: its commands, run as they stand there.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::{Served, text};

/// A command, and what the README says that it prints.
#[derive(Debug, Default)]
struct Step {
    command: String,
    prints: Vec<String>,
}

/// The steps of a section's consoles. A command goes on until its quotes are closed and no
/// backslash ends the line.
fn steps(section: &str) -> Vec<Step> {
    let readme = fs::read_to_string("README.md").expect("the README");
    let (_, from) = readme.split_once(&format!("\n## {section}\n")).expect("the section");
    let section = from.split("\n## ").next().expect("a section");
    let mut steps: Vec<Step> = Vec::new();
    for console in section.split("```console\n").skip(1) {
        let console = console.split("```").next().expect("a console");
        let mut open = false;
        for line in console.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { command: command.to_owned(), prints: Vec::new() });
            } else if open {
                let step = steps.last_mut().expect("a command");
                step.command.push('\n');
                step.command.push_str(line);
            } else {
                steps.last_mut().expect("a command").prints.push(line.to_owned());
            }
            let command = &steps.last().expect("a command").command;
            open = !command.matches('\'').count().is_multiple_of(2) || command.ends_with('\\');
        }
    }
    steps
}

/// Whether a line is as the README has it. A text that is shortened there stands for any; what it
/// stands for is learnt.
fn fits(shown: &str, line: &str, learnt: &mut BTreeMap<String, String>) -> bool {
    let (shown, line) = (shown.trim(), line.trim());
    let parts: Vec<_> = shown.split('"').zip(line.split('"')).collect();
    let same_count = shown.matches('"').count() == line.matches('"').count();
    if !same_count || !parts.iter().all(|(shown, real)| shown == real || shown.contains('…')) {
        return false;
    }
    for (shown, real) in parts.into_iter().filter(|(shown, _)| shown.contains('…')) {
        learnt.insert(shown.to_owned(), real.to_owned());
    }
    true
}

#[track_caller]
fn check(step: &Step, printed: &str, learnt: &mut BTreeMap<String, String>) {
    let mut lines = printed.lines();
    for shown in step.prints.iter().filter(|shown| shown.trim() != "…") {
        let found = lines.any(|line| fits(shown, line, learnt));
        assert!(found, "{}\nprints no `{shown}`:\n{printed}", step.command);
    }
}

#[test]
fn the_walk_through_a_grants_life_goes_as_the_readme_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut steps = steps("Grants").into_iter();
    let serve = steps.next().expect("a first step").command;
    assert!(serve.starts_with("keyward serve ") && serve.contains("--data-dir /tmp/keyward"));
    let binary = Path::new(env!("CARGO_BIN_EXE_keyward"));
    let mut command = Command::new(binary);
    let serve = serve.replace("/tmp/keyward", &text(&data));
    command
        .args(serve.split(' ').skip(1))
        .args(["--listen", "127.0.0.1:0", "--http-listen", "none", "--log-format", "json"])
        .env_remove("AWS_REGION")
        .stderr(Stdio::piped());
    let served = Served::wait(command.spawn().expect("the binary"), data.join("admin.sock"));
    let tools = fs::canonicalize(".tools/bin").expect("the tools: run ./.ci/tools first");
    let path = env::var_os("PATH").expect("a path");
    let path = env::join_paths([tools].into_iter().chain(env::split_paths(&path))).expect("it");
    let mut learnt: BTreeMap<String, String> = BTreeMap::new();
    let mut calls: Vec<String> = Vec::new();
    for step in steps {
        let mut command = step
            .command
            .replace("/tmp/keyward", &text(&data))
            .replace("127.0.0.1:7180", &served.address);
        for (shown, real) in &learnt {
            command = command.replace(shown, real);
        }
        assert!(!command.contains('…'), "{command}: nothing says what that is");
        let mut shell = Command::new("sh");
        let output = shell.args(["-euc", &command]).env("PATH", &path).output().expect("a shell");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}\n{complaint}");
        check(&step, &String::from_utf8_lossy(&output.stdout), &mut learnt);
        calls.extend(step.command.rsplit('/').next().map(str::to_owned));
    }
    for method in ["CreateGrant", "Authorize", "ListGrants", "RetireGrant"] {
        assert!(calls.iter().any(|call| call == method), "no {method} in {calls:?}");
    }
    served.stop();
}

//! `docs/grpcurl.md`: every command of the page, run in its order, with what it prints.

use std::fs;
use std::process::Command;

use crate::doors::text;
use crate::served::Served;

/// A command of the page, and the lines that stand below it.
struct Step {
    command: String,
    printed: Vec<String>,
}

/// The commands in the `console` blocks of a page.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    let mut continued = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
            continued = false;
            continue;
        }
        if !inside {
            continue;
        }
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), printed: Vec::new() });
            continued = true;
        } else {
            let step = steps.last_mut().expect("a command comes first");
            // A command goes on while a quote or a line is open.
            let open =
                step.command.matches('\'').count() % 2 == 1 || step.command.ends_with(['\\', '|']);
            continued = continued && open;
            if continued {
                step.command += "\n";
                step.command += line;
            } else {
                step.printed.push(line.to_owned());
            }
        }
    }
    steps
}

/// Whether a line is the one of the page, in which `…` stands for anything.
fn is_like(line: &str, told: &str) -> bool {
    let Some((beginning, rest)) = told.split_once('…') else { return line == told };
    let Some(mut line) = line.strip_prefix(beginning) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match line.split_once(part) {
            Some((_, behind)) => line = behind,
            None => return false,
        }
    }
    line.ends_with(end)
}

/// Whether the lines of the page are all printed, in their order; only where `…` is a line of its own
/// may there be others between.
fn is_printed(printed: &str, told: &[String]) -> Result<(), String> {
    let mut lines = printed.lines().map(str::trim);
    let mut gap = false;
    for line in told.iter().map(|line| line.trim()) {
        if line == "…" {
            gap = true;
            continue;
        }
        let found = if gap {
            lines.any(|printed| is_like(printed, line))
        } else {
            lines.next().is_some_and(|printed| is_like(printed, line))
        };
        if !found {
            return Err(format!("no `{line}` in\n{printed}"));
        }
        gap = false;
    }
    match lines.next() {
        Some(more) if !gap => Err(format!("the page does not tell of `{more}` in\n{printed}")),
        _ => Ok(()),
    }
}

#[test]
fn every_command_of_the_page_prints_what_the_page_says() {
    let page = fs::read_to_string("docs/grpcurl.md").expect("the page");
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().to_str().expect("UTF-8");
    let mut steps = steps(&page).into_iter();
    let start = steps.next().expect("a first command").command;
    let start = start.strip_prefix("keyward serve --policies examples/quickstart ").expect("serve");
    let start = start.replace("/tmp/keyward", here);
    let mut words = start.split(' ').skip_while(|word| *word != "--listen").skip(2);
    let second = (words.next(), words.next());
    assert_eq!(second.0, Some("--listen"));
    let socket = second.1.expect("an address");
    let served = Served::start("127.0.0.1:0", &["--data-dir", here, "--listen", socket]);
    let mut run = 0;
    for Step { command, printed } in steps {
        let placed =
            command.replace("/tmp/keyward", here).replace("127.0.0.1:7180", &served.address);
        let output = Command::new("bash")
            .args(["-c", &format!("PATH=\"$PWD/.tools/bin:$PATH\"\n{placed}")])
            .output()
            .expect("bash");
        let said = text(&output.stdout) + &text(&output.stderr);
        // grpcurl ends with 64 and the number of the status.
        let fails = said.starts_with("ERROR:") || command.contains("-format-error");
        let code = if fails { Some(67) } else { Some(0) };
        assert_eq!(output.status.code(), code, "{command}\n{said}");
        if let Err(difference) = is_printed(&said, &printed) {
            panic!("{command}\n{difference}");
        }
        run += 1;
    }
    assert!(run > 15, "only {run} commands");
    served.stop();
}

#[test]
fn a_difference_between_page_and_output_is_noticed() {
    let told = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(is_printed("a\n b\nc\n", &told(&["a", "…", "c"])).is_ok());
    assert!(is_printed("a\nb\n", &told(&["a"])).is_err());
    assert!(is_printed("a\n", &told(&["a", "b"])).is_err());
    assert!(is_printed("a\nb\n", &told(&["a", "c"])).is_err());
    assert!(is_like("x: 12, y", "x: …, y"));
    assert!(!is_like("x: 12, z", "x: …, y"));
}

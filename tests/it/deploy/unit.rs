//! The systemd unit, as systemd reads it.

use std::fs;
use std::process::{Command, Output};

use crate::doors::{keyward, text};

const UNIT: &str = "deploy/systemd/keyward.service";

/// Reads the unit as systemd would, with this binary in the place of the installed one.
fn verify(unit: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keyward.service");
    let unit = unit.replace("/usr/local/bin/keyward", env!("CARGO_BIN_EXE_keyward"));
    fs::write(&path, unit).expect("a file");
    Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
        .expect("systemd-analyze")
}

#[test]
fn systemd_takes_the_unit_and_finds_little_that_it_exposes() {
    let unit = fs::read_to_string(UNIT).expect("the unit");
    let output = verify(&unit);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    // The check can fail.
    let misspelt = verify(&unit.replace("ProtectSystem=", "ProtektSystem="));
    assert!(text(&misspelt.stderr).contains("ProtektSystem"), "{}", text(&misspelt.stderr));

    // 15 stands for an exposure level of 1.5 of 10.
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=15", "--no-pager", UNIT])
        .output()
        .expect("systemd-analyze");
    assert!(output.status.success(), "{}", text(&output.stdout));
}

#[test]
fn the_unit_starts_the_service_with_flags_that_it_has() {
    let unit = fs::read_to_string(UNIT).expect("the unit").replace("\\\n", " ");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    let mut args: Vec<&str> = line.split_whitespace().skip(1).collect();
    args.push("--check-config");
    let output = keyward(&args, "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("unix:/run/keyward/pdp.sock"));
}

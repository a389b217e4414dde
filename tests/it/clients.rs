//! The clients of `examples/`, generated from the protocol files, with their own tests against this
//! very binary.

use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::doors::text;

/// Generates both, once.
pub(crate) fn generated() {
    static GENERATED: OnceLock<()> = OnceLock::new();
    GENERATED.get_or_init(|| {
        let output = Command::new("./examples/generate").output().expect("the script");
        assert!(output.status.success(), "{}", text(&output.stderr));
    });
}

#[track_caller]
fn passes(command: &mut Command, tests: &str) {
    let output: Output =
        command.env("KEYWARD_BINARY", env!("CARGO_BIN_EXE_keyward")).output().expect("the tool");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success() && said.contains(tests), "{said}");
}

#[test]
fn the_client_in_go_passes_its_tests() {
    generated();
    let mut go = Command::new("go");
    // Not what an earlier run came to: the binary is another.
    go.current_dir("examples/go").args(["test", "-count=1", "-v", "."]);
    passes(&mut go, "--- PASS: TestStream");
    let vet = Command::new("go").current_dir("examples/go").args(["vet", "./..."]).output();
    let vet = vet.expect("go");
    assert!(vet.status.success(), "{}", text(&vet.stderr));
}

#[test]
fn the_client_in_python_passes_its_tests() {
    generated();
    let tools = std::fs::canonicalize(".tools/grpc-python").expect("run ./.ci/tools first");
    let mut python = Command::new("python3");
    python.current_dir("examples/python").args(["-B", "-m", "unittest", "-v"]);
    python.env("PYTHONPATH", format!("{}:generated", tools.display()));
    passes(&mut python, "test_stream (test_authorizer.AgainstKeyward.test_stream) ... ok");
}

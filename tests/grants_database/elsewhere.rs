//! This test program, run again as another process: to be killed, to be refused, or to live on a
//! file system of its own.

use std::env;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Says which folder the other process works on.
const FOLDER: &str = "GRANTS_DATABASE_TEST_FOLDER";

/// What the other process says, line by line, marked so that the test runner's own lines differ.
const MARK: &str = "> ";

/// In the other process: the folder to work on. In the tests themselves there is none.
pub(crate) fn folder() -> Option<PathBuf> {
    env::var_os(FOLDER).map(PathBuf::from)
}

/// In the other process: says something at once.
pub(crate) fn say(text: &str) {
    let mut out = io::stdout().lock();
    // One write: a line is whole, or not there.
    let written = out.write_all(format!("{MARK}{text}\n").as_bytes()).and_then(|()| out.flush());
    written.expect("somebody who listens");
}

/// The command that runs the test `name` of this program on a folder, `through` another program.
fn command(name: &str, folder: &Path, through: &[&str]) -> Command {
    let this = env::current_exe().expect("this program").into_os_string();
    let mut words: Vec<OsString> = through.iter().map(OsString::from).collect();
    words.extend([this, name.into(), "--exact".into(), "--nocapture".into()]);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env(FOLDER, folder).stdin(Stdio::null());
    command
}

/// Runs it to its end: what it said, if it went well.
pub(crate) fn run(name: &str, folder: &Path, through: &[&str]) -> Vec<String> {
    let output = command(name, folder, through).output().expect("the other process");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaint}");
    said.lines().filter_map(heard).collect()
}

/// A line without what the test runner may have put before it.
fn heard(line: &str) -> Option<String> {
    line.split_once(MARK).map(|(_, text)| text.to_owned())
}

/// The other process, while it runs.
pub(crate) struct Running {
    child: Child,
    lines: io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(name: &str, folder: &Path) -> Self {
        let mut command = command(name, folder, &[]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the other process");
        let out = child.stdout.take().expect("its output");
        Self { child, lines: BufReader::new(out).lines() }
    }

    /// What it says next; `None` when it has ended.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.lines.by_ref().map_while(Result::ok).find_map(|line| heard(&line))
    }

    /// Kills it, as `kill -9` does, and returns what it had said until then.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("a process to kill");
        let rest = std::iter::from_fn(|| self.next()).collect();
        self.child.wait().expect("a process that ended");
        rest
    }
}

/// Before a command: a file system of its own over the folder, of the size or kind that `mount`
/// understands. `None` where the system allows no such thing.
pub(crate) fn mounted(script: &str) -> Option<[String; 7]> {
    let words = ["unshare", "--map-root-user", "--mount", "sh", "-euc"].map(str::to_owned);
    let [unshare, user, mount, sh, flags] = words;
    let allowed = Command::new(&unshare)
        .args([&user, &mount, &sh, &flags, "mount -t tmpfs tmpfs /mnt"])
        .output()
        .is_ok_and(|output| output.status.success());
    let script = format!("{script}; exec \"$@\"");
    allowed.then(|| [unshare, user, mount, sh, flags, script, "sh".to_owned()])
}

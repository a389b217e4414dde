//! `keyward serve` as a process of its own, over many keys, and what it takes of the machine.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::world::{document_of_keys, role};

/// Keys of the set.
pub const KEYS: usize = 1_000;

/// Where `cargo build --release` puts the server.
const KEYWARD: &str = "target/release/keyward";

/// A process.
pub struct Served {
    process: Child,
    /// Where it answers.
    pub address: String,
    _folder: tempfile::TempDir,
}

impl Served {
    /// Starts one with one thread, on some of the cores.
    pub fn start(cores: &str, more: &[String]) -> Self {
        let binary = std::env::var("KEYWARD_BINARY").map_or_else(|_| PathBuf::from(KEYWARD), PathBuf::from);
        assert!(binary.exists(), "no {}: run `cargo build --release` first", binary.display());
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).expect("a file");
        write("keys.json", document_of_keys(0..KEYS));
        write("role.json", role(Vec::new()).to_string());
        let mut process = Command::new("taskset")
            .args(["-c", cores])
            .arg(binary)
            .args(["serve", "--log-format", "json", "--threads", "1", "--listen", "127.0.0.1:0"])
            .args(["--http-listen", "none", "--policies"])
            .arg(folder.path())
            .args(more)
            .env_remove("XDG_RUNTIME_DIR")
            .stderr(Stdio::piped())
            .spawn()
            .expect("taskset of util-linux");
        let mut lines = BufReader::new(process.stderr.take().expect("standard error")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(&line).ok())
            .find(|line| line["message"] == "listening")
            .and_then(|line| line["address"].as_str().map(str::to_owned))
            .expect("an address");
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, _folder: folder }
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// A number of megabytes of its memory: `VmRSS` now, `VmHWM` at most.
    pub fn memory(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kilobytes.expect("a number") / 1024.0
    }

    /// Its open files.
    pub fn files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).expect("the server runs").count()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

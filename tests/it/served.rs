//! `keyward serve` as a process of its own, and the tools that talk to it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

use crate::doors::{parsed, tool};

/// `keyward serve` over the quickstart set.
pub(crate) struct Served {
    pub(crate) process: Child,
    /// Its first data address.
    pub(crate) address: String,
}

impl Served {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(listen: &str, more: &[&str]) -> Self {
        Self::over("examples/quickstart", listen, more)
    }

    /// Starts it over a policy set, and waits until it listens.
    pub(crate) fn over(policies: &str, listen: &str, more: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_keyward"))
            .args(["serve", "--policies", policies, "--log-format", "json"])
            .args(["--listen", listen])
            .args(more)
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("AWS_REGION")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let mut lines = BufReader::new(process.stderr.take().expect("standard error")).lines();
        let mut address = None;
        let wants_admin = more.contains(&"--data-dir") || more.contains(&"--admin-listen");
        for line in lines.by_ref() {
            let line = parsed(&line.expect("a line"));
            if line["message"] == "listening" {
                address = line["address"].as_str().map(str::to_owned);
            }
            let last = if wants_admin { "listening for operators" } else { "listening" };
            if line["message"] == last {
                break;
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address: address.expect("an address") }
    }

    /// Asks it to stop, and waits for a good end.
    pub(crate) fn stop(mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
        assert_eq!(self.process.wait().expect("an end").code(), Some(0));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a tool.
pub(crate) fn run(program: &str, args: &[&str]) -> Output {
    Command::new(tool(program)).args(args).output().expect("the tool")
}

//! `keyward serve` as a process of its own, and the tools that talk to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

use crate::doors::{parsed, tool};

/// `keyward serve` over the quickstart set.
pub(crate) struct Served {
    pub(crate) process: Child,
    /// Its first data address.
    pub(crate) address: String,
    /// Its address for metrics and probes, where it has one.
    pub(crate) http: Option<String>,
    /// Reads the rest of what it tells on standard error.
    told: Option<std::thread::JoinHandle<String>>,
}

impl Served {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(listen: &str, more: &[&str]) -> Self {
        Self::over("examples/quickstart", listen, more)
    }

    /// Starts it over a policy set, and waits until it listens.
    pub(crate) fn over(policies: &str, listen: &str, more: &[&str]) -> Self {
        Self::begin(Command::new(env!("CARGO_BIN_EXE_keyward")), policies, listen, more)
    }

    /// Starts it by a command that is given the arguments.
    pub(crate) fn start_by(command: Command, listen: &str, more: &[&str]) -> Self {
        Self::begin(command, "examples/quickstart", listen, more)
    }

    /// The same, over a policy set.
    pub(crate) fn over_by(command: Command, policies: &str, listen: &str, more: &[&str]) -> Self {
        Self::begin(command, policies, listen, more)
    }

    fn begin(mut command: Command, policies: &str, listen: &str, more: &[&str]) -> Self {
        let mut process = command
            .args(["serve", "--policies", policies, "--log-format", "json"])
            .args(["--listen", listen])
            .args(if more.contains(&"--http-listen") {
                &[][..]
            } else {
                &["--http-listen", "none"]
            })
            .args(more)
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("AWS_REGION")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let mut lines = BufReader::new(process.stderr.take().expect("standard error")).lines();
        let (mut address, mut http) = (None, None);
        let wants_http = more.contains(&"--http-listen");
        let wants_admin = more.contains(&"--data-dir") || more.contains(&"--admin-listen");
        let mut before = String::new();
        for line in lines.by_ref() {
            let line = line.expect("a line");
            before += &line;
            before += "\n";
            let line = parsed(&line);
            if line["message"] == "listening" {
                address = line["address"].as_str().map(str::to_owned);
            }
            if line["message"] == "listening for metrics and probes" {
                http = line["address"].as_str().map(str::to_owned);
            }
            let last = match (wants_http, wants_admin) {
                (true, _) => "listening for metrics and probes",
                (false, true) => "listening for operators",
                (false, false) => "listening",
            };
            if line["message"] == last {
                break;
            }
        }
        let told = std::thread::spawn(move || {
            lines.map_while(Result::ok).fold(before, |text, line| text + &line + "\n")
        });
        let address = address.expect("an address");
        Self { process, address, http, told: Some(told) }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().expect("kill").success());
    }

    /// Asks it to stop, and waits for a good end.
    pub(crate) fn stop(self) {
        self.stop_and_read();
    }

    /// The same; gives back what it told on standard error.
    pub(crate) fn stop_and_read(self) -> String {
        self.signal("-TERM");
        self.ended_and_read()
    }

    /// Waits for the good end of one that was asked to stop; gives back the same.
    pub(crate) fn ended_and_read(mut self) -> String {
        assert_eq!(self.process.wait().expect("an end").code(), Some(0));
        self.told.take().expect("a reader").join().expect("what it told")
    }

    /// What it answers to a GET on its address for metrics and probes.
    pub(crate) fn get(&self, path: &str) -> String {
        let address = self.http.as_ref().expect("an address for metrics");
        let mut stream = TcpStream::connect(address).expect("a connection");
        let head = format!("GET {path} HTTP/1.0\r\nHost: keyward\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// The sum of a metric over all its labels that hold a text.
    pub(crate) fn metric(&self, name: &str, label: &str) -> u64 {
        let text = self.get("/metrics");
        let samples = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
        });
        let value =
            |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok());
        samples.map(|line| value(line).expect("a count")).sum()
    }

    /// Waits until something is so.
    pub(crate) fn wait_until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        for _ in 0..100_000 {
            if so(self) {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
        panic!("not in a long time: {what}");
    }

    /// Kills it, and waits for its end.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("a process");
        self.process.wait().expect("an end");
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

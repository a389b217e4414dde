//! `keyward serve` as a process, and its clients.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use keyward::wire::v1::grant_service_client::GrantServiceClient;
use serde_json::Value;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::world;

pub(crate) type Authorization = AuthorizationServiceClient<Channel>;
pub(crate) type Grants = GrantServiceClient<Channel>;

/// How long something may take that takes no time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a service keeps its things: policies, grants, and a socket beside them.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir(place.policies()).expect("a folder");
        world::write(&place.policies());
        place
    }

    pub(crate) fn policies(&self) -> PathBuf {
        self.0.path().join("policies")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.path().join("admin.sock")
    }

    /// The command that serves.
    pub(crate) fn command(&self, through: &[String], more: &[&str]) -> Command {
        let binary = env!("CARGO_BIN_EXE_keyward").to_owned();
        let words = [through, &[binary]].concat();
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--http-listen",
                "none",
                "--log-format",
                "json",
            ])
            .args(["--policies"])
            .arg(self.policies())
            .arg("--data-dir")
            .arg(self.data())
            .arg(format!("--admin-listen=unix:{}", self.socket().display()))
            .args(more)
            .env_remove("AWS_REGION")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn serve(&self) -> Served {
        self.serve_with(&[], &[])
    }

    /// Serves with more arguments, started by the program `through`, and waits until it listens.
    pub(crate) fn serve_with(&self, through: &[String], more: &[&str]) -> Served {
        Served::wait(self.command(through, more).spawn().expect("the binary"), self.socket())
    }

    /// Tries to serve: the exit code and what was said.
    pub(crate) fn refused(&self) -> (Option<i32>, String) {
        let output = self.command(&[], &[]).output().expect("the binary");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    }
}

/// A service that runs.
pub(crate) struct Served {
    pub(crate) process: Child,
    socket: PathBuf,
    /// Where it listens for questions.
    pub(crate) address: String,
    log: Receiver<Value>,
}

impl Served {
    /// Waits until a process listens.
    pub(crate) fn wait(mut process: Child, socket: PathBuf) -> Self {
        let lines = BufReader::new(process.stderr.take().expect("standard error")).lines();
        let (heard, log) = mpsc::sync_channel(65_536);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                // A test that does not look at the log holds nobody up.
                let _too_many = heard.try_send(line);
            }
        });
        let mut served = Self { process, socket, address: String::new(), log };
        let address = served.heard("listening")["address"].clone();
        served.address = address.as_str().expect("an address").to_owned();
        served.heard("listening for operators");
        served
    }

    /// Waits for a line of the log.
    pub(crate) fn heard(&self, message: &str) -> Value {
        let mut said = Vec::new();
        while let Ok(line) = self.log.recv_timeout(PATIENCE) {
            if line["message"] == message {
                return line;
            }
            said.push(line);
        }
        panic!("never said `{message}`: {said:?}");
    }

    pub(crate) async fn channel(&self) -> Channel {
        let path = self.socket.clone();
        let dial = tower::service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://keyward");
        endpoint.connect_with_connector(dial).await.expect("a socket")
    }

    pub(crate) async fn clients(&self) -> (Grants, Authorization) {
        let channel = self.channel().await;
        (Grants::new(channel.clone()), Authorization::new(channel))
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("a process");
        self.process.wait().expect("an end");
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
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// The number in a consistency token.
pub(crate) fn sequence(token: &str) -> u64 {
    token.rsplit_once('.').expect("two parts").1.parse().expect("a number")
}

/// The gRPC code of a refusal and KMS's error code in it.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let status = result.expect_err("a refusal");
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    (status.code(), info.reason.clone())
}

/// A path as text.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// Numbers that look random, and are the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = usize::try_from((z ^ (z >> 31)) >> 8).expect("a number of 56 bits");
        z % bound
    }
}

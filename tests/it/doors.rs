//! What the tests share: cases as data, a server in this process, the binary.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::engine::bundle::Limits;
use keyward::engine::json::{self, Source};
use keyward::engine::problem::Problem;
use keyward::engine::snapshot::Snapshot;
use keyward::engine::snapshot::build::Built;
use keyward::engine::term::time::Timestamp;
use keyward::pdp::Pdp;
use keyward::pdp::load::Documents;
use keyward::pdp::reload::Policies;
use keyward::pdp::status::{Active, Contents, MaxStaleness, Origin, WhenStale};
use keyward::rpc::callers::{Callers, Gate};
use keyward::rpc::listener::{Address, DATA_SOCKET, Listener};
use keyward::rpc::server::{self, Listeners, Services};
use keyward::telemetry::Telemetry;
use keyward::wire::case::{self, Case};
use keyward::wire::cases::assertions::verify;
use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use serde_json::Value;
use tokio::sync::oneshot;
use tonic::transport::Channel;

/// The lines of all `*.jsonl` files below a folder of the project.
pub(crate) fn lines(folder: &str) -> Vec<String> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    let read = |path: &PathBuf| fs::read_to_string(path).expect("a file of cases");
    let lines: Vec<String> = files
        .iter()
        .map(read)
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(!lines.is_empty(), "no cases in {folder}");
    lines
}

/// A line as plain JSON.
pub(crate) fn parsed(line: &str) -> Value {
    serde_json::from_str(line).expect("a line of JSON")
}

/// The instant of cases that name none.
pub(crate) fn noon() -> Timestamp {
    Timestamp::parse("2026-01-01T12:00:00Z").expect("an instant")
}

/// What must hold of a set, at noon.
pub(crate) fn verified(built: &Built, _: Documents<'_>) -> Vec<Problem> {
    verify(built, noon())
}

/// A case, read as `keyward simulate` reads it.
pub(crate) fn case(line: &str) -> Result<Case, case::Refusal> {
    let source = Source::new("case".into(), line);
    let mut problems = Vec::new();
    let json = json::read(&source, &Limits::default(), &mut problems).expect("a line of JSON");
    case::read(&json, &source, noon())
}

/// A server in this process, on a free port, whose policies and clock the test sets.
pub(crate) struct Door {
    pub(crate) pdp: Arc<Pdp>,
    pub(crate) client: AuthorizationServiceClient<Channel>,
    pub(crate) address: String,
    clock: Arc<Mutex<Timestamp>>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<Result<(), server::ServeError>>,
}

impl Door {
    pub(crate) async fn open(snapshot: Snapshot) -> Self {
        Self::to(Pdp::new(snapshot)).await
    }

    pub(crate) async fn to(pdp: Pdp) -> Self {
        let snapshot = Arc::clone(&pdp.snapshot());
        let active = Active {
            revision: Arc::clone(&snapshot.revision),
            since: noon(),
            origin: Origin::Source,
            warnings: Arc::default(),
            contents: Contents::of(&snapshot),
        };
        let pdp = Arc::new(pdp);
        let clock = Arc::new(Mutex::new(noon()));
        let listener = Listener::bind(&"127.0.0.1:0".parse().expect("an address"), DATA_SOCKET)
            .await
            .expect("a port");
        let Address::Tcp(address) = listener.address().expect("an address") else {
            panic!("a port")
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let reading = Arc::clone(&clock);
        let services = Services {
            pdp: Arc::clone(&pdp),
            clock: Arc::new(move || *reading.lock().expect("the clock")),
            grants_per_key: 50_000,
            policies: Policies::fixed(active),
            max_staleness: MaxStaleness { after: Duration::ZERO, then: WhenStale::Serve },
            telemetry: Telemetry::off(),
            gate: Arc::new(Gate::new(Callers::unnamed(true))),
            shed: Arc::default(),
        };
        let listeners = Listeners { data: vec![listener], ..Listeners::default() };
        let served = tokio::spawn(server::serve(listeners, services, async {
            let _ = stopped.await;
        }));
        let client = AuthorizationServiceClient::connect(format!("http://{address}"))
            .await
            .expect("a connection");
        Self { pdp, client, address: address.to_string(), clock, stop: Some(stop), served }
    }

    pub(crate) fn set(&self, snapshot: Snapshot, now: Timestamp) {
        self.pdp.live().install(&snapshot);
        *self.clock.lock().expect("the clock") = now;
    }

    /// Stops the server, which must end well.
    pub(crate) async fn close(mut self) {
        drop(self.client);
        self.stop.take().expect("still open").send(()).expect("a running server");
        self.served.await.expect("no panic").expect("a good end");
    }
}

/// Runs the binary with arguments and standard input.
pub(crate) fn keyward(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyward"))
        .args(args)
        .env_remove("AWS_REGION")
        .env_remove("XDG_RUNTIME_DIR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    let mut stdin = child.stdin.take().expect("standard input");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // A command that does not read its input closes it.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("an end");
    writer.join().expect("a writer");
    output
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A tool that `.ci/tools` installs.
pub(crate) fn tool(name: &str) -> PathBuf {
    let path = Path::new(".tools/bin").join(name);
    assert!(path.exists(), "no {}: run ./.ci/tools first", path.display());
    path
}

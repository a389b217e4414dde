//! What telling costs: Authorize over gRPC with nothing told, with the default, with each signal alone, and
//! with decision logs, in one run. Loaded by h2load (Debian: nghttp2-client), one core for the server and one
//! for the load and the collector.
//!
//! `cargo build --release && cargo run --release --manifest-path benches/Cargo.toml --bin telemetry`; arguments
//! choose cases by parts of their names.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use keyward::wire::v1::{AuthorizeRequest, Principal};
use keyward_benches::{ROUNDS, median, print};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{MetricsService, MetricsServiceServer};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where `cargo build --release` puts the server.
const KEYWARD: &str = "target/release/keyward";

const REQUESTS: u32 = 100_000;
/// A durable log waits for the disk.
const DURABLE_REQUESTS: u32 = 20_000;
/// Times that the metrics are read, for a figure of its own.
const SCRAPES: u32 = 200;
const METHOD: &str = "keyward.v1.AuthorizationService/Authorize";

/// What is told: its name, flags, and variables.
type Case<'a> = (&'a str, Vec<&'a str>, Vec<(&'a str, &'a str)>);

fn main() {
    if std::env::args().nth(1).as_deref() == Some("--collector") {
        return collector();
    }
    let keyward = std::env::var("KEYWARD_BINARY").unwrap_or_else(|_| {
        let target = std::env::var("CARGO_TARGET_DIR").map(|folder| format!("{folder}/release/keyward"));
        target.unwrap_or_else(|_| KEYWARD.to_owned())
    });
    assert!(Path::new(&keyward).exists(), "no {keyward}: run `cargo build --release` first");
    // Under `target`, so that the log is on a disk where there is one.
    let folder = tempfile::tempdir_in(Path::new(&keyward).parent().expect("its folder")).expect("a folder");
    let frame = folder.path().join("frame");
    fs::write(&frame, request_frame()).expect("a temporary file");

    let mut this = Command::new(std::env::current_exe().expect("this program"));
    let collector = Server::start(this.arg("--collector"), "1");
    let endpoint = format!("http://{}", collector.address);
    let to_collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint);
    let (no_traces, no_metrics) = (("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none"));
    let log = |name: &str| format!("file:{}", folder.path().join(name).display());
    let (best_effort, durable, with_default) = (log("best-effort"), log("durable"), log("durable-with-default"));
    let (best_effort, durable, with_default) = (&*best_effort, &*durable, &*with_default);
    let unmeasured = ["--telemetry-metrics", "false"];
    let only = |more: &[&'static str]| [&unmeasured[..], more].concat();
    let durably = ["--decision-log-mode", "durable=30s", "--decision-log"];
    let cases: [Case<'_>; 9] = [
        ("off", only(&[]), vec![]),
        ("default: metrics", vec![], vec![]),
        ("traces 1 %", only(&[]), vec![to_collector, no_metrics]),
        ("metrics and traces 1 %", vec![], vec![to_collector]),
        ("decision log, best-effort", [&only(&["--decision-log"])[..], &[best_effort]].concat(), vec![]),
        ("decision log, OTLP", only(&["--decision-log", "otlp"]), vec![to_collector, no_traces, no_metrics]),
        ("decision log, durable", [&only(&durably)[..], &[durable]].concat(), vec![]),
        ("default and decision log, durable", [&durably[..], &[with_default]].concat(), vec![]),
        // Once more, to see how far two of the same are apart.
        ("off again", only(&[]), vec![]),
    ];
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    let is_chosen = |name: &str| name == "off" || chosen.is_empty() || chosen.iter().any(|part| name.contains(part));
    let servers: Vec<(&str, Server)> = cases
        .iter()
        .filter(|(name, ..)| is_chosen(name))
        .map(|(name, flags, variables)| {
            let mut command = Command::new(&keyward);
            command.args(["serve", "--policies", "examples/quickstart", "--listen", "127.0.0.1:0"]);
            command.args(["--http-listen", "127.0.0.1:0", "--log-format", "json"]).args(flags);
            command.env_remove("XDG_RUNTIME_DIR").envs(variables.iter().copied());
            (*name, Server::start(&command, "0"))
        })
        .collect();
    let mut rounds: Vec<Vec<Round>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..=ROUNDS {
        for ((name, server), rounds) in servers.iter().zip(&mut rounds) {
            let requests = if name.ends_with("durable") { DURABLE_REQUESTS } else { REQUESTS };
            let result = server.load(&frame, requests);
            if round > 0 {
                rounds.push(result);
            }
        }
    }
    let of = |rounds: &[Round], read: fn(&Round) -> f64| median(rounds.iter().map(read).collect());
    let off = of(&rounds[0], |round| round.cpu_us);
    for ((name, server), rounds) in servers.iter().zip(&rounds) {
        let cpu = of(rounds, |round| round.cpu_us);
        print(
            "telemetry",
            name,
            &[
                ("rps", of(rounds, |round| round.per_second)),
                ("cpu_us", cpu),
                ("cpu_us_over_off", cpu - off),
                ("percent_over_off", 100.0 * (cpu - off) / off),
                ("records_lost", server.records_lost()),
            ],
        );
    }
    if let Some((_, measured)) = servers.iter().find(|(name, _)| *name == "default: metrics") {
        let before = measured.cpu_us();
        (0..SCRAPES).for_each(|_| drop(measured.metrics()));
        print("telemetry", "one scrape", &[("cpu_us", (measured.cpu_us() - before) / f64::from(SCRAPES))]);
    }
}

/// The README's question as one gRPC frame.
fn request_frame() -> Vec<u8> {
    let request = AuthorizeRequest {
        principal: Some(Principal {
            arn: "arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc".to_owned(),
            ..Principal::default()
        }),
        action: "kms:Decrypt".to_owned(),
        key_id: "alias/orders".to_owned(),
        encryption_context: [("tenant".to_owned(), "42".to_owned())].into(),
        ..AuthorizeRequest::default()
    };
    let message = request.encode_to_vec();
    let length = u32::try_from(message.len()).expect("a small message");
    let mut frame = vec![0];
    frame.extend(length.to_be_bytes());
    frame.extend(message);
    frame
}

struct Server {
    process: Child,
    address: String,
    /// For metrics.
    http: String,
}

struct Round {
    per_second: f64,
    cpu_us: f64,
}

impl Server {
    /// Starts a server on a core; it says its addresses on standard error, that for metrics last.
    fn start(command: &Command, core: &str) -> Self {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", core]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => pinned.env(name, value),
                None => pinned.env_remove(name),
            };
        }
        let mut process = pinned.stderr(Stdio::piped()).spawn().expect("taskset of util-linux");
        let mut lines = BufReader::new(process.stderr.take().expect("standard error")).lines();
        let mut address = String::new();
        let http = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("127.0.0.1:")?;
            let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let found = format!("127.0.0.1:{port}");
            if line.contains("listening for metrics") || line.starts_with("127.0.0.1") {
                return Some(found);
            }
            if line.contains("listening") {
                address = found;
            }
            None
        });
        let http = http.expect("an address");
        std::thread::spawn(move || lines.for_each(drop));
        if address.is_empty() {
            address.clone_from(&http);
        }
        Self { process, address, http }
    }

    /// One round of load from the second core.
    fn load(&self, frame: &Path, requests: u32) -> Round {
        let before = self.cpu_us();
        let output = Command::new("taskset")
            .args(["-c", "1", "h2load", "-n", &requests.to_string(), "-c", "8", "-m", "16", "-d"])
            .arg(frame)
            .args(["-H", "content-type: application/grpc", "-H", "te: trailers"])
            .arg(format!("http://{}/{METHOD}", self.address))
            .output()
            .expect("h2load: apt-get install nghttp2-client");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!("{requests} succeeded")), "{text}");
        let per_second = text
            .lines()
            .find_map(|line| line.split(", ").find_map(|part| part.strip_suffix(" req/s")))
            .and_then(|number| number.parse().ok())
            .expect("requests a second");
        Round { per_second, cpu_us: (self.cpu_us() - before) / f64::from(requests) }
    }

    /// Processor time of all threads so far, in microseconds.
    fn cpu_us(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("the server runs");
        let nanoseconds = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<f64>().ok()
        });
        nanoseconds.sum::<f64>() / 1_000.0
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(&self.http).expect("a connection");
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: keyward\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// Decision records that were lost: then the figure is that of losing them.
    fn records_lost(&self) -> f64 {
        let answer = self.metrics();
        let lost = answer.lines().filter(|line| line.starts_with("keyward_decision_log_dropped_total{"));
        lost.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A collector that takes everything.
fn collector() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        eprintln!("{}", listener.local_addr().expect("an address"));
        tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(Taker))
            .add_service(MetricsServiceServer::new(Taker))
            .add_service(LogsServiceServer::new(Taker).max_decoding_message_size(64 * 1024 * 1024))
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .expect("a server");
    });
}

struct Taker;

#[tonic::async_trait]
impl TraceService for Taker {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Taker {
    async fn export(
        &self,
        _: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Taker {
    async fn export(
        &self,
        _: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

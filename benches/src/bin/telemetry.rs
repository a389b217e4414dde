//! What telling costs: Authorize over gRPC with everything off, with the default, with traces of one
//! call in a hundred, with a decision log, and with a durable one, in one run. Loaded by h2load
//! (Debian: nghttp2-client), one core for the server and one for the load.
//!
//! `cargo build --release && cargo run --release --manifest-path benches/Cargo.toml --bin telemetry`

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use keyward::wire::v1::{AuthorizeRequest, Principal};
use keyward_benches::{ROUNDS, median, print};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{MetricsService, MetricsServiceServer};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REQUESTS: u32 = 50_000;
const METHOD: &str = "keyward.v1.AuthorizationService/Authorize";

fn main() {
    if std::env::args().nth(1).as_deref() == Some("--collector") {
        return collector();
    }
    let keyward = std::env::args().nth(1).unwrap_or_else(|| "target/release/keyward".to_owned());
    assert!(Path::new(&keyward).exists(), "no {keyward}: run `cargo build --release` first");
    let folder = std::env::temp_dir().join(format!("keyward-telemetry-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    let frame = folder.join("frame");
    fs::write(&frame, request_frame()).expect("a temporary file");

    let this = std::env::current_exe().expect("this program");
    let collector = Server::start(Command::new(this).arg("--collector"), "1");
    let endpoint = format!("http://{}", collector.address);
    let log = |name: &str| format!("file:{}", folder.join(name).display());
    let (best_effort, durable) = (log("best-effort.jsonl"), log("durable.jsonl"));
    let contenders: [(&str, Vec<&str>); 5] = [
        ("off", vec!["--telemetry-metrics", "false"]),
        ("default", vec![]),
        ("traces", vec!["--telemetry-otlp-endpoint", &endpoint, "--telemetry-trace-ratio", "0.01"]),
        ("log", vec!["--decision-log", &best_effort]),
        ("durable", vec!["--decision-log", &durable, "--decision-log-mode", "durable=30s"]),
    ];
    let servers: Vec<(&str, Server)> = contenders
        .iter()
        .map(|(name, more)| {
            let mut command = Command::new(&keyward);
            command.args(["serve", "--policies", "examples/quickstart", "--listen", "127.0.0.1:0"]);
            command.args(["--http-listen", "none", "--log-format", "json"]).args(more);
            (*name, Server::start(&command, "0"))
        })
        .collect();
    let mut rounds: Vec<Vec<Round>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..=ROUNDS {
        for ((name, server), rounds) in servers.iter().zip(&mut rounds) {
            let requests = if *name == "durable" { REQUESTS / 5 } else { REQUESTS };
            let result = server.load(&frame, requests);
            if round > 0 {
                rounds.push(result);
            }
        }
    }
    let of = |rounds: &[Round], read: fn(&Round) -> f64| median(rounds.iter().map(read).collect());
    let off = of(&rounds[0], |round| round.cpu_us);
    for ((name, _), rounds) in servers.iter().zip(&rounds) {
        let cpu = of(rounds, |round| round.cpu_us);
        print(
            "telemetry",
            name,
            &[
                ("rps", of(rounds, |round| round.per_second)),
                ("cpu_us", cpu),
                ("cpu_us_over_off", cpu - off),
                ("cpu_over_off", cpu / off),
            ],
        );
    }
    drop(servers);
    fs::remove_dir_all(&folder).expect("the temporary folder");
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
}

struct Round {
    per_second: f64,
    cpu_us: f64,
}

impl Server {
    /// Starts a server on a core; it says its address on a line of standard error.
    fn start(command: &Command, core: &str) -> Self {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", core]).arg(command.get_program()).args(command.get_args());
        let mut process = pinned.stderr(Stdio::piped()).spawn().expect("taskset of util-linux");
        let mut lines = BufReader::new(process.stderr.take().expect("standard error")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, rest) = line.split_once("127.0.0.1:")?;
                let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                Some(format!("127.0.0.1:{port}"))
            })
            .expect("an address");
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    /// One round of load from the second core.
    fn load(&self, frame: &Path, requests: u32) -> Round {
        let before = self.cpu_ticks();
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
        let ticks = self.cpu_ticks() - before;
        Round { per_second, cpu_us: ticks * 10_000.0 / f64::from(requests) }
    }

    /// CPU time of the process in hundredths of a second.
    fn cpu_ticks(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("its status");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        fields[11..13].iter().map(|field| field.parse::<f64>().expect("a number")).sum()
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

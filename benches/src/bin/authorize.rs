//! Authorize over gRPC: Keyward's server against an echo service of the same message shapes, in one
//! run. Loaded by h2load (Debian: nghttp2-client), one core for the server and one for the load.
//!
//! `cargo build --release && cargo run --release --manifest-path benches/Cargo.toml --bin authorize`

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use keyward::wire::v1::authorization_service_server::{AuthorizationService, AuthorizationServiceServer};
use keyward::wire::v1::{
    AuthorizeRequest, AuthorizeResponse, AuthorizeStreamRequest, AuthorizeStreamResponse, BatchAuthorizeRequest,
    BatchAuthorizeResponse, Decision, Principal,
};
use keyward_benches::{ROUNDS, median, print};
use prost::Message as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REQUESTS: u32 = 100_000;
const METHOD: &str = "keyward.v1.AuthorizationService/Authorize";

fn main() {
    if std::env::args().nth(1).as_deref() == Some("--echo") {
        return echo();
    }
    let keyward = std::env::args().nth(1).unwrap_or_else(|| "target/release/keyward".to_owned());
    assert!(Path::new(&keyward).exists(), "no {keyward}: run `cargo build --release` first");
    let frame = std::env::temp_dir().join("keyward-authorize.frame");
    fs::write(&frame, request_frame()).expect("a temporary file");

    let this = std::env::current_exe().expect("this program");
    let echo = Server::start(Command::new(this).arg("--echo"));
    let ours = Server::start(Command::new(&keyward).args([
        "serve",
        "--policies",
        "examples/quickstart",
        "--listen",
        "127.0.0.1:0",
        "--log-format",
        "json",
    ]));
    let (mut echo_rounds, mut our_rounds) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let results = (echo.load(&frame), ours.load(&frame));
        if round > 0 {
            echo_rounds.push(results.0);
            our_rounds.push(results.1);
        }
    }
    let of = |rounds: &[Round], read: fn(&Round) -> f64| median(rounds.iter().map(read).collect());
    let (echo_rps, our_rps) = (of(&echo_rounds, |r| r.per_second), of(&our_rounds, |r| r.per_second));
    let (echo_cpu, our_cpu) = (of(&echo_rounds, |r| r.cpu_us), of(&our_rounds, |r| r.cpu_us));
    print(
        "authorize",
        "plaintext TCP, 8 connections x 16 streams",
        &[
            ("echo_rps", echo_rps),
            ("keyward_rps", our_rps),
            ("keyward_over_echo", our_rps / echo_rps),
            ("echo_cpu_us", echo_cpu),
            ("keyward_cpu_us", our_cpu),
        ],
    );
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
    /// Starts a server on the first core; it says its address on a line of standard error.
    fn start(command: &mut Command) -> Self {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", "0"]).arg(command.get_program()).args(command.get_args());
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
    fn load(&self, frame: &Path) -> Round {
        let before = self.cpu_ticks();
        let output = Command::new("taskset")
            .args(["-c", "1", "h2load", "-n", &REQUESTS.to_string(), "-c", "8", "-m", "16", "-d"])
            .arg(frame)
            .args(["-H", "content-type: application/grpc", "-H", "te: trailers"])
            .arg(format!("http://{}/{METHOD}", self.address))
            .output()
            .expect("h2load: apt-get install nghttp2-client");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!("{REQUESTS} succeeded")), "{text}");
        let per_second = text
            .lines()
            .find_map(|line| line.split(", ").find_map(|part| part.strip_suffix(" req/s")))
            .and_then(|number| number.parse().ok())
            .expect("requests a second");
        let ticks = self.cpu_ticks() - before;
        Round { per_second, cpu_us: ticks * 10_000.0 / f64::from(REQUESTS) }
    }

    /// Processor time so far, in hundredths of a second.
    fn cpu_ticks(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("the server runs");
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

/// The echo: generated code, a constant answer, one current-thread runtime.
fn echo() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        eprintln!("{}", listener.local_addr().expect("an address"));
        tonic::transport::Server::builder()
            .add_service(AuthorizationServiceServer::new(Echo))
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .expect("a server");
    });
}

struct Echo;

#[tonic::async_trait]
impl AuthorizationService for Echo {
    async fn authorize(&self, call: Request<AuthorizeRequest>) -> Result<Response<AuthorizeResponse>, Status> {
        Ok(Response::new(AuthorizeResponse {
            decision: Decision::Allowed.into(),
            decision_id: "0192d3a4-0000-7000-8000-000000000000".to_owned(),
            request_id: call.into_inner().request_id,
            policy_revision: "sha256:0000000000000000000000000000000000000000000000000000000000000000".to_owned(),
            key_arn: "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab".to_owned(),
            ..AuthorizeResponse::default()
        }))
    }

    async fn batch_authorize(
        &self,
        _: Request<BatchAuthorizeRequest>,
    ) -> Result<Response<BatchAuthorizeResponse>, Status> {
        Ok(Response::new(BatchAuthorizeResponse::default()))
    }

    type AuthorizeStreamStream = tokio_stream::Empty<Result<AuthorizeStreamResponse, Status>>;

    async fn authorize_stream(
        &self,
        _: Request<tonic::Streaming<AuthorizeStreamRequest>>,
    ) -> Result<Response<Self::AuthorizeStreamStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }
}

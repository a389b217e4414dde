//! The servers, each a process of its own, and what they cost.

use std::convert::Infallible;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::{BodyExt as _, StreamBody};
use keyward::wire::proto::decode::decode;
use keyward::wire::v1::authorization_service_server::{AuthorizationService, AuthorizationServiceServer};
use keyward::wire::v1::{
    AuthorizeRequest, AuthorizeResponse, AuthorizeStreamRequest, AuthorizeStreamResponse, BatchAuthorizeRequest,
    BatchAuthorizeResponse, Decision,
};
use keyward_benches::world::request;
use prost::Message as _;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::{Request, Response, Status};

const REQUESTS: u32 = 100_000;
const METHOD: &str = "keyward.v1.AuthorizationService/Authorize";

/// Where a server listens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Address {
    Tcp,
    Unix,
}

/// A server and where it is.
pub struct Server {
    process: Child,
    address: String,
    folder: tempfile::TempDir,
}

/// What a round came to.
#[derive(Clone, Copy)]
pub struct Round {
    /// Checks a second.
    pub per_second: f64,
    /// The server's processor time, in microseconds a check.
    pub cpu_us: f64,
}

impl Server {
    /// Generated code, a constant answer, one current-thread runtime.
    pub fn echo(address: Address) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg("--echo");
        if address == Address::Unix {
            command.arg(socket(&folder));
        }
        Self::start(command, folder, address, "0")
    }

    /// A constant answer, read and written in place.
    pub fn constant() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg("--constant");
        Self::start(command, tempfile::tempdir().expect("a folder"), Address::Tcp, "0")
    }

    /// The real thing.
    pub fn keyward(binary: &Path, policies: &Path, address: Address, threads: u32, cores: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listen = match address {
            Address::Tcp => "127.0.0.1:0".to_owned(),
            Address::Unix => format!("unix:{}", socket(&folder).display()),
        };
        let mut command = Command::new(binary);
        command.args(["serve", "--log-format", "json", "--threads", &threads.to_string(), "--listen", &listen]);
        command.arg("--policies").arg(policies);
        command.args(["--http-listen", "127.0.0.1:0"]);
        command.env("XDG_RUNTIME_DIR", folder.path());
        Self::start(command, folder, address, cores)
    }

    fn start(command: Command, folder: tempfile::TempDir, address: Address, cores: &str) -> Self {
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", cores]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            pinned.env(name, value.unwrap_or_default());
        }
        let mut process = pinned.stderr(Stdio::piped()).spawn().expect("taskset of util-linux");
        let mut lines = BufReader::new(process.stderr.take().expect("standard error")).lines();
        let found = lines
            .by_ref()
            .map_while(Result::ok)
            .filter(|line| !line.contains("probes") && !line.contains("operators"))
            .find_map(|line| match address {
                Address::Tcp => {
                    let (_, rest) = line.split_once("127.0.0.1:")?;
                    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                    Some(format!("127.0.0.1:{port}"))
                }
                Address::Unix => line.contains(".sock").then(|| socket(&folder).display().to_string()),
            })
            .expect("an address");
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address: found, folder }
    }

    /// The answer is the expected one: h2load counts answers of any kind.
    pub fn check(&self) {
        if self.address.starts_with('/') {
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut client = crate::client::connect(&self.address).await;
            let answer = client.authorize(request(0)).await.expect("an answer").into_inner();
            assert_eq!(answer.decision(), Decision::Allowed, "{answer:?}");
        });
    }

    /// One round of h2load from the second core.
    pub fn h2load(&self, connections: u32, streams: u32) -> Round {
        self.h2load_on("1", connections, streams)
    }

    /// One round of h2load.
    pub fn h2load_on(&self, cores: &str, connections: u32, streams: u32) -> Round {
        let frame = self.folder.path().join("frame");
        fs::write(&frame, framed(&request(0).encode_to_vec())).expect("a file");
        let before = self.cpu_us();
        let mut command = Command::new("taskset");
        command.args(["-c", cores, "h2load", "-n", &REQUESTS.to_string()]);
        command.args(["-c", &connections.to_string(), "-m", &streams.to_string(), "-d"]).arg(&frame);
        command.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
        if self.address.starts_with('/') {
            command.arg(format!("--base-uri=unix:{}", self.address)).arg(format!("http://localhost/{METHOD}"));
        } else {
            command.arg(format!("http://{}/{METHOD}", self.address));
        }
        let output = command.output().expect("h2load: apt-get install nghttp2-client");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!("{REQUESTS} succeeded")), "{text}");
        let per_second = text
            .lines()
            .find_map(|line| line.split(", ").find_map(|part| part.strip_suffix(" req/s")))
            .and_then(|number| number.parse().ok())
            .expect("requests a second");
        Round { per_second, cpu_us: (self.cpu_us() - before) / f64::from(REQUESTS) }
    }

    /// One round of our own client from the second core.
    pub fn client(&self, kind: &str, keys: &str) -> Round {
        let before = self.cpu_us();
        let output = self.run_client(&[kind, keys]);
        let mut numbers = output.split_whitespace().map(|number| number.parse::<f64>().expect("a number"));
        let (checks, seconds) = (numbers.next().expect("checks"), numbers.next().expect("seconds"));
        Round { per_second: checks / seconds, cpu_us: (self.cpu_us() - before) / checks }
    }

    /// p50, p99 and p99.9 in microseconds.
    pub fn open_loop(&self, rate: &str) -> [f64; 3] {
        let output = self.run_client(&["open", rate]);
        let numbers: Vec<f64> = output.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        [numbers[0], numbers[1], numbers[2]]
    }

    fn run_client(&self, arguments: &[&str]) -> String {
        let output = Command::new("taskset")
            .args(["-c", "1"])
            .arg(std::env::current_exe().expect("this program"))
            .args(["--client", &self.address])
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()
            .expect("this program");
        assert!(output.status.success(), "the client failed");
        String::from_utf8_lossy(&output.stdout).into_owned()
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
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn socket(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("data.sock")
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).expect("a small message").to_be_bytes());
    frame.extend(message);
    frame
}

/// The echo, on a port or a socket.
pub fn echo(path: Option<&str>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = tonic::transport::Server::builder().add_service(AuthorizationServiceServer::new(Echo));
        match path {
            None => {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
                eprintln!("{}", listener.local_addr().expect("an address"));
                server.serve_with_incoming(NoDelay(TcpListenerStream::new(listener))).await.expect("a server");
            }
            Some(path) => {
                let listener = tokio::net::UnixListener::bind(path).expect("a socket");
                eprintln!("{path}");
                server.serve_with_incoming(UnixListenerStream::new(listener)).await.expect("a server");
            }
        }
    });
}

/// A constant answer, read and written in place.
pub fn constant() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        eprintln!("{}", listener.local_addr().expect("an address"));
        tonic::transport::Server::builder()
            .add_service(Constant)
            .serve_with_incoming(NoDelay(TcpListenerStream::new(listener)))
            .await
            .expect("a server");
    });
}

struct NoDelay(TcpListenerStream);

impl tokio_stream::Stream for NoDelay {
    type Item = std::io::Result<tokio::net::TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = std::task::ready!(Pin::new(&mut self.0).poll_next(context));
        if let Some(Ok(stream)) = &accepted {
            stream.set_nodelay(true).expect("an option");
        }
        Poll::Ready(accepted)
    }
}

fn answer(request_id: String) -> AuthorizeResponse {
    AuthorizeResponse {
        decision: Decision::Allowed.into(),
        decision_id: "0192d3a4-0000-7000-8000-000000000000".to_owned(),
        request_id,
        policy_revision: "sha256:0000000000000000000000000000000000000000000000000000000000000000".to_owned(),
        consistency_token: "documents.0".to_owned(),
        key_arn: "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab".to_owned(),
        ..AuthorizeResponse::default()
    }
}

struct Echo;

#[tonic::async_trait]
impl AuthorizationService for Echo {
    async fn authorize(&self, call: Request<AuthorizeRequest>) -> Result<Response<AuthorizeResponse>, Status> {
        Ok(Response::new(answer(call.into_inner().request_id)))
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

#[derive(Clone)]
struct Constant;

impl tonic::server::NamedService for Constant {
    const NAME: &'static str = "keyward.v1.AuthorizationService";
}

impl tower::Service<http::Request<tonic::body::Body>> for Constant {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let mut body = request.into_body();
        Box::pin(async move {
            let mut message = Bytes::new();
            while !body.is_end_stream()
                && let Some(frame) = body.frame().await
            {
                // Some clients end the stream with a frame of its own that is empty.
                let data = frame.expect("a frame").into_data().unwrap_or_default();
                message = if data.is_empty() { message } else { data };
            }
            let view = decode(&message[5..]).expect("a request");
            let answer = answer(view.request_id.to_owned());
            let mut out = BytesMut::with_capacity(512);
            out.put_u8(0);
            out.put_u32(u32::try_from(answer.encoded_len()).expect("a small message"));
            answer.encode(&mut out).expect("room");
            let mut trailers = http::HeaderMap::with_capacity(1);
            trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
            let frames = [http_body::Frame::data(out.freeze()), http_body::Frame::trailers(trailers)];
            let frames = tokio_stream::iter(frames.map(Ok::<_, Infallible>));
            let mut response = http::Response::new(tonic::body::Body::new(StreamBody::new(frames)));
            response
                .headers_mut()
                .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
            Ok(response)
        })
    }
}

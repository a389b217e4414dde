//! Our own client: questions take turns, batches, streams, and load that does not wait for answers.

use std::io::Write as _;
use std::time::{Duration, Instant};

use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use keyward::wire::v1::{AuthorizeRequest, AuthorizeStreamRequest, BatchAuthorizeRequest};
use keyward_benches::world::request;
use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint};

/// How long a round takes.
const ROUND: Duration = Duration::from_secs(2);
/// Different questions at most.
const QUESTIONS: usize = 16_384;

/// A client of a server on a port.
pub async fn connect(address: &str) -> AuthorizationServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address").tcp_nodelay(true);
    AuthorizationServiceClient::new(endpoint.connect().await.expect("a connection"))
}

/// `ADDRESS KIND KEYS`, or `ADDRESS open RATE`.
pub fn main(arguments: &[String]) {
    let [address, kind, number] = arguments else { panic!("ADDRESS KIND NUMBER") };
    let number: usize = number.parse().expect("a number");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let line = runtime.block_on(async {
        match kind.as_str() {
            "open" => open(address, number).await,
            _ => closed(address, kind, number).await,
        }
    });
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

fn questions(keys: usize) -> Vec<AuthorizeRequest> {
    (0..QUESTIONS.min(keys)).map(|turn| request(turn.wrapping_mul(0x9E37_79B9) % keys)).collect()
}

async fn closed(address: &str, kind: &str, keys: usize) -> String {
    let questions: &'static [AuthorizeRequest] = questions(keys).leak();
    let (connections, streams) = match kind {
        "unary" => (8, 16),
        "stream" => (8, 1),
        _ => (4, 2),
    };
    let start = Instant::now();
    let end = start + ROUND;
    let mut tasks = Vec::new();
    for connection in 0..connections {
        let client = connect(address).await;
        for stream in 0..streams {
            let (client, first) = (client.clone(), (connection * streams + stream) * 97);
            let work: std::pin::Pin<Box<dyn Future<Output = u64>>> = match kind {
                "unary" => Box::pin(unary(client, questions, first, end)),
                "batch10" => Box::pin(batch(client, questions, first, end, 10)),
                "batch100" => Box::pin(batch(client, questions, first, end, 100)),
                "stream" => Box::pin(stream_of(client, questions, first, end)),
                other => panic!("no `{other}`"),
            };
            tasks.push(work);
        }
    }
    let local = tokio::task::LocalSet::new();
    let handles: Vec<_> = tasks.into_iter().map(|task| local.spawn_local(task)).collect();
    let mut checks = 0;
    local
        .run_until(async {
            for handle in handles {
                checks += handle.await.expect("a task");
            }
        })
        .await;
    format!("{checks} {}", start.elapsed().as_secs_f64())
}

async fn unary(
    mut client: AuthorizationServiceClient<Channel>,
    questions: &[AuthorizeRequest],
    first: usize,
    end: Instant,
) -> u64 {
    let mut checks = 0;
    for question in questions.iter().cycle().skip(first) {
        client.authorize(question.clone()).await.expect("an answer");
        checks += 1;
        if Instant::now() > end {
            break;
        }
    }
    checks
}

async fn batch(
    mut client: AuthorizationServiceClient<Channel>,
    questions: &[AuthorizeRequest],
    first: usize,
    end: Instant,
    size: usize,
) -> u64 {
    let requests = questions.iter().cycle().skip(first).take(size).cloned().collect();
    let batch = BatchAuthorizeRequest { requests, ..BatchAuthorizeRequest::default() };
    let mut checks = 0;
    while Instant::now() < end {
        let answers = client.batch_authorize(batch.clone()).await.expect("answers").into_inner();
        assert_eq!(answers.items.len(), size);
        checks += size as u64;
    }
    checks
}

async fn stream_of(
    mut client: AuthorizationServiceClient<Channel>,
    questions: &'static [AuthorizeRequest],
    first: usize,
    end: Instant,
) -> u64 {
    let (send, receive) = tokio::sync::mpsc::channel(16);
    let asked = tokio_stream::wrappers::ReceiverStream::new(receive);
    let mut next = questions.iter().cycle().skip(first).zip(0..);
    let mut ask = move || {
        let (question, id) = next.next().expect("no end");
        AuthorizeStreamRequest { id, request: Some(question.clone()) }
    };
    for _ in 0..16 {
        send.try_send(ask()).expect("room");
    }
    let mut answers = client.authorize_stream(asked).await.expect("a stream").into_inner();
    let mut checks = 0;
    while let Some(answer) = answers.next().await {
        answer.expect("an answer");
        checks += 1;
        if Instant::now() > end {
            break;
        }
        let _ = send.try_send(ask());
    }
    checks
}

/// Sends at a fixed rate, whatever the answers do, and measures from the moment at which each
/// request was to be sent.
async fn open(address: &str, rate: usize) -> String {
    let questions: &'static [AuthorizeRequest] = questions(1_000).leak();
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(connect(address).await);
    }
    let interval = Duration::from_secs_f64(1.0 / rate as f64);
    let start = Instant::now() + Duration::from_millis(50);
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
    let total = rate * 2;
    let local = tokio::task::LocalSet::new();
    local.spawn_local(async move {
        for number in 0..total {
            let due = start + interval * u32::try_from(number).expect("a small number");
            // Spinning: a timer would be late.
            while Instant::now() < due {
                tokio::task::yield_now().await;
            }
            let (mut client, send) = (clients[number % clients.len()].clone(), send.clone());
            let question = questions[number % questions.len()].clone();
            tokio::task::spawn_local(async move {
                client.authorize(question).await.expect("an answer");
                send.send(due.elapsed()).expect("a listener");
            });
        }
    });
    let mut times = Vec::with_capacity(total);
    local
        .run_until(async {
            while times.len() < total {
                times.push(receive.recv().await.expect("a time"));
            }
        })
        .await;
    // The first tenth warms up.
    let mut times: Vec<f64> = times.iter().skip(total / 10).map(|time| time.as_secs_f64() * 1e6).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    format!("{} {} {}", at(0.5), at(0.99), at(0.999))
}

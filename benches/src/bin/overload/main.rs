//! Overload: what one core answers at most, and what it answers when three times as much is asked.
//! The server runs on the first core, the load on the second.
//!
//! `cargo build --release && cargo run --release --manifest-path benches/Cargo.toml --bin overload
//! [-- CASE… [-- FLAG OF KEYWARD…]]` prints one line of JSON a case. Beside the load a client of gRPC
//! asks one question after the other, so that it is seen what such a client is told meanwhile.

mod load;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use keyward::wire::v1::{BatchAuthorizeRequest, Decision};
use keyward_benches::served::{KEYS, Served};
use keyward_benches::world::request;
use keyward_benches::{median, print};
use prost::Message;
use tonic::transport::Endpoint;

use load::{Found, Plan, WARM_UP, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ONE: &str = "/keyward.v1.AuthorizationService/Authorize";
const BATCH: &str = "/keyward.v1.AuthorizationService/BatchAuthorize";
/// How long what can be answered is measured, and how long too much is asked.
const CAPACITY: Duration = Duration::from_secs(2);
const OVERLOAD: Duration = Duration::from_secs(10);
/// How many times too much.
const TIMES: f64 = 3.0;
/// Between two questions of the client beside the load.
const PAUSE: Duration = Duration::from_millis(5);

struct Case {
    name: &'static str,
    path: &'static str,
    /// Questions in a message.
    questions: usize,
    connections: usize,
}

const CASES: [Case; 4] = [
    Case { name: "few", path: ONE, questions: 1, connections: 8 },
    Case { name: "many", path: ONE, questions: 1, connections: 64 },
    Case { name: "crowd", path: ONE, questions: 1, connections: 1_000 },
    Case { name: "batches", path: BATCH, questions: 100, connections: 64 },
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let wanted: Vec<String> = arguments.by_ref().take_while(|argument| argument != "--").collect();
    let more: Vec<String> = arguments.collect();
    for case in CASES {
        if wanted.is_empty() || wanted.iter().any(|name| *name == case.name) {
            overload(&case, &more);
        }
    }
}

fn framed(message: &impl Message) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.encoded_len()).expect("a short message").to_be_bytes());
    message.encode(&mut frame).expect("room");
    frame
}

fn messages(case: &Case) -> Vec<Vec<u8>> {
    let batch = |first: usize| BatchAuthorizeRequest {
        requests: (first..first + case.questions).map(|index| request(index % KEYS)).collect(),
        ..BatchAuthorizeRequest::default()
    };
    match case.path {
        ONE => (0..KEYS).map(|index| framed(&request(index))).collect(),
        _ => (0..KEYS).step_by(10).map(|first| framed(&batch(first))).collect(),
    }
}

fn overload(case: &Case, more: &[String]) {
    let mut served = Served::start("0", more);
    pin();
    let messages = messages(case);
    let capacity = || {
        let plan = Plan {
            address: &served.address,
            path: case.path,
            messages: &messages,
            connections: 8,
            rate: None,
            streams: 16,
            time: CAPACITY,
        };
        let found = run(&plan);
        assert_eq!((found.refused, found.reset, found.lost), (0, 0, 0), "not overloaded, and refused");
        found.goodput()
    };
    let most = median((0..3).map(|_| capacity()).collect());
    let before = served.memory("VmRSS");
    let beside = Beside::start(&served.address);
    let mut found = run(&Plan {
        address: &served.address,
        path: case.path,
        messages: &messages,
        connections: case.connections,
        rate: Some(most * TIMES),
        streams: u32::MAX,
        time: OVERLOAD,
    });
    let told = beside.stop();
    let after = served.memory("VmRSS");
    let again = capacity();
    assert!(served.runs(), "the server is gone");
    report(case, (most, again), &mut found, &told, [before, after, served.memory("VmHWM")]);
}

fn report(case: &Case, (most, again): (f64, f64), found: &mut Found, told: &Told, memory: [f64; 3]) {
    let share = |count: u64| count as f64 / found.due as f64;
    let [before, after, peak] = memory;
    let mut values = vec![
        ("capacity", most),
        ("offered", found.due as f64 / found.seconds),
        ("sent_share", share(found.sent)),
        ("goodput", found.goodput()),
        ("goodput_over_capacity", found.goodput() / most),
        ("capacity_after", again),
        ("refused_share", share(found.refused)),
        ("reset", found.reset as f64),
        ("connections_lost", found.lost as f64),
    ];
    values.extend([("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999)].map(|(name, at)| (name, found.quantile(at))));
    values.extend([("rss_before_mb", before), ("rss_after_mb", after), ("rss_most_mb", peak)]);
    let codes: Vec<(String, f64)> =
        told.codes.iter().map(|(code, count)| (format!("beside_{code}"), *count as f64)).collect();
    values.extend(codes.iter().map(|(name, count)| (name.as_str(), *count)));
    values.push(("beside_p99_ms", told.p99_ms));
    let name = format!("{}: {} connections, {} in a message, {TIMES} times", case.name, case.connections, case.questions);
    print("overload", &name, &values);
}

/// Leaves the first core to the server.
fn pin() {
    let this = std::process::id().to_string();
    let pinned = std::process::Command::new("taskset").args(["-a", "-p", "-c", "1", &this]).output();
    assert!(pinned.expect("taskset of util-linux").status.success());
}

/// What a client of gRPC was told beside the load.
struct Told {
    codes: BTreeMap<String, u64>,
    p99_ms: f64,
}

/// The client: its thread, and how it is told to stop.
struct Beside(Arc<AtomicBool>, std::thread::JoinHandle<Told>);

impl Beside {
    fn start(address: &str) -> Self {
        let (stop, address) = (Arc::new(AtomicBool::new(false)), format!("http://{address}"));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(beside(address, &stopped))
        });
        Self(stop, thread)
    }

    fn stop(self) -> Told {
        self.0.store(true, Ordering::Relaxed);
        self.1.join().expect("no panic")
    }
}

async fn beside(address: String, stop: &AtomicBool) -> Told {
    let endpoint = Endpoint::from_shared(address).expect("an address").tcp_nodelay(true);
    let mut client = AuthorizationServiceClient::new(endpoint.connect_lazy());
    let (mut codes, mut times) = (BTreeMap::new(), Vec::new());
    let (start, mut pause) = (Instant::now(), tokio::time::interval(PAUSE));
    pause.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for turn in 0.. {
        pause.tick().await;
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut question = tonic::Request::new(request(turn % KEYS));
        question.set_timeout(Duration::from_secs(5));
        let asked = Instant::now();
        let code = match client.authorize(question).await {
            Ok(answer) => {
                assert_eq!(answer.into_inner().decision(), Decision::Allowed);
                "Ok".to_owned()
            }
            Err(status) => format!("{:?}", status.code()),
        };
        if start.elapsed() > WARM_UP {
            times.push(asked.elapsed().as_secs_f64() * 1e3);
            *codes.entry(code).or_insert(0) += 1;
        }
    }
    times.sort_by(f64::total_cmp);
    let p99_ms = times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    Told { codes, p99_ms }
}

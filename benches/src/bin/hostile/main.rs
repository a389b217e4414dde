//! Clients that mean no good, for as long as is wanted, beside honest ones whose every answer is
//! checked.
//!
//! `cargo build --release && cargo run --release --manifest-path benches/Cargo.toml --bin hostile --
//! SECONDS` prints one line of JSON for every half minute and one at the end. It fails if the server
//! ends, or if an honest client is not answered rightly.

mod attacks;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use keyward::wire::v1::{AuthorizeRequest, Decision};
use keyward_benches::print;
use keyward_benches::served::{KEYS, Served};
use keyward_benches::world::request;
use tonic::transport::{Channel, Endpoint};

use attacks::{Attacker, KINDS};

const ATTACKERS: u64 = 8;
/// Between two looks at the server.
const LOOK: Duration = Duration::from_secs(30);
/// An honest client waits so long for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Answers on one connection before an honest client makes a new one.
const RENEWED: usize = 500;
/// After the attacks the server has so long to forget them: the time it gives a message.
const REST: Duration = Duration::from_secs(45);
/// Open files that may be there for other reasons: connections of honest clients.
const FILES: usize = 4;

/// What is going on.
#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    attacks: [AtomicU64; KINDS.len()],
    answered: AtomicU64,
    failed: AtomicU64,
    /// How long honest clients waited since the last look, in microseconds.
    waited: Mutex<Vec<u32>>,
}

fn main() {
    let seconds: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).expect("SECONDS");
    let mut served = Served::start("0,1", &[]);
    let counts = Arc::new(Counts::default());
    let honest = {
        let (address, counts) = (format!("http://{}", served.address), Arc::clone(&counts));
        std::thread::spawn(move || honest(&address, &counts))
    };
    while counts.answered.load(Ordering::Relaxed) < 1_000 {
        assert_eq!(counts.failed.load(Ordering::Relaxed), 0, "an honest client failed before anything began");
        std::thread::yield_now();
    }
    let mut waited = Vec::new();
    look(&served, &counts, "before", &mut waited);
    waited.clear();
    let (memory, files) = (served.memory("VmRSS"), served.files());
    let attackers: Vec<_> = (1..=ATTACKERS)
        .map(|seed| {
            let (address, counts) = (served.address.clone(), Arc::clone(&counts));
            std::thread::spawn(move || {
                let mut attacker = Attacker::new(&address, seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                while !counts.stop.load(Ordering::Relaxed) {
                    counts.attacks[attacker.attack()].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let start = Instant::now();
    let end = Duration::from_secs(seconds);
    while start.elapsed() < end && served.runs() {
        std::thread::park_timeout(LOOK.min(end.saturating_sub(start.elapsed())));
        look(&served, &counts, &format!("after {} s", start.elapsed().as_secs()), &mut waited);
    }
    waited.sort_unstable();
    let times = [("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999), ("longest_ms", 1.0)];
    let times = times.map(|(name, share)| (name, quantile(&waited, share)));
    print("hostile", "honest clients", &times);
    counts.stop.store(true, Ordering::Relaxed);
    for attacker in attackers {
        attacker.join().expect("an attacker");
    }
    honest.join().expect("an honest client");
    let rest = Instant::now();
    while rest.elapsed() < REST && served.runs() && served.files() > files {
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert!(served.runs(), "the server is gone");
    look(&served, &counts, "at the end", &mut waited);
    for (index, (name, _)) in KINDS.iter().enumerate() {
        print("hostile", name, &[("times", counts.attacks[index].load(Ordering::Relaxed) as f64)]);
    }
    assert_eq!(counts.failed.load(Ordering::Relaxed), 0, "honest clients were not answered, or not rightly");
    let left = served.files();
    assert!(left <= files + FILES, "open files: {files} before, {left} after");
    print("hostile", "memory, at the end over the beginning", &[("times", served.memory("VmRSS") / memory)]);
}

/// Prints how things are; adds how long honest clients waited to what is known of that.
fn look(served: &Served, counts: &Counts, when: &str, all: &mut Vec<u32>) {
    let mut waited = std::mem::take(&mut *counts.waited.lock().expect("no panic"));
    waited.sort_unstable();
    let attacks: u64 = counts.attacks.iter().map(|count| count.load(Ordering::Relaxed)).sum();
    print(
        "hostile",
        when,
        &[
            ("attacks", attacks as f64),
            ("honest_answers", counts.answered.load(Ordering::Relaxed) as f64),
            ("honest_failures", counts.failed.load(Ordering::Relaxed) as f64),
            ("honest_p50_ms", quantile(&waited, 0.5)),
            ("honest_p99_ms", quantile(&waited, 0.99)),
            ("honest_longest_ms", quantile(&waited, 1.0)),
            ("rss_mb", served.memory("VmRSS")),
            ("open_files", served.files() as f64),
        ],
    );
    all.append(&mut waited);
}

/// A quantile of sorted times, in milliseconds.
fn quantile(sorted: &[u32], share: f64) -> f64 {
    let at = (sorted.len().saturating_sub(1) as f64 * share) as usize;
    sorted.get(at).map_or(f64::NAN, |time| f64::from(*time) / 1e3)
}

/// Asks what is allowed and what is denied, over a connection that is there and over new ones.
fn honest(address: &str, counts: &Counts) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut clients = [connect(address), connect(address)];
        let mut turn = 0;
        while !counts.stop.load(Ordering::Relaxed) {
            turn += 1;
            if turn % RENEWED == 0 {
                clients[1] = connect(address);
            }
            let (question, right) = question(turn);
            let asked = Instant::now();
            let mut call = tonic::Request::new(question);
            call.set_timeout(PATIENCE);
            match clients[turn % 2].authorize(call).await {
                Ok(answer) if answer.get_ref().decision() == right => {
                    counts.answered.fetch_add(1, Ordering::Relaxed);
                }
                other => {
                    counts.failed.fetch_add(1, Ordering::Relaxed);
                    eprintln!("expected {right:?}: {other:?}");
                }
            }
            let waited = u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX);
            counts.waited.lock().expect("no panic").push(waited);
        }
    });
}

fn connect(address: &str) -> AuthorizationServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(address.to_owned()).expect("an address").tcp_nodelay(true);
    AuthorizationServiceClient::new(endpoint.connect_lazy())
}

/// A question, and what it must be answered with: those of another tenant are denied.
fn question(turn: usize) -> (AuthorizeRequest, Decision) {
    let mut question = request(turn % KEYS);
    if turn % 3 > 0 {
        return (question, Decision::Allowed);
    }
    question.encryption_context.insert("tenant".to_owned(), "43".to_owned());
    (question, Decision::ImplicitDeny)
}

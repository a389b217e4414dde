//! Authorize over gRPC: Keyward's server, over a thousand keys, against an echo service of the same
//! message shapes (generated code, a constant answer) and against a constant answer that is read and
//! written in place, in one run.
//!
//! `cargo build --release && cargo run --release --manifest-path benches/Cargo.toml --bin authorize
//! [-- CASE…]` prints one line of JSON a case. The servers run on the first core, the load on the
//! second. h2load (Debian: nghttp2-client) loads where one question is enough; a client of our own
//! where questions take turns.

mod client;
mod servers;

use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;

use keyward_benches::world::{document_of_keys, key, key_arn, role, ten_statements};
use keyward_benches::{ROUNDS, median, print};

use servers::{Address, Round, Server};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where `cargo build --release` puts the server.
const KEYWARD: &str = "target/release/keyward";

type Case = fn(&Path);

const CASES: [(&str, Case); 8] = [
    ("tcp", tcp),
    ("unix", unix),
    ("rotation", rotation),
    ("million", million),
    ("batch", batch_and_stream),
    ("cores", cores),
    ("latency", latency),
    ("reloading", reloading),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--echo") => return servers::echo(arguments.get(1).map(String::as_str)),
        Some("--constant") => return servers::constant(),
        Some("--client") => return client::main(&arguments[1..]),
        _ => {}
    }
    let keyward = std::env::var("KEYWARD_BINARY").unwrap_or_else(|_| {
        let target = std::env::var("CARGO_TARGET_DIR").map(|folder| format!("{folder}/release/keyward"));
        target.unwrap_or_else(|_| KEYWARD.to_owned())
    });
    let keyward = Path::new(&keyward);
    assert!(keyward.exists(), "no {}: run `cargo build --release` first", keyward.display());
    for (name, case) in CASES {
        if arguments.is_empty() || arguments.iter().any(|wanted| wanted == name) {
            case(keyward);
        }
    }
}

/// A policy set of so many keys with ten statements each, in a folder.
fn policies(keys: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("a file");
    for (index, first) in (0..keys).step_by(10_000).enumerate() {
        write(&format!("keys-{index}.json"), document_of_keys(first..keys.min(first + 10_000)));
    }
    write("role.json", role(Vec::new()).to_string());
    folder
}

/// Rounds of several contenders that take turns; the first of each warms up.
fn rounds(mut contenders: Vec<Box<dyn FnMut() -> Round + '_>>) -> Vec<Round> {
    let mut found: Vec<Vec<Round>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..=ROUNDS {
        for (contender, rounds) in contenders.iter_mut().zip(&mut found) {
            let result = contender();
            if round > 0 {
                rounds.push(result);
            }
        }
    }
    let middle = |rounds: &[Round], read: fn(&Round) -> f64| median(rounds.iter().map(read).collect());
    let middle = |rounds: Vec<Round>| Round {
        per_second: middle(&rounds, |round| round.per_second),
        cpu_us: middle(&rounds, |round| round.cpu_us),
    };
    found.into_iter().map(middle).collect()
}

fn tcp(keyward: &Path) {
    let folder = policies(1_000);
    against_echo("tcp, 8 connections x 16 streams, one core", keyward, folder.path(), Address::Tcp, 8, 16);
    against_echo("tcp, 1 connection x 128 streams, one core", keyward, folder.path(), Address::Tcp, 1, 128);
    against_echo("tcp, 64 connections x 1 stream, one core", keyward, folder.path(), Address::Tcp, 64, 1);
}

fn unix(keyward: &Path) {
    let folder = policies(1_000);
    against_echo("unix socket, 8 connections x 16 streams, one core", keyward, folder.path(), Address::Unix, 8, 16);
}

fn against_echo(case: &str, keyward: &Path, folder: &Path, address: Address, connections: u32, streams: u32) {
    let (echo, constant) = (Server::echo(address), Server::constant());
    let ours = Server::keyward(keyward, folder, address, 1, "0");
    ours.check();
    let mut contenders: Vec<Box<dyn FnMut() -> Round>> = vec![
        Box::new(|| echo.h2load(connections, streams)),
        Box::new(|| ours.h2load(connections, streams)),
    ];
    if address == Address::Tcp {
        contenders.push(Box::new(|| constant.h2load(connections, streams)));
    }
    let found = rounds(contenders);
    let (echo, ours) = (&found[0], &found[1]);
    let mut values = vec![
        ("echo_rps", echo.per_second),
        ("keyward_rps", ours.per_second),
        ("keyward_over_echo", ours.per_second / echo.per_second),
        ("echo_cpu_us", echo.cpu_us),
        ("keyward_cpu_us", ours.cpu_us),
    ];
    if let Some(constant) = found.get(2) {
        values.push(("constant_rps", constant.per_second));
        values.push(("constant_cpu_us", constant.cpu_us));
        values.push(("decision_adds_us", ours.cpu_us - constant.cpu_us));
    }
    print("authorize", case, &values);
}

/// Questions about a thousand keys in turn.
fn rotation(keyward: &Path) {
    over(keyward, 1_000);
}

fn million(keyward: &Path) {
    over(keyward, 1_000_000);
}

fn over(keyward: &Path, keys: usize) {
    let folder = policies(keys);
    let (echo, constant) = (Server::echo(Address::Tcp), Server::constant());
    let ours = Server::keyward(keyward, folder.path(), Address::Tcp, 1, "0");
    let count = keys.to_string();
    let found = rounds(vec![
        Box::new(|| echo.client("unary", &count)),
        Box::new(|| constant.client("unary", &count)),
        Box::new(|| ours.client("unary", &count)),
    ]);
    print(
        "authorize",
        &format!("{keys} keys in turn, 8 connections x 16 streams, one core"),
        &[
            ("echo_cpu_us", found[0].cpu_us),
            ("constant_cpu_us", found[1].cpu_us),
            ("keyward_cpu_us", found[2].cpu_us),
            ("decision_adds_us", found[2].cpu_us - found[1].cpu_us),
        ],
    );
}

fn batch_and_stream(keyward: &Path) {
    let folder = policies(1_000);
    let ours = Server::keyward(keyward, folder.path(), Address::Tcp, 1, "0");
    let found = rounds(vec![
        Box::new(|| ours.client("unary", "1000")),
        Box::new(|| ours.client("batch10", "1000")),
        Box::new(|| ours.client("batch100", "1000")),
        Box::new(|| ours.client("stream", "1000")),
    ]);
    for (case, round) in ["unary", "batch of 10", "batch of 100", "stream, 16 in flight"].iter().zip(&found) {
        print(
            "authorize",
            &format!("{case}, 1000 keys in turn, one core"),
            &[("checks_per_second", round.per_second), ("cpu_us_a_check", round.cpu_us)],
        );
    }
}

/// One thread on one core, and two threads on both.
fn cores(keyward: &Path) {
    let folder = policies(1_000);
    let one = Server::keyward(keyward, folder.path(), Address::Tcp, 1, "0,1");
    let two = Server::keyward(keyward, folder.path(), Address::Tcp, 2, "0,1");
    let found = rounds(vec![Box::new(|| one.h2load_on("0,1", 16, 16)), Box::new(|| two.h2load_on("0,1", 16, 16))]);
    print(
        "authorize",
        "tcp, load on both cores",
        &[
            ("one_thread_rps", found[0].per_second),
            ("two_threads_rps", found[1].per_second),
            ("one_thread_cpu_us", found[0].cpu_us),
            ("two_threads_cpu_us", found[1].cpu_us),
            ("cpu_two_over_one", found[1].cpu_us / found[0].cpu_us),
        ],
    );
}

/// Open loop: latency from the moment at which a request was to be sent.
fn latency(keyward: &Path) {
    let folder = policies(1_000);
    let (echo, ours) = (Server::echo(Address::Tcp), Server::keyward(keyward, folder.path(), Address::Tcp, 1, "0"));
    for rate in ["2000", "10000"] {
        let mut found: [Vec<[f64; 3]>; 2] = Default::default();
        for _ in 0..5 {
            found[0].push(echo.open_loop(rate));
            found[1].push(ours.open_loop(rate));
        }
        let middle = |of: &[[f64; 3]], at: usize| median(of.iter().map(|found| found[at]).collect());
        print(
            "authorize",
            &format!("open loop, {rate} requests a second, one core"),
            &[
                ("echo_p50_us", middle(&found[0], 0)),
                ("keyward_p50_us", middle(&found[1], 0)),
                ("echo_p99_us", middle(&found[0], 1)),
                ("keyward_p99_us", middle(&found[1], 1)),
                ("echo_p999_us", middle(&found[0], 2)),
                ("keyward_p999_us", middle(&found[1], 2)),
            ],
        );
    }
}

/// Open loop over a thousand documents of a key each: at rest, and while one of them is replaced
/// every second.
fn reloading(keyward: &Path) {
    const KEYS: usize = 1_000;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |index: usize, tenant: &str| {
        let next = folder.path().join(".next");
        std::fs::write(&next, key(&key_arn(index), ten_statements(tenant)).to_string()).expect("a file");
        std::fs::rename(next, folder.path().join(format!("{index}.json"))).expect("over it");
    };
    (0..KEYS).for_each(|index| write(index, "42"));
    std::fs::write(folder.path().join("role.json"), role(Vec::new()).to_string()).expect("a file");
    let ours = Server::keyward(keyward, folder.path(), Address::Tcp, 1, "0");
    let (mut rest, mut busy) = (Vec::new(), Vec::new());
    for round in 0..5 {
        rest.push(ours.open_loop("10000"));
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let write = &write;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut turn = 0;
                // Until the sender is dropped.
                while stopped.recv_timeout(std::time::Duration::from_secs(1)).is_err_and(|end| end == RecvTimeoutError::Timeout) {
                    write((round * 100 + turn) % KEYS, &format!("changed-{round}-{turn}"));
                    turn += 1;
                }
            });
            busy.push(ours.open_loop("10000"));
            drop(stop);
        });
    }
    let middle = |of: &[[f64; 3]], at: usize| median(of.iter().map(|found| found[at]).collect());
    print(
        "authorize",
        "open loop, 10000 requests a second, one core, at rest and while a file a second changes",
        &[
            ("rest_p50_us", middle(&rest, 0)),
            ("reloading_p50_us", middle(&busy, 0)),
            ("rest_p99_us", middle(&rest, 1)),
            ("reloading_p99_us", middle(&busy, 1)),
            ("p99_ratio", middle(&busy, 1) / middle(&rest, 1)),
        ],
    );
}

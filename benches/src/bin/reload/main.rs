//! Policies that change: how long a full load takes against reading and parsing the same bytes, how
//! long it takes from one changed file to the first decision by it, what a decision costs meanwhile,
//! and what memory a thousand reloads leave behind.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml --bin reload [-- CASE…]` prints one line
//! of JSON a case. Everything is in this process: the thread that follows the folder is the
//! service's, the decisions are the engine's, gRPC is not in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use keyward::engine::bundle::Options;
use keyward::engine::decide::decision::Verdict;
use keyward::engine::snapshot::build::Built;
use keyward::engine::term::time::Timestamp;
use keyward::pdp::live::Live;
use keyward::pdp::load::{Documents, Loader};
use keyward::pdp::reload::{Follower, Following, Policies};
use keyward::pdp::status::{Active, MaxStaleness, Origin, Status, WhenStale};
use keyward::store::directory::Scope;
use keyward::store::directory::watch::Watch;
use keyward_benches::world::{Question, ask, key, key_arn, role, ten_statements, unique_statements};
use keyward_benches::{median, print};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Case = fn();

const CASES: [(&str, Case); 7] = [
    ("memory", memory), ("memory-distinct", memory_distinct), ("load", full), ("load-distinct", full_distinct),
    ("one", one), ("configmap", config_map), ("quiet", quiet),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let cases = CASES.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one == name));
    let cases: Vec<&(&str, Case)> = cases.collect();
    if let [(_, case)] = cases[..] {
        return case();
    }
    // Each in a process of its own: what others gave back would count for it.
    for (name, _) in cases {
        let program = std::env::current_exe().expect("this program");
        let ended = std::process::Command::new(program).arg(name).status().expect("it runs");
        assert!(ended.success(), "{name}");
    }
}

/// A document of one key that lets the tenant in.
fn document(index: usize, tenant: &str) -> String {
    key(&key_arn(index), ten_statements(tenant)).to_string()
}

/// A document of one key with a policy that no other key has.
fn distinct(index: usize) -> String {
    key(&key_arn(index), unique_statements(index)).to_string()
}

/// So many documents of a key each, in 256 folders.
fn folder(keys: usize) -> tempfile::TempDir {
    folder_of(keys, |index| document(index, "42"))
}

fn folder_of(keys: usize, document: impl Fn(usize) -> String) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    for index in 0..256.min(keys) {
        fs::create_dir(root.path().join(format!("{index:02x}"))).expect("a folder");
    }
    fs::write(root.path().join("role.json"), role(Vec::new()).to_string()).expect("a file");
    (0..keys).for_each(|index| fs::write(path(root.path(), index), document(index)).expect("a file"));
    root
}

fn path(root: &Path, index: usize) -> PathBuf {
    root.join(format!("{:02x}/{index}.json", index % 256))
}

fn good(_: &Built, _: Documents<'_>) -> Vec<keyward::engine::problem::Problem> {
    Vec::new()
}

fn resident_bytes() -> f64 {
    let text = fs::read_to_string("/proc/self/statm").expect("this process");
    let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4096.0
}

/// Reads and parses every file, by two threads; what is parsed is dropped.
fn floor(files: &[PathBuf]) -> f64 {
    let (start, next) = (Instant::now(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let text = fs::read(file).expect("a file");
                    let json: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
                    std::hint::black_box(json);
                }
            });
        }
    });
    start.elapsed().as_secs_f64() * 1e3
}

/// The most memory that there ever was.
fn most_bytes() -> f64 {
    let text = fs::read_to_string("/proc/self/status").expect("this process");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the most");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0
}

fn memory() {
    memory_of("memory of 100,000 keys with equal policies, all that reloading needs included", |index| document(index, "42"));
}

fn memory_distinct() {
    memory_of("memory of 100,000 keys whose policies all differ, all that reloading needs included", distinct);
}

fn memory_of(case: &str, document: impl Fn(usize) -> String) {
    const KEYS: usize = 100_000;
    let root = folder_of(KEYS, document);
    let before = resident_bytes();
    let followed = Followed::start(root.path());
    let after = resident_bytes();
    print("reload", case, &[
        ("bytes_a_key", (after - before) / KEYS as f64), ("most_over_steady", most_bytes() / after),
    ]);
    drop(followed);
}

fn full() {
    full_of("load of 100,000 files of a key each", |index| document(index, "42"));
}

fn full_distinct() {
    full_of("load of 100,000 files of a key each, whose policies all differ", distinct);
}

fn full_of(case: &str, document: impl Fn(usize) -> String) {
    const KEYS: usize = 100_000;
    let root = folder_of(KEYS, document);
    let files: Vec<PathBuf> = (0..KEYS).map(|index| path(root.path(), index)).collect();
    let (mut floors, mut loads) = (Vec::new(), Vec::new());
    floor(&files);
    for _ in 0..3 {
        floors.push(floor(&files));
        let start = Instant::now();
        // As `keyward serve` does it: watched while it is read.
        let mut watch = Watch::new(|| {});
        let mut loader = Loader::new(root.path(), Options::default());
        let built = loader.load(&Scope::Contents, &mut watch, &good).expect("a good set").expect("a set");
        loads.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(built.snapshot.keys.len(), KEYS);
    }
    let (floor, took) = (median(floors), median(loads));
    print("reload", case, &[
        ("floor_ms", floor), ("load_ms", took), ("over_floor", took / floor),
    ]);
}

/// A set that is followed as the service does it.
struct Followed {
    policies: Arc<Policies>,
    live: Arc<Live>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Followed {
    fn start(root: &Path) -> Self {
        Self::told(root, true, Duration::from_secs(3600))
    }

    /// Looks every so often, and is told of changes, or not.
    fn told(root: &Path, told: bool, poll: Duration) -> Self {
        let wake = Policies::unfollowed();
        let mut watch = if told { Watch::new(wake.on_news()) } else { Watch::off() };
        let mut loader = Loader::new(root, Options::default());
        let built = loader.load(&Scope::Stamps, &mut watch, &good).expect("a good set").expect("a set");
        let live = Arc::new(Live::new(built.snapshot.clone()));
        let now = || Timestamp::new(1_767_225_600, 0);
        let policies = wake.begin(Status::current(Active::new(&built, loader.documents(), Origin::Source, now())));
        let hour = Duration::from_secs(3600);
        let following = Following {
            settle: Duration::ZERO,
            poll,
            max_staleness: MaxStaleness { after: hour, then: WhenStale::Deny },
        };
        let follower = Follower {
            loader,
            watch,
            live: Arc::clone(&live),
            verify: Box::new(good),
            clock: Arc::new(now),
            following,
            keeper: None,
            unread: None,
        };
        let thread = policies.follow(follower).expect("a thread");
        Self { policies, live, thread: Some(thread) }
    }

    fn decides(&self, index: usize, tenant: &str) -> Verdict {
        ask(&self.live.snapshot(), Question { key: &key_arn(index), ..on_key(tenant) })
    }

    /// Replaces a file, and waits for the first decision by it: in milliseconds.
    fn change(&self, root: &Path, index: usize, tenant: &str) -> f64 {
        let next = root.join(".next");
        fs::write(&next, document(index, tenant)).expect("a file");
        let start = Instant::now();
        fs::rename(&next, path(root, index)).expect("over it");
        while self.decides(index, tenant) != Verdict::Allowed {
            assert!(start.elapsed() < Duration::from_secs(60), "it never came");
            thread::yield_now();
        }
        start.elapsed().as_secs_f64() * 1e3
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.policies.stop();
        self.thread.take().into_iter().for_each(|thread| thread.join().expect("no panic"));
    }
}

fn percentile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part) as usize]
}

fn one() {
    for keys in [1_000, 100_000] {
        let root = folder(keys);
        let followed = Followed::start(root.path());
        // The first look after the start is at everything.
        followed.change(root.path(), 0, "first");
        let took: Vec<f64> = (1..=300)
            .map(|turn| followed.change(root.path(), turn * 7 % keys, &format!("changed-{turn}")))
            .collect();
        print("reload", &format!("one of {keys} files replaced, to the first decision by it"), &[
            ("p50_ms", percentile(took.clone(), 0.5)), ("p99_ms", percentile(took, 0.99)),
        ]);
    }
}

/// A ConfigMap's volume with 400 keys in four documents, swapped as the kubelet does it, so that 100
/// keys change: from the swap to the first decision by the new policies.
fn config_map() {
    for (told, poll, swaps) in [(true, 3_600_000, 200), (false, 500, 20)] {
        let root = tempfile::tempdir().expect("a folder");
        let mut generation = 0;
        let mut swap = |tenant: &str| {
            generation += 1;
            let name = format!("..generation-{generation}");
            let folder = root.path().join(&name);
            fs::create_dir(&folder).expect("a folder");
            for document in 0..4 {
                let tenant = if document == 0 { tenant } else { "42" };
                let keys: Vec<String> =
                    (0..100).map(|index| self::document(document * 100 + index, tenant)).collect();
                let text = format!(r#"{{"Keys":[{}]}}"#, keys.join(","));
                fs::write(folder.join(format!("keys-{document}.json")), text).expect("a file");
            }
            fs::write(folder.join("role.json"), role(Vec::new()).to_string()).expect("a file");
            let next = root.path().join("..data_tmp");
            std::os::unix::fs::symlink(&name, &next).expect("a link");
            let start = Instant::now();
            fs::rename(&next, root.path().join("..data")).expect("over it");
            let before = root.path().join(format!("..generation-{}", generation - 1));
            (start, before)
        };
        swap("42");
        for name in ["keys-0", "keys-1", "keys-2", "keys-3", "role"] {
            let file = format!("{name}.json");
            std::os::unix::fs::symlink(format!("..data/{file}"), root.path().join(file)).expect("a link");
        }
        let followed = Followed::told(root.path(), told, Duration::from_millis(poll));
        let mut took = Vec::new();
        for turn in 0..=swaps {
            let tenant = format!("changed-{turn}");
            let (start, before) = swap(&tenant);
            while followed.decides(99, &tenant) != Verdict::Allowed {
                assert!(start.elapsed() < Duration::from_secs(60), "it never came");
                thread::yield_now();
            }
            took.push(start.elapsed().as_secs_f64() * 1e3);
            assert_eq!(followed.decides(0, &tenant), Verdict::Allowed, "a part of the set");
            fs::remove_dir_all(before).expect("the generation before");
        }
        let case = if told { "told by inotify" } else { "looked at every 500 ms" };
        took.remove(0);
        print("reload", &format!("a ConfigMap swapped, 100 of 400 keys changed, {case}"), &[
            ("p50_ms", percentile(took.clone(), 0.5)), ("p99_ms", percentile(took, 0.99)),
        ]);
    }
}

/// Decisions at ten thousand a second, by the clock; how long after its time each is made, and what
/// a thousand reloads leave behind.
fn quiet() {
    const KEYS: usize = 10_000;
    let root = folder(KEYS);
    let followed = Followed::start(root.path());
    followed.change(root.path(), 0, "first");
    let rest = latencies(&followed, Duration::from_secs(5));
    let over = AtomicBool::new(false);
    let (mut reloading, mut sizes) = (Late::new(), Vec::new());
    thread::scope(|scope| {
        let asking = scope.spawn(|| latencies_until(&followed, || over.load(Ordering::Relaxed)));
        for turn in 1..=1000 {
            // The same hundred keys again and again: what they have of their own is there after the
            // first hundred reloads.
            followed.change(root.path(), turn % 100 * 7, &format!("changed-{turn}"));
            if turn == 100 || turn == 1000 {
                sizes.push(resident_bytes());
            }
        }
        over.store(true, Ordering::Relaxed);
        reloading = asking.join().expect("no panic");
    });
    let (rest, reloading) = (late(&rest, 0.99), late(&reloading, 0.99));
    print("reload", "p99 of a decision, 10,000 a second, at rest and during 1,000 reloads", &[
        ("rest_us", rest), ("reloading_us", reloading), ("ratio", reloading / rest),
    ]);
    print("reload", "memory after 100 and after 1,000 reloads", &[
        ("after_100_mb", sizes[0] / 1e6), ("after_1000_mb", sizes[1] / 1e6),
    ]);
}

/// How many decisions were so many microseconds late; all that were later are in the last place.
type Late = Vec<u32>;

fn latencies(followed: &Followed, time: Duration) -> Late {
    let start = Instant::now();
    latencies_until(followed, || start.elapsed() >= time)
}

fn latencies_until(followed: &Followed, over: impl Fn() -> bool) -> Late {
    let (mut found, mut due) = (vec![0; 100_000], Instant::now());
    while !over() {
        due += Duration::from_micros(100);
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        std::hint::black_box(followed.decides(5, "42"));
        let late = Instant::now().duration_since(due).as_micros() as usize;
        let last = found.len() - 1;
        found[late.min(last)] += 1;
    }
    found
}

/// Microseconds by which all but a part of the decisions were late at most.
fn late(found: &Late, part: f64) -> f64 {
    let all: u64 = found.iter().map(|count| u64::from(*count)).sum();
    let mut seen = 0;
    let within = |count: &u32| {
        seen += u64::from(*count);
        seen as f64 >= all as f64 * part
    };
    found.iter().position(within).unwrap_or(found.len()) as f64
}

//! Grants that live, at 1,000, 100,000 and 1,000,000 of them: what a change costs, durable and in
//! memory, what it costs the next decision, and what a start takes. None but the start may grow.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml --bin grants [SIZE…]`

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use keyward::engine::bundle::{Document, Options};
use keyward::engine::decide::decide;
use keyward::engine::decide::decision::Verdict;
use keyward::engine::grant::Grant;
use keyward::engine::kms::action::Action;
use keyward::engine::snapshot::build::{build, grant};
use keyward::engine::snapshot::grants::live::Change as LiveChange;
use keyward::engine::snapshot::Snapshot;
use keyward::engine::term::account::AccountId;
use keyward::engine::term::arn::Arn;
use keyward::engine::term::key_id::KeyId;
use keyward::engine::term::principal::Principal;
use keyward::engine::term::request::{Asked, Request};
use keyward::engine::term::time::Timestamp;
use keyward::pdp::grants::{Change, GrantStore, StoredGrant};
use keyward::pdp::live::Live;
use keyward::wire::grants::{Creation, entry};
use keyward::wire::v1;
use keyward_benches::{median, print};
use serde_json::json;
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: usize = 100;
const ROLES: usize = 1_000;
const ROUNDS: usize = 500;
fn instant() -> Timestamp {
    Timestamp::new(1_767_225_600, 0)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, folder] = arguments.as_slice()
        && word == "open"
    {
        return open(Path::new(folder));
    }
    let mut sizes: Vec<usize> = arguments.iter().map(|size| size.parse().expect("a number of grants")).collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 100_000, 1_000_000];
    }
    let above = std::env::temp_dir().join(format!("keyward-grants-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut all: Vec<Filled> = Vec::new();
    for size in sizes {
        all.push(runtime.block_on(Filled::new(&above, size)));
    }
    let found = runtime.block_on(measured(&all));
    report(&all, &found);
    for filled in all {
        let (folder, size) = (filled.folder.clone(), filled.size);
        drop(filled);
        start(&folder, size);
    }
    fs::remove_dir_all(above).expect("a folder to remove");
}

/// A database of some size, and the snapshot that follows it.
struct Filled {
    size: usize,
    folder: PathBuf,
    live: Arc<Live>,
    store: GrantStore,
    seconds: f64,
}

impl Filled {
    async fn new(above: &Path, size: usize) -> Self {
        let folder = above.join(size.to_string());
        let live = Arc::new(Live::new(policies()));
        let store = Arc::new(GrantStore::open(&folder, &live).expect("a database"));
        let start = Instant::now();
        // As many clients as make full groups.
        for first in (0..size).step_by(512) {
            let mut clients = JoinSet::new();
            for number in first..size.min(first + 512) {
                let store = Arc::clone(&store);
                clients.spawn(async move {
                    store.change(creation(&made(number, role_of(number))), Box::new(|| true)).await.expect("a grant");
                });
            }
            clients.join_all().await;
        }
        let seconds = start.elapsed().as_secs_f64();
        let store = Arc::into_inner(store).expect("nobody else");
        assert_eq!(live.snapshot().grants.len(), size);
        Self { size, folder, live, store, seconds }
    }
}

/// Times in nanoseconds, one list a measure.
#[derive(Default)]
struct Times {
    create: Vec<f64>,
    allowed: Vec<f64>,
    revoke: Vec<f64>,
    denied: Vec<f64>,
    steady: Vec<f64>,
    create_in_memory: Vec<f64>,
    revoke_in_memory: Vec<f64>,
}

/// The sizes take turns, so that a busy machine hits all of them.
async fn measured(all: &[Filled]) -> Vec<Times> {
    let mut found: Vec<Times> = all.iter().map(|_| Times::default()).collect();
    for round in 0..ROUNDS {
        for (filled, times) in all.iter().zip(&mut found) {
            one(filled, times, round).await;
        }
    }
    found
}

async fn one(filled: &Filled, times: &mut Times, round: usize) {
    let number = 10_000_000 + round;
    let stored = made(number, "Measured".to_owned());
    let key = key(number);
    let (store, live) = (&filled.store, &filled.live);
    assert_eq!(ask(&live.snapshot(), &key), Verdict::ImplicitDeny);

    let change = creation(&stored);
    let start = Instant::now();
    store.change(change, Box::new(|| true)).await.expect("a grant");
    times.create.push(nanoseconds(start));

    let start = Instant::now();
    let verdict = ask(&live.snapshot(), &key);
    times.allowed.push(nanoseconds(start));
    assert_eq!(verdict, Verdict::Allowed);
    let start = Instant::now();
    black_box(ask(&live.snapshot(), &key));
    times.steady.push(nanoseconds(start));

    let removal = Change::Remove { key_arn: key.as_str().into(), id: stored.id.clone() };
    let start = Instant::now();
    store.change(removal, Box::new(|| true)).await.expect("a revocation");
    times.revoke.push(nanoseconds(start));

    let start = Instant::now();
    let verdict = ask(&live.snapshot(), &key);
    times.denied.push(nanoseconds(start));
    assert_eq!(verdict, Verdict::ImplicitDeny);

    // The change in memory alone, on a snapshot that nobody else changes.
    let apart = Live::new(Snapshot::clone(&live.snapshot()));
    let grant: Arc<Grant> = Arc::new(grant("grant", &stored.entry).expect("a grant"));
    let created = [LiveChange::Created(grant)];
    let start = Instant::now();
    apart.follow(&created, u64::MAX - 1);
    times.create_in_memory.push(nanoseconds(start));
    let removed = [LiveChange::Removed { key_arn: key.as_str().into(), id: stored.id.clone() }];
    let start = Instant::now();
    apart.follow(&removed, u64::MAX);
    times.revoke_in_memory.push(nanoseconds(start));
}

fn nanoseconds(start: Instant) -> f64 {
    start.elapsed().as_nanos() as f64
}

/// Medians, and how often the first size's they are.
fn report(all: &[Filled], found: &[Times]) {
    let measures: [(&str, fn(&Times) -> &Vec<f64>); 7] = [
        ("create, durable", |times| &times.create),
        ("revoke, durable", |times| &times.revoke),
        ("create, in memory", |times| &times.create_in_memory),
        ("revoke, in memory", |times| &times.revoke_in_memory),
        ("first decision after create", |times| &times.allowed),
        ("first decision after revoke", |times| &times.denied),
        ("decision", |times| &times.steady),
    ];
    for (measure, of) in measures {
        let first = median(of(&found[0]).clone());
        for (filled, times) in all.iter().zip(found) {
            let median_ns = median(of(times).clone());
            let values = [("grants", filled.size as f64), ("median_ns", median_ns), ("times_the_smallest", median_ns / first)];
            print("grants", measure, &values);
        }
    }
    for filled in all {
        let a_second = filled.size as f64 / filled.seconds;
        print("grants", "creations a second, 512 at a time", &[("grants", filled.size as f64), ("a_second", a_second)]);
    }
}

/// A start, in a process of its own.
fn start(folder: &Path, size: usize) {
    let this = std::env::current_exe().expect("this program");
    let output = Command::new(this).arg("open").arg(folder).output().expect("a start");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (seconds, bytes) = text.trim().split_once(' ').expect("two numbers");
    let number = |text: &str| text.parse::<f64>().expect("a number");
    let file = fs::metadata(folder.join("grants.sqlite3")).expect("the file").len() as f64;
    let values = [
        ("grants", size as f64),
        ("seconds", number(seconds)),
        ("resident_bytes_a_grant", number(bytes) / size as f64),
        ("file_bytes_a_grant", file / size as f64),
    ];
    print("grants", "start", &values);
}

/// Opens a database: seconds, and the bytes of memory that it took.
fn open(folder: &Path) {
    let live = Arc::new(Live::new(policies()));
    let before = resident();
    let start = Instant::now();
    let store = GrantStore::open(folder, &live).expect("a database");
    println!("{} {}", start.elapsed().as_secs_f64(), resident() - before);
    drop(store);
}

fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").expect("what Linux tells of memory");
    text.split(' ').nth(1).expect("pages").parse::<u64>().expect("a number") * 4096
}

fn key(number: usize) -> String {
    format!("arn:aws:kms:us-west-2:111122223333:key/00000000-0000-0000-0000-{:012}", number % KEYS)
}

fn role_of(number: usize) -> String {
    format!("Role{}", number / KEYS % ROLES)
}

/// Keys that only grants open.
fn policies() -> Snapshot {
    let keys: Vec<_> = (0..KEYS)
        .map(|number| {
            json!({"KeyMetadata": {"Arn": key(number)}, "Policy": {"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/Admin"}, "Action": "kms:*", "Resource": "*"}]}})
        })
        .collect();
    let document = Document { name: "keys".into(), text: json!({"Keys": keys}).to_string().into() };
    build(&[document], &Options::default()).unwrap_or_else(|problems| panic!("{problems}")).snapshot
}

fn made(number: usize, role: String) -> StoredGrant {
    let (id, key_arn) = (format!("{number:064x}"), key(number));
    let request = v1::CreateGrantRequest {
        grantee_principal: format!("arn:aws:iam::111122223333:role/{role}"),
        retiring_principal: format!("arn:aws:iam::111122223333:role/{role}"),
        operations: ["Decrypt", "GenerateDataKey", "RetireGrant"].map(str::to_owned).to_vec(),
        constraints: Some(v1::GrantConstraints {
            encryption_context_subset: [("tenant".to_owned(), "42".to_owned())].into(),
            ..Default::default()
        }),
        name: format!("grant-{number}"),
        ..Default::default()
    };
    let issuer = AccountId::parse("111122223333").expect("an account");
    let creation = Creation { id: &id, key_arn: &key_arn, now: instant(), issuer, partition: "aws" };
    let (entry, fingerprint) = entry(&request, &creation);
    StoredGrant {
        token: format!("{:0>100}", number).into(),
        id: id.as_str().into(),
        key_arn: key_arn.as_str().into(),
        name: Some(request.name.as_str().into()),
        fingerprint,
        entry: entry.into(),
        created_millis: instant().seconds() * 1000,
    }
}

fn creation(grant: &StoredGrant) -> Change {
    Change::Create { grant: grant.clone(), limit_per_key: 50_000, counted_elsewhere: 0, parent: None }
}

/// One decision, from texts.
fn ask(snapshot: &Snapshot, key: &str) -> Verdict {
    let request = Request {
        principal: Principal::parse("arn:aws:sts::111122223333:assumed-role/Measured/s").expect("a session"),
        role_arn: Arn::parse("arn:aws:iam::111122223333:role/Measured"),
        issuer_arn: None,
        session_tags: Default::default(),
        session_policies: Default::default(),
        user_id: None,
        source_identity: None,
        asked: Asked::Action(Action::from_name("kms:Decrypt").expect("an action")),
        key_id: Some(KeyId::parse(key).expect("a key")),
        encryption_context: [("tenant", "42")].into_iter().collect(),
        grant_tokens: Default::default(),
        context: Default::default(),
        parameters: Default::default(),
        region: None,
        via_service: None,
        dry_run: false,
        now: instant(),
        overrides: Vec::new(),
    };
    decide(snapshot, &request).expect("a valid request").verdict()
}

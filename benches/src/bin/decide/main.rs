//! Deciding, in nanoseconds a decision: Keyward against cedar-policy and iam-rs with equivalent
//! policies, in one run.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml --bin decide [-- CASE…]` prints one line
//! of JSON a case. `… --bin decide -- --count CASE STEPS` makes so many decisions of one case and
//! ends: for callgrind, whose instruction counts hold on a busy machine too.

mod cache;
mod peers;

use std::hint::black_box;

use keyward::engine::decide::decision::Verdict;
use keyward::engine::snapshot::Snapshot;
use keyward_benches::world::{
    KEY, Question, ask, delegation, grants, key, key_arn, managed_policy, on_key, role, snapshot, templated,
    ten_statements, unique,
};
use keyward_benches::{Contender, nanoseconds, print};

use peers::{Cedar, IamRs, managed_cedar_policies, ten_cedar_policies};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Decisions of a round.
const STEPS: u32 = 50_000;
/// Keys that take turns in spread cases; a stride that visits all of a set.
const TURNS: usize = 4096;

const CASES: [(&str, fn(&mut Run)); 9] = [
    ("ten", ten),
    ("managed", managed),
    ("mixed", mixed),
    ("grants", many_grants),
    ("spread", spread),
    ("million", million),
    ("unique", unique_spread),
    ("long", long_policies),
    ("cache", cache::cases),
];

/// How a case is run.
enum Run {
    /// Timed against the others, and printed.
    Timed,
    /// So many decisions, of the first case alone.
    Counted(u32),
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mut run, wanted) = match arguments.as_slice() {
        [flag, case, steps] if flag == "--count" => {
            (Run::Counted(steps.parse().expect("a number of decisions")), vec![case.clone()])
        }
        cases => (Run::Timed, cases.to_vec()),
    };
    for (name, case) in CASES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            case(&mut run);
        }
    }
}

impl Run {
    /// Asks `snapshot` the question `of(n)` at the `n`th step, beside the peers.
    fn case(
        &mut self,
        name: &str,
        expected: Verdict,
        snapshot: &Snapshot,
        of: &dyn Fn(usize) -> Question<'static>,
        peers: &[(&'static str, &dyn Fn(Question<'_>) -> bool)],
    ) {
        assert_eq!(ask(snapshot, of(0)), expected, "{name}");
        let mut turn = 0;
        let mut step = move || {
            turn += 1;
            black_box(ask(black_box(snapshot), black_box(of(turn))));
        };
        match self {
            Self::Counted(steps) => (0..*steps).for_each(|_| step()),
            Self::Timed => {
                let mut contenders = vec![Contender { name: "keyward_ns", step: Box::new(step) }];
                for (peer, ask) in peers {
                    assert_eq!(ask(of(0)), expected == Verdict::Allowed, "{name}: {peer}");
                    let step = move || {
                        black_box(ask(black_box(of(0))));
                    };
                    contenders.push(Contender { name: peer, step: Box::new(step) });
                }
                let mut found = nanoseconds(&mut contenders, STEPS);
                let ours = found[0].1;
                for index in 1..found.len() {
                    let name = if found[index].0 == "cedar_ns" { "cedar_over_keyward" } else { "iam_rs_over_keyward" };
                    found.push((name, found[index].1 / ours));
                }
                print("decide", name, &found);
            }
        }
    }
}

/// A key policy of ten statements; the ninth allows. Then a context that it does not allow.
fn ten(run: &mut Run) {
    let snapshot = snapshot([key(KEY, ten_statements("42")), role(vec![])]);
    let (cedar, iam) = (Cedar::new(&ten_cedar_policies()), IamRs::new(&[ten_statements("42")]));
    let (cedar, iam) = (|question: Question<'_>| cedar.ask(question), |question: Question<'_>| iam.ask(question));
    for (name, tenant, expected) in [
        ("ten statements, hot", "42", Verdict::Allowed),
        ("ten statements, miss", "43", Verdict::ImplicitDeny),
    ] {
        run.case(name, expected, &snapshot, &|_| on_key(tenant), &[("cedar_ns", &cedar), ("iam_rs_ns", &iam)]);
        if matches!(run, Run::Counted(_)) {
            return;
        }
    }
}

/// A key that delegates to its account, and a role with twenty managed policies of five statements;
/// the last one allows.
fn managed(run: &mut Run) {
    let policies: Vec<_> = (0..20).map(|index| managed_policy(index, 20)).collect();
    let iam = IamRs::new(&policies);
    let snapshot = snapshot([key(KEY, delegation()), role(policies)]);
    let cedar = Cedar::new(&managed_cedar_policies(20));
    let (cedar, iam) = (|question: Question<'_>| cedar.ask(question), |question: Question<'_>| iam.ask(question));
    for (name, tenant, expected) in [
        ("twenty managed policies", "42", Verdict::Allowed),
        ("twenty managed policies, miss", "43", Verdict::ImplicitDeny),
    ] {
        run.case(name, expected, &snapshot, &|_| on_key(tenant), &[("cedar_ns", &cedar), ("iam_rs_ns", &iam)]);
        if matches!(run, Run::Counted(_)) {
            return;
        }
    }
}

/// Ten statements, three identity policies and twenty grants; an identity policy allows.
fn mixed(run: &mut Run) {
    let policies = (0..3).map(|index| managed_policy(index, 3)).collect();
    let snapshot = snapshot([key(KEY, ten_statements("42")), role(policies), grants(20)]);
    run.case("three identity policies and twenty grants", Verdict::Allowed, &snapshot, &|_| on_key("42"), &[]);
}

/// Grants on one key, the caller's among them; it alone allows.
fn many_grants(run: &mut Run) {
    for count in [10, 1_000, 50_000] {
        let snapshot = snapshot([key(KEY, ten_statements("7")), role(vec![]), grants(count)]);
        let name = format!("{count} grants on a key");
        run.case(&name, Verdict::Allowed, &snapshot, &|_| on_key("42"), &[]);
        let token: &'static str = format!("token-{}", count / 2).leak();
        let with_token = Question { token: Some(token), ..on_key("42") };
        run.case(&format!("{name}, with a token"), Verdict::Allowed, &snapshot, &move |_| with_token, &[]);
    }
}

/// Keys that share their statements, asked about in turn.
fn spread(run: &mut Run) {
    for count in [1, 1_000, 100_000] {
        over(run, &format!("spread over {count} keys"), count, &templated(count), |_| "42".to_owned());
    }
}

fn million(run: &mut Run) {
    over(run, "spread over 1000000 keys", 1_000_000, &templated(1_000_000), |_| "42".to_owned());
}

/// Keys whose policies have nothing in common.
fn unique_spread(run: &mut Run) {
    let count = 100_000;
    over(run, "spread over 100000 keys, all different", count, &unique(count), |index| format!("t{index}"));
}

fn over(run: &mut Run, name: &str, count: usize, snapshot: &Snapshot, tenant: impl Fn(usize) -> String) {
    let questions: Vec<Question<'static>> = (0..TURNS)
        .map(|turn| {
            let index = turn.wrapping_mul(0x9E37_79B9) % count;
            Question { key: key_arn(index).leak(), tenant: tenant(index).leak(), ..on_key("") }
        })
        .collect();
    run.case(name, Verdict::Allowed, snapshot, &|turn| questions[turn % TURNS], &[]);
}

/// Longer and longer identity policies.
fn long_policies(run: &mut Run) {
    for count in [1, 5, 20, 100, 400] {
        let policies = (0..count).map(|index| managed_policy(index, count)).collect();
        let snapshot = snapshot([key(KEY, delegation()), role(policies)]);
        let name = format!("{} identity statements", count * 5);
        run.case(&name, Verdict::Allowed, &snapshot, &|_| on_key("42"), &[]);
    }
}

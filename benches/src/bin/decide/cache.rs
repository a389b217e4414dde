//! From how many statements on it is cheaper to look up what policies said than to decide.

use std::hint::black_box;

use keyward::engine::decide::decision::Verdict;
use keyward::pdp::decisions::Decisions;
use keyward_benches::world::{
    KEY, Question, ask, ask_remembering, delegation, key, managed_patterns, managed_policy, on_key, role, snapshot,
};
use keyward_benches::{Contender, nanoseconds, print};
use serde_json::Value;

use super::{Run, TURNS};

/// Decisions of a round.
const STEPS: u32 = 20_000;
/// Policies that a role carries at most.
const POLICIES: usize = 20;
/// Statements that are written at once.
const EACH: usize = 5;

/// A policy of five statements of so many, by its index.
type Written = fn(usize, usize) -> Value;

/// Policies of so many statements in all.
fn policies(written: Written, count: usize) -> Vec<Value> {
    let parts = count / EACH;
    let mut policies: Vec<Value> = Vec::new();
    for part in 0..parts {
        let mut policy = written(part, parts);
        match policies.get_mut(part * POLICIES / parts) {
            Some(begun) if parts > POLICIES => {
                let more = policy["Statement"].as_array_mut().expect("statements");
                begun["Statement"].as_array_mut().expect("statements").append(more);
            }
            _ => policies.push(policy),
        }
    }
    policies
}

/// Longer and longer identity policies: decided; looked up, where one request comes again and again
/// and where many take turns; looked up in vain each time.
pub(crate) fn cases(run: &mut Run) {
    if matches!(run, Run::Counted(_)) {
        return;
    }
    let turns: Vec<Question<'static>> = (0..TURNS).map(from_elsewhere).collect();
    let shapes: [(&str, Written, &[usize]); 2] = [
        ("told apart by a value", managed_policy, &[25, 100, 200, 300, 500, 1_000, 2_000, 10_000]),
        ("looked at each", managed_patterns, &[5, 25, 50, 65, 100, 500]),
    ];
    for (shape, written, counts) in shapes {
        for count in counts {
            let snapshot = snapshot([key(KEY, delegation()), role(policies(written, *count))]);
            let [one, many, none, aside] = [0, 0, 0, u32::MAX].map(Decisions::from);
            assert_eq!(ask(&snapshot, on_key("42")), Verdict::Allowed);
            let decided = || {
                black_box(ask(black_box(&snapshot), black_box(on_key("42"))));
            };
            let stands_aside = || {
                black_box(ask_remembering(&aside, black_box(&snapshot), black_box(on_key("42"))));
            };
            let again = || {
                black_box(ask_remembering(&one, black_box(&snapshot), black_box(on_key("42"))));
            };
            let mut turn = 0;
            let in_turn = || {
                turn += 1;
                black_box(ask_remembering(&many, black_box(&snapshot), black_box(turns[turn % TURNS])));
            };
            let mut number = 0_u64;
            let mut room = String::new();
            let in_vain = || {
                use std::fmt::Write as _;
                number += 1;
                room.clear();
                write!(room, "42-{number}").expect("room");
                black_box(ask_remembering(&none, black_box(&snapshot), black_box(on_key(&room))));
            };
            let mut contenders = [
                Contender { name: "decided_ns", step: Box::new(decided) },
                Contender { name: "stands_aside_ns", step: Box::new(stands_aside) },
                Contender { name: "one_request_ns", step: Box::new(again) },
                Contender { name: "4096_requests_ns", step: Box::new(in_turn) },
                Contender { name: "in_vain_ns", step: Box::new(in_vain) },
            ];
            let found = nanoseconds(&mut contenders, STEPS);
            print("decide", &format!("{count} identity statements, {shape}"), &found);
        }
    }
}

/// Requests that differ, and are all allowed.
fn from_elsewhere(turn: usize) -> Question<'static> {
    Question { source_ip: format!("192.0.{}.{}", turn / 256, turn % 256).leak(), ..on_key("42") }
}

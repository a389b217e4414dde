//! Nanoseconds of processor time a decision, of the engine as it was and as it is, which take turns.
//!
//! `decide` prints one line of JSON a case. `decide --count before|now CASE STEPS` makes so many
//! decisions of a case, by its number, and ends: for callgrind.

use cpu_time::ThreadTime;
use keyward_before::{Step, before, cases, now};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 9;
const STEPS: u32 = 100_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, which, case, steps] = arguments.as_slice() {
        assert_eq!(flag, "--count");
        let case = &cases()[case.parse::<usize>().expect("the number of a case")];
        let step = if which == "before" { before(case) } else { now(case) };
        (0..steps.parse::<u32>().expect("a number of decisions")).for_each(|_| step());
        return;
    }
    for case in cases() {
        let steps = [before(&case), now(&case)];
        steps.iter().for_each(|step| (0..STEPS / 10).for_each(|_| step())); // warm up
        let mut found: [Vec<f64>; 2] = Default::default();
        for _ in 0..ROUNDS {
            for (step, found) in steps.iter().zip(&mut found) {
                found.push(nanoseconds(step));
            }
        }
        let [was, is] = found.map(|mut found| {
            found.sort_by(f64::total_cmp);
            found[ROUNDS / 2]
        });
        println!(
            "{}",
            json!({"case": case.name, "before_ns": was.round(), "now_ns": is.round(),
                "now_over_before": (is / was * 1000.0).round() / 1000.0})
        );
    }
}

fn nanoseconds(step: &Step) -> f64 {
    let start = ThreadTime::now();
    (0..STEPS).for_each(|_| step());
    start.elapsed().as_nanos() as f64 / f64::from(STEPS)
}

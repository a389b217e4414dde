//! The same for each of many seeds, on all cores.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Seeds that a thread takes at once.
const PORTION: u64 = 64;

/// Names other seeds: `from..to`.
const VARIABLE: &str = "KEYWARD_SEEDS";

/// The seeds that the environment names, if it names any.
pub(crate) fn named_seeds() -> Option<Range<u64>> {
    let text = std::env::var_os(VARIABLE)?;
    let text = text.to_string_lossy();
    let range = text.split_once("..").and_then(|(from, to)| {
        let (from, to) = (from.parse().ok()?, to.parse().ok()?);
        (from < to).then_some(from..to)
    });
    Some(range.unwrap_or_else(|| panic!("{VARIABLE}={text}: expected `from..to`")))
}

/// What `ask` says of each seed, in the order of the seeds.
pub(crate) fn each<T: Send>(seeds: Range<u64>, ask: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(seeds.start);
    let portions = || {
        let mut answers = Vec::new();
        loop {
            let from = next.fetch_add(PORTION, Ordering::Relaxed);
            if from >= seeds.end {
                return answers;
            }
            let portion = from..seeds.end.min(from + PORTION);
            answers.extend(portion.map(|seed| (seed, ask(seed))));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut answers: Vec<(u64, T)> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(portions)).collect();
        let finished = running.into_iter().flat_map(|thread| match thread.join() {
            Ok(answers) => answers,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        finished.collect()
    });
    answers.sort_by_key(|(seed, _)| *seed);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

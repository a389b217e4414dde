//! What the benchmarks share: rounds, medians, one line of JSON a result, and what is decided.

pub mod served;
pub mod world;

use cpu_time::ThreadTime;

/// Rounds of each contender; they take turns, so that a busy machine hits all of them.
pub const ROUNDS: usize = 7;

/// A contender: its name and one measured step.
pub struct Contender<'a> {
    /// Its name in the result.
    pub name: &'static str,
    /// What is measured.
    pub step: Box<dyn FnMut() + 'a>,
}

/// Nanoseconds of processor time a step, the median of interleaved rounds, for each contender. While
/// other programs have the processor no time passes.
pub fn nanoseconds(contenders: &mut [Contender<'_>], steps: u32) -> Vec<(&'static str, f64)> {
    let mut rounds: Vec<Vec<f64>> = contenders.iter().map(|_| Vec::new()).collect();
    for contender in contenders.iter_mut() {
        (0..steps / 10).for_each(|_| (contender.step)()); // warm up
    }
    for _ in 0..ROUNDS {
        for (contender, times) in contenders.iter_mut().zip(&mut rounds) {
            let start = ThreadTime::now();
            for _ in 0..steps {
                (contender.step)();
            }
            times.push(start.elapsed().as_nanos() as f64 / f64::from(steps));
        }
    }
    contenders.iter().zip(rounds).map(|(contender, times)| (contender.name, median(times))).collect()
}

/// The middle of the values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints one line of JSON.
pub fn print(benchmark: &str, case: &str, values: &[(&str, f64)]) {
    let mut line = serde_json::Map::new();
    line.insert("benchmark".into(), benchmark.into());
    line.insert("case".into(), case.into());
    for (name, value) in values {
        line.insert((*name).into(), ((value * 100.0).round() / 100.0).into());
    }
    println!("{}", serde_json::Value::Object(line));
}

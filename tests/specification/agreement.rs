//! The product decides every generated case as the law does.
//!
//! `cargo test --test specification` asks the first 200,000 seeds. Others on demand:
//!
//! ```console
//! $ KEYWARD_SEEDS=1000000..4000000 cargo test --locked --test specification the_product
//! ```

use std::io::Write as _;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::Value;

use crate::each::named_seeds;
use crate::generator::generate;
use crate::law::{self, Outcome};
use crate::product;
use crate::shrink::shrink;

/// The seeds of every run of the tests.
const SEEDS: Range<u64> = 0..200_000;

/// Seeds that a thread takes at once.
const PORTION: u64 = 256;

/// A case on which law and product differ.
struct Disagreement {
    seed: u64,
    case: Value,
}

impl Disagreement {
    fn of(case: &Value) -> Option<(Outcome, Outcome)> {
        let (law, (product, _)) = (law::decide(case), product::decide(case));
        (!law.is_kept_by(&product)).then_some((law, product))
    }

    /// The smallest case on which both still say what they said: the same decisions, or refusals.
    fn report(&self) -> String {
        let (by_law, by_product) = Self::of(&self.case).expect("a disagreement");
        let small = shrink(&self.case, |case| {
            Self::of(case).is_some_and(|(law, product)| {
                law.word() == by_law.word() && product.word() == by_product.word()
            })
        });
        let (law, product) = Self::of(&small).expect("still a disagreement");
        let answer = product::decide(&small).1;
        format!(
            "seed {}: law and product disagree on\n{small}\nlaw:     {law:?}\nproduct: \
             {product:?}\nanswer:  {answer}",
            self.seed
        )
    }
}

#[test]
fn the_product_decides_as_the_law_does() {
    let seeds = named_seeds().unwrap_or(SEEDS);
    let next = AtomicU64::new(seeds.start);
    let found = AtomicBool::new(false);
    let first: Mutex<Option<Disagreement>> = Mutex::new(None);
    let ask = || {
        while !found.load(Ordering::Relaxed) {
            let from = next.fetch_add(PORTION, Ordering::Relaxed);
            for seed in from..seeds.end.min(from + PORTION) {
                let case = generate(seed);
                if Disagreement::of(&case).is_some() {
                    found.store(true, Ordering::Relaxed);
                    first.lock().expect("no panic").get_or_insert(Disagreement { seed, case });
                    return;
                }
            }
            if from >= seeds.end {
                return;
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(ask);
        }
    });
    if let Some(disagreement) = first.into_inner().expect("no panic") {
        panic!("{}", disagreement.report());
    }
    if seeds != SEEDS {
        let count = seeds.end - seeds.start;
        // Straight to the terminal: the test harness keeps what is printed.
        writeln!(std::io::stderr(), "{count} cases of seeds {seeds:?}: no disagreement")
            .expect("a terminal");
    }
}

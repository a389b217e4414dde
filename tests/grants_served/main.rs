//! Grants that live, as users have them: `keyward serve` as a process of its own, asked by real
//! clients over real sockets.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod calls;
mod history;
mod kills;
mod lists;
mod order;
mod parents;
mod process;
mod readme;
mod surroundings;
mod tokens;
mod world;

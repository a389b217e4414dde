//! The grants database: durable, whole, and honest about it.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod answers;
mod closing;
mod crash;
mod damage;
mod elsewhere;
mod format;
mod groups;
mod log;
mod sample;
mod surroundings;
mod tokens;

//! The executable specification: the rules of KMS authorization once more, slow and obvious (`law`),
//! random cases (`generator`), and the product, which has to decide each of them alike.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod agreement;
mod claims;
mod each;
mod generator;
mod inputs;
mod law;
mod policies_of;
mod product;
mod properties;
mod quality;
mod remembered;
mod rows;
mod shrink;

/// Cases are made, decided twice and thrown away: that is mostly allocation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

//! The product through its doors: the command line, gRPC, real clients.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod command_line;
mod conformance;
mod doors;
mod grants;
mod grpc;
mod lint;
mod quickstart;
mod recorded;
mod served;

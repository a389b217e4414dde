//! The product through its doors: the command line, gRPC, real clients.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod clients;
mod collector;
mod decision_log;
mod decision_log_ends;
mod decision_log_faults;
mod decision_log_pruned;
mod decision_log_sinks;
mod signals;
mod telemetry;
mod told;

mod access;
mod aws_policies;
mod catalog;
mod command_line;
mod conformance;
mod coverage;
mod deploy;
mod doors;
mod ending;
#[expect(unreachable_pub, reason = "a crate of its own beside the tests")]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;
mod fuzzing;
mod grants;
mod grpc;
mod grpcurl_page;
mod hostile;
mod in_place;
mod lint;
mod otelcol;
mod pages;
mod policy_tests;
mod quickstart;
mod recorded;
mod reload;
mod remembered;
mod remembered_by;
mod rolling;
mod served;
mod silent;
mod simulated;
mod simulation;
mod templates;
mod truth_table;
mod wanted;

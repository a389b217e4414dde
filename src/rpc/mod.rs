//! The gRPC edge.

pub mod authorization;
mod freshness;
pub mod listener;
pub mod server;
pub mod status;
mod tokens;

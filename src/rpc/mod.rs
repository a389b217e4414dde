//! The gRPC edge.

pub mod authorization;
pub mod listener;
pub mod server;
pub mod status;

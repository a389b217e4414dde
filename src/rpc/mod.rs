//! The gRPC edge.

pub mod authorization;
mod freshness;
pub mod grants;
pub mod listener;
mod pages;
mod refusal;
pub mod server;
pub mod status;
mod tokens;

//! The gRPC edge.

pub mod analysis;
pub mod authorization;
mod deadline;
mod freshness;
pub mod grants;
mod health;
pub mod http;
pub mod listener;
mod pages;
pub mod policies;
mod refusal;
pub mod server;
pub mod status;
mod tokens;
mod validate;

//! The gRPC edge.

pub mod analysis;
pub mod authorization;
mod batch;
mod deadline;
mod decision_id;
mod freshness;
pub mod grants;
mod health;
pub mod http;
mod in_place;
pub mod listener;
mod pages;
pub mod policies;
mod refusal;
pub mod server;
pub mod status;
mod tokens;
mod validate;
mod workers;

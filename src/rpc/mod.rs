//! The gRPC edge.

pub mod analysis;
pub mod authorization;
mod batch;
pub mod callers;
mod certificate;
mod connection;
mod deadline;
mod decision_id;
mod entrance;
mod freshness;
pub mod grants;
mod health;
pub mod http;
mod in_place;
pub mod limits;
pub mod listener;
mod pages;
pub mod peer;
pub mod policies;
mod quiet;
mod refusal;
pub mod server;
pub mod status;
pub mod tls;
mod tokens;
mod validate;
mod workers;

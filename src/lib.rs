//! Keyward: a gRPC policy decision point with AWS KMS authorization semantics.
//!
//! The code map is `docs/architecture.md`. `engine` decides and knows nothing of the world around
//! it; `lint` says what is unwise in a set that can be used; `store` reads documents; `wire` converts every outside form; `pdp` holds what is live; `rpc`
//! and `cli` are the edges.

pub mod cli;
pub mod engine;
pub mod lint;
pub mod pdp;
pub mod rpc;
pub mod store;
pub mod telemetry;
pub mod wire;

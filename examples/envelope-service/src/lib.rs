//! An enforcement point: a small service for envelope encryption that asks Keyward before each
//! operation, and does nothing without an ALLOWED.
//!
//! - [`enforce`] is what to copy: a tower layer that asks, fail-closed. What stands behind it takes
//!   [`enforce::Allowed`] requests, and those only the layer can make.
//! - [`keys`] stands behind it: real AES-256-GCM data keys.
//! - [`server`] stands before it: gRPC on a Unix socket, whose callers are known by their user id.

pub mod enforce;
pub mod keys;
pub mod server;

/// Keyward's protocol, generated from `proto/keyward/v1`.
#[allow(missing_docs, clippy::all, reason = "generated")]
pub mod keyward {
    tonic::include_proto!("keyward.v1");
}

/// This service's protocol, generated from its own `proto`.
#[allow(missing_docs, clippy::all, reason = "generated")]
pub mod envelope {
    tonic::include_proto!("envelope.v1");
}

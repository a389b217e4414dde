//! The engine as it is.

#[path = "../../../src/engine/mod.rs"]
pub mod engine;

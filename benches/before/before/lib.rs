//! The engine as it was: that of the commit which `../run` checks out.

#[path = "../../target/before/src/engine/mod.rs"]
pub mod engine;

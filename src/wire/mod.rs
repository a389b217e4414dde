//! Every outside form of our values, each converted once.

pub mod callers;
pub mod case;
pub mod cases;
pub mod findings;
pub mod grants;
pub mod proto;
pub mod record;
pub mod simulation;
pub mod v1;

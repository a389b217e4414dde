//! Every outside form of our values, each converted once.

pub mod assertion;
pub mod case;
pub mod findings;
pub mod grants;
pub mod proto;
pub mod v1;

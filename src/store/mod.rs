//! Where documents come from.

pub mod directory;
pub mod grants;
pub mod last_good;

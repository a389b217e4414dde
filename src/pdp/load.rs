//! From a folder to a snapshot.

use std::path::Path;

use crate::engine::bundle::Options;
use crate::engine::problem::Problems;
use crate::engine::snapshot::build::{Built, build};
use crate::store::directory;

/// Reads and compiles the policy set in a folder.
///
/// # Errors
///
/// Everything that is wrong with it: what cannot be read, and what cannot be used.
pub fn load(folder: &Path, options: &Options) -> Result<Built, Problems> {
    let documents = directory::read(folder, &options.limits)?;
    build(&documents, options)
}

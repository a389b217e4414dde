//! From a folder to a snapshot.

use std::path::Path;

use crate::engine::bundle::Options;
use crate::engine::problem::{Problem, Problems};
use crate::engine::snapshot::build::{Built, build};
use crate::store::directory;

/// What must hold of a set beyond its being valid: its assertions. The errors among the problems
/// refuse the set.
pub type Verify<'a> = &'a dyn Fn(&Built) -> Vec<Problem>;

/// Reads and compiles the policy set in a folder, and verifies it.
///
/// # Errors
///
/// Everything that is wrong with it: what cannot be read, what cannot be used, and what does not
/// hold.
pub fn load(folder: &Path, options: &Options, verify: Verify<'_>) -> Result<Built, Problems> {
    let documents = directory::read(folder, &options.limits)?;
    let mut built = build(&documents, options)?;
    built.warnings.extend(verify(&built));
    match Problems::refusing(built.warnings.clone()) {
        Some(problems) => Err(problems),
        None => Ok(built),
    }
}

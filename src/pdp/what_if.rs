//! What would be: snapshots beside the live one, which they leave alone.

use std::path::PathBuf;
use std::sync::Arc;

use super::Pdp;
use crate::engine::bundle::{Document, Options};
use crate::engine::evaluation::Evaluation;
use crate::engine::overlay::overlay;
use crate::engine::problem::{Problem, Problems};
use crate::engine::snapshot::build::build;
use crate::engine::snapshot::grants::Grants;
use crate::engine::snapshot::{PolicySet, Snapshot};
use crate::store::directory;

/// Where the documents of the live set can be read again, and how.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// How it is read.
    pub options: Options,
}

/// A snapshot that might be, and what is odd about the documents that it was made with.
#[derive(Clone, Debug)]
pub struct WhatIf {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Warnings.
    pub warnings: Vec<Problem>,
}

/// The documents of the live set cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NoDocuments {
    /// The set did not come from a folder.
    #[error("the policy set that answers was not read from a folder")]
    NoFolder,
    /// The folder cannot be read.
    #[error("the policy set cannot be read again: {0}")]
    Unreadable(Problems),
    /// The folder holds another set than the one that answers.
    #[error(
        "the folder holds another policy set than the one that answers: try again when that has been taken over, or mended"
    )]
    Another,
}

impl Pdp {
    /// The live set as it would be with other documents over its own, and decided by other
    /// switches. Blocks: with documents, it reads the set again.
    ///
    /// # Errors
    ///
    /// The documents of the live set cannot be had; or, inside, what is wrong with the set that
    /// there would be.
    pub fn what_if(
        &self,
        live: &Snapshot,
        over: &[Document],
        evaluation: Evaluation,
    ) -> Result<Result<WhatIf, Problems>, NoDocuments> {
        if over.is_empty() {
            let mut snapshot = live.clone();
            if evaluation != snapshot.policies.evaluation {
                let set = PolicySet { evaluation, ..PolicySet::clone(&snapshot.policies) };
                snapshot.policies = Arc::new(set);
            }
            return Ok(Ok(WhatIf { snapshot, warnings: Vec::new() }));
        }
        let folder = self.folder.as_ref().ok_or(NoDocuments::NoFolder)?;
        let limits = &folder.options.limits;
        let base = directory::read(&folder.path, limits).map_err(NoDocuments::Unreadable)?;
        let held = build(&base, &folder.options).map_err(|_| NoDocuments::Another)?;
        if held.snapshot.revision != live.revision {
            return Err(NoDocuments::Another);
        }
        let documents = overlay(&base, over, limits);
        let options = Options {
            evaluation,
            allow_empty: true,
            require: Vec::new(),
            ..folder.options.clone()
        };
        Ok(build(&documents, &options).map(|built| WhatIf {
            snapshot: Snapshot {
                policies: built.snapshot.policies,
                grants: Grants {
                    documents: built.snapshot.grants.documents,
                    live: live.grants.live.clone(),
                },
            },
            warnings: built.warnings.into_iter().filter(|problem| is_of(problem, over)).collect(),
        }))
    }
}

fn is_of(problem: &Problem, documents: &[Document]) -> bool {
    let named = problem.place.as_ref().map(|place| &place.document);
    named.is_some_and(|name| documents.iter().any(|document| document.name == *name))
}

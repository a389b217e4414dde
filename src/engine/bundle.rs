//! The documents of a set as text, with their names and limits.

use std::sync::Arc;

/// One document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its path below the folder of the set, or a number in a simulation.
    pub name: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
}

/// Bounds on documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one document.
    pub document_bytes: usize,
    /// Levels of nesting.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { document_bytes: 64 * 1024 * 1024, depth: 128 }
    }
}

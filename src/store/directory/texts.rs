//! The documents as text once more: they are not kept.

use std::hash::RandomState;
use std::path::PathBuf;
use std::sync::Arc;

use super::Directory;
use super::file::{self, Content, Known};
use crate::engine::bundle::Document;

/// Where the documents are, and what they were when they were read.
#[derive(Debug)]
pub struct Texts {
    files: Vec<(Arc<str>, PathBuf, Known)>,
    limit: usize,
    hasher: RandomState,
}

impl Texts {
    /// The documents, in the order of their names; `None` in the place of one that is another now.
    pub fn into_documents(self) -> impl Iterator<Item = Option<Document>> {
        let Self { files, limit, hasher } = self;
        files.into_iter().map(move |(name, path, known)| {
            match file::read(&path, None, true, limit, &hasher).ok()? {
                Content::Text(now, text) if now.says_the_same(&known) => {
                    Some(Document { name, text: text.into() })
                }
                Content::Text(..) | Content::Same | Content::Touched(_) => None,
            }
        })
    }
}

impl Directory {
    /// All documents.
    #[must_use]
    pub fn texts(&self) -> Texts {
        let files = self.known.iter();
        let files = files.map(|(name, known)| (Arc::clone(name), self.listing.path(name), *known));
        Texts { files: files.collect(), limit: self.limit, hasher: self.hasher.clone() }
    }

    /// The text of one document; `None` if it is another one now.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Arc<str>> {
        let (name, known) = self.known.get_key_value(name)?;
        let files = vec![(Arc::clone(name), self.listing.path(name), *known)];
        let one = Texts { files, limit: self.limit, hasher: self.hasher.clone() };
        one.into_documents().next().flatten().map(|document| document.text)
    }
}

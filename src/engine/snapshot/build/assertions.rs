//! Assertions: what must hold before a set may be activated.

use std::sync::Arc;

use super::reading::Reading;
use super::revision::digest;
use crate::engine::json::Json;
use crate::engine::problem::Place;

/// A case that must hold, not yet understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// Its name.
    pub name: Arc<str>,
    /// Where it stands.
    pub place: Place,
    /// The case as it is written: JSON.
    pub case: Box<str>,
}

impl Reading<'_> {
    /// An assertion: an object with a name.
    pub(super) fn assertion(&mut self, item: &Json<'_>) {
        if !self.is_object(item, "Assertions") {
            return;
        }
        let Some(name) = self.required_text(item, "name") else { return };
        let mut canonical = Vec::new();
        item.canonical(&mut canonical);
        self.said.fingerprints.push(digest(&[b"assertion ", canonical.as_slice()].concat()));
        let assertion = Assertion {
            name: name.into(),
            place: self.source.place(item.span),
            case: self.source.slice(item.span).into(),
        };
        self.said.assertions.push(assertion);
    }
}

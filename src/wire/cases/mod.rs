//! Cases with an expectation: `Assertions` of a set, and the files of policy tests.

pub mod assertions;
pub mod expectation;
mod members;
mod offsets;
pub mod places;
pub mod yaml;

use std::sync::Arc;

use self::expectation::Expectation;
use crate::engine::bundle::Limits;
use crate::engine::json::{self, Source, Span};
use crate::engine::problem::{Problem, Problems};

/// Bounds of a file of cases.
pub const LIMITS: Limits = Limits { document_bytes: 4 * 1024 * 1024, depth: 32 };

/// How a file of cases is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// YAML 1.2: lists of cases, in one document or several.
    Yaml,
    /// JSON: one list of cases.
    Json,
}

/// Reads the text of a file of cases. Places are named after `name`.
///
/// # Errors
///
/// Everything that is wrong with it: what is no YAML or JSON, and every case that cannot be read.
pub fn read(name: &str, text: &str, syntax: Syntax) -> Result<Vec<Expectation>, Problems> {
    let source = Source::new(Arc::from(name), text);
    let mut problems = Vec::new();
    let documents = match syntax {
        Syntax::Yaml => yaml::read(&source, &LIMITS, &mut problems),
        Syntax::Json => json::read(&source, &LIMITS, &mut problems).map(|json| vec![json]),
    };
    let place = |span: Span| source.place(span);
    let mut cases: Vec<Expectation> = Vec::new();
    for document in documents.unwrap_or_default() {
        let Some(items) = document.as_list() else {
            let message = format!("a file of cases is a list, not {}", document.in_words());
            problems.push(
                Problem::error("bad-case", message)
                    .help("write one case after the other: `- name: …`")
                    .at(source.place(document.span)),
            );
            continue;
        };
        for item in items {
            match Expectation::read(item, &place) {
                Ok(case) => cases.push(case),
                Err(found) => problems.extend(found),
            }
        }
    }
    match Problems::refusing(problems) {
        Some(problems) => Err(problems),
        None => Ok(cases),
    }
}

#[cfg(test)]
mod tests;

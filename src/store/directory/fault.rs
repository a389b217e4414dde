//! What cannot be a document, and what to do about it.

use crate::engine::problem::{Place, Problem};

/// A problem of the file of this name as a whole.
pub(super) fn fault(name: &str, code: &'static str, why: &str) -> Problem {
    let place = Place {
        document: name.into(),
        line: 1,
        column: 1,
        width: 1,
        excerpt: "".into(),
        excerpt_column: 1,
    };
    let help = match code {
        "link-leads-out" => "copy the file into the folder, or serve the folder that holds both",
        "broken-link" => "mend or remove the link",
        "document-too-large" => "split the document, or raise the bound",
        _ => "make it readable for Keyward, or move it out of the folder",
    };
    Problem::error(code, format!("`{name}`: {why}")).help(help).at(place)
}

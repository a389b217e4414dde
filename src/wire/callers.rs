//! The callers file: who may ask, about whom, and what they may claim.

use std::num::NonZeroU32;

use serde::Deserialize;
use toml::Spanned;

/// The longest callers file, in bytes.
const LONGEST: usize = 4 * 1024 * 1024;

/// A callers file, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallersFile {
    /// The callers, in the order in which they are tried.
    #[serde(default)]
    pub caller: Vec<Spanned<CallerEntry>>,
}

/// One caller, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerEntry {
    /// What the log calls it.
    pub name: String,
    /// Its SPIFFE id, perhaps with attributes in braces.
    pub spiffe: Option<Spanned<String>>,
    /// The subject of its certificate, perhaps with attributes in braces.
    pub subject: Option<Spanned<String>>,
    /// Its user id, when it comes through a Unix socket.
    pub uid: Option<u32>,
    /// The network that it comes from, for connections that prove nothing.
    pub network: Option<Spanned<String>>,
    /// The methods of `AuthorizationService` that it may call; all, if it is not there.
    pub rpcs: Option<Vec<Spanned<String>>>,
    /// The principals that it may ask about.
    #[serde(default)]
    pub principals: Vec<Spanned<String>>,
    /// What it may claim; the default is narrow.
    pub assert: Option<Vec<Spanned<String>>>,
    /// Whether it may manage grants through the data listener.
    #[serde(default)]
    pub grants: bool,
    /// Whether it may call the services for operators, on an admin listener with TLS.
    #[serde(default)]
    pub admin: bool,
    /// Requests a second; no limit, if it is not there.
    pub requests_per_second: Option<NonZeroU32>,
}

/// A callers file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct InvalidCallers {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl InvalidCallers {
    /// Something is wrong at a byte of the text.
    #[must_use]
    pub fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let line = before.matches('\n').count() + 1;
        Self { line, column, message: message.into() }
    }
}

/// Reads a callers file.
///
/// # Errors
///
/// What is wrong with it, and where.
pub fn read(text: &str) -> Result<CallersFile, InvalidCallers> {
    if text.len() > LONGEST {
        return Err(InvalidCallers::at(text, 0, format!("longer than {LONGEST} bytes")));
    }
    toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        InvalidCallers::at(text, offset, error.message().trim())
    })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let text = "[[caller]]\nname = \"a\"\nuid = 1000\nprincipal = [\"*\"]\n";
        let error = read(text).unwrap_err();
        assert_eq!((error.line, error.column), (4, 1), "{error}");
        assert!(error.message.contains("`principal`"), "{error}");
        assert_eq!(read("[[caller]\n").unwrap_err().line, 1);
        assert!(read("[[caller]]\nuid = 1\n").unwrap_err().message.contains("`name`"));
    }

    #[test]
    fn an_empty_file_names_nobody() {
        assert!(read("").unwrap().caller.is_empty());
    }
}

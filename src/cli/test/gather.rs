//! Files of cases: which there are, and what is in them.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::problem::Problem;
use crate::engine::snapshot::build::Assertion;
use crate::wire::cases::assertions::expectation;
use crate::wire::cases::expectation::Expectation;
use crate::wire::cases::{LIMITS, Syntax, read};

/// Cases that stand in one file.
pub(super) struct Suite {
    /// Its path.
    pub(super) name: Arc<str>,
    /// In the order of the file.
    pub(super) cases: Vec<Expectation>,
}

/// Reads files of cases, and those in folders.
///
/// # Errors
///
/// Everything that is wrong with them.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<Suite>, Vec<Problem>> {
    let (mut suites, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        let found = found(path);
        if found.as_ref().is_ok_and(Vec::is_empty) {
            let message =
                format!("no `*.yaml`, `*.yml` or `*.json` in the folder `{}`", path.display());
            problems.push(
                Problem::error("no-cases", message).help("name files of cases, or their folder"),
            );
        }
        for path in found.unwrap_or_else(|error| {
            problems.push(unreadable(path, &error));
            Vec::new()
        }) {
            match text(&path) {
                Err(error) => problems.push(unreadable(&path, &error)),
                Ok(text) => {
                    let name = path.display().to_string();
                    match read(&name, &text, syntax(&path)) {
                        Ok(cases) => suites.push(Suite { name: name.into(), cases }),
                        Err(found) => problems.extend_from_slice(found.as_slice()),
                    }
                }
            }
        }
    }
    if problems.is_empty() { Ok(suites) } else { Err(problems) }
}

/// The assertions of a set in a folder, a suite for each document.
///
/// # Errors
///
/// Everything that is wrong with them.
pub(super) fn assertions(folder: &Path, found: &[Assertion]) -> Result<Vec<Suite>, Vec<Problem>> {
    let (mut suites, mut problems): (Vec<Suite>, Vec<Problem>) = (Vec::new(), Vec::new());
    for assertion in found {
        match expectation(assertion) {
            Err(found) => problems.extend(found),
            Ok(mut case) => {
                let path = folder.join(&*case.place.document);
                case.place.document = path.display().to_string().into();
                match suites.last_mut().filter(|suite| suite.name == case.place.document) {
                    Some(suite) => suite.cases.push(case),
                    None => suites
                        .push(Suite { name: Arc::clone(&case.place.document), cases: vec![case] }),
                }
            }
        }
    }
    if problems.is_empty() { Ok(suites) } else { Err(problems) }
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let message = format!("cannot read the cases in `{}`: {error}", path.display());
    Problem::error("unreadable-file", message)
}

fn syntax(path: &Path) -> Syntax {
    match path.extension() {
        Some(extension) if extension == "json" => Syntax::Json,
        _ => Syntax::Yaml,
    }
}

/// A file, or the files of cases below a folder, by name.
fn found(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let (mut files, mut open) = (Vec::new(), vec![path.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let cases = path.extension().is_some_and(|extension| {
                ["yaml", "yml", "json"].iter().any(|known| extension == *known)
            });
            // Links to folders are not followed: they might lead round.
            if kind.is_dir() && !hidden {
                open.push(path);
            } else if cases && !hidden {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// A text, read no further than its bound and one byte.
fn text(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(LIMITS.document_bytes as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LIMITS.document_bytes {
        return Err(io::Error::other(format!("it is larger than {} bytes", LIMITS.document_bytes)));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

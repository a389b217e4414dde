//! Findings for programs: JSON, SARIF 2.1.0, and workflow commands of GitHub Actions.

mod message;
mod sarif;

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::engine::problem::{Place, Problem};
use crate::lint::finding::{Finding, Findings};
use crate::lint::rule::Severity;

pub use message::finding_message;
pub use sarif::{sarif, sarif_of_problems};

/// Findings as one JSON object.
#[must_use]
pub fn json(found: &Findings) -> Value {
    let findings: Vec<Value> = found.all().iter().map(one).collect();
    let count = |severity: Severity| (severity.name().to_owned(), found.count(severity).into());
    let counts: serde_json::Map<String, Value> = Severity::ALL.into_iter().map(count).collect();
    json!({"usable": true, "findings": findings, "counts": counts,
        "explained": found.all().len() - found.open().count()})
}

/// One finding.
fn one(finding: &Finding) -> Value {
    json!({
        "code": finding.rule.code,
        "severity": finding.severity.name(),
        "message": finding.message,
        "help": finding.help,
        "why": finding.rule.why,
        "source": finding.rule.source,
        "subject": *finding.subject,
        "sid": finding.sid.as_deref(),
        "document": *finding.place.document,
        "line": finding.place.line,
        "column": finding.place.column,
        "width": finding.place.width,
        "explained": finding.explained.as_deref(),
    })
}

/// Findings as workflow commands, which annotate the changed files.
///
/// Source: GitHub Docs, "Workflow commands for GitHub Actions".
#[must_use]
pub fn github(folder: &Path, found: &Findings) -> String {
    let mut out = String::new();
    for finding in found.open() {
        let level = match finding.severity {
            Severity::Error | Severity::SecurityWarning => "error",
            Severity::Warning => "warning",
            Severity::Suggestion => "notice",
        };
        let message = format!("{}\n{}", finding.message, finding.help);
        command(&mut out, level, (finding.rule.code, &message), folder, Some(&finding.place));
    }
    out
}

/// Problems as workflow commands.
#[must_use]
pub fn github_of_problems(folder: &Path, problems: &[Problem]) -> String {
    let mut out = String::new();
    for problem in problems {
        let message = format!("{}\n{}", problem.message, problem.help);
        let place = problem.place.as_ref();
        command(&mut out, problem.severity.name(), (problem.code, &message), folder, place);
    }
    out
}

fn command(
    out: &mut String,
    level: &str,
    (code, message): (&str, &str),
    folder: &Path,
    place: Option<&Place>,
) {
    // Writing to a text cannot fail.
    let _ = write!(out, "::{level} title={}", property(code));
    if let Some(place) = place {
        let (line, column) = (place.line, place.column);
        let file = path(folder, &place.document);
        let end = column + place.width;
        let _ = write!(out, ",file={},line={line},col={column},endColumn={end}", property(&file));
    }
    let _ = writeln!(out, "::{}", data(message.trim_end()));
}

/// A document by the path that leads to it from where the command runs.
fn path(folder: &Path, document: &str) -> String {
    let whole = folder.join(document);
    whole.strip_prefix("./").unwrap_or(&whole).display().to_string()
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::github_of_problems;
    use crate::engine::problem::{Place, Problem};

    #[test]
    fn workflow_commands_escape_what_ends_them() {
        let place = Place {
            document: "a,b.json".into(),
            line: 2,
            column: 3,
            width: 4,
            excerpt: "".into(),
            excerpt_column: 1,
        };
        let problem = Problem::error("odd", "100%\nof: it").help("mend").at(place);
        assert_eq!(
            github_of_problems(Path::new("./p"), &[problem]),
            "::error title=odd,file=p/a%2Cb.json,line=2,col=3,endColumn=7::100%25%0Aof: it%0Amend\n"
        );
    }
}

//! Problems and reasons, for people and for programs.

use std::io::{self, IsTerminal as _, Write};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use crate::engine::problem::{Place, Problem, Severity};
use crate::lint::finding::Findings;
use crate::lint::rule as lint;
use crate::wire::proto::answer::layer_words;
use crate::wire::v1;

/// Whether to colour what goes to standard error.
#[must_use]
pub fn colour_on_stderr() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Whether to colour what goes to standard output.
#[must_use]
pub fn colour_on_stdout() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Writes problems as a compiler does: code, place, the line underlined, what to do; then a count.
///
/// # Errors
///
/// The stream cannot be written.
pub fn problems(problems: &[Problem], out: &mut dyn Write, colour: bool) -> io::Result<()> {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    for problem in problems {
        writeln!(out, "{}\n", snippet(problem, &renderer))?;
    }
    if !problems.is_empty() {
        writeln!(out, "{}", count(problems))?;
    }
    Ok(())
}

fn snippet(problem: &Problem, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(&*problem.message).id(problem.code);
    let mut group = match &problem.place {
        Some(place) if !place.excerpt.is_empty() => Group::with_title(title).element(
            Snippet::source(&*place.excerpt)
                .path(place.document.to_string())
                .line_start(usize::try_from(place.line).unwrap_or(1))
                .annotation(AnnotationKind::Primary.span(underlined(place))),
        ),
        Some(place) => {
            Group::with_title(title).element(Level::NOTE.message(format!("in {}", place.document)))
        }
        None => Group::with_title(title),
    };
    if !problem.help.is_empty() {
        group = group.element(Level::HELP.message(&*problem.help));
    }
    renderer.render(&[group])
}

/// Writes findings as a compiler does, with why they matter; then a count.
///
/// # Errors
///
/// The stream cannot be written.
pub fn findings(found: &Findings, out: &mut dyn Write, colour: bool) -> io::Result<()> {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut told: Vec<&str> = Vec::new();
    for finding in found.open() {
        let level = match finding.severity {
            lint::Severity::Error => Level::ERROR,
            lint::Severity::SecurityWarning => Level::WARNING.with_name("security-warning"),
            lint::Severity::Warning => Level::WARNING,
            lint::Severity::Suggestion => Level::INFO.with_name("suggestion"),
        };
        let title = level.primary_title(&*finding.message).id(finding.rule.code);
        let place = &finding.place;
        let mut group = Group::with_title(title).element(
            Snippet::source(&*place.excerpt)
                .path(place.document.to_string())
                .line_start(usize::try_from(place.line).unwrap_or(1))
                .annotation(AnnotationKind::Primary.span(underlined(place))),
        );
        // Why it matters is told once.
        if !told.contains(&finding.rule.code) {
            told.push(finding.rule.code);
            group = group.element(Level::NOTE.message(finding.rule.why));
        }
        let group = group.element(Level::HELP.message(&*finding.help));
        writeln!(out, "{}\n", renderer.render(&[group]))?;
    }
    let mut counts: Vec<String> = Vec::new();
    for severity in lint::Severity::ALL {
        let count = found.count(severity);
        if count > 0 {
            counts.push(plural(count, severity.name()));
        }
    }
    let what = if counts.is_empty() { "nothing found".to_owned() } else { counts.join(", ") };
    match found.all().len() - found.open().count() {
        0 => writeln!(out, "{what}"),
        explained => writeln!(out, "{what}; {explained} explained in place"),
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// The bytes of the excerpt that are meant.
fn underlined(place: &Place) -> std::ops::Range<usize> {
    let offset = |characters: usize| {
        place.excerpt.char_indices().nth(characters).map_or(place.excerpt.len(), |(at, _)| at)
    };
    let start = usize::try_from(place.excerpt_column.saturating_sub(1)).unwrap_or(0);
    let width = usize::try_from(place.width).unwrap_or(1).max(1);
    offset(start)..offset(start + width)
}

/// `3 errors and 1 warning in 2 documents`.
#[must_use]
pub fn count(problems: &[Problem]) -> String {
    let of = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let mut documents: Vec<_> = problems
        .iter()
        .filter_map(|problem| problem.place.as_ref())
        .map(|place| &place.document)
        .collect();
    documents.sort();
    documents.dedup();
    let what = match (errors, warnings) {
        (errors, 0) => plural(errors, "error"),
        (0, warnings) => plural(warnings, "warning"),
        (errors, warnings) => {
            format!("{} and {}", plural(errors, "error"), plural(warnings, "warning"))
        }
    };
    if documents.is_empty() {
        what
    } else {
        format!("{what} in {}", plural(documents.len(), "document"))
    }
}

/// Problems for programs.
#[must_use]
pub fn problems_json(problems: &[Problem]) -> Value {
    let one = |problem: &Problem| {
        let place = problem.place.as_ref();
        json!({
            "severity": problem.severity.name(),
            "code": problem.code,
            "message": problem.message,
            "help": problem.help,
            "document": place.map(|place| &*place.document),
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
        })
    };
    problems.iter().map(one).collect()
}

/// Writes an answer with its reasoning.
///
/// # Errors
///
/// The stream cannot be written.
pub fn answer(response: &v1::AuthorizeResponse, out: &mut dyn Write) -> io::Result<()> {
    let words = match response.decision() {
        v1::Decision::Unspecified => "NO DECISION",
        v1::Decision::Allowed => "ALLOWED",
        v1::Decision::ExplicitDeny => "EXPLICIT DENY",
        v1::Decision::ImplicitDeny => "IMPLICIT DENY",
        v1::Decision::KeyState => "KEY STATE",
    };
    write!(out, "{words}")?;
    if !response.error_code.is_empty() {
        write!(out, "  {}", response.error_code)?;
    }
    writeln!(out)?;
    if !response.message.is_empty() {
        writeln!(out, "{}", response.message)?;
    }
    if !response.key_arn.is_empty() {
        writeln!(out, "key: {}", response.key_arn)?;
    }
    writeln!(out, "policy set: {}", response.policy_revision)?;
    let legs = response.explanation.as_ref().map_or(&[][..], |explanation| &explanation.legs);
    for leg in legs {
        self::leg(leg, out)?;
    }
    Ok(())
}

/// The reasoning with at most `most` statements of each layer: those that apply first, then those
/// about the caller. The verdict of a layer says how many are left out.
#[must_use]
pub fn shortened(leg: &v1::LegExplanation, most: usize) -> v1::LegExplanation {
    let mut leg = leg.clone();
    for layer in &mut leg.layers {
        let rank = |finding: &v1::StatementFinding| match finding.outcome() {
            v1::StatementOutcome::Applies | v1::StatementOutcome::Unsure => 0,
            _ if finding.reason != "it is about other principals" => 1,
            _ => 2,
        };
        layer.statements.sort_by_key(rank);
        let rest = layer.statements.len().saturating_sub(most);
        layer.statements.truncate(most);
        if rest > 0 {
            layer.verdict = format!("{} ({rest} more that do not apply)", layer.verdict);
        }
    }
    leg
}

/// Writes the reasoning behind one authorization.
///
/// # Errors
///
/// The stream cannot be written.
pub fn leg(leg: &v1::LegExplanation, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{} on {}", leg.action, leg.resource)?;
    for layer in &leg.layers {
        writeln!(out, "  {}: {}", layer_words(layer.policy_type()), layer.verdict)?;
        for finding in &layer.statements {
            statement(finding, out)?;
        }
    }
    for by in &leg.determining {
        writeln!(out, "  decided by {}", matched(by))?;
    }
    if !leg.missing.is_empty() {
        writeln!(out, "  missing: {}", leg.missing)?;
    }
    Ok(())
}

fn statement(finding: &v1::StatementFinding, out: &mut dyn Write) -> io::Result<()> {
    let outcome = match finding.outcome() {
        v1::StatementOutcome::Applies => "applies",
        v1::StatementOutcome::DoesNotApply => "does not apply",
        v1::StatementOutcome::Unsure => "unsure",
        v1::StatementOutcome::Unspecified => "unknown",
    };
    let by = finding.statement.as_ref().map(matched).unwrap_or_default();
    writeln!(out, "    {} {by}: {outcome}: {}", finding.effect, finding.reason)
}

fn matched(by: &v1::MatchedStatement) -> String {
    if by.policy_type() == v1::PolicyType::Grant {
        return format!("grant `{}`", by.policy_id);
    }
    let place =
        if by.sid.is_empty() { format!("statement {}", by.index) } else { format!("`{}`", by.sid) };
    format!("{place} of {} `{}`", layer_words(by.policy_type()), by.policy_id)
}

#[cfg(test)]
mod tests {
    use super::{count, problems};
    use crate::engine::problem::{Place, Problem};

    #[test]
    fn a_problem_shows_its_line_underlined() {
        let place = Place {
            document: "keys/k.json".into(),
            line: 7,
            column: 15,
            width: 6,
            excerpt: r#"    "Effect": "Alow","#.into(),
            excerpt_column: 15,
        };
        let found = [
            Problem::error("bad-effect", "the effect is neither `Allow` nor `Deny`")
                .help("spell it")
                .at(place),
            Problem::warning("odd", "something is odd"),
        ];
        let mut out = Vec::new();
        problems(&found, &mut out, false).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            "error[bad-effect]",
            "keys/k.json:7:15",
            "\"Alow\"",
            "^^^^^^",
            "help: spell it",
            "warning[odd]",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        assert!(text.ends_with("1 error and 1 warning in 1 document\n"), "{text}");
        assert_eq!(count(&found[1..]), "1 warning");
    }
}

//! A run as JUnit's XML, which continuous integration reads.

use std::fmt;
use std::io::{self, Write};

use super::running::Ran;
use crate::cli::render;
use crate::engine::problem::{Problem, Severity};
use crate::wire::cases::expectation::Outcome;

/// Writes a `testsuite` for each file of cases, and a `testcase` for each case.
pub(super) fn write(ran: &[Ran], out: &mut impl Write) -> io::Result<()> {
    let failures = |ran: &[Ran]| ran.iter().filter(|ran| !ran.holds()).count();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        r#"<testsuites name="keyward" tests="{}" failures="{}" errors="0">"#,
        ran.len(),
        failures(ran)
    )?;
    for suite in ran.chunk_by(|a, b| a.suite == b.suite) {
        let name = Escaped(suite.first().map_or("", |ran| &ran.suite));
        writeln!(
            out,
            r#"  <testsuite name="{name}" tests="{}" failures="{}" errors="0" skipped="0">"#,
            suite.len(),
            failures(suite)
        )?;
        for ran in suite {
            case(ran, out)?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn case(ran: &Ran, out: &mut impl Write) -> io::Result<()> {
    let place = &ran.case.place;
    let (name, file) = (Escaped(&ran.case.name), Escaped(&place.document));
    write!(
        out,
        r#"    <testcase classname="{file}" name="{name}" file="{file}" line="{}""#,
        place.line
    )?;
    let Outcome::Fails(message) = &ran.outcome else { return writeln!(out, "/>") };
    let mut reasoning = Vec::new();
    let response = ran.response.as_ref();
    let explanation = response.and_then(|response| response.explanation.as_ref());
    for leg in explanation.map_or(&[][..], |explanation| &explanation.legs) {
        render::leg(leg, &mut reasoning)?;
    }
    let reasoning = String::from_utf8_lossy(&reasoning);
    writeln!(out, ">")?;
    writeln!(
        out,
        r#"      <failure type="{}" message="{}">{}:{}"#,
        ran.decided.map_or("invalidRequest", |(decision, _)| decision.name()),
        Escaped(message),
        file,
        place.line
    )?;
    writeln!(out, "{}</failure>\n    </testcase>", Escaped(&reasoning))
}

/// Writes what keeps cases from being asked, as an error each: the report is not empty then.
pub(super) fn problems(problems: &[Problem], out: &mut impl Write) -> io::Result<()> {
    let errors: Vec<&Problem> =
        problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    let count = errors.len();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<testsuites name="keyward" tests="{count}" failures="0" errors="{count}">"#)?;
    writeln!(
        out,
        r#"  <testsuite name="problems" tests="{count}" failures="0" errors="{count}" skipped="0">"#
    )?;
    for problem in errors {
        let (name, help) = (Escaped(problem.code), Escaped(&problem.help));
        let place = problem.place.as_ref();
        let file = Escaped(place.map_or("", |place| &place.document));
        let line = place.map_or(1, |place| place.line);
        writeln!(
            out,
            r#"    <testcase classname="{file}" name="{name}" file="{file}" line="{line}">"#
        )?;
        let message = Escaped(&problem.message);
        writeln!(out, r#"      <error type="{name}" message="{message}">{file}:{line}"#)?;
        writeln!(out, "{help}</error>\n    </testcase>")?;
    }
    writeln!(out, "  </testsuite>\n</testsuites>")
}

/// A text as XML has it, in attributes and between tags. What XML has no way to write is replaced.
///
/// Source: Extensible Markup Language (XML) 1.0, section 2.2.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\n' | '\t' => f.write_char(character)?,
                '\r' => f.write_str("&#13;")?,
                '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

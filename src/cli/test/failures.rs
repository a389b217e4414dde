//! The cases that fail, for people: the first with its reasoning, the others shortly, so that the
//! reason stands on one screen.

use std::io::{self, Write};

use super::running::Ran;
use super::text::painted;
use crate::cli::render;
use crate::engine::decide::decision::Verdict;
use crate::wire::cases::expectation::Outcome;
use crate::wire::v1;

/// How much is told of the cases that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failures {
    /// As much as fits on a screen: the first with its reasoning.
    OnOneScreen,
    /// Each with its reasoning.
    Whole,
}

/// A screen: lines and columns, without the lines that sum up.
const LINES: usize = 21;
const COLUMNS: usize = 100;

/// Failures beside the first for which there is always room.
const OTHERS: usize = 2;

/// How much of the reasoning is told.
#[derive(Clone, Copy)]
struct Extent {
    /// Statements of a layer at most: those that apply, then those about the caller.
    statements: usize,
    /// Whether AWS's message is told, and every authorization of the operation.
    all: bool,
}

/// From much to little.
const EXTENTS: [Extent; 5] = [
    Extent { statements: 8, all: true },
    Extent { statements: 3, all: true },
    Extent { statements: 3, all: false },
    Extent { statements: 2, all: false },
    Extent { statements: 1, all: false },
];

/// Writes the cases that fail.
pub(super) fn write(
    ran: &[Ran],
    told: Failures,
    colour: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let failed: Vec<&Ran> = ran.iter().filter(|ran| !ran.holds()).collect();
    let [most, ..] = EXTENTS;
    match (failed.as_slice(), told) {
        ([], _) => Ok(()),
        (all, Failures::Whole) => {
            all.iter().try_for_each(|ran| out.write_all(&reasoned(ran, most, colour)?))
        }
        ([first, others @ ..], Failures::OnOneScreen) => on_one_screen(first, others, colour, out),
    }
}

fn on_one_screen(
    first: &Ran,
    others: &[&Ran],
    colour: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let lines: Vec<String> = by_reason(first, others).into_iter().map(shortly).collect();
    let room = lines.iter().take(OTHERS).map(|line| rows(line)).sum::<usize>()
        + usize::from(lines.len() > OTHERS) * 2;
    let mut left = 0;
    for extent in EXTENTS {
        let used = rows(&String::from_utf8_lossy(&reasoned(first, extent, false)?));
        left = LINES.saturating_sub(used);
        if left >= room || extent.statements == 1 {
            out.write_all(&reasoned(first, extent, colour)?)?;
            break;
        }
    }
    let all = lines.iter().map(|line| rows(line)).sum::<usize>();
    // The line that counts the rest takes room too, and a blank line ends the list.
    let mut room = if all < left { left } else { left.saturating_sub(2) };
    let mut shown = 0;
    for line in &lines {
        let rows = rows(line);
        if shown >= OTHERS && rows >= room {
            break;
        }
        let told = line.strip_prefix("FAIL").unwrap_or(line);
        writeln!(out, "{}{told}", painted("FAIL", "31", colour))?;
        room = room.saturating_sub(rows);
        shown += 1;
    }
    if shown < lines.len() {
        let rest = lines.len() - shown;
        writeln!(out, "… and {rest} more (--filter NAME shows the reasoning, --format json all)")?;
    }
    if lines.is_empty() { Ok(()) } else { writeln!(out) }
}

/// Rows that a text takes on the screen.
fn rows(text: &str) -> usize {
    text.lines().map(|line| line.chars().count().div_ceil(COLUMNS).max(1)).sum()
}

/// What was decided and by which statements or grants.
fn reason(ran: &Ran) -> (Option<(Verdict, &'static str)>, Vec<&v1::MatchedStatement>) {
    let legs = legs(ran);
    (ran.decided, legs.iter().flat_map(|leg| &leg.determining).collect())
}

fn legs(ran: &Ran) -> &[v1::LegExplanation] {
    let explanation = ran.response.as_ref().and_then(|response| response.explanation.as_ref());
    explanation.map_or(&[], |explanation| &explanation.legs)
}

/// The first of each other reason, then all the rest.
fn by_reason<'r>(first: &'r Ran, others: &[&'r Ran]) -> Vec<&'r Ran> {
    let mut seen = vec![reason(first)];
    let (mut ordered, mut rest) = (Vec::new(), Vec::new());
    for ran in others.iter().copied() {
        let found = reason(ran);
        if seen.contains(&found) {
            rest.push(ran);
        } else {
            seen.push(found);
            ordered.push(ran);
        }
    }
    ordered.append(&mut rest);
    ordered
}

/// A failure in two lines.
fn shortly(ran: &Ran) -> String {
    let case = &ran.case;
    let what = match (ran.decided, &ran.outcome) {
        (Some((decision, reason)), _) => format!("{} ({reason})", decision.name()),
        (None, Outcome::Fails(message)) => message.clone(),
        (None, Outcome::Holds) => String::new(),
    };
    format!("FAIL {}\n  at {}: {what}", case.name, case.place)
}

/// A failure with its reasoning, and a blank line.
fn reasoned(ran: &Ran, extent: Extent, colour: bool) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let case = &ran.case;
    writeln!(out, "{} {}", painted("FAIL", "31", colour), case.name)?;
    writeln!(out, "  at {}", case.place)?;
    let Some((decision, reason)) = ran.decided else {
        if let Outcome::Fails(message) = &ran.outcome {
            writeln!(out, "  {message}")?;
        }
        writeln!(out)?;
        return Ok(out);
    };
    writeln!(out, "  asked     {} by {}", case.message.action, who(ran))?;
    writeln!(out, "  expected  {}", case.expected())?;
    writeln!(out, "  decided   {} ({reason})", decision.name())?;
    if let Some(response) = &ran.response {
        if extent.all && !response.message.is_empty() {
            writeln!(out, "  {}", response.message)?;
        }
        let decisive = |at: usize| {
            let leg = response.legs.get(at);
            extent.all || leg.is_none_or(|leg| leg.decision == response.decision)
        };
        let most = if extent.all { usize::MAX } else { 1 };
        let told = legs(ran).iter().enumerate().filter(|(at, _)| decisive(*at)).take(most);
        for (_, leg) in told {
            render::leg(&render::shortened(leg, extent.statements), &mut out)?;
        }
    }
    writeln!(out)?;
    Ok(out)
}

fn who(ran: &Ran) -> &str {
    ran.case.message.principal.as_ref().map_or("", |principal| &principal.arn)
}

//! A run, for people.

use std::io::{self, Write};

use super::Report;
use super::covered::{Conditioned, Coverage, Granted, Share, Stated};
use super::failures::{self, Failures};
use super::mutants::{Change, Mutants};
use crate::cli::render;
use crate::engine::policy::statement::Effect;
use crate::engine::problem::Place;
use crate::wire::proto::answer::layer_name;

/// Writes the cases that fail, then what the cases amount to. Without `each` the failures stay on
/// one screen.
pub(super) fn write(
    report: &Report,
    untouched: bool,
    each: Failures,
    out: &mut impl Write,
) -> io::Result<()> {
    let colour = render::colour_on_stdout();
    failures::write(&report.ran, each, colour, out)?;
    if untouched {
        not_touched(&report.coverage, out)?;
    }
    if let Some(mutants) = &report.mutants {
        survivors(mutants, &report.coverage, out)?;
    }
    let (failed, all) = (report.failed(), report.ran.len());
    let mut suites: Vec<&str> = report.ran.iter().map(|ran| &*ran.suite).collect();
    suites.sort_unstable();
    suites.dedup();
    let (files, passed) = (suites.len(), all - failed);
    let verdict =
        if failed == 0 { painted("ok", "32", colour) } else { painted("FAILED", "31", colour) };
    writeln!(
        out,
        "{verdict}: {passed} of {} hold, {failed} do not, in {}",
        counted(all, "case"),
        counted(files, "file")
    )?;
    let coverage = &report.coverage;
    let shares = [
        of(coverage.stated(), "statement"),
        of(coverage.conditioned(), "condition"),
        of(coverage.granted(), "grant"),
    ];
    let shares: Vec<String> = shares.into_iter().flatten().collect();
    let hint = if untouched || coverage.is_whole() { "" } else { " (--coverage lists the others)" };
    writeln!(out, "touched: {}{hint}", shares.join(", "))?;
    if let Some(mutants) = &report.mutants {
        let noticed = mutants.tried - mutants.survivors.len();
        let rest = match mutants.all - mutants.tried {
            0 => String::new(),
            rest => format!(", {rest} not tried (--most-mutants)"),
        };
        writeln!(out, "changes noticed: {noticed} of {}{rest}", mutants.tried)?;
    }
    Ok(())
}

pub(super) fn painted(text: &str, code: &str, colour: bool) -> String {
    if colour { format!("\x1b[1;{code}m{text}\x1b[0m") } else { text.to_owned() }
}

fn counted(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// `3 of 4 statements (75 %)`; nothing where there is none.
fn of(share: Share, word: &str) -> Option<String> {
    let Share { touched, all } = share;
    let percent = (touched * 100).checked_div(all)?;
    Some(format!("{touched} of {} ({percent} %)", counted(all, word)))
}

fn not_touched(coverage: &Coverage, out: &mut impl Write) -> io::Result<()> {
    for stated in &coverage.statements {
        if !stated.touched {
            writeln!(out, "not touched: {}{}", named(stated), at(stated.place.as_ref()))?;
        }
        for condition in stated.conditions.iter().filter(|condition| !condition.touched()) {
            let what = match (condition.touch.held, condition.touch.kept) {
                (false, false) => "never tried",
                (true, _) => "never seen to keep a request out",
                (false, true) => "never seen to hold",
            };
            writeln!(
                out,
                "{what}: {} in {}{}",
                condition_name(condition),
                named(stated),
                at(condition.place.as_ref())
            )?;
        }
    }
    for granted in coverage.grants.iter().filter(|granted| !granted.touched) {
        writeln!(out, "not touched: {}", grant_name(granted))?;
    }
    if coverage.is_whole() { Ok(()) } else { writeln!(out) }
}

fn at(place: Option<&Place>) -> String {
    place.map(|place| format!("\n  at {place}")).unwrap_or_default()
}

fn named(stated: &Stated) -> String {
    let statement = match &stated.statement.sid {
        Some(sid) => format!("`{sid}`"),
        None => format!("statement {}", stated.index),
    };
    let others = match stated.others {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    let id = if stated.carrier == stated.policy_id || &*stated.policy_id == "default" {
        String::new()
    } else {
        format!(" `{}`", stated.policy_id)
    };
    format!("{statement} of the {}{id} of {}{others}", layer_name(stated.layer), stated.carrier)
}

fn condition_name(condition: &Conditioned) -> String {
    format!("`{}` on `{}`", condition.operator, condition.key)
}

fn grant_name(granted: &Granted) -> String {
    let name = granted.name.as_deref().unwrap_or(&granted.id);
    let place = granted.place.as_ref();
    let place =
        place.map(|(document, line)| format!("\n  at {document}:{line}")).unwrap_or_default();
    format!("the grant `{name}` on {}{place}", granted.key_arn)
}

fn survivors(mutants: &Mutants, coverage: &Coverage, out: &mut impl Write) -> io::Result<()> {
    for change in &mutants.survivors {
        if let Some(words) = change_in_words(*change, coverage) {
            writeln!(out, "not noticed: {words}")?;
        }
    }
    if mutants.survivors.is_empty() { Ok(()) } else { writeln!(out) }
}

/// What is changed, in words.
pub(super) fn change_in_words(change: Change, coverage: &Coverage) -> Option<String> {
    Some(match change {
        Change::Flip { statement } => {
            let stated = coverage.statements.get(statement)?;
            let turned = match stated.statement.effect {
                Effect::Allow => "Deny in place of Allow",
                Effect::Deny => "Allow in place of Deny",
            };
            format!("{turned} in {}{}", named(stated), at(stated.place.as_ref()))
        }
        Change::Drop { statement, condition } => {
            let stated = coverage.statements.get(statement)?;
            let condition = stated.conditions.get(condition)?;
            let place = at(condition.place.as_ref());
            format!("without {} in {}{place}", condition_name(condition), named(stated))
        }
        Change::Revoke { grant } => format!("without {}", grant_name(coverage.grants.get(grant)?)),
    })
}

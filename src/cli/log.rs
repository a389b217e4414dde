//! `keyward log`: what can be done with a decision log.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::config::decision_log::key;
use super::{DONE, FAILED, Format, USAGE, fail};
use crate::telemetry::log::chain::NotedHead;
use crate::telemetry::log::file::LONGEST;
use crate::telemetry::log::verify::{Report, Verifier};
use crate::wire::record::control::Sealed;

/// Arguments of `keyward log`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find records that were deleted, reordered, edited or cut off
    Verify(VerifyArgs),
}

/// Arguments of `keyward log verify`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  keyward log verify /var/log/keyward/decisions.jsonl*\n  keyward log verify --head 120:6f1ce09b4c21d \
                        --key-file /etc/keyward/log.key /var/log/keyward/decisions.jsonl*\n\n\
                        The files of a log may be given in any order; those beside it (.state, .lock) are left out. \
                        Without a key, whoever can write the log can write it anew: note its head elsewhere.\n\n\
                        Exit codes: 0 nothing is wrong, 1 something is or a file cannot be read, 64 usage"
)]
struct VerifyArgs {
    /// The files of one log
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The number and hash of a record, noted earlier: from the status, a metric, or a run of this
    /// command
    #[arg(long, value_name = "HEAD")]
    head: Option<String>,

    /// File with the key that the log was chained with
    #[arg(long, value_name = "FILE", env = "KEYWARD_DECISION_LOG_KEY_FILE")]
    key_file: Option<PathBuf>,

    /// How to write what was found
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Runs `keyward log`.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let Command::Verify(args) = &args.command;
    let head = match args.head.as_deref().map(str::parse::<NotedHead>).transpose() {
        Ok(head) => head,
        Err(error) => return fail(USAGE, format!("--head: {error}")),
    };
    let key = match args.key_file.as_deref().map(|path| key("key_file", path)).transpose() {
        Ok(key) => key,
        Err(error) => return fail(USAGE, error),
    };
    let mut verifier = Verifier::new(key.as_deref(), head);
    let files = match in_order(&args.files) {
        Ok(files) => files,
        Err(error) => return fail(FAILED, error),
    };
    for path in &files {
        let read = File::open(path)
            .and_then(|file| verifier.file(&path.display().to_string(), &mut BufReader::new(file)));
        if let Err(error) = read {
            return fail(FAILED, format!("cannot read `{}`: {error}", path.display()));
        }
    }
    let report = verifier.finish();
    let written = match args.format {
        Format::Text => text(&report),
        Format::Json => writeln!(io::stdout(), "{}", in_json(&report)),
    };
    if written.is_ok() && report.faults == 0 { DONE } else { FAILED }
}

/// The files by the number of their first record. Files that stand beside a log are left out.
fn in_order(files: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for path in files {
        let beside =
            |suffix: &str| path.as_os_str().as_encoded_bytes().ends_with(suffix.as_bytes());
        if beside(".state") || beside(".lock") || beside(".spill") {
            continue;
        }
        let first =
            first(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        found.push((first, path.clone()));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The number of the first record that can be read; of a file without any, the highest, so that it
/// comes last.
fn first(path: &Path) -> io::Result<u64> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    io::Read::take(&mut reader, LONGEST as u64).read_until(b'\n', &mut line)?;
    let sealed = serde_json::from_slice::<Sealed>(&line);
    Ok(sealed.map_or(u64::MAX, |sealed| sealed.chain.sequence))
}

fn text(report: &Report) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for finding in &report.findings {
        write!(out, "{}:{}: ", finding.file, finding.line)?;
        if let Some(sequence) = finding.sequence {
            write!(out, "record {sequence}: ")?;
        }
        writeln!(out, "{} [{}]", finding.fault, finding.fault.code())?;
    }
    if report.faults > report.findings.len() as u64 {
        writeln!(out, "… and {} more", report.faults - report.findings.len() as u64)?;
    }
    let first = report.first.unwrap_or_default();
    writeln!(out, "records {first} to {}: {} decisions", report.head.sequence, report.decisions)?;
    if report.lost > 0 {
        writeln!(out, "the log says that {} decisions were lost", report.lost)?;
    }
    if report.unclean_ends > 0 {
        let bound = report.at_most_missing.map_or_else(
            || "it is not known how many decisions are missing".to_owned(),
            |most| format!("at most {most} decisions are missing"),
        );
        writeln!(out, "{} unclean ends: {bound}", report.unclean_ends)?;
    }
    writeln!(out, "head {}", report.head)?;
    let verdict = if report.faults == 0 { "nothing is wrong" } else { "the log was changed" };
    writeln!(out, "{verdict}")
}

fn in_json(report: &Report) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "file": finding.file,
                "line": finding.line,
                "sequence": finding.sequence,
                "code": finding.fault.code(),
                "message": finding.fault.to_string(),
            })
        })
        .collect();
    json!({
        "intact": report.faults == 0,
        "faults": report.faults,
        "findings": findings,
        "decisions": report.decisions,
        "first": report.first,
        "head": { "sequence": report.head.sequence, "hash": report.head.hash },
        "lost": report.lost,
        "uncleanEnds": report.unclean_ends,
        "atMostMissing": report.at_most_missing,
    })
}

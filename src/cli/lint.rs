//! `keyward lint`: what is dangerous, useless or probably not meant in a policy set.

use std::io::{self, Write as _};
use std::path::Path;

use clap::ValueEnum;

use super::config::{PolicyArgs, PolicyConfig, file, policies};
use super::{DONE, FAILED, PROBLEMS, USAGE, fail, render};
use crate::engine::problem::{Problem, Problems};
use crate::engine::snapshot::build::{Built, build};
use crate::lint::finding::Findings;
use crate::lint::rule::Severity;
use crate::lint::{GRANT_DAYS, Settings, lint, page, rules};
use crate::pdp::load::Documents;
use crate::rpc::server::now;
use crate::store::directory;
use crate::wire::cases::assertions;
use crate::wire::findings;

/// Arguments of `keyward lint`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  keyward lint --policies /etc/keyward/policies\n  keyward lint --policies . --format \
                        sarif > keyward.sarif\n  keyward lint --policies . --format github --fail-on warning\n  keyward lint --explain \
                        lockout\n\nWhat is meant as it is, is explained in place: `\"Lint\": [{\"Code\": \"…\", \"Why\": \"…\"}]` \
                        beside `KeyMetadata`.\n\nExit codes: 0 nothing found that is at least as bad as `--fail-on`, 1 failed, 3 \
                        something found that is, or the set cannot be used, 64 usage"
)]
pub struct Args {
    #[command(flatten)]
    policies: PolicyArgs,

    /// How to write it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,

    /// The least severity that makes the command fail; `never` for none
    #[arg(long, value_enum, value_name = "SEVERITY", default_value = "security-warning")]
    fail_on: FailOn,

    /// Days after which a grant is old
    #[arg(long, value_name = "DAYS", default_value_t = GRANT_DAYS)]
    grant_days: u32,

    /// Explain a finding by its code (`all` for the whole documentation), and look at nothing
    #[arg(long, value_name = "CODE")]
    explain: Option<String>,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Workflow commands of GitHub Actions.
    Github,
}

/// What makes the command fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Error,
    SecurityWarning,
    Warning,
    Suggestion,
    Never,
}

impl FailOn {
    fn severity(self) -> Option<Severity> {
        match self {
            Self::Error => Some(Severity::Error),
            Self::SecurityWarning => Some(Severity::SecurityWarning),
            Self::Warning => Some(Severity::Warning),
            Self::Suggestion => Some(Severity::Suggestion),
            Self::Never => None,
        }
    }
}

/// Looks, and says what it found.
#[must_use]
pub fn run(args: &Args) -> u8 {
    if let Some(code) = &args.explain {
        return explain(code);
    }
    let config = match file(&args.policies).and_then(|file| policies(&args.policies, &file)) {
        Ok(config) => config,
        Err(error) => return fail(USAGE, error),
    };
    let settings = Settings { now: now(), grant_days: args.grant_days };
    match look(&config, settings) {
        Ok(found) => {
            let failed = args.fail_on.severity().is_some_and(|severity| found.reach(severity));
            let code = if failed { PROBLEMS } else { DONE };
            write(args.format, &config.folder, &found)
                .map_or_else(|error| fail(FAILED, error), |()| code)
        }
        Err(problems) => unusable(args.format, &config.folder, problems.as_slice())
            .map_or_else(|error| fail(FAILED, error), |()| PROBLEMS),
    }
}

/// What must hold of a set before it is used: its assertions, and that nothing is found in it that
/// is at least as bad as `policies.fail_on`.
#[must_use]
pub fn verify(config: &PolicyConfig, built: &Built, texts: Documents<'_>) -> Vec<Problem> {
    let mut problems = assertions::verify(built, now());
    if let Some(severity) = config.fail_on {
        let settings = Settings { now: now(), grant_days: GRANT_DAYS };
        match texts() {
            Ok(texts) => {
                let found = lint(&texts, &config.options, &built.snapshot, settings);
                problems.extend(found.problems(severity));
            }
            // What was not looked at is not used.
            Err(problem) => problems.push(problem),
        }
    }
    problems
}

fn explain(code: &str) -> u8 {
    let text = match (code, rules::find(code)) {
        ("all", _) => page::page(),
        (_, Some(rule)) => page::entry(rule),
        (_, None) => {
            let unknown = rules::unknown(code);
            return fail(USAGE, format!("{unknown} (`keyward lint --explain all` has them all)"));
        }
    };
    let written = io::stdout().write_all(text.as_bytes());
    written.map_or_else(|error| fail(FAILED, error), |()| DONE)
}

fn look(config: &PolicyConfig, settings: Settings) -> Result<Findings, Problems> {
    let documents = directory::read(&config.folder, &config.options.limits)?;
    let built = build(&documents, &config.options)?;
    Ok(lint(&documents, &config.options, &built.snapshot, settings))
}

fn write(format: Format, folder: &Path, found: &Findings) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Text => render::findings(found, &mut out, render::colour_on_stdout()),
        Format::Json => writeln!(out, "{}", findings::json(found)),
        Format::Sarif => writeln!(out, "{:#}", findings::sarif(folder, found)),
        Format::Github => out.write_all(findings::github(folder, found).as_bytes()),
    }
}

/// The set cannot be used: its problems, in the form that was asked for.
fn unusable(format: Format, folder: &Path, problems: &[Problem]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Text => {
            render::problems(problems, &mut io::stderr().lock(), render::colour_on_stderr())
        }
        Format::Json => {
            let report = serde_json::json!({"usable": false, "findings": [],
                "problems": render::problems_json(problems)});
            writeln!(out, "{report}")
        }
        Format::Sarif => writeln!(out, "{:#}", findings::sarif_of_problems(folder, problems)),
        Format::Github => out.write_all(findings::github_of_problems(folder, problems).as_bytes()),
    }
}

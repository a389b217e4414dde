//! `keyward test`: cases against a policy set.

mod covered;
mod failures;
mod gather;
mod json;
mod junit;
mod mutants;
mod running;
mod text;

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::ValueEnum;

use self::covered::Coverage;
use self::failures::Failures;
use self::mutants::Mutants;
use self::running::Ran;
use super::config::{PolicyArgs, PolicyConfig, file, policies};
use super::{DENIED, DONE, FAILED, PROBLEMS, USAGE, fail, render};
use crate::engine::bundle::Document;
use crate::engine::decide::coverage::Trace;
use crate::engine::problem::{Problem, Problems};
use crate::engine::snapshot::build::{Built, build};
use crate::engine::term::time::Timestamp;
use crate::rpc::server::now;
use crate::store::directory;
use crate::wire::cases::places::Places;

/// Arguments of `keyward test`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A file of cases is a YAML list (JSON is YAML too):\n\n  - name: the orders service decrypts for its tenants\n    \
                  principal: arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc\n    action: kms:Decrypt\n    key: \
                  alias/orders\n    encryption_context: {tenant: '42'}\n    expect: {decision: allowed, reason: key_policy}\n\n\
                  Examples:\n  keyward test --policies examples/quickstart examples/quickstart-cases.yaml\n  keyward test \
                  --policies policies cases/ --coverage --mutate\n  keyward test --policies policies cases/ --format junit > \
                  report.xml\n\nExit codes: 0 all cases hold, 2 one does not (with --strict: or something is not tested), 3 \
                  problems in policies, 64 usage or a file of cases that cannot be read"
)]
pub struct Args {
    #[command(flatten)]
    policies: PolicyArgs,

    /// Files of cases, or folders with them, beside the `Assertions` of the set
    #[arg(value_name = "CASES")]
    cases: Vec<PathBuf>,

    /// Only cases whose name contains this; each that fails is shown with its reasoning
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,

    /// List the statements, conditions and grants that no case touched
    #[arg(long)]
    coverage: bool,

    /// Change one thing of the set at a time, and list the changes that no case notices
    #[arg(long)]
    mutate: bool,

    /// The most changes that are tried
    #[arg(long, value_name = "COUNT", default_value_t = 20_000)]
    most_mutants: usize,

    /// Fail too when something is not touched, or (with --mutate) a change is not noticed
    #[arg(long)]
    strict: bool,

    /// The instant of cases that name none, such as 2026-01-01T00:00:00Z (default: now)
    #[arg(long, value_name = "TIME")]
    now: Option<String>,

    /// How to write it
    #[arg(long, value_enum, default_value = "text")]
    format: ReportFormat,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For continuous integration: JUnit's XML.
    Junit,
}

/// What came of a run.
struct Report {
    ran: Vec<Ran>,
    coverage: Coverage,
    mutants: Option<Mutants>,
}

impl Report {
    fn failed(&self) -> usize {
        self.ran.iter().filter(|ran| !ran.holds()).count()
    }
}

/// Runs the cases, and says which do not hold.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let config = match file(&args.policies).and_then(|file| policies(&args.policies, &file)) {
        Ok(config) => config,
        Err(error) => return fail(USAGE, error),
    };
    let now = match &args.now {
        None => now(),
        Some(text) => match Timestamp::parse(text) {
            Some(now) => now,
            None => {
                let message =
                    format!("--now `{text}`: expected a time such as 2026-01-01T00:00:00Z");
                return fail(USAGE, message);
            }
        },
    };
    let report = match report(args, &config, now) {
        Ok(report) => report,
        Err(code) => return code,
    };
    let failures = if args.filter.is_empty() { Failures::OnOneScreen } else { Failures::Whole };
    let out = &mut io::BufWriter::new(io::stdout().lock());
    let written = match args.format {
        ReportFormat::Text => text::write(&report, args.coverage, failures, out),
        ReportFormat::Json => json::write(&report, out),
        ReportFormat::Junit => junit::write(&report.ran, out),
    };
    if let Err(error) = written.and_then(|()| out.flush()) {
        return fail(FAILED, error);
    }
    let untested = !report.coverage.is_whole()
        || report
            .mutants
            .as_ref()
            .is_some_and(|mutants| !mutants.survivors.is_empty() || mutants.tried < mutants.all);
    if report.failed() > 0 || (args.strict && untested) { DENIED } else { DONE }
}

fn report(args: &Args, config: &PolicyConfig, now: Timestamp) -> Result<Report, u8> {
    let (documents, built) =
        load(config).map_err(|problems| refused(args.format, problems.as_slice(), PROBLEMS))?;
    let mut suites = gather::assertions(&config.folder, &built.assertions)
        .map_err(|problems| refused(args.format, &problems, PROBLEMS))?;
    suites.extend(
        gather::files(&args.cases).map_err(|problems| refused(args.format, &problems, USAGE))?,
    );
    let snapshot = &built.snapshot;
    let ran = running::run(suites, &args.filter, snapshot, now);
    if ran.is_empty() {
        let message = if args.filter.is_empty() {
            "no cases: name files of cases, or put `Assertions` into the set".to_owned()
        } else {
            format!("no case has `{}` in its name", args.filter)
        };
        return Err(fail(USAGE, message));
    }
    let mut trace = Trace::default();
    ran.iter().for_each(|ran| trace.add(&ran.trace));
    let places = Places::of(&documents, &config.options.limits);
    let coverage = Coverage::new(snapshot, &trace, &places, &config.folder);
    let mutants =
        args.mutate.then(|| mutants::mutate(snapshot, &coverage, &ran, now, args.most_mutants));
    Ok(Report { ran, coverage, mutants })
}

/// The set, whether or not its assertions hold: they are cases among others.
fn load(config: &PolicyConfig) -> Result<(Vec<Document>, Built), Problems> {
    let documents = directory::read(&config.folder, &config.options.limits)?;
    let built = build(&documents, &config.options)?;
    Ok((documents, built))
}

fn refused(format: ReportFormat, problems: &[Problem], code: u8) -> u8 {
    let shown = || render::problems(problems, &mut io::stderr().lock(), render::colour_on_stderr());
    let written = match format {
        ReportFormat::Json => {
            let report = serde_json::json!({"problems": render::problems_json(problems)});
            writeln!(io::stdout(), "{report}")
        }
        ReportFormat::Text => shown(),
        ReportFormat::Junit => shown().and_then(|()| junit::problems(problems, &mut io::stdout())),
    };
    written.map_or_else(|error| fail(FAILED, error), |()| code)
}

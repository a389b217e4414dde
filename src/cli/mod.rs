//! The command line: one file a command.

pub mod access;
pub mod authorize;
pub mod check;
pub mod config;
pub mod health;
pub mod lint;
pub mod log;
pub mod manual;
pub mod policies;
pub mod policy;
pub mod progress;
pub mod render;
pub mod serve;
mod service_manager;
pub mod simulate;
pub mod switches;
pub mod test;
pub mod version;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Done, or allowed.
pub const DONE: u8 = 0;
/// Failed.
pub const FAILED: u8 = 1;
/// Denied.
pub const DENIED: u8 = 2;
/// Problems in policies.
pub const PROBLEMS: u8 = 3;
/// Wrong usage, or an invalid request.
pub const USAGE: u8 = 64;

#[derive(Debug, Parser)]
#[command(
    name = "keyward",
    version,
    about = "A policy decision point with AWS KMS authorization semantics",
    after_help = "Examples:\n  keyward serve --policies examples/quickstart\n  keyward check --policies examples/quickstart\n  \
                  keyward authorize --policies examples/quickstart --action kms:Decrypt --key alias/orders \\\n    \
                  --principal arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc \\\n    \
                  --encryption-context tenant=42\n\nExit codes: 0 done or allowed, 1 failed, 2 denied, 3 problems in \
                  policies, 64 usage or an invalid request"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer authorization questions over gRPC
    Serve(Box<serve::Args>),
    /// Load a policy set as `serve` would, and print every problem
    Check(Box<check::Args>),
    /// Say what is dangerous, useless or probably not meant in a policy set
    Lint(Box<lint::Args>),
    /// Decide one request, with the whole reasoning
    Authorize(Box<authorize::Args>),
    /// Answer self-contained cases: JSON Lines in, JSON Lines out
    Simulate(simulate::Args),
    /// Run cases against a policy set, and say what they leave untested
    Test(Box<test::Args>),
    /// Write key policies to start from
    Policy(policy::Args),
    /// Verify a decision log
    Log(log::Args),
    /// Ask a running service whether it is alive or ready
    Health(health::Args),
    /// Print the version
    Version(version::Args),
    /// Write completions for a shell
    Completions(manual::Completions),
    /// Write the manual pages
    Man(manual::Man),
}

/// How output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(switches::switch_flags(
        std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()),
    )) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { DONE };
            // Without a terminal to tell there is nobody to tell.
            let _ = error.print();
            return code.into();
        }
    };
    let code = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Authorize(args) => authorize::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Policy(args) => policy::run(&args),
        Command::Log(args) => log::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Version(args) => version::run(&args),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    };
    code.into()
}

/// Says on standard error what went wrong, and gives the exit code back.
pub(crate) fn fail(code: u8, message: impl std::fmt::Display) -> u8 {
    // Nobody reads standard error: then nobody can be told.
    let _ = writeln!(std::io::stderr(), "error: {message}");
    code
}

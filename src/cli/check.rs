//! `keyward check`: what `serve` would say of a policy set.

use std::io::{self, Write as _};

use serde_json::json;

use super::config::{PolicyArgs, PolicyConfig, file, policies};
use super::lint::verify;
use super::progress::Line;
use super::{DONE, FAILED, Format, PROBLEMS, USAGE, fail, render};
use crate::engine::problem::Problem;
use crate::engine::snapshot::build::Built;
use crate::pdp::load::{Documents, Loader};

/// Arguments of `keyward check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  keyward check --policies /etc/keyward/policies\n  keyward check --policies . --format \
                        json | jq '.problems[].code'\n\nExit codes: 0 the set can be served (warnings too), 3 it \
                        cannot, 64 usage"
)]
pub struct Args {
    #[command(flatten)]
    policies: PolicyArgs,

    /// How to write it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Loads, and says everything that is wrong.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let config = match file(&args.policies).and_then(|file| policies(&args.policies, &file)) {
        Ok(config) => config,
        Err(error) => return fail(USAGE, error),
    };
    let held = |built: &Built, texts: Documents<'_>| verify(&config, built, texts);
    let (line, progress) = Line::begin();
    let loader = Loader::new(&config.folder, config.options.clone()).telling(progress);
    let loaded = loader.once(&held);
    line.end();
    let written = match loaded {
        Ok(built) => good(args.format, &config, &built).map(|()| DONE),
        Err(problems) => bad(args.format, problems.as_slice()).map(|()| PROBLEMS),
    };
    written.unwrap_or_else(|error| fail(FAILED, error))
}

fn good(format: Format, config: &PolicyConfig, built: &Built) -> io::Result<()> {
    let snapshot = &built.snapshot;
    let counts = [
        ("keys", snapshot.keys.len()),
        ("aliases", snapshot.aliases.len()),
        ("grants", snapshot.grants.len()),
        ("users", snapshot.users.len()),
        ("roles", snapshot.roles.len()),
        ("accounts", snapshot.described_accounts.len()),
        ("endpoints", snapshot.endpoints.len()),
    ];
    match format {
        Format::Text => {
            warnings(&built.warnings)?;
            let counts: Vec<String> =
                counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
            writeln!(
                io::stdout(),
                "{}: {}\n{}",
                config.folder.display(),
                counts.join(", "),
                snapshot.revision
            )
        }
        Format::Json => {
            let counts: serde_json::Map<_, _> =
                counts.iter().map(|(name, count)| ((*name).to_owned(), (*count).into())).collect();
            let report = json!({"usable": true, "revision": &*snapshot.revision, "counts": counts,
                "problems": render::problems_json(&built.warnings)});
            writeln!(io::stdout(), "{report}")
        }
    }
}

fn bad(format: Format, problems: &[Problem]) -> io::Result<()> {
    match format {
        Format::Text => warnings(problems),
        Format::Json => {
            let report = json!({"usable": false, "revision": null, "problems": render::problems_json(problems)});
            writeln!(io::stdout(), "{report}")
        }
    }
}

fn warnings(problems: &[Problem]) -> io::Result<()> {
    render::problems(problems, &mut io::stderr().lock(), render::colour_on_stderr())
}

//! `keyward policy new`: key policies to start from.

mod cases;
mod inputs;
mod template;
mod written;

use std::io::{self, Write as _};

use clap::{Subcommand, ValueEnum as _};

use self::inputs::{Flags, Inputs};
use self::template::Template;
use super::{DONE, FAILED, Format, USAGE, fail};

/// Arguments of `keyward policy`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a key policy from a template
    New(Box<New>),
}

/// Arguments of `keyward policy new`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  keyward policy new --list\n  keyward policy new --template default --account 111122223333\n  \
                  keyward policy new --template envelope --account 111122223333 --admin arn:aws:iam::111122223333:role/KeyAdmin \\\n    \
                  --user arn:aws:iam::111122223333:role/Orders --context tenant=42 --context tenant=77 \\\n    \
                  --key-arn arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab > policies/orders.json\n  \
                  (the same with --cases) > orders-cases.yaml\n  keyward test --policies policies orders-cases.yaml\n\n\
                  Exit codes: 0 written, 64 usage"
)]
struct New {
    /// Which template; see --list
    #[arg(long, value_enum, required_unless_present = "list")]
    template: Option<Template>,

    /// Describe the templates, and write nothing
    #[arg(long)]
    list: bool,

    #[command(flatten)]
    flags: Flags,

    /// Write the cases of the template in place of the policy: what must hold of it, for `keyward test`
    #[arg(long)]
    cases: bool,

    /// How --list is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Writes a policy.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let Command::New(new) = &args.command;
    let written = match (new.list, new.template) {
        (true, _) | (_, None) => list(new.format),
        (false, Some(template)) => match Inputs::new(template, &new.flags) {
            Err(error) => return fail(USAGE, error),
            Ok(inputs) if new.cases => written::cases(&cases::cases(template, &inputs)),
            Ok(inputs) => written::policy(template, &inputs),
        },
    };
    let done = io::stdout().write_all(written.as_bytes()).and_then(|()| io::stdout().flush());
    done.map_or_else(|error| fail(FAILED, error), |()| DONE)
}

fn list(format: Format) -> String {
    let all = Template::value_variants();
    match format {
        Format::Text => all
            .iter()
            .map(|template| {
                let needs: Vec<&str> = template.needs().iter().map(|need| need.flag()).collect();
                format!(
                    "{}\n  {}\n  needs: {}\n",
                    template.name(),
                    template.about(),
                    needs.join(" ")
                )
            })
            .collect(),
        Format::Json => {
            let one = |template: &Template| {
                let needs: Vec<&str> = template.needs().iter().map(|need| need.flag()).collect();
                serde_json::json!({"name": template.name(), "about": template.about(), "needs": needs})
            };
            format!("{}\n", all.iter().map(one).collect::<serde_json::Value>())
        }
    }
}

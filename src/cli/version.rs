//! `keyward version`.

use std::io::Write as _;

use super::{DONE, FAILED, Format};

/// Arguments of `keyward version`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to write it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Prints the version.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let version = env!("CARGO_PKG_VERSION");
    let text = match args.format {
        Format::Text => format!("keyward {version}"),
        Format::Json => serde_json::json!({"name": "keyward", "version": version}).to_string(),
    };
    if writeln!(std::io::stdout(), "{text}").is_err() { FAILED } else { DONE }
}

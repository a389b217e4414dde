//! `keyward completions` and `keyward man`: for shells and for `man`.

use std::io;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, DONE, FAILED, fail};

/// Arguments of `keyward completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  keyward completions bash > /etc/bash_completion.d/keyward\n  keyward completions zsh > _keyward"
)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `keyward man`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  keyward man | man -l -\n  keyward man --dir /usr/local/share/man/man1"
)]
pub struct Man {
    /// Write a page for each command into this folder, in place of the first page to standard output
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Writes the completions of a shell.
#[must_use]
pub fn completions(args: &Completions) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "keyward", &mut text);
    match io::Write::write_all(&mut io::stdout(), &text) {
        Ok(()) => DONE,
        Err(error) => fail(FAILED, error),
    }
}

/// Writes the manual.
#[must_use]
pub fn man(args: &Man) -> u8 {
    let command = Cli::command();
    let written = match &args.dir {
        Some(folder) => {
            std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder))
        }
        None => clap_mangen::Man::new(command).render(&mut io::stdout()),
    };
    match written {
        Ok(()) => DONE,
        Err(error) => fail(FAILED, error),
    }
}

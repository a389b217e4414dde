//! The sink that is standard output.

use std::io::{self, Write as _};

use super::counts::Loss;
use super::sink::{CannotWrite, Sealed, Sink};

/// Standard output, a record a line.
#[derive(Debug)]
pub(super) struct Stdout;

impl Sink for Stdout {
    fn write(&mut self, batch: &Sealed) -> Result<u64, CannotWrite> {
        let mut out = io::stdout().lock();
        out.write_all(&batch.bytes).and_then(|()| out.flush()).map(|()| 0).map_err(|error| {
            CannotWrite {
                message: format!("cannot write to standard output: {error}"),
                loss: Loss::WriteFailed,
                again: false,
            }
        })
    }
}

//! A sink that cannot be read again, with a note on disk of how far it got: so that it is known after
//! an unclean end how many decisions may be missing.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::chain::Head;
use super::file::state_file;
use super::ledger::{self, Ledger};
use super::opening::{CannotOpen, lock};
use super::sink::{CannotWrite, Sealed, Sink};
use crate::wire::record::control::Control;

/// A sink whose records are counted on disk.
pub(super) struct Noted {
    sink: Box<dyn Sink>,
    ledger: Arc<Ledger>,
}

/// A note that was opened.
pub(super) struct Note {
    pub(super) ledger: Arc<Ledger>,
    /// What there is to say about the end of the process before.
    pub(super) unclean: Option<Control>,
    /// Keeps other processes away.
    pub(super) lock: File,
}

impl Note {
    /// Opens the note at `path`, to which `.state` is added, of a sink for which so many records wait
    /// on disk.
    pub(super) fn open(path: &Path, waiting: u64) -> Result<Self, CannotOpen> {
        let failed = |source| CannotOpen::Io { path: path.to_owned(), source };
        let lock = lock(path)?;
        let file = state_file(path).map_err(failed)?;
        let new = file.metadata().map_err(failed)?.len() == 0;
        let state = ledger::read(&file);
        let clean = state.as_ref().map_or(new, |state| state.clean);
        let missing = state.map(|state| state.owed());
        let unclean = (!clean).then_some(Control::UncleanEnd {
            at_most_missing: missing,
            torn_bytes: 0,
            removed_records: 0,
        });
        let owed = if clean { 0 } else { missing.unwrap_or(0) };
        let ledger = Ledger::begin(file, Head::default(), waiting, owed).map_err(failed)?;
        Ok(Self { ledger, unclean, lock })
    }
}

impl Noted {
    /// Counts what `sink` takes.
    pub(super) fn new(sink: Box<dyn Sink>, ledger: Arc<Ledger>) -> Self {
        Self { sink, ledger }
    }
}

impl Sink for Noted {
    fn write(&mut self, batch: &Sealed) -> Result<u64, CannotWrite> {
        let rejected = self.sink.write(batch)?;
        // They have a number of the chain, and will be reported as lost as well.
        self.ledger.again(rejected);
        self.ledger.reached(&batch.after);
        self.ledger.save();
        Ok(rejected)
    }

    fn idle(&mut self) {
        self.sink.idle();
    }

    fn close(&mut self, untold: u64) {
        self.sink.close(untold);
        self.ledger.end(untold);
    }
}

//! What a sink is: a place that records are written to.

use super::chain::Head;
use super::counts::Loss;
use super::entry::Entry;

/// Records with their seals, to be written together or not at all.
#[derive(Debug)]
pub(super) struct Sealed {
    /// The lines, one after the other.
    pub(super) bytes: Vec<u8>,
    /// Where each line ends.
    pub(super) ends: Vec<usize>,
    /// What the lines were made of.
    pub(super) entries: Vec<Entry>,
    /// The head before the first of them.
    pub(super) before: Head,
    /// The head after the last of them.
    pub(super) after: Head,
}

impl Sealed {
    /// The lines, each with its end.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default())
    }
}

/// A place that records are written to.
pub(super) trait Sink: Send {
    /// Writes all of them, or none; gives back how many the other side did not want.
    fn write(&mut self, batch: &Sealed) -> Result<u64, CannotWrite>;

    /// The number of the last record that is to be removed, where there are more than are kept.
    fn surplus(&self) -> Option<u64> {
        None
    }

    /// The log tells that records up to this one were removed: now they may be.
    fn prune(&mut self, _through: u64) {}

    /// Nothing came for a while.
    fn idle(&mut self) {}

    /// The end: what was written is made safe. So many were lost that the log does not tell of.
    fn close(&mut self, _untold: u64) {}
}

/// A batch could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct CannotWrite {
    /// Why, for people.
    pub(super) message: String,
    /// Why, for counting.
    pub(super) loss: Loss,
    /// Whether the other side may have the batch all the same, or may take it later.
    pub(super) again: bool,
}

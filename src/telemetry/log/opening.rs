//! Opening a log file: going on where the last process stopped, and seeing how it ended.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chain::Head;
use super::file::{FileSink, Rotation, append, last_head, put_aside, state_file, tail};
use super::ledger::{self, Ledger};
use crate::wire::record::control::{Control, Known, State};

/// The log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum CannotOpen {
    /// Another process writes it.
    #[error("decision log `{}`: another process writes it", .0.display())]
    InUse(PathBuf),
    /// It cannot be read or written.
    #[error("decision log `{}`: {source}", path.display())]
    Io {
        /// The log.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No collector is named.
    #[error(
        "decision log: `otlp` needs a collector: set OTEL_EXPORTER_OTLP_ENDPOINT or `--telemetry-otlp-endpoint`"
    )]
    NoCollector,
    /// The settings of the collector cannot be used.
    #[error("decision log: {0}")]
    Collector(String),
}

/// A log file that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) sink: FileSink,
    pub(super) ledger: Arc<Ledger>,
    /// Where the chain goes on.
    pub(super) head: Head,
    /// What there is to say about the end of the process before.
    pub(super) unclean: Option<Control>,
    /// Keeps other processes away.
    pub(super) lock: File,
}

/// Opens the log at `path`, for which so many records wait on disk.
pub(super) fn open(
    path: &Path,
    rotation: Rotation,
    durable: bool,
    waiting: u64,
) -> Result<Opened, CannotOpen> {
    let failed = |source| CannotOpen::Io { path: path.to_owned(), source };
    let lock = lock(path)?;
    let state_file = state_file(path).map_err(failed)?;
    let state = ledger::read(&state_file);
    let file = append(path).map_err(failed)?;
    let tail = tail(&file).map_err(failed)?;
    let last = last_head(path, &tail).map_err(failed)?;
    if tail.torn > 0 {
        file.set_len(tail.len).map_err(failed)?;
    }
    let empty = tail.line.is_none() && tail.torn == 0;
    let (head, unclean) = resumed(state.as_ref(), last, empty, tail.torn);
    let owed = match unclean {
        Some(Control::UncleanEnd { at_most_missing: Some(owed), .. }) => owed,
        _ => 0,
    };
    let ledger = Ledger::begin(state_file, head.clone(), waiting, owed).map_err(failed)?;
    let sink = FileSink::new(path, rotation, durable, (file, tail.len), Arc::clone(&ledger))
        .map_err(failed)?;
    Ok(Opened { sink, ledger, head, unclean, lock })
}

/// Ids of the last records of a log: of those that were written together last, and more.
pub(super) fn last_ids(path: &Path) -> HashSet<String> {
    let newest = put_aside(path).ok().and_then(|mut files| files.pop()).map(|(_, path)| path);
    let read = |path: &Path| File::open(path).and_then(|file| super::file::end(&file));
    let ends = newest.iter().map(PathBuf::as_path).chain([path]).filter_map(|path| read(path).ok());
    let ids = |end: Vec<u8>| -> Vec<String> {
        end.split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Known>(line).ok()?.event_id)
            .collect()
    };
    ends.flat_map(ids).collect()
}

/// Keeps other processes away from `path`.
pub(super) fn lock(path: &Path) -> Result<File, CannotOpen> {
    let failed = |source| CannotOpen::Io { path: path.to_owned(), source };
    // Of its own, because the state's file may have to be replaced.
    let lock = append(&super::file::with_suffix(path, ".lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(CannotOpen::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Where the chain goes on, and what is to be said about the end of the process before.
fn resumed(
    state: Option<&State>,
    last: Option<Head>,
    empty: bool,
    torn_bytes: u64,
) -> (Head, Option<Control>) {
    let unclean = |at_most_missing, removed_records| {
        Some(Control::UncleanEnd { at_most_missing, torn_bytes, removed_records })
    };
    let Some(state) = state else {
        return match last {
            // A new log.
            None if empty => (Head::default(), None),
            None => (Head::default(), unclean(None, 0)),
            Some(last) => (last, unclean(None, 0)),
        };
    };
    let noted = Head { sequence: state.sequence, hash: state.hash.clone(), lost: state.lost };
    let last = last.unwrap_or_default();
    if last.sequence < noted.sequence {
        // Records that were surely written are gone: the numbers go on behind them.
        let removed = noted.sequence - last.sequence;
        let missing = state.limit.saturating_sub(noted.accounted());
        return (noted, unclean(Some(missing), removed));
    }
    if state.clean && last == noted && torn_bytes == 0 {
        return (last, None);
    }
    let missing = state.limit.saturating_sub(last.accounted());
    (last, unclean(Some(missing), 0))
}

#[cfg(test)]
mod tests {
    use super::{Control, Head, State, resumed};

    fn head(sequence: u64, lost: u64) -> Head {
        Head { sequence, hash: format!("{sequence:064x}"), lost }
    }

    fn state(clean: bool, limit: u64, of: &Head) -> State {
        State { clean, limit, sequence: of.sequence, hash: of.hash.clone(), lost: of.lost }
    }

    #[track_caller]
    fn check(found: (Head, Option<Control>), expected: &Head, said: Option<(Option<u64>, u64)>) {
        assert_eq!(&found.0, expected);
        let told = found.1.map(|control| match control {
            Control::UncleanEnd { at_most_missing, removed_records, .. } => {
                (at_most_missing, removed_records)
            }
            other => panic!("{other:?}"),
        });
        assert_eq!(told, said);
    }

    #[test]
    fn a_clean_end_is_gone_on_from_and_an_unclean_one_is_told_with_a_bound() {
        let at = head(10, 2);
        check(resumed(None, None, true, 0), &Head::default(), None);
        check(resumed(Some(&state(true, 12, &at)), Some(at.clone()), false, 0), &at, None);
        // Killed: the log got further than the state's note.
        let further = head(15, 3);
        let killed = state(false, 100, &at);
        check(
            resumed(Some(&killed), Some(further.clone()), false, 0),
            &further,
            Some((Some(82), 0)),
        );
        // A torn record behind a clean end was not written by us, or the end was not clean.
        let torn = resumed(Some(&state(true, 12, &at)), Some(at.clone()), false, 5);
        check(torn, &at, Some((Some(0), 0)));
    }

    #[test]
    fn removed_records_and_a_removed_state_are_told() {
        let at = head(10, 0);
        let clean = state(true, 10, &at);
        check(resumed(Some(&clean), Some(head(7, 0)), false, 0), &at, Some((Some(0), 3)));
        check(resumed(Some(&clean), None, true, 0), &at, Some((Some(0), 10)));
        check(resumed(None, Some(at.clone()), false, 0), &at, Some((None, 0)));
        check(resumed(None, None, false, 3), &Head::default(), Some((None, 0)));
    }
}

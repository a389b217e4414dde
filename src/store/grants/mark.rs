//! How far acknowledged changes had come, kept beside the database.
//!
//! SQLite trusts its write-ahead log only as far as the log is sound: a log that was damaged, cut
//! short or taken away gives an older database without a word, and a revoked grant would be back.
//! The mark is written after each commit and before its answers, so it never runs ahead of what is
//! durable; a database that is behind its mark has lost something. It is synced at the start alone:
//! after a power failure it may be late, never early, and is not gone.
//!
//! A database without its mark was copied or put back by somebody: its history begins anew there,
//! under another incarnation.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use uuid::Uuid;

/// Name of the file.
pub(super) const FILE: &str = "grants.committed";

/// What a mark says when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing: it is new, or nobody can read it.
    Nothing,
    /// The last change that it knows of this database.
    Committed(u64),
    /// It is about another database, or another history of this one.
    OfAnother,
}

/// The open mark.
pub(super) struct Mark {
    file: File,
    incarnation: Uuid,
}

impl Mark {
    /// Opens the mark in a folder, beside the database of this incarnation.
    pub(super) fn open(folder: &Path, incarnation: Uuid) -> io::Result<(Self, Said)> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(folder.join(FILE))?;
        let mut text = Vec::new();
        file.by_ref().take(256).read_to_end(&mut text)?;
        let read = |text: &str| -> Option<(Uuid, u64)> {
            let (whose, sequence) = text.strip_suffix('\n')?.split_once(' ')?;
            Some((whose.parse().ok()?, sequence.parse().ok()?))
        };
        let said = match std::str::from_utf8(&text).ok().and_then(read) {
            None => Said::Nothing,
            Some((whose, sequence)) if whose == incarnation => Said::Committed(sequence),
            Some(_) => Said::OfAnother,
        };
        Ok((Self { file, incarnation }, said))
    }

    /// Begins with this incarnation and `sequence`, durably.
    pub(super) fn begin(&mut self, incarnation: Uuid, sequence: u64) -> io::Result<()> {
        self.incarnation = incarnation;
        // In place: a mark that is there is never gone in between.
        let length = self.write(sequence)?;
        self.file.set_len(length)?;
        self.file.sync_all()
    }

    /// Notes that everything up to `sequence` is durable. A mark that cannot be written stays late,
    /// which does no harm.
    pub(super) fn note(&self, sequence: u64) {
        let _late = self.write(sequence);
    }

    fn write(&self, sequence: u64) -> io::Result<u64> {
        let text = format!("{} {sequence:020}\n", self.incarnation);
        self.file.write_all_at(text.as_bytes(), 0)?;
        Ok(text.len() as u64)
    }
}

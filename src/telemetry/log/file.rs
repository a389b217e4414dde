//! The sink that is a file: JSON Lines, rotated by size and age.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chain::Head;
use super::counts::Loss;
use super::ledger::Ledger;
use super::sink::{CannotWrite, Sealed, Sink};
use crate::telemetry::clock;

/// When a file is put aside and a new one begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// It would become larger than this, in bytes.
    pub bytes: u64,
    /// It is as old as this.
    pub age: Duration,
    /// So many files that were put aside are kept.
    pub keep: usize,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { bytes: 100 * 1024 * 1024, age: Duration::from_secs(24 * 3600), keep: 10 }
    }
}

/// The sink that is a file.
#[derive(Debug)]
pub(super) struct FileSink {
    path: PathBuf,
    rotation: Rotation,
    /// Whether what is written has to be on disk before it counts as written.
    durable: bool,
    open: Option<Open>,
    ledger: Arc<Ledger>,
    /// Files to be removed, oldest first, with the numbers of their last records.
    surplus: Vec<(u64, PathBuf)>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Bytes of whole records.
    len: u64,
    since: Instant,
    /// A record that was not written whole may stand behind them.
    torn: bool,
}

impl FileSink {
    /// Goes on in a file that was looked at.
    ///
    /// # Errors
    ///
    /// Its folder cannot be read.
    pub(super) fn new(
        path: &Path,
        rotation: Rotation,
        durable: bool,
        (file, len): (File, u64),
        ledger: Arc<Ledger>,
    ) -> io::Result<Self> {
        let open = Some(Open { file, len, since: clock::instant(), torn: false });
        // The process before may have ended before it removed what it had to.
        let surplus = surplus(path, rotation.keep)?;
        Ok(Self { path: path.to_owned(), rotation, durable, open, ledger, surplus })
    }

    /// The open file, if it still is the one at the path; else a new one.
    fn opened(&mut self) -> io::Result<&mut Open> {
        let same = self.open.as_ref().is_some_and(|open| is_at(&open.file, &self.path));
        if !same {
            self.open = None;
            let file = append(&self.path)?;
            let len = file.metadata()?.len();
            self.ledger.replace(state_file(&self.path)?);
            self.open = Some(Open { file, len, since: clock::instant(), torn: false });
            if self.durable {
                sync_folder(&self.path)?;
            }
        }
        self.open.as_mut().ok_or_else(|| io::Error::other("not open"))
    }

    fn rotate_for(&mut self, batch: &Sealed) -> io::Result<()> {
        // First the log tells, in the file that is open, which ones are removed.
        if !self.surplus.is_empty() {
            return Ok(());
        }
        let (rotation, more) = (self.rotation.clone(), batch.bytes.len() as u64);
        let open = self.opened()?;
        let large = open.len.saturating_add(more) > rotation.bytes;
        if open.len == 0 || !(large || open.since.elapsed() >= rotation.age) {
            return Ok(());
        }
        open.file.sync_data()?;
        fs::rename(&self.path, aside(&self.path, batch.before.sequence))?;
        self.open = None;
        self.opened()?;
        sync_folder(&self.path)?;
        self.surplus = surplus(&self.path, rotation.keep)?;
        Ok(())
    }

    fn append(&mut self, batch: &Sealed) -> io::Result<()> {
        self.rotate_for(batch)?;
        let durable = self.durable;
        let open = self.opened()?;
        if open.torn {
            open.file.set_len(open.len)?;
            open.torn = false;
        }
        open.torn = true;
        open.file.write_all(&batch.bytes)?;
        if durable {
            open.file.sync_data()?;
        }
        open.torn = false;
        open.len = open.len.saturating_add(batch.bytes.len() as u64);
        if self.open.as_ref().is_some_and(|open| is_at(&open.file, &self.path)) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "the file was removed"))
    }
}

impl FileSink {
    /// Removes files of which the log tells, oldest first, so that those left follow each other
    /// whenever the machine stops.
    fn remove(&mut self, told: Vec<(u64, PathBuf)>) -> io::Result<()> {
        self.opened()?.file.sync_data()?;
        for (_, path) in told {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => sync_folder(&self.path)?,
            }
        }
        Ok(())
    }
}

impl Sink for FileSink {
    fn write(&mut self, batch: &Sealed) -> Result<u64, CannotWrite> {
        let Err(error) = self.append(batch) else {
            self.ledger.reached(&batch.after);
            return Ok(0);
        };
        if let Some(open) = &mut self.open
            && open.torn
        {
            // What cannot be cut off now is cut off before the next write.
            open.torn = open.file.set_len(open.len).is_err();
        }
        Err(CannotWrite {
            message: format!("cannot write `{}`: {error}", self.path.display()),
            loss: Loss::WriteFailed,
            again: false,
        })
    }

    fn surplus(&self) -> Option<u64> {
        self.surplus.last().map(|(through, _)| *through)
    }

    fn prune(&mut self, through: u64) {
        let told = self.surplus.partition_point(|(last, _)| *last <= through);
        let told: Vec<_> = self.surplus.drain(..told).collect();
        if let Err(error) = self.remove(told) {
            let log = self.path.display();
            tracing::error!("decision log: cannot remove old files of `{log}`: {error}");
        }
    }

    fn idle(&mut self) {
        self.ledger.save();
    }

    fn close(&mut self, untold: u64) {
        if let Some(open) = &self.open {
            // Whatever is not on disk then, the chain shows.
            let _ = open.file.sync_all();
        }
        self.ledger.end(untold);
    }
}

/// Whether the open file is what stands at the path.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Opens a file of the log to append to it, its folder made if need be; for the owner alone.
pub(super) fn append(path: &Path) -> io::Result<File> {
    make_folder(path)?;
    OpenOptions::new().append(true).create(true).read(true).mode(0o600).open(path)
}

/// Opens the file beside the log that the ledger keeps.
pub(super) fn state_file(path: &Path) -> io::Result<File> {
    make_folder(path)?;
    let path = with_suffix(path, ".state");
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn make_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)
        }
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Where a file is put aside: its name tells the number of its last record, so that names sort as
/// records do.
fn aside(path: &Path, last: u64) -> PathBuf {
    with_suffix(path, &format!(".{last:020}"))
}

/// The files that were put aside, with the numbers of their last records, oldest first.
pub(super) fn put_aside(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let Some(name) = path.file_name() else { return Ok(Vec::new()) };
    let name = format!("{}.", name.to_string_lossy());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let file = entry.file_name();
        let digits = file.to_str().and_then(|file| file.strip_prefix(&*name));
        let digits = digits.filter(|digits| digits.len() == 20);
        if let Some(last) = digits.and_then(|digits| digits.parse().ok()) {
            found.push((last, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Of the files that were put aside, those beyond the newest `keep`, oldest first.
fn surplus(path: &Path, keep: usize) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = put_aside(path)?;
    files.truncate(files.len().saturating_sub(keep));
    Ok(files)
}

/// What a log that is there says: where it stands, and what is wrong with its end.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The last whole record.
    pub(super) line: Option<Vec<u8>>,
    /// Bytes up to its end.
    pub(super) len: u64,
    /// Bytes behind it.
    pub(super) torn: u64,
}

/// The longest record that is looked for.
pub const LONGEST: usize = 4 * 1024 * 1024;

/// The last bytes of a file.
pub(super) fn end(file: &File) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt as _;
    let size = file.metadata()?.len();
    let start = size.saturating_sub(2 * LONGEST as u64);
    let mut bytes = vec![0; usize::try_from(size - start).unwrap_or(0)];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

/// Reads the end of a file.
pub(super) fn tail(file: &File) -> io::Result<Tail> {
    let bytes = end(file)?;
    let start = file.metadata()?.len().saturating_sub(bytes.len() as u64);
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = (bytes.len() - whole) as u64;
    let lines = bytes.get(..whole).unwrap_or_default();
    let line = lines.strip_suffix(b"\n").map(|lines| {
        let start = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        lines.get(start..).unwrap_or_default().to_vec()
    });
    Ok(Tail { line, len: start + whole as u64, torn })
}

/// The head after the last record of a log, current file or the newest that was put aside.
pub(super) fn last_head(path: &Path, tail: &Tail) -> io::Result<Option<Head>> {
    let line = match &tail.line {
        Some(line) => Some(line.clone()),
        None => match put_aside(path)?.last() {
            Some((_, newest)) => self::tail(&File::open(newest)?)?.line,
            None => None,
        },
    };
    let sealed = line.and_then(|line| {
        serde_json::from_slice::<crate::wire::record::control::Sealed>(&line).ok()
    });
    Ok(sealed.map(|sealed| Head {
        sequence: sealed.chain.sequence,
        hash: sealed.chain.hash,
        lost: sealed.chain.lost,
    }))
}

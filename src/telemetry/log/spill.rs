//! Records that could not be written wait here, on disk, in the order in which they came.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::entry::{About, Entry};
use super::file::LONGEST;
use crate::engine::decide::decision::Verdict;
use crate::engine::decide::reason::Reason;
use crate::engine::kms::action::Action;

/// Bytes after which a new file is begun.
const SEGMENT: u64 = 4 * 1024 * 1024;

/// Bytes before the body of a record: its length, and what is told beside it.
const HEAD: usize = 4 + 8 + 16 + 8 + 1 + 3;

/// The file that tells how far the first of the others was taken.
const TAKEN: &str = "taken";

/// Records on disk.
#[derive(Debug)]
pub(super) struct Spill {
    folder: PathBuf,
    most: u64,
    segments: VecDeque<Segment>,
    next: u64,
    writing: Option<File>,
    /// Bytes of the first segment that were taken.
    taken: u64,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    len: u64,
    records: u64,
}

impl Spill {
    /// Opens a folder; what is there is taken first. At most `most` bytes are kept.
    ///
    /// # Errors
    ///
    /// It cannot be made or read.
    pub(super) fn open(folder: &Path, most: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut found: Vec<(u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("records.")?.parse().ok());
            if let Some(number) = number {
                found.push((number, entry.path()));
            }
        }
        found.sort();
        let next = found.last().map_or(1, |(number, _)| number + 1);
        let mut spill = Self {
            folder: folder.to_owned(),
            most,
            segments: VecDeque::new(),
            next,
            writing: None,
            taken: 0,
        };
        for (_, path) in found {
            let (len, records) = measured(&path, 0)?;
            spill.segments.push_back(Segment { path, len, records });
        }
        spill.taken = spill.note().unwrap_or(0);
        if let Some(first) = spill.segments.front_mut() {
            first.records = measured(&first.path, spill.taken)?.1;
        }
        Ok(spill)
    }

    /// Records that wait.
    pub(super) fn records(&self) -> u64 {
        self.segments.iter().map(|segment| segment.records).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records() == 0
    }

    /// Puts a record behind the others.
    ///
    /// # Errors
    ///
    /// There is no room, or the disk cannot be written.
    pub(super) fn push(&mut self, entry: &Entry) -> io::Result<()> {
        let mut frame = Vec::with_capacity(HEAD + entry.body.len());
        encode(entry, &mut frame);
        let size = frame.len() as u64;
        let all: u64 = self.segments.iter().map(|segment| segment.len).sum();
        if all.saturating_add(size) > self.most {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the spill is full"));
        }
        if self.writing.is_none() || self.segments.back().is_none_or(|last| last.len >= SEGMENT) {
            let path = self.folder.join(format!("records.{:010}", self.next));
            let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
            self.next += 1;
            self.writing = Some(file);
            self.segments.push_back(Segment { path, len: 0, records: 0 });
        }
        let (Some(file), Some(last)) = (&mut self.writing, self.segments.back_mut()) else {
            return Err(io::Error::other("no file"));
        };
        if let Err(error) = file.write_all(&frame) {
            if file.set_len(last.len).is_err() {
                // A torn record is the last of its file: the next one goes into another.
                self.writing = None;
            }
            return Err(error);
        }
        last.len += size;
        last.records += 1;
        Ok(())
    }

    /// The first records, at most `most`; they stay until [`Self::took`].
    ///
    /// # Errors
    ///
    /// The disk cannot be read.
    pub(super) fn peek(&self, most: usize) -> io::Result<Vec<Entry>> {
        let Some(first) = self.segments.front() else { return Ok(Vec::new()) };
        let mut file = File::open(&first.path)?;
        file.seek(SeekFrom::Start(self.taken))?;
        let mut reader = BufReader::new(file);
        let mut entries = Vec::new();
        while entries.len() < most.min(usize::try_from(first.records).unwrap_or(most)) {
            match decode(&mut reader)? {
                Some(entry) => entries.push(entry),
                None => break,
            }
        }
        Ok(entries)
    }

    /// The first records were written elsewhere.
    pub(super) fn took(&mut self, entries: &[Entry]) {
        let Some(first) = self.segments.front_mut() else { return };
        self.taken += entries.iter().map(|entry| (HEAD + entry.body.len()) as u64).sum::<u64>();
        first.records = first.records.saturating_sub(entries.len() as u64);
        if first.records == 0 {
            self.drop_first();
        } else if let Some(name) = first.path.file_name() {
            let text = format!("{} {:020}", name.to_string_lossy(), self.taken);
            // Then some are written twice after a crash, unless their ids are known.
            let _ = fs::write(self.folder.join(TAKEN), text);
        }
    }

    /// How far the first file was taken, as noted by the process before.
    fn note(&self) -> Option<u64> {
        let name = self.segments.front()?.path.file_name()?.to_str()?;
        let text = fs::read_to_string(self.folder.join(TAKEN)).ok()?;
        text.strip_prefix(name)?.trim().parse().ok()
    }

    /// Gives the first file up: it cannot be read. Gives back how many records were in it.
    pub(super) fn drop_first(&mut self) -> u64 {
        let Some(first) = self.segments.pop_front() else { return 0 };
        if self.segments.is_empty() {
            self.writing = None;
        }
        self.taken = 0;
        // It is read again at the next start at worst; records are known by their ids.
        let _ = fs::remove_file(first.path);
        first.records
    }
}

/// Whole records in a file from a place on, and their bytes.
fn measured(path: &Path, from: u64) -> io::Result<(u64, u64)> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::new(file);
    let (mut len, mut records) = (0, 0);
    while let Some(entry) = decode(&mut reader)? {
        len += (HEAD + entry.body.len()) as u64;
        records += 1;
    }
    Ok((len, records))
}

fn encode(entry: &Entry, out: &mut Vec<u8>) {
    let about = &entry.about;
    out.extend_from_slice(&u32::try_from(entry.body.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&about.time.to_le_bytes());
    out.extend_from_slice(&about.trace.to_le_bytes());
    out.extend_from_slice(&about.span.to_le_bytes());
    out.push(u8::from(about.sampled) | u8::from(about.change) << 1);
    let decided = about.decided.map(|(verdict, action, reason)| {
        let index = Action::from_name(action).map_or(RE_ENCRYPT, |action| action as u8);
        [verdict as u8, index, reason as u8]
    });
    out.extend_from_slice(&decided.unwrap_or([u8::MAX; 3]));
    out.extend_from_slice(&entry.body);
}

/// In place of an action: the operation ReEncrypt.
const RE_ENCRYPT: u8 = 254;

const VERDICTS: [Verdict; 4] =
    [Verdict::Allowed, Verdict::KeyState, Verdict::ImplicitDeny, Verdict::ExplicitDeny];

/// The next whole record; `None` at the end, also when it is torn.
fn decode(reader: &mut impl io::Read) -> io::Result<Option<Entry>> {
    let mut head = [0; HEAD];
    if !filled(reader, &mut head)? {
        return Ok(None);
    }
    let mut rest = &head[..];
    let mut take = |bytes: usize| {
        let (taken, left) = rest.split_at_checked(bytes).unwrap_or_default();
        rest = left;
        let mut value = [0; 16];
        for (slot, byte) in value.iter_mut().zip(taken) {
            *slot = *byte;
        }
        u128::from_le_bytes(value)
    };
    let len = usize::try_from(take(4)).unwrap_or(usize::MAX);
    let mut number = |bytes: usize| u64::try_from(take(bytes)).unwrap_or(0);
    let time = number(8);
    let trace = u128::from(number(8)) | u128::from(number(8)) << 64;
    let (span, flags) = (number(8), number(1));
    let (sampled, change) = (flags & 1 != 0, flags & 2 != 0);
    let (verdict, action, reason) = (number(1), number(1), number(1));
    let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let decided = VERDICTS.get(index(verdict)).zip(Reason::ALL.get(index(reason)));
    let decided = decided.map(|(verdict, reason)| {
        let action = Action::ALL.get(index(action)).map_or("kms:ReEncrypt", |a| a.name());
        (*verdict, action, *reason)
    });
    if len > LONGEST {
        return Ok(None);
    }
    let mut body = vec![0; len];
    if !filled(reader, &mut body)? {
        return Ok(None);
    }
    let about = About { time, trace, span, sampled, change, decided };
    Ok(Some(Entry { body: body.into(), about, waiter: None }))
}

/// Fills the buffer; `false` when the input ends before.
fn filled(reader: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{About, Entry, Reason, Spill, Verdict};

    fn entry(text: &str) -> Entry {
        let about = About {
            time: 7,
            trace: u128::MAX - 5,
            span: 9,
            sampled: true,
            change: true,
            decided: Some((Verdict::ExplicitDeny, "kms:ReEncrypt", Reason::Scp)),
        };
        Entry { body: text.as_bytes().into(), about, waiter: None }
    }

    #[test]
    fn records_come_back_in_order_and_survive_a_restart_and_a_torn_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::open(folder.path(), 1 << 20).unwrap();
        for number in 0..10 {
            spill.push(&entry(&number.to_string())).unwrap();
        }
        let first = spill.peek(4).unwrap();
        assert_eq!(first.len(), 4);
        assert_eq!(first[3].about, entry("").about);
        spill.took(&first);
        assert_eq!(&*spill.peek(1).unwrap()[0].body, b"4");
        drop(spill);

        let path = folder.path().join("records.0000000001");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 1);
        std::fs::write(&path, bytes).unwrap();
        let mut spill = Spill::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(spill.records(), 5); // Four were taken, one is torn.
        spill.push(&entry("new")).unwrap();
        let old = spill.peek(100).unwrap();
        assert_eq!(&*old[0].body, b"4");
        assert_eq!(old.len(), 5);
        spill.took(&old);
        let new = spill.peek(100).unwrap();
        assert_eq!(&*new[0].body, b"new");
        spill.took(&new);
        assert!(spill.is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1); // The note alone.
    }

    #[test]
    fn a_full_spill_takes_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::open(folder.path(), 100).unwrap();
        spill.push(&entry(&"x".repeat(50))).unwrap();
        assert!(spill.push(&entry(&"x".repeat(50))).is_err());
        assert_eq!(spill.records(), 1);
    }
}

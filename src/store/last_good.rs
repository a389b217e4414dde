//! The copy of the last good policy set, for a start at which the source cannot be read.
//!
//! It is written after the set was taken over, and taken away before another one is: the set that
//! answers, or none. When the source was last read with success is its time of modification.

#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::engine::bundle::{Document, Limits};
use crate::engine::problem::Problem;

/// Name of the file in the data folder.
pub const FILE: &str = "last-good-policies";

/// What the file begins with.
const HEAD: &[u8] = b"keyward last good policies 1\n";

/// In the place of the length of a name: there are no more documents.
const END: u32 = u32::MAX;

/// Bytes of the longest name of a document.
const LONGEST_NAME: u32 = 1 << 16;

/// The clock of the machine may have been set back by so much since the copy was made.
const FUTURE: Duration = Duration::from_secs(60);

/// Where the copy is kept.
#[derive(Debug)]
pub struct LastGood {
    path: PathBuf,
    /// How often it was taken away: what was begun before is not put there afterwards.
    generation: Mutex<u64>,
}

/// The copy, as it was read.
#[derive(Debug)]
pub struct Kept {
    /// The documents, in the order of their names.
    pub documents: Vec<Document>,
    /// When the source was last read with success.
    pub seen: SystemTime,
}

/// The copy cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the last good policies in `{}` cannot be used: {why}", path.display())]
pub struct Unusable {
    path: PathBuf,
    why: String,
}

impl From<Unusable> for Problem {
    fn from(unusable: Unusable) -> Self {
        let help = format!(
            "make the source readable; remove `{}` if nobody should rely on it",
            unusable.path.display()
        );
        Self::error("unusable-last-good", unusable.to_string()).help(help)
    }
}

impl LastGood {
    /// In a data folder, which need not be there yet.
    #[must_use]
    pub fn within(folder: &Path) -> Self {
        Self { path: folder.join(FILE), generation: Mutex::new(0) }
    }

    /// Which copy may be written now: it changes whenever the copy is taken away.
    #[must_use]
    pub fn generation(&self) -> u64 {
        *self.lock()
    }

    /// Takes the copy away: another set is going to answer.
    ///
    /// # Errors
    ///
    /// It may still be there.
    pub fn forget(&self) -> io::Result<()> {
        let mut generation = self.lock();
        *generation += 1;
        match fs::remove_file(&self.path) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes a copy, of which the source was last read with success at `seen`; whether it is there
    /// now. It is not if a document cannot be had any more, or another set answers meanwhile.
    ///
    /// # Errors
    ///
    /// The copy cannot be written; there is none then.
    pub fn write(
        &self,
        generation: u64,
        documents: impl Iterator<Item = Option<Document>>,
        seen: SystemTime,
    ) -> io::Result<bool> {
        let next = self.path.with_extension("next");
        let written = self.write_to(&next, documents, seen).and_then(|whole| {
            let now = self.lock();
            if !whole || *now != generation {
                return Ok(false);
            }
            fs::rename(&next, &self.path)?;
            self.sync().map(|()| true)
        });
        if !matches!(written, Ok(true)) {
            // It is written over next time, should it stay.
            let _ = fs::remove_file(&next);
        }
        written
    }

    fn write_to(
        &self,
        next: &Path,
        documents: impl Iterator<Item = Option<Document>>,
        seen: SystemTime,
    ) -> io::Result<bool> {
        if let Err(error) = fs::remove_file(next)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(next)?;
        if !encode(BufWriter::new(&file), documents)? {
            return Ok(false);
        }
        file.set_modified(seen)?;
        file.sync_all().map(|()| true)
    }

    /// Says that the source was read with success just now, and holds what is kept.
    ///
    /// # Errors
    ///
    /// It cannot be said; it counts as older than it is.
    pub fn seen(&self, seen: SystemTime) -> io::Result<()> {
        OpenOptions::new().write(true).open(&self.path)?.set_modified(seen)
    }

    /// Reads the copy, at the time `now`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// It is damaged, others could have written it, or it is of the future.
    pub fn read(&self, limits: &Limits, now: SystemTime) -> Result<Option<Kept>, Unusable> {
        let unusable = |why: String| Unusable { path: self.path.clone(), why };
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&self.path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(error.to_string())),
        };
        let metadata = file.metadata().map_err(|error| unusable(error.to_string()))?;
        owned(&metadata).map_err(unusable)?;
        let seen = metadata.modified().map_err(|error| unusable(error.to_string()))?;
        // How long the source has been unreadable could not be said.
        if seen > now + FUTURE {
            return Err(unusable(
                "its time of modification lies in the future: the clock was set back, or somebody \
                 changed it"
                    .to_owned(),
            ));
        }
        let documents = decode(BufReader::new(&file), limits).map_err(|error| {
            unusable(if error.kind() == io::ErrorKind::UnexpectedEof {
                "it is cut short".to_owned()
            } else {
                error.to_string()
            })
        })?;
        Ok(Some(Kept { documents, seen }))
    }

    fn sync(&self) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        // A number is whole after every statement.
        self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nobody else could have written the file.
fn owned(metadata: &fs::Metadata) -> Result<(), String> {
    if !metadata.is_file() {
        return Err("it is no file".to_owned());
    }
    let mode = metadata.mode() & 0o7777;
    if mode & !0o600 != 0 {
        return Err(format!("its mode is {mode:04o}, which may let others in: expected 0600"));
    }
    let us = fs::metadata("/proc/self").map_err(|error| format!("/proc/self: {error}"))?.uid();
    if metadata.uid() != us {
        return Err(format!("it belongs to user {}, not to {us}", metadata.uid()));
    }
    Ok(())
}

/// Writes documents as they are kept; `false` if one cannot be had any more.
///
/// # Errors
///
/// They cannot be written, or a name is too long.
pub fn encode(
    out: impl Write,
    documents: impl Iterator<Item = Option<Document>>,
) -> io::Result<bool> {
    let mut out = Hashed { inner: out, hash: Sha256::new() };
    out.write_all(HEAD)?;
    for document in documents {
        let Some(Document { name, text }) = document else { return Ok(false) };
        let length = u32::try_from(name.len()).ok().filter(|length| *length <= LONGEST_NAME);
        let length = length.ok_or_else(|| io::Error::other("a name is too long"))?;
        out.write_all(&length.to_be_bytes())?;
        out.write_all(name.as_bytes())?;
        out.write_all(&(text.len() as u64).to_be_bytes())?;
        out.write_all(text.as_bytes())?;
    }
    out.write_all(&END.to_be_bytes())?;
    let Hashed { mut inner, hash } = out;
    inner.write_all(&hash.finalize())?;
    inner.flush()?;
    Ok(true)
}

/// Reads documents as they are kept.
///
/// # Errors
///
/// They are not as [`encode`] wrote them, or cannot be read.
pub fn decode(input: impl Read, limits: &Limits) -> io::Result<Vec<Document>> {
    let mut input = Hashed { inner: input, hash: Sha256::new() };
    if input.bytes(HEAD.len() as u64)? != HEAD {
        return Err(io::Error::other("it is none that this version of Keyward wrote"));
    }
    let damaged = |_| io::Error::other("it is damaged");
    let mut documents: Vec<Document> = Vec::new();
    loop {
        let length = u32::from_be_bytes(input.array()?);
        if length == END {
            break;
        }
        if length > LONGEST_NAME {
            return Err(damaged(()));
        }
        let name = String::from_utf8(input.bytes(length.into())?).map_err(|_| damaged(()))?;
        let length = u64::from_be_bytes(input.array()?);
        if length > limits.document_bytes as u64 {
            return Err(io::Error::other("it is damaged, or the bound on documents is lower now"));
        }
        let text = String::from_utf8(input.bytes(length)?).map_err(|_| damaged(()))?;
        documents.push(Document { name: name.into(), text: text.into() });
    }
    let expected: [u8; 32] = input.hash.clone().finalize().into();
    if input.array::<32>()? != expected {
        return Err(io::Error::other("its checksum is wrong"));
    }
    match input.inner.read(&mut [0])? {
        0 => Ok(documents),
        _ => Err(io::Error::other("something follows its checksum")),
    }
}

/// What goes through is counted into a hash.
struct Hashed<T> {
    inner: T,
    hash: Sha256,
}

impl<W: Write> Hashed<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<R: Read> Hashed<R> {
    /// Memory is taken as bytes come, not as the length promises.
    fn bytes(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut self.inner).take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        self.inner.read_exact(&mut array)?;
        self.hash.update(array);
        Ok(array)
    }
}

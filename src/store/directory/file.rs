//! One file: when it may have changed, and its text.

use std::fs::{File, Metadata, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file that was written so shortly before it was read may be written again without another
/// time stamp: the clocks of file systems are coarse.
const COARSE: Duration = Duration::from_secs(2);

/// What is different after a change of a file: device, inode, size, and both of its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, u32),
    changed: (i64, u32),
}

impl Stamp {
    /// Of what the operating system tells.
    pub(super) fn of(metadata: &Metadata) -> Self {
        let nanos = |nanos: i64| u32::try_from(nanos).unwrap_or(0);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), nanos(metadata.mtime_nsec())),
            changed: (metadata.ctime(), nanos(metadata.ctime_nsec())),
        }
    }

    /// Whether a change right after this moment could leave the stamp as it is.
    fn is_fresh(&self) -> bool {
        #[expect(
            clippy::disallowed_methods,
            reason = "fresh time stamps are told from settled ones"
        )]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let latest = self.modified.max(self.changed);
        let settled = since.saturating_sub(COARSE);
        latest.0 >= i64::try_from(settled.as_secs()).unwrap_or(i64::MAX)
    }
}

/// A file as it was read. There may be very many: stamp and text are kept as hashes, keyed by a
/// secret of this process, so that nobody can make two that coincide.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// In the place of its last bit: whether the stamp can be relied on.
    stamp: u64,
    hash: u64,
}

/// The bit of a stamp that says whether it can be relied on.
const SETTLED: u64 = 1;

impl Known {
    /// Whether the file has the same text, for all that its stamp may say.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.hash == other.hash
    }

    /// Whether the file at this path has the stamp that it had.
    pub(super) fn is_as_it_was(&self, path: &Path, hasher: &RandomState) -> bool {
        std::fs::symlink_metadata(path).is_ok_and(|metadata| self.has(&metadata, hasher))
    }

    fn has(&self, metadata: &Metadata, hasher: &RandomState) -> bool {
        hasher.hash_one(Stamp::of(metadata)) | SETTLED == self.stamp | SETTLED
    }

    fn is_settled(&self) -> bool {
        self.stamp & SETTLED != 0
    }
}

/// What reading a file gave.
#[derive(Debug)]
pub(super) enum Content {
    /// It is as it was.
    Same,
    /// It was touched, but says what it said.
    Touched(Known),
    /// Another text.
    Text(Known, String),
}

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum NoContent {
    /// It changed or went away while it was read.
    Moved,
    /// It cannot be a document as it is: a code, and why.
    Unusable(&'static str, String),
    /// The machine is not able to just now.
    Surroundings(io::Error),
}

/// Whether it is not the file's fault: the same file may be read well a little later.
pub(super) fn is_surroundings(error: &io::Error) -> bool {
    let passing = [
        libc::EMFILE,
        libc::ENFILE,
        libc::ENOMEM,
        libc::ENOBUFS,
        libc::EIO,
        libc::ESTALE,
        libc::ETIMEDOUT,
        libc::ENOTCONN,
        libc::EHOSTDOWN,
        libc::EREMOTEIO,
    ];
    error.raw_os_error().is_some_and(|code| passing.contains(&code))
}

/// Reads the file at a real path, unless its stamp says that it is as it was. `sceptical` reads it
/// whatever the stamp says.
pub(super) fn read(
    path: &Path,
    before: Option<&Known>,
    sceptical: bool,
    limit: usize,
    hasher: &RandomState,
) -> Result<Content, NoContent> {
    if let Some(known) = before.filter(|known| known.is_settled() && !sceptical)
        && known.has(&std::fs::symlink_metadata(path).map_err(no_content)?, hasher)
    {
        return Ok(Content::Same);
    }
    let (stamp, text) = text(path, limit)?;
    let hashed = hasher.hash_one(stamp);
    let stamp = if stamp.is_fresh() { hashed & !SETTLED } else { hashed | SETTLED };
    let known = Known { stamp, hash: hasher.hash_one(&*text) };
    Ok(match before {
        Some(before) if before.hash == known.hash => Content::Touched(known),
        Some(_) | None => Content::Text(known, text),
    })
}

fn text(path: &Path, limit: usize) -> Result<(Stamp, String), NoContent> {
    // Without waiting: what was a file may have become a pipe meanwhile. Without following: what
    // was a file may have become a link that leads out.
    let mut file: File = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(path)
        .map_err(no_content)?;
    let metadata = file.metadata().map_err(no_content)?;
    if !metadata.is_file() {
        let why = "a device, socket or pipe is not a document";
        return Err(NoContent::Unusable("not-a-file", why.to_owned()));
    }
    let (stamp, limit) = (Stamp::of(&metadata), limit as u64);
    // One byte more, so that the end is found without asking again.
    let size = usize::try_from(metadata.len().min(limit) + 1).unwrap_or(0);
    let mut bytes = Vec::with_capacity(size);
    (&mut file).take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(no_content)?;
    if Stamp::of(&file.metadata().map_err(no_content)?) != stamp {
        return Err(NoContent::Moved);
    }
    if bytes.len() as u64 > limit {
        let why = format!("larger than {limit} bytes");
        return Err(NoContent::Unusable("document-too-large", why));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let why = format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to());
        NoContent::Unusable("unreadable-file", why)
    })?;
    Ok((stamp, text))
}

fn no_content(error: io::Error) -> NoContent {
    let replaced = error.raw_os_error() == Some(libc::ELOOP);
    if error.kind() == io::ErrorKind::NotFound || replaced {
        NoContent::Moved
    } else if is_surroundings(&error) {
        NoContent::Surroundings(error)
    } else {
        NoContent::Unusable("unreadable-file", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::hash::RandomState;
    use std::time::SystemTime;

    use super::{Content, Known, NoContent, SETTLED, read};

    fn known(found: Result<Content, NoContent>) -> (Known, Option<String>) {
        match found.unwrap() {
            Content::Text(known, text) => (known, Some(text)),
            Content::Touched(known) => (known, None),
            Content::Same => panic!("it was read"),
        }
    }

    #[test]
    fn a_file_is_read_again_only_if_it_may_have_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, hasher) = (folder.path().join("a"), RandomState::new());
        let look = |before: Option<&Known>| read(&path, before, false, 100, &hasher);
        fs::write(&path, "one").unwrap();
        let (fresh, text) = known(look(None));
        assert_eq!(text.as_deref(), Some("one"));
        // Just written: the stamp alone is not believed, the content is.
        let (fresh, text) = known(look(Some(&fresh)));
        assert_eq!(text, None);
        // Same size, same modification time.
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "two").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        let (_, text) = known(look(Some(&fresh)));
        assert_eq!(text.as_deref(), Some("two"));
        let settled = Known { stamp: fresh.stamp | SETTLED, ..fresh };
        let (two, text) = known(look(Some(&settled)));
        assert_eq!(text.as_deref(), Some("two"), "the time of the last change tells");
        let settled = Known { stamp: two.stamp | SETTLED, ..two };
        assert!(matches!(look(Some(&settled)), Ok(Content::Same)));
        assert!(matches!(read(&path, Some(&settled), true, 100, &hasher), Ok(Content::Touched(_))));
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap();
        assert!(matches!(look(Some(&settled)), Ok(Content::Touched(_))));
    }

    #[test]
    fn what_went_away_or_became_a_link_has_moved() {
        let folder = tempfile::tempdir().unwrap();
        let hasher = RandomState::new();
        let look = |name: &str| read(&folder.path().join(name), None, false, 100, &hasher);
        assert!(matches!(look("gone"), Err(NoContent::Moved)));
        std::os::unix::fs::symlink("gone", folder.path().join("link")).unwrap();
        assert!(matches!(look("link"), Err(NoContent::Moved)));
        assert!(matches!(look("."), Err(NoContent::Unusable("not-a-file", _))));
    }
}

//! Room that is kept, so that grants can be revoked when the disk is full.
//!
//! Every change needs room in the log before it gives any back. When there is none, the reserve is
//! given up for removals, and no grant is created until it is there again.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Name of the file.
pub(super) const FILE: &str = "grants.reserve";

/// Enough to carry over a log that is as long as logs become, and to begin another.
const BYTES: u64 = 5 * 1024 * 1024;

const BLOCK: usize = 64 * 1024;

/// The reserve of a data folder.
pub(super) struct Reserve {
    file: File,
    kept: bool,
}

impl Reserve {
    /// Opens the reserve in a folder, and keeps it if there is room.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(folder.join(FILE))?;
        let kept = file.metadata()?.len() == BYTES;
        let mut reserve = Self { file, kept };
        reserve.keep();
        Ok(reserve)
    }

    /// Whether it is there: takes the room again if it was given up and there is some.
    pub(super) fn keep(&mut self) -> bool {
        if !self.kept {
            self.kept = self.fill().is_ok();
            if !self.kept {
                self.empty();
            }
        }
        self.kept
    }

    /// Gives the room to others. False if it was given up before.
    pub(super) fn give_up(&mut self) -> bool {
        let kept = std::mem::take(&mut self.kept);
        if kept {
            self.empty();
        }
        kept
    }

    fn empty(&self) {
        // What cannot be given up stays, which is no worse.
        let _kept = self.file.set_len(0);
    }

    /// Bytes that no file system stores as fewer.
    fn fill(&self) -> io::Result<()> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut block = vec![0; BLOCK];
        for at in (0..BYTES).step_by(BLOCK) {
            for word in block.chunks_mut(8) {
                // Xorshift.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word.iter_mut().zip(state.to_le_bytes()).for_each(|(to, from)| *to = from);
            }
            self.file.write_all_at(&block, at)?;
        }
        self.file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::{BYTES, FILE, Reserve};

    #[test]
    fn the_reserve_holds_room_until_it_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let room = || {
            let found = fs::metadata(folder.path().join(FILE)).unwrap();
            assert!(found.len() == 0 || found.blocks() * 512 >= BYTES, "a hole is no room");
            found.len()
        };
        let mut reserve = Reserve::open(folder.path()).unwrap();
        assert_eq!(room(), BYTES);
        assert!(reserve.give_up());
        assert_eq!(room(), 0);
        assert!(!reserve.give_up(), "there is no more");
        assert!(reserve.keep());
        assert_eq!(room(), BYTES);
        // As a start finds it.
        assert!(Reserve::open(folder.path()).unwrap().kept);
        fs::write(folder.path().join(FILE), "cut").unwrap();
        Reserve::open(folder.path()).unwrap();
        assert_eq!(room(), BYTES);
    }
}

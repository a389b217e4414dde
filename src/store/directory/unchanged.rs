//! Whether a folder is still what was read of it.

use std::sync::Arc;
use std::thread;

use super::file::Known;
use super::walk::{Nobody, walk};
use super::{Directory, links};

/// Files that one thread asks about by itself: for fewer, others are not worth waking.
const ALONE: usize = 512;

impl Directory {
    /// Whether links lead where they led, and folders and names are those that were found: without
    /// it, files of different moments may have been read. Time stamps are looked at as well if
    /// nobody tells of changes.
    #[must_use]
    pub fn is_unchanged(&self, told: bool) -> bool {
        if told && !self.listing.links {
            return links::resolve(&self.root, &mut |_| {})
                .is_ok_and(|real| real == self.listing.root);
        }
        let Ok(listing) = walk(&self.root, &mut Nobody) else { return false };
        let as_found = if self.listing.links {
            listing == self.listing
        } else {
            let files = self.known.keys().chain(&self.faulty);
            listing.files.len() == self.known.len() + self.faulty.len()
                && files.into_iter().all(|name| listing.files.contains(name))
                && listing.is_laid_out_as(&self.listing)
        };
        let stays = |(name, known): (&Arc<str>, &Known)| {
            known.is_as_it_was(&listing.path(name), &self.hasher)
        };
        as_found && (told || all(&self.known.iter().collect::<Vec<_>>(), stays))
    }
}

/// Whether something holds for every file: asked by several threads if there are many.
fn all<'k>(
    files: &[(&'k Arc<str>, &'k Known)],
    holds: impl Fn((&'k Arc<str>, &'k Known)) -> bool + Sync,
) -> bool {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let part = files.len().div_ceil(threads).max(ALONE);
    let ask = |part: &[_]| part.iter().all(|file| holds(*file));
    thread::scope(|scope| {
        let parts: Vec<_> = files.chunks(part).map(|part| scope.spawn(move || ask(part))).collect();
        // All are waited for. A thread that did not end well found out nothing.
        let found: Vec<bool> = parts.into_iter().map(|part| part.join().unwrap_or(false)).collect();
        found.into_iter().all(|holds| holds)
    })
}

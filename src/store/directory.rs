//! A folder of JSON documents, read whole, and then again and again: only what changed.

pub mod texts;
pub mod watch;

mod fault;
mod file;
mod files;
mod links;
mod unchanged;
mod walk;

use std::collections::BTreeSet;
use std::hash::RandomState;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::fault::fault;
pub use self::file::Known;
use self::file::{Content, NoContent};
use self::walk::{Listing, Unlisted, walk};
use self::watch::{News, Watch};
use crate::engine::bundle::{Document, Limits};
use crate::engine::problem::{Problem, Problems};
use crate::engine::sorted::Sorted;

/// Walks through a folder of which something is gone, before that is believed.
const WALKS: usize = 10;

/// The documents of a folder, as far as they are known.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    limit: usize,
    hasher: RandomState,
    known: Sorted<Known>,
    /// Files that cannot be documents.
    faulty: BTreeSet<Arc<str>>,
    /// What was found last; of a folder without links the names alone are kept, in `known`.
    listing: Listing,
}

/// How much is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Files that may have changed; everything, if that is not enough.
    Paths(Vec<PathBuf>),
    /// Every file whose time stamps are not those that are known.
    Stamps,
    /// Every file, read again.
    Contents,
}

impl Scope {
    /// What must be looked at after some news.
    #[must_use]
    pub fn after(news: News) -> Self {
        if news.everything { Self::Stamps } else { Self::Paths(news.paths.into_iter().collect()) }
    }
}

/// What is to be read, and what is there no more.
#[derive(Debug)]
pub struct Look {
    /// Names of files that may be others now.
    pub files: Vec<Arc<str>>,
    /// Names of documents that are gone.
    pub gone: Vec<Arc<str>>,
    /// What cannot be a document.
    pub faults: Vec<(Arc<str>, Problem)>,
    /// Whether the whole folder was looked at: what was wrong and is not among these is so no more.
    pub whole: bool,
    sceptical: bool,
}

/// What a file has become.
#[derive(Debug)]
pub enum Found {
    /// It says what it said.
    Same,
    /// It says something else.
    Text(Arc<str>),
    /// It cannot be a document.
    Fault(Problem),
    /// It is gone, or changes just now.
    Moved,
}

/// The folder cannot be read: not for what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the policies in `{}`: {why}", folder.display())]
pub struct Unreadable {
    folder: PathBuf,
    why: String,
}

impl From<Unreadable> for Problem {
    fn from(unreadable: Unreadable) -> Self {
        Self::error("unreadable-folder", unreadable.to_string())
            .help("give the folder that holds the policy set, and make it readable for Keyward")
    }
}

impl Directory {
    /// Nothing is known of it yet.
    #[must_use]
    pub fn new(root: &Path, limits: &Limits) -> Self {
        Self {
            root: root.to_owned(),
            limit: limits.document_bytes,
            hasher: RandomState::new(),
            known: Sorted::default(),
            faulty: BTreeSet::new(),
            listing: Listing::default(),
        }
    }

    /// The folder, as it was given.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Finds out what may have changed, watching it from now on.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn look(&mut self, scope: &Scope, watch: &mut Watch) -> Result<Look, Unreadable> {
        if let Scope::Paths(paths) = scope
            && let Some(look) = self.some(paths)
        {
            return Ok(look);
        }
        let listing = self.walk(watch).map_err(|error| self.unreadable(error))?;
        let (files, gone) = self.compared(&listing);
        let faults = listing.faults.iter();
        let faults =
            faults.map(|(name, (code, why))| (name.as_str().into(), fault(name, code, why)));
        let faults = faults.collect();
        for name in &gone {
            self.known.remove(name);
        }
        self.faulty.clear();
        let kept = if listing.links { listing } else { listing.without_files() };
        self.listing = kept;
        Ok(Look { files, gone, faults, whole: true, sceptical: *scope == Scope::Contents })
    }

    /// The names of the files that were found, those that are known as they are kept; and the names
    /// of those that are gone.
    fn compared(&self, listing: &Listing) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
        let (mut known, mut gone) = (self.known.keys().peekable(), Vec::new());
        let files = listing.files.iter().map(|listed| {
            while let Some(before) = known.next_if(|known| **known < listed.name) {
                gone.push(Arc::clone(before));
            }
            Arc::clone(known.next_if(|known| **known == listed.name).unwrap_or(&listed.name))
        });
        let files = files.collect();
        gone.extend(known.cloned());
        (files, gone)
    }

    /// Walks through it. What a link leads to may be replaced on the way: then it is walked again.
    fn walk(&self, watch: &mut Watch) -> Result<Listing, Unlisted> {
        let mut tries = WALKS;
        loop {
            let mut round = watch.begin();
            tries -= 1;
            match walk(&self.root, &mut round) {
                Ok(listing) => {
                    round.end();
                    return Ok(listing);
                }
                Err(Unlisted { gone: true, .. }) if tries > 0 => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Looks at some files alone, where the folder is plain enough for that.
    fn some(&mut self, paths: &[PathBuf]) -> Option<Look> {
        if self.listing.links {
            return None;
        }
        let (files, gone, faults) = (Vec::new(), Vec::new(), Vec::new());
        let mut look = Look { files, gone, faults, whole: false, sceptical: false };
        for path in paths {
            let known_folder = |folder| self.listing.folders.contains(folder);
            path.parent().filter(|folder| known_folder(*folder))?;
            let name = path.strip_prefix(&self.listing.root).ok()?.to_str()?;
            let known = self.known.get_key_value(name);
            let name = known.map_or_else(|| name.into(), |(name, _)| Arc::clone(name));
            match std::fs::symlink_metadata(path) {
                // Another name of the same file is not told.
                Ok(metadata) if metadata.nlink() > 1 => return None,
                Ok(metadata) if metadata.is_file() => look.files.push(name),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => look.gone.push(name),
                Ok(_) | Err(_) => return None,
            }
        }
        for name in &look.gone {
            self.known.remove(name);
            self.faulty.remove(name);
        }
        Some(look)
    }

    /// Reads the file of this name, from any thread: what it has become, and what is to be remembered
    /// of it, unless it cannot be a document.
    ///
    /// # Errors
    ///
    /// The machine is not able to just now.
    pub fn read(&self, look: &Look, name: &str) -> Result<(Found, Option<Known>), Unreadable> {
        let (path, before) = (self.listing.path(name), self.known.get(name));
        let read = file::read(&path, before, look.sceptical, self.limit, &self.hasher);
        Ok(match read {
            Ok(Content::Same) => (Found::Same, before.copied()),
            Ok(Content::Touched(known)) => (Found::Same, Some(known)),
            Ok(Content::Text(known, text)) => (Found::Text(text.into()), Some(known)),
            Err(NoContent::Moved) => (Found::Moved, None),
            Err(NoContent::Unusable(code, why)) => (Found::Fault(fault(name, code, &why)), None),
            Err(NoContent::Surroundings(error)) => {
                return Err(self.unreadable(error.into()));
            }
        })
    }

    /// Remembers files as they were read, and forgets those that cannot be documents.
    pub fn remember(&mut self, read: Vec<(Arc<str>, Known)>, lost: Vec<Arc<str>>) {
        if !self.faulty.is_empty() {
            for (name, _) in &read {
                self.faulty.remove(name);
            }
        }
        self.known.extend(read);
        for name in lost {
            self.known.remove(&name);
            self.faulty.insert(name);
        }
    }

    fn unreadable(&self, Unlisted { why, .. }: Unlisted) -> Unreadable {
        Unreadable { folder: self.root.clone(), why }
    }
}

/// Reads every document of a folder once.
///
/// # Errors
///
/// Everything that could not be read, all at once.
pub fn read(root: &Path, limits: &Limits) -> Result<Vec<Document>, Problems> {
    let mut directory = Directory::new(root, limits);
    let look = directory.look(&Scope::Contents, &mut Watch::off()).map_err(Problem::from)?;
    let mut problems: Vec<Problem> =
        look.faults.iter().map(|(_, problem)| problem.clone()).collect();
    let mut documents = Vec::with_capacity(look.files.len());
    for name in &look.files {
        match directory.read(&look, name).map_err(Problem::from)? {
            (Found::Text(text), _) => documents.push(Document { name: Arc::clone(name), text }),
            (Found::Fault(problem), _) => problems.push(problem),
            (Found::Same | Found::Moved, _) => problems.push(moved(name)),
        }
    }
    match Problems::refusing(problems) {
        Some(problems) => Err(problems),
        None => Ok(documents),
    }
}

/// A file that is never the same for long enough.
fn moved(name: &str) -> Problem {
    fault(name, "unreadable-file", "it changes while it is read")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    use super::read;
    use crate::engine::bundle::Limits;

    #[track_caller]
    fn check(root: &Path, expected: Result<&[&str], &[&str]>) {
        let found = read(root, &Limits { document_bytes: 100, depth: 10 });
        match (found, expected) {
            (Ok(documents), Ok(expected)) => {
                let found: Vec<&str> = documents.iter().map(|document| &*document.name).collect();
                assert_eq!(found, expected);
            }
            (Err(problems), Err(expected)) => {
                let codes: Vec<&str> =
                    problems.as_slice().iter().map(|problem| problem.code).collect();
                assert_eq!(codes, expected);
            }
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn json_files_are_read_in_any_folder() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("b/.hidden")).unwrap();
        for name in ["a.json", "b/c.json", "b/.hidden/d.json", ".e.json", "notes.txt", "b/f.JSON"] {
            fs::write(root.path().join(name), "{}").unwrap();
        }
        check(root.path(), Ok(&["a.json", "b/c.json"]));
    }

    #[test]
    fn a_config_map_mount_is_read_through_its_links() {
        let root = tempfile::tempdir().unwrap();
        let generation = root.path().join("..2026_11_24_00_00_00.1");
        fs::create_dir(&generation).unwrap();
        fs::write(generation.join("keys.json"), "{}").unwrap();
        symlink("..2026_11_24_00_00_00.1", root.path().join("..data")).unwrap();
        symlink("..data/keys.json", root.path().join("keys.json")).unwrap();
        check(root.path(), Ok(&["keys.json"]));
    }

    #[test]
    fn links_count_once_and_may_go_round() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        fs::write(root.path().join("a/x.json"), "{}").unwrap();
        symlink("x.json", root.path().join("a/y.json")).unwrap();
        symlink("..", root.path().join("a/up")).unwrap();
        check(root.path(), Ok(&["a/x.json"]));
    }

    #[test]
    fn everything_unreadable_is_reported_at_once() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("k.json"), "{}").unwrap();
        let root = tempfile::tempdir().unwrap();
        symlink(outside.path().join("k.json"), root.path().join("a.json")).unwrap();
        symlink("nowhere", root.path().join("b.json")).unwrap();
        fs::write(root.path().join("c.json"), [0xff, 0xfe]).unwrap();
        fs::write(root.path().join("d.json"), "x".repeat(101)).unwrap();
        let made = std::process::Command::new("mkfifo").arg(root.path().join("e.json")).status();
        assert!(made.unwrap().success());
        check(
            root.path(),
            Err(&[
                "link-leads-out",
                "broken-link",
                "unreadable-file",
                "document-too-large",
                "not-a-file",
            ]),
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_problem() {
        check(Path::new("/nonexistent/policies"), Err(&["unreadable-folder"]));
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a.json");
        fs::write(&file, "{}").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        check(&file, Err(&["unreadable-folder"]));
    }
}

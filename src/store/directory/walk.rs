//! What is in a folder and below: by name, without opening a file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry, FileType};
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::file::is_surroundings;
use super::files::{Files, Listed};
use super::links::resolve;

/// Folders below folders, links followed: deeper is a mistake, or a trap.
const DEEPEST: usize = 64;

/// The link that an atomic writer swaps, as the kubelet does: the documents are behind it.
///
/// Source: Kubernetes, `pkg/volume/util/atomic_writer.go`.
const SWAPPED: &str = "..data";

/// Learns of folders and links before they are looked into, so that no change is missed.
pub(super) trait Scout {
    /// A real folder whose entries matter.
    fn folder(&mut self, real: &Path);
    /// An entry whose being there, or being another link, matters.
    fn entry(&mut self, path: &Path);
}

/// Nobody wants to know.
pub(super) struct Nobody;

impl Scout for Nobody {
    fn folder(&mut self, _: &Path) {}
    fn entry(&mut self, _: &Path) {}
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// The real folder.
    pub(super) root: PathBuf,
    /// The files.
    pub(super) files: Files,
    /// What is not a document, by name: code and reason.
    pub(super) faults: BTreeMap<String, (&'static str, String)>,
    /// Real folders that were listed.
    pub(super) folders: HashSet<PathBuf>,
    /// Whether a link was met below the folder.
    pub(super) links: bool,
}

impl Listing {
    /// The real path of a file.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        match self.files.get(name).and_then(|listed| listed.elsewhere.as_deref()) {
            Some(elsewhere) => elsewhere.to_owned(),
            None => self.root.join(name),
        }
    }

    /// Whether all but the files is the same.
    pub(super) fn is_laid_out_as(&self, other: &Self) -> bool {
        let layout = |listing: &Self| (listing.root.clone(), listing.links);
        layout(self) == layout(other)
            && self.folders == other.folders
            && self.faults == other.faults
    }

    /// All but the files.
    pub(super) fn without_files(self) -> Self {
        Self { files: Files::default(), ..self }
    }
}

/// The folder itself cannot be looked into, or the machine is not able to just now.
#[derive(Debug)]
pub(super) struct Unlisted {
    pub(super) why: String,
    /// Whether something was gone: if it was just replaced, the next walk finds what came.
    pub(super) gone: bool,
}

impl From<io::Error> for Unlisted {
    fn from(error: io::Error) -> Self {
        Self { why: error.to_string(), gone: error.kind() == io::ErrorKind::NotFound }
    }
}

/// Lists every `*.json` file in a folder and below. Names that start with `.` are not documents;
/// links are followed, unless they lead out of the folder. A file that is reached twice counts once.
pub(super) fn walk(root: &Path, scout: &mut dyn Scout) -> Result<Listing, Unlisted> {
    let real = resolve(root, &mut |link| scout.entry(link))?;
    scout.entry(&real);
    if !fs::metadata(&real)?.is_dir() {
        return Err(Unlisted { why: "is not a folder".to_owned(), gone: false });
    }
    // Whoever may list a folder but not look at what is in it would find every file unreadable.
    fs::metadata(real.join("."))?;
    let listing = Listing { root: real.clone(), ..Listing::default() };
    let mut walker = Walker { listing, scout, unlisted: None, found: Vec::new() };
    walker.folder(&real, "", 0);
    let Walker { listing, unlisted, found, .. } = walker;
    match unlisted {
        Some(unlisted) => Err(unlisted),
        None => Ok(Listing { files: files(found, &listing), ..listing }),
    }
}

/// Each file once, under the name that comes first.
fn files(found: Vec<Listed>, listing: &Listing) -> Files {
    if !listing.links {
        return found.into_iter().collect();
    }
    let mut by_path: HashMap<PathBuf, Listed> = HashMap::new();
    for file in found {
        let in_place = || listing.root.join(&*file.name);
        let real = file.elsewhere.as_deref().map_or_else(in_place, Path::to_owned);
        let known = by_path.entry(real).or_insert_with(|| file.clone());
        if file.name < known.name {
            *known = file;
        }
    }
    by_path.into_values().collect()
}

/// A folder that is listed.
struct Here<'f> {
    path: &'f Path,
    depth: usize,
    /// Whether it has a swapped link.
    swapped: bool,
    /// Whether it is where its name says.
    in_place: bool,
}

struct Walker<'s> {
    listing: Listing,
    scout: &'s mut dyn Scout,
    unlisted: Option<Unlisted>,
    /// Files as often as they were reached.
    found: Vec<Listed>,
}

impl Walker<'_> {
    fn folder(&mut self, path: &Path, name: &str, depth: usize) {
        if depth >= DEEPEST {
            let why = format!("more than {DEEPEST} folders deep");
            return self.fault(name, "folders-too-deep", why);
        }
        // A second way to it leads to the same files; one upwards would go round for ever.
        if !self.listing.folders.insert(path.to_owned()) {
            return;
        }
        self.scout.folder(path);
        let named = |entry: io::Result<DirEntry>| entry.map(|entry| (entry.file_name(), entry));
        let entries = fs::read_dir(path).and_then(|entries| entries.map(named).collect());
        let mut entries: Vec<(OsString, DirEntry)> = match entries {
            Ok(entries) => entries,
            Err(error) if name.is_empty() || is_surroundings(&error) => {
                self.unlisted.get_or_insert(error.into());
                return;
            }
            Err(error) => return self.fault(name, "unreadable-folder", error.to_string()),
        };
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let swapped = self.swapped(&entries, path, name, depth);
        // Byte by byte: to compare by components takes much longer.
        let expected = self.listing.root.join(name.strip_suffix('/').unwrap_or(name));
        let here = Here { path, depth, swapped, in_place: expected.as_os_str() == path };
        let mut full_name = String::from(name);
        for (file_name, entry) in entries {
            if is_hidden(&file_name) {
                continue;
            }
            let Some(file_name) = file_name.to_str() else {
                if !is_json(&file_name) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                    continue;
                }
                let shown = format!("{name}{}", file_name.to_string_lossy());
                self.fault(&shown, "unreadable-file", "its name is not UTF-8".to_owned());
                continue;
            };
            full_name.truncate(name.len());
            full_name.push_str(file_name);
            self.entry(&entry, &full_name, &here);
        }
    }

    /// Looks behind a swapped link first, whole: the links beside it may still be those of the
    /// generation before.
    fn swapped(
        &mut self,
        entries: &[(OsString, DirEntry)],
        path: &Path,
        name: &str,
        depth: usize,
    ) -> bool {
        let is_link = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let there = entries.iter().any(|(name, entry)| name == SWAPPED && is_link(entry));
        if there {
            self.link(&path.join(SWAPPED), &format!("{name}{SWAPPED}"), Some(name), depth);
        }
        there
    }

    fn entry(&mut self, entry: &DirEntry, name: &str, here: &Here<'_>) {
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(error) => return self.fault(name, "unreadable-file", error.to_string()),
        };
        if kind.is_file() && here.in_place {
            // Nearly all are: nothing is asked of them that is not needed.
            if is_json(name) {
                self.found.push(Listed { name: name.into(), elsewhere: None });
            }
            return;
        }
        let path = here.path.join(entry.file_name());
        if !kind.is_symlink() {
            return self.real(&path, name, kind, None, here.depth);
        }
        let through = |target: PathBuf| target.starts_with(SWAPPED);
        if here.swapped && fs::read_link(&path).is_ok_and(through) {
            return; // it was looked at behind the swapped link
        }
        self.link(&path, name, None, here.depth);
    }

    /// Follows a link; a folder behind it is listed under the name `as_folder`, if that is given.
    fn link(&mut self, path: &Path, name: &str, as_folder: Option<&str>, depth: usize) {
        self.listing.links = true;
        let scout = &mut *self.scout;
        let found = resolve(path, &mut |link| scout.entry(link))
            .and_then(|real| Ok((fs::metadata(&real)?.file_type(), real)));
        let (kind, real) = match found {
            Ok(found) => found,
            Err(error) if is_surroundings(&error) => {
                self.unlisted.get_or_insert(error.into());
                return;
            }
            Err(error) => return self.fault(name, "broken-link", error.to_string()),
        };
        if as_folder.is_some() && !kind.is_dir() {
            return self.fault(name, "broken-link", "it leads to no folder".to_owned());
        }
        if !kind.is_dir() && !is_json(name) {
            return;
        }
        if !real.starts_with(&self.listing.root) {
            let why = format!("the link leads out of the folder, to `{}`", real.display());
            return self.fault(name, "link-leads-out", why);
        }
        match as_folder {
            Some(folder) => self.folder(&real, folder, depth + 1),
            None if kind.is_file() => {
                // It may lie where nothing else matters.
                self.scout.entry(&real);
                self.real(&real, name, kind, Some(real.clone()), depth);
            }
            None => self.real(&real, name, kind, Some(real.clone()), depth),
        }
    }

    fn real(
        &mut self,
        path: &Path,
        name: &str,
        kind: FileType,
        linked: Option<PathBuf>,
        depth: usize,
    ) {
        if kind.is_dir() {
            return self.folder(path, &format!("{name}/"), depth + 1);
        }
        if !is_json(name) {
            return;
        }
        if kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device() {
            let why = "a device, socket or pipe is not a document";
            return self.fault(name, "not-a-file", why.to_owned());
        }
        let elsewhere = linked.or_else(|| {
            let expected = self.listing.root.join(name);
            // Byte by byte: to compare by components takes much longer.
            (expected.as_os_str() != path.as_os_str()).then(|| path.to_owned())
        });
        let elsewhere = elsewhere.map(PathBuf::into_boxed_path);
        self.found.push(Listed { name: name.into(), elsewhere });
    }

    fn fault(&mut self, name: &str, code: &'static str, why: String) {
        self.listing.faults.insert(name.to_owned(), (code, why));
    }
}

/// Whether a name is that of a document.
pub(super) fn is_json(name: impl AsRef<Path>) -> bool {
    name.as_ref().extension().is_some_and(|extension| extension == "json")
}

/// Whether a name is hidden: it is no document's, nor that of a folder with documents.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use super::{Nobody, Scout, walk};

    /// Swaps a link, and removes what it led to, right before that is listed.
    struct Swapping {
        link: PathBuf,
        to: PathBuf,
    }

    impl Scout for Swapping {
        fn folder(&mut self, real: &Path) {
            if fs::read_link(&self.link).is_ok_and(|target| target != self.to && target == real) {
                fs::remove_file(&self.link).unwrap();
                symlink(&self.to, &self.link).unwrap();
                fs::remove_dir_all(real).unwrap();
            }
        }

        fn entry(&mut self, _: &Path) {}
    }

    #[test]
    fn what_a_link_led_to_may_be_gone_and_is_found_by_the_next_walk() {
        let above = tempfile::tempdir().unwrap();
        let above = fs::canonicalize(above.path()).unwrap();
        let volume = above.join("volume");
        fs::create_dir(&volume).unwrap();
        for (root, link, at) in [("link", "link", "."), ("volume", "volume/..data", "volume")] {
            let folders = ["..1", "..2"].map(|name| above.join(at).join(name));
            for folder in &folders {
                fs::create_dir(folder).unwrap();
                fs::write(folder.join("a.json"), "{}").unwrap();
            }
            let [before, to] = folders.map(|folder| fs::canonicalize(folder).unwrap());
            let (root, link) = (above.join(root), above.join(link));
            symlink(&before, &link).unwrap();
            let gone = walk(&root, &mut Swapping { link, to }).unwrap_err();
            assert!(gone.gone, "{gone:?}");
            assert!(walk(&root, &mut Nobody).unwrap().files.contains("a.json"));
        }
        let gone = walk(&above.join("nothing"), &mut Nobody).unwrap_err();
        assert!(gone.gone, "{gone:?}");
    }
}

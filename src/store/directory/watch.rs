//! What the operating system tells of changes in a folder.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::walk::{Scout, is_hidden, is_json};

/// Changed files that are told one by one; more of them are told as one.
const MOST_PATHS: usize = 1024;

/// What happened since it was last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Anything may have changed.
    pub everything: bool,
    /// A link was replaced: whatever is behind it has changed at once.
    pub swapped: bool,
    /// Files were changed, made or removed one by one; more may follow.
    pub loose: bool,
    /// Real paths of files that may have changed; meaningless with `everything`.
    pub paths: BTreeSet<PathBuf>,
}

impl News {
    /// Whether nothing happened.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// With what happened later.
    pub fn add(&mut self, later: Self) {
        self.everything |= later.everything;
        self.swapped |= later.swapped;
        self.loose |= later.loose;
        self.paths.extend(later.paths);
        self.bound();
    }

    fn path(&mut self, path: &Path) {
        self.loose = true;
        self.paths.insert(path.to_owned());
        self.bound();
    }

    fn bound(&mut self) {
        if self.everything || self.paths.len() > MOST_PATHS {
            self.everything = true;
            self.paths.clear();
        }
    }
}

/// Watches the folders that were walked. Where the operating system does not tell, it says so, and
/// whoever asks must look for himself.
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    shared: Arc<Mutex<Shared>>,
    /// Folders that are watched.
    watched: HashSet<PathBuf>,
    /// Why not all is told.
    trouble: Option<String>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("trouble", &self.trouble).finish_non_exhaustive()
    }
}

/// What matters, and what happened to it.
#[derive(Debug, Default)]
struct Shared {
    /// Real folders whose entries matter.
    folders: HashSet<PathBuf>,
    /// Entries that matter, wherever they are: links on the way, the folder itself.
    entries: HashSet<PathBuf>,
    news: News,
    trouble: Option<String>,
}

impl Watch {
    /// Begins to watch; `on_news` is called, from another thread, whenever something happens.
    #[must_use]
    pub fn new(on_news: impl Fn() + Send + 'static) -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let heard = Arc::clone(&shared);
        let hear = move |event: notify::Result<Event>| {
            if lock(&heard).hear(event) {
                on_news();
            }
        };
        let (watcher, trouble) = match notify::recommended_watcher(hear) {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(in_words(&error))),
        };
        Self { watcher, shared, watched: HashSet::new(), trouble }
    }

    /// Does not watch: file systems that tell nothing are looked at from time to time.
    #[must_use]
    pub fn off() -> Self {
        Self {
            watcher: None,
            shared: Arc::default(),
            watched: HashSet::new(),
            trouble: Some("watching is switched off".to_owned()),
        }
    }

    /// Why not every change is told; `None` while all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What happened since it was last taken.
    #[must_use]
    pub fn take(&self) -> News {
        std::mem::take(&mut lock(&self.shared).news)
    }

    /// Whether nothing happened since it was last taken.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        lock(&self.shared).news.is_none()
    }

    /// Whether something loose changed since it was last taken: more may follow.
    #[must_use]
    pub fn is_loose(&self) -> bool {
        lock(&self.shared).news.loose
    }

    /// Begins a walk: what it shows is watched before it is looked at.
    pub(super) fn begin(&mut self) -> Round<'_> {
        if self.watcher.is_some() {
            self.trouble = None;
        }
        Round { watch: self, folders: HashSet::new(), entries: HashSet::new() }
    }

    fn cover(&mut self, folder: &Path, must: bool) {
        let Some(watcher) = &mut self.watcher else { return };
        // What is watched already is watched again: the folder may be another one of that name.
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched.insert(folder.to_owned());
            }
            Err(error) if must => {
                let why = || format!("`{}`: {}", folder.display(), in_words(&error));
                self.trouble.get_or_insert_with(why);
            }
            Err(_) => {} // a folder above: it is looked at from time to time
        }
    }
}

/// One walk through what is watched.
pub(super) struct Round<'w> {
    watch: &'w mut Watch,
    folders: HashSet<PathBuf>,
    entries: HashSet<PathBuf>,
}

impl Scout for Round<'_> {
    fn folder(&mut self, real: &Path) {
        if self.folders.insert(real.to_owned()) {
            lock(&self.watch.shared).folders.insert(real.to_owned());
            self.watch.cover(real, true);
        }
    }

    fn entry(&mut self, path: &Path) {
        if self.entries.insert(path.to_owned()) {
            lock(&self.watch.shared).entries.insert(path.to_owned());
            if let Some(folder) = path.parent().filter(|folder| !self.folders.contains(*folder)) {
                self.watch.cover(folder, false);
            }
        }
    }
}

impl Round<'_> {
    /// Ends the walk: what it did not show matters no more.
    pub(super) fn end(self) {
        let Round { watch, folders, entries } = self;
        let above: HashSet<&Path> = entries.iter().filter_map(|path| path.parent()).collect();
        let matters =
            |folder: &PathBuf| folders.contains(folder) || above.contains(folder.as_path());
        let left: Vec<PathBuf> =
            watch.watched.iter().filter(|folder| !matters(folder)).cloned().collect();
        for folder in left {
            watch.watched.remove(&folder);
            if let Some(watcher) = &mut watch.watcher
                && folder.exists()
            {
                // The operating system forgets folders that are gone by itself.
                let _ = watcher.unwatch(&folder);
            }
        }
        let mut shared = lock(&watch.shared);
        (shared.folders, shared.entries) = (folders, entries);
        if let Some(trouble) = shared.trouble.take() {
            watch.trouble.get_or_insert(trouble);
        }
    }
}

impl Shared {
    /// Takes note of an event; whether it matters.
    fn hear(&mut self, event: notify::Result<Event>) -> bool {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                self.trouble = Some(in_words(&error));
                self.news.everything = true;
                self.news.loose = true;
                return true;
            }
        };
        if event.need_rescan() {
            self.news.add(News { everything: true, loose: true, ..News::default() });
            return true;
        }
        let reads = EventKind::Access(AccessKind::Close(AccessMode::Write));
        if event.kind.is_access() && event.kind != reads {
            return false;
        }
        event.paths.iter().fold(false, |matters, path| self.path(path, &event.kind) | matters)
    }

    fn path(&mut self, path: &Path, kind: &EventKind) -> bool {
        if self.entries.contains(path) {
            // Loose files that are links are changed one by one, and so is what they lead to.
            let written =
                matches!(kind, EventKind::Modify(ModifyKind::Data(_)) | EventKind::Access(_));
            let loose = written || is_json(path);
            self.news.add(News { everything: true, swapped: !loose, loose, ..News::default() });
            return true;
        }
        if self.folders.contains(path) {
            self.news.add(News { everything: true, loose: true, ..News::default() });
            return true;
        }
        let inside = path.parent().is_some_and(|folder| self.folders.contains(folder));
        let name = path.file_name().unwrap_or_default();
        if !inside || is_hidden(name) {
            return false;
        }
        if is_json(path) {
            self.news.path(path);
            return true;
        }
        let folder = match kind {
            EventKind::Create(CreateKind::Folder) | EventKind::Remove(RemoveKind::Folder) => true,
            EventKind::Access(_) => false,
            // A name that came by renaming, or a link.
            _ => std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()),
        };
        if folder {
            self.news.add(News { everything: true, loose: true, ..News::default() });
        }
        folder
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // What it protects is whole after every statement.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_words(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "the limit on watched folders is reached (fs.inotify.max_user_watches)".to_owned()
        }
        notify::ErrorKind::Io(io) if io.raw_os_error() == Some(libc::EMFILE) => {
            "the limit on watchers or open files is reached (fs.inotify.max_user_instances, ulimit -n)"
                .to_owned()
        }
        notify::ErrorKind::Io(io) => io.to_string(),
        _ => error.to_string(),
    }
}

//! The files of a folder, by name.

use std::path::Path;
use std::sync::Arc;

/// A file: the name it goes by, and its real path, where that is not what the name says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed {
    pub(super) name: Arc<str>,
    pub(super) elsewhere: Option<Box<Path>>,
}

/// Files in the order of their names, each name once. There may be very many: they take no more
/// room than they must.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files(Vec<Listed>);

impl Files {
    /// The file of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Listed> {
        let at = self.0.binary_search_by(|listed| (*listed.name).cmp(name)).ok()?;
        self.0.get(at)
    }

    /// Whether there is a file of this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Listed> {
        self.0.iter()
    }
}

impl FromIterator<Listed> for Files {
    /// Of two files with one name, the one that is where its name says counts.
    fn from_iter<I: IntoIterator<Item = Listed>>(files: I) -> Self {
        let mut files: Vec<Listed> = files.into_iter().collect();
        // Whoever lists them goes by the names: they are nearly in order.
        files.sort_unstable();
        files.dedup_by(|again, first| again.name == first.name);
        Self(files)
    }
}

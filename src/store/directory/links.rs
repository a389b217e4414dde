//! Links: where they lead, and which of them lie on the way.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Links on the way to one path: more is a loop. The kernel's own bound.
const MOST: usize = 40;

/// The real path of `path`. Every link on the way is shown to `met`, by its own real path, before
/// it is followed; so is what is missing.
///
/// # Errors
///
/// A part of the path is missing or may not be looked at, or links go round.
pub(super) fn resolve(path: &Path, met: &mut dyn FnMut(&Path)) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut ahead: VecDeque<OsString> = parts(&absolute);
    let mut real = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        if part == ".." {
            real.pop();
            continue;
        }
        let here = real.join(&part);
        let kind = std::fs::symlink_metadata(&here).inspect_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                met(&here);
            }
        })?;
        if !kind.file_type().is_symlink() {
            real = here;
            continue;
        }
        links += 1;
        if links > MOST {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        met(&here);
        let target = std::fs::read_link(&here)?;
        if target.is_absolute() {
            real = PathBuf::from("/");
        }
        for part in parts(&target).into_iter().rev() {
            ahead.push_front(part);
        }
    }
    Ok(real)
}

/// The parts of a path that lead somewhere.
fn parts(path: &Path) -> VecDeque<OsString> {
    let lead = |part: Component<'_>| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(lead).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::resolve;

    #[test]
    fn real_paths_are_those_of_the_kernel_and_links_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(root.join("real/deep")).unwrap();
        symlink("real", root.join("a")).unwrap();
        symlink(root.join("a/deep/.."), root.join("b")).unwrap();
        let mut met = Vec::new();
        let found = resolve(&root.join("b/./deep"), &mut |link| met.push(link.to_owned())).unwrap();
        assert_eq!(found, fs::canonicalize(root.join("b/deep")).unwrap());
        assert_eq!(met, [root.join("b"), root.join("a")]);
    }

    #[test]
    fn what_is_missing_is_told_and_loops_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        symlink("gone/x", root.join("a")).unwrap();
        let mut met = Vec::new();
        assert!(resolve(&root.join("a"), &mut |path| met.push(path.to_owned())).is_err());
        assert_eq!(met, [root.join("a"), root.join("gone")]);
        symlink("loop", root.join("loop")).unwrap();
        assert!(resolve(&root.join("loop"), &mut |_| {}).is_err());
    }
}

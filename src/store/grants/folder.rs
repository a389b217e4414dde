//! The data folder: there, local, and ours alone.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::opening::OpenError;

/// Name of the lock file.
pub(super) const LOCK: &str = "keyward.lock";

/// File systems whose locks, or whose shared memory, are not to be relied on between machines.
const NETWORK: [&str; 20] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "pvfs2",
    "smb3",
    "smbfs",
    "sshfs",
];

/// File systems in user space that keep files elsewhere.
const REMOTE_FUSE: [&str; 12] = [
    "ceph",
    "davfs",
    "gcsfuse",
    "glusterfs",
    "goofys",
    "juicefs",
    "moosefs",
    "rclone",
    "s3fs",
    "seaweedfs",
    "smbnetfs",
    "sshfs",
];

/// The folder, made if it is missing. Its path afterwards has no links in it.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf, OpenError> {
    let failed = |doing| {
        move |source: io::Error| OpenError::Folder { folder: folder.to_owned(), doing, source }
    };
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => {
            // Whoever may make files there can put a database of his own in the place of ours.
            let mode = found.permissions().mode() & 0o777;
            if mode & 0o002 != 0 {
                return Err(OpenError::ExposedFolder { folder: folder.to_owned(), mode });
            }
        }
        Ok(_) => return Err(OpenError::NotAFolder { folder: folder.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(failed("create"))?;
            if let Some(above) = folder.parent() {
                let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
                sync(above).map_err(failed("sync"))?;
            }
        }
        Err(error) => return Err(failed("use")(error)),
    }
    let folder = fs::canonicalize(folder).map_err(failed("use"))?;
    // Without it, as on other systems than Linux, there is nothing to go by.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    match network(&mounts, &folder) {
        Some(kind) => Err(OpenError::NetworkFileSystem { folder, kind }),
        None => Ok(folder),
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The kind of the file system of `folder`, if it is a network's. `mounts` is in the form of
/// `/proc/self/mountinfo`.
fn network(mounts: &str, folder: &Path) -> Option<String> {
    let (_, kind) = mounts
        .lines()
        .filter_map(|line| {
            let (mount, source) = line.split_once(" - ")?;
            let point = PathBuf::from(unescaped(mount.split(' ').nth(4)?));
            let kind = source.split(' ').next()?;
            folder.starts_with(&point).then(|| (point.components().count(), kind))
        })
        // Of equals the last: it is mounted over the others.
        .max_by_key(|(depth, _)| *depth)?;
    let remote = match kind.strip_prefix("fuse.") {
        Some(fuse) => REMOTE_FUSE.contains(&fuse),
        None => NETWORK.contains(&kind),
    };
    remote.then(|| kind.to_owned())
}

/// A mount point: blanks and backslashes are written as `\` and three octal digits.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code, part.get(3..)) {
            (Some(code), Some(rest)) => {
                plain.push(char::from(code));
                plain.push_str(rest);
            }
            _ => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// Holds the data folder for this process; let go when dropped, or when the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(LOCK);
        let failed = |source| OpenError::File { path: path.clone(), doing: "lock", source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = file.take(20).read_to_string(&mut holder);
                let process = read.ok().and_then(|_| holder.trim().parse().ok());
                return Err(OpenError::Locked { folder: folder.to_owned(), process });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // For the message above alone: a full disk is no reason to stop here.
        let _unnamed = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::network;

    const MOUNTS: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 27 0:50 / /data rw,relatime shared:9 master:3 - nfs4 server:/export rw,vers=4.2
41 40 0:51 / /data/local rw - xfs /dev/vdb rw
42 27 0:52 / /with\\040blank rw - cifs //server/share rw
43 27 0:53 / /home rw - fuse.sshfs user@server: rw
44 27 0:54 / /pod rw - fuse.fuse-overlayfs fuse-overlayfs rw
45 27 0:55 / /twice rw - nfs server:/a rw
46 27 0:56 / /twice rw - tmpfs tmpfs rw
";

    #[track_caller]
    fn check(folder: &str, kind: Option<&str>) {
        assert_eq!(network(MOUNTS, Path::new(folder)).as_deref(), kind, "{folder}");
    }

    #[test]
    fn a_folder_is_judged_by_the_mount_that_holds_it() {
        check("/var/lib/keyward", None);
        check("/data", Some("nfs4"));
        check("/data/keyward", Some("nfs4"));
        check("/data/local/keyward", None);
        check("/database", None);
        check("/with blank/keyward", Some("cifs"));
        check("/home/keyward", Some("fuse.sshfs"));
        check("/pod", None);
        check("/twice/keyward", None);
    }

    #[test]
    fn without_a_list_of_mounts_nothing_is_refused() {
        assert_eq!(network("", Path::new("/data")), None);
        assert_eq!(network("not a mount", Path::new("/data")), None);
    }
}

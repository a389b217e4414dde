//! A folder of JSON documents, read whole.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::engine::bundle::{Document, Limits};
use crate::engine::problem::{Place, Problem, Problems};

/// Folders below folders, links followed: deeper is a mistake, or a trap.
const DEEPEST: usize = 64;

/// Reads every `*.json` file in a folder and below. Names that start with `.` are not read; links
/// are followed, unless they lead out of the folder. A file that is reached twice counts once.
///
/// # Errors
///
/// Everything that could not be read, all at once.
pub fn read(root: &Path, limits: &Limits) -> Result<Vec<Document>, Problems> {
    let real = match fs::canonicalize(root) {
        Ok(real) if real.is_dir() => real,
        Ok(_) => return Err(unusable(root, "is not a folder").into()),
        Err(error) => return Err(unusable(root, &error.to_string()).into()),
    };
    let mut reader =
        Reader { root: real.clone(), limits, found: BTreeMap::new(), problems: Vec::new() };
    reader.folder(&real, "", &mut Vec::new());
    let Reader { found, problems, .. } = reader;
    match Problems::refusing(problems) {
        Some(problems) => Err(problems),
        None => {
            let mut documents: Vec<Document> = found.into_values().collect();
            documents.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(documents)
        }
    }
}

fn unusable(root: &Path, why: &str) -> Problem {
    Problem::error(
        "unreadable-folder",
        format!("cannot read the policies in `{}`: {why}", root.display()),
    )
    .help("give the folder that holds the policy set")
}

/// Device and inode.
type Identity = (u64, u64);

struct Reader<'l> {
    root: PathBuf,
    limits: &'l Limits,
    /// By device and inode, so that links to a file do not repeat it.
    found: BTreeMap<Identity, Document>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// Reads a folder. `above` are the real folders that lead to it.
    fn folder(&mut self, path: &Path, name: &str, above: &mut Vec<PathBuf>) {
        if above.len() >= DEEPEST {
            return self.report(
                "folders-too-deep",
                name,
                format!("more than {DEEPEST} folders deep"),
            );
        }
        let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.report("unreadable-folder", name, error.to_string()),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        above.push(path.to_owned());
        for entry in entries {
            let file_name = entry.file_name();
            let Some(file_name) = file_name.to_str() else {
                let shown = format!("{name}{}", file_name.to_string_lossy());
                self.report("unreadable-file", &shown, "its name is not UTF-8".to_owned());
                continue;
            };
            if !file_name.starts_with('.') {
                self.entry(&entry.path(), &format!("{name}{file_name}"), above);
            }
        }
        above.pop();
    }

    fn entry(&mut self, path: &Path, name: &str, above: &mut Vec<PathBuf>) {
        let json = path.extension().is_some_and(|extension| extension == "json");
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            // What is neither a document nor a folder is nobody's business.
            Err(_) if !json && !path.is_symlink() => return,
            Err(error) => {
                let broken = if path.is_symlink() { "broken-link" } else { "unreadable-file" };
                return self.report(broken, name, error.to_string());
            }
        };
        let kind = match fs::metadata(&real) {
            Ok(metadata) => metadata.file_type(),
            Err(error) => return self.report("unreadable-file", name, error.to_string()),
        };
        if !kind.is_dir() && !json {
            return;
        }
        if !real.starts_with(&self.root) {
            let why = format!("the link leads out of the folder, to `{}`", real.display());
            return self.report("link-leads-out", name, why);
        }
        if kind.is_dir() {
            // A link to a folder above would go round for ever.
            if !above.contains(&real) {
                self.folder(&real, &format!("{name}/"), above);
            }
            return;
        }
        if kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device() {
            return self.report(
                "not-a-file",
                name,
                "a device, socket or pipe is not a document".to_owned(),
            );
        }
        match self.file(&real) {
            Ok((identity, text)) => {
                let document = Document { name: name.into(), text: text.into() };
                let known = self.found.entry(identity).or_insert_with(|| document.clone());
                if document.name < known.name {
                    *known = document;
                }
            }
            Err((code, why)) => self.report(code, name, why),
        }
    }

    fn file(&self, path: &Path) -> Result<(Identity, String), (&'static str, String)> {
        let unreadable = |error: io::Error| ("unreadable-file", error.to_string());
        // Without waiting: what was a file may have become a pipe meanwhile.
        let file: File = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            .map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(("not-a-file", "a device, socket or pipe is not a document".to_owned()));
        }
        let limit = self.limits.document_bytes as u64;
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(limit)).unwrap_or(0));
        file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > limit {
            return Err(("document-too-large", format!("larger than {limit} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            ("unreadable-file", format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
        })?;
        Ok(((metadata.dev(), metadata.ino()), text))
    }

    fn report(&mut self, code: &'static str, name: &str, why: String) {
        let place = Place {
            document: name.into(),
            line: 1,
            column: 1,
            width: 1,
            excerpt: "".into(),
            excerpt_column: 1,
        };
        let shown = if name.is_empty() { "." } else { name };
        let problem = Problem::error(code, format!("`{shown}`: {why}"));
        let help = match code {
            "link-leads-out" => {
                "copy the file into the folder, or serve the folder that holds both"
            }
            "broken-link" => "mend or remove the link",
            "document-too-large" => "split the document, or raise the bound",
            _ => "make it readable for Keyward, or move it out of the folder",
        };
        self.problems.push(problem.help(help).at(place));
    }
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

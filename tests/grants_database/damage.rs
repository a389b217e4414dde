//! A damaged file is refused as it is, or does no harm: it is never read wrongly.

use std::fs;
use std::path::Path;

use keyward::store::grants::opening::OpenError;

use super::sample::{Dice, Grants, bytes, copied, filled, open};

/// A closed database of some pages.
fn original() -> (tempfile::TempDir, Grants) {
    let folder = tempfile::tempdir().expect("a folder");
    let (opened, grants) = filled(folder.path(), (0..80).map(|n| format!("g{n}")));
    drop(opened);
    assert!(!folder.path().join("grants.sqlite3-wal").exists(), "all in one file");
    (folder, grants)
}

/// Opens what may be damaged: every grant is as it was, or it is refused and was not touched. True
/// if it was refused.
#[track_caller]
fn refused(folder: &Path, grants: &Grants, what: &str) -> bool {
    let before = bytes(folder);
    match open(folder) {
        Ok((opened, found)) => {
            assert!(found == *grants, "{what}: other grants");
            for (id, grant) in grants {
                let found = opened.database.find(id).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(found.as_ref(), Some(grant), "{what}");
            }
            false
        }
        Err(error) => {
            let message = error.to_string();
            let clear = matches!(
                error,
                OpenError::Damaged { .. }
                    | OpenError::Foreign { .. }
                    | OpenError::Newer { .. }
                    | OpenError::Lost { .. }
            );
            assert!(clear && message.contains("nothing was changed"), "{what}: {message}");
            assert!(message.contains("grants.sqlite3`"), "{what}: {message}");
            assert!(bytes(folder) == before, "{what}: the file was changed");
            true
        }
    }
}

/// Damages copies of the database file in many ways: how often it was refused.
fn check(
    ways: impl Iterator<Item = usize>,
    what: &str,
    damage: impl Fn(&mut Vec<u8>, usize),
) -> (usize, usize) {
    let (folder, grants) = original();
    let whole = fs::read(folder.path().join("grants.sqlite3")).expect("the file");
    let copy = copied(folder.path());
    let (mut of, mut refusals) = (0, 0);
    for way in ways {
        let mut damaged = whole.clone();
        damage(&mut damaged, way);
        fs::write(copy.path().join("grants.sqlite3"), &damaged).expect("a file");
        for left in ["grants.sqlite3-wal", "grants.sqlite3-shm", "grants.sqlite3-journal"] {
            let _was_not_there = fs::remove_file(copy.path().join(left));
        }
        of += 1;
        refusals += usize::from(refused(copy.path(), &grants, &format!("{what} at {way}")));
    }
    (refusals, of)
}

#[test]
fn a_flipped_bit_in_the_header_is_refused_or_does_no_harm() {
    let (refusals, of) = check(0..100, "a bit", |file, at| file[at] ^= 1 << (at % 8));
    assert!(refusals > of / 3, "{refusals} of {of}");
}

#[test]
fn a_flipped_bit_in_a_page_is_refused_or_does_no_harm() {
    let mut dice = Dice(3);
    let places: Vec<usize> = (0..400).map(|_| dice.below(20 * 4096)).collect();
    let (refusals, of) = check(places.into_iter(), "a bit", |file, at| {
        let at = at % file.len();
        file[at] ^= 1 << (at % 8);
    });
    assert!(refusals > of / 2, "{refusals} of {of}");
}

#[test]
fn a_page_of_garbage_or_zeros_is_refused_or_does_no_harm() {
    for filling in [0xaa, 0x00, 0xff, 0x0d] {
        let (refusals, of) = check(0..20, "a page", |file, page| {
            let start = page * 4096 % file.len();
            file[start..start + 4096].fill(filling);
        });
        assert!(refusals > of / 2, "{refusals} of {of}");
    }
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    let (refusals, of) = check(0..20, "cut", |file, page| {
        let keep = if page % 2 == 0 { page * 4096 + 77 } else { page * 4096 };
        file.truncate(keep % file.len());
    });
    assert_eq!(refusals, of);
}

#[test]
fn two_pages_that_changed_places_are_refused() {
    let (refusals, of) = check(1..12, "pages", |file, page| {
        let (left, right) = file.split_at_mut((page + 1) * 4096);
        left[page * 4096..].swap_with_slice(&mut right[..4096]);
    });
    assert!(refusals + 2 >= of, "{refusals} of {of}");
}

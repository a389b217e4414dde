//! The copy of the last good policies, as it is read back from the data folder.

use keyward::engine::bundle::{Document, Limits};
use keyward::store::last_good::{decode, encode};
use sha2::{Digest as _, Sha256};

use super::documents::BETWEEN;

/// Bounds that inputs reach.
const LIMITS: Limits = Limits { document_bytes: 4096, depth: 128 };

/// Reads any bytes as the copy, as they are and with the checksum that they should have; then
/// writes documents made of them.
///
/// What is read is what was written: the copy of it is the same bytes again. A copy in which a byte
/// is changed, missing or more is refused.
pub fn run(data: &[u8]) {
    read(data);
    read(&[data, &*Sha256::digest(data)].concat());
    written(data);
}

fn read(bytes: &[u8]) -> bool {
    let Ok(documents) = decode(bytes, &LIMITS) else { return false };
    assert_eq!(copy(&documents), bytes, "another copy says the same");
    true
}

fn copy(documents: &[Document]) -> Vec<u8> {
    let mut out = Vec::new();
    let whole =
        encode(&mut out, documents.iter().cloned().map(Some)).expect("memory can be written");
    assert!(whole);
    out
}

fn written(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let documents: Vec<Document> = text
        .split(BETWEEN)
        .map(|part| {
            let (name, text) = part.split_once('\n').unwrap_or((part, ""));
            Document { name: name.into(), text: text.into() }
        })
        .collect();
    let whole = copy(&documents);
    let fits = documents.iter().all(|document| document.text.len() <= LIMITS.document_bytes);
    assert_eq!(read(&whole), fits, "what was written is read");
    let mut at = data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(*byte));
    for _ in 0..4 {
        at = at.wrapping_mul(0x9E37_79B9).wrapping_add(7) % whole.len();
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(!read(&changed), "byte {at} was changed");
        assert!(!read(&whole[..at]), "cut at {at}");
    }
    assert!(!read(&[&*whole, &[0]].concat()), "something follows");
}

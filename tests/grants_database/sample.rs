//! Grants to try with, and a database to try them on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use keyward::store::grants::change::{Applied, Change, ChangeError};
use keyward::store::grants::grant::StoredGrant;
use keyward::store::grants::opening::OpenError;
use keyward::store::grants::{GrantsDatabase, OnApplied, Opened, Settings};

/// Grants by id.
pub(crate) type Grants = BTreeMap<String, StoredGrant>;

/// ARN of a key.
pub(crate) fn key(number: usize) -> String {
    format!("arn:aws:kms:us-west-2:111122223333:key/00000000-0000-0000-0000-{number:012}")
}

/// The grant that this id always stands for: what is read back can be compared with it.
pub(crate) fn grant(id: &str) -> StoredGrant {
    let seed = id.bytes().fold(7_usize, |sum, byte| (sum * 31 + usize::from(byte)) % 10_007);
    let key_arn = key(seed % 5);
    let subset = "x".repeat(seed % 700);
    let entry = format!(
        r#"{{"KeyId":"{key_arn}","GrantId":"{id}","GranteePrincipal":"arn:aws:iam::111122223333:role/App","Operations":["Decrypt"],"Constraints":{{"EncryptionContextSubset":{{"tenant":"{subset}"}}}}}}"#
    );
    StoredGrant {
        id: id.into(),
        key_arn: key_arn.into(),
        token: format!("token-of-{id}").into(),
        name: seed.is_multiple_of(3).then(|| format!("name of {id}").into()),
        fingerprint: std::array::from_fn(|at| id.as_bytes()[at % id.len()]),
        entry: entry.into(),
        created_millis: 1_700_000_000_000 + i64::try_from(seed).expect("a small number"),
    }
}

/// Creates a grant, without any limit.
pub(crate) fn creation(grant: StoredGrant) -> Change {
    Change::Create { grant, limit_per_key: u64::MAX, counted_elsewhere: 0, parent: None }
}

/// Removes the grant that the id stands for.
pub(crate) fn removal(id: &str) -> Change {
    Change::Remove { key_arn: grant(id).key_arn, id: id.into() }
}

/// Tries while the folder is held: a process that another test starts at this moment has a copy of
/// every file of this one, locks too, until it becomes another program.
pub(crate) fn patiently<T>(mut open: impl FnMut() -> Result<T, OpenError>) -> Result<T, OpenError> {
    for _ in 0..100_000 {
        match open() {
            Err(OpenError::Locked { .. }) => std::thread::yield_now(),
            other => return other,
        }
    }
    open()
}

/// Opens the database in a folder, and all its grants.
pub(crate) fn open_with(
    folder: &Path,
    settings: Settings,
    applied: OnApplied,
) -> Result<(Opened, Grants), OpenError> {
    let mut grants = Grants::new();
    let each = |grant: StoredGrant| {
        let twice = grants.insert(grant.id.to_string(), grant);
        twice.map_or(Ok(()), |grant| Err(format!("`{}` came twice", grant.id)))
    };
    let opened = GrantsDatabase::open(folder, settings, each, applied)?;
    assert_eq!(opened.database.status().grants, grants.len() as u64);
    Ok((opened, grants))
}

/// The same, with nobody to follow, of a folder that somebody may hold.
pub(crate) fn try_open(folder: &Path) -> Result<(Opened, Grants), OpenError> {
    open_with(folder, Settings::default(), Box::new(|_| {}))
}

/// The same, of a folder that nobody is meant to hold.
pub(crate) fn open(folder: &Path) -> Result<(Opened, Grants), OpenError> {
    patiently(|| try_open(folder))
}

/// Opens what has to open.
pub(crate) fn opened(folder: &Path) -> (Opened, Grants) {
    open(folder).unwrap_or_else(|error| panic!("{error}"))
}

/// The reason why it does not open.
pub(crate) fn refusal(folder: &Path) -> OpenError {
    try_open(folder).err().expect("a database that cannot be opened")
}

/// Makes a change from outside of any runtime.
pub(crate) fn make(database: &GrantsDatabase, change: Change) -> Result<Applied, ChangeError> {
    runtime().block_on(database.change(change))
}

/// A runtime of one thread: what is spawned runs in turn.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

/// A database with these grants, made one after the other, and still open.
pub(crate) fn filled(folder: &Path, ids: impl Iterator<Item = String>) -> (Opened, Grants) {
    let (opened, mut grants) = opened(folder);
    for id in ids {
        make(&opened.database, creation(grant(&id))).expect("a creation");
        grants.insert(id.clone(), grant(&id));
    }
    (opened, grants)
}

/// Copies the files of a database, as they are at this moment.
pub(crate) fn copied(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a folder");
    for name in ["grants.sqlite3", "grants.sqlite3-wal", "grants.committed"] {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.path().join(name)).expect("a copy");
        }
    }
    to
}

/// The bytes of the database and its log.
pub(crate) fn bytes(folder: &Path) -> [Option<Vec<u8>>; 2] {
    ["grants.sqlite3", "grants.sqlite3-wal"].map(|name| fs::read(folder.join(name)).ok())
}

/// Numbers that look random, and are the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = usize::try_from((z ^ (z >> 31)) >> 8).expect("a number of 56 bits");
        z % bound
    }
}

//! The decision log that a process finds: its file, the note of its state, and records that wait.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use keyward::telemetry::log::chain::{Algorithm, Head};
use keyward::telemetry::log::file::Rotation;
use keyward::telemetry::log::settings::{
    Filter, Mode, Place, Settings as LogSettings, SpillSettings,
};
use keyward::telemetry::log::verify::{Report, Verifier};
use keyward::telemetry::{Settings, Telemetry};
use keyward::wire::record::Masks;
use keyward::wire::record::mask::Mask;

/// What stands between the files of an input.
const BETWEEN: &[u8] = b"\n%%\n";

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder")
});

/// Goes on with a log that any bytes are, beside a state and waiting records that any bytes are; then
/// with a log that is made of them, and that is torn somewhere.
///
/// There is an end, whatever is found. What was made is whole when it was gone on with, but for the
/// record that is torn; that nobody knows how the process before ended is told.
pub fn run(data: &[u8]) {
    let mut files = cut(data);
    let mut next = || files.pop().unwrap_or_default();
    let (log, state, waiting) = (next(), next(), next());
    gone_on(log, Some(state), Some(waiting));

    let lines: Vec<&[u8]> = log.split(|byte| *byte == b'\n').take(8).collect();
    let whole = made(&lines);
    let at = data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(*byte));
    let torn = &whole[..at % (whole.len() + 1)];
    let kept = torn.iter().filter(|byte| **byte == b'\n').count() as u64;
    let (after, head) = gone_on(torn, None, None);
    assert_eq!(after.faults, 0, "{:?}", after.findings);
    assert_eq!((after.decisions, after.unclean_ends), (kept, u64::from(!torn.is_empty())));
    assert_eq!(after.head.to_string(), head);
}

/// A log of decisions with these ids.
fn made(ids: &[&[u8]]) -> Vec<u8> {
    let (algorithm, mut head, mut log) = (Algorithm::new(None), Head::default(), Vec::new());
    for id in ids {
        let event = serde_json::json!({
            "eventID": String::from_utf8_lossy(id),
            "keyward": { "decision": "denied" },
        });
        algorithm.seal(&mut head, event.to_string().as_bytes(), 0, &mut log);
    }
    log
}

/// The parts, the first one last.
fn cut(mut data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some(at) = data.windows(BETWEEN.len()).position(|part| part == BETWEEN) {
        parts.push(&data[..at]);
        data = &data[at + BETWEEN.len()..];
    }
    parts.push(data);
    parts.reverse();
    parts
}

fn verified(log: &[u8]) -> Report {
    let mut verifier = Verifier::new(None, None);
    verifier.file("log", &mut &log[..]).expect("bytes in memory can be read");
    verifier.finish()
}

/// A process that goes on with the log and ends: what is there then, and the head that it told.
fn gone_on(log: &[u8], state: Option<&[u8]>, waiting: Option<&[u8]>) -> (Report, String) {
    let folder = FOLDER.path().join("log");
    // It is not there the first time.
    let _ = fs::remove_dir_all(&folder);
    let spill = folder.join("spill");
    let records = spill.join("file");
    fs::create_dir_all(&records).expect("a folder");
    let path = folder.join("decisions.jsonl");
    let put = |path: PathBuf, bytes: &[u8]| fs::write(path, bytes).expect("a file");
    put(path.clone(), log);
    if let Some(state) = state {
        put(folder.join("decisions.jsonl.state"), state);
    }
    if let Some(waiting) = waiting {
        put(records.join("records.0000000003"), waiting);
        put(records.join("taken"), state.unwrap_or_default());
    }
    let settings = Settings {
        log: Some(LogSettings {
            sinks: vec![Place::File(path.clone())],
            mode: Mode::Spill(SpillSettings { folder: spill, bytes: 1 << 20 }),
            filter: Filter::default(),
            masks: Masks { encryption_context: Mask::Clear, principal_tags: Mask::Clear },
            key: None,
            rotation: Rotation { bytes: 1 << 20, age: Duration::from_secs(86_400), keep: 3 },
            notes: None,
        }),
        ..Settings::default()
    };
    let telemetry = match Telemetry::start(settings) {
        Ok(telemetry) => telemetry,
        Err(error) => panic!("cannot go on with the log: {error}"),
    };
    telemetry.close();
    let head = telemetry.sinks().first().map(|sink| sink.head.to_string()).unwrap_or_default();
    (verified(&fs::read(&path).expect("the log")), head)
}

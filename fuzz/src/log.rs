//! A decision log, as `keyward log verify` reads it.

use keyward::telemetry::log::chain::{Algorithm, Head};
use keyward::telemetry::log::verify::{Report, Verifier};

/// Lines of a log that is made of an input.
const LINES: usize = 64;

/// Verifies any bytes, then a log that is made of them, then that log with something done to it.
///
/// Whatever is read, there is a report. A log with no fault has one as soon as a record that is not
/// at its end is gone. The log that was made is whole; deleted, reordered, edited or cut off, it is not.
pub fn run(data: &[u8]) {
    for key in [None, Some(&b"key"[..])] {
        let report = verified(data, key, None);
        assert!(report.findings.len() <= Verifier::FINDINGS);
        assert!(report.faults >= report.findings.len() as u64);
        if report.faults == 0 {
            let lines: Vec<&[u8]> = data.split_inclusive(|byte| *byte == b'\n').collect();
            for gone in 1..lines.len().saturating_sub(1).min(LINES) {
                let rest = [&lines[..gone], &lines[gone + 1..]].concat().concat();
                assert_ne!(verified(&rest, key, None).faults, 0, "line {gone} can be taken away");
            }
        }
        tampered(data, key);
    }
}

fn verified(log: &[u8], key: Option<&[u8]>, head: Option<&Head>) -> Report {
    let noted = head.map(|head| head.to_string().parse().expect("a head"));
    let mut verifier = Verifier::new(key, noted);
    verifier.file("log", &mut &log[..]).expect("bytes in memory can be read");
    verifier.finish()
}

fn tampered(data: &[u8], key: Option<&[u8]>) {
    let [what, first, second, bytes @ ..] = data else { return };
    let (algorithm, mut head) = (Algorithm::new(key), Head::default());
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for value in bytes.split(|byte| *byte == b'\n').take(LINES) {
        let event = serde_json::json!({
            "eventID": String::from_utf8_lossy(value),
            "keyward": { "decision": "denied" },
        });
        let lost = value.first().copied().unwrap_or(0);
        let mut line = Vec::new();
        algorithm.seal(&mut head, event.to_string().as_bytes(), u64::from(lost), &mut line);
        lines.push(line);
    }
    let report = verified(&lines.concat(), key, Some(&head));
    assert_eq!((report.faults, report.decisions), (0, lines.len() as u64), "{:?}", report.findings);
    assert_eq!(report.head, head);

    let (first, second) = (usize::from(*first) % lines.len(), usize::from(*second));
    match what % 5 {
        0 => drop(lines.remove(first)),
        1 => {
            let other = second % lines.len();
            if first == other {
                return;
            }
            lines.swap(first, other);
        }
        2 => {
            let line = &mut lines[first];
            let at = second % line.len();
            line[at] ^= 1;
        }
        3 => {
            let line = &mut lines[first];
            line.truncate(second % line.len());
        }
        _ => {
            let again = lines[first].clone();
            lines.insert(second % lines.len(), again);
        }
    }
    let report = verified(&lines.concat(), key, Some(&head));
    assert_ne!(report.faults, 0, "what was done ({what}) at {first} and {second} is not found");
}

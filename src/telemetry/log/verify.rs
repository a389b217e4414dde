//! Verifying a log: that no record was deleted, reordered, edited or cut off.

use std::fmt;
use std::io::{self, BufRead};

use super::chain::{Algorithm, Head, NotedHead, unseal};
use super::file::LONGEST;
use crate::wire::record::control::Sealed;

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes of a record are not those that were hashed.
    Edited,
    /// The line is no record at all.
    NoRecord,
    /// Records are missing before this one.
    Missing {
        /// How many.
        count: u64,
    },
    /// The record stands behind one with a higher number.
    OutOfOrder {
        /// The number before it.
        after: u64,
    },
    /// The record has the number of the one before.
    Repeated,
    /// The record does not follow the one before, whatever its number says.
    Unlinked,
    /// The last line has no end.
    CutOff,
    /// The log ends before the head.
    EndsEarly {
        /// The number that the head names.
        head: u64,
    },
    /// The record that the head names has another hash.
    NotTheHead,
    /// The record that the head names is not among those that were read.
    NotGiven {
        /// The number that the head names.
        head: u64,
    },
    /// The first record is none that may be the first.
    BeginsLate {
        /// Records up to this one were removed by the log itself.
        pruned: u64,
    },
}

impl Fault {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::NoRecord => "no-record",
            Self::Missing { .. } => "missing",
            Self::OutOfOrder { .. } => "out-of-order",
            Self::Repeated => "repeated",
            Self::Unlinked => "unlinked",
            Self::CutOff => "cut-off",
            Self::EndsEarly { .. } => "ends-early",
            Self::NotTheHead => "not-the-head",
            Self::NotGiven { .. } => "not-given",
            Self::BeginsLate { .. } => "begins-late",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited => f.write_str("the record was edited, or the key is another one"),
            Self::NoRecord => f.write_str("the line is no record"),
            Self::Missing { count } => write!(f, "{count} records before this one are missing"),
            Self::OutOfOrder { after } => write!(f, "the record stands behind record {after}"),
            Self::Repeated => f.write_str("the record before has the same number"),
            Self::Unlinked => f.write_str("the record does not follow the one before"),
            Self::CutOff => f.write_str("the last record is cut off"),
            Self::EndsEarly { head } => {
                write!(f, "the log ends here, and the head is record {head}: the end is cut off")
            }
            Self::NotTheHead => f.write_str("the record is not the one that the head names"),
            Self::NotGiven { head } => {
                write!(f, "record {head}, which the head names, is not in these files")
            }
            Self::BeginsLate { pruned } => write!(
                f,
                "the log begins here, and the log itself removed records up to {pruned} alone"
            ),
        }
    }
}

/// A fault and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The number of the record, where it could be read.
    pub sequence: Option<u64>,
    /// What is wrong.
    pub fault: Fault,
}

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, in the order of the log; at most [`Verifier::FINDINGS`].
    pub findings: Vec<Finding>,
    /// All that is wrong.
    pub faults: u64,
    /// Decisions recorded.
    pub decisions: u64,
    /// The number of the first record.
    pub first: Option<u64>,
    /// The last record.
    pub head: Head,
    /// Decisions that the log says were lost, in these files.
    pub lost: u64,
    /// Times that a process did not end well.
    pub unclean_ends: u64,
    /// At most so many decisions are missing because of that; `None` when it is not known.
    pub at_most_missing: Option<u64>,
}

/// Reads a log record by record.
#[derive(Debug)]
pub struct Verifier {
    algorithm: Algorithm,
    noted: Option<NotedHead>,
    report: Report,
    pruned: u64,
    seen: bool,
    began: Option<(String, u64)>,
    place: (String, u64),
}

impl Verifier {
    /// Findings that are kept.
    pub const FINDINGS: usize = 100;

    /// Verifies with a key or without one, against a head that somebody noted.
    #[must_use]
    pub fn new(key: Option<&[u8]>, noted: Option<NotedHead>) -> Self {
        Self {
            algorithm: Algorithm::new(key),
            noted,
            report: Report { at_most_missing: Some(0), ..Report::default() },
            pruned: 0,
            seen: false,
            began: None,
            place: (String::new(), 0),
        }
    }

    /// Reads the next file of the log.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn file(&mut self, name: &str, reader: &mut impl BufRead) -> io::Result<()> {
        self.place = (name.to_owned(), 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut bounded = io::Read::take(&mut *reader, LONGEST as u64 + 1);
            if bounded.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            self.place.1 += 1;
            if line.len() > LONGEST {
                self.found(None, Fault::NoRecord);
                skip_line(reader)?;
            } else if let Some(line) = line.strip_suffix(b"\n") {
                self.record(line);
            } else {
                self.found(None, Fault::CutOff);
            }
        }
    }

    /// What was found.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let last = self.report.head.sequence;
        match self.noted.take().filter(|_| !self.seen) {
            Some(noted) if noted.sequence > last => {
                self.found(Some(last), Fault::EndsEarly { head: noted.sequence });
            }
            Some(noted) => self.found(None, Fault::NotGiven { head: noted.sequence }),
            None => {}
        }
        // The log says itself which old files it removed.
        if let Some((first, place)) = self.report.first.zip(self.began.take())
            && self.pruned.saturating_add(1) < first
        {
            let pruned = self.pruned;
            self.place = place;
            self.found(Some(first), Fault::BeginsLate { pruned });
        }
        self.report
    }

    fn found(&mut self, sequence: Option<u64>, fault: Fault) {
        self.report.faults += 1;
        if self.report.findings.len() < Self::FINDINGS {
            let (file, line) = self.place.clone();
            self.report.findings.push(Finding { file, line, sequence, fault });
        }
    }

    fn record(&mut self, line: &[u8]) {
        let sealed = serde_json::from_slice::<Sealed>(line).ok();
        let Some((sealed, (hashed, hash))) = sealed.zip(unseal(line)) else {
            return self.found(None, Fault::NoRecord);
        };
        let sequence = sealed.chain.sequence;
        if self.algorithm.hash(hashed) != hash {
            self.found(Some(sequence), Fault::Edited);
        }
        if let Some(fault) = self.misplaced(&sealed) {
            self.found(Some(sequence), fault);
        }
        if let Some(noted) = self.noted.as_ref().filter(|noted| noted.sequence == sequence) {
            let same = hash.starts_with(&noted.digits);
            self.seen = true;
            if !same {
                self.found(Some(sequence), Fault::NotTheHead);
            }
        }
        if self.report.first.is_none() {
            self.report.first = Some(sequence);
            self.began = Some(self.place.clone());
        }
        self.count(&sealed);
        if sequence >= self.report.head.sequence {
            self.report.head = Head { sequence, hash: hash.to_owned(), lost: sealed.chain.lost };
        }
    }

    /// How a record does not follow the one before.
    fn misplaced(&self, sealed: &Sealed) -> Option<Fault> {
        let (sequence, head) = (sealed.chain.sequence, &self.report.head);
        if self.report.first.is_none() {
            let fresh = sequence != 1 || sealed.chain.previous == Head::default().hash;
            return (!fresh).then_some(Fault::Unlinked);
        }
        let next = head.sequence.checked_add(1)?;
        match sequence.cmp(&next) {
            std::cmp::Ordering::Greater => Some(Fault::Missing { count: sequence - next }),
            std::cmp::Ordering::Less if sequence == head.sequence => Some(Fault::Repeated),
            std::cmp::Ordering::Less => Some(Fault::OutOfOrder { after: head.sequence }),
            std::cmp::Ordering::Equal if sealed.chain.previous != head.hash => {
                Some(Fault::Unlinked)
            }
            std::cmp::Ordering::Equal => None,
        }
    }

    fn count(&mut self, sealed: &Sealed) {
        self.report.lost = self.report.lost.saturating_add(sealed.chain.lost_before);
        match sealed.keyward.kind.as_deref() {
            None => self.report.decisions += 1,
            Some("uncleanEnd") => {
                self.report.unclean_ends += 1;
                let more = sealed.keyward.at_most_missing;
                self.report.at_most_missing = self
                    .report
                    .at_most_missing
                    .zip(more)
                    .map(|(sum, more)| sum.saturating_add(more));
            }
            Some("pruned") => self.pruned = self.pruned.max(sealed.keyward.through),
            Some(_) => {}
        }
    }
}

/// Reads over the rest of a line, however long it is.
fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::{Algorithm, Head};
    use super::{Report, Verifier};

    /// A log of `count` decisions.
    fn log(key: Option<&[u8]>, count: u64) -> (Vec<String>, Head) {
        let (algorithm, mut head) = (Algorithm::new(key), Head::default());
        let lines = (0..count).map(|number| {
            let mut line = Vec::new();
            let body = format!(r#"{{"eventID":"{number}","keyward":{{}}}}"#);
            algorithm.seal(&mut head, body.as_bytes(), u64::from(number == 3), &mut line);
            String::from_utf8(line).unwrap()
        });
        let lines = lines.collect();
        (lines, head)
    }

    fn verified(lines: &[String], key: Option<&[u8]>, head: Option<&str>) -> Report {
        let mut verifier = Verifier::new(key, head.map(|head| head.parse().unwrap()));
        verifier.file("log", &mut lines.concat().as_bytes()).unwrap();
        verifier.finish()
    }

    #[track_caller]
    fn check(lines: &[String], head: Option<&str>, expected: &[(&str, u64)]) {
        let report = verified(lines, None, head);
        let found: Vec<(&str, u64)> =
            report.findings.iter().map(|finding| (finding.fault.code(), finding.line)).collect();
        assert_eq!(found, expected);
        assert_eq!(report.faults, expected.len() as u64);
    }

    #[test]
    fn a_whole_log_has_no_fault_and_its_losses_are_told() {
        for key in [None, Some(&b"k"[..])] {
            let (lines, head) = log(key, 9);
            let report = verified(&lines, key, Some(&head.to_string()));
            assert_eq!((report.faults, report.decisions, report.lost), (0, 9, 1));
            assert_eq!(report.head, head);
        }
    }

    #[test]
    fn a_deleted_reordered_edited_or_cut_off_record_is_found() {
        let (lines, head) = log(None, 9);
        let head = head.to_string();
        let mut deleted = lines.clone();
        deleted.drain(3..5);
        check(&deleted, None, &[("missing", 4)]);

        let mut reordered = lines.clone();
        reordered.swap(3, 4);
        check(&reordered, None, &[("missing", 4), ("out-of-order", 5)]);

        let mut edited = lines.clone();
        edited[3] = edited[3].replace(r#""eventID":"3""#, r#""eventID":"8""#);
        check(&edited, None, &[("edited", 4)]);

        let mut repeated = lines.clone();
        repeated.insert(3, lines[2].clone());
        check(&repeated, None, &[("repeated", 4)]);

        let mut torn = lines.clone();
        torn[8].truncate(20);
        check(&torn, None, &[("cut-off", 9)]);
        check(&lines[..8], None, &[]);
        check(&lines[..8], Some(&head), &[("ends-early", 8)]);
        check(&lines[..8], Some(&head[..16]), &[("ends-early", 8)]);

        let mut foreign = lines.clone();
        foreign[2] = "{}\n".to_owned();
        check(&foreign, None, &[("no-record", 3), ("missing", 4)]);
    }

    #[test]
    fn without_the_key_a_log_cannot_be_written_anew() {
        let (lines, head) = log(Some(b"key"), 5);
        let (forged, _) = log(Some(b"another"), 5);
        assert_eq!(verified(&lines, Some(b"key"), None).faults, 0);
        assert_eq!(verified(&forged, Some(b"key"), None).faults, 5);
        assert_eq!(verified(&lines, None, None).faults, 5);
        // Without a key everything can be written anew, but for the head that was noted.
        let (mut shorter, _) = log(None, 9);
        let (_, noted) = log(None, 5);
        assert_eq!(verified(&shorter, None, Some(&noted.to_string())).faults, 0);
        shorter[4] = log(None, 5).0[4].replace("lost", "lose");
        assert_ne!(verified(&shorter, None, Some(&noted.to_string())).faults, 0);
        let other = head.to_string();
        let report = verified(&log(None, 9).0, None, Some(&other));
        assert_eq!(report.findings[0].fault.code(), "not-the-head");
    }

    #[test]
    fn lines_without_bound_are_read_over() {
        let (lines, _) = log(None, 2);
        let long = "x".repeat(super::LONGEST + 100) + "\n";
        check(&[lines[0].clone(), long, lines[1].clone()], None, &[("no-record", 2)]);
    }
}

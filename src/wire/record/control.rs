//! Records of the log about itself, and the seal at the end of each record.

use serde::{Deserialize, Serialize};

use crate::engine::term::time::Timestamp;

/// What the log says of itself.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Control {
    /// A process began to write.
    #[serde(rename_all = "camelCase")]
    Started {
        /// How records are hashed: `sha256` or `hmac-sha256`.
        algorithm: &'static str,
    },
    /// The process before did not end well.
    #[serde(rename_all = "camelCase")]
    UncleanEnd {
        /// At most so many decisions were answered and are missing; `None` when it is not known.
        at_most_missing: Option<u64>,
        /// Bytes of a record that was being written, removed.
        torn_bytes: u64,
        /// Records that had been written and are not there any more.
        removed_records: u64,
    },
    /// The process ended well.
    Stopped,
    /// Old files were removed, as the configuration says.
    Pruned {
        /// The number of the last record that was removed.
        through: u64,
    },
}

impl Control {
    fn event_name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "DecisionLogStarted",
            Self::UncleanEnd { .. } => "DecisionLogUncleanEnd",
            Self::Stopped => "DecisionLogStopped",
            Self::Pruned { .. } => "DecisionLogPruned",
        }
    }

    /// The record as one line of JSON, without the line's end.
    #[must_use]
    pub fn line(&self, now: Timestamp) -> Vec<u8> {
        let event = ControlEvent {
            event_version: "1.11",
            event_time: now.to_string(),
            event_source: "keyward",
            event_name: self.event_name(),
            event_type: "KeywardLogEvent",
            keyward: self,
        };
        serde_json::to_vec(&event).unwrap_or_else(|_| b"{}".to_vec())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ControlEvent<'a> {
    event_version: &'static str,
    event_time: String,
    event_source: &'static str,
    event_name: &'static str,
    event_type: &'static str,
    keyward: &'a Control,
}

/// What a reader of the log needs of a record.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sealed {
    /// The unique id of a decision.
    #[serde(default, rename = "eventID")]
    pub event_id: Option<String>,
    /// The object that only Keyward knows.
    pub keyward: SealedKeyward,
    /// The seal.
    pub chain: Seal,
}

/// The id of a record.
#[derive(Clone, Debug, Deserialize)]
pub struct Known {
    /// The unique id of a decision.
    #[serde(default, rename = "eventID")]
    pub event_id: Option<String>,
}

/// The `keyward` object, as far as a reader of the log needs it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedKeyward {
    /// Which record of the log about itself it is.
    #[serde(default)]
    pub kind: Option<String>,
    /// Of an unclean end.
    #[serde(default)]
    pub at_most_missing: Option<u64>,
    /// Of an unclean end.
    #[serde(default)]
    pub removed_records: u64,
    /// Of a removal of old files.
    #[serde(default)]
    pub through: u64,
}

/// The `chain` object: the last member of every record.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seal {
    /// The number of the record, from 1.
    pub sequence: u64,
    /// Decisions lost between the record before and this one.
    #[serde(default)]
    pub lost_before: u64,
    /// All decisions lost so far.
    pub lost: u64,
    /// The hash of the record before; 64 zeros before the first.
    pub previous: String,
    /// The hash of this record.
    pub hash: String,
}

/// What is kept beside the log file, to know after an unclean end what may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct State {
    /// Whether the last process ended well.
    pub clean: bool,
    /// No more decisions than this were ever offered to the log.
    pub limit: u64,
    /// The number of the last record that was surely written.
    pub sequence: u64,
    /// Its hash.
    pub hash: String,
    /// All decisions lost up to it.
    pub lost: u64,
}

impl State {
    /// How many decisions at most are neither in the log nor reported there.
    #[must_use]
    pub fn owed(&self) -> u64 {
        self.limit.saturating_sub(self.sequence.saturating_add(self.lost))
    }
}

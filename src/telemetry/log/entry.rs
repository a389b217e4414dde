//! What waits to be written.

use tokio::sync::oneshot;

use super::counts::Loss;
use crate::engine::decide::decision::Verdict;
use crate::engine::decide::reason::Reason;

/// A record on its way to a sink.
#[derive(Debug)]
pub(super) struct Entry {
    /// The record, a JSON object without its seal.
    pub(super) body: std::sync::Arc<[u8]>,
    /// What a sink tells beside the record.
    pub(super) about: About,
    /// Who waits for it to be written.
    pub(super) waiter: Option<oneshot::Sender<Result<(), Loss>>>,
}

/// What a sink tells beside a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::telemetry) struct About {
    /// Nanoseconds since the epoch.
    pub(in crate::telemetry) time: u64,
    /// The trace; 0 for none.
    pub(in crate::telemetry) trace: u128,
    /// The span; 0 for none.
    pub(in crate::telemetry) span: u64,
    /// Whether the span is exported.
    pub(in crate::telemetry) sampled: bool,
    /// Whether it is about a change that the decision allowed, not about the decision.
    pub(in crate::telemetry) change: bool,
    /// The decision; `None` for records of the log about itself.
    pub(in crate::telemetry) decided: Option<(Verdict, &'static str, Reason)>,
}

/// What travels in the queue of a sink.
#[derive(Debug)]
pub(super) enum Message {
    /// A record.
    Record(Entry),
    /// Write what came before, and end.
    Close,
}

//! The sink that is a collector.

use super::counts::Loss;
use super::sink::{CannotWrite, Sealed, Sink};
use crate::telemetry::otlp::records::Records;

/// A collector, by OTLP logs. What is sent again, because nobody said that it arrived, has the same
/// ids.
#[derive(Debug)]
pub(super) struct CollectorSink(pub(super) Records);

impl Sink for CollectorSink {
    fn write(&mut self, batch: &Sealed) -> Result<u64, CannotWrite> {
        let abouts = batch.entries.iter().map(|entry| entry.about);
        self.0.send(batch.lines().zip(abouts)).map_err(|error| CannotWrite {
            message: format!("the collector does not take records: {error}"),
            loss: if error.again { Loss::Unacknowledged } else { Loss::Rejected },
            again: error.again,
        })
    }
}

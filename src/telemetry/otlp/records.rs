//! The sink that is a collector: decision records as OTLP logs.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::runtime::Runtime;

use super::super::log::About;
use super::client::{Collector, NotExported};
use super::settings::{OtlpSettings, Target};
use super::{convert, nanoseconds};

/// The connection of a sink to its collector.
#[derive(Debug)]
pub(in crate::telemetry) struct Records {
    runtime: Runtime,
    collector: Collector,
    resource: Resource,
}

impl Records {
    /// A connection; it is made when it is needed.
    pub(in crate::telemetry) fn new(
        settings: &OtlpSettings,
        target: &Target,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let collector = {
            let _within = runtime.enter();
            Collector::new(target)?
        };
        Ok(Self { runtime, collector, resource: convert::resource(&settings.resource) })
    }

    /// Sends records; gives back how many the collector did not want.
    pub(in crate::telemetry) fn send<'a>(
        &self,
        records: impl Iterator<Item = (&'a [u8], About)>,
    ) -> Result<u64, NotExported> {
        let observed = nanoseconds();
        let log_records = records.map(|(line, about)| record(line, &about, observed)).collect();
        let message = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(self.resource.clone()),
                scope_logs: vec![ScopeLogs {
                    scope: Some(convert::scope()),
                    log_records,
                    ..ScopeLogs::default()
                }],
                ..ResourceLogs::default()
            }],
        };
        self.runtime.block_on(self.collector.logs(message))
    }
}

fn record(line: &[u8], about: &About, observed: u64) -> LogRecord {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let attributes = match about.decided {
        Some((verdict, action, reason)) => vec![
            convert::pair("keyward.decision", convert::text(verdict.name())),
            convert::pair("keyward.action", convert::text(action)),
            convert::pair("keyward.reason", convert::text(reason.name())),
        ],
        None => Vec::new(),
    };
    let event = match about.decided {
        Some(_) if about.change => "keyward.grant_change",
        Some(_) => "keyward.decision",
        None => "keyward.decision_log",
    };
    LogRecord {
        time_unix_nano: about.time,
        observed_time_unix_nano: observed,
        severity_number: SeverityNumber::Info.into(),
        severity_text: "INFO".to_owned(),
        body: Some(convert::text(String::from_utf8_lossy(line))),
        attributes,
        flags: u32::from(about.sampled),
        trace_id: bytes(about.trace != 0, &about.trace.to_be_bytes()),
        span_id: bytes(about.span != 0, &about.span.to_be_bytes()),
        event_name: event.to_owned(),
        ..LogRecord::default()
    }
}

fn bytes(there: bool, bytes: &[u8]) -> Vec<u8> {
    if there { bytes.to_vec() } else { Vec::new() }
}

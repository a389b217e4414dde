//! A collector, for one signal: the connection, and what its answers mean.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataMap};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

use super::settings::Target;

/// Time to make a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// A collector, for one signal.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct Collector {
    channel: Channel,
    headers: MetadataMap,
    timeout: Duration,
    gzip: bool,
}

/// The settings of a collector cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("collector `{endpoint}`: {message}")]
pub(in crate::telemetry) struct InvalidTarget {
    endpoint: String,
    message: String,
}

/// An export failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(in crate::telemetry) struct NotExported {
    /// Why.
    pub(in crate::telemetry) message: String,
    /// Whether it may succeed later, or has succeeded unheard.
    pub(in crate::telemetry) again: bool,
}

impl Collector {
    /// A collector; the connection is made when it is needed. Needs a runtime.
    ///
    /// # Errors
    ///
    /// The address, a header or a certificate cannot be used.
    pub(in crate::telemetry) fn new(target: &Target) -> Result<Self, InvalidTarget> {
        let invalid =
            |message: String| InvalidTarget { endpoint: target.endpoint.clone(), message };
        let endpoint = Endpoint::from_shared(target.endpoint.clone())
            .map_err(|error| invalid(error.to_string()))?
            .connect_timeout(CONNECT.min(target.timeout));
        let endpoint = if target.endpoint.starts_with("https://") {
            let tls = tls(target).map_err(invalid)?;
            endpoint.tls_config(tls).map_err(|error| invalid(error.to_string()))?
        } else {
            endpoint
        };
        let mut headers = MetadataMap::new();
        for (name, value) in &target.headers {
            let key = AsciiMetadataKey::from_bytes(name.as_bytes());
            let value = AsciiMetadataValue::try_from(&**value);
            let (Ok(key), Ok(mut value)) = (key, value) else {
                return Err(invalid(format!("the header `{name}` cannot be sent")));
            };
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        let channel = endpoint.connect_lazy();
        Ok(Self { channel, headers, timeout: target.timeout, gzip: target.gzip })
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.headers.clone();
        request.set_timeout(self.timeout);
        request
    }

    /// Sends records; gives back how many the collector did not want.
    pub(in crate::telemetry) async fn logs(
        &self,
        message: ExportLogsServiceRequest,
    ) -> Result<u64, NotExported> {
        let mut client = LogsServiceClient::new(self.channel.clone());
        if self.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let answer = self.in_time(client.export(self.request(message))).await?;
        let partial = answer.into_inner().partial_success;
        Ok(partial.map_or(0, |partial| u64::try_from(partial.rejected_log_records).unwrap_or(0)))
    }

    /// Sends spans; gives back how many the collector did not want.
    pub(in crate::telemetry) async fn traces(
        &self,
        message: ExportTraceServiceRequest,
    ) -> Result<u64, NotExported> {
        let mut client = TraceServiceClient::new(self.channel.clone());
        if self.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let answer = self.in_time(client.export(self.request(message))).await?;
        let partial = answer.into_inner().partial_success;
        Ok(partial.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0)))
    }

    /// Sends metrics; gives back how many values the collector did not want.
    pub(in crate::telemetry) async fn metrics(
        &self,
        message: ExportMetricsServiceRequest,
    ) -> Result<u64, NotExported> {
        let mut client = MetricsServiceClient::new(self.channel.clone());
        if self.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let answer = self.in_time(client.export(self.request(message))).await?;
        let partial = answer.into_inner().partial_success;
        Ok(partial.map_or(0, |partial| u64::try_from(partial.rejected_data_points).unwrap_or(0)))
    }

    async fn in_time<T>(
        &self,
        export: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, NotExported> {
        match tokio::time::timeout(self.timeout, export).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => {
                Err(NotExported { message: in_words(&status), again: again(&status) })
            }
            Err(_) => {
                let message = format!("no answer within {:?}", self.timeout);
                Err(NotExported { message, again: true })
            }
        }
    }
}

fn tls(target: &Target) -> Result<ClientTlsConfig, String> {
    let read = |path: &String| {
        std::fs::read(path).map_err(|error| format!("cannot read `{path}`: {error}"))
    };
    let mut tls = ClientTlsConfig::new();
    tls = match &target.certificate {
        Some(path) => tls.ca_certificate(Certificate::from_pem(read(path)?)),
        None => tls.with_native_roots(),
    };
    if let Some((certificate, key)) = &target.identity {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(tls)
}

/// Whether an export may succeed later.
///
/// Source: OTLP specification, "OTLP/gRPC response" (retryable codes). What broke with the
/// connection may succeed later as well.
fn again(status: &Status) -> bool {
    let broken = std::error::Error::source(status).is_some();
    broken
        || matches!(
            status.code(),
            Code::Cancelled
                | Code::DeadlineExceeded
                | Code::ResourceExhausted
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unavailable
                | Code::DataLoss
        )
}

/// The message of a status, with what lies behind it.
fn in_words(status: &Status) -> String {
    let mut text = format!("{:?}: {}", status.code(), status.message());
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

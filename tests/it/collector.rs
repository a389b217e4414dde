//! A collector in this process: it takes what OTLP exporters send, slowly or not at all if told so.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::ServerTlsConfig;
use tonic::{Request, Response, Status};

use crate::doors::parsed;

/// What a collector took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    pub(crate) spans: Vec<Span>,
    pub(crate) records: Vec<LogRecord>,
    /// The metrics of the last export.
    pub(crate) metrics: Vec<Metric>,
    /// For each signal how its last message was compressed, and whether a client certificate came
    /// with it.
    pub(crate) came: HashMap<&'static str, (Option<String>, bool)>,
}

/// A collector.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
    gate: watch::Sender<bool>,
    tls: Option<ServerTlsConfig>,
    runtime: Option<Runtime>,
}

#[derive(Clone)]
struct Service {
    taken: Arc<Mutex<Taken>>,
    /// Nothing is answered before it is open.
    gate: watch::Receiver<bool>,
}

impl Service {
    fn came<T>(&self, signal: &'static str, call: &Request<T>) {
        let encoding = call.metadata().get("grpc-encoding");
        let encoding = encoding.and_then(|name| name.to_str().ok()).map(str::to_owned);
        let certified = call.peer_certs().is_some_and(|certificates| !certificates.is_empty());
        self.taken.lock().expect("taken").came.insert(signal, (encoding, certified));
    }

    async fn answer<T: Default>(&self) -> Result<Response<T>, Status> {
        let mut gate = self.gate.clone();
        gate.wait_for(|open| *open).await.map_err(|_| Status::unavailable("gone"))?;
        Ok(Response::new(T::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        call: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.came("traces", &call);
        let spans = call.into_inner().resource_spans.into_iter().flat_map(|r| r.scope_spans);
        self.taken.lock().expect("taken").spans.extend(spans.flat_map(|scope| scope.spans));
        self.answer().await
    }
}

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        call: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.came("logs", &call);
        let logs = call.into_inner().resource_logs.into_iter().flat_map(|r| r.scope_logs);
        self.taken.lock().expect("taken").records.extend(logs.flat_map(|scope| scope.log_records));
        self.answer().await
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        call: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.came("metrics", &call);
        let metrics = call.into_inner().resource_metrics.into_iter().flat_map(|r| r.scope_metrics);
        self.taken.lock().expect("taken").metrics =
            metrics.flat_map(|scope| scope.metrics).collect();
        self.answer().await
    }
}

impl Collector {
    /// One on a free port.
    pub(crate) fn start() -> Self {
        let mut collector = Self::absent();
        collector.come_back();
        collector
    }

    /// One that speaks TLS.
    pub(crate) fn start_with(tls: ServerTlsConfig) -> Self {
        let mut collector = Self::absent();
        collector.tls = Some(tls);
        collector.come_back();
        collector
    }

    /// One that is not there yet.
    pub(crate) fn absent() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let gate = watch::Sender::new(true);
        Self { address, taken: Arc::default(), gate, tls: None, runtime: None }
    }

    /// It answers nothing until it is told to again.
    pub(crate) fn answers(&self, answers: bool) {
        self.gate.send_replace(answers);
    }

    /// It and its connections are gone.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// It is there again, at the same address.
    pub(crate) fn come_back(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let service = Service { taken: Arc::clone(&self.taken), gate: self.gate.subscribe() };
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an address that may be used again");
        let listener = {
            let _within = runtime.enter();
            // What was killed may hold the port for a moment.
            let bound = (0..10_000).find_map(|_| {
                let socket = tokio::net::TcpSocket::new_v4().ok()?;
                socket.set_reuseaddr(true).ok()?;
                socket.bind(self.address).and_then(|()| socket.listen(64)).ok()
            });
            bound.expect("the port")
        };
        drop(socket);
        let mut server = tonic::transport::Server::builder();
        if let Some(tls) = &self.tls {
            server = server.tls_config(tls.clone()).expect("a certificate");
        }
        let gzip = CompressionEncoding::Gzip;
        runtime.spawn(
            server
                .add_service(TraceServiceServer::new(service.clone()).accept_compressed(gzip))
                .add_service(MetricsServiceServer::new(service.clone()).accept_compressed(gzip))
                .add_service(
                    LogsServiceServer::new(service)
                        .max_decoding_message_size(64 * 1024 * 1024)
                        .accept_compressed(gzip),
                )
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        self.runtime = Some(runtime);
    }

    pub(crate) fn taken(&self) -> Taken {
        self.taken.lock().expect("taken").clone()
    }

    /// The decision records and those of the log about itself, each once: what was sent again has
    /// the same number.
    pub(crate) fn records(&self) -> Vec<Value> {
        let mut found: HashMap<u64, Value> = HashMap::new();
        for record in self.taken().records {
            let body = record.body.and_then(|body| body.value);
            let Some(any_value::Value::StringValue(text)) = body else { panic!("{body:?}") };
            let value = parsed(&text);
            found.insert(value["chain"]["sequence"].as_u64().expect("a number"), value);
        }
        found.into_values().collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An attribute's text.
pub(crate) fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|pair| pair.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        other => Some(format!("{other:?}")),
    }
}

/// The sum of a counter, or of the counts of a histogram, over all values with an attribute.
pub(crate) fn sum(metrics: &[Metric], name: &str, label: (&str, &str)) -> u64 {
    let has = |attributes: &[KeyValue]| attribute(attributes, label.0).as_deref() == Some(label.1);
    let metric = metrics.iter().find(|metric| metric.name == name).expect("the metric");
    match metric.data.as_ref().expect("data") {
        metric::Data::Sum(sum) => {
            let points = sum.data_points.iter().filter(|point| has(&point.attributes));
            let value = |value: &Option<number_data_point::Value>| match value {
                Some(number_data_point::Value::AsInt(count)) => {
                    u64::try_from(*count).expect("a count")
                }
                other => panic!("{other:?}"),
            };
            points.map(|point| value(&point.value)).sum()
        }
        metric::Data::Histogram(histogram) => {
            let points = histogram.data_points.iter().filter(|point| has(&point.attributes));
            points.map(|point| point.count).sum()
        }
        other => panic!("{other:?}"),
    }
}

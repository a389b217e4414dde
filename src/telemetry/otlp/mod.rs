//! Export over OTLP/gRPC: spans and metrics by a thread of its own, so that no runtime that answers
//! has to; decision records by the thread of their sink.

pub(super) mod client;
mod convert;
pub(super) mod records;
pub mod settings;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::{mpsc, watch};

use self::client::{Collector, InvalidTarget, NotExported};
use self::settings::{Batching, OtlpSettings};
use super::Inner;
use super::clock::{self, Seldom};
use super::metrics::{Family, Kind, Point};

/// Attempts to export spans; then they are given up.
const ATTEMPTS: u32 = 3;

/// What became of what was to be exported.
#[derive(Debug, Default)]
pub(super) struct Exported {
    spans: [AtomicU64; 4],
    points: [AtomicU64; 2],
}

/// Why spans were lost; in the order of their numbers, after those that arrived.
const SPANS: [&str; 4] = ["exported", "queue_full", "export_failed", "rejected"];

impl Exported {
    fn add(&self, what: usize, count: u64) {
        if let Some(counter) = self.spans.get(what) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// A span found no room in the queue.
    pub(super) fn queue_full(&self) {
        self.add(1, 1);
    }

    fn exports(&self, succeeded: bool) {
        if let Some(counter) = self.points.get(usize::from(!succeeded)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The metrics of exporting.
    pub(super) fn families(&self) -> Vec<Family> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let [exported, lost @ ..] = &self.spans;
        let reasons = SPANS.iter().skip(1).zip(lost).map(|(reason, counter)| {
            Point::count(vec![("reason", (*reason).into())], count(counter))
        });
        let results = ["success", "failure"]
            .into_iter()
            .zip(&self.points)
            .map(|(result, counter)| Point::count(vec![("result", result.into())], count(counter)));
        vec![
            Family::new(
                Kind::Counter,
                "keyward.telemetry.spans.exported",
                "{span}",
                "Spans that the collector took.",
                vec![Point::count(Vec::new(), count(exported))],
            ),
            Family::new(
                Kind::Counter,
                "keyward.telemetry.spans.dropped",
                "{span}",
                "Spans that were lost, by reason.",
                reasons.collect(),
            ),
            Family::new(
                Kind::Counter,
                "keyward.telemetry.metrics.exports",
                "{export}",
                "Exports of metrics, by result.",
                results.collect(),
            ),
        ]
    }
}

/// The thread that exports.
#[derive(Debug)]
pub(super) struct Export {
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread works with.
pub(super) struct Work {
    pub(super) settings: OtlpSettings,
    /// Spans, where they are exported.
    pub(super) spans: Option<mpsc::Receiver<SpanData>>,
    /// The metrics, where they are exported.
    pub(super) inner: Weak<Inner>,
    pub(super) exported: Arc<Exported>,
}

/// How long the end of the service waits for the last export.
const PATIENCE: Duration = Duration::from_secs(3);

impl Export {
    /// Begins to export.
    ///
    /// # Errors
    ///
    /// A collector's settings cannot be used, or there is no thread.
    pub(super) fn start(work: Work) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let collectors = {
            let _within = runtime.enter();
            let collector = |target: &Option<settings::Target>| -> Result<_, InvalidTarget> {
                target.as_ref().map(Collector::new).transpose()
            };
            (collector(&work.settings.traces)?, collector(&work.settings.metrics)?)
        };
        let (stop, stopped) = watch::channel(false);
        let thread =
            std::thread::Builder::new().name("keyward-otlp".to_owned()).spawn(move || {
                runtime.block_on(run(work, collectors, stopped));
            })?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)) })
    }

    /// Exports what waits, and ends.
    pub(super) fn close(&self) {
        // The thread may have ended already.
        let _ = self.stop.send(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            super::wait(&thread, PATIENCE);
        }
    }
}

type Collectors = (Option<Collector>, Option<Collector>);

async fn run(work: Work, (traces, metrics): Collectors, stopped: watch::Receiver<bool>) {
    let Work { settings, spans, inner, exported } = work;
    let resource = convert::resource(&settings.resource);
    let spans = async {
        if let (Some(collector), Some(queue)) = (traces, spans) {
            let exporter = Spans {
                collector,
                resource: resource.clone(),
                exported: &exported,
                trouble: Seldom::default(),
            };
            exporter.run(queue, settings.spans, stopped.clone()).await;
        }
    };
    let metrics = async {
        if let Some(collector) = metrics {
            export_metrics(&collector, &resource, &inner, &settings, stopped.clone()).await;
        }
    };
    tokio::join!(spans, metrics);
}

struct Spans<'a> {
    collector: Collector,
    resource: Resource,
    exported: &'a Exported,
    trouble: Seldom,
}

impl Spans<'_> {
    async fn run(
        &self,
        mut queue: mpsc::Receiver<SpanData>,
        batching: Batching,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut batch = Vec::new();
        loop {
            let gathered = tokio::select! {
                gathered = gather(&mut queue, &mut batch, batching) => gathered,
                // An error means that the sender is gone: stop as well.
                _ = stopped.wait_for(|stop| *stop) => false,
            };
            if !gathered {
                break;
            }
            self.export(std::mem::take(&mut batch), ATTEMPTS).await;
        }
        queue.close();
        loop {
            while let Ok(span) = queue.try_recv() {
                batch.push(span);
                if batch.len() >= batching.batch {
                    break;
                }
            }
            if batch.is_empty() {
                return;
            }
            self.export(std::mem::take(&mut batch), 1).await;
        }
    }

    async fn export(&self, batch: Vec<SpanData>, attempts: u32) {
        if batch.is_empty() {
            return;
        }
        let count = batch.len() as u64;
        let spans = batch.into_iter().map(Into::into).collect();
        let message = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(convert::scope()),
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let mut pause = Duration::from_millis(100);
        for attempt in 1..=attempts {
            match self.collector.traces(message.clone()).await {
                Ok(rejected) => {
                    self.exported.add(0, count.saturating_sub(rejected));
                    return self.exported.add(3, rejected);
                }
                Err(error) => {
                    tell(&self.trouble, "traces", &error);
                    if !error.again || attempt == attempts {
                        break;
                    }
                    tokio::time::timeout(pause, std::future::pending::<()>()).await.unwrap_or(());
                    pause *= 4;
                }
            }
        }
        self.exported.add(2, count);
    }
}

/// Waits for a span, then for others. `false` when there will be none.
async fn gather(
    queue: &mut mpsc::Receiver<SpanData>,
    batch: &mut Vec<SpanData>,
    batching: Batching,
) -> bool {
    match queue.recv().await {
        Some(span) => batch.push(span),
        None => return false,
    }
    let more = async {
        while batch.len() < batching.batch {
            match queue.recv().await {
                Some(span) => batch.push(span),
                None => break,
            }
        }
    };
    // The others come too late for this batch.
    let _ = tokio::time::timeout(batching.delay, more).await;
    true
}

async fn export_metrics(
    collector: &Collector,
    resource: &Resource,
    inner: &Weak<Inner>,
    settings: &OtlpSettings,
    mut stopped: watch::Receiver<bool>,
) {
    let start = nanoseconds();
    let trouble = Seldom::default();
    let mut last = false;
    while !last {
        let stop = stopped.wait_for(|stop| *stop);
        last = tokio::time::timeout(settings.interval, stop).await.is_ok();
        let Some(inner) = inner.upgrade() else { return };
        let now = nanoseconds();
        let families = inner.families();
        let told = families.iter().filter(|family| !family.points.is_empty());
        let metrics = told.map(|family| convert::metric(family, start, now)).collect();
        let message = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource.clone()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(convert::scope()),
                    metrics,
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        let found = collector.metrics(message).await;
        inner.exported.exports(found.is_ok());
        if let Err(error) = found {
            tell(&trouble, "metrics", &error);
        }
    }
}

/// Tells of trouble once in a while.
fn tell(trouble: &Seldom, signal: &str, error: &NotExported) {
    if let Some(times) = trouble.due() {
        tracing::warn!(signal, times, "telemetry cannot be exported: {error}");
    }
}

fn nanoseconds() -> u64 {
    u64::try_from(clock::since_epoch().as_nanos()).unwrap_or(u64::MAX)
}

//! What is told outside: OpenTelemetry, metrics, the decision log.
//!
//! The edge calls [`Telemetry::decided`] once a decision, from any thread. Whatever is off costs one
//! branch.

pub mod call;
pub mod clock;
mod counters;
pub mod log;
mod measures;
mod metrics;
pub mod observed;
pub mod otlp;
pub mod policy;
mod random;
pub mod recorded;
pub mod trace;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;

use self::call::{Call, Method, Timer};
use self::log::counts::Loss;
use self::log::settings::Settings as LogSettings;
use self::log::{DecisionLog, Pending};
use self::measures::Measures;
use self::metrics::Family;
use self::observed::{Observed, Quantity};
use self::otlp::settings::OtlpSettings;
use self::otlp::{Export, Exported, Work};
use self::policy::{PolicyFacts, PolicySource};
use self::recorded::Intent;
use self::trace::{Always, Parent, Traces};
use crate::engine::decide::explain::Explanation;
use crate::wire::record::Decided;
use crate::wire::record::change::GrantChange;

/// What is told outside.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Whether anything is counted and measured.
    pub metrics: bool,
    /// The decision log, if there is one.
    pub log: Option<LogSettings>,
    /// What is exported, and how.
    pub otlp: OtlpSettings,
    /// Which spans are exported whatever the sampler says.
    pub always: Always,
}

/// Tells outside what is decided. A clone tells the same.
#[derive(Clone, Debug, Default)]
pub struct Telemetry(Option<Arc<Inner>>);

/// How a sink of the decision log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkStatus {
    /// Its kind.
    pub sink: String,
    /// The number and hash of its last record.
    pub head: log::chain::Head,
    /// Records written since the start.
    pub written: u64,
    /// Records lost since the start, by reason; reasons without a loss are left out.
    pub lost: Vec<(Loss, u64)>,
    /// Records that wait in memory.
    pub queued: u64,
    /// Records that wait on disk.
    pub spilled: u64,
}

#[derive(Debug)]
struct Inner {
    measures: Option<Measures>,
    log: Option<DecisionLog>,
    policy: PolicySource,
    observed: Observed,
    traces: Option<Traces>,
    exported: Arc<Exported>,
    export: OnceLock<Export>,
    /// Whether the caller's trace is of interest.
    propagate: bool,
}

impl Telemetry {
    /// Tells nothing.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Tells what the settings say.
    ///
    /// # Errors
    ///
    /// The decision log cannot be opened, or a collector's settings cannot be used.
    pub fn start(settings: Settings) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let Settings { metrics, log, otlp, always } = settings;
        if !metrics && log.is_none() && otlp.traces.is_none() {
            return Ok(Self::off());
        }
        let exported = Arc::new(Exported::default());
        let log = log.map(|log| DecisionLog::open(log, &otlp)).transpose()?;
        let (sender, spans) = mpsc::channel(otlp.spans.queue);
        let traces = otlp
            .traces
            .as_ref()
            .map(|_| Traces::new(otlp.sampler, always, sender, Arc::clone(&exported)));
        let inner = Arc::new(Inner {
            measures: metrics.then(Measures::new),
            propagate: otlp.propagate && (traces.is_some() || log.is_some()),
            log,
            policy: PolicySource::default(),
            observed: Observed::default(),
            exported: Arc::clone(&exported),
            export: OnceLock::new(),
            traces,
        });
        let metered = otlp.metrics.is_some() && metrics;
        if inner.traces.is_some() || metered {
            let spans = inner.traces.is_some().then_some(spans);
            let work = Work { settings: otlp, spans, inner: Arc::downgrade(&inner), exported };
            match Export::start(work) {
                // It is set once, here.
                Ok(export) => drop(inner.export.set(export)),
                Err(error) => {
                    Self(Some(inner)).close();
                    return Err(error);
                }
            }
        }
        Ok(Self(Some(inner)))
    }

    /// A call has come. `header` gives the values of its headers.
    pub fn call<'h>(&self, method: Method, header: impl Fn(&str) -> Option<&'h str>) -> Call {
        let mut call = Call::new(method, self.timer());
        if let Some(inner) = &self.0 {
            if inner.propagate {
                call.parent = Parent::read(header);
            }
            let sampling = inner.traces.as_ref();
            let sampling = sampling.filter(|traces| traces.sampler.samples(call.parent.as_ref()));
            call.span =
                sampling.map(|traces| traces.server(method, call.parent.as_ref(), Duration::ZERO));
        }
        call
    }

    /// Notes who asks, if there is a log to note it in.
    pub fn asked_by(&self, call: &mut Call, caller: impl FnOnce() -> String) {
        if self.0.as_ref().is_some_and(|inner| inner.log.is_some()) {
            call.caller = Some(caller());
        }
    }

    /// Begins to measure.
    #[must_use]
    pub fn timer(&self) -> Timer {
        Timer::start(self.0.is_some())
    }

    /// Something was decided, and is about to be answered: `started` when work on the question
    /// began, `evaluating` when its evaluation did. The answer waits for what is given back.
    pub fn decided(
        &self,
        call: &mut Call,
        decided: &Decided<'_>,
        explanation: Option<&Explanation>,
        (started, evaluating): (Timer, Timer),
    ) -> Pending {
        let Some(inner) = &self.0 else { return Pending::none() };
        if let Some(measures) = &inner.measures {
            measures.decided(decided, started, evaluating);
        }
        let traced = match &inner.traces {
            Some(traces) => traced(traces, call, decided, explanation, started),
            None => None,
        };
        match &inner.log {
            Some(log) => recorded::decision(log, call, traced, decided),
            None => Pending::none(),
        }
    }

    /// What was decided allows a change of the grants, which is about to be made. What is given back
    /// is for its record.
    #[must_use]
    pub fn intended(&self, call: &Call, decided: &Decided<'_>) -> Option<Intent> {
        recorded::intent(self.0.as_ref()?.log.as_ref()?, call, decided)
    }

    /// The change was made, and is about to be answered. The answer waits for what is given back.
    pub fn changed(&self, intent: Option<Intent>, change: &GrantChange<'_>) -> Pending {
        let log = self.0.as_ref().and_then(|inner| inner.log.as_ref());
        match log.zip(intent) {
            Some((log, intent)) => recorded::change(log, intent, change),
            None => Pending::none(),
        }
    }

    /// The call is answered, with a gRPC status code.
    pub fn answered(&self, call: &mut Call, code: i32) {
        let Some(inner) = &self.0 else { return };
        if let Some(measures) = &inner.measures {
            measures.answered(call, code);
        }
        if let Some(span) = call.span.take() {
            trace::end(span, code);
        }
    }

    /// From now on `read` says how the policy set is.
    pub fn observe_policy(&self, read: impl Fn() -> PolicyFacts + Send + Sync + 'static) {
        if let Some(inner) = &self.0 {
            inner.policy.set(Box::new(read));
        }
    }

    /// From now on `read` gives a number that others keep.
    pub fn observe(&self, what: Quantity, read: impl Fn() -> u64 + Send + Sync + 'static) {
        if let Some(inner) = &self.0 {
            inner.observed.add(what, Box::new(read));
        }
    }

    /// The metrics in Prometheus's text format.
    #[must_use]
    pub fn prometheus(&self) -> String {
        self.0.as_ref().map_or_else(String::new, |inner| metrics::prometheus(&inner.families()))
    }

    /// How the sinks of the decision log are.
    #[must_use]
    pub fn sinks(&self) -> Vec<SinkStatus> {
        let Some(log) = self.0.as_ref().and_then(|inner| inner.log.as_ref()) else {
            return Vec::new();
        };
        let status =
            |(name, counts, head): (&str, &log::counts::Counts, log::chain::Head)| SinkStatus {
                sink: name.to_owned(),
                head,
                written: counts.written(),
                lost: lost(counts),
                queued: counts.depth(),
                spilled: counts.spilled(),
            };
        log.sinks().map(status).collect()
    }

    /// Writes and exports what waits, then ends. Blocks for some seconds at most.
    pub fn close(&self) {
        let Some(inner) = &self.0 else { return };
        if let Some(log) = &inner.log {
            log.close();
        }
        if let Some(traces) = &inner.traces {
            traces.close();
        }
        if let Some(export) = inner.export.get() {
            export.close();
        }
    }
}

impl Inner {
    /// All metrics.
    fn families(&self) -> Vec<Family> {
        let mut families = self.measures.as_ref().map(Measures::families).unwrap_or_default();
        families.extend(self.observed.families());
        families.extend(self.policy.read().iter().flat_map(observed::policy));
        if let Some(log) = &self.log {
            families.extend(observed::decision_log(log));
        }
        if self.export.get().is_some() {
            families.extend(self.exported.families());
        }
        families
    }
}

fn lost(counts: &log::counts::Counts) -> Vec<(Loss, u64)> {
    let lost = Loss::ALL.into_iter().map(|reason| (reason, counts.lost(reason)));
    lost.filter(|(_, count)| *count > 0).collect()
}

/// Says in the span of a call, or in one of its own, what was decided. Gives the span's numbers
/// back.
fn traced(
    traces: &Traces,
    call: &mut Call,
    decided: &Decided<'_>,
    explanation: Option<&Explanation>,
    started: Timer,
) -> Option<(u128, u64)> {
    if call.span.is_none() && !trace::always(traces.always, decided) {
        return None;
    }
    let parent = call.parent.as_ref();
    if call.method == Method::BatchAuthorize || call.described {
        let ago = started.until(clock::instant());
        let mut span = traces.item(call.span.as_ref(), parent, call.method, ago);
        trace::describe(&mut span, decided, explanation);
        opentelemetry::trace::Span::end(&mut span);
        return Some(trace::numbers(&span));
    }
    let ago = call.started.until(clock::instant());
    let span = call.span.get_or_insert_with(|| traces.server(call.method, parent, ago));
    trace::describe(span, decided, explanation);
    call.described = true;
    Some(trace::numbers(span))
}

/// Waits for a thread to end, but not for ever.
fn wait(thread: &std::thread::JoinHandle<()>, patience: Duration) {
    let deadline = clock::instant() + patience;
    while !thread.is_finished() && clock::instant() < deadline {
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

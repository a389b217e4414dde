//! Spans: which calls have one, and what it says.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler as SdkSampler, SdkTracer, SdkTracerProvider, Span, SpanData, SpanProcessor,
};
use tokio::sync::mpsc;

use super::call::{CODES, Method};
use super::clock;
use super::otlp::Exported;
use super::random;
use crate::engine::decide::decision::{Layer, Verdict};
use crate::engine::decide::explain::Explanation;
use crate::wire::record::{Decided, action_name};

/// Which calls have a span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// A caller that has a trace decides.
    pub follows_parent: bool,
    /// Of the others.
    pub root: Root,
}

/// Which calls have a span, of those that nobody decided on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Root {
    /// All.
    All,
    /// None.
    None,
    /// This share.
    Ratio(f64),
}

impl Default for Sampler {
    fn default() -> Self {
        Self { follows_parent: true, root: Root::Ratio(0.01) }
    }
}

/// Which spans are exported whatever the sampler says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Always {
    /// Those of denials.
    pub denials: bool,
    /// Those of questions that want an explanation.
    pub explanations: bool,
}

/// The caller's part of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace; never zero.
    pub trace: u128,
    /// The caller's span; never zero.
    pub span: u64,
    /// Whether the caller keeps its spans.
    pub sampled: bool,
    /// What other systems say of the trace.
    pub state: Option<Box<str>>,
}

impl Parent {
    /// Reads `traceparent` and `tracestate`.
    ///
    /// Source: W3C Recommendation "Trace Context", 3.2.
    pub fn read<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<Self> {
        let text = header("traceparent")?.trim();
        let mut fields = text.split('-');
        let (version, trace) = (hex(fields.next()?, 2)?, hex(fields.next()?, 32)?);
        let (span, flags) = (hex(fields.next()?, 16)?, hex(fields.next()?, 2)?);
        let more = fields.next().is_some();
        if version == 255 || (version == 0 && more) || trace == 0 || span == 0 {
            return None;
        }
        let sampled = flags & 1 != 0;
        let state = header("tracestate").filter(|state| sampled && state.len() <= 512);
        Some(Self { trace, span: u64::try_from(span).ok()?, sampled, state: state.map(Into::into) })
    }

    fn context(&self) -> Context {
        let state = self.state.as_deref().and_then(|state| state.parse::<TraceState>().ok());
        Context::new().with_remote_span_context(SpanContext::new(
            TraceId::from(self.trace),
            SpanId::from(self.span),
            if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() },
            true,
            state.unwrap_or_default(),
        ))
    }
}

/// Exactly so many lower-case hexadecimal digits.
fn hex(text: &str, width: usize) -> Option<u128> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != width || !text.bytes().all(lower) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

impl Sampler {
    pub(super) fn samples(&self, parent: Option<&Parent>) -> bool {
        if let Some(parent) = parent.filter(|_| self.follows_parent) {
            return parent.sampled;
        }
        match self.root {
            Root::All => true,
            Root::None => false,
            // As TraceIdRatioBased: the same trace is sampled everywhere or nowhere.
            Root::Ratio(ratio) => {
                parent.map_or_else(random::unit, |parent| share(parent.trace)) < ratio
            }
        }
    }
}

/// Where a trace id stands among all, from 0 to 1.
fn share(trace: u128) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
    let lower = (trace as u64) >> 1;
    #[expect(clippy::cast_precision_loss, reason = "53 bits are enough to sample by")]
    let numerator = lower as f64;
    numerator / 9_223_372_036_854_775_808.0
}

/// Makes spans.
#[derive(Debug)]
pub(super) struct Traces {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
    pub(super) sampler: Sampler,
    pub(super) always: Always,
}

/// Puts finished spans into the queue of the exporter.
#[derive(Debug)]
struct Queue {
    spans: mpsc::Sender<SpanData>,
    exported: Arc<Exported>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.exported.queue_full();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Traces {
    pub(super) fn new(
        sampler: Sampler,
        always: Always,
        spans: mpsc::Sender<SpanData>,
        exported: Arc<Exported>,
    ) -> Self {
        // Whether there is a span is decided before one is made.
        let provider = SdkTracerProvider::builder()
            .with_sampler(SdkSampler::AlwaysOn)
            .with_span_processor(Queue { spans, exported })
            .build();
        let scope =
            InstrumentationScope::builder("keyward").with_version(env!("CARGO_PKG_VERSION"));
        let tracer = provider.tracer_with_scope(scope.build());
        Self { tracer, provider, sampler, always }
    }

    /// Lets go of the queue, so that the exporter comes to its end.
    pub(super) fn close(&self) {
        // What could not be exported is counted there.
        let _ = self.provider.shutdown();
    }

    /// The span of a call that began `ago`.
    pub(super) fn server(&self, method: Method, parent: Option<&Parent>, ago: Duration) -> Span {
        let context = parent.map_or_else(Context::new, Parent::context);
        self.start(method.name(), SpanKind::Server, &context, ago, method)
    }

    /// The span of one decision among the many of a call.
    pub(super) fn item(
        &self,
        call: Option<&Span>,
        parent: Option<&Parent>,
        method: Method,
        ago: Duration,
    ) -> Span {
        let context = match call {
            Some(span) => Context::new().with_remote_span_context(span.span_context().clone()),
            None => parent.map_or_else(Context::new, Parent::context),
        };
        self.start("keyward.decide", SpanKind::Internal, &context, ago, method)
    }

    fn start(
        &self,
        name: &'static str,
        kind: SpanKind,
        context: &Context,
        ago: Duration,
        method: Method,
    ) -> Span {
        let attributes = if kind == SpanKind::Server {
            vec![
                KeyValue::new("rpc.system.name", "grpc"),
                KeyValue::new("rpc.method", method.name()),
            ]
        } else {
            Vec::new()
        };
        let start = std::time::UNIX_EPOCH + clock::since_epoch().saturating_sub(ago);
        self.tracer
            .span_builder(name)
            .with_kind(kind)
            .with_start_time(start)
            .with_attributes(attributes)
            .start_with_context(&self.tracer, context)
    }
}

/// Says in a span what was decided, with an event a layer where there is an explanation.
pub(super) fn describe(span: &mut Span, decided: &Decided<'_>, explanation: Option<&Explanation>) {
    let answer = decided.answer;
    span.set_attribute(KeyValue::new("keyward.decision", answer.verdict().name()));
    span.set_attribute(KeyValue::new("keyward.decision_id", decided.decision_id.to_owned()));
    let revision = Arc::clone(&decided.snapshot.revision);
    span.set_attribute(KeyValue::new("keyward.policy_revision", revision));
    span.set_attribute(KeyValue::new("keyward.reason", answer.reason()));
    span.set_attribute(KeyValue::new("keyward.cached", decided.cached));
    span.set_attribute(KeyValue::new("keyward.action", action_name(decided.request.asked)));
    if let Some(key) = answer.key_arn {
        span.set_attribute(KeyValue::new("keyward.key_arn", key.to_owned()));
    }
    for leg in explanation.iter().flat_map(|explanation| &explanation.legs) {
        for layer in &leg.layers {
            let attributes = vec![
                KeyValue::new("keyward.layer", layer.layer.name()),
                KeyValue::new("keyward.verdict", layer.verdict),
                KeyValue::new("keyward.action", leg.action.name()),
                KeyValue::new("keyward.resource", leg.resource.clone()),
            ];
            span.add_event("keyward.layer", attributes);
        }
        for by in &leg.determining {
            let mut attributes = vec![
                KeyValue::new("keyward.layer", by.layer.name()),
                KeyValue::new("keyward.policy_id", by.policy_id.clone()),
                KeyValue::new("keyward.action", leg.action.name()),
            ];
            // The name that a session policy gives its statement is text of that policy.
            let sid = by.sid.clone().filter(|_| by.layer != Layer::Session);
            attributes.extend(sid.map(|sid| KeyValue::new("keyward.sid", sid)));
            span.add_event("keyward.determining", attributes);
        }
    }
}

/// Whether a decision has a span whatever the sampler says.
pub(super) fn always(always: Always, decided: &Decided<'_>) -> bool {
    (always.denials && decided.answer.verdict() != Verdict::Allowed)
        || (always.explanations && decided.explained)
}

/// Status codes that are the server's fault.
///
/// Source: OpenTelemetry semantic conventions, "gRPC" (span status of servers).
const FAULTS: [i32; 6] = [2, 4, 12, 13, 14, 15];

/// Ends the span of a call with its status code.
pub(super) fn end(mut span: Span, code: i32) {
    let index = usize::try_from(code).unwrap_or(2);
    let name = CODES.get(index).copied().unwrap_or("UNKNOWN");
    span.set_attribute(KeyValue::new("rpc.response.status_code", name));
    if FAULTS.contains(&code) {
        span.set_attribute(KeyValue::new("error.type", name));
        span.set_status(Status::error(""));
    }
    span.end();
}

/// Trace and span as numbers.
pub(super) fn numbers(span: &Span) -> (u128, u64) {
    let context = span.span_context();
    let (trace, span) = (context.trace_id().to_bytes(), context.span_id().to_bytes());
    (u128::from_be_bytes(trace), u64::from_be_bytes(span))
}

#[cfg(test)]
mod tests {
    use super::{Parent, Root, Sampler};

    fn parent(traceparent: &str) -> Option<Parent> {
        Parent::read(|name| (name == "traceparent").then_some(traceparent))
    }

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_the_recommendation_says() {
        let read = parent(SAMPLED).unwrap();
        assert_eq!(read.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((read.span, read.sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert!(!parent(&SAMPLED.replace("-01", "-00")).unwrap().sampled);
        // A later version may have more fields.
        assert!(parent(&format!("{}-x", SAMPLED.replacen("00", "01", 1))).is_some());
        for text in [
            "",
            "00",
            &format!("{SAMPLED}-x"),
            &SAMPLED.replacen("00", "ff", 1),
            &SAMPLED.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é",
        ] {
            assert_eq!(parent(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_caller_decides_and_without_one_the_share_does() {
        let (yes, no) = (parent(SAMPLED), parent(&SAMPLED.replace("-01", "-00")));
        let none = Sampler { follows_parent: true, root: Root::None };
        assert!(none.samples(yes.as_ref()) && !none.samples(no.as_ref()) && !none.samples(None));
        let all = Sampler { follows_parent: false, root: Root::All };
        assert!(all.samples(no.as_ref()) && all.samples(None));
        let some = Sampler { follows_parent: true, root: Root::Ratio(0.25) };
        let sampled = (0..10_000).filter(|_| some.samples(None)).count();
        assert!((2_000..3_000).contains(&sampled), "{sampled}");
        // a3ce… is in the upper half of all trace ids.
        let by_id = |ratio| Sampler { follows_parent: false, root: Root::Ratio(ratio) };
        assert!(by_id(0.7).samples(yes.as_ref()) && !by_id(0.6).samples(yes.as_ref()));
    }
}

//! What is known of a call while it is answered.

use std::time::{Duration, Instant};

use opentelemetry_sdk::trace::Span;

use super::clock;
use super::trace::Parent;

/// A method that is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Method {
    /// One question.
    Authorize,
    /// Many questions.
    BatchAuthorize,
    /// Questions as they come; each message counts as a call.
    AuthorizeStream,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Authorize, Self::BatchAuthorize, Self::AuthorizeStream];

    /// The full name of the gRPC method.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Authorize => "keyward.v1.AuthorizationService/Authorize",
            Self::BatchAuthorize => "keyward.v1.AuthorizationService/BatchAuthorize",
            Self::AuthorizeStream => "keyward.v1.AuthorizationService/AuthorizeStream",
        }
    }
}

/// The names of gRPC's status codes, by number.
pub(super) const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A call, from its arrival to its answer.
#[derive(Debug)]
pub struct Call {
    pub(super) method: Method,
    pub(super) started: Timer,
    pub(super) parent: Option<Parent>,
    pub(super) span: Option<Span>,
    /// The enforcement point that asks, where it is known and of interest.
    pub(super) caller: Option<String>,
}

impl Call {
    /// Whether the layers of a decision are told of, so that it has to be explained.
    #[must_use]
    pub fn wants_layers(&self) -> bool {
        self.span.is_some()
    }
}

/// When something began; nothing while nobody asks for durations.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer(Option<Instant>);

impl Timer {
    pub(super) fn start(on: bool) -> Self {
        Self(on.then(clock::instant))
    }

    /// The time until `now`.
    pub(super) fn until(self, now: Instant) -> Duration {
        self.0.map_or(Duration::ZERO, |start| now.saturating_duration_since(start))
    }
}

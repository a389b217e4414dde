//! What is known of a call while it is answered.

use std::time::{Duration, Instant};

use opentelemetry_sdk::trace::Span;

use super::clock;
use super::trace::Parent;

macro_rules! methods {
    ($($(#[$doc:meta])+ $name:ident of $service:literal;)+) => {
        /// A method that is told of: all but those of health and reflection.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Method {
            $($(#[$doc])+ $name,)+
        }

        impl Method {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The full name of the gRPC method.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("keyward.v1.", $service, "/", stringify!($name)),)+
                }
            }
        }
    };
}

methods! {
    /// One question.
    Authorize of "AuthorizationService";
    /// Many questions.
    BatchAuthorize of "AuthorizationService";
    /// Questions as they come; each message counts as a call.
    AuthorizeStream of "AuthorizationService";
    /// A grant is made.
    CreateGrant of "GrantService";
    /// The grants of a key.
    ListGrants of "GrantService";
    /// The grants that one may retire.
    ListRetirableGrants of "GrantService";
    /// A grant is given up by whoever it serves.
    RetireGrant of "GrantService";
    /// A grant is taken back.
    RevokeGrant of "GrantService";
    /// How the policy set is doing.
    GetPolicySetStatus of "PolicyService";
    /// The same, as it changes; a call until its stream ends.
    WatchPolicySetStatus of "PolicyService";
    /// The policy set is read again.
    ReloadPolicySet of "PolicyService";
    /// What would be.
    SimulateAuthorization of "AnalysisService";
    /// What there is to say of a policy.
    ValidatePolicy of "AnalysisService";
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
    /// Whether its span says what was decided: what is decided after that has spans of its own.
    pub(super) described: bool,
}

impl Call {
    pub(super) fn new(method: Method, started: Timer) -> Self {
        Self { method, started, parent: None, span: None, caller: None, described: false }
    }

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

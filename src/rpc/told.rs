//! A call is told of from its arrival to its end, however it ends.

use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status};

use crate::telemetry::Telemetry;
use crate::telemetry::call::{Call, Method};

/// A call that is being answered. Dropped before it is, it was given up by the caller.
#[derive(Debug)]
pub(super) struct Told {
    telemetry: Telemetry,
    call: Call,
    ended: bool,
}

impl Told {
    /// A call has come.
    pub(super) fn of<T>(telemetry: &Telemetry, method: Method, call: &Request<T>) -> Self {
        let call = begun(telemetry, method, call.metadata());
        Self { telemetry: telemetry.clone(), call, ended: false }
    }

    /// What is known of it.
    pub(super) fn call(&mut self) -> &mut Call {
        &mut self.call
    }

    /// It is answered.
    pub(super) fn end<T>(mut self, outcome: Result<T, Status>) -> Result<Response<T>, Status> {
        self.over(code(&outcome));
        outcome.map(Response::new)
    }

    /// The same, with a status code.
    pub(super) fn over(&mut self, code: i32) {
        self.ended = true;
        self.telemetry.answered(&mut self.call, code);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if !self.ended {
            self.over(i32::from(Code::Cancelled));
        }
    }
}

/// A call has come with these headers.
pub(super) fn begun(telemetry: &Telemetry, method: Method, metadata: &MetadataMap) -> Call {
    telemetry.call(method, |name| metadata.get(name)?.to_str().ok())
}

/// The gRPC status code of an outcome.
pub(super) fn code<T>(outcome: &Result<T, Status>) -> i32 {
    outcome.as_ref().map_or_else(|status| i32::from(status.code()), |_| 0)
}

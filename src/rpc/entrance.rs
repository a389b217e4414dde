//! What every call passes on its way in: whether there is room for it, and whether its caller is an
//! operator where only operators may come in.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::codegen::http::Request;

use super::answers::{Answered, Answers};
use super::arrival::Arrivals;
use super::callers::Gate;
use super::callers::rpc::Rpc;
use super::limits::{Begun, Busy};
use super::peer::Peer;
use super::refused::Refused;

/// Health is told when nothing else is any more, and to everybody: probes prove nothing, and decide
/// nothing.
const HEALTH: &str = "/grpc.health.";

/// The answer to a call that came in, or was not let in.
pub(super) type Passed = Either<Counted<Answered>, Refused>;

/// What stands before the services of a listener.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    /// How many calls there may be.
    pub(super) busy: Busy,
    /// Watches messages come in.
    pub(super) arrivals: Arrivals,
    /// Knows operators, where only they may come in.
    pub(super) operators: Option<Arc<Gate>>,
}

impl Entrance {
    /// Has `answers` answer a call of `peer`, if it may come in.
    pub(super) fn call(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
        answers: &Answers,
    ) -> Passed {
        match self.pass(request.uri().path(), peer) {
            Ok(begun) => {
                let inner = answers.call(self.arrivals.watch(request), peer);
                Either::Left(Counted { inner, _begun: begun })
            }
            Err(status) => {
                let ends = !Arrivals::may_rest(request.uri().path());
                Either::Right(Refused::new(status, request.into_body(), ends))
            }
        }
    }

    fn pass(&self, path: &str, peer: &Peer) -> Result<Option<Begun>, Status> {
        if path.starts_with(HEALTH) {
            return self.busy.begin_health().map(|()| None);
        }
        if let Some(gate) = &self.operators {
            gate.admit(Some(peer), Rpc::Operators, 1)?;
        }
        self.busy.begin().map(Some)
    }
}

pin_project! {
    /// A call that counts until it is answered.
    pub(super) struct Counted<F> {
        #[pin]
        inner: F,
        _begun: Option<Begun>,
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.project().inner.poll(context)
    }
}

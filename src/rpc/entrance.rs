//! What every call passes on its way in: whether there is room for it, and whether its caller is an
//! operator where only operators may come in.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::{Layer, Service};

use super::arrival::Arrivals;
use super::callers::Gate;
use super::callers::rpc::Rpc;
use super::limits::{Begun, Busy};
use super::refused::Refused;

/// Health is told whatever happens, and to everybody: probes prove nothing, and decide nothing.
const HEALTH: &str = "/grpc.health.";

/// Puts the entrance in front of services.
#[derive(Clone, Debug)]
pub(super) struct Entrance {
    /// How many calls there may be.
    pub(super) busy: Busy,
    /// Watches messages come in.
    pub(super) arrivals: Arrivals,
    /// Knows operators, where only they may come in.
    pub(super) operators: Option<Arc<Gate>>,
}

impl<S> Layer<S> for Entrance {
    type Service = Entered<S>;

    fn layer(&self, inner: S) -> Entered<S> {
        Entered { entrance: self.clone(), inner }
    }
}

/// A service behind the entrance.
#[derive(Clone, Debug)]
pub(super) struct Entered<S> {
    entrance: Entrance,
    inner: S,
}

impl Entrance {
    fn pass(&self, request: &Request<Body>) -> Result<Option<Begun>, Status> {
        if request.uri().path().starts_with(HEALTH) {
            return Ok(None);
        }
        if let Some(gate) = &self.operators {
            gate.admit(request.extensions(), Rpc::Operators, 1)?;
        }
        self.busy.begin().map(Some)
    }
}

impl<S> Service<Request<Body>> for Entered<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Counted<S::Future>, Refused>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.entrance.pass(&request) {
            Ok(begun) => {
                let request = self.entrance.arrivals.watch(request);
                Either::Left(Counted { inner: self.inner.call(request), _begun: begun })
            }
            Err(status) => {
                let ends = !Arrivals::may_rest(request.uri().path());
                Either::Right(Refused::new(status, request.into_body(), ends))
            }
        }
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

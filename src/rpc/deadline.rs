//! A call whose time is over ends with `DEADLINE_EXCEEDED`.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_util::future::Either;
use tokio::time::sleep;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tower::{Layer, Service};

use super::freshness::{TIMEOUT, over, read_timeout};

/// Puts the timer around services.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines;

impl<S> Layer<S> for Deadlines {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline(inner)
    }
}

/// The outcome of a call that has a deadline.
type Timed = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// A service with the timer around it.
#[derive(Clone, Debug)]
pub(super) struct Deadline<S>(S);

impl<S> Service<Request<Body>> for Deadline<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Timed>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let left = match request.headers().get(TIMEOUT) {
            None => return Either::Left(self.0.call(request)),
            Some(header) => read_timeout(header.to_str().ok()),
        };
        let left = match left {
            Ok(left) => left,
            // Before any work, whatever the call would ask.
            Err(status) => return Either::Right(Box::pin(ready(Ok(answer(status))))),
        };
        let timer = sleep(left);
        let inner = self.0.call(request);
        Either::Right(Box::pin(async move {
            let (mut inner, mut timer) = (pin!(inner), pin!(timer));
            std::future::poll_fn(|context| {
                if let Poll::Ready(answered) = inner.as_mut().poll(context) {
                    return Poll::Ready(answered);
                }
                timer.as_mut().poll(context).map(|()| Ok(answer(over())))
            })
            .await
        }))
    }
}

fn answer(status: Status) -> Response<Body> {
    status.into_http()
}

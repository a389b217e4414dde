//! A call whose time is over ends with `DEADLINE_EXCEEDED`.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::{Pin, pin};
use std::task::Poll;

use futures_util::future::Either;
use tokio::time::{Instant, sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};

use super::freshness::{TIMEOUT, over, read_timeout};

/// The outcome of a call that has a deadline.
type Timed = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// The outcome of any call: `F` where it has no deadline.
pub(super) type Timely<F> = Either<F, Timed>;

/// Answers a call by `answers`, in the time that it has.
pub(super) fn timed<B, F>(request: Request<B>, answers: impl FnOnce(Request<B>) -> F) -> Timely<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    let left = match request.headers().get(TIMEOUT) {
        None => return Either::Left(answers(request)),
        Some(header) => read_timeout(header.to_str().ok()),
    };
    let left = match left {
        Ok(left) => left,
        // Before any work, whatever the call would ask.
        Err(status) => return Either::Right(Box::pin(ready(Ok(answer(status))))),
    };
    let timer = sleep(left);
    let inner = answers(request);
    Either::Right(Box::pin(async move {
        // It may have waited for its turn: nobody wants that work any more.
        if timer.deadline() <= Instant::now() {
            return Ok(answer(over()));
        }
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

fn answer(status: Status) -> Response<Body> {
    status.into_http()
}

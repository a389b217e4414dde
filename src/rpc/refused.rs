//! A call that is refused before anything of it is read.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};
use tonic::body::Body;
use tonic::codegen::http::Response;
use tonic::{Code, Status};

/// Bytes of a refused message that are read and thrown away.
const BYTES: usize = 64 * 1024;

/// So long a message may take to come whole before it is refused all the same.
const PATIENCE: Duration = Duration::from_secs(1);

/// The answer to a call that is refused. An answer before the end of a message resets the call, and
/// a connection with too many resets is cut: so what is on its way is read and thrown away first, as
/// far as it is short and comes soon.
pub(super) struct Refused {
    status: Option<Status>,
    body: Incoming,
    left: usize,
    /// Whether the end of the message is near: it is not in a conversation.
    ends: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Refused {
    /// Refuses a call; `ends` says whether its client sends one message and is done.
    pub(super) fn new(status: Status, body: Incoming, ends: bool) -> Self {
        Self { status: Some(status), body, left: BYTES, ends, timer: None }
    }

    /// Reads on; ready when it is time to answer.
    fn drain(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.ends && !self.body.is_end_stream() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    let came = frame.data_ref().map_or(0, Bytes::len);
                    match self.left.checked_sub(came) {
                        Some(left) => self.left = left,
                        None => break,
                    }
                }
                Poll::Ready(None | Some(Err(_))) => break,
                Poll::Pending => {
                    let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
                    return timer.as_mut().poll(context);
                }
            }
        }
        Poll::Ready(())
    }
}

impl Future for Refused {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        std::task::ready!(self.drain(context));
        let status = self.status.take();
        // A call that is asked again after its answer has no second one.
        let status = status.unwrap_or_else(|| Status::new(Code::Internal, "the call is over"));
        Poll::Ready(Ok(status.into_http()))
    }
}

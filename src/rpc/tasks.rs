//! Calls of a connection as tasks: counted until they have begun, and until they are over.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::Executor;
use pin_project_lite::pin_project;

use super::backlog::{Backlog, Read};
use super::limits::{Busy, Unfinished};

/// Runs the calls of a connection to their end.
#[derive(Clone, Debug)]
pub(super) struct Tasks {
    /// Counts those that have not begun.
    pub(super) backlog: Backlog,
    /// Counts those that are not over.
    pub(super) busy: Busy,
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        let (read, count) = (Some(self.backlog.read()), self.busy.unfinished());
        tokio::spawn(Task { read, call, _count: count });
    }
}

pin_project! {
    /// A call, which has begun when it is first polled.
    struct Task<F> {
        read: Option<Read>,
        #[pin]
        call: F,
        _count: Unfinished,
    }
}

impl<F: Future<Output = ()>> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        this.read.take();
        this.call.poll(context)
    }
}

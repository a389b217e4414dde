//! Messages on their way in: each has to be whole in time, and those that are not may not fill the
//! memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use arrayvec::ArrayVec;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};
use tonic::codegen::http::Request;
use tonic::{Code, Status};

use super::in_place::PREFIX;
use super::limits::{Limits, Shed};
use super::status;

/// Methods whose clients may take their time between messages.
const CONVERSATIONS: [&str; 2] =
    ["/keyward.v1.AuthorizationService/AuthorizeStream", "/grpc.reflection."];

/// Watches messages come in; clones share the room.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    room: Arc<Room>,
    /// A message has so long to come whole.
    time: Duration,
    /// A message has at most so many bytes.
    longest: usize,
}

/// Room for what has come of messages that are not whole.
#[derive(Debug)]
struct Room {
    most: usize,
    taken: AtomicUsize,
    shed: Arc<Shed>,
}

impl Arrivals {
    /// Messages that are not whole are held to `limits`.
    pub(super) fn new(limits: &Limits, shed: Arc<Shed>) -> Self {
        let room = Room { most: limits.incoming_bytes, taken: AtomicUsize::new(0), shed };
        Self { room: Arc::new(room), time: limits.message_time, longest: limits.message_bytes }
    }

    /// Whether the clients of a method may take their time between messages.
    pub(super) fn may_rest(path: &str) -> bool {
        CONVERSATIONS.iter().any(|start| path.starts_with(start))
    }

    /// The call, with its messages watched.
    pub(super) fn watch(&self, call: Request<Incoming>) -> Request<Arriving> {
        let may_rest = Self::may_rest(call.uri().path());
        call.map(|body| Arriving {
            body,
            may_rest,
            progress: Progress::default(),
            taken: Taken { room: Arc::clone(&self.room), bytes: 0 },
            time: self.time,
            longest: self.longest,
            timer: None,
            over: false,
        })
    }
}

/// The messages of one call.
pub(super) struct Arriving {
    body: Incoming,
    /// Whether the client may say nothing between two messages.
    may_rest: bool,
    progress: Progress,
    taken: Taken,
    time: Duration,
    /// Bytes of a message; the services refuse longer ones, which are counted here.
    longest: usize,
    /// Set when a message is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    over: bool,
}

/// How far the present message has come.
#[derive(Debug, Default)]
struct Progress {
    prefix: ArrayVec<u8, PREFIX>,
    /// Bytes behind the prefix that are still to come.
    left: usize,
    /// Bytes that came of it.
    came: usize,
    /// Bytes of the longest message that began.
    longest: usize,
}

impl Progress {
    /// More has come.
    fn advance(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let wanted = match PREFIX.saturating_sub(self.prefix.len()) {
                0 => self.left,
                prefix => prefix,
            };
            let (now, later) = data.split_at(wanted.min(data.len()));
            data = later;
            self.came = self.came.saturating_add(now.len());
            if self.prefix.len() < PREFIX {
                self.prefix.extend(now.iter().copied());
                if let [_, length @ ..] = &*self.prefix
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                    self.longest = self.longest.max(self.left);
                }
            } else {
                self.left = self.left.saturating_sub(now.len());
            }
            if self.prefix.len() == PREFIX && self.left == 0 {
                self.prefix.clear();
                self.came = 0;
            }
        }
    }
}

/// What one call takes of the room; given back when it ends.
struct Taken {
    room: Arc<Room>,
    bytes: usize,
}

impl Taken {
    /// Takes so much in place of what it took before; says whether there is room for it.
    fn set(&mut self, bytes: usize) -> bool {
        if bytes == self.bytes {
            // Most messages come whole.
            return true;
        }
        if bytes < self.bytes {
            self.room.taken.fetch_sub(self.bytes - bytes, Ordering::AcqRel);
            self.bytes = bytes;
            return true;
        }
        let more = bytes - self.bytes;
        let before = self.room.taken.fetch_add(more, Ordering::AcqRel);
        self.bytes = bytes;
        before.saturating_add(more) <= self.room.most
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Arriving {
    /// Ends the call.
    fn end(&mut self, status: Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.over = true;
        self.timer = None;
        self.taken.set(0);
        Poll::Ready(Some(Err(status)))
    }

    fn came(&mut self, data: &[u8]) -> Result<(), Status> {
        self.progress.advance(data);
        if self.progress.longest > self.longest {
            // One is enough: the call ends with it.
            self.longest = usize::MAX;
            self.taken.room.shed.long.fetch_add(1, Ordering::Relaxed);
        }
        if self.may_rest && self.progress.came == 0 {
            self.timer = None;
        }
        if self.taken.set(self.progress.came) {
            return Ok(());
        }
        self.taken.room.shed.bytes.fetch_add(1, Ordering::Relaxed);
        Err(status::refused(
            Code::ResourceExhausted,
            "OVERLOADED",
            "too much is held of messages that have not come whole; refuse the operation, or ask again later",
        ))
    }

    /// Nothing more is there: how long may that be?
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.may_rest && self.progress.came == 0 {
            return Poll::Pending;
        }
        let time = self.time;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(time)));
        std::task::ready!(timer.as_mut().poll(context));
        self.taken.room.shed.slow.fetch_add(1, Ordering::Relaxed);
        let message = format!("the message was not whole after {time:?}");
        self.end(status::refused(Code::DeadlineExceeded, "TOO_SLOW", message))
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending => self.wait(context),
            Poll::Ready(Some(Ok(frame))) => {
                let noted = frame.data_ref().map_or(Ok(()), |data| self.came(data));
                match noted {
                    Ok(()) => Poll::Ready(Some(Ok(frame))),
                    Err(status) => self.end(status),
                }
            }
            Poll::Ready(Some(Err(error))) => {
                Poll::Ready(Some(Err(Status::from_error(Box::new(error)))))
            }
            Poll::Ready(None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{Progress, Room, Taken};

    #[test]
    fn what_is_whole_is_not_held_however_it_is_cut() {
        let message =
            [&[0, 0, 0, 0, 3][..], b"abc", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1], b"x"].concat();
        for first in 0..=message.len() {
            for second in first..=message.len() {
                let mut progress = Progress::default();
                progress.advance(&message[..first]);
                progress.advance(&message[first..second]);
                let whole = [0, 8, 13, 19].into_iter().filter(|end| *end <= second).max();
                assert_eq!(progress.came, second - whole.unwrap(), "{first} {second}");
                progress.advance(&message[second..]);
                assert_eq!(progress.came, 0, "{first} {second}");
            }
        }
    }

    #[test]
    fn what_is_taken_is_given_back() {
        let room = Room { most: 10, taken: AtomicUsize::new(0), shed: Arc::default() };
        let room = Arc::new(room);
        let taken = || Taken { room: Arc::clone(&room), bytes: 0 };
        let (mut one, mut other) = (taken(), taken());
        assert!(one.set(8));
        assert!(!other.set(3));
        assert!(other.set(2));
        assert!(one.set(0) && other.set(10));
        drop((one, other));
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }
}

//! Calls that were read and have not begun, of the connections of one thread.
//!
//! To refuse a question costs almost as much as to answer it, so it is of no use to read more than
//! can be answered. What is not read stays with the operating system, and in the end with the
//! client: what is asked too much takes no time from what is answered, and memory does not grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Context;

/// Calls that were read and have not begun, at which no more are read; up to twice as many where the
/// thread has more connections, so that looking at each of them costs little beside answering.
const MOST: usize = 1024;

thread_local! {
    static HERE: Backlog = Backlog::default();
}

/// The backlog of one thread; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlog(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    calls: AtomicUsize,
    connections: AtomicUsize,
    /// Nothing is read until all calls that were read have begun. Were it read again as soon as some
    /// have, those whose calls these were would always be first.
    full: AtomicBool,
}

impl Backlog {
    /// That of the calling thread.
    pub(super) fn here() -> Self {
        HERE.with(Clone::clone)
    }

    /// A call was read; it has begun when what is given back is dropped.
    pub(super) fn read(&self) -> Read {
        self.0.calls.fetch_add(1, Ordering::AcqRel);
        Read(self.clone())
    }

    /// A connection is there, until what is given back is dropped.
    pub(super) fn connection(&self) -> Reader {
        self.0.connections.fetch_add(1, Ordering::AcqRel);
        Reader(self.clone())
    }

    fn is_full(&self) -> bool {
        let calls = self.0.calls.load(Ordering::Acquire);
        let most = self.0.connections.load(Ordering::Relaxed).clamp(MOST, 2 * MOST);
        let full = if self.0.full.load(Ordering::Relaxed) { calls > 0 } else { calls >= most };
        self.0.full.store(full, Ordering::Relaxed);
        full
    }
}

/// A call that has not begun.
#[derive(Debug)]
pub(super) struct Read(Backlog);

impl Drop for Read {
    fn drop(&mut self) {
        self.0.0.calls.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection that is read.
#[derive(Debug)]
pub(super) struct Reader(Backlog);

impl Reader {
    /// Whether its task has to let others go first. It is woken at once, and so comes after what was
    /// read: nobody else has to remember that it waits.
    pub(super) fn waits(&self, context: &Context<'_>) -> bool {
        let waits = self.0.is_full();
        if waits {
            context.waker().wake_by_ref();
        }
        waits
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::{Backlog, MOST};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn nothing_is_read_from_when_there_is_too_much_until_all_of_it_has_begun() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let context = Context::from_waker(&waker);
        let backlog = Backlog::default();
        let (one, other) = (backlog.connection(), backlog.connection());
        let mut calls: Vec<_> = (1..MOST).map(|_| backlog.read()).collect();
        assert!(!one.waits(&context) && !other.waits(&context));
        calls.push(backlog.read());
        while let Some(call) = calls.pop() {
            assert!(one.waits(&context) && other.waits(&context));
            drop(call);
        }
        // Whoever waited was woken each time.
        assert_eq!(woken.0.load(Ordering::Relaxed), 2 * MOST);
        assert!(!one.waits(&context) && !other.waits(&context));
    }

    #[test]
    fn where_there_are_more_connections_more_is_read() {
        let context = Context::from_waker(Waker::noop());
        let backlog = Backlog::default();
        let connections: Vec<_> = (0..2 * MOST).map(|_| backlog.connection()).collect();
        let _calls: Vec<_> = (0..MOST).map(|_| backlog.read()).collect();
        assert!(!connections[0].waits(&context));
        drop(connections);
        assert!(backlog.connection().waits(&context));
    }
}

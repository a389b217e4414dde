//! Turns of the connections of one thread: what was read is begun before more is read.
//!
//! To refuse a question costs almost as much as to answer it, so it is of no use to read more than
//! can be answered. What is not read stays with the operating system, and in the end with the
//! client: memory does not grow with the load, and every connection has its share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// Calls that were read and have not begun, at which no more are read.
const MOST: usize = 256;

/// Calls that begin before one more connection has its turn.
const EACH: usize = 32;

/// Bytes that a connection reads before others have their turn.
const BYTES: usize = 16 * 1024;

/// The turns of one thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Calls that were read and have not begun.
    read: AtomicUsize,
    /// Connections that wait for their turn, and how many.
    waiting: Mutex<VecDeque<Waker>>,
    waiters: AtomicUsize,
}

impl Turns {
    /// A call was read; it has begun when what is given back is dropped.
    pub(super) fn read(&self) -> Read {
        self.0.read.fetch_add(1, Ordering::AcqRel);
        Read(self.clone())
    }

    /// The turns of one connection.
    pub(super) fn turn(&self) -> Turn {
        Turn { turns: self.clone(), bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.0.read.load(Ordering::Acquire) >= MOST
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waker>> {
        // What it protects is whole after every statement.
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits if there is too much. Whoever waits is woken by a call that begins: there is one.
    fn waits(&self, context: &Context<'_>) -> bool {
        if !self.is_full() {
            return false;
        }
        let mut waiting = self.waiting();
        // Asked again where nobody can wake in between.
        if !self.is_full() {
            return false;
        }
        waiting.push_back(context.waker().clone());
        self.0.waiters.store(waiting.len(), Ordering::Release);
        true
    }

    /// Lets the next connection have its turn, if there is room for what it reads.
    fn next(&self) {
        if self.0.waiters.load(Ordering::Acquire) == 0 || self.is_full() {
            return;
        }
        let mut waiting = self.waiting();
        let next = waiting.pop_front();
        self.0.waiters.store(waiting.len(), Ordering::Release);
        drop(waiting);
        if let Some(next) = next {
            next.wake();
        }
    }
}

/// A call that was read and has not begun.
#[derive(Debug)]
pub(super) struct Read(Turns);

impl Drop for Read {
    fn drop(&mut self) {
        let left = self.0.0.read.fetch_sub(1, Ordering::AcqRel).saturating_sub(1);
        if left.is_multiple_of(EACH) {
            self.0.next();
        }
    }
}

/// The turns of one connection. Whoever has had one, or wants none, lets the next one in.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    /// What was read in this one.
    bytes: usize,
}

impl Turn {
    /// Whether others come first; then the connection is woken for its next turn.
    pub(super) fn is_over(&mut self, context: &Context<'_>) -> bool {
        if self.bytes >= BYTES {
            self.bytes = 0;
            context.waker().wake_by_ref();
            self.turns.next();
            return true;
        }
        self.turns.waits(context)
    }

    /// So much was read.
    pub(super) fn took(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// There is nothing to read.
    pub(super) fn passes(&mut self) {
        self.bytes = 0;
        self.turns.next();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.next();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::{BYTES, EACH, MOST, Turns};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn connection() -> (Arc<Woken>, Waker) {
        let woken = Arc::new(Woken::default());
        (Arc::clone(&woken), Waker::from(woken))
    }

    fn times(woken: &Woken) -> usize {
        woken.0.load(Ordering::Relaxed)
    }

    #[test]
    fn who_has_read_enough_lets_others_read_and_is_woken_for_more() {
        let turns = Turns::default();
        let ((woken, waker), mut turn) = (connection(), turns.turn());
        let context = Context::from_waker(&waker);
        assert!(!turn.is_over(&context));
        turn.took(BYTES);
        assert!(turn.is_over(&context));
        assert_eq!(times(&woken), 1);
        assert!(!turn.is_over(&context));
    }

    #[test]
    fn nobody_reads_while_too_much_has_not_begun_and_then_one_after_the_other_does() {
        let turns = Turns::default();
        let mut calls: Vec<_> = (0..MOST).map(|_| turns.read()).collect();
        let connections: Vec<_> = (0..3).map(|_| (connection(), turns.turn())).collect();
        let mut connections: Vec<_> = connections
            .into_iter()
            .map(|((woken, waker), mut turn)| {
                assert!(turn.is_over(&Context::from_waker(&waker)));
                (woken, waker, turn)
            })
            .collect();
        let told = |connections: &[(Arc<Woken>, Waker, super::Turn)]| {
            connections.iter().map(|(woken, ..)| times(woken)).collect::<Vec<_>>()
        };
        calls.truncate(MOST - EACH);
        assert_eq!(told(&connections), [1, 0, 0]);
        // It reads, and there is room for more.
        let (_, waker, turn) = &mut connections[0];
        assert!(!turn.is_over(&Context::from_waker(waker)));
        turn.passes();
        assert_eq!(told(&connections), [1, 1, 0]);
        // One that ends in its turn keeps nobody waiting.
        drop(connections.remove(1));
        assert_eq!(told(&connections), [1, 1]);
        drop(calls);
        assert_eq!(told(&connections), [1, 1]);
    }

    #[test]
    fn whoever_waits_is_woken_however_calls_end() {
        let turns = Turns::default();
        let calls: Vec<_> = (0..MOST).map(|_| turns.read()).collect();
        let ((woken, waker), mut turn) = (connection(), turns.turn());
        assert!(turn.is_over(&Context::from_waker(&waker)));
        drop(calls);
        assert_eq!(times(&woken), 1);
        assert!(!turn.is_over(&Context::from_waker(&waker)));
    }
}

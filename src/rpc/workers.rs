//! The threads that answer: each has a runtime of its own, so that a call never moves between
//! threads. Listeners accept elsewhere, and deal their connections out.
//!
//! Threads that each listen on the port (`SO_REUSEPORT`) would share it with any other process of
//! the same user too, and would get connections by chance. Here a port in use is an error, and a
//! thread gets its share.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Workers {
    workers: Vec<Worker>,
    /// Who is asked first, so that equals take turns.
    next: AtomicUsize,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Connections that it has.
    open: Arc<AtomicUsize>,
    /// Tells its own thread to end, by being dropped.
    _running: Option<oneshot::Sender<()>>,
}

impl Workers {
    /// Starts threads.
    ///
    /// # Errors
    ///
    /// The operating system has none left, or no way to wait for connections.
    pub(super) fn start(count: NonZeroUsize) -> io::Result<Self> {
        let workers = (0..count.get()).map(worker).collect::<io::Result<_>>()?;
        Ok(Self { workers, next: AtomicUsize::new(0) })
    }

    /// The runtime of the calling task alone.
    pub(super) fn here() -> Self {
        let here = Worker { runtime: Handle::current(), open: Arc::default(), _running: None };
        Self { workers: vec![here], next: AtomicUsize::new(0) }
    }

    /// Gives a connection, and what is to be done with it, to the thread that has the fewest.
    pub(super) fn give(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let count = self.workers.len().max(1);
        let first = self.next.fetch_add(1, Ordering::Relaxed) % count;
        let turn = self.workers.iter().cycle().skip(first).take(count);
        let Some(worker) = turn.min_by_key(|worker| worker.open.load(Ordering::Relaxed)) else {
            return;
        };
        worker.open.fetch_add(1, Ordering::Relaxed);
        let open = Open(Arc::clone(&worker.open));
        worker.runtime.spawn(async move {
            connection.await;
            drop(open);
        });
    }
}

fn worker(index: usize) -> io::Result<Worker> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (running, ended) = oneshot::channel::<()>();
    thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        // It ends with an error: the sender is dropped.
        let _ = runtime.block_on(ended);
    })?;
    Ok(Worker { runtime: handle, open: Arc::default(), _running: Some(running) })
}

/// Counts as a connection of a thread until it is dropped.
#[derive(Debug)]
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::num::NonZeroUsize;
    use std::sync::atomic::Ordering;
    use std::thread;

    use tokio::sync::{mpsc, oneshot};

    use super::Workers;

    #[tokio::test]
    async fn every_thread_gets_its_share_and_who_has_least_gets_the_next() {
        let workers = Workers::start(NonZeroUsize::new(3).unwrap()).unwrap();
        let (said, mut heard) = mpsc::channel(8);
        let give = || {
            let (end, ended) = oneshot::channel::<()>();
            let said = said.clone();
            workers.give(async move {
                let name = thread::current().name().map(str::to_owned);
                said.send(name.unwrap()).await.unwrap();
                let _ = ended.await;
            });
            end
        };
        let mut open = Vec::new();
        for _ in 0..3 {
            let end = give();
            open.push((heard.recv().await.unwrap(), end));
        }
        let names: BTreeSet<_> = open.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        let (least, end) = open.remove(1);
        drop(end);
        while workers.workers.iter().all(|worker| worker.open.load(Ordering::Relaxed) == 1) {
            tokio::task::yield_now().await;
        }
        let _next = give();
        assert_eq!(heard.recv().await.unwrap(), least);
    }

    #[tokio::test]
    async fn what_is_given_to_threads_that_end_is_dropped() {
        let workers = Workers::start(NonZeroUsize::MIN).unwrap();
        let (kept, dropped) = oneshot::channel::<()>();
        workers.give(async move {
            std::future::pending::<()>().await;
            drop(kept);
        });
        drop(workers);
        assert!(dropped.await.is_err());
    }
}

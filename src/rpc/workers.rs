//! The threads that answer: each has a runtime of its own, so that a call never moves between
//! threads. Listeners accept elsewhere, and deal their connections out.
//!
//! Threads that each listen on the port (`SO_REUSEPORT`) would share it with any other process of
//! the same user too, and would get connections by chance. Here a port in use is an error, and a
//! thread gets its share.

use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::connection::{Acceptor, Arrived};

/// Connections of one listener that wait for a thread to take them.
const WAITING: usize = 256;

/// Between a connection that could not be accepted and the next try.
const PAUSE: Duration = Duration::from_millis(10);

/// The threads. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Connections that it has.
    open: Arc<AtomicUsize>,
    /// Tells the thread to end, by being dropped.
    _running: oneshot::Sender<()>,
}

impl Workers {
    /// Starts threads.
    ///
    /// # Errors
    ///
    /// The operating system has none left, or no way to wait for connections.
    pub(super) fn start(count: NonZeroUsize) -> io::Result<Self> {
        (0..count.get()).map(worker).collect::<io::Result<_>>().map(Self)
    }

    /// Where the connections of one listener go: what deals them out, and for each thread its
    /// runtime and what it gets.
    pub(super) fn deal<S: Movable + 'static>(&self) -> (Dealer<S>, Vec<(Handle, Dealt<S>)>) {
        let (mut hands, mut shares) = (Vec::new(), Vec::new());
        for worker in &self.0 {
            let (sender, receiver) = mpsc::channel(WAITING);
            let (ready, connections) = mpsc::channel(WAITING);
            hands.push(Hand { sender, open: Arc::clone(&worker.open) });
            worker.runtime.spawn(make_ready(receiver, ready));
            shares.push((worker.runtime.clone(), ReceiverStream::new(connections)));
        }
        (Dealer { hands, next: 0 }, shares)
    }
}

/// The connections that one thread gets, ready to be served.
pub(super) type Dealt<S> = ReceiverStream<io::Result<Counted<<S as Movable>::Here>>>;

/// Takes connections into the runtime of this task. None waits for another.
async fn make_ready<S: Movable + 'static>(
    mut dealt: mpsc::Receiver<(S, Open)>,
    ready: mpsc::Sender<io::Result<Counted<S::Here>>>,
) {
    loop {
        let dealt = tokio::select! {
            dealt = dealt.recv() => dealt,
            () = ready.closed() => return,
        };
        let Some((connection, open)) = dealt else { return };
        let ready = ready.clone();
        tokio::spawn(async move {
            if let Some(connection) = connection.here().await {
                // Nobody serves any more: the connection ends.
                let _ = ready.send(Ok(Counted { connection, _open: open })).await;
            }
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
    Ok(Worker { runtime: handle, open: Arc::default(), _running: running })
}

/// Deals connections out to the threads.
#[derive(Debug)]
pub(super) struct Dealer<S> {
    hands: Vec<Hand<S>>,
    /// Who is asked first, so that equals take turns.
    next: usize,
}

#[derive(Debug)]
struct Hand<S> {
    sender: mpsc::Sender<(S, Open)>,
    open: Arc<AtomicUsize>,
}

impl<S> Dealer<S> {
    /// Gives a connection to the thread that has the fewest; waits while too many wait there.
    ///
    /// # Errors
    ///
    /// The threads take no more connections.
    pub(super) async fn give(&mut self, connection: S) -> Result<(), Stopped> {
        let count = self.hands.len().max(1);
        self.next = (self.next + 1) % count;
        let turn = self.hands.iter().cycle().skip(self.next).take(count);
        let hand = turn.min_by_key(|hand| hand.open.load(Ordering::Relaxed)).ok_or(Stopped)?;
        hand.open.fetch_add(1, Ordering::Relaxed);
        let open = Open(Arc::clone(&hand.open));
        hand.sender.send((connection, open)).await.map_err(|_| Stopped)
    }
}

impl Dealer<Arrived> {
    /// Accepts connections and gives them to the threads, until `stop` ends.
    pub(super) async fn deal(mut self, acceptor: Acceptor, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => return,
                accepted = acceptor.next() => accepted,
            };
            match accepted {
                Ok(connection) => {
                    if self.give(connection).await.is_err() {
                        return;
                    }
                }
                // Nothing that another connection could not cure; but not in a busy circle, when
                // there are no more descriptors.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    let _ = tokio::time::timeout(PAUSE, &mut stop).await;
                }
            }
        }
    }
}

/// No thread takes connections any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped;

/// Counts as a connection of a thread until it is dropped.
#[derive(Debug)]
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that can move to another runtime.
pub(super) trait Movable: Sized + Send {
    /// The connection in a runtime.
    type Here: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static;

    /// Takes the connection into the runtime of the calling task; `None` when it came to nothing.
    fn here(self) -> impl Future<Output = Option<Self::Here>> + Send;
}

/// A connection that counts while it is there.
#[derive(Debug)]
pub(super) struct Counted<C> {
    connection: C,
    _open: Open,
}

impl<C: Connected> Connected for Counted<C> {
    type ConnectInfo = C::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.connection.connect_info()
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Counted<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Counted<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::os::unix::net::UnixStream;

    use tokio_stream::StreamExt as _;

    use super::{Movable, Workers};

    impl Movable for UnixStream {
        type Here = tokio::net::UnixStream;

        async fn here(self) -> Option<Self::Here> {
            tokio::net::UnixStream::from_std(self).ok()
        }
    }

    #[tokio::test]
    async fn every_thread_gets_its_share_and_who_has_least_gets_the_next() {
        let workers = Workers::start(NonZeroUsize::new(3).unwrap()).unwrap();
        let (mut dealer, mut shares) = workers.deal::<UnixStream>();
        let mut give = async || {
            let (near, _) = UnixStream::pair().unwrap();
            near.set_nonblocking(true).unwrap();
            dealer.give(near).await.unwrap();
        };
        for _ in 0..3 {
            give().await;
        }
        let mut taken = Vec::new();
        for (_, share) in &mut shares {
            taken.push(share.next().await.unwrap().unwrap());
        }
        drop(taken.remove(1));
        give().await;
        assert!(shares[1].1.next().await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn who_deals_learns_that_nobody_takes_connections_any_more() {
        let workers = Workers::start(NonZeroUsize::MIN).unwrap();
        let (mut dealer, shares) = workers.deal::<UnixStream>();
        drop(shares);
        loop {
            let (near, _far) = UnixStream::pair().unwrap();
            near.set_nonblocking(true).unwrap();
            if dealer.give(near).await.is_err() {
                return;
            }
        }
    }
}

//! The bytes of a connection, with what it proves of its other end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::backlog::Reader;
use super::peer::Peer;

/// A connection has this long to make itself known: the TLS handshake, and the first bytes.
pub(super) const HELLO: Duration = Duration::from_secs(10);

/// What every HTTP/2 client begins with: the preface, and the head of a frame of settings.
///
/// Source: RFC 9113, section 3.4.
const HELLO_BYTES: usize = 24 + 9;

/// After its last byte a connection is read for so long, and so much: what a client sent meanwhile
/// must not be unread when the connection is closed, or the operating system takes back the answers
/// that are still on their way.
///
/// Source: RFC 1122, section 4.2.2.13.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

/// A connection.
pub(super) struct Connection {
    io: Io,
    peer: Peer,
    reader: Reader,
    /// Until the first bytes are there.
    hello: Option<Pin<Box<Sleep>>>,
    /// Bytes that came before that.
    hello_bytes: usize,
    heard: Heard,
    /// Set after the last byte.
    linger: Option<Linger>,
    /// Given back when the connection ends.
    _place: OwnedSemaphorePermit,
}

/// Whether a connection said something.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<AtomicBool>);

/// How long, and how much, is read of a connection that is over.
struct Linger {
    until: Pin<Box<Sleep>>,
    left: usize,
}

/// What bytes go over.
pub(super) enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// A connection, which takes a place.
    pub(super) fn new(io: Io, peer: Peer, reader: Reader, place: OwnedSemaphorePermit) -> Self {
        let hello = Some(Box::pin(sleep(HELLO)));
        Self {
            io,
            peer,
            reader,
            hello,
            hello_bytes: 0,
            heard: Heard::default(),
            linger: None,
            _place: place,
        }
    }

    /// Who is at its other end.
    pub(super) fn peer(&self) -> Peer {
        self.peer.clone()
    }

    /// What tells whether it says something.
    pub(super) fn heard(&self) -> Heard {
        self.heard.clone()
    }
}

impl Heard {
    fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Ends when nothing came for a whole `keepalive`, after which it was asked whether it is there,
    /// and for another one.
    pub(super) async fn silence(self, keepalive: Duration) {
        let mut silent = 0;
        while silent < 2 {
            sleep(keepalive).await;
            silent = if self.0.swap(false, Ordering::Relaxed) { 0 } else { silent + 1 };
        }
    }
}

impl Io {
    fn read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }

    fn shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl Linger {
    /// Reads what nobody wants, until the client ends the connection or there was enough of it.
    fn poll(&mut self, io: &mut Io, context: &mut Context<'_>) -> Poll<()> {
        let mut scrap = [0; 4096];
        while self.left > 0 {
            let mut buffer = ReadBuf::new(&mut scrap);
            match io.read(context, &mut buffer) {
                Poll::Pending => return self.until.as_mut().poll(context),
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.left = self.left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.reader.waits(context) {
            // Who is not listened to is not silent.
            self.heard.note();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = self.io.read(context, buffer);
        if self.hello.is_some() {
            // From then on silence ends it.
            self.hello_bytes += buffer.filled().len().saturating_sub(before);
            self.hello = self.hello.take().filter(|_| self.hello_bytes < HELLO_BYTES);
        }
        if read.is_ready() {
            self.heard.note();
        }
        if let (Poll::Pending, Some(hello)) = (&read, &mut self.hello) {
            ready!(hello.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Io::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Io::Unix(stream) => Pin::new(stream).poll_flush(context),
            Io::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, linger, .. } = &mut *self;
        if linger.is_none() {
            ready!(io.shutdown(context))?;
        }
        let linger = linger
            .get_or_insert_with(|| Linger { until: Box::pin(sleep(LINGER)), left: LINGER_BYTES });
        linger.poll(io, context).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Io::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Tcp(stream) => stream.is_write_vectored(),
            Io::Unix(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::Semaphore;

    use super::{Connection, Io};
    use crate::rpc::backlog::Backlog;
    use crate::rpc::peer::{Identity, Origin, Peer};

    /// More than is on its way between two sockets.
    const ANSWER: usize = 8 * 1024 * 1024;

    async fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (near, _) = listener.accept().await.unwrap();
        let place = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let peer = Peer::new(Origin::Loopback, Identity::Nobody);
        (Connection::new(Io::Tcp(near), peer, Backlog::default().connection(), place), far)
    }

    #[tokio::test]
    async fn what_is_said_too_late_takes_back_no_answer() {
        let (mut near, mut far) = pair().await;
        far.write_all(b"too late").await.unwrap();
        let answering = tokio::spawn(async move {
            near.write_all(&vec![7; ANSWER]).await.unwrap();
            near.shutdown().await.unwrap();
        });
        let mut answer = Vec::new();
        far.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer.len(), ANSWER);
        drop(far);
        answering.await.unwrap();
    }

    #[tokio::test]
    async fn who_never_ends_a_connection_is_not_waited_for() {
        let (mut near, far) = pair().await;
        near.shutdown().await.unwrap();
        drop(far);
    }

    #[tokio::test]
    async fn who_never_stops_talking_is_not_listened_to() {
        let (mut near, mut far) = pair().await;
        let talking = tokio::spawn(async move { while far.write_all(&[0; 4096]).await.is_ok() {} });
        near.shutdown().await.unwrap();
        drop(near);
        talking.await.unwrap();
    }
}

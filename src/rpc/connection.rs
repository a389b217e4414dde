//! Connections as they come in, each with what it proves of its other end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::certificate::client;
use super::listener::Listener;
use super::peer::{Identity, Origin, Peer};
use super::tls::Tls;
use super::workers::Movable;

/// A connection has this long to make itself known: the TLS handshake, and the first bytes.
const HELLO: Duration = Duration::from_secs(10);

/// What every HTTP/2 client begins with: the preface, and the head of a frame of settings.
///
/// Source: RFC 9113, section 3.4.
const HELLO_BYTES: usize = 24 + 9;

/// Connections that are ready and wait to be served.
const READY: usize = 64;

/// A pause after accepting failed, as when file descriptors have run out.
const BREATH: Duration = Duration::from_millis(50);

/// A connection.
pub(super) struct Connection {
    io: Io,
    peer: Peer,
    /// Until the first bytes are there.
    hello: Option<Pin<Box<Sleep>>>,
    /// Bytes that came before that.
    heard: usize,
    /// Given back when the connection ends.
    _place: OwnedSemaphorePermit,
}

enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How connections are accepted; clones share the places.
#[derive(Clone, Debug)]
pub(super) struct Accept {
    /// With TLS, if there is any; Unix sockets never have it.
    pub(super) tls: Option<Arc<Tls>>,
    /// Places for connections, of all listeners together.
    pub(super) places: Arc<Semaphore>,
}

/// Accepts the connections of a listener. Dropped, it takes its socket's file along.
#[derive(Debug)]
pub(super) struct Acceptor {
    listener: Listener,
    accept: Accept,
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = &self.listener {
            // It may be gone already; a socket nobody listens on is replaced at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Acceptor {
    pub(super) fn new(listener: Listener, accept: Accept) -> Self {
        Self { listener, accept }
    }

    /// The next connection, once there is a place for it.
    ///
    /// # Errors
    ///
    /// It could not be accepted; the next one may be.
    pub(super) async fn next(&self) -> io::Result<Arrived> {
        let places = Arc::clone(&self.accept.places);
        let place = places.acquire_owned().await.map_err(io::Error::other)?;
        let (socket, origin) = match &self.listener {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Without it answers may only be slower.
                let _ = stream.set_nodelay(true);
                (Socket::Tcp(stream.into_std()?), Origin::of(address.ip()))
            }
            Listener::Unix(listener, _) => {
                (Socket::Unix(listener.accept().await?.0.into_std()?), Origin::Unix)
            }
        };
        let tls = self.accept.tls.as_ref().map(|tls| tls.config());
        Ok(Arrived { socket, origin, tls, place })
    }

    /// Its connections, in the runtime of the calling task, until `stop` ends.
    pub(super) fn here(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> ReceiverStream<io::Result<Connection>> {
        let (ready, connections) = mpsc::channel(READY);
        tokio::spawn(async move {
            let mut stop = std::pin::pin!(stop);
            loop {
                let accepted = tokio::select! {
                    () = &mut stop => return,
                    () = ready.closed() => return,
                    accepted = self.next() => accepted,
                };
                let Ok(arrived) = accepted else {
                    let _ = timeout(BREATH, &mut stop).await;
                    continue;
                };
                let ready = ready.clone();
                // Handshakes do not wait for each other.
                tokio::spawn(async move {
                    if let Some(connection) = arrived.here().await {
                        // Nobody serves any more: the connection ends.
                        let _ = ready.send(Ok(connection)).await;
                    }
                });
            }
        });
        ReceiverStream::new(connections)
    }
}

/// A connection that was accepted, and has not shaken hands yet.
#[derive(Debug)]
pub(super) struct Arrived {
    socket: Socket,
    origin: Origin,
    tls: Option<Arc<ServerConfig>>,
    place: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Movable for Arrived {
    type Here = Connection;

    async fn here(self) -> Option<Connection> {
        let Self { socket, origin, tls, place } = self;
        let (io, identity) = match (socket, tls) {
            (Socket::Tcp(stream), None) => {
                (Io::Tcp(TcpStream::from_std(stream).ok()?), Identity::Nobody)
            }
            (Socket::Tcp(stream), Some(tls)) => {
                let stream = TcpStream::from_std(stream).ok()?;
                let (stream, identity) = shake_hands(TlsAcceptor::from(tls), stream).await?;
                (Io::Tls(Box::new(stream)), identity)
            }
            (Socket::Unix(stream), _) => {
                let stream = UnixStream::from_std(stream).ok()?;
                let identity = stream.peer_cred().map_or(Identity::Nobody, |credentials| {
                    Identity::Unix { uid: credentials.uid() }
                });
                (Io::Unix(stream), identity)
            }
        };
        Some(Connection::new(io, Peer::new(origin, identity), place))
    }
}

/// A handshake that fails is the client's affair.
async fn shake_hands(
    acceptor: TlsAcceptor,
    stream: TcpStream,
) -> Option<(TlsStream<TcpStream>, Identity)> {
    let stream = match timeout(HELLO, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            return None;
        }
        Err(_) => return None,
    };
    let (_, session) = stream.get_ref();
    let identity = match session.peer_certificates().and_then(<[_]>::first) {
        None => Identity::Nobody,
        // What cannot be read proves nothing.
        Some(der) => client(der).map_or(Identity::Nobody, Identity::Certificate),
    };
    Some((stream, identity))
}

impl Connection {
    fn new(io: Io, peer: Peer, place: OwnedSemaphorePermit) -> Self {
        Self { io, peer, hello: Some(Box::pin(sleep(HELLO))), heard: 0, _place: place }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = match &mut self.io {
            Io::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Io::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Io::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        if self.hello.is_some() {
            // From then on unanswered pings end it.
            self.heard += buffer.filled().len().saturating_sub(before);
            self.hello = self.hello.take().filter(|_| self.heard < HELLO_BYTES);
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
        match &mut self.io {
            Io::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
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

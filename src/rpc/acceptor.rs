//! Connections as they come in: accepted, and with what they prove of their other end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::backlog::Backlog;
use super::certificate::client;
use super::connection::{Connection, HELLO, Io};
use super::listener::Listener;
use super::peer::{Identity, Origin, Peer};
use super::serving::Serving;
use super::tls::Tls;
use super::workers::Workers;

/// Between a connection that could not be accepted and the next try.
const PAUSE: Duration = Duration::from_millis(10);

/// Connections that are taken from the operating system at the end, at most: more than it keeps, so
/// that the end comes however fast new ones do.
const LAST: usize = 4096;

/// How connections are accepted; clones share the places.
#[derive(Clone, Debug)]
pub(super) struct Accept {
    /// With TLS, if there is any; Unix sockets never have it.
    pub(super) tls: Option<Arc<Tls>>,
    /// Places for connections, of all listeners together.
    pub(super) places: Arc<Semaphore>,
}

/// Accepts the connections of a listener.
#[derive(Debug)]
pub(super) struct Acceptor {
    listener: Listener,
    file: Option<SocketFile>,
    accept: Accept,
}

/// The file of a Unix socket. Dropped, it is gone.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already; a socket nobody listens on is replaced at the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Acceptor {
    pub(super) fn new(listener: Listener, accept: Accept) -> Self {
        let file = match &listener {
            Listener::Tcp(_) => None,
            Listener::Unix(_, path) => Some(SocketFile(path.clone())),
        };
        Self { listener, file, accept }
    }

    /// Accepts connections and gives them to the workers, until the service is told to leave. Those
    /// that the operating system made until then are served too: their clients know of nothing.
    pub(super) async fn run(self, workers: Arc<Workers>, serving: Serving) {
        let mut leaving = std::pin::pin!(serving.leaving());
        loop {
            let arrived = tokio::select! {
                () = &mut leaving => break,
                arrived = self.next() => arrived,
            };
            match arrived {
                Ok(arrived) => workers.give(serving.clone().serve(arrived)),
                // Nothing that another connection could not cure; but not in a busy circle, when
                // there are no more descriptors.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    if timeout(PAUSE, &mut leaving).await.is_ok() {
                        break;
                    }
                }
            }
        }
        for arrived in self.close() {
            workers.give(serving.clone().serve(arrived));
        }
    }

    /// The next connection, once there is a place for it.
    ///
    /// # Errors
    ///
    /// It could not be accepted; the next one may be.
    async fn next(&self) -> io::Result<Arrived> {
        let places = Arc::clone(&self.accept.places);
        let place = Place::Taken(places.acquire_owned().await.map_err(io::Error::other)?);
        match &self.listener {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok(self.accept.tcp(stream.into_std()?, Origin::of(address.ip()), place))
            }
            Listener::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok(self.accept.unix(stream.into_std()?, place))
            }
        }
    }

    /// Listens no more. Gives back the connections that nobody accepted yet.
    fn close(self) -> Vec<Arrived> {
        let Self { listener, file, accept } = self;
        // From here on nobody finds it.
        drop(file);
        let wait = || Place::Wanted(Arc::clone(&accept.places));
        match listener {
            Listener::Tcp(listener) => listener.into_std().map(|listener| {
                waiting(|| {
                    let (stream, address) = listener.accept()?;
                    stream.set_nonblocking(true)?;
                    Ok(accept.tcp(stream, Origin::of(address.ip()), wait()))
                })
            }),
            Listener::Unix(listener, _) => listener.into_std().map(|listener| {
                waiting(|| {
                    let (stream, _) = listener.accept()?;
                    stream.set_nonblocking(true)?;
                    Ok(accept.unix(stream, wait()))
                })
            }),
        }
        .unwrap_or_default()
    }
}

/// What comes without waiting for it.
fn waiting(mut next: impl FnMut() -> io::Result<Arrived>) -> Vec<Arrived> {
    let mut arrived = Vec::new();
    while arrived.len() < LAST {
        match next() {
            Ok(connection) => arrived.push(connection),
            // That one went away by itself.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    arrived
}

impl Accept {
    fn tcp(&self, stream: std::net::TcpStream, origin: Origin, place: Place) -> Arrived {
        // Without it answers may only be slower.
        let _ = stream.set_nodelay(true);
        let tls = self.tls.as_ref().map(|tls| tls.config());
        Arrived { socket: Socket::Tcp(stream, tls), origin, place }
    }

    fn unix(&self, stream: std::os::unix::net::UnixStream, place: Place) -> Arrived {
        Arrived { socket: Socket::Unix(stream), origin: Origin::Unix, place }
    }
}

/// A connection that was accepted, and has not shaken hands yet.
#[derive(Debug)]
pub(super) struct Arrived {
    socket: Socket,
    origin: Origin,
    place: Place,
}

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpStream, Option<Arc<ServerConfig>>),
    Unix(std::os::unix::net::UnixStream),
}

/// A place among the connections.
#[derive(Debug)]
enum Place {
    Taken(OwnedSemaphorePermit),
    /// It waits for one.
    Wanted(Arc<Semaphore>),
}

impl Arrived {
    /// Takes the connection into the runtime of the calling task, and its calls into a backlog;
    /// `None` when it came to nothing.
    pub(super) async fn here(self, backlog: &Backlog) -> Option<Connection> {
        let Self { socket, origin, place } = self;
        let place = match place {
            Place::Taken(place) => place,
            Place::Wanted(places) => places.acquire_owned().await.ok()?,
        };
        let (io, identity) = match socket {
            Socket::Tcp(stream, None) => {
                (Io::Tcp(TcpStream::from_std(stream).ok()?), Identity::Nobody)
            }
            Socket::Tcp(stream, Some(tls)) => {
                let stream = TcpStream::from_std(stream).ok()?;
                let (stream, identity) = shake_hands(TlsAcceptor::from(tls), stream).await?;
                (Io::Tls(Box::new(stream)), identity)
            }
            Socket::Unix(stream) => {
                let stream = UnixStream::from_std(stream).ok()?;
                let identity = stream.peer_cred().map_or(Identity::Nobody, |credentials| {
                    Identity::Unix { uid: credentials.uid() }
                });
                (Io::Unix(stream), identity)
            }
        };
        Some(Connection::new(io, Peer::new(origin, identity), backlog.connection(), place))
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::{Accept, Acceptor};
    use crate::rpc::backlog::Backlog;
    use crate::rpc::listener::{Address, DATA_SOCKET, Listener};

    #[tokio::test]
    async fn who_connected_before_the_end_is_served_and_nobody_connects_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.sock");
        let listener = Listener::bind(&Address::Unix(path.clone()), DATA_SOCKET).await.unwrap();
        // Fewer places than connections.
        let accept = Accept { tls: None, places: Arc::new(Semaphore::new(1)) };
        let acceptor = Acceptor::new(listener, accept);
        let clients: Vec<_> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
        let first = acceptor.next().await.unwrap();
        let rest = acceptor.close();
        assert_eq!(rest.len(), clients.len() - 1);
        assert!(!path.exists() && UnixStream::connect(&path).is_err());
        // One after the other: each gives its place back.
        for arrived in [first].into_iter().chain(rest) {
            assert!(arrived.here(&Backlog::here()).await.is_some());
        }
    }
}

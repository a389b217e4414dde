//! Where the service listens: TCP and Unix sockets.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, UnixListener, UnixStream};

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `host:port`; port 0 stands for any free one.
    Tcp(SocketAddr),
    /// `unix:PATH`.
    Unix(PathBuf),
}

impl Address {
    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress(text.to_owned());
        match text.strip_prefix("unix:") {
            Some("" | "//") => Err(invalid()),
            Some(path) => Ok(Self::Unix(path.strip_prefix("//").unwrap_or(path).into())),
            None => {
                let local = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
                local.as_deref().unwrap_or(text).parse().map(Self::Tcp).map_err(|_| invalid())
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address: expected `127.0.0.1:7180`, `[::1]:7180` or `unix:PATH`")]
pub struct InvalidAddress(String);

/// Permissions of a socket for authorization questions: its group may ask.
pub const DATA_SOCKET: u32 = 0o660;

/// Permissions of a socket for operators.
pub const ADMIN_SOCKET: u32 = 0o600;

/// A bound listener.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket, and its path.
    Unix(UnixListener, PathBuf),
}

/// An address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct CannotListen {
    address: Address,
    source: io::Error,
}

impl Listener {
    /// Binds an address. A socket on which somebody listens is left alone; a new one has the
    /// permissions `mode`. Its folder is made if it is missing, for the owner alone.
    ///
    /// # Errors
    ///
    /// It is in use, or may not be bound.
    pub async fn bind(address: &Address, mode: u32) -> Result<Self, CannotListen> {
        let bound = match address {
            Address::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Address::Unix(path) => {
                unix(path, mode).await.map(|listener| Self::Unix(listener, path.clone()))
            }
        };
        bound.map_err(|source| CannotListen { address: address.clone(), source })
    }

    /// The address that was bound: port 0 has become a real one.
    ///
    /// # Errors
    ///
    /// The operating system does not tell.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(_, path) => Ok(Address::Unix(path.clone())),
        }
    }
}

async fn unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    if let Ok(metadata) = fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "the path is there and is not a socket",
            ));
        }
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path)?
            }
            _ => return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there")),
        }
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::{Address, DATA_SOCKET, Listener};

    #[track_caller]
    fn check(text: &str, shown: Option<&str>) {
        assert_eq!(
            text.parse::<Address>().ok().map(|a| a.to_string()).as_deref(),
            shown,
            "{text:?}"
        );
    }

    #[test]
    fn addresses_are_ports_or_paths() {
        check("127.0.0.1:7180", Some("127.0.0.1:7180"));
        check("localhost:7180", Some("127.0.0.1:7180"));
        check("[::1]:0", Some("[::1]:0"));
        check("unix:/run/k.sock", Some("unix:/run/k.sock"));
        check("unix:///run/k.sock", Some("unix:/run/k.sock"));
        check("unix:", None);
        check("7180", None);
        check("host:7180", None);
    }

    #[tokio::test]
    async fn a_live_socket_is_left_alone_and_a_dead_one_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Unix(folder.path().join("k.sock"));
        let first = Listener::bind(&address, DATA_SOCKET).await.unwrap();
        let refused = Listener::bind(&address, DATA_SOCKET).await.unwrap_err().to_string();
        assert!(refused.contains("somebody listens there"), "{refused}");
        drop(first);
        assert!(Listener::bind(&address, DATA_SOCKET).await.is_ok());
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error() {
        let first = Listener::bind(&"127.0.0.1:0".parse().unwrap(), DATA_SOCKET).await.unwrap();
        assert!(Listener::bind(&first.address().unwrap(), DATA_SOCKET).await.is_err());
    }
}

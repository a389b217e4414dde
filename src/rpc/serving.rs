//! One connection over HTTP/2, from its first byte to its last.
//!
//! Whoever connected is answered, whenever the service is told to leave: a connection is asked to
//! end (`GOAWAY`), what was begun on it is finished, and then it ends.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};

use super::acceptor::Arrived;
use super::answers::Answers;
use super::backlog::Backlog;
use super::connection::Connection;
use super::deadline::{Timely, timed};
use super::entrance::{Entrance, Passed};
use super::limits::{Limits, Shed};
use super::peer::Peer;
use super::tasks::Tasks;

/// Bytes of a request's headers.
const HEADER_BYTES: u32 = 16 * 1024;

/// Calls that a client may begin and give up, or get wrong, before its connection is cut.
///
/// Source: CVE-2023-44487 (rapid reset).
const RESETS: usize = 64;

/// A connection that was asked to end because of its age has this long to do so.
const AGE_GRACE: Duration = Duration::from_secs(30);

/// How far the service has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It answers whoever comes.
    Serving,
    /// Nobody new is let in; what was begun is finished.
    Leaving,
    /// What is not finished is cut off.
    Gone,
}

/// How the connections of a listener are served.
#[derive(Clone)]
pub(super) struct Serving {
    streams: u32,
    entrance: Entrance,
    answers: Answers,
    age: Duration,
    keepalive: Duration,
    shed: Arc<Shed>,
    /// Held by whatever is served, so that the end of all of it can be waited for.
    phase: watch::Receiver<Phase>,
}

impl Serving {
    pub(super) fn new(
        limits: &Limits,
        shed: Arc<Shed>,
        entrance: &Entrance,
        answers: Answers,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let Limits { streams, connection_age: age, keepalive, .. } = *limits;
        Self { streams, entrance: entrance.clone(), answers, age, keepalive, shed, phase }
    }

    /// HTTP/2 for a connection whose calls are in a backlog.
    fn http(&self, backlog: Backlog) -> Builder<Tasks> {
        let mut http = Builder::new(Tasks { backlog, busy: self.entrance.busy.clone() });
        http.timer(TokioTimer::new())
            .max_header_list_size(HEADER_BYTES)
            .keep_alive_interval(self.keepalive)
            // Whoever does not answer is cut before: this would first want to say goodbye, for which a
            // client that takes nothing leaves no room.
            .keep_alive_timeout(self.keepalive.saturating_mul(4))
            .max_concurrent_streams(self.streams)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(RESETS);
        http
    }

    /// Ends when the service is told to leave.
    pub(super) fn leaving(&self) -> impl Future<Output = ()> + use<> {
        reached(self.phase.clone(), Phase::Leaving)
    }

    /// Serves what was accepted until it ends, or until what is not finished is cut off.
    pub(super) async fn serve(self, arrived: Arrived) {
        let gone = reached(self.phase.clone(), Phase::Gone);
        let served = async {
            let backlog = Backlog::here();
            if let Some(connection) = arrived.here(&backlog).await {
                self.connection(connection, backlog).await;
            }
        };
        tokio::select! {
            () = gone => {}
            () = served => {}
        }
    }

    async fn connection(self, connection: Connection, backlog: Backlog) {
        let http = self.http(backlog);
        let leaving = self.leaving();
        let (peer, silence) = (connection.peer(), connection.heard().silence(self.keepalive));
        let calls = Calls { peer, entrance: self.entrance, answers: self.answers };
        let mut served = pin!(http.serve_connection(TokioIo::new(connection), calls));
        // A connection that fails is the client's affair.
        let grace = tokio::select! {
            _ = &mut served => return,
            () = silence => {
                self.shed.silent.fetch_add(1, Ordering::Relaxed);
                return;
            }
            () = leaving => None,
            () = aged(self.age) => Some(AGE_GRACE),
        };
        served.as_mut().graceful_shutdown();
        tokio::select! {
            _ = served => {}
            () = aged(grace.unwrap_or_default()) => {}
        }
    }
}

/// Ends after so long; zero: never.
async fn aged(age: Duration) {
    if age.is_zero() {
        std::future::pending::<()>().await;
    }
    sleep(age).await;
}

/// Ends when the service has come so far.
async fn reached(mut phase: watch::Receiver<Phase>, goal: Phase) {
    // An error means that nobody is there any more who could say so.
    let _ = phase.wait_for(|phase| *phase >= goal).await;
}

/// The calls of one connection.
struct Calls {
    peer: Peer,
    entrance: Entrance,
    answers: Answers,
}

impl Service<Request<Incoming>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Timely<Passed>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        timed(request, |request| self.entrance.call(request, &self.peer, &self.answers))
    }
}

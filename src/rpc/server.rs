//! The services, with health and reflection, on their listeners.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_stream::Stream;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tower::layer::util::{Identity, Stack};

use super::analysis::Analysis;
use super::authorization::{Authorization, Clock};
use super::deadline::Deadlines;
use super::grants::Grants;
use super::health;
use super::http;
use super::in_place::InPlace;
use super::listener::Listener;
use super::policies::PolicySet;
use super::workers::{Dealt, Movable, Workers};
use crate::engine::term::time::Timestamp;
use crate::pdp::Pdp;
use crate::pdp::reload::Policies;
use crate::pdp::status::MaxStaleness;
use crate::telemetry::Telemetry;
use crate::wire::v1;
use crate::wire::v1::analysis_service_server::AnalysisServiceServer;
use crate::wire::v1::grant_service_server::GrantServiceServer;
use crate::wire::v1::policy_service_server::PolicyServiceServer;

/// Bytes of a request message.
const MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of a request's headers.
const HEADER_BYTES: u32 = 16 * 1024;

/// A request that is in flight when the service is told to stop has this long to end.
const DRAIN: Duration = Duration::from_secs(10);

/// The instant of the machine's clock.
#[must_use]
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

/// Serving ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors of the services do not fit together.
    #[error("reflection cannot be built: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The threads that answer could not be started.
    #[error("no thread to answer: {0}")]
    Threads(#[from] std::io::Error),
    /// A listener failed.
    #[error("a listener failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Where what is served.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For authorization questions.
    pub data: Vec<Listener>,
    /// Threads that answer them, each with a runtime of its own; without, the runtime that serves
    /// does.
    pub threads: Option<NonZeroUsize>,
    /// For operators: all services.
    pub admin: Vec<Listener>,
    /// For metrics and probes.
    pub http: Vec<Listener>,
}

/// What is served.
#[derive(Clone)]
pub struct Services {
    /// Who answers.
    pub pdp: Arc<Pdp>,
    /// Where the instant of a decision comes from.
    pub clock: Clock,
    /// The most grants that a key may have.
    pub grants_per_key: u64,
    /// How the policy set is doing.
    pub policies: Arc<Policies>,
    /// For how long the policy set may be unreadable.
    pub max_staleness: MaxStaleness,
    /// Who is told what was decided.
    pub telemetry: Telemetry,
}

/// Serves on all listeners until `shutdown` ends, then lets what is in flight finish.
///
/// # Errors
///
/// A listener fails.
pub async fn serve(
    listeners: Listeners,
    services: Services,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let policy_status = services.policies.status();
    let now = Arc::clone(&policy_status.borrow());
    health::tell(&reporter, &now).await;
    let authorization = Authorization::new(
        Arc::clone(&services.pdp),
        Arc::clone(&services.clock),
        services.telemetry.clone(),
    );
    let authorization = InPlace::new(authorization, MESSAGE_BYTES);
    let mut data = Routes::builder();
    data.add_service(health_service.clone())
        .add_service(reflection(v1::DATA_DESCRIPTOR_SET).build_v1()?)
        .add_service(reflection(v1::DATA_DESCRIPTOR_SET).build_v1alpha()?)
        .add_service(authorization.clone());
    let analysis = Analysis::new(Arc::clone(&services.pdp), Arc::clone(&services.clock));
    let grants = Grants::new(services.pdp, services.clock, services.grants_per_key);
    let mut admin = Routes::builder();
    admin
        .add_service(health_service)
        .add_service(reflection(v1::FILE_DESCRIPTOR_SET).build_v1()?)
        .add_service(reflection(v1::FILE_DESCRIPTOR_SET).build_v1alpha()?)
        .add_service(authorization)
        .add_service(AnalysisServiceServer::new(analysis).max_decoding_message_size(MESSAGE_BYTES))
        .add_service(GrantServiceServer::new(grants).max_decoding_message_size(MESSAGE_BYTES))
        .add_service(PolicyServiceServer::new(PolicySet::new(
            services.policies,
            services.max_staleness,
            services.telemetry.clone(),
        )));
    let (stop, stopped) = watch::channel(false);
    // Until the very end, so that draining can be watched. Dropped, its tasks end.
    let mut probed = JoinSet::new();
    for listener in listeners.http {
        let (stopped, status) = (stopped.clone(), policy_status.clone());
        let ready: http::Ready = Arc::new(move || match () {
            () if *stopped.borrow() => Err("draining".to_owned()),
            () if !status.borrow().is_ready() => Err("the policy set is stale".to_owned()),
            () => Ok(()),
        });
        probed.spawn(http::serve(listener, services.telemetry.clone(), ready));
    }
    let mut serving = JoinSet::new();
    let workers = listeners.threads.map(Workers::start).transpose()?;
    let (data, admin) = (data.routes(), admin.routes());
    for listener in listeners.data {
        match &workers {
            Some(workers) => spread(listener, &data, workers, &stopped, &mut serving),
            None => drop(serving.spawn(one(listener, data.clone(), stopped.clone()))),
        }
    }
    for listener in listeners.admin {
        serving.spawn(one(listener, admin.clone(), stopped.clone()));
    }
    tokio::select! {
        () = shutdown => {}
        () = health::follow(&reporter, policy_status) => {}
        Some(ended) = serving.join_next() => return ended.unwrap_or(Ok(())).map_err(Into::into),
    }
    health::drain(&reporter).await;
    // Nobody may be listening any more: then there is nothing to stop.
    let _ = stop.send(true);
    let drained =
        tokio::time::timeout(DRAIN, async { while serving.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!("calls in flight did not end in time and are cut off");
    }
    Ok(())
}

/// Ends when the service is told to stop.
async fn stop(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone: stop as well.
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn router(routes: Routes) -> Router<Stack<Deadlines, Identity>> {
    Server::builder()
        .http2_max_header_list_size(HEADER_BYTES)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .layer(Deadlines)
        .add_routes(routes)
}

/// Serves what a listener accepts on the threads.
fn spread(
    listener: Listener,
    routes: &Routes,
    workers: &Workers,
    stopped: &watch::Receiver<bool>,
    serving: &mut JoinSet<Result<(), tonic::transport::Error>>,
) {
    fn shares<S: Movable + 'static>(
        shares: Vec<(Handle, Dealt<S>)>,
        routes: &Routes,
        stopped: &watch::Receiver<bool>,
        serving: &mut JoinSet<Result<(), tonic::transport::Error>>,
    ) {
        for (runtime, share) in shares {
            let served = router(routes.clone());
            let served = served.serve_with_incoming_shutdown(share, stop(stopped.clone()));
            serving.spawn_on(served, &runtime);
        }
    }
    let stopping = stop(stopped.clone());
    match listener {
        Listener::Tcp(listener) => {
            let (dealer, dealt) = workers.deal();
            shares(dealt, routes, stopped, serving);
            let accept = async move || {
                let (stream, _) = listener.accept().await?;
                // Without it answers may only be slower.
                let _ = stream.set_nodelay(true);
                stream.into_std()
            };
            serving.spawn(async {
                dealer.deal(accept, stopping).await;
                Ok(())
            });
        }
        Listener::Unix(listener, path) => {
            let (dealer, dealt) = workers.deal();
            shares(dealt, routes, stopped, serving);
            let accept = async move || listener.accept().await?.0.into_std();
            serving.spawn(async {
                dealer.deal(accept, stopping).await;
                // As when the service does without threads.
                let _ = std::fs::remove_file(path);
                Ok(())
            });
        }
    }
}

async fn one(
    listener: Listener,
    routes: Routes,
    stopped: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let (router, stop) = (router(routes), stop(stopped));
    match listener {
        Listener::Tcp(listener) => {
            let incoming = TcpListenerStream::new(listener);
            router.serve_with_incoming_shutdown(NoDelay(incoming), stop).await
        }
        Listener::Unix(listener, path) => {
            let ended =
                router.serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop).await;
            // It may be gone already; a socket nobody listens on is replaced at the next start.
            let _ = std::fs::remove_file(path);
            ended
        }
    }
}

/// Reflection over some services; `google.rpc` too, so that clients can read error details.
fn reflection<'b>(services: &'b [u8]) -> tonic_reflection::server::Builder<'b> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(services)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

/// Connections that send small answers at once.
struct NoDelay(TcpListenerStream);

impl Stream for NoDelay {
    type Item = std::io::Result<TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = ready!(Pin::new(&mut self.0).poll_next(context));
        if let Some(Ok(stream)) = &accepted {
            // Without it answers may only be slower.
            let _ = stream.set_nodelay(true);
        }
        Poll::Ready(accepted)
    }
}

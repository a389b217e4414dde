//! The services, with health and reflection, on their listeners.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tonic::service::Routes;

use super::acceptor::{Accept, Acceptor};
use super::analysis::Analysis;
use super::answers::Answers;
use super::arrival::Arrivals;
use super::authorization::{Authorization, Clock};
use super::callers::Gate;
use super::entrance::Entrance;
use super::grants::Grants;
use super::health;
use super::http;
use super::in_place::InPlace;
use super::limits::{Busy, Limits, Shed};
use super::listener::Listener;
use super::policies::PolicySet;
use super::serving::{Phase, Serving};
use super::tls::Tls;
use super::workers::Workers;
use crate::engine::term::time::Timestamp;
use crate::pdp::Pdp;
use crate::pdp::reload::Policies;
use crate::pdp::status::MaxStaleness;
use crate::telemetry::Telemetry;
use crate::wire::v1;
use crate::wire::v1::analysis_service_server::AnalysisServiceServer;
use crate::wire::v1::grant_service_server::GrantServiceServer;
use crate::wire::v1::policy_service_server::PolicyServiceServer;

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
    Listener(#[from] JoinError),
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
    /// With it TCP listeners for questions and operators are served.
    pub tls: Option<Arc<Tls>>,
    /// What is taken on.
    pub limits: Limits,
    /// How it ends.
    pub drain: Drain,
}

/// How the service ends when it is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// For so long it says that it is not ready and answers as before, so that load balancers learn
    /// of it.
    pub grace: Duration,
    /// Calls in flight have so long to end.
    pub timeout: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { grace: Duration::ZERO, timeout: Duration::from_secs(10) }
    }
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
    /// Knows who may ask.
    pub gate: Arc<Gate>,
    /// Counts calls that were refused or ended because of the limits.
    pub shed: Arc<Shed>,
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
    let Limits { message_bytes, .. } = listeners.limits;
    let authorization = Authorization::new(
        Arc::clone(&services.pdp),
        Arc::clone(&services.clock),
        services.telemetry.clone(),
    )
    .counted(Arc::clone(&services.shed));
    let gate = services.gate;
    let analysis = Analysis::new(
        Arc::clone(&services.pdp),
        Arc::clone(&services.clock),
        services.telemetry.clone(),
    );
    let grants = Grants::new(
        services.pdp,
        services.clock,
        services.grants_per_key,
        services.telemetry.clone(),
    );
    let grants_of_callers = GrantServiceServer::new(grants.clone().behind(Arc::clone(&gate)));
    let asked = InPlace::new(authorization.clone().behind(Arc::clone(&gate)), message_bytes);
    let mut data = Routes::builder();
    // Grants are for the few: reflection does not show them.
    data.add_service(health_service.clone())
        .add_service(reflection(v1::DATA_DESCRIPTOR_SET).build_v1()?)
        .add_service(reflection(v1::DATA_DESCRIPTOR_SET).build_v1alpha()?)
        .add_service(grants_of_callers.max_decoding_message_size(message_bytes));
    let (ending, ended) = watch::channel(());
    let mut admin = Routes::builder();
    admin
        .add_service(health_service)
        .add_service(reflection(v1::FILE_DESCRIPTOR_SET).build_v1()?)
        .add_service(reflection(v1::FILE_DESCRIPTOR_SET).build_v1alpha()?)
        .add_service(AnalysisServiceServer::new(analysis).max_decoding_message_size(message_bytes))
        .add_service(GrantServiceServer::new(grants).max_decoding_message_size(message_bytes))
        .add_service(PolicyServiceServer::new(PolicySet::new(
            services.policies,
            services.max_staleness,
            services.telemetry.clone(),
            ended,
        )));
    let (phase, phases) = watch::channel(Phase::Serving);
    let draining = Arc::new(AtomicBool::new(false));
    // Until the very end, so that draining can be watched. Dropped, its tasks end.
    let mut probed = JoinSet::new();
    for listener in listeners.http {
        let (draining, status) = (Arc::clone(&draining), policy_status.clone());
        let ready: http::Ready = Arc::new(move || match () {
            () if draining.load(Ordering::Acquire) => Err("draining".to_owned()),
            () if !status.borrow().is_ready() => Err("the policy set is stale".to_owned()),
            () => Ok(()),
        });
        probed.spawn(http::serve(listener, services.telemetry.clone(), ready));
    }
    let here = Arc::new(Workers::here());
    let threads = listeners.threads.map(Workers::start).transpose()?.map(Arc::new);
    let answering = threads.as_ref().unwrap_or(&here);
    let limits = listeners.limits;
    let entrance = Entrance {
        busy: Busy::new(limits.calls, Arc::clone(&services.shed)),
        arrivals: Arrivals::new(&limits, Arc::clone(&services.shed)),
        operators: None,
    };
    let operators = Entrance { operators: Some(gate), ..entrance.clone() };
    let accept =
        Accept { tls: listeners.tls, places: Arc::new(Semaphore::new(limits.connections)) };
    let data = Answers::new(asked, data.routes());
    let admin = Answers::new(InPlace::new(authorization, message_bytes), admin.routes());
    let mut accepting = JoinSet::new();
    let mut listen = |listener, workers: &Arc<Workers>, entrance: &Entrance, answers: &Answers| {
        let (shed, phases) = (Arc::clone(&services.shed), phases.clone());
        let serving = Serving::new(&limits, shed, entrance, answers.clone(), phases);
        let acceptor = Acceptor::new(listener, accept.clone());
        accepting.spawn(acceptor.run(Arc::clone(workers), serving));
    };
    for listener in listeners.data {
        listen(listener, answering, &entrance, &data);
    }
    for listener in listeners.admin {
        // The permissions of a Unix socket say who is an operator.
        let entrance = match listener {
            Listener::Tcp(_) => &operators,
            Listener::Unix(..) => &entrance,
        };
        listen(listener, &here, entrance, &admin);
    }
    // Only what is served holds it.
    drop(phases);
    tokio::select! {
        () = shutdown => {}
        () = health::follow(&reporter, policy_status) => {}
        Some(ended) = accepting.join_next() => return ended.map_err(Into::into),
    }
    health::drain(&reporter).await;
    let drain = listeners.drain;
    draining.store(true, Ordering::Release);
    // A listener that ends meanwhile leaves nobody to wait for.
    let _ = timeout(drain.grace, accepting.join_next()).await;
    // Nobody may be listening any more: then there is nothing to stop.
    let _ = phase.send(Phase::Leaving);
    // Whoever watches would have to be waited for.
    drop(ending);
    health::end(reporter).await;
    if timeout(drain.timeout, phase.closed()).await.is_err() {
        tracing::warn!("calls in flight did not end in time and are cut off");
        let _ = phase.send(Phase::Gone);
    }
    Ok(())
}

/// Reflection over some services; `google.rpc` too, so that clients can read error details.
fn reflection<'b>(services: &'b [u8]) -> tonic_reflection::server::Builder<'b> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(services)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

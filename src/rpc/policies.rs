//! `PolicyService`: how the policy set is doing, and to have it read again.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;
use tonic::{Code, Request, Response, Status as GrpcStatus};

use super::status::refused;
use super::told::Told;
use crate::engine::term::time::Timestamp;
use crate::pdp::reload::Policies;
use crate::pdp::status::{Contents, MaxStaleness, Origin, State, Status, WhenStale};
use crate::telemetry::call::Method;
use crate::telemetry::log::counts::Loss;
use crate::telemetry::{SinkStatus, Telemetry};
use crate::wire::simulation::problem;
use crate::wire::v1;
use crate::wire::v1::policy_service_server::PolicyService;

/// Problems that a status tells.
const MOST_PROBLEMS: usize = 100;

/// Tells how the policy set is doing, and the decision log.
#[derive(Clone, Debug)]
pub struct PolicySet {
    policies: Arc<Policies>,
    max_staleness: MaxStaleness,
    telemetry: Telemetry,
    /// Its sender is dropped when the service ends: nothing is watched from then on.
    ending: watch::Receiver<()>,
}

impl PolicySet {
    /// Tells of `policies`, which may be unreadable for so long, and of the log of `telemetry`,
    /// until the sender of `ending` is dropped.
    #[must_use]
    pub fn new(
        policies: Arc<Policies>,
        max_staleness: MaxStaleness,
        telemetry: Telemetry,
        ending: watch::Receiver<()>,
    ) -> Self {
        Self { policies, max_staleness, telemetry, ending }
    }

    fn status(&self, status: &Status) -> v1::PolicySetStatus {
        let active = &status.active;
        let warnings = active.warnings.iter();
        let mut message = v1::PolicySetStatus {
            state: v1::PolicySetState::Current.into(),
            revision: active.revision.as_ref().to_owned(),
            origin: match active.origin {
                Origin::Source => v1::PolicySetOrigin::Source,
                Origin::LastGood => v1::PolicySetOrigin::LastGood,
            }
            .into(),
            activated_at: Some(instant(active.since)),
            checked_at: Some(instant(status.checked)),
            contents: Some(contents(&active.contents)),
            warnings: warnings.take(MOST_PROBLEMS).map(problem).collect(),
            warning_count: count(active.warnings.len()),
            refused: None,
            staleness: None,
            watch_trouble: status.watch_trouble.clone().unwrap_or_default(),
            counts: Some(v1::ReloadCounts {
                applied: status.counts.applied,
                refused: status.counts.refused,
                unreadable: status.counts.unreadable,
            }),
        };
        match &status.state {
            State::Current => {}
            State::Refused(refused) => {
                let problems = refused.problems.as_slice();
                message.state = v1::PolicySetState::Refused.into();
                message.refused = Some(v1::RefusedPolicySet {
                    refused_at: Some(instant(refused.at)),
                    problems: problems.iter().take(MOST_PROBLEMS).map(problem).collect(),
                    problem_count: count(problems.len()),
                });
            }
            State::Unreadable { since, problem: why } => {
                let MaxStaleness { after, then } = self.max_staleness;
                message.state = v1::PolicySetState::Unreadable.into();
                message.staleness = Some(v1::PolicySetStaleness {
                    unreadable_since: Some(instant(*since)),
                    problem: Some(problem(why)),
                    max_staleness: prost_types::Duration::try_from(after).ok(),
                    action: action(then).into(),
                    exceeded: status.stale.is_some(),
                });
            }
        }
        message
    }
}

fn action(then: WhenStale) -> v1::StaleAction {
    match then {
        WhenStale::Serve => v1::StaleAction::Serve,
        WhenStale::Deny => v1::StaleAction::Deny,
        WhenStale::NotReady => v1::StaleAction::NotReady,
    }
}

fn contents(contents: &Contents) -> v1::PolicySetContents {
    v1::PolicySetContents {
        documents: contents.documents as u64,
        keys: contents.keys as u64,
        aliases: contents.aliases as u64,
        grants: contents.grants as u64,
        users: contents.users as u64,
        roles: contents.roles as u64,
        endpoints: contents.endpoints as u64,
        assertions: contents.assertions as u64,
    }
}

fn sink(sink: SinkStatus) -> v1::DecisionLogStatus {
    let lost = sink.lost.into_iter();
    let loss = |(reason, records): (Loss, u64)| v1::DecisionLogLoss {
        reason: reason.name().to_owned(),
        records,
    };
    v1::DecisionLogStatus {
        sink: sink.sink,
        head: sink.head.to_string(),
        written: sink.written,
        queued: sink.queued,
        spilled: sink.spilled,
        lost: lost.map(loss).collect(),
    }
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn instant(now: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(now.nanoseconds()).unwrap_or(0);
    prost_types::Timestamp { seconds: now.seconds(), nanos }
}

#[tonic::async_trait]
impl PolicyService for PolicySet {
    async fn get_policy_set_status(
        &self,
        call: Request<v1::GetPolicySetStatusRequest>,
    ) -> Result<Response<v1::GetPolicySetStatusResponse>, GrpcStatus> {
        let told = Told::of(&self.telemetry, Method::GetPolicySetStatus, &call);
        let status = Arc::clone(&self.policies.status().borrow());
        let status = Some(self.status(&status));
        let decision_log = self.telemetry.sinks().into_iter().map(sink).collect();
        told.end(Ok(v1::GetPolicySetStatusResponse { status, decision_log }))
    }

    type WatchPolicySetStatusStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchPolicySetStatusResponse, GrpcStatus>> + Send>>;

    async fn watch_policy_set_status(
        &self,
        call: Request<v1::WatchPolicySetStatusRequest>,
    ) -> Result<Response<Self::WatchPolicySetStatusStream>, GrpcStatus> {
        let service = self.clone();
        // It ends with the stream: the caller gives it up, or the service stops.
        let watching = Told::of(&self.telemetry, Method::WatchPolicySetStatus, &call);
        let mut ending = self.ending.clone();
        let ended = async move {
            // Nothing is ever sent.
            while ending.changed().await.is_ok() {}
        };
        let told = WatchStream::new(self.policies.status()).map(move |status| {
            let _watching = &watching;
            let status = Some(service.status(&status));
            Ok(v1::WatchPolicySetStatusResponse { status })
        });
        Ok(Response::new(Box::pin(told.take_until(ended))))
    }

    async fn reload_policy_set(
        &self,
        call: Request<v1::ReloadPolicySetRequest>,
    ) -> Result<Response<v1::ReloadPolicySetResponse>, GrpcStatus> {
        let told = Told::of(&self.telemetry, Method::ReloadPolicySet, &call);
        told.end(self.reloaded().await)
    }
}

impl PolicySet {
    async fn reloaded(&self) -> Result<v1::ReloadPolicySetResponse, GrpcStatus> {
        let status = self.policies.reload().await.map_err(|error| {
            refused(Code::FailedPrecondition, "NOT_FOLLOWED", error.to_string())
        })?;
        Ok(v1::ReloadPolicySetResponse { status: Some(self.status(&status)) })
    }
}

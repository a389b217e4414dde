//! `AnalysisService`: what would be, and what there is to say of a policy.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::{Code, Request, Response, Status};

use super::authorization::Clock;
use super::freshness::time_left;
use super::status;
use super::tokens::resolve;
use super::told::Told;
use super::validate::validate;
use crate::engine::decide::explain;
use crate::engine::term::request::InvalidRequest;
use crate::engine::term::time::Timestamp;
use crate::pdp::Pdp;
use crate::pdp::what_if::NoDocuments;
use crate::telemetry::Telemetry;
use crate::telemetry::call::Method;
use crate::wire::proto::answer::{Envelope, response};
use crate::wire::proto::request::request_with;
use crate::wire::proto::view::View;
use crate::wire::simulation::{documents, evaluation, now, overrides, problem};
use crate::wire::v1;
use crate::wire::v1::analysis_service_server::AnalysisService;

/// Questions at once: each may read and compile the whole set.
const AT_ONCE: usize = 1;

/// Answers what would be.
#[derive(Clone)]
pub struct Analysis {
    pdp: Arc<Pdp>,
    clock: Clock,
    telemetry: Telemetry,
    turns: Arc<Semaphore>,
}

impl Analysis {
    /// Answers about what `pdp` holds, at the instants of `clock`, and tells `telemetry`.
    #[must_use]
    pub fn new(pdp: Arc<Pdp>, clock: Clock, telemetry: Telemetry) -> Self {
        Self { pdp, clock, telemetry, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

#[tonic::async_trait]
impl AnalysisService for Analysis {
    async fn simulate_authorization(
        &self,
        call: Request<v1::SimulateAuthorizationRequest>,
    ) -> Result<Response<v1::SimulateAuthorizationResponse>, Status> {
        let told = Told::of(&self.telemetry, Method::SimulateAuthorization, &call);
        told.end(self.in_turn(call, simulate).await)
    }

    async fn validate_policy(
        &self,
        call: Request<v1::ValidatePolicyRequest>,
    ) -> Result<Response<v1::ValidatePolicyResponse>, Status> {
        let told = Told::of(&self.telemetry, Method::ValidatePolicy, &call);
        told.end(self.in_turn(call, validate).await)
    }
}

impl Analysis {
    /// Answers when those before have been answered, and before the caller's deadline.
    async fn in_turn<Q: Send + 'static, A: Send + 'static>(
        &self,
        call: Request<Q>,
        answer: fn(&Pdp, &Q, Timestamp) -> Result<A, Status>,
    ) -> Result<A, Status> {
        let left = time_left(call.metadata())?;
        let message = call.into_inner();
        let (pdp, now, turns) = (Arc::clone(&self.pdp), (self.clock)(), Arc::clone(&self.turns));
        let answered = async move {
            let turn = turns.acquire_owned().await;
            let work = move || {
                let answered = answer(&pdp, &message, now);
                // The next may come when this has ended, waited for or not.
                drop(turn);
                answered
            };
            tokio::task::spawn_blocking(work).await
        };
        let ended = match left {
            None => answered.await,
            Some(left) => tokio::time::timeout(left, answered).await.map_err(|_| {
                Status::deadline_exceeded("the analysis did not end before the deadline")
            })?,
        };
        ended.map_err(|_| {
            tracing::error!("an analysis failed: this is a defect of Keyward");
            status::refused(Code::Internal, "DEFECT", "the analysis failed")
        })?
    }
}

/// The documents of the live set cannot be had.
pub(super) fn no_documents(error: &NoDocuments) -> Status {
    let reason = match error {
        NoDocuments::NoFolder => "NO_FOLDER",
        NoDocuments::Unreadable(_) => "UNREADABLE_POLICY_SET",
        NoDocuments::Another => "ANOTHER_POLICY_SET",
    };
    status::refused(Code::FailedPrecondition, reason, error.to_string())
}

/// Decides beside the live snapshot: nothing is kept, logged or changed.
fn simulate(
    pdp: &Pdp,
    message: &v1::SimulateAuthorizationRequest,
    clock: Timestamp,
) -> Result<v1::SimulateAuthorizationResponse, Status> {
    let invalid = |error: InvalidRequest| status::invalid(&error);
    let within = |error: InvalidRequest| {
        status::invalid(&InvalidRequest::new(format!("request.{}", error.field), error.message))
    };
    let refuse =
        |field: &str, message: &str| Err(status::invalid(&InvalidRequest::new(field, message)));
    let Some(question) = &message.request else {
        return refuse("request", "missing: say what is asked");
    };
    if question.consistency.is_some() {
        return refuse("request.consistency", "must be empty: a simulation asks the live set");
    }
    let detail = match v1::Detail::try_from(question.detail) {
        Ok(v1::Detail::Unspecified) => v1::Detail::Full,
        Ok(detail) => detail,
        Err(_) => return refuse("request.detail", "no such level of detail"),
    };
    let over = documents(&message.documents).map_err(invalid)?;
    let overrides = overrides(message).map_err(invalid)?;
    let now = now(message).map_err(invalid)?.unwrap_or(clock);
    let live = Arc::clone(&pdp.snapshot());
    let evaluation = evaluation(message, &live.evaluation).map_err(invalid)?;
    let what_if = match pdp.what_if(&live, &over, evaluation) {
        Ok(Ok(what_if)) => what_if,
        Ok(Err(problems)) => {
            return Ok(v1::SimulateAuthorizationResponse {
                response: None,
                problems: problems.as_slice().iter().map(problem).collect(),
            });
        }
        Err(error) => return Err(no_documents(&error)),
    };
    let snapshot = &what_if.snapshot;
    let question = &*resolve(pdp, snapshot, question, now);
    let sessions = |name: &str, text: &str| crate::engine::policy::session(name, text);
    let mut request = request_with(&mut View::of(question), now, &sessions).map_err(within)?;
    request.overrides = overrides;
    let (answer, explanation) = explain(snapshot, &request).map_err(within)?;
    let envelope = Envelope {
        request_id: &question.request_id,
        decision_id: "",
        revision: &live.revision,
        consistency_token: &pdp.consistency_token(&live),
        detail,
        cached: false,
    };
    Ok(v1::SimulateAuthorizationResponse {
        response: Some(response(&answer, Some(&explanation), &envelope)),
        problems: what_if.warnings.iter().map(problem).collect(),
    })
}

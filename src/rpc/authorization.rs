//! `AuthorizationService`: decode, ask, encode.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::pb;
use uuid::Uuid;

use super::status;
use crate::engine::decide::{decide, explain};
use crate::engine::snapshot::Snapshot;
use crate::engine::term::time::Timestamp;
use crate::pdp::{CONSISTENCY_TOKEN, Pdp};
use crate::wire::proto::answer::{Envelope, response};
use crate::wire::proto::request::request;
use crate::wire::v1;
use crate::wire::v1::authorization_service_server::AuthorizationService;

/// Requests in one batch.
const BATCH: usize = 1000;

/// Where the instant of a decision comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Answers authorization questions.
#[derive(Clone)]
pub struct Authorization {
    pdp: Arc<Pdp>,
    clock: Clock,
}

impl Authorization {
    /// Answers from `pdp`, at the instants of `clock`.
    #[must_use]
    pub fn new(pdp: Arc<Pdp>, clock: Clock) -> Self {
        Self { pdp, clock }
    }
}

/// Decides one request from one snapshot. A defect of ours is no answer.
fn answer(
    snapshot: &Snapshot,
    message: &v1::AuthorizeRequest,
    now: Timestamp,
) -> Result<v1::AuthorizeResponse, Status> {
    let decided = catch_unwind(AssertUnwindSafe(|| decided(snapshot, message, now)));
    decided.unwrap_or_else(|_| {
        tracing::error!(action = message.action, "a decision failed: this is a defect of Keyward");
        Err(status::refused(Code::Internal, "DEFECT", "the decision failed; refuse the operation"))
    })
}

fn decided(
    snapshot: &Snapshot,
    message: &v1::AuthorizeRequest,
    now: Timestamp,
) -> Result<v1::AuthorizeResponse, Status> {
    consistency(message.consistency.as_ref())?;
    let detail = v1::Detail::try_from(message.detail).map_err(|_| {
        let error =
            crate::engine::term::request::InvalidRequest::new("detail", "no such level of detail");
        status::invalid(&error)
    })?;
    let request = request(message, now).map_err(|error| status::invalid(&error))?;
    let decision_id = Uuid::now_v7().hyphenated().to_string();
    let envelope = Envelope {
        request_id: &message.request_id,
        decision_id: &decision_id,
        revision: &snapshot.revision,
        consistency_token: CONSISTENCY_TOKEN,
        detail,
    };
    if detail == v1::Detail::Unspecified {
        let answer = decide(snapshot, &request).map_err(|error| status::invalid(&error))?;
        return Ok(response(&answer, None, &envelope));
    }
    let (answer, explanation) =
        explain(snapshot, &request).map_err(|error| status::invalid(&error))?;
    Ok(response(&answer, Some(&explanation), &envelope))
}

/// All grants come from documents, so the snapshot is as fresh as can be; a token of another store
/// means nothing here.
fn consistency(wanted: Option<&v1::Consistency>) -> Result<(), Status> {
    use v1::consistency::Requirement;
    match wanted.and_then(|consistency| consistency.requirement.as_ref()) {
        None | Some(Requirement::MinimizeLatency(_) | Requirement::FullyConsistent(_)) => Ok(()),
        Some(Requirement::AtLeastAsFresh(token)) if token == CONSISTENCY_TOKEN => Ok(()),
        Some(Requirement::AtLeastAsFresh(_)) => Err(status::refused(
            Code::FailedPrecondition,
            "FOREIGN_CONSISTENCY_TOKEN",
            "the consistency token is of another store",
        )),
    }
}

/// A deadline that has passed when the call arrives is honoured before any work.
fn in_time<T>(call: &Request<T>) -> Result<(), Status> {
    let timeout = call.metadata().get("grpc-timeout").and_then(|value| value.to_str().ok());
    let passed = timeout.is_some_and(|text| {
        let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
        !digits.is_empty() && digits.bytes().all(|digit| digit == b'0')
    });
    if passed {
        return Err(status::refused(
            Code::DeadlineExceeded,
            "DEADLINE",
            "the deadline passed before work began",
        ));
    }
    Ok(())
}

fn rpc_status(status: &Status) -> pb::Status {
    use prost::Message as _;
    let details =
        pb::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
    pb::Status { code: i32::from(status.code()), message: status.message().to_owned(), details }
}

#[tonic::async_trait]
impl AuthorizationService for Authorization {
    async fn authorize(
        &self,
        call: Request<v1::AuthorizeRequest>,
    ) -> Result<Response<v1::AuthorizeResponse>, Status> {
        in_time(&call)?;
        answer(&self.pdp.snapshot(), call.get_ref(), (self.clock)()).map(Response::new)
    }

    async fn batch_authorize(
        &self,
        call: Request<v1::BatchAuthorizeRequest>,
    ) -> Result<Response<v1::BatchAuthorizeResponse>, Status> {
        in_time(&call)?;
        let batch = call.get_ref();
        consistency(batch.consistency.as_ref())?;
        let refuse = |field: &str, message: String| {
            Err(status::invalid(&crate::engine::term::request::InvalidRequest::new(field, message)))
        };
        if batch.requests.len() > BATCH {
            return refuse("requests", format!("more than {BATCH}"));
        }
        let Ok(stop_mode) = v1::StopMode::try_from(batch.stop_mode) else {
            return refuse("stop_mode", "no such stop mode".to_owned());
        };
        let (snapshot, now) = (self.pdp.snapshot(), (self.clock)());
        let mut items = Vec::with_capacity(batch.requests.len());
        for (index, message) in batch.requests.iter().enumerate() {
            if message.consistency.is_some() {
                let field = format!("requests[{index}].consistency");
                return refuse(&field, "must be empty: a batch has one `consistency`".to_owned());
            }
            let found = answer(&snapshot, message, now);
            let allowed =
                found.as_ref().is_ok_and(|answer| answer.decision() == v1::Decision::Allowed);
            items.push(v1::BatchAuthorizeItem {
                result: Some(match found {
                    Ok(answer) => v1::batch_authorize_item::Result::Response(answer),
                    Err(status) => v1::batch_authorize_item::Result::Error(rpc_status(&status)),
                }),
            });
            let stop = match stop_mode {
                v1::StopMode::Unspecified => false,
                v1::StopMode::FirstNotAllowed => !allowed,
                v1::StopMode::FirstAllowed => allowed,
            };
            if stop {
                break;
            }
        }
        Ok(Response::new(v1::BatchAuthorizeResponse { items }))
    }

    type AuthorizeStreamStream =
        Pin<Box<dyn Stream<Item = Result<v1::AuthorizeStreamResponse, Status>> + Send>>;

    async fn authorize_stream(
        &self,
        call: Request<Streaming<v1::AuthorizeStreamRequest>>,
    ) -> Result<Response<Self::AuthorizeStreamStream>, Status> {
        in_time(&call)?;
        let service = self.clone();
        let answers = call.into_inner().map(move |message| {
            let message = message?;
            let question = message.request.unwrap_or_default();
            let found = answer(&service.pdp.snapshot(), &question, (service.clock)());
            Ok(v1::AuthorizeStreamResponse {
                id: message.id,
                result: Some(match found {
                    Ok(answer) => v1::authorize_stream_response::Result::Response(answer),
                    Err(status) => {
                        v1::authorize_stream_response::Result::Error(rpc_status(&status))
                    }
                }),
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

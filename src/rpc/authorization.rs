//! `AuthorizationService`: decode, ask, encode.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::pb;
use uuid::Uuid;

use super::freshness::{snapshot, time_left};
use super::status;
use super::tokens::resolve;
use crate::engine::decide::{decide, explain};
use crate::engine::snapshot::Snapshot;
use crate::engine::term::time::Timestamp;
use crate::pdp::Pdp;
use crate::wire::proto::answer::{Envelope, response};
use crate::wire::proto::request::request_with;
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

    /// Answers one message of a stream, by the rules of its moment.
    async fn one(&self, question: &v1::AuthorizeRequest) -> Result<v1::AuthorizeResponse, Status> {
        let snapshot = fresh(&self.pdp, question, None).await?;
        answer(&self.pdp, &snapshot, question, (self.clock)())
    }
}

/// A snapshot that is fresh enough for a request.
async fn fresh(
    pdp: &Pdp,
    question: &v1::AuthorizeRequest,
    left: Option<Duration>,
) -> Result<Guard<Arc<Snapshot>>, Status> {
    let tokens = !question.grant_tokens.is_empty();
    snapshot(pdp, question.consistency.as_ref(), tokens, left).await
}

/// Decides one request from one snapshot. A defect of ours is no answer.
fn answer(
    pdp: &Pdp,
    snapshot: &Snapshot,
    message: &v1::AuthorizeRequest,
    now: Timestamp,
) -> Result<v1::AuthorizeResponse, Status> {
    let decided = catch_unwind(AssertUnwindSafe(|| decided(pdp, snapshot, message, now)));
    decided.unwrap_or_else(|_| {
        tracing::error!(action = message.action, "a decision failed: this is a defect of Keyward");
        Err(status::refused(Code::Internal, "DEFECT", "the decision failed; refuse the operation"))
    })
}

fn decided(
    pdp: &Pdp,
    snapshot: &Snapshot,
    message: &v1::AuthorizeRequest,
    now: Timestamp,
) -> Result<v1::AuthorizeResponse, Status> {
    let detail = v1::Detail::try_from(message.detail).map_err(|_| {
        let error =
            crate::engine::term::request::InvalidRequest::new("detail", "no such level of detail");
        status::invalid(&error)
    })?;
    let message = &*resolve(pdp, snapshot, message, now);
    let sessions = |name: &str, text: &str| pdp.sessions().get(name, text);
    let request = request_with(message, now, &sessions).map_err(|error| status::invalid(&error))?;
    let decision_id = Uuid::now_v7().hyphenated().to_string();
    let envelope = Envelope {
        request_id: &message.request_id,
        decision_id: &decision_id,
        revision: &snapshot.revision,
        consistency_token: &pdp.consistency_token(snapshot),
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
        let left = time_left(call.metadata())?;
        let message = call.get_ref();
        let snapshot = fresh(&self.pdp, message, left).await?;
        answer(&self.pdp, &snapshot, message, (self.clock)()).map(Response::new)
    }

    async fn batch_authorize(
        &self,
        call: Request<v1::BatchAuthorizeRequest>,
    ) -> Result<Response<v1::BatchAuthorizeResponse>, Status> {
        let left = time_left(call.metadata())?;
        let batch = call.get_ref();
        let refuse = |field: &str, message: String| {
            Err(status::invalid(&crate::engine::term::request::InvalidRequest::new(field, message)))
        };
        if batch.requests.len() > BATCH {
            return refuse("requests", format!("more than {BATCH}"));
        }
        let Ok(stop_mode) = v1::StopMode::try_from(batch.stop_mode) else {
            return refuse("stop_mode", "no such stop mode".to_owned());
        };
        let tokens = batch.requests.iter().any(|request| !request.grant_tokens.is_empty());
        let snapshot = snapshot(&self.pdp, batch.consistency.as_ref(), tokens, left).await?;
        let now = (self.clock)();
        let mut items = Vec::with_capacity(batch.requests.len());
        for (index, message) in batch.requests.iter().enumerate() {
            if message.consistency.is_some() {
                let field = format!("requests[{index}].consistency");
                return refuse(&field, "must be empty: a batch has one `consistency`".to_owned());
            }
            let found = answer(&self.pdp, &snapshot, message, now);
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
        time_left(call.metadata())?;
        let service = self.clone();
        let answers = call.into_inner().then(move |message| {
            let service = service.clone();
            async move {
                let message = message?;
                let question = message.request.unwrap_or_default();
                let found = service.one(&question).await;
                Ok(v1::AuthorizeStreamResponse {
                    id: message.id,
                    result: Some(match found {
                        Ok(answer) => v1::authorize_stream_response::Result::Response(answer),
                        Err(status) => {
                            v1::authorize_stream_response::Result::Error(rpc_status(&status))
                        }
                    }),
                })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

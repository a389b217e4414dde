//! `AuthorizationService`: decode, ask, encode.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use tokio_stream::{Stream, StreamExt as _};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::pb;
use uuid::Uuid;

use super::decision_id;
use super::freshness::{newest, snapshot, time_left};
use super::status;
use super::tokens::resolve;
use crate::engine::decide::decision::Answer;
use crate::engine::decide::explain::Explanation;
use crate::engine::decide::{decide, explain};
use crate::engine::snapshot::Snapshot;
use crate::engine::term::request::InvalidRequest;
use crate::engine::term::time::Timestamp;
use crate::pdp::Pdp;
use crate::telemetry::Telemetry;
use crate::telemetry::call::{Call, Method, Timer};
use crate::telemetry::log::{NotRecorded, Pending};
use crate::wire::proto::answer::{Envelope, response};
use crate::wire::proto::encode::encode;
use crate::wire::proto::request::request_with;
use crate::wire::proto::view::View;
use crate::wire::record::Decided;
use crate::wire::v1;
use crate::wire::v1::authorization_service_server::AuthorizationService;

/// Where the instant of a decision comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Answers authorization questions.
#[derive(Clone)]
pub struct Authorization {
    pub(super) pdp: Arc<Pdp>,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
}

impl Authorization {
    /// Answers from `pdp`, at the instants of `clock`, and tells `telemetry`.
    #[must_use]
    pub fn new(pdp: Arc<Pdp>, clock: Clock, telemetry: Telemetry) -> Self {
        Self { pdp, clock, telemetry }
    }

    /// Answers one question, by the rules of its moment, once its record is written.
    async fn one(
        &self,
        question: &v1::AuthorizeRequest,
        left: Option<Duration>,
        call: &mut Call,
    ) -> Result<v1::AuthorizeResponse, Status> {
        let started = self.telemetry.timer();
        let (answer, pending) = {
            let snapshot = fresh(&self.pdp, question, left).await?;
            self.answer(&snapshot, question, (self.clock)(), call, started)?
        };
        settled(pending).await.map(|()| answer)
    }

    /// Decides one request from one snapshot.
    pub(super) fn answer(
        &self,
        snapshot: &Snapshot,
        message: &v1::AuthorizeRequest,
        now: Timestamp,
        call: &mut Call,
        started: Timer,
    ) -> Result<(v1::AuthorizeResponse, Pending), Status> {
        let message = &*resolve(&self.pdp, snapshot, message, now);
        self.guarded(snapshot, View::of(message), now, call, started, response)
    }

    /// Decides one request that [`is_plain`](Self::is_plain), and adds the answer's message to
    /// `out`. The snapshot of the moment is fresh enough for it.
    pub(super) fn answer_plain(
        &self,
        view: View<'_>,
        metadata: &MetadataMap,
        out: &mut Vec<u8>,
    ) -> Result<Option<impl Future<Output = Result<(), Status>> + Send + 'static>, Status> {
        let mut call = self.call(Method::Authorize, metadata);
        let started = self.telemetry.timer();
        let written = time_left(metadata).and_then(|_| {
            let finish = |answer: &Answer<'_>, _: Option<&Explanation>, envelope: &Envelope<'_>| {
                encode(answer, envelope, out);
            };
            let snapshot = newest(&self.pdp)?;
            self.guarded(&snapshot, view, (self.clock)(), &mut call, started, finish)
        });
        match written {
            Ok(((), pending)) if pending.is_none() => {
                self.telemetry.answered(call, 0);
                Ok(None)
            }
            Ok(((), pending)) => {
                let telemetry = self.telemetry.clone();
                Ok(Some(async move {
                    let outcome = settled(pending).await;
                    telemetry.answered(call, code(&outcome));
                    outcome
                }))
            }
            Err(status) => {
                self.telemetry.answered(call, i32::from(status.code()));
                Err(status)
            }
        }
    }

    /// Whether a request can be answered at once and without reasoning.
    pub(super) fn is_plain(view: &View<'_>) -> bool {
        view.consistency.is_none() && view.grant_tokens.is_empty() && view.detail == 0
    }

    /// Decides, and hands the answer to `finish`. A defect of ours is no answer.
    pub(super) fn guarded<T>(
        &self,
        snapshot: &Snapshot,
        view: View<'_>,
        now: Timestamp,
        call: &mut Call,
        started: Timer,
        finish: impl FnOnce(&Answer<'_>, Option<&Explanation>, &Envelope<'_>) -> T,
    ) -> Result<(T, Pending), Status> {
        let action = view.action;
        let decide = || self.decided(snapshot, view, now, call, started, finish);
        catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|_| {
            tracing::error!(action, "a decision failed: this is a defect of Keyward");
            Err(status::refused(
                Code::Internal,
                "DEFECT",
                "the decision failed; refuse the operation",
            ))
        })
    }

    fn decided<T>(
        &self,
        snapshot: &Snapshot,
        view: View<'_>,
        now: Timestamp,
        call: &mut Call,
        started: Timer,
        finish: impl FnOnce(&Answer<'_>, Option<&Explanation>, &Envelope<'_>) -> T,
    ) -> Result<(T, Pending), Status> {
        let detail = v1::Detail::try_from(view.detail).map_err(|_| {
            status::invalid(&InvalidRequest::new("detail", "no such level of detail"))
        })?;
        let request_id = view.request_id;
        let sessions = |name: &str, text: &str| self.pdp.sessions().get(name, text);
        let request =
            request_with(view, now, &sessions).map_err(|error| status::invalid(&error))?;
        let evaluating = self.telemetry.timer();
        let (answer, explanation) = if detail != v1::Detail::Unspecified || call.wants_layers() {
            let explained = explain(snapshot, &request);
            explained.map(|(answer, explanation)| (answer, Some(explanation)))
        } else {
            decide(snapshot, &request).map(|answer| (answer, None))
        }
        .map_err(|error| status::invalid(&error))?;
        let mut room = Uuid::encode_buffer();
        let decision_id = &*decision_id::next(now).hyphenated().encode_lower(&mut room);
        let consistency_token = &*self.pdp.consistency_token(snapshot);
        let told = Decided {
            snapshot,
            request: &request,
            answer: &answer,
            request_id,
            decision_id,
            consistency_token,
            cached: false,
            explained: detail != v1::Detail::Unspecified,
        };
        let timers = (started, evaluating);
        let pending = self.telemetry.decided(call, &told, explanation.as_ref(), timers);
        let revision = &snapshot.revision;
        let envelope = Envelope { request_id, decision_id, revision, consistency_token, detail };
        Ok((finish(&answer, explanation.as_ref(), &envelope), pending))
    }
}

/// Waits for the record of a decision, where no answer may be given without it.
pub(super) async fn settled(pending: Pending) -> Result<(), Status> {
    if pending.is_none() {
        return Ok(());
    }
    pending.settled().await.map_err(|error| {
        let code = match error {
            NotRecorded::Late => Code::DeadlineExceeded,
            NotRecorded::Lost(_) => Code::Unavailable,
        };
        status::refused(code, "NOT_RECORDED", error.to_string())
    })
}

/// The gRPC status code of an outcome.
fn code<T>(outcome: &Result<T, Status>) -> i32 {
    outcome.as_ref().map_or_else(|status| i32::from(status.code()), |_| 0)
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

pub(super) fn rpc_status(status: &Status) -> pb::Status {
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
        let mut told = self.call(Method::Authorize, call.metadata());
        let outcome = match time_left(call.metadata()) {
            Ok(left) => self.one(call.get_ref(), left, &mut told).await,
            Err(status) => Err(status),
        };
        self.telemetry.answered(told, code(&outcome));
        outcome.map(Response::new)
    }

    async fn batch_authorize(
        &self,
        call: Request<v1::BatchAuthorizeRequest>,
    ) -> Result<Response<v1::BatchAuthorizeResponse>, Status> {
        let mut told = self.call(Method::BatchAuthorize, call.metadata());
        let outcome = self.batch(&call, &mut told).await;
        self.telemetry.answered(told, code(&outcome));
        outcome.map(Response::new)
    }

    type AuthorizeStreamStream =
        Pin<Box<dyn Stream<Item = Result<v1::AuthorizeStreamResponse, Status>> + Send>>;

    async fn authorize_stream(
        &self,
        call: Request<Streaming<v1::AuthorizeStreamRequest>>,
    ) -> Result<Response<Self::AuthorizeStreamStream>, Status> {
        time_left(call.metadata())?;
        let service = self.clone();
        let (metadata, _, messages) = call.into_parts();
        let metadata = Arc::new(metadata);
        let answers = messages.then(move |message| {
            let (service, metadata) = (service.clone(), Arc::clone(&metadata));
            async move {
                let message = message?;
                let question = message.request.unwrap_or_default();
                let mut told = service.call(Method::AuthorizeStream, &metadata);
                let found = service.one(&question, None, &mut told).await;
                service.telemetry.answered(told, code(&found));
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

impl Authorization {
    pub(super) fn call(&self, method: Method, metadata: &MetadataMap) -> Call {
        self.telemetry.call(method, |name| metadata.get(name)?.to_str().ok())
    }
}

//! `AuthorizationService`: decode, ask, encode.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::Guard;
use tokio_stream::{Stream, StreamExt as _};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use super::callers::rpc::Rpc;
use super::callers::{Admitted, Gate};
use super::decision_id;
use super::freshness::{newest, snapshot, time_left};
use super::limits::Shed;
use super::peer::Peer;
use super::status;
use super::tokens::resolve;
use super::told::{begun, code};
use crate::engine::decide::decision::Answer;
use crate::engine::decide::explain::Explanation;
use crate::engine::decide::{explain, remembering};
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
    /// Knows who may ask; nobody stands before operators.
    gate: Option<Arc<Gate>>,
    /// Counts what was refused because of a bound.
    shed: Arc<Shed>,
}

/// A question that is being answered.
pub(super) struct Asked<'a, 'g> {
    pub(super) call: &'a mut Call,
    pub(super) started: Timer,
    /// Who asks; `None` where everybody may ask everything.
    pub(super) admitted: Option<&'a Admitted<'g>>,
}

impl Authorization {
    /// Answers from `pdp`, at the instants of `clock`, and tells `telemetry`. Everybody may ask.
    #[must_use]
    pub fn new(pdp: Arc<Pdp>, clock: Clock, telemetry: Telemetry) -> Self {
        Self { pdp, clock, telemetry, gate: None, shed: Arc::default() }
    }

    /// The same; `shed` counts what is refused because of a bound.
    #[must_use]
    pub fn counted(self, shed: Arc<Shed>) -> Self {
        Self { shed, ..self }
    }

    /// The same, for those whom `gate` lets in.
    #[must_use]
    pub fn behind(self, gate: Arc<Gate>) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// Lets the caller of a call in, with so many questions.
    pub(super) fn admit(
        &self,
        peer: Option<&Peer>,
        rpc: Rpc,
        count: usize,
    ) -> Result<Option<Admitted<'_>>, Status> {
        self.gate.as_ref().map(|gate| gate.admit(peer, rpc, count)).transpose()
    }

    /// Answers one question, by the rules of its moment, once its record is written.
    async fn one(
        &self,
        question: &v1::AuthorizeRequest,
        left: Option<Duration>,
        call: &mut Call,
        admitted: Option<&Admitted<'_>>,
    ) -> Result<v1::AuthorizeResponse, Status> {
        let started = self.telemetry.timer();
        let (answer, pending) = {
            let snapshot = fresh(&self.pdp, question, left).await?;
            let asked = Asked { call, started, admitted };
            self.answer(&snapshot, question, (self.clock)(), asked)?
        };
        settled(pending).await.map(|()| answer)
    }

    /// Decides one request from one snapshot.
    pub(super) fn answer(
        &self,
        snapshot: &Snapshot,
        message: &v1::AuthorizeRequest,
        now: Timestamp,
        asked: Asked<'_, '_>,
    ) -> Result<(v1::AuthorizeResponse, Pending), Status> {
        let message = &*resolve(&self.pdp, snapshot, message, now);
        self.guarded(snapshot, &mut View::of(message), now, asked, response)
    }

    /// Decides one request that [`is_plain`](Self::is_plain), and adds the answer's message to
    /// `out`. The snapshot of the moment is fresh enough for it.
    pub(super) fn answer_plain(
        &self,
        view: &mut View<'_>,
        metadata: &MetadataMap,
        peer: &Peer,
        out: &mut Vec<u8>,
    ) -> Result<Option<impl Future<Output = Result<(), Status>> + Send + 'static>, Status> {
        let mut call = self.call(Method::Authorize, metadata);
        let started = self.telemetry.timer();
        let written = time_left(metadata).and_then(|_| {
            let finish = |answer: &Answer<'_>, _: Option<&Explanation>, envelope: &Envelope<'_>| {
                encode(answer, envelope, out);
            };
            let admitted = self.admit(Some(peer), Rpc::Authorize, 1)?;
            let snapshot = newest(&self.pdp)?;
            let asked = Asked { call: &mut call, started, admitted: admitted.as_ref() };
            self.guarded(&snapshot, view, (self.clock)(), asked, finish)
        });
        match written {
            Ok(((), pending)) if pending.is_none() => {
                self.telemetry.answered(&mut call, 0);
                Ok(None)
            }
            Ok(((), pending)) => {
                let telemetry = self.telemetry.clone();
                Ok(Some(async move {
                    let outcome = settled(pending).await;
                    telemetry.answered(&mut call, code(&outcome));
                    outcome
                }))
            }
            Err(status) => {
                self.telemetry.answered(&mut call, i32::from(status.code()));
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
        view: &mut View<'_>,
        now: Timestamp,
        asked: Asked<'_, '_>,
        finish: impl FnOnce(&Answer<'_>, Option<&Explanation>, &Envelope<'_>) -> T,
    ) -> Result<(T, Pending), Status> {
        let action = view.action;
        let decide = || self.decided(snapshot, view, now, asked, finish);
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
        view: &mut View<'_>,
        now: Timestamp,
        asked: Asked<'_, '_>,
        finish: impl FnOnce(&Answer<'_>, Option<&Explanation>, &Envelope<'_>) -> T,
    ) -> Result<(T, Pending), Status> {
        let detail = v1::Detail::try_from(view.detail).map_err(|_| {
            status::invalid(&InvalidRequest::new("detail", "no such level of detail"))
        })?;
        let request_id = view.request_id;
        let sessions = |name: &str, text: &str| self.pdp.sessions().get(name, text);
        let request = request_with(view, now, &sessions).map_err(|error| self.invalid(&error))?;
        let Asked { call, started, admitted } = asked;
        if let Some(admitted) = admitted {
            admitted.permit(&request, detail != v1::Detail::Unspecified)?;
            self.telemetry.asked_by(call, || admitted.name());
        }
        let evaluating = self.telemetry.timer();
        let mut explanation = None;
        let recall = self.pdp.decisions().recall();
        let answer = if detail != v1::Detail::Unspecified || call.wants_layers() {
            explain(snapshot, &request).map(|(answer, explained)| {
                explanation = Some(explained);
                answer
            })
        } else {
            remembering(snapshot, &request, &recall)
        };
        // What is borrowed is not moved: an answer is long.
        let answer = answer.as_ref().map_err(status::invalid)?;
        let cached = recall.made(answer);
        let mut room = Uuid::encode_buffer();
        let decision_id = &*decision_id::next(now).hyphenated().encode_lower(&mut room);
        let consistency_token = &*self.pdp.consistency_token(snapshot);
        let told = Decided {
            snapshot,
            request: &request,
            answer,
            request_id,
            decision_id,
            consistency_token,
            cached,
            explained: detail != v1::Detail::Unspecified,
        };
        let timers = (started, evaluating);
        let pending = self.telemetry.decided(call, &told, explanation.as_ref(), timers);
        let revision = &snapshot.revision;
        let envelope =
            Envelope { request_id, decision_id, revision, consistency_token, detail, cached };
        Ok((finish(answer, explanation.as_ref(), &envelope), pending))
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

/// A snapshot that is fresh enough for a request.
async fn fresh(
    pdp: &Pdp,
    question: &v1::AuthorizeRequest,
    left: Option<Duration>,
) -> Result<Guard<Arc<Snapshot>>, Status> {
    let tokens = !question.grant_tokens.is_empty();
    snapshot(pdp, question.consistency.as_ref(), tokens, left).await
}

#[tonic::async_trait]
impl AuthorizationService for Authorization {
    async fn authorize(
        &self,
        call: Request<v1::AuthorizeRequest>,
    ) -> Result<Response<v1::AuthorizeResponse>, Status> {
        let mut told = self.call(Method::Authorize, call.metadata());
        let outcome = self.single(&call, &mut told).await;
        self.telemetry.answered(&mut told, code(&outcome));
        outcome.map(Response::new)
    }

    async fn batch_authorize(
        &self,
        call: Request<v1::BatchAuthorizeRequest>,
    ) -> Result<Response<v1::BatchAuthorizeResponse>, Status> {
        let mut told = self.call(Method::BatchAuthorize, call.metadata());
        let outcome = self.batch(&call, &mut told).await;
        self.telemetry.answered(&mut told, code(&outcome));
        outcome.map(Response::new)
    }

    type AuthorizeStreamStream =
        Pin<Box<dyn Stream<Item = Result<v1::AuthorizeStreamResponse, Status>> + Send>>;

    async fn authorize_stream(
        &self,
        call: Request<Streaming<v1::AuthorizeStreamRequest>>,
    ) -> Result<Response<Self::AuthorizeStreamStream>, Status> {
        time_left(call.metadata())?;
        if let Some(gate) = &self.gate {
            gate.recognise(call.extensions().get(), Rpc::AuthorizeStream)?;
        }
        let service = self.clone();
        let (metadata, connection, messages) = call.into_parts();
        let parts = Arc::new((metadata, connection));
        let answers = messages.then(move |message| {
            let (service, parts) = (service.clone(), Arc::clone(&parts));
            async move {
                let (metadata, connection) = &*parts;
                let message = message?;
                let question = message.request.unwrap_or_default();
                let mut told = service.call(Method::AuthorizeStream, metadata);
                // Each message anew: the callers file may have changed since the one before.
                let found = match service.admit(connection.get(), Rpc::AuthorizeStream, 1) {
                    Ok(admitted) => {
                        service.one(&question, None, &mut told, admitted.as_ref()).await
                    }
                    Err(status) => Err(status),
                };
                service.telemetry.answered(&mut told, code(&found));
                Ok(v1::AuthorizeStreamResponse {
                    id: message.id,
                    result: Some(match found {
                        Ok(answer) => v1::authorize_stream_response::Result::Response(answer),
                        Err(status) => {
                            v1::authorize_stream_response::Result::Error(status::message(&status))
                        }
                    }),
                })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

impl Authorization {
    /// The request is wrong; where it is beyond a bound that is counted.
    pub(super) fn invalid(&self, error: &InvalidRequest) -> Status {
        if let Some(bound) = error.beyond {
            self.shed.beyond(bound).fetch_add(1, Ordering::Relaxed);
        }
        status::invalid(error)
    }

    pub(super) fn call(&self, method: Method, metadata: &MetadataMap) -> Call {
        begun(&self.telemetry, method, metadata)
    }

    async fn single(
        &self,
        call: &Request<v1::AuthorizeRequest>,
        told: &mut Call,
    ) -> Result<v1::AuthorizeResponse, Status> {
        let left = time_left(call.metadata())?;
        let admitted = self.admit(call.extensions().get(), Rpc::Authorize, 1)?;
        self.one(call.get_ref(), left, told, admitted.as_ref()).await
    }
}

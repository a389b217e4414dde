//! `BatchAuthorize`: many questions, answered from one snapshot at one instant.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;

use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use super::authorization::{Asked, Authorization, settled};
use super::callers::rpc::Rpc;
use super::freshness::{newest, snapshot, time_left};
use super::peer::Peer;
use super::status;
use crate::engine::decide::decision::{Answer, Verdict};
use crate::engine::decide::explain::Explanation;
use crate::engine::term::request::{Bound, InvalidRequest};
use crate::telemetry::call::{Call, Method};
use crate::telemetry::log::Pending;
use crate::wire::proto::answer::Envelope;
use crate::wire::proto::decode::BatchView;
use crate::wire::proto::encode::{encode, encode_item, encode_other_item};
use crate::wire::v1;
use crate::wire::v1::batch_authorize_item::Result as Item;

/// Questions in one batch.
pub(super) const BATCH: usize = 1000;

/// Items of an answer that wait for their records, and where they stand in it.
type Waiting = Vec<(Range<usize>, Pending)>;

/// The answer to a batch.
pub(super) enum Batched {
    /// Its message.
    Now(Vec<u8>),
    /// Its message, once the records are written.
    Later(Pin<Box<dyn Future<Output = Vec<u8>> + Send>>),
}

impl Authorization {
    /// Decides a batch in which every question [`is_plain`](Self::is_plain), and adds the answer's
    /// message to `out`. The snapshot of the moment is fresh enough for it.
    pub(super) fn batch_plain(
        &self,
        batch: BatchView<'_>,
        stop_mode: v1::StopMode,
        told: (&MetadataMap, &Peer),
        mut out: Vec<u8>,
    ) -> Result<Batched, Status> {
        let mut call = self.call(Method::BatchAuthorize, told.0);
        match self.decide_batch(batch, stop_mode, told, &mut call, &mut out) {
            Ok(waiting) if waiting.is_empty() => {
                self.telemetry.answered(&mut call, 0);
                Ok(Batched::Now(out))
            }
            Ok(waiting) => {
                let telemetry = self.telemetry.clone();
                Ok(Batched::Later(Box::pin(async move {
                    let out = recorded(out, waiting).await;
                    telemetry.answered(&mut call, 0);
                    out
                })))
            }
            Err(status) => {
                self.telemetry.answered(&mut call, i32::from(status.code()));
                Err(status)
            }
        }
    }

    fn decide_batch(
        &self,
        batch: BatchView<'_>,
        stop_mode: v1::StopMode,
        (metadata, peer): (&MetadataMap, &Peer),
        call: &mut Call,
        out: &mut Vec<u8>,
    ) -> Result<Waiting, Status> {
        time_left(metadata)?;
        let count = batch.requests.len();
        let admitted = self.admit(Some(peer), Rpc::BatchAuthorize, count)?;
        let admitted = admitted.as_ref();
        let snapshot = newest(&self.pdp)?;
        let now = (self.clock)();
        let (mut message, mut waiting) = (Vec::new(), Waiting::new());
        for mut view in batch.requests {
            let started = self.telemetry.timer();
            message.clear();
            let finish = |answer: &Answer<'_>, _: Option<&Explanation>, envelope: &Envelope<'_>| {
                encode(answer, envelope, &mut message);
                answer.verdict() == Verdict::Allowed
            };
            let from = out.len();
            let asked = Asked { call: &mut *call, started, admitted };
            let allowed = match self.guarded(&snapshot, &mut view, now, asked, finish) {
                Ok((allowed, pending)) => {
                    encode_item(&message, out);
                    if !pending.is_none() {
                        waiting.push((from..out.len(), pending));
                    }
                    allowed
                }
                Err(status) => {
                    encode_other_item(&refused(&status), out);
                    false
                }
            };
            if stops(stop_mode, allowed) {
                break;
            }
        }
        Ok(waiting)
    }

    /// Answers a batch, once its records are written.
    pub(super) async fn batch(
        &self,
        call: &Request<v1::BatchAuthorizeRequest>,
        told: &mut Call,
    ) -> Result<v1::BatchAuthorizeResponse, Status> {
        let left = time_left(call.metadata())?;
        let batch = call.get_ref();
        let admitted =
            self.admit(call.extensions().get(), Rpc::BatchAuthorize, batch.requests.len())?;
        let admitted = admitted.as_ref();
        let refuse = |field: &str, message: String| {
            Err(status::invalid(&InvalidRequest::new(field, message)))
        };
        if batch.requests.len() > BATCH {
            let error = InvalidRequest::new("requests", format!("more than {BATCH}"));
            return Err(self.invalid(&error.beyond(Bound::Batch)));
        }
        let Ok(stop_mode) = v1::StopMode::try_from(batch.stop_mode) else {
            return refuse("stop_mode", "no such stop mode".to_owned());
        };
        if let Some(index) = batch.requests.iter().position(|item| item.consistency.is_some()) {
            let field = format!("requests[{index}].consistency");
            return refuse(&field, "must be empty: a batch has one `consistency`".to_owned());
        }
        let tokens = batch.requests.iter().any(|request| !request.grant_tokens.is_empty());
        let mut found = Vec::with_capacity(batch.requests.len());
        {
            let snapshot = snapshot(&self.pdp, batch.consistency.as_ref(), tokens, left).await?;
            let now = (self.clock)();
            for message in &batch.requests {
                let started = self.telemetry.timer();
                let asked = Asked { call: &mut *told, started, admitted };
                let answer = self.answer(&snapshot, message, now, asked);
                let allowed = answer
                    .as_ref()
                    .is_ok_and(|(answer, _)| answer.decision() == v1::Decision::Allowed);
                found.push(answer);
                if stops(stop_mode, allowed) {
                    break;
                }
            }
        }
        let mut items = Vec::with_capacity(found.len());
        for answer in found {
            let answer = match answer {
                Ok((answer, pending)) => settled(pending).await.map(|()| answer),
                Err(status) => Err(status),
            };
            items.push(match answer {
                Ok(answer) => v1::BatchAuthorizeItem { result: Some(Item::Response(answer)) },
                Err(status) => refused(&status),
            });
        }
        Ok(v1::BatchAuthorizeResponse { items })
    }
}

/// Whether no more of a batch is decided.
fn stops(mode: v1::StopMode, allowed: bool) -> bool {
    match mode {
        v1::StopMode::Unspecified => false,
        v1::StopMode::FirstNotAllowed => !allowed,
        v1::StopMode::FirstAllowed => allowed,
    }
}

fn refused(status: &Status) -> v1::BatchAuthorizeItem {
    v1::BatchAuthorizeItem { result: Some(Item::Error(status::message(status))) }
}

/// The answer with refusals in place of what could not be recorded.
async fn recorded(mut out: Vec<u8>, waiting: Waiting) -> Vec<u8> {
    // From the end on, so that the places before stay where they are.
    for (place, pending) in waiting.into_iter().rev() {
        if let Err(status) = settled(pending).await {
            let mut item = Vec::new();
            encode_other_item(&refused(&status), &mut item);
            out.splice(place, item);
        }
    }
    out
}

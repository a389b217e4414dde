//! `GrantService`: the grant operations of KMS, each authorized as KMS would, and told of as any
//! decision. What is changed is recorded too: the decision before the change is made, and the change
//! before it is answered.

mod create;
mod list;
mod remove;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use tonic::{Code, Request, Response, Status};

use super::authorization::{Clock, settled};
use super::callers::Gate;
use super::callers::rpc::Rpc;
use super::peer::Peer;
use super::told::Told;
use super::{decision_id, freshness, refusal, status, tokens};
use crate::engine::decide::decision::{Layer, Verdict};
use crate::engine::decide::{decide, explain};
use crate::engine::snapshot::{Key, Snapshot};
use crate::engine::term::request::InvalidRequest;
use crate::engine::term::time::Timestamp;
use crate::pdp::Pdp;
use crate::pdp::grants::{Applied, Change, ChangeError, Condition, Effect, GrantStore};
use crate::telemetry::Telemetry;
use crate::telemetry::call::{Call, Method};
use crate::telemetry::log::Pending;
use crate::telemetry::recorded::Intent;
use crate::wire::proto::request::request_with;
use crate::wire::proto::view::View;
use crate::wire::record::Decided;
use crate::wire::record::change::{GrantChange, GrantEffect};
use crate::wire::v1;
use crate::wire::v1::grant_service_server::GrantService;

/// How often a change is authorized anew because what authorized it had changed before it was made.
const ATTEMPTS: usize = 16;

/// Grants that live.
#[derive(Clone)]
pub struct Grants {
    pdp: Arc<Pdp>,
    clock: Clock,
    telemetry: Telemetry,
    /// The most grants that a key may have.
    per_key: u64,
    /// Knows who may keep grants; nobody stands before operators.
    gate: Option<Arc<Gate>>,
    /// Whose call the gate let in.
    peer: Option<Peer>,
}

/// What authorized a call.
struct Authorized<'s> {
    /// The key that it is about.
    key: Option<&'s Key>,
    /// Id of the live grant on which the permission rests, if it rests on one.
    grant: Option<Box<str>>,
    /// For a dry run: how it is refused once all else is right.
    dry_run: Option<Status>,
    /// What the record of the change will say, where there is one.
    intent: Option<Intent>,
}

/// A change that was made.
struct Made {
    /// The grant that it is about.
    grant_id: String,
    /// The state of the grants with it.
    consistency_token: String,
}

impl<'s> Authorized<'s> {
    /// The key of a call that has to have one.
    fn key(&self) -> Result<&'s Key, Status> {
        // KMS authorized the call, but there is no key: a defect.
        self.key.ok_or_else(|| refusal::kms("NotFoundException", "the key does not exist"))
    }
}

impl Grants {
    /// Keeps grants with `pdp`, at the instants of `clock`, and tells `telemetry`.
    #[must_use]
    pub fn new(pdp: Arc<Pdp>, clock: Clock, per_key: u64, telemetry: Telemetry) -> Self {
        Self { pdp, clock, telemetry, per_key, gate: None, peer: None }
    }

    /// The same, for those whom `gate` lets in.
    #[must_use]
    pub fn behind(self, gate: Arc<Gate>) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// The service for one call, if its caller may make it.
    fn entered<T>(&self, call: &Request<T>) -> Result<Self, Status> {
        let mut entered = self.clone();
        if let Some(gate) = &self.gate {
            let peer = call.extensions().get();
            gate.admit(peer, Rpc::Grants, 1)?;
            entered.peer = peer.cloned();
        }
        Ok(entered)
    }

    fn store(&self) -> Result<&GrantStore, Status> {
        self.pdp.grants().ok_or_else(|| {
            status::refused(
                Code::FailedPrecondition,
                "NO_GRANTS_DATABASE",
                "this service keeps no grants: start it with `--data-dir`",
            )
        })
    }

    /// The snapshot by which a change is judged: it has every grant that is durable.
    async fn newest(
        &self,
        question: &v1::AuthorizeRequest,
        left: Option<Duration>,
    ) -> Result<Guard<Arc<Snapshot>>, Status> {
        freshness::snapshot(&self.pdp, question.consistency.as_ref(), true, left).await
    }

    /// Refuses what is not authorized, once that is recorded where it has to be. A defect of ours
    /// authorizes nothing.
    async fn authorize<'s>(
        &self,
        snapshot: &'s Snapshot,
        question: &v1::AuthorizeRequest,
        now: Timestamp,
        call: &mut Call,
    ) -> Result<Authorized<'s>, Status> {
        let decide = || self.decided(snapshot, question, now, call);
        let decided = catch_unwind(AssertUnwindSafe(decide));
        let (authorized, pending) = decided.unwrap_or_else(|_| {
            tracing::error!(
                action = question.action,
                "a decision failed: this is a defect of Keyward"
            );
            Err(status::refused(Code::Internal, refusal::INTERNAL, "the decision failed"))
        })?;
        settled(pending).await?;
        authorized
    }

    /// Decides, and tells of it.
    fn decided<'s>(
        &self,
        snapshot: &'s Snapshot,
        question: &v1::AuthorizeRequest,
        now: Timestamp,
        call: &mut Call,
    ) -> Result<(Result<Authorized<'s>, Status>, Pending), Status> {
        let started = self.telemetry.timer();
        let question = &*tokens::resolve(&self.pdp, snapshot, question, now);
        let sessions = |name: &str, text: &str| self.pdp.sessions().get(name, text);
        let request = request_with(&mut View::of(question), now, &sessions)
            .map_err(|e| refusal::invalid(&e))?;
        if let Some(gate) = &self.gate {
            let admitted = gate.recognise(self.peer.as_ref(), Rpc::Grants)?;
            admitted.permit(&request, false)?;
            self.telemetry.asked_by(call, || admitted.name());
        }
        let evaluating = self.telemetry.timer();
        let (answer, explanation) = if call.wants_layers() {
            explain(snapshot, &request).map(|(answer, explained)| (answer, Some(explained)))
        } else {
            decide(snapshot, &request).map(|answer| (answer, None))
        }
        .map_err(|error| refusal::invalid(&error))?;
        let told = Decided {
            snapshot,
            request: &request,
            answer: &answer,
            request_id: question.request_id.as_str(),
            decision_id: &id(now),
            consistency_token: &self.pdp.consistency_token(snapshot),
            cached: false,
            explained: false,
        };
        let timers = (started, evaluating);
        let pending = self.telemetry.decided(call, &told, explanation.as_ref(), timers);
        let refused = refusal::of(&answer);
        let dry_run = question.dry_run && answer.verdict() == Verdict::Allowed;
        if let Some(refused) = refused.as_ref().filter(|_| !dry_run) {
            return Ok((Err(refused.clone()), pending));
        }
        let key = answer.key_arn.and_then(|arn| snapshot.key(arn));
        let by_grant = answer.matched().into_iter().find(|by| by.layer == Layer::Grant);
        let live = |id: &str| key.and_then(|key| snapshot.grants.live.find(&key.arn, id));
        let grant = by_grant.and_then(|by| live(by.policy_id)).map(|grant| grant.id.clone());
        let intent = match refused {
            None => self.telemetry.intended(call, &told),
            Some(_) => None,
        };
        Ok((Ok(Authorized { key, grant, dry_run: refused, intent }), pending))
    }

    /// Makes a change that was authorized by `snapshot`, unless the policies have changed since;
    /// `None` when it has to be authorized anew. Once begun it is made and recorded, whether or not
    /// the caller still waits.
    async fn make(
        &self,
        change: Change,
        snapshot: &Snapshot,
        intent: Option<Intent>,
    ) -> Result<Option<Made>, Status> {
        let (grants, condition) = (self.clone(), self.policies_of(snapshot));
        let making = tokio::spawn(async move {
            match grants.store()?.change(change, condition).await {
                Ok(applied) => grants.made(&applied, intent).await.map(Some),
                Err(ChangeError::Overtaken) => Ok(None),
                Err(error) => Err(refusal::change(&error)),
            }
        });
        making.await.unwrap_or_else(|_| {
            tracing::error!("a change of the grants failed: this is a defect of Keyward");
            let message = "whether the change was made is not known";
            Err(status::refused(Code::Unknown, refusal::INTERNAL, message))
        })
    }

    /// Tells of a change that was made, and waits until that is recorded where it has to be.
    async fn made(&self, applied: &Applied, intent: Option<Intent>) -> Result<Made, Status> {
        let consistency_token = self.pdp.consistency_token_at(applied.sequence);
        let (effect, grant) = match &applied.effect {
            Effect::Created(grant) => (GrantEffect::Created, grant),
            Effect::Existing(grant) => (GrantEffect::Existing, grant),
            Effect::Removed(grant) => (GrantEffect::Removed, grant),
        };
        let now = (self.clock)();
        let change = GrantChange {
            event_id: &id(now),
            now,
            effect,
            grant_id: &grant.id,
            consistency_token: &consistency_token,
        };
        let pending = self.telemetry.changed(intent, &change);
        settled(pending).await.map_err(|status| {
            let message = "the change was made, but its record could not be written";
            status::refused(status.code(), "CHANGE_NOT_RECORDED", message)
        })?;
        Ok(Made { grant_id: grant.id.to_string(), consistency_token })
    }

    /// Whether the policies of a snapshot are still those that answer.
    fn policies_of(&self, snapshot: &Snapshot) -> Condition {
        let (pdp, policies) = (Arc::clone(&self.pdp), Arc::clone(&snapshot.policies));
        Box::new(move || Arc::ptr_eq(&pdp.snapshot().policies, &policies))
    }
}

/// A new id of a record.
fn id(now: Timestamp) -> String {
    decision_id::next(now).hyphenated().to_string()
}

/// A change was overtaken again and again.
fn overtaken() -> Status {
    refusal::change(&ChangeError::Overtaken)
}

fn missing(field: &str, message: &str) -> Status {
    refusal::invalid(&InvalidRequest::new(field, format!("missing: {message}")))
}

/// Answers a call of a method by another.
macro_rules! answered {
    ($grants:ident, $call:ident, $name:ident, $answer:ident) => {{
        let mut told = Told::of(&$grants.telemetry, Method::$name, &$call);
        let outcome = async {
            let left = freshness::time_left($call.metadata())?;
            $grants.entered(&$call)?.$answer($call.get_ref(), left, told.call()).await
        };
        let outcome = outcome.await;
        told.end(outcome)
    }};
}

#[tonic::async_trait]
impl GrantService for Grants {
    async fn create_grant(
        &self,
        call: Request<v1::CreateGrantRequest>,
    ) -> Result<Response<v1::CreateGrantResponse>, Status> {
        answered!(self, call, CreateGrant, create)
    }

    async fn list_grants(
        &self,
        call: Request<v1::ListGrantsRequest>,
    ) -> Result<Response<v1::ListGrantsResponse>, Status> {
        answered!(self, call, ListGrants, list)
    }

    async fn list_retirable_grants(
        &self,
        call: Request<v1::ListRetirableGrantsRequest>,
    ) -> Result<Response<v1::ListRetirableGrantsResponse>, Status> {
        answered!(self, call, ListRetirableGrants, list_retirable)
    }

    async fn retire_grant(
        &self,
        call: Request<v1::RetireGrantRequest>,
    ) -> Result<Response<v1::RetireGrantResponse>, Status> {
        answered!(self, call, RetireGrant, retire)
    }

    async fn revoke_grant(
        &self,
        call: Request<v1::RevokeGrantRequest>,
    ) -> Result<Response<v1::RevokeGrantResponse>, Status> {
        answered!(self, call, RevokeGrant, revoke)
    }
}

//! `GrantService`: the grant operations of KMS, each authorized as KMS would.

mod create;
mod list;
mod remove;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use tonic::{Code, Extensions, Request, Response, Status};

use super::authorization::Clock;
use super::callers::Gate;
use super::callers::rpc::Rpc;
use super::{freshness, refusal, status, tokens};
use crate::engine::decide::decide;
use crate::engine::decide::decision::Layer;
use crate::engine::snapshot::{Key, Snapshot};
use crate::engine::term::request::InvalidRequest;
use crate::engine::term::time::Timestamp;
use crate::pdp::Pdp;
use crate::pdp::grants::{Applied, Change, ChangeError, Condition, GrantStore};
use crate::wire::proto::request::request_with;
use crate::wire::proto::view::View;
use crate::wire::v1;
use crate::wire::v1::grant_service_server::GrantService;

/// How often a change is authorized anew because what authorized it had changed before it was made.
const ATTEMPTS: usize = 16;

/// Grants that live.
#[derive(Clone)]
pub struct Grants {
    pdp: Arc<Pdp>,
    clock: Clock,
    /// The most grants that a key may have.
    per_key: u64,
    /// Knows who may keep grants; nobody stands before operators.
    gate: Option<Arc<Gate>>,
    /// The connection of a call that the gate let in.
    connection: Extensions,
}

/// What authorized a call.
struct Authorized<'s> {
    /// The key that it is about.
    key: Option<&'s Key>,
    /// Id of the live grant on which the permission rests, if it rests on one.
    grant: Option<Box<str>>,
}

impl Authorized<'_> {
    /// The key of a call that has to have one.
    fn key(&self) -> Result<&Key, Status> {
        // KMS authorized the call, but there is no key: a defect.
        self.key.ok_or_else(|| refusal::kms("NotFoundException", "the key does not exist"))
    }
}

impl Grants {
    /// Keeps grants with `pdp`, at the instants of `clock`.
    #[must_use]
    pub fn new(pdp: Arc<Pdp>, clock: Clock, per_key: u64) -> Self {
        Self { pdp, clock, per_key, gate: None, connection: Extensions::new() }
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
            gate.admit(call.extensions(), Rpc::Grants, 1)?;
            entered.connection = call.extensions().clone();
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

    /// Refuses what is not authorized, and dry runs. A defect of ours authorizes nothing.
    fn authorize<'s>(
        &self,
        snapshot: &'s Snapshot,
        question: &v1::AuthorizeRequest,
        now: Timestamp,
    ) -> Result<Authorized<'s>, Status> {
        let decided = catch_unwind(AssertUnwindSafe(|| self.decided(snapshot, question, now)));
        decided.unwrap_or_else(|_| {
            tracing::error!(
                action = question.action,
                "a decision failed: this is a defect of Keyward"
            );
            Err(status::refused(Code::Internal, refusal::INTERNAL, "the decision failed"))
        })
    }

    fn decided<'s>(
        &self,
        snapshot: &'s Snapshot,
        question: &v1::AuthorizeRequest,
        now: Timestamp,
    ) -> Result<Authorized<'s>, Status> {
        let question = &*tokens::resolve(&self.pdp, snapshot, question, now);
        let sessions = |name: &str, text: &str| self.pdp.sessions().get(name, text);
        let request =
            request_with(View::of(question), now, &sessions).map_err(|e| refusal::invalid(&e))?;
        if let Some(gate) = &self.gate {
            gate.recognise(&self.connection, Rpc::Grants)?.permit(&request, false)?;
        }
        let answer = decide(snapshot, &request).map_err(|e| refusal::invalid(&e))?;
        if let Some(refused) = refusal::of(&answer) {
            return Err(refused);
        }
        let key = answer.key_arn.and_then(|arn| snapshot.keys.get(arn));
        let by_grant = answer.matched().into_iter().find(|by| by.layer == Layer::Grant);
        let live = |id: &str| key.and_then(|key| snapshot.grants.live.find(&key.arn, id));
        let grant = by_grant.and_then(|by| live(by.policy_id)).map(|grant| grant.id.clone());
        Ok(Authorized { key, grant })
    }

    /// Makes a change that was authorized by `snapshot`, unless the policies have changed since;
    /// `None` when it has to be authorized anew.
    async fn make(&self, change: Change, snapshot: &Snapshot) -> Result<Option<Applied>, Status> {
        match self.store()?.change(change, self.policies_of(snapshot)).await {
            Ok(applied) => Ok(Some(applied)),
            Err(ChangeError::Overtaken) => Ok(None),
            Err(error) => Err(refusal::change(&error)),
        }
    }

    /// Whether the policies of a snapshot are still those that answer.
    fn policies_of(&self, snapshot: &Snapshot) -> Condition {
        let (pdp, policies) = (Arc::clone(&self.pdp), Arc::clone(&snapshot.policies));
        Box::new(move || Arc::ptr_eq(&pdp.snapshot().policies, &policies))
    }
}

/// A change was overtaken again and again.
fn overtaken() -> Status {
    refusal::change(&ChangeError::Overtaken)
}

fn missing(field: &str, message: &str) -> Status {
    refusal::invalid(&InvalidRequest::new(field, format!("missing: {message}")))
}

#[tonic::async_trait]
impl GrantService for Grants {
    async fn create_grant(
        &self,
        call: Request<v1::CreateGrantRequest>,
    ) -> Result<Response<v1::CreateGrantResponse>, Status> {
        let left = freshness::time_left(call.metadata())?;
        self.entered(&call)?.create(call.get_ref(), left).await.map(Response::new)
    }

    async fn list_grants(
        &self,
        call: Request<v1::ListGrantsRequest>,
    ) -> Result<Response<v1::ListGrantsResponse>, Status> {
        let left = freshness::time_left(call.metadata())?;
        self.entered(&call)?.list(call.get_ref(), left).await.map(Response::new)
    }

    async fn list_retirable_grants(
        &self,
        call: Request<v1::ListRetirableGrantsRequest>,
    ) -> Result<Response<v1::ListRetirableGrantsResponse>, Status> {
        let left = freshness::time_left(call.metadata())?;
        self.entered(&call)?.list_retirable(call.get_ref(), left).await.map(Response::new)
    }

    async fn retire_grant(
        &self,
        call: Request<v1::RetireGrantRequest>,
    ) -> Result<Response<v1::RetireGrantResponse>, Status> {
        let left = freshness::time_left(call.metadata())?;
        self.entered(&call)?.retire(call.get_ref(), left).await.map(Response::new)
    }

    async fn revoke_grant(
        &self,
        call: Request<v1::RevokeGrantRequest>,
    ) -> Result<Response<v1::RevokeGrantResponse>, Status> {
        let left = freshness::time_left(call.metadata())?;
        self.entered(&call)?.revoke(call.get_ref(), left).await.map(Response::new)
    }
}

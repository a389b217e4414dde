//! `GrantService`: the grant operations of KMS, each authorized as KMS would.

use std::sync::Arc;

use tonic::{Code, Request, Response, Status};

use super::authorization::Clock;
use super::freshness::{self, time_left};
use super::pages::Page;
use super::{refusal, status, tokens};
use crate::engine::decide::decide;
use crate::engine::grant::{Grant, GranteeRef};
use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::kms::key_state::{KeySpec, grant_operations};
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::snapshot::{Key, Snapshot};
use crate::engine::term::arn::Arn;
use crate::engine::term::principal::Principal;
use crate::engine::term::request::InvalidRequest;
use crate::engine::term::time::Timestamp;
use crate::pdp::Pdp;
use crate::pdp::grants::{Change, Effect, GrantStore, StoredGrant};
use crate::wire::grants::{Creation, entry, listed, parameters, question};
use crate::wire::proto::request::request_with;
use crate::wire::v1;
use crate::wire::v1::grant_service_server::GrantService;

/// Grants that live.
#[derive(Clone)]
pub struct Grants {
    pdp: Arc<Pdp>,
    clock: Clock,
    /// The most grants that a key may have.
    per_key: u64,
}

impl Grants {
    /// Keeps grants with `pdp`, at the instants of `clock`.
    #[must_use]
    pub fn new(pdp: Arc<Pdp>, clock: Clock, per_key: u64) -> Self {
        Self { pdp, clock, per_key }
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

    /// Refuses what is not authorized, and dry runs. Gives the key back, where there is one.
    fn authorize<'s>(
        &self,
        snapshot: &'s Snapshot,
        question: &v1::AuthorizeRequest,
        now: Timestamp,
    ) -> Result<Option<&'s Key>, Status> {
        let question = &*tokens::resolve(&self.pdp, snapshot, question, now);
        let sessions = |name: &str, text: &str| self.pdp.sessions().get(name, text);
        let request = request_with(question, now, &sessions).map_err(|e| refusal::invalid(&e))?;
        let answer = decide(snapshot, &request).map_err(|e| refusal::invalid(&e))?;
        let key = answer.key_arn.and_then(|arn| snapshot.keys.get(arn));
        refusal::of(&answer).map_or(Ok(key), Err)
    }

    /// Removes a live grant for whoever may.
    async fn remove(&self, grant: (&str, &str), snapshot: &Snapshot) -> Result<String, Status> {
        let (key_arn, id) = grant;
        if let Some(grant) = snapshot.grants.documents.find(key_arn, id) {
            let from = grant.origin.as_ref().map_or("a document".into(), |(document, line)| {
                format!("`{document}` line {line}")
            });
            return Err(status::refused(
                Code::FailedPrecondition,
                "GRANT_OF_DOCUMENT",
                format!("the grant `{id}` comes from {from} of the policy set: remove it there"),
            ));
        }
        let change = Change::Remove { key_arn: key_arn.into(), id: id.into() };
        let applied = self.store()?.change(change).await.map_err(|e| refusal::change(&e))?;
        Ok(self.pdp.consistency_token_at(applied.sequence))
    }
}

#[tonic::async_trait]
impl GrantService for Grants {
    async fn create_grant(
        &self,
        call: Request<v1::CreateGrantRequest>,
    ) -> Result<Response<v1::CreateGrantResponse>, Status> {
        let left = time_left(call.metadata())?;
        let (wanted, now) = (call.get_ref(), (self.clock)());
        let store = self.store()?;
        check_name(&wanted.name)?;
        let question = v1::AuthorizeRequest {
            key_id: wanted.key_id.clone(),
            grant_tokens: wanted.grant_tokens.clone(),
            parameters: Some(parameters(wanted)),
            dry_run: wanted.dry_run,
            ..question(wanted.caller.as_ref(), "CreateGrant")
        };
        let tokens = !wanted.grant_tokens.is_empty();
        let (grant, elsewhere) = {
            let snapshot = freshness::snapshot(&self.pdp, None, tokens, left).await?;
            // A dry run is refused last, when all else was right.
            let real = v1::AuthorizeRequest { dry_run: false, ..question.clone() };
            let key = self.authorize(&snapshot, &real, now)?.ok_or_else(no_key)?;
            check_operations(wanted, key)?;
            self.authorize(&snapshot, &question, now)?;
            let elsewhere = snapshot.grants.documents.on(&key.arn).len() as u64;
            (new_grant(store, wanted, key, now)?, elsewhere)
        };
        let change =
            Change::Create { grant, limit_per_key: self.per_key, counted_elsewhere: elsewhere };
        let applied = store.change(change).await.map_err(|error| refusal::change(&error))?;
        let (Effect::Created(grant) | Effect::Existing(grant) | Effect::Removed(grant)) =
            &applied.effect;
        let token = store.mint(&grant.id).map_err(|e| refusal::kms(INTERNAL, e.to_string()))?;
        Ok(Response::new(v1::CreateGrantResponse {
            grant_token: token,
            grant_id: grant.id.to_string(),
            consistency_token: self.pdp.consistency_token_at(applied.sequence),
        }))
    }

    async fn list_grants(
        &self,
        call: Request<v1::ListGrantsRequest>,
    ) -> Result<Response<v1::ListGrantsResponse>, Status> {
        time_left(call.metadata())?;
        let (wanted, now) = (call.get_ref(), (self.clock)());
        let question = v1::AuthorizeRequest {
            key_id: wanted.key_id.clone(),
            ..question(wanted.caller.as_ref(), "ListGrants")
        };
        let page = Page::read(wanted.limit, &wanted.marker)?;
        let snapshot = self.pdp.snapshot();
        let key = self.authorize(&snapshot, &question, now)?.ok_or_else(no_key)?;
        let grantee = grantee(&wanted.grantee_principal, &wanted.grantee_service_principal)?;
        let fits = |grant: &Grant| {
            (wanted.grant_id.is_empty() || *grant.id == *wanted.grant_id)
                && grantee.as_ref().is_none_or(|grantee| grant.grantee == *grantee)
        };
        let documents = snapshot.grants.documents.on(&key.arn).iter().map(|grant| &**grant);
        let live = snapshot.grants.live.on(&key.arn, &page.after).map(|grant| &**grant);
        let (grants, next_marker) = page.take(documents, live, fits);
        Ok(Response::new(v1::ListGrantsResponse {
            grants: grants.into_iter().map(listed).collect(),
            truncated: !next_marker.is_empty(),
            next_marker,
            consistency_token: self.pdp.consistency_token(&snapshot),
        }))
    }

    async fn list_retirable_grants(
        &self,
        call: Request<v1::ListRetirableGrantsRequest>,
    ) -> Result<Response<v1::ListRetirableGrantsResponse>, Status> {
        time_left(call.metadata())?;
        let (wanted, now) = (call.get_ref(), (self.clock)());
        let page = Page::read(wanted.limit, &wanted.marker)?;
        let retiring = grantee(&wanted.retiring_principal, &wanted.retiring_service_principal)?
            .ok_or_else(|| missing("retiring_principal", "name who may retire the grants"))?;
        let question = v1::AuthorizeRequest {
            parameters: Some(v1::Parameters {
                retiring_principal: wanted.retiring_principal.clone(),
                ..v1::Parameters::default()
            }),
            ..question(wanted.caller.as_ref(), "ListRetirableGrants")
        };
        let snapshot = self.pdp.snapshot();
        self.authorize(&snapshot, &question, now)?;
        // KMS lists the grants of the account and Region that is called.
        let home = home(&snapshot, &question)?;
        let fits = |grant: &Grant| {
            grant.retiring.as_ref() == Some(&retiring) && grant.key_arn.starts_with(&home)
        };
        let mut documents: Vec<&Grant> = snapshot
            .grants
            .documents
            .iter()
            .map(|grant| &**grant)
            .filter(|grant| fits(grant))
            .collect();
        documents.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        let live = snapshot.grants.live.retirable_by(GranteeRef::of(&retiring), &page.after);
        let (grants, next_marker) =
            page.take(documents.into_iter(), live.map(|grant| &**grant), fits);
        Ok(Response::new(v1::ListRetirableGrantsResponse {
            grants: grants.into_iter().map(listed).collect(),
            truncated: !next_marker.is_empty(),
            next_marker,
            consistency_token: self.pdp.consistency_token(&snapshot),
        }))
    }

    async fn retire_grant(
        &self,
        call: Request<v1::RetireGrantRequest>,
    ) -> Result<Response<v1::RetireGrantResponse>, Status> {
        let left = time_left(call.metadata())?;
        let (wanted, now) = (call.get_ref(), (self.clock)());
        let by_token = !wanted.grant_token.is_empty();
        let by_id = !wanted.grant_id.is_empty() || !wanted.key_id.is_empty();
        if by_token == by_id {
            return Err(missing("grant_token", "give a token, or else a key and a grant id"));
        }
        let snapshot = freshness::snapshot(&self.pdp, None, true, left).await?;
        let (key_id, grant_id) = if by_token {
            self.pointed_at(&snapshot, &wanted.grant_token)?
        } else {
            (wanted.key_id.clone(), wanted.grant_id.clone())
        };
        let question = v1::AuthorizeRequest {
            key_id,
            parameters: Some(v1::Parameters { grant_id, ..v1::Parameters::default() }),
            dry_run: wanted.dry_run,
            ..question(wanted.caller.as_ref(), "RetireGrant")
        };
        let key = self.authorize(&snapshot, &question, now)?.ok_or_else(no_key)?;
        let id = question.parameters.as_ref().map_or("", |parameters| &parameters.grant_id);
        let consistency_token = self.remove((&key.arn, id), &snapshot).await?;
        Ok(Response::new(v1::RetireGrantResponse { consistency_token }))
    }

    async fn revoke_grant(
        &self,
        call: Request<v1::RevokeGrantRequest>,
    ) -> Result<Response<v1::RevokeGrantResponse>, Status> {
        let left = time_left(call.metadata())?;
        let (wanted, now) = (call.get_ref(), (self.clock)());
        if wanted.grant_id.is_empty() {
            return Err(missing("grant_id", "name the grant"));
        }
        let question = v1::AuthorizeRequest {
            key_id: wanted.key_id.clone(),
            dry_run: wanted.dry_run,
            ..question(wanted.caller.as_ref(), "RevokeGrant")
        };
        let snapshot = freshness::snapshot(&self.pdp, None, true, left).await?;
        let key = self.authorize(&snapshot, &question, now)?.ok_or_else(no_key)?;
        let consistency_token = self.remove((&key.arn, &wanted.grant_id), &snapshot).await?;
        Ok(Response::new(v1::RevokeGrantResponse { consistency_token }))
    }
}

impl Grants {
    /// The grant that a token points at: ARN of its key, and its id.
    fn pointed_at(&self, snapshot: &Snapshot, token: &str) -> Result<(String, String), Status> {
        if let Some(grant) = snapshot.grants.with_token(token) {
            return Ok((grant.key_arn.to_string(), grant.id.to_string()));
        }
        let id = self.pdp.grants().and_then(|grants| grants.read_token(token).ok());
        let Some(id) = id else {
            tracing::warn!("a grant token that this service did not make");
            return Err(refusal::kms(
                "InvalidGrantTokenException",
                "the grant token is not one that this service gave",
            ));
        };
        match self.pdp.grants().and_then(|grants| grants.find(&id)) {
            Some(stored) => Ok((stored.key_arn.into(), id)),
            None => Err(refusal::kms("NotFoundException", "the grant is retired or revoked")),
        }
    }
}

const INTERNAL: &str = "KMSInternalException";

/// KMS authorized the call, but there is no key: a defect.
fn no_key() -> Status {
    refusal::kms("NotFoundException", "the key does not exist")
}

fn missing(field: &str, message: &str) -> Status {
    refusal::invalid(&InvalidRequest::new(field, format!("missing: {message}")))
}

/// Source: AWS KMS API Reference, `CreateGrant` (`Name`).
fn check_name(name: &str) -> Result<(), Status> {
    let fits = name.len() <= 256
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":/_-".contains(&b));
    if fits {
        return Ok(());
    }
    let message = format!("`{name}`: at most 256 letters, digits, `:`, `/`, `_` and `-`");
    Err(refusal::invalid(&InvalidRequest::new("name", message)))
}

/// What the key cannot do, no grant can permit.
///
/// Source: AWS KMS Developer Guide, "Grants in AWS KMS" (grant operations, grant constraints).
fn check_operations(wanted: &v1::CreateGrantRequest, key: &Key) -> Result<(), Status> {
    let possible = grant_operations(key.usage, key.spec);
    let operations: ActionSet =
        wanted.operations.iter().filter_map(|name| Action::from_bare(name)).collect();
    if let Some(action) = operations.iter().find(|action| !possible.contains(*action)) {
        let message = format!("`{}` cannot be done with this key", action.bare());
        return Err(refusal::invalid(&InvalidRequest::new("operations", message)));
    }
    let on_context = wanted.constraints.as_ref().is_some_and(|constraints| {
        !constraints.encryption_context_equals.is_empty()
            || !constraints.encryption_context_subset.is_empty()
    });
    if on_context && key.spec != KeySpec::SymmetricDefault {
        let message = "an encryption context constraint needs a symmetric encryption key";
        return Err(refusal::invalid(&InvalidRequest::new("constraints", message)));
    }
    Ok(())
}

fn new_grant(
    store: &GrantStore,
    wanted: &v1::CreateGrantRequest,
    key: &Key,
    now: Timestamp,
) -> Result<StoredGrant, Status> {
    let internal = |message: String| refusal::kms(INTERNAL, message);
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| internal(error.to_string()))?;
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let caller = wanted.caller.as_ref().and_then(|caller| caller.principal.as_ref());
    let arn = caller.map_or("", |caller| &caller.arn);
    let principal = Principal::parse(arn).ok();
    let creation = Creation {
        id: &id,
        key_arn: &key.arn,
        now,
        // A service calls for the owner of the key.
        issuer: principal.and_then(|principal| principal.account()).unwrap_or(key.account),
        partition: key.partition(),
    };
    let (entry, fingerprint) = entry(wanted, &creation);
    let token = store.mint(&id).map_err(|error| internal(error.to_string()))?;
    Ok(StoredGrant {
        id: id.as_str().into(),
        key_arn: key.arn.clone(),
        token: token.into(),
        name: (!wanted.name.is_empty()).then(|| wanted.name.as_str().into()),
        fingerprint,
        entry: entry.into(),
        created_millis: now.seconds().saturating_mul(1000),
    })
}

/// A principal or a service, as grants name them; `None` when neither is given.
fn grantee(principal: &str, service: &str) -> Result<Option<PrincipalPattern>, Status> {
    let invalid = |field: &str, text: &str, expected: &str| {
        let message = format!("`{text}`: expected {expected}");
        refusal::invalid(&InvalidRequest::new(field, message))
    };
    match (principal, service) {
        ("", "") => Ok(None),
        (text, "") => PrincipalPattern::aws(text)
            .map(Some)
            .map_err(|expected| invalid("grantee_principal", text, expected)),
        ("", text) => PrincipalPattern::service(text)
            .map(Some)
            .map_err(|expected| invalid("grantee_service_principal", text, expected)),
        _ => Err(missing("grantee_principal", "a principal or a service, not both")),
    }
}

/// How ARNs of keys begin in the account and Region that are called.
fn home(snapshot: &Snapshot, question: &v1::AuthorizeRequest) -> Result<String, Status> {
    let caller = question.principal.as_ref().map_or("", |principal| &principal.arn);
    let told = (!question.region.is_empty()).then_some(question.region.as_str());
    let region = told.or(snapshot.default_region.as_deref()).or(snapshot.only_region.as_deref());
    match (Arn::parse(caller).and_then(|arn| Some((arn.partition, arn.account_id()?))), region) {
        (Some((partition, account)), Some(region)) => {
            Ok(format!("arn:{partition}:kms:{region}:{account}:"))
        }
        _ => Err(missing("caller.region", "the account and Region that are called")),
    }
}

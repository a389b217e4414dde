//! RetireGrant and RevokeGrant.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tonic::{Code, Status};

use super::{ATTEMPTS, Grants, missing, overtaken};
use crate::engine::snapshot::Snapshot;
use crate::engine::term::request::InvalidRequest;
use crate::pdp::grants::Change;
use crate::rpc::quiet::Quiet;
use crate::rpc::{refusal, status};
use crate::telemetry::call::Call;
use crate::wire::grants::Call as _;
use crate::wire::v1;

static FORGED: LazyLock<Quiet> = LazyLock::new(Quiet::default);

impl Grants {
    pub(super) async fn retire(
        &self,
        wanted: &v1::RetireGrantRequest,
        left: Option<Duration>,
        call: &mut Call,
    ) -> Result<v1::RetireGrantResponse, Status> {
        let by_token = !wanted.grant_token.is_empty();
        let by_id = !wanted.grant_id.is_empty() || !wanted.key_id.is_empty();
        if by_token && by_id {
            let message = "given beside a key or a grant id: give one or the other";
            return Err(refusal::invalid(&InvalidRequest::new("grant_token", message)));
        }
        if !by_token && !by_id {
            return Err(missing("grant_token", "give a token, or else a key and a grant id"));
        }
        if by_id && wanted.grant_id.is_empty() {
            return Err(missing("grant_id", "name the grant on the key"));
        }
        if by_id && wanted.key_id.is_empty() {
            return Err(missing("key_id", "name the key of the grant"));
        }
        let mut question = wanted.question();
        let (key_id, grant_id) = if by_token {
            let snapshot = self.newest(&question, left).await?;
            self.pointed_at(&snapshot, &wanted.grant_token).await?
        } else {
            (wanted.key_id.clone(), wanted.grant_id.clone())
        };
        question.key_id = key_id;
        question.parameters = Some(naming(&grant_id));
        question.dry_run = wanted.dry_run;
        let consistency_token = self.remove(&question, &grant_id, left, call).await?;
        Ok(v1::RetireGrantResponse { consistency_token })
    }

    pub(super) async fn revoke(
        &self,
        wanted: &v1::RevokeGrantRequest,
        left: Option<Duration>,
        call: &mut Call,
    ) -> Result<v1::RevokeGrantResponse, Status> {
        if wanted.grant_id.is_empty() {
            return Err(missing("grant_id", "name the grant"));
        }
        let question = v1::AuthorizeRequest {
            key_id: wanted.key_id.clone(),
            parameters: Some(naming(&wanted.grant_id)),
            dry_run: wanted.dry_run,
            ..wanted.question()
        };
        let consistency_token = self.remove(&question, &wanted.grant_id, left, call).await?;
        Ok(v1::RevokeGrantResponse { consistency_token })
    }

    /// Removes a live grant for whoever may, and gives the consistency token without it.
    async fn remove(
        &self,
        question: &v1::AuthorizeRequest,
        id: &str,
        left: Option<Duration>,
        call: &mut Call,
    ) -> Result<String, Status> {
        for _ in 0..ATTEMPTS {
            let snapshot = self.newest(question, left).await?;
            let now = (self.clock)();
            let mut authorized = self.authorize(&snapshot, question, now, call).await?;
            let key_arn = &authorized.key()?.arn;
            check_live(&snapshot, key_arn, id)?;
            if let Some(refused) = authorized.dry_run.take() {
                return Err(refused);
            }
            let change = Change::Remove { key_arn: (&**key_arn).into(), id: id.into() };
            let intent = authorized.intent.take();
            if let Some(made) = self.make(change, &snapshot, intent).await? {
                return Ok(made.consistency_token);
            }
        }
        Err(overtaken())
    }

    /// The grant that a token points at: ARN of its key, and its id.
    async fn pointed_at(
        &self,
        snapshot: &Snapshot,
        token: &str,
    ) -> Result<(String, String), Status> {
        if let Some(grant) = snapshot.grants.with_token(token) {
            return Ok((grant.key_arn.to_string(), grant.id.to_string()));
        }
        let Some(id) = self.pdp.grants().and_then(|grants| grants.read_token(token).ok()) else {
            FORGED.warn(|skipped| {
                tracing::warn!(skipped, "a grant token that this service did not make");
            });
            return Err(refusal::kms(
                "InvalidGrantTokenException",
                "the grant token is not one that this service gave",
            ));
        };
        // A look into the file: not where calls are served.
        let (pdp, wanted) = (Arc::clone(&self.pdp), id.clone());
        let find = move || pdp.grants().map(|grants| grants.find(&wanted)).transpose();
        let unreadable = |why: String| refusal::kms(refusal::INTERNAL, why);
        let found = tokio::task::spawn_blocking(find)
            .await
            .map_err(|error| unreadable(error.to_string()))?
            .map_err(|error| unreadable(error.to_string()))?;
        match found.flatten() {
            Some(stored) => Ok((stored.key_arn.into(), id)),
            None => Err(gone()),
        }
    }
}

/// The parameters that name a grant.
fn naming(grant_id: &str) -> v1::Parameters {
    v1::Parameters { grant_id: grant_id.to_owned(), ..v1::Parameters::default() }
}

/// A grant that the API can remove: of the database, not of a document.
fn check_live(snapshot: &Snapshot, key_arn: &str, id: &str) -> Result<(), Status> {
    let Some(grant) = snapshot.grants.find(key_arn, id) else { return Err(gone()) };
    let Some((document, line)) = &grant.origin else { return Ok(()) };
    Err(status::refused(
        Code::FailedPrecondition,
        "GRANT_OF_DOCUMENT",
        format!(
            "the grant `{id}` comes from `{document}` line {line} of the policy set: remove it there"
        ),
    ))
}

fn gone() -> Status {
    refusal::kms(
        "NotFoundException",
        "the key has no such grant: it never had, or it is retired or revoked",
    )
}

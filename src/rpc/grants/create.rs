//! CreateGrant.

use std::time::Duration;

use tonic::Status;

use super::{ATTEMPTS, Authorized, Grants, overtaken};
use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::kms::key_state::{KeySpec, grant_operations};
use crate::engine::snapshot::{Key, Snapshot};
use crate::engine::term::principal::Principal;
use crate::engine::term::request::InvalidRequest;
use crate::engine::term::time::Timestamp;
use crate::pdp::grants::{Change, ChangeError, GrantStore, StoredGrant};
use crate::rpc::refusal;
use crate::telemetry::call::Call;
use crate::wire::grants::{Call as _, Creation, entry, parameters};
use crate::wire::proto::parameters::is_principal;
use crate::wire::v1;

impl Grants {
    pub(super) async fn create(
        &self,
        wanted: &v1::CreateGrantRequest,
        left: Option<Duration>,
        call: &mut Call,
    ) -> Result<v1::CreateGrantResponse, Status> {
        let store = self.store()?;
        check_form(wanted)?;
        let question = v1::AuthorizeRequest {
            key_id: wanted.key_id.clone(),
            grant_tokens: wanted.grant_tokens.clone(),
            parameters: Some(parameters(wanted)),
            dry_run: wanted.dry_run,
            ..wanted.question()
        };
        for _ in 0..ATTEMPTS {
            let snapshot = self.newest(&question, left).await?;
            let now = (self.clock)();
            let mut authorized = self.authorize(&snapshot, &question, now, call).await?;
            let key = authorized.key()?;
            check_operations(wanted, key)?;
            if wanted.dry_run {
                self.check_room(&snapshot, key)?;
            }
            if let Some(refused) = authorized.dry_run.take() {
                return Err(refused);
            }
            let change = self.creation(&snapshot, wanted, &authorized, now)?;
            let intent = authorized.intent.take();
            let Some(made) = self.make(change, &snapshot, intent).await? else { continue };
            return Ok(v1::CreateGrantResponse {
                grant_token: mint(store, &made.grant_id)?,
                grant_id: made.grant_id,
                consistency_token: made.consistency_token,
            });
        }
        Err(overtaken())
    }

    fn creation(
        &self,
        snapshot: &Snapshot,
        wanted: &v1::CreateGrantRequest,
        authorized: &Authorized<'_>,
        now: Timestamp,
    ) -> Result<Change, Status> {
        let key = authorized.key()?;
        Ok(Change::Create {
            grant: new_grant(self.store()?, wanted, key, now)?,
            limit_per_key: self.per_key,
            counted_elsewhere: snapshot.grants.documents.on(&key.arn).len() as u64,
            parent: authorized.grant.clone(),
        })
    }

    /// As the database will, for a dry run.
    fn check_room(&self, snapshot: &Snapshot, key: &Key) -> Result<(), Status> {
        if snapshot.grants.on(&key.arn).count() as u64 >= self.per_key {
            return Err(refusal::change(&ChangeError::LimitExceeded { limit: self.per_key }));
        }
        Ok(())
    }
}

/// What can be told from the request alone, beside what any question is checked for.
///
/// Source: AWS KMS API Reference, `CreateGrant` (`Name`, errors).
fn check_form(wanted: &v1::CreateGrantRequest) -> Result<(), Status> {
    let name = &wanted.name;
    let fits = name.len() <= 256
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b":/_-".contains(&b));
    if !fits {
        let message = format!("`{name}`: at most 256 letters, digits, `:`, `/`, `_` and `-`");
        return Err(refusal::invalid(&InvalidRequest::new("name", message)));
    }
    for (field, text) in [
        ("grantee_principal", &wanted.grantee_principal),
        ("retiring_principal", &wanted.retiring_principal),
    ] {
        if !text.is_empty() && !is_principal(text) {
            let message = format!("{field}: the ARN `{text}` does not refer to a valid principal");
            return Err(refusal::kms("InvalidArnException", message));
        }
    }
    Ok(())
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
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| refusal::kms(refusal::INTERNAL, error.to_string()))?;
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let caller = wanted.caller.as_ref().map_or("", |caller| &caller.arn);
    let creation = Creation {
        id: &id,
        key_arn: &key.arn,
        now,
        // A service calls for the owner of the key.
        issuer: Principal::parse(caller)
            .ok()
            .and_then(|caller| caller.account())
            .unwrap_or(key.account),
        partition: key.partition(),
    };
    let (entry, fingerprint) = entry(wanted, &creation);
    Ok(StoredGrant {
        token: mint(store, &id)?.into(),
        id: id.into(),
        key_arn: (&*key.arn).into(),
        name: (!wanted.name.is_empty()).then(|| wanted.name.as_str().into()),
        fingerprint,
        entry: entry.into(),
        created_millis: now.seconds().saturating_mul(1000),
    })
}

fn mint(store: &GrantStore, id: &str) -> Result<String, Status> {
    store.mint(id).map_err(|error| refusal::kms(refusal::INTERNAL, error.to_string()))
}

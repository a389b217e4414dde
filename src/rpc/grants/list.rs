//! ListGrants and ListRetirableGrants.

use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use super::{Grants, missing};
use crate::engine::grant::{Grant, GranteeRef};
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::snapshot::Snapshot;
use crate::engine::term::arn::Arn;
use crate::engine::term::principal::is_service;
use crate::engine::term::request::InvalidRequest;
use crate::rpc::pages::Page;
use crate::rpc::{freshness, refusal};
use crate::telemetry::call::Call;
use crate::wire::grants::{Call as _, listed};
use crate::wire::v1;

impl Grants {
    pub(super) async fn list(
        &self,
        wanted: &v1::ListGrantsRequest,
        left: Option<Duration>,
        call: &mut Call,
    ) -> Result<v1::ListGrantsResponse, Status> {
        let question = v1::AuthorizeRequest { key_id: wanted.key_id.clone(), ..wanted.question() };
        let page = Page::read(wanted.limit, &wanted.marker)?;
        let grantee = principal(
            ("grantee_principal", &wanted.grantee_principal),
            ("grantee_service_principal", &wanted.grantee_service_principal),
        )?;
        // An account is the same by its root ARN and by its id.
        let grantee = grantee.as_ref().map(GranteeRef::of);
        let consistency = question.consistency.as_ref();
        let snapshot = freshness::snapshot(&self.pdp, consistency, false, left).await?;
        let authorized = self.authorize(&snapshot, &question, (self.clock)(), call).await?;
        let key_arn = &*authorized.key()?.arn;
        let fits = |grant: &Grant| {
            *grant.key_arn == *key_arn
                && (wanted.grant_id.is_empty() || *grant.id == *wanted.grant_id)
                && grantee.is_none_or(|grantee| GranteeRef::of(&grant.grantee) == grantee)
        };
        let documents = snapshot.grants.documents.on(key_arn).iter();
        let live = &snapshot.grants.live;
        let (grants, next_marker) = match &grantee {
            _ if !wanted.grant_id.is_empty() => {
                page.take(documents, live.find(key_arn, &wanted.grant_id).into_iter(), fits)
            }
            Some(grantee) => {
                let to = live.to_one(key_arn, *grantee, page.from());
                page.take(documents, to, fits)
            }
            None => page.take(documents, live.on(key_arn, page.from()), fits),
        };
        Ok(v1::ListGrantsResponse {
            grants: entries(grants),
            truncated: !next_marker.is_empty(),
            next_marker,
            consistency_token: self.pdp.consistency_token(&snapshot),
        })
    }

    pub(super) async fn list_retirable(
        &self,
        wanted: &v1::ListRetirableGrantsRequest,
        left: Option<Duration>,
        call: &mut Call,
    ) -> Result<v1::ListRetirableGrantsResponse, Status> {
        let page = Page::read(wanted.limit, &wanted.marker)?;
        let retiring = principal(
            ("retiring_principal", &wanted.retiring_principal),
            ("retiring_service_principal", &wanted.retiring_service_principal),
        )?
        .ok_or_else(|| missing("retiring_principal", "name who may retire the grants"))?;
        let question = v1::AuthorizeRequest {
            parameters: Some(v1::Parameters {
                retiring_principal: wanted.retiring_principal.clone(),
                ..v1::Parameters::default()
            }),
            ..wanted.question()
        };
        let consistency = question.consistency.as_ref();
        let snapshot = freshness::snapshot(&self.pdp, consistency, false, left).await?;
        self.authorize(&snapshot, &question, (self.clock)(), call).await?;
        let caller = question.principal.as_ref().map_or("", |caller| &caller.arn);
        if let PrincipalPattern::Service(name) = &retiring
            && **name != *caller
        {
            let message = "the grants that a service may retire are listed to that service alone";
            return Err(refusal::kms("AccessDeniedException", message));
        }
        let called = Called::find(&snapshot, caller, &question.region)?;
        let retiring = GranteeRef::of(&retiring);
        let fits = |grant: &Grant| {
            grant.retiring.as_ref().map(GranteeRef::of) == Some(retiring)
                && called.has(&grant.key_arn)
        };
        let documents = snapshot.grants.documents.retirable_by(retiring).iter();
        let live = snapshot.grants.live.retirable_by(retiring, page.from());
        let (grants, next_marker) = page.take(documents, live, fits);
        Ok(v1::ListRetirableGrantsResponse {
            grants: entries(grants),
            truncated: !next_marker.is_empty(),
            next_marker,
            consistency_token: self.pdp.consistency_token(&snapshot),
        })
    }
}

fn entries(grants: Vec<&Arc<Grant>>) -> Vec<v1::GrantListEntry> {
    grants.into_iter().map(|grant| listed(grant)).collect()
}

/// A principal or a service, as grants name them, from two fields; `None` when neither is given.
fn principal(
    (principal_field, principal): (&str, &str),
    (service_field, service): (&str, &str),
) -> Result<Option<PrincipalPattern>, Status> {
    let invalid = |field: &str, text: &str, expected: &str| {
        let message = format!("`{text}`: expected {expected}");
        refusal::invalid(&InvalidRequest::new(field, message))
    };
    match (principal, service) {
        ("", "") => Ok(None),
        // Services made grants long ago that name them where a principal should stand.
        (text, "") if !is_service(text) => PrincipalPattern::aws(text)
            .map(Some)
            .map_err(|expected| invalid(principal_field, text, expected)),
        (text, "") | ("", text) => PrincipalPattern::service(text)
            .map(Some)
            .map_err(|expected| invalid(service_field, text, expected)),
        _ => {
            let message = "a principal or a service, not both";
            Err(refusal::invalid(&InvalidRequest::new(service_field, message)))
        }
    }
}

/// The partition and Region whose keys a call is about, whatever their account.
///
/// Source: AWS KMS API Reference, `ListRetirableGrants`.
struct Called {
    partition: String,
    region: String,
}

impl Called {
    fn find(snapshot: &Snapshot, caller: &str, told: &str) -> Result<Self, Status> {
        let region = Some(told).filter(|told| !told.is_empty());
        let region =
            region.or(snapshot.default_region.as_deref()).or(snapshot.only_region.as_deref());
        let region = region.ok_or_else(|| missing("region", "the Region that is called"))?;
        let partition = Arn::parse(caller).map_or("aws", |arn| arn.partition());
        Ok(Self { partition: partition.to_owned(), region: region.to_owned() })
    }

    fn has(&self, key_arn: &str) -> bool {
        Arn::parse(key_arn)
            .is_some_and(|arn| arn.partition() == self.partition && arn.region() == self.region)
    }
}

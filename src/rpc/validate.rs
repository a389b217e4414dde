//! `ValidatePolicy`: one policy, or one document, looked at in the live set.

use std::sync::Arc;

use tonic::Status;

use super::analysis::no_documents;
use super::status;
use crate::engine::bundle::{Limits, Options};
use crate::engine::policy::PolicyKind;
use crate::engine::problem::Problem;
use crate::engine::snapshot::Snapshot;
use crate::engine::term::request::InvalidRequest;
use crate::engine::term::time::Timestamp;
use crate::lint::finding::Findings;
use crate::lint::single::{Candidate, Opinion, opinion};
use crate::lint::{GRANT_DAYS, Settings, lint};
use crate::pdp::Pdp;
use crate::wire::findings::finding_message;
use crate::wire::simulation::{documents, problem};
use crate::wire::v1;

/// Bytes of a policy: more than any that AWS accepts.
const POLICY_BYTES: usize = 128 * 1024;

/// Levels of nesting of a policy.
const DEPTH: usize = 32;

/// The name of the policy in places.
const NAME: &str = "policy";

/// Looks at a policy as if it took the place of its target's in the live set.
pub(super) fn validate(
    pdp: &Pdp,
    asked: &v1::ValidatePolicyRequest,
    now: Timestamp,
) -> Result<v1::ValidatePolicyResponse, Status> {
    use v1::ValidatedPolicyKind as Kind;

    let live = Arc::clone(&pdp.snapshot());
    let settings = Settings { now, grant_days: GRANT_DAYS };
    let kind = match Kind::try_from(asked.kind) {
        Ok(Kind::KeyPolicy) => PolicyKind::Key,
        Ok(Kind::IdentityPolicy) => PolicyKind::Identity,
        Ok(Kind::PermissionsBoundary) => PolicyKind::Boundary,
        Ok(Kind::ServiceControlPolicy) => PolicyKind::Scp,
        Ok(Kind::ResourceControlPolicy) => PolicyKind::Rcp,
        Ok(Kind::VpcEndpointPolicy) => PolicyKind::Endpoint,
        Ok(Kind::Document) => {
            let opinion = document(pdp, &live, &asked.policy, settings)?;
            return Ok(response(&opinion, &live));
        }
        Ok(Kind::Unspecified) | Err(_) => {
            return Err(invalid("kind", "say what kind of policy it is".to_owned()));
        }
    };
    let options = Options {
        limits: Limits { document_bytes: POLICY_BYTES, depth: DEPTH },
        evaluation: live.evaluation.clone(),
        ..Options::default()
    };
    let candidate = Candidate { name: NAME, text: &asked.policy, kind, target: &asked.target_arn };
    let opinion = opinion(&candidate, &options, &live, settings)
        .map_err(|error| invalid("target_arn", error.to_string()))?;
    Ok(response(&opinion, &live))
}

/// Looks at a document as if it took the place of what the live set says of the same things.
fn document(pdp: &Pdp, live: &Snapshot, text: &str, settings: Settings) -> Result<Opinion, Status> {
    let over =
        documents(&[text.to_owned()]).map_err(|error| invalid("policy", error.message.clone()))?;
    match pdp.what_if(live, &over, live.evaluation.clone()) {
        Err(error) => Err(no_documents(&error)),
        Ok(Err(problems)) => {
            Ok(Opinion { problems: problems.as_slice().to_vec(), findings: Findings::default() })
        }
        Ok(Ok(what_if)) => {
            let options = Options { evaluation: live.evaluation.clone(), ..Options::default() };
            let findings = lint(&over, &options, &what_if.snapshot, settings);
            Ok(Opinion { problems: what_if.warnings, findings })
        }
    }
}

fn response(opinion: &Opinion, live: &Snapshot) -> v1::ValidatePolicyResponse {
    let problems: &[Problem] = &opinion.problems;
    v1::ValidatePolicyResponse {
        problems: problems.iter().map(problem).collect(),
        findings: opinion.findings.open().map(finding_message).collect(),
        policy_revision: live.revision.to_string(),
    }
}

fn invalid(field: &str, message: String) -> Status {
    status::invalid(&InvalidRequest::new(field, message))
}

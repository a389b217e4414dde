//! Grants on the wire, and in the grants database.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::v1;
use crate::engine::grant::{ContextConstraint, Grant};
use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::term::account::AccountId;
use crate::engine::term::time::Timestamp;

/// A call of the grant API.
pub trait Call {
    /// The question that must be allowed before the call is carried out: who asks, for which
    /// operation and in which circumstances. Key and parameters are left to the operation.
    fn question(&self) -> v1::AuthorizeRequest;
}

macro_rules! calls {
    ($($message:ident is $operation:literal),+) => {$(
        impl Call for v1::$message {
            fn question(&self) -> v1::AuthorizeRequest {
                v1::AuthorizeRequest {
                    principal: self.caller.clone(),
                    action: $operation.to_owned(),
                    context: self.context.clone(),
                    multivalued_context: self.multivalued_context.clone(),
                    region: self.region.clone(),
                    via_service: self.via_service.clone(),
                    consistency: self.consistency.clone(),
                    ..v1::AuthorizeRequest::default()
                }
            }
        }
    )+};
}

calls! {
    CreateGrantRequest is "CreateGrant",
    ListGrantsRequest is "ListGrants",
    ListRetirableGrantsRequest is "ListRetirableGrants",
    RetireGrantRequest is "RetireGrant",
    RevokeGrantRequest is "RevokeGrant"
}

/// The parameters of the grant that a request makes.
#[must_use]
pub fn parameters(request: &v1::CreateGrantRequest) -> v1::Parameters {
    let grant = v1::GrantParameters {
        grantee_principal: request.grantee_principal.clone(),
        grantee_service_principal: request.grantee_service_principal.clone(),
        retiring_principal: request.retiring_principal.clone(),
        retiring_service_principal: request.retiring_service_principal.clone(),
        operations: request.operations.clone(),
        constraints: request.constraints.clone(),
        name: request.name.clone(),
    };
    v1::Parameters { grant: Some(grant), ..v1::Parameters::default() }
}

/// What is fixed when a grant is created.
#[derive(Clone, Copy, Debug)]
pub struct Creation<'a> {
    /// Its id.
    pub id: &'a str,
    /// ARN of its key.
    pub key_arn: &'a str,
    /// When.
    pub now: Timestamp,
    /// From which account.
    pub issuer: AccountId,
    /// The partition of that account.
    pub partition: &'a str,
}

/// The entry that `list-grants` prints for a grant that is created, and the fingerprint of the
/// parameters by which a repetition is known.
#[must_use]
pub fn entry(request: &v1::CreateGrantRequest, creation: &Creation<'_>) -> (String, [u8; 32]) {
    let operations: ActionSet =
        request.operations.iter().filter_map(|name| Action::from_bare(name)).collect();
    let names: Vec<&str> = names(operations);
    let mut entry = Map::new();
    let mut put = |name: &str, value: Value| entry.insert(name.to_owned(), value);
    put("KeyId", creation.key_arn.into());
    put("IssuingAccount", root(creation).into());
    put("Operations", names.into());
    for (name, text) in [
        ("Name", &request.name),
        ("GranteePrincipal", &request.grantee_principal),
        ("GranteeServicePrincipal", &request.grantee_service_principal),
        ("RetiringPrincipal", &request.retiring_principal),
        ("RetiringServicePrincipal", &request.retiring_service_principal),
    ] {
        if !text.is_empty() {
            put(name, text.as_str().into());
        }
    }
    let constraints = request.constraints.as_ref().map(constraints_json);
    // An empty constraint is none: the same parameters, the same fingerprint.
    if let Some(constraints) = constraints.filter(|constraints| !constraints.is_empty()) {
        put("Constraints", constraints.into());
    }
    // Members of a map of serde_json are sorted: equal parameters have one spelling.
    let canonical = Value::Object(entry.clone()).to_string();
    let fingerprint = Sha256::digest(canonical.as_bytes()).into();
    entry.insert("GrantId".to_owned(), creation.id.into());
    entry.insert("CreationDate".to_owned(), creation.now.to_string().into());
    (Value::Object(entry).to_string(), fingerprint)
}

fn root(creation: &Creation<'_>) -> String {
    format!("arn:{}:iam::{}:root", creation.partition, creation.issuer)
}

fn constraints_json(constraints: &v1::GrantConstraints) -> Map<String, Value> {
    let mut json = Map::new();
    for (name, pairs) in [
        ("EncryptionContextEquals", &constraints.encryption_context_equals),
        ("EncryptionContextSubset", &constraints.encryption_context_subset),
    ] {
        if !pairs.is_empty() {
            json.insert(name.to_owned(), json!(pairs));
        }
    }
    if !constraints.source_arn.is_empty() {
        json.insert("SourceArn".to_owned(), constraints.source_arn.as_str().into());
    }
    json
}

fn names(operations: ActionSet) -> Vec<&'static str> {
    operations.iter().map(Action::bare).collect()
}

/// A grant as the API lists it.
#[must_use]
pub fn listed(grant: &Grant) -> v1::GrantListEntry {
    let partition = grant.key_arn.split(':').nth(1).unwrap_or("aws");
    let (grantee_principal, grantee_service_principal) = either(Some(&grant.grantee), partition);
    let (retiring_principal, retiring_service_principal) =
        either(grant.retiring.as_ref(), partition);
    let text = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
    v1::GrantListEntry {
        key_id: grant.key_arn.to_string(),
        grant_id: grant.id.to_string(),
        name: text(&grant.name),
        creation_date: grant.created.map(timestamp),
        grantee_principal,
        grantee_service_principal,
        retiring_principal,
        retiring_service_principal,
        issuing_account: grant
            .issuing_account
            .map(|account| format!("arn:{partition}:iam::{account}:root"))
            .unwrap_or_default(),
        operations: names(grant.operations).into_iter().map(str::to_owned).collect(),
        constraints: constraints(grant),
    }
}

fn timestamp(instant: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: instant.seconds(), nanos: 0 }
}

fn either(pattern: Option<&PrincipalPattern>, partition: &str) -> (String, String) {
    match pattern {
        None => Default::default(),
        Some(PrincipalPattern::Account(account, _)) => {
            (format!("arn:{partition}:iam::{account}:root"), String::new())
        }
        Some(PrincipalPattern::Service(name)) => (String::new(), name.to_string()),
        Some(pattern) => (pattern.text(), String::new()),
    }
}

fn constraints(grant: &Grant) -> Option<v1::GrantConstraints> {
    let map = |pairs: &[(Box<str>, Box<str>)]| {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    };
    let mut constraints = v1::GrantConstraints {
        source_arn: grant.source_arn.as_deref().unwrap_or_default().to_owned(),
        ..v1::GrantConstraints::default()
    };
    match &grant.context {
        ContextConstraint::Unlimited if grant.source_arn.is_none() => return None,
        ContextConstraint::Unlimited => {}
        ContextConstraint::Equals(pairs) => constraints.encryption_context_equals = map(pairs),
        ContextConstraint::Subset(pairs) => constraints.encryption_context_subset = map(pairs),
    }
    Some(constraints)
}

//! Grants as they are asked for and as they are stored, and the tokens and markers of the grant API.

use std::sync::{Arc, LazyLock};

use keyward::engine::grant::{Grant, GranteeRef};
use keyward::engine::snapshot::Snapshot;
use keyward::engine::snapshot::build::grant as read_grant;
use keyward::engine::snapshot::grants::live::{Change, LiveGrants};
use keyward::engine::term::principal::Principal;
use keyward::pdp::Pdp;
use keyward::pdp::grants::GrantStore;
use keyward::rpc::grants::Grants;
use keyward::telemetry::Telemetry;
use keyward::wire::grants::{Call as _, Creation, entry as entry_of, listed, parameters};
use keyward::wire::proto::request::request;
use keyward::wire::v1;
use keyward::wire::v1::grant_service_server::GrantService as _;
use prost::Message as _;
use serde_json::Value;
use tonic::Code;

use super::documents::BETWEEN;
use super::set::{SET, ask_of, noon};

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// A service with a store of its own, in a folder that goes with the process.
struct Service {
    pdp: Arc<Pdp>,
    grants: Grants,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = Pdp::new(Snapshot::clone(&SET));
    let live = Arc::clone(plain.live());
    let store = GrantStore::open(folder.path(), &live).expect("a database");
    let pdp = Arc::new(Pdp::with_grants(live, store));
    let grants = Grants::new(Arc::clone(&pdp), Arc::new(noon), 50_000, Telemetry::off());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    Service { pdp, grants, runtime: runtime.expect("a runtime"), _folder: folder }
});

/// Reads any bytes as the message of CreateGrant; and a text as the entry of a stored grant, and what
/// follows it as a grant token, a consistency token and the marker of a page.
///
/// What can be asked for is stored as an entry that says the same when it is read again. An entry is
/// refused with its problems, or is the grant that it says; a grant that is taken away allows nothing
/// more. Tokens and markers that the service did not give are refused.
pub fn run(data: &[u8]) {
    if let Ok(wanted) = v1::CreateGrantRequest::decode(data) {
        asked_for(&wanted);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut parts = text.split(BETWEEN);
    let mut next = || parts.next().unwrap_or_default();
    entry(next());
    token(next());
    consistency(next());
    marker(next());
}

fn asked_for(wanted: &v1::CreateGrantRequest) {
    let question = v1::AuthorizeRequest {
        key_id: wanted.key_id.clone(),
        parameters: Some(parameters(wanted)),
        ..wanted.question()
    };
    match request(&question, noon()) {
        Ok(request) => ask_of(&SET, &request),
        Err(refused) => {
            assert!(!refused.field.is_empty() && !refused.message.is_empty(), "{refused:?}");
            return;
        }
    }
    let creation = Creation {
        id: "made",
        key_arn: KEY,
        now: noon(),
        issuer: "111122223333".parse().expect("an account"),
        partition: "aws",
    };
    let (text, fingerprint) = entry_of(wanted, &creation);
    assert_eq!(entry_of(wanted, &Creation { id: "again", ..creation }).1, fingerprint);
    let grant = match read_grant("entry", &text) {
        Ok(grant) => grant,
        Err(problems) => panic!("stored, and not to be read again: {problems}: {text}"),
    };
    let shown = listed(&grant);
    let named = |text: &str| !text.is_empty();
    assert_eq!(named(&shown.grantee_principal), named(&wanted.grantee_principal), "{text}");
    assert_eq!(shown.grantee_service_principal, wanted.grantee_service_principal, "{text}");
    assert_eq!(named(&shown.retiring_principal), named(&wanted.retiring_principal), "{text}");
    assert_eq!(shown.retiring_service_principal, wanted.retiring_service_principal, "{text}");
    assert_eq!(shown.name, wanted.name);
    let mut operations = wanted.operations.clone();
    operations.sort_unstable();
    operations.dedup();
    let mut kept = shown.operations;
    kept.sort_unstable();
    assert_eq!(kept, operations);
    assert_eq!(
        shown.constraints.unwrap_or_default(),
        wanted.constraints.clone().unwrap_or_default()
    );
    lives(Arc::new(grant));
}

fn entry(text: &str) {
    let grant = match read_grant("entry", text) {
        Ok(grant) => grant,
        Err(problems) => {
            assert!(!problems.as_slice().is_empty());
            return;
        }
    };
    assert!(!grant.operations.is_empty() && !grant.id.is_empty());
    let json: Value = serde_json::from_str(text).expect("an entry is JSON");
    assert_eq!(json["GrantId"].as_str(), Some(&*grant.id));
    let shown = listed(&grant);
    assert_eq!((&*shown.grant_id, &*shown.key_id), (&*grant.id, &*grant.key_arn));
    assert_eq!(shown.operations.len(), grant.operations.len() as usize);
    lives(Arc::new(grant));
}

/// The grant as one that lives: it is found, it is asked, it is gone.
fn lives(grant: Arc<Grant>) {
    let mut live = LiveGrants::default();
    live.apply(&Change::Created(Arc::clone(&grant)));
    assert_eq!(live.find(&grant.key_arn, &grant.id), Some(&grant));
    assert_eq!(live.to(&grant.key_arn, &[GranteeRef::of(&grant.grantee)]).count(), 1);
    let mut snapshot = Snapshot::clone(&SET);
    snapshot.grants.live = live.clone();
    let grantee = grant.grantee.text();
    let asks = match Principal::parse(&grantee) {
        Ok(_) => grantee,
        Err(_) => "arn:aws:sts::111122223333:assumed-role/App/one".to_owned(),
    };
    let operation = grant.operations.iter().next().map_or("", |action| action.name());
    let message = v1::AuthorizeRequest {
        principal: Some(v1::Principal { arn: asks, ..v1::Principal::default() }),
        action: operation.to_owned(),
        key_id: grant.key_arn.to_string(),
        encryption_context: [("tenant".to_owned(), "42".to_owned())].into(),
        ..v1::AuthorizeRequest::default()
    };
    if let Ok(request) = request(&message, noon()) {
        ask_of(&snapshot, &request);
    }
    let (key_arn, id) = (grant.key_arn.clone(), grant.id.clone());
    live.apply(&Change::Removed { key_arn, id });
    assert!(live.is_empty() && live.find(&grant.key_arn, &grant.id).is_none());
    assert_eq!(live.to(&grant.key_arn, &[GranteeRef::of(&grant.grantee)]).count(), 0);
}

fn token(text: &str) {
    let store = SERVICE.pdp.grants().expect("a store");
    assert!(store.read_token(text).is_err(), "a token that nobody made: {text}");
    let made = store.mint(text).expect("randomness");
    match store.read_token(&made) {
        Ok(id) => assert_eq!(id, text),
        Err(_) => assert!(made.len() > 8192, "a token that was made"),
    }
}

fn consistency(text: &str) {
    let read = SERVICE.pdp.read_consistency_token(text);
    if let Ok(sequence) = read {
        assert!(text.starts_with(SERVICE.pdp.grants().expect("a store").incarnation()));
        assert!(text.ends_with(&sequence.to_string()) || text.contains('+'), "{text}");
    }
}

fn marker(text: &str) {
    let principal = v1::Principal {
        arn: "arn:aws:iam::111122223333:root".to_owned(),
        ..v1::Principal::default()
    };
    let wanted = v1::ListGrantsRequest {
        caller: Some(principal),
        key_id: KEY.to_owned(),
        limit: 2,
        marker: text.to_owned(),
        ..v1::ListGrantsRequest::default()
    };
    let service = &*SERVICE;
    match service.runtime.block_on(service.grants.list_grants(tonic::Request::new(wanted))) {
        Ok(page) => assert!(page.get_ref().grants.len() <= 2),
        Err(status) => {
            assert!(matches!(status.code(), Code::InvalidArgument), "{status:?}");
        }
    }
}

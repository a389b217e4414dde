//! What each call is checked for, and the words of KMS when it is refused.

use std::collections::HashMap;

use keyward::wire::v1;
use tonic::Code;

use crate::process::{Place, refused};
use crate::world::{
    ADMIN, DISABLED, FAR, FOREIGN, FOREIGN_ADMIN, HMAC, KEY, OF_DOCUMENT, WORKER, at_least, caller,
    creation, listing, question, retirement, revocation, role,
};

type Creation = v1::CreateGrantRequest;

const VALIDATION: (Code, &str) = (Code::InvalidArgument, "ValidationException");
const ARN: (Code, &str) = (Code::InvalidArgument, "InvalidArnException");
const DENIED: (Code, &str) = (Code::PermissionDenied, "AccessDeniedException");
const NOT_FOUND: (Code, &str) = (Code::NotFound, "NotFoundException");
const DRY_RUN: (Code, &str) = (Code::FailedPrecondition, "DryRunOperationException");

fn owned((code, reason): (Code, &str)) -> (Code, String) {
    (code, reason.to_owned())
}

fn pairs(count: usize, value: &str) -> HashMap<String, String> {
    (0..count).map(|number| (format!("name-{number}"), value.to_owned())).collect()
}

fn limited(change: impl FnOnce(&mut v1::GrantConstraints)) -> Creation {
    let mut constraints = v1::GrantConstraints::default();
    change(&mut constraints);
    Creation { constraints: Some(constraints), ..creation("1") }
}

fn operations(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Creations that KMS refuses, each with its error.
fn refusals() -> Vec<(&'static str, Creation, (Code, &'static str))> {
    let made = creation("1");
    let with = |change: &dyn Fn(&mut Creation)| {
        let mut made = made.clone();
        change(&mut made);
        made
    };
    let service = |source_arn: &str| {
        let source_arn = source_arn.to_owned();
        Creation {
            grantee_principal: String::new(),
            grantee_service_principal: "s3.amazonaws.com".to_owned(),
            constraints: Some(v1::GrantConstraints { source_arn, ..Default::default() }),
            ..creation("1")
        }
    };
    let mut all = vec![
        ("name", with(&|it| it.name = "a b".to_owned()), VALIDATION),
        ("long name", with(&|it| it.name = "n".repeat(257)), VALIDATION),
        ("no operations", with(&|it| it.operations.clear()), VALIDATION),
        ("other operation", with(&|it| it.operations = operations(&["PutKeyPolicy"])), VALIDATION),
        ("spelling", with(&|it| it.operations = operations(&["decrypt"])), VALIDATION),
        ("prefix", with(&|it| it.operations = operations(&["kms:Decrypt"])), VALIDATION),
        ("of other keys", with(&|it| it.operations = operations(&["Sign"])), VALIDATION),
        ("nine pairs", limited(|it| it.encryption_context_equals = pairs(9, "v")), VALIDATION),
        (
            "value",
            limited(|it| it.encryption_context_subset = pairs(1, &"v".repeat(385))),
            VALIDATION,
        ),
        (
            "both",
            limited(|it| {
                it.encryption_context_equals = pairs(1, "v");
                it.encryption_context_subset = pairs(1, "v");
            }),
            VALIDATION,
        ),
        ("no grantee", with(&|it| it.grantee_principal.clear()), VALIDATION),
        (
            "two grantees",
            with(&|it| it.grantee_service_principal = "s3.amazonaws.com".to_owned()),
            VALIDATION,
        ),
        (
            "two to retire",
            with(&|it| it.retiring_service_principal = "s3.amazonaws.com".to_owned()),
            VALIDATION,
        ),
        (
            "no service",
            with(&|it| {
                it.retiring_principal.clear();
                it.retiring_service_principal = "nobody".to_owned();
            }),
            VALIDATION,
        ),
        ("service without source", service(""), VALIDATION),
        ("source without account", service("arn:aws:s3:::a-bucket-of-somebody"), VALIDATION),
        ("alias", with(&|it| it.key_id = "alias/a".to_owned()), VALIDATION),
        ("no key", with(&|it| it.key_id.clear()), VALIDATION),
        ("no caller", with(&|it| it.caller = None), VALIDATION),
        ("a role is no caller", with(&|it| it.caller = caller(&role("Admin"))), VALIDATION),
        ("eleven tokens", with(&|it| it.grant_tokens = vec!["t".to_owned(); 11]), VALIDATION),
        (
            "derived key",
            with(&|it| it.context = HashMap::from([("kms:ViaService".to_owned(), "x".to_owned())])),
            VALIDATION,
        ),
        ("unknown key", with(&|it| it.key_id = KEY.replace("1111-1111", "9999-1111")), NOT_FOUND),
        ("not allowed", with(&|it| it.caller = caller(WORKER)), DENIED),
        ("other account", with(&|it| it.key_id = FOREIGN.to_owned()), DENIED),
        (
            "disabled",
            with(&|it| it.key_id = DISABLED.to_owned()),
            (Code::FailedPrecondition, "DisabledException"),
        ),
        ("HMAC", with(&|it| it.key_id = HMAC.to_owned()), VALIDATION),
        (
            "HMAC context",
            with(&|it| {
                it.key_id = HMAC.to_owned();
                it.operations = operations(&["GenerateMac"]);
            }),
            VALIDATION,
        ),
        ("dry run", with(&|it| it.dry_run = true), DRY_RUN),
        (
            "dry run of another",
            with(&|it| (it.dry_run, it.caller) = (true, caller(WORKER))),
            DENIED,
        ),
    ];
    for text in [
        "*",
        "Worker",
        "111122223333",
        "AIDACKCEVSQ6C2EXAMPLE",
        "s3.amazonaws.com",
        "arn:aws:iam::111122223333:group/Admins",
        "arn:aws:iam::111122223333:role/*",
        "arn:aws:iam::*:root",
        "arn:aws:iam::111122223333:oidc-provider/example.com",
        "arn:aws:organizations::111122223333:organization/o-1",
        "arn:aws:sts::111122223333:assumed-role/Worker",
    ] {
        all.push((text, with(&|it| it.grantee_principal = text.to_owned()), ARN));
        all.push((text, with(&|it| it.retiring_principal = text.to_owned()), ARN));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kms_does_not_create_is_refused_with_its_error_and_leaves_nothing() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    for (what, request, expected) in refusals() {
        let found = refused(grants.create_grant(request.clone()).await);
        assert_eq!(found, owned(expected), "{what}: {request:?}");
    }
    let listed = grants.list_grants(listing(0, "")).await.expect("a list").into_inner();
    assert_eq!(listed.grants.len(), 1, "{listed:?}");
    assert!(listed.consistency_token.ends_with(".0"), "{listed:?}");
    // Nor does a restart find anything that it cannot read.
    served.stop();
    place.serve().stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kms_creates_is_created_and_read_back() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    let to =
        |principal: &str| Creation { grantee_principal: principal.to_owned(), ..creation("1") };
    let service = Creation {
        grantee_principal: String::new(),
        grantee_service_principal: "s3.amazonaws.com".to_owned(),
        retiring_principal: String::new(),
        retiring_service_principal: "s3.amazonaws.com".to_owned(),
        constraints: Some(v1::GrantConstraints {
            source_arn: "arn:aws:s3:us-west-2:111122223333:bucket/b".to_owned(),
            ..Default::default()
        }),
        ..creation("1")
    };
    let eight = limited(|it| it.encryption_context_equals = pairs(8, &"ü".repeat(384)));
    let hmac = Creation {
        key_id: HMAC.to_owned(),
        operations: operations(&["GenerateMac", "VerifyMac"]),
        constraints: None,
        ..creation("1")
    };
    let wanted = vec![
        to("arn:aws:iam::111122223333:user/team/alice"),
        to("arn:aws:iam::444455556666:root"),
        to("arn:aws:sts::111122223333:assumed-role/Worker/w"),
        to("arn:aws:sts::111122223333:federated-user/f"),
        service,
        eight,
        Creation { name: format!("a:/_-{}", "n".repeat(251)), ..creation("1") },
        Creation { constraints: Some(v1::GrantConstraints::default()), ..creation("1") },
        Creation { operations: operations(&["Decrypt", "Decrypt"]), ..creation("1") },
        // In its account a key is known by its id.
        Creation {
            key_id: KEY.rsplit('/').next().expect("an id").to_owned(),
            region: "us-west-2".to_owned(),
            ..creation("1")
        },
    ];
    let mut made = Vec::new();
    for request in wanted {
        let answer = grants.create_grant(request.clone()).await;
        let id =
            answer.unwrap_or_else(|error| panic!("{error}: {request:?}")).into_inner().grant_id;
        made.push((id, request));
    }
    grants.create_grant(hmac).await.expect("a grant on the HMAC key");
    served.stop();
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    for (id, request) in made {
        let one = v1::ListGrantsRequest { grant_id: id.clone(), ..listing(0, "") };
        let found = grants.list_grants(one).await.expect("a list").into_inner().grants;
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((&*found.grant_id, &*found.key_id, &found.name), (&*id, KEY, &request.name));
        assert_eq!(found.grantee_principal, request.grantee_principal);
        assert_eq!(found.grantee_service_principal, request.grantee_service_principal);
        assert_eq!(found.retiring_principal, request.retiring_principal);
        assert_eq!(found.retiring_service_principal, request.retiring_service_principal);
        let constraints = request.constraints.filter(|it| *it != v1::GrantConstraints::default());
        assert_eq!(found.constraints, constraints);
    }
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_name_and_parameters_give_the_same_grant() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    let named = |name: &str, of: &str| Creation { name: name.to_owned(), ..creation(of) };
    let mut make = async |request: Creation| {
        grants.create_grant(request).await.expect("a grant").into_inner().grant_id
    };
    let first = make(named("n", "1")).await;
    assert_eq!(make(named("n", "1")).await, first);
    let mut shuffled = named("n", "1");
    shuffled.operations.reverse();
    assert_eq!(make(shuffled).await, first, "operations are a set");
    assert_ne!(make(named("n", "2")).await, first);
    assert_ne!(make(named("m", "1")).await, first);
    assert_ne!(make(named("", "1")).await, make(named("", "1")).await, "without a name never");
    grants.revoke_grant(revocation(&first)).await.expect("a revocation");
    let again = grants.create_grant(named("n", "1")).await.expect("a grant").into_inner();
    assert_ne!(again.grant_id, first, "what is revoked stays so");
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_no_more_grants_than_its_limit_those_of_documents_too() {
    let place = Place::new();
    let served = place.serve_with(&[], &["--grants-per-key", "3"]);
    let (mut grants, _) = served.clients().await;
    let named = |name: &str| Creation { name: name.to_owned(), ..creation("1") };
    let first = grants.create_grant(named("a")).await.expect("a grant").into_inner().grant_id;
    grants.create_grant(named("b")).await.expect("a grant");
    let full = owned((Code::ResourceExhausted, "LimitExceededException"));
    assert_eq!(refused(grants.create_grant(named("c")).await), full);
    let dry = Creation { dry_run: true, ..named("c") };
    assert_eq!(refused(grants.create_grant(dry).await), full);
    let again = grants.create_grant(named("a")).await.expect("the same grant").into_inner();
    assert_eq!(again.grant_id, first, "a repetition needs no room");
    let elsewhere = Creation { key_id: FAR.to_owned(), ..named("c") };
    grants.create_grant(elsewhere).await.expect("a grant on another key");
    grants.revoke_grant(revocation(&first)).await.expect("a revocation");
    grants.create_grant(named("c")).await.expect("there is room");
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_removed_is_refused_and_stays() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, mut authorization) = served.clients().await;
    let made = grants.create_grant(creation("1")).await.expect("a grant").into_inner();
    let (id, token) = (&*made.grant_id, &*made.grant_token);
    let revoke = |change: &dyn Fn(&mut v1::RevokeGrantRequest)| {
        let mut request = revocation(id);
        change(&mut request);
        request
    };
    let of_document = (Code::FailedPrecondition, "GRANT_OF_DOCUMENT");
    for (what, request, expected) in [
        ("dry run", revoke(&|it| it.dry_run = true), DRY_RUN),
        ("not allowed", revoke(&|it| it.caller = caller(WORKER)), DENIED),
        (
            "dry run of another",
            revoke(&|it| (it.dry_run, it.caller) = (true, caller(WORKER))),
            DENIED,
        ),
        ("no such grant", revoke(&|it| it.grant_id = "f".repeat(64)), NOT_FOUND),
        (
            "dry run of no such grant",
            revoke(&|it| (it.dry_run, it.grant_id) = (true, "f".repeat(64))),
            NOT_FOUND,
        ),
        ("on another key", revoke(&|it| it.key_id = FAR.to_owned()), NOT_FOUND),
        ("no id", revoke(&|it| it.grant_id.clear()), VALIDATION),
        ("no key", revoke(&|it| it.key_id.clear()), VALIDATION),
        ("alias", revoke(&|it| it.key_id = "alias/a".to_owned()), VALIDATION),
        ("of a document", revoke(&|it| it.grant_id = OF_DOCUMENT.to_owned()), of_document),
        (
            "dry run, of a document",
            revoke(&|it| (it.dry_run, it.grant_id) = (true, OF_DOCUMENT.to_owned())),
            of_document,
        ),
    ] {
        assert_eq!(refused(grants.revoke_grant(request).await), owned(expected), "{what}");
    }
    let retire = |change: &dyn Fn(&mut v1::RetireGrantRequest)| {
        let mut request = retirement(token);
        change(&mut request);
        request
    };
    let by_id = |key_id: &str, grant_id: &str| v1::RetireGrantRequest {
        grant_token: String::new(),
        key_id: key_id.to_owned(),
        grant_id: grant_id.to_owned(),
        ..retirement(token)
    };
    let backup = "arn:aws:sts::111122223333:assumed-role/Backup/b";
    for (what, request, expected) in [
        ("dry run", retire(&|it| it.dry_run = true), DRY_RUN),
        ("whoever does not retire it", retire(&|it| it.caller = caller(backup)), DENIED),
        ("of another account", retire(&|it| it.caller = caller(FOREIGN_ADMIN)), DENIED),
        ("token and id", retire(&|it| it.grant_id = id.to_owned()), VALIDATION),
        ("neither", retire(&|it| it.grant_token.clear()), VALIDATION),
        ("id without key", by_id("", id), VALIDATION),
        ("key without id", by_id(KEY, ""), VALIDATION),
        ("no such grant", by_id(KEY, "f"), NOT_FOUND),
        ("on another key", by_id(FAR, id), NOT_FOUND),
        (
            "of a document",
            v1::RetireGrantRequest { caller: caller(backup), ..by_id(KEY, OF_DOCUMENT) },
            of_document,
        ),
        (
            "of a document, by token",
            retire(&|it| {
                (it.caller, it.grant_token) = (caller(backup), "token-of-a-document".to_owned());
            }),
            of_document,
        ),
    ] {
        assert_eq!(refused(grants.retire_grant(request).await), owned(expected), "{what}");
    }
    let answer = authorization.authorize(question(WORKER, "1")).await.expect("an answer");
    assert_eq!(answer.into_inner().decision(), v1::Decision::Allowed, "it stayed");
    grants.retire_grant(by_id(KEY, id)).await.expect("by key and id");
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_retired_by_those_whom_kms_lets() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    let worker = "arn:aws:sts::111122223333:assumed-role/Worker/another-session";
    let root = "arn:aws:iam::111122223333:root";
    for (who, retiring, operation) in [
        ("arn:aws:sts::111122223333:assumed-role/Backup/b", role("Backup"), "Encrypt"),
        (worker, role("Backup"), "RetireGrant"),
        (root, String::new(), "Encrypt"),
    ] {
        let request = Creation {
            retiring_principal: retiring,
            operations: operations(&["Decrypt", operation]),
            ..creation("1")
        };
        let token = grants.create_grant(request).await.expect("a grant").into_inner().grant_token;
        let request = v1::RetireGrantRequest { caller: caller(who), ..retirement(&token) };
        grants.retire_grant(request).await.unwrap_or_else(|error| panic!("{who}: {error}"));
    }
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_as_fresh_as_it_asks_for_or_is_not_answered() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    let made = grants.create_grant(creation("1")).await.expect("a grant").into_inner();
    let (history, _) = made.consistency_token.rsplit_once('.').expect("two parts");
    let ahead = format!("{history}.1000");
    let foreign = owned((Code::FailedPrecondition, "FOREIGN_CONSISTENCY_TOKEN"));
    let late = owned((Code::DeadlineExceeded, "NOT_FRESH"));
    for (token, expected) in [
        (&*ahead, &late),
        ("0000.1", &foreign),
        ("", &foreign),
        ("documents.0", &foreign),
        (history, &foreign),
        (&*format!("{history}.-1"), &foreign),
        (&*format!("{history}.+1"), &foreign),
        (&*format!("{history}.18446744073709551616"), &foreign),
    ] {
        let consistency = at_least(token);
        macro_rules! check {
            ($method:ident, $request:expr) => {
                let mut request = $request;
                request.consistency.clone_from(&consistency);
                let mut call = tonic::Request::new(request);
                call.set_timeout(std::time::Duration::from_secs(1));
                let found = refused(grants.$method(call).await);
                assert_eq!(&found, expected, "{token}: {}", stringify!($method));
            };
        }
        check!(create_grant, creation("2"));
        check!(revoke_grant, revocation(&made.grant_id));
        check!(retire_grant, retirement(&made.grant_token));
        check!(list_grants, listing(0, ""));
        let request = v1::ListRetirableGrantsRequest {
            caller: caller(ADMIN),
            retiring_principal: role("Worker"),
            region: "us-west-2".to_owned(),
            ..Default::default()
        };
        check!(list_retirable_grants, request);
    }
    let listed =
        v1::ListGrantsRequest { consistency: at_least(&made.consistency_token), ..listing(0, "") };
    let listed = grants.list_grants(listed).await.expect("a list").into_inner();
    assert_eq!((listed.grants.len(), &listed.consistency_token), (2, &made.consistency_token));
    // Tokens outlive the process.
    served.stop();
    let served = place.serve();
    let (_, mut authorization) = served.clients().await;
    let mut asked = question(WORKER, "1");
    asked.consistency = at_least(&made.consistency_token);
    let answer = authorization.authorize(asked).await.expect("an answer").into_inner();
    assert_eq!(answer.decision(), v1::Decision::Allowed);
    served.stop();
}

//! Lists: in pages, whole, and stable while grants come and go.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward::wire::v1;
use tonic::Code;

use crate::process::{Grants, Place, refused};
use crate::world::{
    ADMIN, CHILD, FAR, FOREIGN, FOREIGN_ADMIN, HMAC, KEY, OF_DOCUMENT, WORKER, caller, creation,
    listing, revocation, role,
};

async fn create(grants: &mut Grants, request: v1::CreateGrantRequest) -> String {
    grants.create_grant(request).await.expect("a grant").into_inner().grant_id
}

fn ids(grants: &[v1::GrantListEntry]) -> Vec<String> {
    grants.iter().map(|grant| grant.grant_id.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_all_the_time_is_listed_once_while_others_come_and_go() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    let (mut stay, mut go) = (BTreeSet::from([OF_DOCUMENT.to_owned()]), Vec::new());
    for number in 0..60 {
        let id = create(&mut grants, creation("1")).await;
        if number % 3 == 0 {
            go.push(id);
        } else {
            stay.insert(id);
        }
    }
    let (mut found, mut marker) = (Vec::new(), String::new());
    loop {
        let page = grants.list_grants(listing(7, &marker)).await.expect("a page").into_inner();
        assert!(page.grants.len() <= 7 && page.truncated != page.next_marker.is_empty());
        found.extend(ids(&page.grants));
        marker = page.next_marker;
        if marker.is_empty() {
            break;
        }
        // The last of a page may be the next to go.
        for id in [go.pop(), found.last().filter(|id| !stay.contains(*id)).cloned()] {
            let Some(id) = id else { continue };
            let _may_be_gone = grants.revoke_grant(revocation(&id)).await;
            go.retain(|other| *other != id);
        }
        create(&mut grants, creation("2")).await;
    }
    let once: BTreeSet<String> = found.iter().cloned().collect();
    assert_eq!(once.len(), found.len(), "listed twice");
    assert!(once.is_superset(&stay), "{:?}", stay.difference(&once));
    assert!(found.is_sorted(), "by id");
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_what_was_asked_for_and_no_marker_shows_more() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    let mut to = async |grantee: &str, key_id: &str| {
        let mut request = creation("1");
        request.grantee_principal = role(grantee);
        request.key_id = key_id.to_owned();
        create(&mut grants, request).await
    };
    let (a, b, _far) = (to("Worker", KEY).await, to("Child", KEY).await, to("Worker", FAR).await);
    let mut list = async |request: v1::ListGrantsRequest| {
        ids(&grants.list_grants(request).await.expect("a list").into_inner().grants)
    };
    let mut expected = vec![a.clone(), b.clone(), OF_DOCUMENT.to_owned()];
    expected.sort();
    assert_eq!(list(listing(0, "")).await, expected);
    let worker = role("Worker");
    let to_worker = v1::ListGrantsRequest { grantee_principal: worker.clone(), ..listing(0, "") };
    assert_eq!(list(to_worker.clone()).await, [&*a]);
    let one = v1::ListGrantsRequest { grant_id: b.clone(), ..listing(0, "") };
    assert_eq!(list(one).await, [&*b]);
    let none = v1::ListGrantsRequest { grant_id: b.clone(), ..to_worker };
    assert_eq!(list(none).await, [""; 0]);
    let document = v1::ListGrantsRequest { grant_id: OF_DOCUMENT.to_owned(), ..listing(0, "") };
    assert_eq!(list(document).await, [OF_DOCUMENT]);
    // A marker that somebody made says where to go on, and nothing else.
    let marker = URL_SAFE_NO_PAD.encode(format!("\u{1}\0{FAR}"));
    assert_eq!(list(listing(0, &marker)).await, expected);
    let end = URL_SAFE_NO_PAD.encode("~\0~");
    assert_eq!(list(listing(0, &end)).await, [""; 0]);
    let invalid = (Code::InvalidArgument, "InvalidMarkerException".to_owned());
    for marker in ["%", "AA=", "YQ", &"A".repeat(1025)] {
        let found = refused(grants.list_grants(listing(0, marker)).await);
        assert_eq!(found, invalid, "{marker}");
    }
    let denied = (Code::PermissionDenied, "AccessDeniedException".to_owned());
    let validation = (Code::InvalidArgument, "ValidationException".to_owned());
    let others = v1::ListGrantsRequest { caller: caller(WORKER), ..listing(0, "") };
    let foreign = v1::ListGrantsRequest { key_id: FOREIGN.to_owned(), ..listing(0, "") };
    let both = v1::ListGrantsRequest {
        grantee_principal: worker,
        grantee_service_principal: "s3.amazonaws.com".to_owned(),
        ..listing(0, "")
    };
    for (request, expected) in [
        (others, &denied),
        (foreign, &denied),
        (both, &validation),
        (listing(101, ""), &validation),
        (listing(-1, ""), &validation),
    ] {
        assert_eq!(&refused(grants.list_grants(request.clone()).await), expected, "{request:?}");
    }
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_to_an_account_are_listed_by_its_arn_and_by_its_id() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    let mut request = creation("1");
    request.grantee_principal = "arn:aws:iam::444455556666:root".to_owned();
    let id = create(&mut grants, request).await;
    for grantee in ["arn:aws:iam::444455556666:root", "444455556666"] {
        let wanted =
            v1::ListGrantsRequest { grantee_principal: grantee.to_owned(), ..listing(0, "") };
        let page = grants.list_grants(wanted).await.expect("a list").into_inner();
        assert_eq!(ids(&page.grants), [&*id], "{grantee}");
    }
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn retirable_grants_are_those_of_the_region_on_keys_of_any_account() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    let mut on = async |key_id: &str, who: &str, operation: &str| {
        let mut request = creation("1");
        request.key_id = key_id.to_owned();
        request.caller = caller(who);
        request.operations = vec![operation.to_owned()];
        request.constraints = None;
        create(&mut grants, request).await
    };
    let mut expected = vec![
        on(KEY, ADMIN, "Decrypt").await,
        on(HMAC, ADMIN, "GenerateMac").await,
        on(FOREIGN, FOREIGN_ADMIN, "Decrypt").await,
    ];
    let far = on(FAR, ADMIN, "Decrypt").await;
    expected.sort();
    let request = |principal: &str, region: &str| v1::ListRetirableGrantsRequest {
        caller: caller(ADMIN),
        retiring_principal: principal.to_owned(),
        region: region.to_owned(),
        ..Default::default()
    };
    let mut list = async |request: v1::ListRetirableGrantsRequest| {
        let (mut found, mut marker) = (Vec::new(), String::new());
        loop {
            let page = v1::ListRetirableGrantsRequest { limit: 1, marker, ..request.clone() };
            let page = grants.list_retirable_grants(page).await.expect("a page").into_inner();
            found.extend(ids(&page.grants));
            marker = page.next_marker;
            if marker.is_empty() {
                return found;
            }
        }
    };
    assert_eq!(list(request(&role("Worker"), "us-west-2")).await, expected);
    assert_eq!(list(request(&role("Worker"), "eu-west-1")).await, [far]);
    assert_eq!(list(request(&role("Backup"), "us-west-2")).await, [OF_DOCUMENT]);
    assert_eq!(list(request(&role("Child"), "us-west-2")).await, [""; 0]);
    let denied = (Code::PermissionDenied, "AccessDeniedException".to_owned());
    let validation = (Code::InvalidArgument, "ValidationException".to_owned());
    let child = v1::ListRetirableGrantsRequest {
        caller: caller(CHILD),
        ..request(&role("Child"), "us-west-2")
    };
    let service = v1::ListRetirableGrantsRequest {
        retiring_service_principal: "s3.amazonaws.com".to_owned(),
        ..request("", "us-west-2")
    };
    for (request, expected) in [
        (child, &denied),
        (request("arn:aws:iam::444455556666:role/Admin", "us-west-2"), &denied),
        (service, &denied),
        (request("", "us-west-2"), &validation),
        (request(&role("Worker"), ""), &validation),
    ] {
        let found = refused(grants.list_retirable_grants(request.clone()).await);
        assert_eq!(&found, expected, "{request:?}");
    }
    served.stop();
}

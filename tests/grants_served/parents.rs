//! Grants that are created by grants: never by one that is gone.

use keyward::wire::v1;
use tonic::Code;

use crate::process::{Grants, Place, refused, sequence};
use crate::world::{CHILD, WORKER, caller, creation, question, revocation, role};

/// `Worker` lets `Child` decrypt, by the grant that it holds.
fn child(of: &str) -> v1::CreateGrantRequest {
    v1::CreateGrantRequest {
        caller: caller(WORKER),
        grantee_principal: role("Child"),
        operations: vec!["Decrypt".to_owned()],
        ..creation(of)
    }
}

/// Creates children until it may not any more: the numbers of the creations.
async fn children(mut grants: Grants, of: String) -> Vec<u64> {
    let mut made = Vec::new();
    loop {
        match grants.create_grant(child(&of)).await {
            Ok(answer) => made.push(sequence(&answer.into_inner().consistency_token)),
            Err(status) => {
                let found = refused::<()>(Err(status));
                let denied = (Code::PermissionDenied, "AccessDeniedException".to_owned());
                assert_eq!(found, denied);
                return made;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_grant_is_created_by_a_grant_that_is_gone() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, mut authorization) = served.clients().await;
    let mut born = 0;
    for round in 0..30 {
        let of = format!("round-{round}");
        let operations = ["Decrypt", "CreateGrant"].map(str::to_owned).to_vec();
        let parent = v1::CreateGrantRequest { operations, ..creation(&of) };
        let parent = grants.create_grant(parent).await.expect("a grant").into_inner();
        let mut tasks = Vec::new();
        for _ in 0..6 {
            tasks.push(tokio::spawn(children(grants.clone(), of.clone())));
        }
        // Some children are there when the parent goes.
        let mut born_first = false;
        while !born_first && tasks.iter().any(|task| !task.is_finished()) {
            let answer = authorization.authorize(question(CHILD, &of)).await.expect("an answer");
            born_first = answer.into_inner().decision() == v1::Decision::Allowed;
        }
        assert!(born_first);
        let revoked = grants.revoke_grant(revocation(&parent.grant_id)).await.expect("revoked");
        let end = sequence(&revoked.into_inner().consistency_token);
        for task in tasks {
            let made = task.await.expect("a task that ends well");
            assert!(made.iter().all(|number| *number < end), "{made:?} after {end}");
            born += made.len();
        }
        // Children outlive their parent.
        let answer = authorization.authorize(question(CHILD, &of)).await.expect("an answer");
        assert_eq!(answer.into_inner().decision(), v1::Decision::Allowed);
    }
    assert!(born >= 30, "{born}");
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_within_its_parent() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    let operations = ["Decrypt", "CreateGrant"].map(str::to_owned).to_vec();
    let parent = v1::CreateGrantRequest { operations, ..creation("1") };
    grants.create_grant(parent).await.expect("a grant");
    grants.create_grant(child("1")).await.expect("a child");
    let more = vec!["Decrypt".to_owned(), "Encrypt".to_owned()];
    for wider in [
        child("2"),
        v1::CreateGrantRequest { constraints: None, ..child("1") },
        v1::CreateGrantRequest { operations: more, ..child("1") },
        v1::CreateGrantRequest { caller: caller(CHILD), ..child("1") },
    ] {
        let found = refused(grants.create_grant(wider).await);
        assert_eq!(found, (Code::PermissionDenied, "AccessDeniedException".to_owned()));
    }
    served.stop();
}

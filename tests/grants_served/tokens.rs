//! Grant tokens: they point at grants, and allow nothing.

use keyward::wire::v1;
use tonic::Code;

use crate::process::{Authorization, Place, refused};
use crate::world::{CHILD, WORKER, caller, creation, question, retirement, revocation};

async fn decision(authorization: &mut Authorization, who: &str, tokens: &[&str]) -> v1::Decision {
    let grant_tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
    let request = v1::AuthorizeRequest { grant_tokens, ..question(who, "1") };
    authorization.authorize(request).await.expect("an answer").into_inner().decision()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_its_grantee_while_the_grant_lives_and_for_nobody_else() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, mut authorization) = served.clients().await;
    let made = grants.create_grant(creation("1")).await.expect("a grant").into_inner();
    let token = &*made.grant_token;
    assert_eq!(decision(&mut authorization, WORKER, &[token]).await, v1::Decision::Allowed);
    assert_eq!(decision(&mut authorization, CHILD, &[token]).await, v1::Decision::ImplicitDeny);
    grants.revoke_grant(revocation(&made.grant_id)).await.expect("a revocation");
    assert_eq!(decision(&mut authorization, WORKER, &[token]).await, v1::Decision::ImplicitDeny);
    let gone = (Code::NotFound, "NotFoundException".to_owned());
    assert_eq!(refused(grants.retire_grant(retirement(token)).await), gone);
    // A token of the dead grant names no other, after a restart neither.
    served.stop();
    let served = place.serve();
    let (mut grants, mut authorization) = served.clients().await;
    let again = grants.create_grant(creation("2")).await.expect("a grant").into_inner();
    assert_eq!(decision(&mut authorization, WORKER, &[token]).await, v1::Decision::ImplicitDeny);
    assert_eq!(refused(grants.retire_grant(retirement(token)).await), gone);
    grants.retire_grant(retirement(&again.grant_token)).await.expect("it is another");
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_foreign_tokens_give_nothing_and_are_logged() {
    let (place, other) = (Place::new(), Place::new());
    let (served, elsewhere) = (place.serve(), other.serve());
    let (mut theirs, _) = elsewhere.clients().await;
    let foreign = theirs.create_grant(creation("1")).await.expect("a grant").into_inner();
    elsewhere.stop();
    let (mut grants, mut authorization) = served.clients().await;
    let made = grants.create_grant(creation("2")).await.expect("a grant").into_inner();
    let mut forged = made.grant_token.clone();
    let last = if forged.pop() == Some('A') { 'E' } else { 'A' };
    forged.push(last);
    let bad = [&*foreign.grant_token, &*forged, "AQIDBA", "not a token"];
    for (index, token) in bad.into_iter().enumerate() {
        assert_eq!(
            decision(&mut authorization, WORKER, &[token]).await,
            v1::Decision::ImplicitDeny
        );
        // Told once a second at most.
        if index == 0 {
            let line = served.heard("grant tokens that this service did not make");
            assert_eq!(line["tokens"], 1);
        }
        let found = refused(grants.retire_grant(retirement(token)).await);
        let invalid = (Code::InvalidArgument, "InvalidGrantTokenException".to_owned());
        assert_eq!(found, invalid, "{token}");
        served.heard("a grant token that this service did not make");
        // Nor do they help to create.
        let request = v1::CreateGrantRequest {
            caller: caller(WORKER),
            grant_tokens: vec![token.to_owned()],
            ..creation("1")
        };
        let denied = (Code::PermissionDenied, "AccessDeniedException".to_owned());
        assert_eq!(refused(grants.create_grant(request).await), denied);
    }
    // A good one beside them counts as ever.
    let mut all = bad.to_vec();
    all.push(&made.grant_token);
    let request = v1::AuthorizeRequest {
        grant_tokens: all.iter().map(|token| (*token).to_owned()).collect(),
        ..question(WORKER, "2")
    };
    let answer = authorization.authorize(request).await.expect("an answer").into_inner();
    assert_eq!(answer.decision(), v1::Decision::Allowed);
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_retiring_names_its_grant_by_a_token() {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, mut authorization) = served.clients().await;
    let made = grants.create_grant(creation("1")).await.expect("a grant").into_inner();
    let mut ask = async |who: &str, token: &str| {
        let request = v1::AuthorizeRequest {
            action: "RetireGrant".to_owned(),
            encryption_context: Default::default(),
            grant_tokens: vec![token.to_owned()],
            ..question(who, "1")
        };
        authorization.authorize(request).await.expect("an answer").into_inner()
    };
    assert_eq!(ask(WORKER, &made.grant_token).await.decision(), v1::Decision::Allowed);
    assert_eq!(ask(CHILD, &made.grant_token).await.decision(), v1::Decision::ImplicitDeny);
    grants.revoke_grant(revocation(&made.grant_id)).await.expect("a revocation");
    let gone = ask(WORKER, &made.grant_token).await;
    assert_eq!(gone.decision(), v1::Decision::ImplicitDeny);
    assert_eq!(gone.error_code, "NotFoundException");
    served.stop();
}

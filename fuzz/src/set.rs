//! The policy set that is asked, and what must hold of every answer.

use std::sync::{Arc, LazyLock};

use keyward::engine::bundle::{Document, Options};
use keyward::engine::decide::decision::Verdict;
use keyward::engine::decide::{decide, explain};
use keyward::engine::snapshot::Snapshot;
use keyward::engine::snapshot::build::build;
use keyward::engine::snapshot::grants::Grants;
use keyward::engine::term::principal::Principal;
use keyward::engine::term::request::Request;
use keyward::engine::term::time::Timestamp;
use keyward::wire::case::outcome;
use serde_json::{Value, json};

/// A set with every kind of policy.
pub(crate) static SET: LazyLock<Snapshot> = LazyLock::new(|| built(include_str!("../set.json")));

/// The same set, where every key policy denies everyone to decrypt.
static DENYING: LazyLock<Snapshot> = LazyLock::new(|| {
    let mut set: Value = serde_json::from_str(include_str!("../set.json")).expect("JSON");
    let deny =
        json!({"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"});
    for key in set["Keys"].as_array_mut().expect("keys") {
        match &mut key["Policy"] {
            Value::Object(policy) => match &mut policy["Statement"] {
                Value::Array(statements) => statements.push(deny.clone()),
                one => *one = json!([one.take(), deny]),
            },
            other => {
                let allow = json!({"Effect": "Allow", "Principal": {"AWS": "111122223333"},
                    "Action": "kms:*", "Resource": "*"});
                *other = json!({"Version": "2012-10-17", "Statement": [allow, deny]});
            }
        }
    }
    built(&set.to_string())
});

static EMPTY: LazyLock<Snapshot> = LazyLock::new(Snapshot::default);

fn built(text: &str) -> Snapshot {
    let documents = [Document { name: "set.json".into(), text: text.into() }];
    build(&documents, &Options::default()).expect("a good set").snapshot
}

/// The instant of every question.
pub(crate) fn noon() -> Timestamp {
    Timestamp::parse("2026-01-01T12:00:00Z").expect("an instant")
}

/// The verdict of a set, however it is asked: silent and explained agree.
fn verdict(snapshot: &Snapshot, request: &Request<'_>) -> Option<Verdict> {
    let silent = decide(snapshot, request);
    let heard = explain(snapshot, request);
    match (silent, heard) {
        (Ok(answer), Ok((told, explanation))) => {
            assert_eq!(outcome(&answer), outcome(&told), "listening changed the answer");
            assert_eq!(explanation.legs.len(), answer.legs.len());
            assert_eq!(
                answer.message().is_none(),
                answer.verdict() == Verdict::Allowed && !answer.dry_run
            );
            Some(answer.verdict())
        }
        (Err(a), Err(b)) => {
            assert_eq!(a, b);
            assert!(!a.message.is_empty() && !a.field.is_empty(), "{a:?}");
            None
        }
        (a, b) => panic!("{a:?} but {b:?}"),
    }
}

/// Asks, and checks what holds of every answer.
///
/// Only those are allowed whom the set knows; without documents only what a root user may; whoever
/// is allowed after a Deny was added, or grants were removed, was allowed before.
pub(crate) fn ask(request: &Request<'_>) {
    let allowed = |snapshot: &Snapshot| verdict(snapshot, request) == Some(Verdict::Allowed);
    let found = allowed(&SET);
    if allowed(&EMPTY) {
        assert!(matches!(request.principal, Principal::Root { .. }), "allowed by nothing");
    }
    let ungranted = Snapshot { policies: Arc::clone(&SET.policies), grants: Grants::default() };
    assert!(found || !allowed(&ungranted), "allowed for want of grants");
    assert!(found || !allowed(&DENYING), "allowed because of a Deny");
    let Ok(answer) = decide(&DENYING, request) else { return };
    for leg in &answer.legs {
        let decrypts = leg.action.bare() == "Decrypt" && request.overrides.is_empty();
        assert!(!decrypts || leg.decision.verdict() != Verdict::Allowed, "allowed despite a Deny");
    }
    if found && let Some(account) = request.principal.account() {
        let known = ["111122223333", "444455556666"].contains(&account.as_str());
        assert!(known || matches!(request.principal, Principal::Root { .. }), "{request:?}");
    }
}

/// Asks a set that the input made, and checks what holds of every answer of every set.
pub(crate) fn ask_of(snapshot: &Snapshot, request: &Request<'_>) {
    let allowed = |snapshot: &Snapshot| verdict(snapshot, request) == Some(Verdict::Allowed);
    let found = allowed(snapshot);
    let policies = Arc::clone(&snapshot.policies);
    let ungranted = Snapshot { policies, grants: Grants::default() };
    assert!(found || !allowed(&ungranted), "allowed for want of grants");
}

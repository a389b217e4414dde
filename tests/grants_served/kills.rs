//! `kill -9` at random moments, under a stream of CreateGrant and RevokeGrant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use keyward::wire::v1;
use tokio::sync::Notify;

use crate::process::{Dice, Grants, Place, sequence};
use crate::world::{KEY, OF_DOCUMENT, WORKER, creation, listing, question, revocation, role, slot};

const ROUNDS: u64 = 100;

/// What a client knows of a grant, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    /// Creation was asked for and not answered.
    Asked,
    /// It was created: its id.
    Created(String),
    /// Revocation was asked for and not answered: its id.
    Going(String),
    /// It was revoked.
    Revoked(String),
}

/// What all clients of a round know.
#[derive(Default)]
struct Book {
    grants: Mutex<BTreeMap<String, Known>>,
    /// Numbers of acknowledged changes, over all rounds.
    numbers: Mutex<BTreeSet<u64>>,
    answers: AtomicUsize,
    answered: Notify,
}

impl Book {
    fn know(&self, name: &str, known: Known) {
        self.grants.lock().expect("a book").insert(name.to_owned(), known);
    }

    fn acknowledged(&self, token: &str) {
        assert!(self.numbers.lock().expect("numbers").insert(sequence(token)), "{token}: twice");
        self.answers.fetch_add(1, Ordering::SeqCst);
        self.answered.notify_one();
    }
}

/// Creates and revokes until the service is gone.
async fn changes(book: Arc<Book>, mut grants: Grants, prefix: String, mut dice: Dice) {
    let mut mine: Vec<(String, String)> = Vec::new();
    for number in 0.. {
        if mine.is_empty() || dice.below(20) < 11 {
            let name = format!("{prefix}-{number}");
            book.know(&name, Known::Asked);
            let request = v1::CreateGrantRequest { name: name.clone(), ..creation(&name) };
            let Ok(made) = grants.create_grant(request).await else { return };
            let made = made.into_inner();
            book.know(&name, Known::Created(made.grant_id.clone()));
            book.acknowledged(&made.consistency_token);
            mine.push((name, made.grant_id));
        } else {
            let (name, id) = mine.swap_remove(dice.below(mine.len()));
            book.know(&name, Known::Going(id.clone()));
            let Ok(gone) = grants.revoke_grant(revocation(&id)).await else { return };
            book.know(&name, Known::Revoked(id));
            book.acknowledged(&gone.into_inner().consistency_token);
        }
    }
}

/// All grants of the database by name, and the number of their state.
async fn listed(grants: &mut Grants) -> (BTreeMap<String, v1::GrantListEntry>, u64) {
    let (mut found, mut marker) = (BTreeMap::new(), String::new());
    loop {
        let page = grants.list_grants(listing(100, &marker)).await.expect("a page").into_inner();
        for grant in page.grants.into_iter().filter(|grant| grant.grant_id != OF_DOCUMENT) {
            let twice = found.insert(grant.name.clone(), grant);
            assert!(twice.is_none(), "{twice:?}");
        }
        marker = page.next_marker;
        if marker.is_empty() {
            return (found, sequence(&page.consistency_token));
        }
    }
}

/// A grant that is there is there whole.
fn check_whole(name: &str, grant: &v1::GrantListEntry) {
    assert_eq!((&*grant.key_id, grant.grant_id.len()), (KEY, 64), "{grant:?}");
    assert_eq!(
        (&grant.grantee_principal, &grant.retiring_principal),
        (&role("Worker"), &role("Worker"))
    );
    assert_eq!(grant.issuing_account, "arn:aws:iam::111122223333:root");
    assert_eq!(grant.operations, ["Decrypt", "RetireGrant"]);
    let constraints = grant.constraints.as_ref().expect("constraints");
    assert_eq!(constraints.encryption_context_subset, slot(name));
    assert!(grant.creation_date.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_kill_holds_after_the_next_start() {
    let place = Place::new();
    let book = Arc::new(Book::default());
    // Of grants whose fate was open when the service was killed: what it turned out to be.
    let mut settled = 0;
    for round in 0..=ROUNDS {
        let served = place.serve();
        let (mut grants, mut authorization) = served.clients().await;
        let (there, now) = listed(&mut grants).await;
        assert!(book.numbers.lock().expect("numbers").last().is_none_or(|last| *last <= now));
        let mut known = book.grants.lock().expect("a book").clone();
        let mut questions = Vec::new();
        for (name, known) in &mut known {
            let found = there.get(name);
            let id = found.map(|grant| grant.grant_id.clone());
            match (&*known, &id) {
                (Known::Created(created), Some(id)) => assert_eq!(created, id),
                (Known::Created(_), None) => panic!("round {round}: lost {name}"),
                (Known::Revoked(_), Some(_)) => panic!("round {round}: {name} came back"),
                (Known::Revoked(_), None) => continue,
                (Known::Asked | Known::Going(_), _) => {
                    settled += 1;
                    questions.push((name.clone(), id.is_some()));
                    *known = id.clone().map_or(Known::Revoked(String::new()), Known::Created);
                }
            }
            if let Some(grant) = found {
                check_whole(name, grant);
            }
        }
        for name in there.keys() {
            assert!(known.contains_key(name), "round {round}: nobody asked for {name}");
        }
        // Decisions agree, whatever the fate was; and for some others.
        let others =
            known.iter().rev().take(8).map(|(name, _)| (name.clone(), there.contains_key(name)));
        questions.extend(others.collect::<Vec<_>>());
        for (name, open) in questions {
            let answer = authorization.authorize(question(WORKER, &name)).await.expect("an answer");
            let decision = answer.into_inner().decision();
            assert_eq!(decision == v1::Decision::Allowed, open, "round {round}: {name}");
        }
        *book.grants.lock().expect("a book") = known;
        if round == ROUNDS {
            served.stop();
            break;
        }
        let mut dice = Dice(round);
        let after = book.answers.load(Ordering::SeqCst) + dice.below(40);
        let tasks: Vec<_> = (0..4)
            .map(|task| {
                let prefix = format!("round-{round}-{task}");
                let dice = Dice(round * 10 + task);
                tokio::spawn(changes(Arc::clone(&book), grants.clone(), prefix, dice))
            })
            .collect();
        while book.answers.load(Ordering::SeqCst) < after {
            book.answered.notified().await;
        }
        served.kill();
        for task in tasks {
            task.await.expect("a task that ends well");
        }
    }
    let numbers = book.numbers.lock().expect("numbers").len() as u64;
    assert!(numbers > ROUNDS * 10, "{numbers}");
    assert!(settled > ROUNDS, "{settled}");
}

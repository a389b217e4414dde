//! Many clients create, revoke, retire, ask and list at once: one order of the acknowledged changes
//! explains every answer.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use keyward::wire::v1;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::history::{Bounds, Event, Seen, check};
use crate::process::{Authorization, Dice, Grants, Place, refused, sequence};
use crate::world::{
    OF_DOCUMENT, WORKER, at_least, creation, listing, newest, question, retirement, revocation,
};

const SLOTS: usize = 6;
const CHANGERS: u64 = 5;
const CHANGES: usize = 60;

/// What all tasks share.
#[derive(Default)]
struct Shared {
    /// The last change that was acknowledged to anybody.
    acknowledged: AtomicU64,
    /// How many changes were begun.
    begun: AtomicU64,
    /// Grants that are there and that nobody is removing.
    there: Mutex<Vec<(String, String)>>,
    /// Tokens of grants, old ones too.
    tokens: Mutex<Vec<String>>,
    /// A consistency token.
    newest: Mutex<String>,
    events: Mutex<Vec<Event>>,
    done: AtomicBool,
}

impl Shared {
    fn floor(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    fn note(&self, seen: Seen, token: &str, floor: u64) {
        let ceiling = self.begun.load(Ordering::SeqCst);
        let sequence = sequence(token);
        let event = Event { seen, sequence, bounds: Bounds { floor, ceiling } };
        self.events.lock().expect("events").push(event);
    }

    /// A change that was acknowledged.
    fn changed(&self, seen: Seen, token: &str, floor: u64) {
        // Noted first: whoever sees the floor rise may rely on it.
        self.note(seen, token, floor);
        if self.acknowledged.fetch_max(sequence(token), Ordering::SeqCst) < sequence(token) {
            token.clone_into(&mut self.newest.lock().expect("a token"));
        }
    }
}

async fn create(shared: &Shared, grants: &mut Grants, of: &str, name: Option<String>) {
    let request = v1::CreateGrantRequest { name: name.unwrap_or_default(), ..creation(of) };
    shared.begun.fetch_add(1, Ordering::SeqCst);
    let floor = shared.floor();
    let made = grants.create_grant(request).await.expect("a grant").into_inner();
    let seen = Seen::Created { slot: of.to_owned(), id: made.grant_id.clone() };
    shared.changed(seen, &made.consistency_token, floor);
    shared.tokens.lock().expect("tokens").push(made.grant_token.clone());
    shared.there.lock().expect("grants").push((made.grant_id, made.grant_token));
}

async fn remove(shared: &Shared, grants: &mut Grants, dice: &mut Dice) {
    let taken = {
        let mut there = shared.there.lock().expect("grants");
        let at = dice.below(there.len().max(1));
        (at < there.len()).then(|| there.swap_remove(at))
    };
    let Some((id, token)) = taken else { return };
    shared.begun.fetch_add(1, Ordering::SeqCst);
    let floor = shared.floor();
    let removed = if dice.below(2) == 0 {
        let removed = grants.revoke_grant(revocation(&id)).await;
        removed.expect("a revocation").into_inner().consistency_token
    } else {
        let removed = grants.retire_grant(retirement(&token)).await;
        removed.expect("a retirement").into_inner().consistency_token
    };
    shared.changed(Seen::Removed { id: id.clone() }, &removed, floor);
    if dice.below(4) == 0 {
        let again = refused(grants.revoke_grant(revocation(&id)).await);
        assert_eq!(again, (Code::NotFound, "NotFoundException".to_owned()));
    }
}

async fn changes(shared: Arc<Shared>, mut grants: Grants, task: u64) {
    let mut dice = Dice(task);
    for number in 0..CHANGES {
        if dice.below(2) == 0 {
            let of = dice.below(SLOTS).to_string();
            create(&shared, &mut grants, &of, None).await;
        } else {
            remove(&shared, &mut grants, &mut dice).await;
        }
        // All tasks at about the same time, by the same name: one of them creates, and it stays.
        if number % 10 == 0 {
            let (name, of) = (format!("round-{number}"), format!("named-{number}"));
            let request = v1::CreateGrantRequest { name, ..creation(&of) };
            shared.begun.fetch_add(1, Ordering::SeqCst);
            let floor = shared.floor();
            let made = grants.create_grant(request).await.expect("a grant").into_inner();
            let seen = Seen::Created { slot: of, id: made.grant_id };
            shared.changed(seen, &made.consistency_token, floor);
        }
    }
}

fn decided(shared: &Shared, answer: &v1::AuthorizeResponse, of: &str, floor: u64) {
    let allowed = match answer.decision() {
        v1::Decision::Allowed => true,
        v1::Decision::ImplicitDeny => false,
        other => panic!("{other:?}"),
    };
    let seen = Seen::Decided { slot: of.to_owned(), allowed };
    shared.note(seen, &answer.consistency_token, floor);
}

fn any_slot(dice: &mut Dice) -> String {
    match dice.below(SLOTS + 1) {
        SLOTS => format!("named-{}", dice.below(CHANGES / 10) * 10),
        slot => slot.to_string(),
    }
}

/// Asks one by one, with what requests may carry.
async fn asks(shared: Arc<Shared>, mut authorization: Authorization, task: u64) {
    let mut dice = Dice(1000 + task);
    while !shared.done.load(Ordering::SeqCst) {
        let of = any_slot(&mut dice);
        let mut request = question(WORKER, &of);
        match dice.below(4) {
            0 => request.consistency = newest(),
            1 => {
                let token = shared.newest.lock().expect("a token").clone();
                request.consistency = at_least(&token).filter(|_| !token.is_empty());
            }
            2 => {
                let tokens = shared.tokens.lock().expect("tokens");
                request.grant_tokens = tokens.iter().rev().take(3).cloned().collect();
            }
            _ => {}
        }
        let floor = shared.floor();
        let answer = authorization.authorize(request).await.expect("an answer").into_inner();
        decided(&shared, &answer, &of, floor);
    }
}

/// Asks in batches: all of one is of one state.
async fn asks_in_batches(shared: Arc<Shared>, mut authorization: Authorization) {
    let slots: Vec<String> = (0..SLOTS).map(|slot| slot.to_string()).collect();
    while !shared.done.load(Ordering::SeqCst) {
        let requests = slots.iter().map(|of| question(WORKER, of)).collect();
        let batch = v1::BatchAuthorizeRequest { requests, ..Default::default() };
        let floor = shared.floor();
        let answers = authorization.batch_authorize(batch).await.expect("answers").into_inner();
        let mut states = BTreeSet::new();
        for (of, item) in slots.iter().zip(answers.items) {
            let Some(v1::batch_authorize_item::Result::Response(answer)) = item.result else {
                panic!("no answer")
            };
            states.insert(answer.consistency_token.clone());
            decided(&shared, &answer, of, floor);
        }
        assert_eq!(states.len(), 1, "{states:?}");
    }
}

/// Asks on one stream: each message is answered by the rules of its moment.
async fn asks_on_a_stream(shared: Arc<Shared>, mut authorization: Authorization) {
    let mut dice = Dice(77);
    let (send, requests) = tokio::sync::mpsc::channel(1);
    let stream = ReceiverStream::new(requests);
    let mut answers = authorization.authorize_stream(stream).await.expect("a stream").into_inner();
    let mut id = 0;
    while !shared.done.load(Ordering::SeqCst) {
        let of = any_slot(&mut dice);
        id += 1;
        let floor = shared.floor();
        let request = Some(question(WORKER, &of));
        send.send(v1::AuthorizeStreamRequest { id, request }).await.expect("a stream");
        let answer = answers.next().await.expect("an answer").expect("an answer");
        assert_eq!(answer.id, id);
        let Some(v1::authorize_stream_response::Result::Response(answer)) = answer.result else {
            panic!("no answer")
        };
        decided(&shared, &answer, &of, floor);
    }
}

/// Lists all grants, where they fit on a page.
async fn lists(shared: Arc<Shared>, mut grants: Grants) {
    while !shared.done.load(Ordering::SeqCst) {
        let floor = shared.floor();
        let page = grants.list_grants(listing(100, "")).await.expect("a page").into_inner();
        if page.truncated {
            continue;
        }
        let ids = page.grants.into_iter().map(|grant| grant.grant_id);
        let ids = ids.filter(|id| id != OF_DOCUMENT).collect();
        shared.note(Seen::Listed { ids }, &page.consistency_token, floor);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_of_the_acknowledged_changes_explains_every_answer() {
    let place = Place::new();
    let served = place.serve();
    let shared = Arc::new(Shared::default());
    let mut asking = Vec::new();
    for task in 0..3 {
        let (_, authorization) = served.clients().await;
        asking.push(tokio::spawn(asks(Arc::clone(&shared), authorization, task)));
    }
    let (grants, authorization) = served.clients().await;
    asking.push(tokio::spawn(asks_in_batches(Arc::clone(&shared), authorization.clone())));
    asking.push(tokio::spawn(asks_on_a_stream(Arc::clone(&shared), authorization)));
    asking.push(tokio::spawn(lists(Arc::clone(&shared), grants)));
    let mut changing = Vec::new();
    for task in 0..CHANGERS {
        let (grants, _) = served.clients().await;
        changing.push(tokio::spawn(changes(Arc::clone(&shared), grants, task)));
    }
    for task in changing {
        task.await.expect("a task that ends well");
    }
    shared.done.store(true, Ordering::SeqCst);
    for task in asking {
        task.await.expect("a task that ends well");
    }
    let events = shared.events.lock().expect("events").clone();
    check(&events);
    let decided = |wanted: bool| {
        let fits =
            |seen: &Seen| matches!(seen, Seen::Decided { allowed, .. } if *allowed == wanted);
        events.iter().filter(|event| fits(&event.seen)).count()
    };
    assert!(decided(true) > 100 && decided(false) > 100, "{} {}", decided(true), decided(false));
    assert!(events.iter().any(|event| matches!(event.seen, Seen::Listed { .. })));
    served.stop();
}

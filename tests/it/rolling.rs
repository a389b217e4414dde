//! Processes of one deployment are restarted one after the other while a client that spreads its
//! calls over them goes on asking.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use keyward::wire::v1;
use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::decision_log::question;
use crate::served::Served;

/// Processes of the deployment.
const PROCESSES: usize = 3;

/// How often one question is asked before the client gives up.
const ATTEMPTS: usize = 100;

/// What the client went through.
#[derive(Default)]
struct Told {
    /// Calls that ended with the right answer.
    answered: AtomicU64,
    /// Attempts that ended with `UNAVAILABLE`, and were made again.
    again: AtomicU64,
    stop: AtomicBool,
}

/// A port that nobody listens on.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

fn start(address: &str) -> Served {
    let served = Served::start(address, &["--http-listen", "127.0.0.1:0"]);
    assert_eq!(served.address, address);
    served
}

/// The questions, each with the decision that it must get.
fn questions() -> [(v1::AuthorizeRequest, v1::Decision); 2] {
    let mut denied = question("42");
    denied.principal.as_mut().expect("a principal").arn =
        "arn:aws:sts::111122223333:assumed-role/Another/i-0abc".to_owned();
    [(question("42"), v1::Decision::Allowed), (denied, v1::Decision::ImplicitDeny)]
}

/// Asks, as a careful client does: again where nobody answered, and only then.
async fn ask(channel: Channel, told: Arc<Told>) {
    let mut client = AuthorizationServiceClient::new(channel);
    let questions = questions();
    for (question, right) in questions.iter().cycle() {
        if told.stop.load(Ordering::Acquire) {
            return;
        }
        let mut attempts = 0;
        let answer = loop {
            attempts += 1;
            match client.authorize(question.clone()).await {
                Ok(answer) => break answer.into_inner(),
                Err(status) if status.code() == Code::Unavailable && attempts < ATTEMPTS => {
                    told.again.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
                Err(status) => panic!("after {attempts} attempts: {status:?}"),
            }
        };
        assert_eq!(answer.decision(), *right, "{answer:?}");
        told.answered.fetch_add(1, Ordering::Release);
    }
}

/// Waits until so many more calls were answered.
async fn more(told: &Told, count: u64, clients: &[tokio::task::JoinHandle<()>]) {
    let goal = told.answered.load(Ordering::Acquire) + count;
    while told.answered.load(Ordering::Acquire) < goal {
        assert!(clients.iter().all(|client| !client.is_finished()), "a client gave up");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_restarted_one_by_one_and_a_client_that_asks_again_is_answered_rightly() {
    let mut served: Vec<_> = (0..PROCESSES).map(|_| start(&free_port())).collect();
    let endpoints = served.iter().map(|served| {
        Endpoint::from_shared(format!("http://{}", served.address)).expect("an address")
    });
    let channel = Channel::balance_list(endpoints);
    let told = Arc::new(Told::default());
    let clients: Vec<_> =
        (0..4).map(|_| tokio::spawn(ask(channel.clone(), Arc::clone(&told)))).collect();
    for _ in 0..2 {
        for turn in 0..PROCESSES {
            more(&told, 200, &clients).await;
            let before = served.remove(0);
            let address = before.address.clone();
            // Ends with 0, so that nothing in flight was cut off.
            tokio::task::spawn_blocking(|| before.stop()).await.expect("a good end");
            more(&told, 50, &clients).await;
            let next = tokio::task::spawn_blocking(move || start(&address));
            served.push(next.await.expect("a start"));
            assert_eq!(served.len(), PROCESSES, "turn {turn}");
        }
    }
    // Those that came last have their share of the calls.
    for served in &served {
        while served.metric("keyward_decisions_total", "") == 0 {
            more(&told, 10, &clients).await;
        }
    }
    told.stop.store(true, Ordering::Release);
    for client in clients {
        client.await.expect("every question was answered rightly");
    }
    served.into_iter().for_each(Served::stop);
}

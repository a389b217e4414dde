//! How much is taken on at once, clients that mean no good, and the end of the service.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use keyward::wire::v1;
use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;

use crate::decision_log::question;
use crate::doors::{keyward, text};
use crate::served::Served;

const ANY: &str = "127.0.0.1:0";

async fn channel(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    endpoint.connect().await.expect("a connection")
}

/// Begins a call whose message never comes.
fn unending(channel: Channel) -> tokio::task::JoinHandle<Result<(), Status>> {
    tokio::spawn(async move {
        let mut call = tonic::client::Grpc::new(channel);
        call.ready().await.expect("a client");
        let codec = ProstCodec::<v1::AuthorizeRequest, v1::AuthorizeResponse>::default();
        let path = "/keyward.v1.AuthorizationService/Authorize".parse().expect("a path");
        let silent = tonic::Request::new(tokio_stream::pending::<v1::AuthorizeRequest>());
        call.client_streaming(silent, path, codec).await.map(|_: tonic::Response<_>| ())
    })
}

async fn code(channel: &Channel) -> Code {
    let mut client = AuthorizationServiceClient::new(channel.clone());
    client.authorize(question("42")).await.map_or_else(|status| status.code(), |_| Code::Ok)
}

async fn health(channel: &Channel, service: &str) -> Result<ServingStatus, Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(channel.clone()).check(request).await?;
    Ok(answer.into_inner().status())
}

const READY: &str = "keyward.v1.AuthorizationService";

#[tokio::test(flavor = "multi_thread")]
async fn one_call_too_many_is_refused_and_health_is_told_all_the_same() {
    let served = Served::start(
        ANY,
        &["--limits-calls", "2", "--limits-message-time", "1h", "--http-listen", ANY],
    );
    let busy = channel(&served.address).await;
    let mut calls = [unending(busy.clone()), unending(busy.clone())];
    let other = channel(&served.address).await;
    // Until both are there; the question may have had the place of one of them.
    while code(&other).await != Code::ResourceExhausted {
        for call in calls.iter_mut().filter(|call| call.is_finished()) {
            *call = unending(busy.clone());
        }
    }
    assert_eq!(health(&other, READY).await.expect("an answer"), ServingStatus::Serving);
    assert!(served.metric("keyward_refused_total", "overloaded") >= 1);
    // Their places are free once the service hears that the connection is gone.
    for call in calls {
        call.abort();
        let _ = call.await;
    }
    drop(busy);
    while code(&other).await != Code::Ok {}
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_calls_are_refused_their_connection_lasts() {
    let args = ["--limits-calls", "1", "--limits-message-time", "1h", "--http-listen", ANY];
    let served = Served::start(ANY, &args);
    let busy = channel(&served.address).await;
    let mut call = unending(busy.clone());
    let other = channel(&served.address).await;
    while code(&other).await != Code::ResourceExhausted {
        if call.is_finished() {
            call = unending(busy.clone());
        }
    }
    let asking: Vec<_> = (0..2000)
        .map(|_| {
            let other = other.clone();
            tokio::spawn(async move { code(&other).await })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.expect("a task"), Code::ResourceExhausted);
    }
    call.abort();
    let _ = call.await;
    drop(busy);
    while code(&other).await != Code::Ok {}
    served.stop();
}

/// More calls than one thread reads at once, and fewer than are too many.
#[tokio::test(flavor = "multi_thread")]
async fn however_many_ask_at_once_all_are_answered() {
    let served = Served::start(ANY, &["--threads", "1", "--http-listen", ANY]);
    let mut asking = Vec::new();
    for _ in 0..30 {
        let channel = channel(&served.address).await;
        for _ in 0..200 {
            let channel = channel.clone();
            asking.push(tokio::spawn(async move { code(&channel).await }));
        }
    }
    for asked in asking {
        assert_eq!(asked.await.expect("a task"), Code::Ok);
    }
    assert_eq!(served.metric("keyward_refused_total", ""), 0);
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_bounded_and_health_is_told_all_the_same() {
    let served = Served::start(ANY, &["--limits-calls", "2", "--http-listen", ANY]);
    let mut client = AuthorizationServiceClient::new(channel(&served.address).await);
    let mut conversations = Vec::new();
    for _ in 0..2 * 16 {
        let (end, questions) = tokio::sync::mpsc::channel::<v1::AuthorizeStreamRequest>(1);
        let answers = client.authorize_stream(ReceiverStream::new(questions)).await;
        conversations.push((answers.expect("a conversation"), end));
    }
    let other = channel(&served.address).await;
    assert_eq!(code(&other).await, Code::ResourceExhausted);
    assert_eq!(served.metric("keyward_refused_total", "overloaded"), 1);
    assert_eq!(health(&other, READY).await.expect("an answer"), ServingStatus::Serving);
    // Nothing more is asked, and so they are over.
    drop(conversations);
    while code(&other).await != Code::Ok {}
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_long_is_refused() {
    let served = Served::start(ANY, &["--limits-message-bytes", "10000", "--http-listen", ANY]);
    let channel = channel(&served.address).await;
    let mut client = AuthorizationServiceClient::new(channel.clone());
    // In one frame, and in several.
    for (count, length) in [(1, 12_000), (2, 20_000)] {
        let mut long = question("42");
        long.request_id = "x".repeat(length);
        let refused = client.authorize(long).await.expect_err("too long");
        assert_eq!(refused.code(), Code::OutOfRange);
        assert_eq!(served.metric("keyward_refused_total", "message_bytes"), count);
    }
    assert_eq!(code(&channel).await, Code::Ok);
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_holds_is_bounded_and_each_bound_is_counted() {
    let served = Served::start(ANY, &["--http-listen", ANY]);
    let mut client = AuthorizationServiceClient::new(channel(&served.address).await);
    let with = |change: fn(&mut v1::AuthorizeRequest)| {
        let mut question = question("42");
        change(&mut question);
        question
    };
    let questions = [
        (
            "encryption_context",
            with(|question| {
                question.encryption_context =
                    (0..1001).map(|n| (n.to_string(), String::new())).collect();
            }),
        ),
        (
            "encryption_context",
            with(|question| {
                question.encryption_context.insert("long".to_owned(), "x".repeat(8193));
            }),
        ),
        ("grant_tokens", with(|question| question.grant_tokens = vec!["token".to_owned(); 11])),
        ("grant_tokens", with(|question| question.grant_tokens = vec!["x".repeat(8193)])),
        (
            "session_policies",
            with(|question| {
                question.principal.as_mut().expect("a principal").session_policies =
                    vec![r#"{"Statement":[]}"#.to_owned(); 11];
            }),
        ),
    ];
    for (reason, question) in questions {
        let before = served.metric("keyward_refused_total", reason);
        let refused = client.authorize(question.clone()).await.expect_err("too much");
        assert_eq!(refused.code(), Code::InvalidArgument, "{reason}");
        assert_eq!(served.metric("keyward_refused_total", reason), before + 1, "{reason}");
        // The same as an item of a batch.
        let batch = v1::BatchAuthorizeRequest { requests: vec![question], ..Default::default() };
        client.batch_authorize(batch).await.expect("an answer to each");
        assert_eq!(served.metric("keyward_refused_total", reason), before + 2, "{reason}");
    }
    let requests = vec![question("42"); 1001];
    let batch = v1::BatchAuthorizeRequest { requests, ..Default::default() };
    let refused = client.batch_authorize(batch).await.expect_err("too many");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(served.metric("keyward_refused_total", "batch_size"), 1);
    // An error of another kind is none of them.
    let mut nonsense = question("42");
    nonsense.action = "kms:Nonsense".to_owned();
    assert!(client.authorize(nonsense).await.is_err());
    assert_eq!(served.metric("keyward_refused_total", ""), 11);
    served.stop();
}

#[test]
fn a_port_in_use_is_an_error_even_where_threads_share_it() {
    let served = Served::start(ANY, &["--threads", "2"]);
    let second = keyward(
        &["serve", "--policies", "examples/quickstart", "--threads", "2", "--http-listen", "none"]
            .into_iter()
            .chain(["--listen", &served.address])
            .collect::<Vec<_>>(),
        "",
    );
    assert_eq!(second.status.code(), Some(1));
    let said = text(&second.stderr);
    assert!(said.contains(&format!("cannot listen on {}", served.address)), "{said}");
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_that_it_is_ending_answers_for_a_while_and_ends_well() {
    let served = Served::start(ANY, &["--drain-grace", "1h"]);
    let channel = channel(&served.address).await;
    assert_eq!(health(&channel, READY).await.expect("an answer"), ServingStatus::Serving);
    served.signal("-TERM");
    while health(&channel, READY).await.expect("an answer") != ServingStatus::NotServing {}
    // Alive it is; and new connections are answered until the grace is over.
    assert_eq!(health(&channel, "").await.expect("an answer"), ServingStatus::Serving);
    assert_eq!(code(&channel).await, Code::Ok);
    assert_eq!(code(&self::channel(&served.address).await).await, Code::Ok);
    // Told again, it does not wait.
    served.signal("-TERM");
    let mut served = served;
    assert_eq!(served.process.wait().expect("an end").code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_flight_is_finished_and_one_that_never_ends_is_not_waited_for() {
    let served = Served::start(ANY, &["--drain-timeout", "100ms"]);
    let channel = channel(&served.address).await;
    let unending = unending(channel.clone());
    assert_eq!(code(&channel).await, Code::Ok);
    served.stop();
    assert!(unending.await.expect("no panic").is_err());
}

#[test]
fn a_service_manager_is_told_when_it_is_ready_reads_again_and_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.env("NOTIFY_SOCKET", &path);
    let served = Served::start_by(command, ANY, &[]);
    let mut buffer = [0; 256];
    let mut told = || {
        let length = manager.recv(&mut buffer).expect("news");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert!(told().contains("READY=1"));
    served.signal("-HUP");
    let reloading = told();
    assert!(
        reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="),
        "{reloading}"
    );
    assert!(told().contains("READY=1"));
    served.stop();
    assert!(told().contains("STOPPING=1"));
}

/// What a client sends that means no good.
fn hostile(kind: usize, address: &str) {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket");
    let mut send = |bytes: &[u8]| stream.write_all(bytes).is_ok();
    let frame = |kind: u8, flags: u8, id: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        [&length[1..], &[kind, flags], &id.to_be_bytes(), payload].concat()
    };
    // `:method POST`, `:scheme http`, `:path /`, all from the static table.
    let headers = [0x83, 0x86, 0x84];
    match kind % 6 {
        // Half open: nothing, or the beginning of a preface.
        0 => drop(send(PREFACE.get(..10).unwrap_or_default())),
        // No HTTP/2 at all.
        1 => drop(send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\0\xff\xfe{}")),
        // Rapid reset.
        2 => {
            send(&[PREFACE, SETTINGS].concat());
            for id in (1..4001_u32).step_by(2) {
                let reset = [frame(1, 5, id, &headers), frame(3, 0, id, &[0, 0, 0, 8])].concat();
                if !send(&reset) {
                    break;
                }
            }
        }
        // Headers without an end.
        3 => {
            send(&[PREFACE, SETTINGS, &frame(1, 0, 1, &headers)].concat());
            for _ in 0..200 {
                if !send(&frame(9, 0, 1, &[0x40; 16_000])) {
                    break;
                }
            }
        }
        // A frame that claims to be enormous.
        4 => drop(send(&[PREFACE, SETTINGS, &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]].concat())),
        // A message that is no message, to a method that is there.
        _ => {
            let path = b"/keyward.v1.AuthorizationService/Authorize";
            let mut block = vec![0x83, 0x86, 0x04, u8::try_from(path.len()).expect("short")];
            block.extend_from_slice(path);
            block.extend_from_slice(b"\x0f\x10\x10application/grpc");
            let garbage = [&[0, 0, 0, 0, 9][..], &[0xff; 9]].concat();
            send(&[PREFACE, SETTINGS, &frame(1, 4, 1, &block), &frame(0, 1, 1, &garbage)].concat());
        }
    }
    // Slowly read, or not at all.
    let _ = stream.read(&mut [0; 16]);
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_clients_are_served_while_others_mean_no_good() {
    let served = Served::start(ANY, &[]);
    let channel = channel(&served.address).await;
    let address = served.address.clone();
    let attacks: Vec<_> = (0..4)
        .map(|first| {
            let address = address.clone();
            tokio::task::spawn_blocking(move || {
                (first..120).step_by(4).for_each(|kind| hostile(kind, &address));
            })
        })
        .collect();
    while !attacks.iter().all(tokio::task::JoinHandle::is_finished) {
        assert_eq!(code(&channel).await, Code::Ok);
    }
    for attack in attacks {
        attack.await.expect("no panic");
    }
    assert_eq!(code(&self::channel(&served.address).await).await, Code::Ok);
    served.stop();
}

/// Begins a message, as a client does that holds back the rest, and reads how the call ends.
fn half_a_message(address: &str, method: &str, claimed: u32, sent: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let frame = |kind: u8, flags: u8, id: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        [&length[1..], &[kind, flags], &id.to_be_bytes(), payload].concat()
    };
    let path = format!("/keyward.v1.AuthorizationService/{method}");
    let mut block = vec![0x83, 0x86, 0x04, u8::try_from(path.len()).expect("short")];
    block.extend(path.as_bytes());
    block.extend(b"\x0f\x10\x10application/grpc");
    let message = [&[0][..], &claimed.to_be_bytes(), &vec![0x0a; sent]].concat();
    let begun = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &*frame(4, 0, 0, &[]),
        &frame(1, 4, 1, &block),
        &frame(0, 0, 1, &message),
    ];
    stream.write_all(&begun.concat()).expect("half a message");
    // Until the headers or the trailers that end the call.
    let mut told = Vec::new();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("a short frame")];
        stream.read_exact(&mut payload).expect("a frame");
        told.extend(payload);
        if head[3] == 1 && head[4] & 1 == 1 {
            return told;
        }
    }
}

#[test]
fn a_message_that_does_not_come_whole_is_waited_for_and_held_within_bounds() {
    let served = Served::start(
        ANY,
        [
            ["--http-listen", ANY],
            ["--limits-message-time", "50ms"],
            ["--limits-incoming-bytes", "10000"],
        ]
        .as_flattened(),
    );
    for (turn, method) in ["Authorize", "BatchAuthorize", "AuthorizeStream"].iter().enumerate() {
        let before = u64::try_from(turn).expect("a small number");
        half_a_message(&served.address, method, 5_000, 1_000);
        assert_eq!(served.metric("keyward_refused_total", "too_slow"), before + 1, "{method}");
        half_a_message(&served.address, method, 15_000, 14_000);
        assert_eq!(
            served.metric("keyward_refused_total", "incoming_bytes"),
            before + 1,
            "{method}"
        );
    }
    served.stop();
}

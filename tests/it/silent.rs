//! Clients that fall silent: half-open connections are cut and counted, others last.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use keyward::wire::v1;
use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use prost::Message as _;

use crate::decision_log::question;
use crate::served::Served;

const ANY: &str = "127.0.0.1:0";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SILENCED: &str = "keyward_connections_silenced_total";

/// Kinds of frames, and a flag. Source: RFC 9113, sections 6 and 4.1.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &id.to_be_bytes(), payload].concat()
}

/// The kinds and flags of whole frames.
fn frames(mut bytes: &[u8]) -> Vec<(u8, u8)> {
    let mut found = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let Some((_, rest)) = rest.split_at_checked(usize::try_from(length).expect("short")) else {
            break;
        };
        found.push((head[3], head[4]));
        bytes = rest;
    }
    found
}

/// All that comes until the other side ends the connection.
fn until_cut(mut stream: impl std::io::Read) -> Vec<(u8, u8)> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an end");
    frames(&bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_answers_no_ping_is_cut_and_counted_and_one_that_does_is_not() {
    let args = ["--limits-keepalive", "200ms", "--http-listen", ANY];
    let served = Served::start(ANY, &args);
    let url = format!("http://{}", served.address);
    let mut honest = AuthorizationServiceClient::connect(url).await.expect("a connection");
    assert!(honest.authorize(question("42")).await.is_ok());
    // Twice in a row, so that the honest one says nothing for longer than each of them is waited for.
    for _ in 0..2 {
        let mut silent = TcpStream::connect(&served.address).expect("a connection");
        silent.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        silent.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).expect("a hello");
        let told = tokio::task::spawn_blocking(move || until_cut(silent)).await.expect("no panic");
        assert!(told.contains(&(PING, 0)), "it was not asked: {told:?}");
    }
    assert_eq!(served.metric(SILENCED, ""), 2);
    assert!(honest.authorize(question("42")).await.is_ok());
    assert_eq!(served.metric(SILENCED, ""), 2);
    served.stop();
}

#[test]
fn a_client_that_takes_no_answers_is_cut_and_counted_too() {
    const CALLS: u32 = 60;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data.sock");
    let listen = format!("unix:{}", path.display());
    let args = ["--limits-keepalive", "200ms", "--http-listen", ANY];
    let served = Served::start(&listen, &args);

    let batch = v1::BatchAuthorizeRequest {
        requests: (0..60).map(|number| question(&number.to_string())).collect(),
        ..v1::BatchAuthorizeRequest::default()
    };
    let message = batch.encode_to_vec();
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    let message = [&[0], &length[..], &message].concat();
    // `:method POST`, `:scheme http`, `:path` and `content-type` in the words of HPACK.
    let method = b"/keyward.v1.AuthorizationService/BatchAuthorize";
    let length = u8::try_from(method.len()).expect("short");
    let headers = [&[0x83, 0x86, 0x04, length], &method[..], b"\x0f\x10\x10application/grpc"];
    // As much as is wanted may be sent to it, says the client.
    let window = frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]);
    let wider = frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0, 0]);
    let mut asked = [PREFACE, &window, &wider].concat();
    for id in (1..).step_by(2).take(usize::try_from(CALLS).expect("few")) {
        asked.extend(frame(HEADERS, END_HEADERS, id, &headers.concat()));
        asked.extend(frame(DATA, END_STREAM, id, &message));
    }
    let mut silent = UnixStream::connect(&path).expect("a connection");
    silent.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    silent.set_write_timeout(Some(Duration::from_secs(60))).expect("a socket");
    silent.write_all(&asked).expect("questions");
    served.wait_until("it is cut", |served| served.metric(SILENCED, "") == 1);

    // There was no room for all answers, nor for a goodbye.
    let told = until_cut(silent);
    let ended = told.iter().filter(|(kind, flags)| *kind == HEADERS && flags & END_STREAM != 0);
    let ended = u32::try_from(ended.count()).expect("few");
    assert!(ended < CALLS, "all {ended} answers had room");
    served.stop();
}

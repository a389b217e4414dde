//! What is read in place and answered in one piece is what the generated code makes of it.

mod batch;
mod calls;

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use keyward::engine::bundle::Options;
use keyward::engine::decide::decide;
use keyward::pdp::load::load;
use keyward::rpc::authorization::Authorization;
use keyward::telemetry::Telemetry;
use keyward::wire::proto::answer::{Envelope, response};
use keyward::wire::proto::decode::decode;
use keyward::wire::proto::encode::encode;
use keyward::wire::proto::view::View;
use keyward::wire::v1;
use keyward::wire::v1::authorization_service_server::AuthorizationServiceServer;
use prost::Message as _;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::{Service as _, ServiceExt as _};

use self::calls::{Call, calls, framed};
use crate::doors::{Door, case, lines, noon, verified};

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn text(&mut self) -> String {
        const TEXTS: [&str; 12] = [
            "",
            "a",
            "tenant",
            "TENANT",
            "aws:SourceIp",
            "aws:CalledVia",
            "kms:Decrypt",
            "alias/orders",
            "arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc",
            "é∂🔑",
            "us-west-2",
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\
             0123456789012345678901234567890123456789",
        ];
        TEXTS[self.below(TEXTS.len())].to_owned()
    }

    fn texts(&mut self) -> Vec<String> {
        (0..self.below(5)).map(|_| self.text()).collect()
    }

    fn map(&mut self) -> std::collections::HashMap<String, String> {
        (0..self.below(7)).map(|_| (self.text(), self.text())).collect()
    }

    fn parameters(&mut self) -> v1::Parameters {
        v1::Parameters {
            encryption_algorithm: self.text(),
            destination_key_id: self.text(),
            destination_encryption_context: self.map(),
            message_type: self.text(),
            pending_window_in_days: self.one_in(2).then(|| self.below(1 << 33) as i32),
            rotation_period_in_days: self.one_in(2).then_some(-1),
            bypass_policy_lockout_safety_check: self.one_in(2).then(|| self.one_in(2)),
            valid_to: self.one_in(9).then(prost_types::Timestamp::default),
            recipient_attestation: self.map(),
            multi_region: self.one_in(2).then(|| self.one_in(2)),
            tags: (0..self.below(3))
                .map(|_| v1::Tag { tag_key: self.text(), tag_value: self.text() })
                .collect(),
            tag_keys: self.texts(),
            grant: self.one_in(9).then(v1::GrantParameters::default),
            ..v1::Parameters::default()
        }
    }

    fn message(&mut self) -> v1::AuthorizeRequest {
        use v1::consistency::Requirement;
        let requirement = match self.below(4) {
            0 => None,
            1 => Some(Requirement::MinimizeLatency(self.one_in(2))),
            2 => Some(Requirement::AtLeastAsFresh(self.text())),
            _ => Some(Requirement::FullyConsistent(self.one_in(2))),
        };
        v1::AuthorizeRequest {
            request_id: self.text(),
            principal: self.one_in(2).then(|| v1::Principal {
                arn: self.text(),
                tags: self.map(),
                session_policies: self.texts(),
                user_id: self.text(),
                ..v1::Principal::default()
            }),
            action: self.text(),
            key_id: self.text(),
            encryption_context: self.map(),
            grant_tokens: self.texts(),
            context: self.map(),
            multivalued_context: (0..self.below(4))
                .map(|_| (self.text(), v1::StringList { values: self.texts() }))
                .collect(),
            parameters: self.one_in(3).then(|| self.parameters()),
            region: self.text(),
            via_service: self.text(),
            consistency: self.one_in(3).then_some(v1::Consistency { requirement }),
            detail: self.below(5) as i32 - 1,
            dry_run: self.one_in(2),
        }
    }

    /// Bytes that are a message in one or several pieces, with fields that nobody knows, or damaged.
    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = self.message().encode_to_vec();
        while self.one_in(3) {
            bytes.extend(self.message().encode_to_vec());
        }
        while self.one_in(3) {
            // Fields 15 and 100 of every wire type, some of them broken.
            const UNKNOWN: [&[u8]; 8] = [
                &[0x78, 0x80, 0x80, 0x01],
                &[0x79, 1, 2, 3, 4, 5, 6, 7, 8],
                &[0x7a, 3, 1, 2, 3],
                &[0x7b, 0x08, 1, 0x7c],
                &[0x7c],
                &[0x7d, 1, 2, 3, 4],
                &[0xa2, 0x06, 0],
                &[0x78, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            ];
            let unknown = UNKNOWN[self.below(UNKNOWN.len())];
            bytes.extend(unknown);
        }
        while self.one_in(3) && !bytes.is_empty() {
            let at = self.below(bytes.len());
            match self.below(3) {
                0 => bytes.truncate(at),
                1 => bytes[at] ^= 1 << self.below(8),
                _ => bytes.insert(at, self.below(256) as u8),
            }
        }
        bytes
    }
}

#[test]
fn a_message_read_in_place_is_what_the_generated_decoder_reads() {
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..40_000 {
        let bytes = numbers.bytes();
        let generated = v1::AuthorizeRequest::decode(&*bytes);
        match (decode(&bytes), &generated) {
            (Some(view), Ok(message)) => {
                assert_eq!(view, View::of(message), "{bytes:?}");
                read += 1;
            }
            (Some(view), Err(error)) => panic!("{error}, but {view:?} was read of {bytes:?}"),
            (None, Err(_)) => refused += 1,
            (None, Ok(_)) => {}
        }
    }
    assert!(read > 15_000 && refused > 5_000, "{read} read in place, {refused} refused");
}

#[test]
fn every_plain_message_is_read_in_place() {
    let mut numbers = Numbers(0xfedc_ba98_7654_3211);
    for _ in 0..5_000 {
        let message = numbers.message();
        let rare = message
            .parameters
            .as_ref()
            .is_some_and(|given| given.valid_to.is_some() || given.grant.is_some());
        assert_eq!(decode(&message.encode_to_vec()).is_none(), rare, "{message:?}");
    }
}

#[test]
fn an_answer_written_in_one_piece_is_the_message_encoded() {
    let mut written = 0;
    for line in lines("tests/conformance") {
        let Ok(case) = case(&line) else { continue };
        let Ok(request) = case.request() else { continue };
        let Ok(answer) = decide(&case.snapshot, &request) else { continue };
        for (request_id, cached) in [("", false), ("q", true), (&*"long".repeat(50), false)] {
            let envelope = Envelope {
                request_id,
                decision_id: "0192d3a4-0000-7000-8000-000000000000",
                revision: &case.snapshot.revision,
                consistency_token: "documents.0",
                detail: v1::Detail::Unspecified,
                cached,
            };
            let mut out = Vec::new();
            encode(&answer, &envelope, &mut out);
            assert_eq!(*out, *response(&answer, None, &envelope).encode_to_vec(), "{line}");
        }
        written += 1;
    }
    assert!(written > 150, "only {written} answers");
}

/// The answer without its unique id.
fn one(message: &[u8]) -> String {
    let mut message = v1::AuthorizeResponse::decode(message).expect("an answer");
    assert_eq!(message.decision_id.len(), 36);
    message.decision_id.clear();
    format!("{message:?}")
}

/// What a call came to: HTTP status, content type, gRPC status with message and details, and the
/// answer as `told`.
async fn outcome(
    channel: &mut Channel,
    method: &str,
    call: &Call,
    read: fn(&[u8]) -> String,
) -> String {
    let frames: Vec<Result<_, std::convert::Infallible>> = call
        .frames
        .iter()
        .map(|frame| Ok(http_body::Frame::data(Bytes::from(frame.clone()))))
        .collect();
    let mut request = http::Request::new(Body::new(StreamBody::new(tokio_stream::iter(frames))));
    *request.method_mut() = http::Method::POST;
    let path = format!("/keyward.v1.AuthorizationService/{method}");
    *request.uri_mut() = path.parse().expect("a path");
    let headers = request.headers_mut();
    headers.insert("content-type", "application/grpc".parse().expect("a value"));
    headers.insert("te", "trailers".parse().expect("a value"));
    for (name, value) in &call.headers {
        headers.insert(*name, value.parse().expect("a value"));
    }
    let sent = channel.ready().await.expect("a connection").call(request).await;
    let response = match sent {
        Ok(response) => response,
        Err(error) => return format!("{error:?}"),
    };
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.expect("an answer");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let bytes = collected.to_bytes();
    let message = bytes.get(5..).map(read);
    let told = |name: &str| parts.headers.get(name).or(trailers.get(name)).cloned();
    let names = [
        "content-type",
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
        "grpc-encoding",
        "grpc-accept-encoding",
    ];
    let told: Vec<_> = names.iter().map(|name| (name, told(name))).collect();
    format!("{} {told:?} {:?} {message:?}", parts.status, bytes.get(..5))
}

/// Both services, ours and the generated one, and a connection to each.
struct Both {
    door: Door,
    ours: Channel,
    theirs: Channel,
    serving: tokio::task::JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Both {
    /// Asks both; they must agree.
    async fn ask(&mut self, method: &str, call: &Call, read: fn(&[u8]) -> String) -> String {
        let ours = outcome(&mut self.ours, method, call, read).await;
        let theirs = outcome(&mut self.theirs, method, call, read).await;
        assert_eq!(ours, theirs, "{}: {:?}", call.name, call.frames);
        ours
    }

    async fn close(self) {
        drop(self.ours);
        self.serving.abort();
        self.door.close().await;
    }
}

async fn both() -> Both {
    let built = load("examples/quickstart".as_ref(), &Options::default(), &verified);
    let door = Door::open(built.expect("a good set").snapshot).await;
    let authorization =
        Authorization::new(Arc::clone(&door.pdp), Arc::new(noon), Telemetry::default());
    let generated =
        AuthorizationServiceServer::new(authorization).max_decoding_message_size(4 << 20);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tonic::transport::Server::builder().add_service(generated);
    let serving = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let connect = async |address: String| {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
        channel.expect("an address").connect().await.expect("a connection")
    };
    let ours = connect(door.address.clone()).await;
    let theirs = connect(address.to_string()).await;
    Both { door, ours, theirs, serving }
}

#[tokio::test]
async fn the_service_answers_every_call_as_the_generated_one_does() {
    let mut both = both().await;
    let mut numbers = Numbers(0x0dd0_0dd0_0dd0_0dd1);
    let random = (0..300).map(|_| Call {
        name: "random",
        headers: Vec::new(),
        frames: vec![framed(&numbers.bytes())],
    });
    for call in calls().into_iter().chain(random) {
        both.ask("Authorize", &call, one).await;
    }
    // A set that is too old to be relied on answers nothing, whichever way it is asked.
    both.door.pdp.live().withhold(true);
    for call in calls() {
        let told = both.ask("Authorize", &call, one).await;
        assert!(!told.contains("decision: Allowed"), "withheld, {}: {told}", call.name);
    }
    both.close().await;
}

//! Batches.

use keyward::wire::proto::decode::{BatchView, decode_batch};
use keyward::wire::proto::view::View;
use keyward::wire::v1;
use keyward::wire::v1::batch_authorize_item::Result as Item;
use prost::Message as _;

use super::calls::{Call, framed, question};
use super::{Numbers, both};

fn message(requests: Vec<v1::AuthorizeRequest>) -> v1::BatchAuthorizeRequest {
    v1::BatchAuthorizeRequest { requests, ..v1::BatchAuthorizeRequest::default() }
}

/// A few questions at random, some of them the good one.
fn random(numbers: &mut Numbers) -> v1::BatchAuthorizeRequest {
    let one = |numbers: &mut Numbers| match numbers.below(3) {
        0 => question(),
        1 => v1::AuthorizeRequest { action: "Encrypt".to_owned(), ..question() },
        _ => numbers.message(),
    };
    let requests = (0..numbers.below(6)).map(|_| one(numbers)).collect();
    v1::BatchAuthorizeRequest { stop_mode: numbers.below(4) as i32, ..message(requests) }
}

#[test]
fn a_batch_read_in_place_is_what_the_generated_decoder_reads() {
    let mut numbers = Numbers(0x2345_6789_abcd_ef01);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..10_000 {
        let mut bytes = random(&mut numbers).encode_to_vec();
        if numbers.one_in(3) && !bytes.is_empty() {
            let at = numbers.below(bytes.len());
            bytes[at] ^= 1 << numbers.below(8);
        }
        let generated = v1::BatchAuthorizeRequest::decode(&*bytes);
        match (decode_batch(&bytes, 1000), &generated) {
            (Some(batch), Ok(message)) => {
                let expected = BatchView {
                    requests: message.requests.iter().map(View::of).collect(),
                    stop_mode: message.stop_mode,
                    consistency: batch.consistency,
                };
                assert_eq!(batch, expected, "{bytes:?}");
                assert_eq!(batch.consistency.is_some(), message.consistency.is_some());
                read += 1;
            }
            (Some(batch), Err(error)) => panic!("{error}, but {batch:?} was read of {bytes:?}"),
            (None, Err(_)) => refused += 1,
            (None, Ok(_)) => {}
        }
    }
    assert!(read > 5_000 && refused > 500, "{read} read in place, {refused} refused");
    let two = message(vec![question(), question()]).encode_to_vec();
    assert!(decode_batch(&two, 2).is_some() && decode_batch(&two, 1).is_none());
}

/// The answers without their unique ids.
fn items(message: &[u8]) -> String {
    let mut message = v1::BatchAuthorizeResponse::decode(message).expect("answers");
    for item in &mut message.items {
        if let Some(Item::Response(answer)) = &mut item.result {
            assert_eq!(answer.decision_id.len(), 36);
            answer.decision_id.clear();
        }
    }
    format!("{message:?}")
}

fn calls() -> Vec<Call> {
    let call = |name, message: &v1::BatchAuthorizeRequest| {
        let frames = vec![framed(&message.encode_to_vec())];
        Call { name, headers: Vec::new(), frames }
    };
    let good = || message(vec![question(); 3]);
    let wrong = v1::AuthorizeRequest { action: "kms:Nonsense".to_owned(), ..question() };
    let denied = v1::AuthorizeRequest { key_id: "alias/none".to_owned(), ..question() };
    let mixed = message(vec![question(), denied, question(), wrong, question()]);
    let with = |change: fn(&mut v1::BatchAuthorizeRequest)| {
        let mut message = good();
        change(&mut message);
        message
    };
    let long = framed(&message(vec![question(); 500]).encode_to_vec());
    let pieces = long.chunks(9_000).map(<[u8]>::to_vec).collect();
    let headed = |name, header| Call { headers: vec![header], ..call(name, &good()) };
    vec![
        call("good", &good()),
        call("mixed", &mixed),
        call("none", &message(Vec::new())),
        call(
            "until one is not allowed",
            &v1::BatchAuthorizeRequest { stop_mode: 1, ..mixed.clone() },
        ),
        call("until one is allowed", &v1::BatchAuthorizeRequest { stop_mode: 2, ..mixed }),
        call("no such mode", &with(|message| message.stop_mode = 7)),
        call("as many as may be", &message(vec![question(); 1000])),
        call("too many", &message(vec![question(); 1001])),
        call("reasons", &with(|message| message.requests[1].detail = 2)),
        call("tokens", &with(|message| message.requests[1].grant_tokens.push("t".to_owned()))),
        call("fresh", &with(|message| message.consistency = Some(v1::Consistency::default()))),
        call("one fresh", &with(|m| m.requests[1].consistency = Some(v1::Consistency::default()))),
        Call { name: "in pieces", headers: Vec::new(), frames: pieces },
        Call {
            name: "in bytes",
            headers: Vec::new(),
            frames: long[..50].chunks(1).map(<[u8]>::to_vec).collect(),
        },
        Call { name: "too long", headers: Vec::new(), frames: vec![vec![0; 1 << 20]; 6] },
        Call {
            name: "longer than it says",
            headers: Vec::new(),
            frames: vec![long.clone(), vec![0]],
        },
        headed("an encoding that nobody knows", ("grpc-encoding", "x")),
        headed("a deadline", ("grpc-timeout", "5S")),
        headed("a deadline that is none", ("grpc-timeout", "soon")),
    ]
}

#[tokio::test]
async fn the_service_answers_every_batch_as_the_generated_one_does() {
    let mut both = both().await;
    let mut numbers = Numbers(0x3456_789a_bcde_f012);
    let random = (0..100).map(|_| Call {
        name: "random",
        headers: Vec::new(),
        frames: vec![framed(&random(&mut numbers).encode_to_vec())],
    });
    for call in calls().into_iter().chain(random) {
        let told = both.ask("BatchAuthorize", &call, items).await;
        assert!(call.name != "good" || told.matches("decision: Allowed").count() == 3, "{told}");
    }
    // A set that is too old to be relied on answers nothing, whichever way it is asked.
    both.door.pdp.live().withhold(true);
    for call in calls() {
        let told = both.ask("BatchAuthorize", &call, items).await;
        assert!(!told.contains("decision: Allowed"), "withheld, {}: {told}", call.name);
    }
    both.close().await;
}

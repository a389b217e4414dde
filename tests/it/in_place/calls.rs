//! Calls to `Authorize`, good and bad.

use keyward::wire::v1;
use prost::Message as _;

/// A call as it goes over the wire.
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) frames: Vec<Vec<u8>>,
}

pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).expect("a length").to_be_bytes());
    frame.extend(message);
    frame
}

pub(super) fn question() -> v1::AuthorizeRequest {
    v1::AuthorizeRequest {
        request_id: "q".to_owned(),
        principal: Some(v1::Principal {
            arn: "arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc".to_owned(),
            ..v1::Principal::default()
        }),
        action: "kms:Decrypt".to_owned(),
        key_id: "alias/orders".to_owned(),
        encryption_context: [("tenant".to_owned(), "42".to_owned())].into(),
        ..v1::AuthorizeRequest::default()
    }
}

pub(super) fn calls() -> Vec<Call> {
    let plain = framed(&question().encode_to_vec());
    let with = |change: fn(&mut v1::AuthorizeRequest)| {
        let mut message = question();
        change(&mut message);
        framed(&message.encode_to_vec())
    };
    let call = |name, frames| Call { name, headers: Vec::new(), frames };
    let headed = |name, headers: &[(&'static str, &'static str)]| Call {
        name,
        headers: headers.to_vec(),
        frames: vec![plain.clone()],
    };
    let longer = |by: i32| {
        let mut frame = plain.clone();
        frame[4] = (i32::from(frame[4]) + by) as u8;
        frame
    };
    let mut compressed = plain.clone();
    compressed[0] = 1;
    let fresh = |requirement| Some(v1::Consistency { requirement: Some(requirement) });
    let mut stale = question();
    stale.consistency = fresh(v1::consistency::Requirement::AtLeastAsFresh("x".to_owned()));
    let mut newest = question();
    newest.consistency = fresh(v1::consistency::Requirement::FullyConsistent(true));
    vec![
        call("plain", vec![plain.clone()]),
        call("denied", vec![with(|message| message.encryption_context.clear())]),
        call("an operation", vec![with(|message| message.action = "Decrypt".to_owned())]),
        call("in two frames", vec![plain[..9].to_vec(), plain[9..].to_vec()]),
        call("an empty frame behind", vec![plain.clone(), Vec::new()]),
        call("an empty frame before", vec![Vec::new(), plain.clone()]),
        call("two messages", vec![plain.clone(), plain.clone()]),
        call("two messages in a frame", vec![[plain.clone(), plain.clone()].concat()]),
        call("nothing", vec![]),
        call("an empty message", vec![framed(&[])]),
        call("half a prefix", vec![vec![0, 0]]),
        call("longer than it says", vec![longer(-1)]),
        call("shorter than it says", vec![longer(1)]),
        call("compressed", vec![compressed.clone()]),
        call("not a flag", vec![[vec![7], plain[1..].to_vec()].concat()]),
        Call {
            name: "compressed, and says so",
            headers: vec![("grpc-encoding", "gzip")],
            frames: vec![compressed],
        },
        headed("an encoding that nobody knows", &[("grpc-encoding", "x")]),
        headed("no encoding", &[("grpc-encoding", "identity")]),
        headed("encodings for the answer", &[("grpc-accept-encoding", "gzip")]),
        headed("a deadline", &[("grpc-timeout", "5S")]),
        headed("a deadline that is none", &[("grpc-timeout", "soon")]),
        call("broken", vec![framed(&[0x0a, 0xff])]),
        call("not a text", vec![framed(&[0x1a, 1, 0xff])]),
        call("another wire type", vec![framed(&[0x18, 1])]),
        call(
            "too long",
            vec![framed(&[vec![0x7a, 0x80, 0x80, 0x80, 0x02], vec![0; 4 << 20]].concat())],
        ),
        call("no principal", vec![with(|message| message.principal = None)]),
        call("no action", vec![with(|message| message.action = "kms:Nonsense".to_owned())]),
        call("a reason, please", vec![with(|message| message.detail = 1)]),
        call("all reasons, please", vec![with(|message| message.detail = 2)]),
        call("no such detail", vec![with(|message| message.detail = 9)]),
        call("a token", vec![with(|message| message.grant_tokens.push("t".to_owned()))]),
        call("a foreign consistency token", vec![framed(&stale.encode_to_vec())]),
        call("the newest", vec![framed(&newest.encode_to_vec())]),
    ]
}

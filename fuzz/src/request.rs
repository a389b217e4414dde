//! The gRPC request.

use keyward::wire::proto::answer::{Envelope, response};
use keyward::wire::proto::decode::{decode, decode_batch};
use keyward::wire::proto::encode::encode;
use keyward::wire::proto::json::{read, write};
use keyward::wire::proto::request::request;
use keyward::wire::proto::view::View;
use keyward::wire::v1;
use prost::Message as _;

use super::set::{SET, ask, noon};
use keyward::engine::decide::explain;

/// Decodes any bytes as a request and as a batch, and asks the request.
///
/// What is read in place is what the generated decoder reads; what is written in one piece is the
/// message encoded. What is refused names a field; what is asked is answered as it must be; a message has one
/// meaning as bytes and as JSON.
pub fn run(data: &[u8]) {
    let generated = v1::AuthorizeRequest::decode(data);
    if let Some(view) = decode(data) {
        assert_eq!(Ok(view), generated.as_ref().map(View::of), "read in place");
    }
    if let Some(batch) = decode_batch(data, 1000) {
        let generated =
            v1::BatchAuthorizeRequest::decode(data).expect("what is read in place is a batch");
        let requests: Vec<View<'_>> = generated.requests.iter().map(View::of).collect();
        assert_eq!(batch.requests, requests, "a batch read in place");
        assert_eq!(batch.stop_mode, generated.stop_mode);
        assert_eq!(batch.consistency.is_some(), generated.consistency.is_some());
    }
    let Ok(message) = generated else { return };
    if let Ok(json) = write("AuthorizeRequest", &message) {
        match read::<v1::AuthorizeRequest>("AuthorizeRequest", &json.to_string()) {
            Ok(again) => assert_eq!(again, message),
            // Instants beyond the year 9999 have no JSON.
            Err(error) => assert!(message.parameters.is_some(), "{error}: {json}"),
        }
    }
    let request = match request(&message, noon()) {
        Ok(request) => request,
        Err(refused) => {
            assert!(!refused.field.is_empty() && !refused.message.is_empty(), "{refused:?}");
            return;
        }
    };
    ask(&request);
    let Ok((answer, explanation)) = explain(&SET, &request) else { return };
    for detail in [v1::Detail::Unspecified, v1::Detail::Reason, v1::Detail::Full] {
        let envelope = Envelope {
            request_id: &message.request_id,
            decision_id: "id",
            revision: &SET.revision,
            consistency_token: "token",
            detail,
            cached: false,
        };
        let told = response(&answer, Some(&explanation), &envelope);
        let bytes = told.encode_to_vec();
        assert_eq!(v1::AuthorizeResponse::decode(&*bytes).as_ref(), Ok(&told));
        if detail == v1::Detail::Unspecified {
            let mut out = Vec::new();
            encode(&answer, &envelope, &mut out);
            assert_eq!(*out, *bytes, "written in one piece");
        }
    }
}

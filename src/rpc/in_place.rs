//! `Authorize` without generated code in between: the request is read where it lies, and the answer
//! is written in one piece.
//!
//! Only the plain call is answered here: one uncompressed message, whole, that asks for no
//! reasoning and waits for nothing. Whatever else comes is handed, with all that was read of it, to
//! the generated code, which so decides what is wrong with it.

use std::convert::Infallible;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as _, Frame};
use tonic::body::Body;
use tonic::metadata::{GRPC_CONTENT_TYPE, MetadataMap};
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use super::authorization::Authorization;
use crate::wire::proto::decode::decode;
use crate::wire::v1::authorization_service_server::{AuthorizationServiceServer, SERVICE_NAME};

type Request = http::Request<Body>;
type Response = http::Response<Body>;

/// The path of the method.
const AUTHORIZE: &str = "/keyward.v1.AuthorizationService/Authorize";

/// The header that says how messages are compressed.
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// `AuthorizationService`: the generated one, but for `Authorize`.
#[derive(Clone)]
pub(super) struct InPlace {
    authorization: Authorization,
    generated: AuthorizationServiceServer<Authorization>,
}

impl InPlace {
    /// Answers as `authorization` does; messages have at most `message_bytes`.
    pub(super) fn new(authorization: Authorization, message_bytes: usize) -> Self {
        let generated = AuthorizationServiceServer::new(authorization.clone());
        Self { authorization, generated: generated.max_decoding_message_size(message_bytes) }
    }
}

impl NamedService for InPlace {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<Request> for InPlace {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answering {
        let plain = request.uri().path() == AUTHORIZE && !request.headers().contains_key(ENCODING);
        if !plain {
            return Answering(State::Elsewhere(self.generated.call(request)));
        }
        let (parts, body) = request.into_parts();
        let service = self.clone();
        Answering(State::Reading(Reading { service, parts, body, message: None }))
    }
}

/// A call until it is answered.
pub(super) struct Answering(State);

type Boxed = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

#[expect(clippy::large_enum_variant, reason = "the large one is the usual one, and is not moved")]
enum State {
    /// The message is being read.
    Reading(Reading),
    /// The generated code answers, or a record is being written.
    Elsewhere(Boxed),
    /// It is answered.
    Over,
}

struct Reading {
    service: InPlace,
    parts: http::request::Parts,
    body: Body,
    /// The frame that came, if one did.
    message: Option<Bytes>,
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.0 {
                State::Reading(reading) => {
                    let came = ready!(reading.poll(context));
                    let State::Reading(reading) = mem::replace(&mut self.0, State::Over) else {
                        continue;
                    };
                    match reading.answer(came) {
                        Ok(response) => return Poll::Ready(Ok(response)),
                        Err(elsewhere) => self.0 = State::Elsewhere(elsewhere),
                    }
                }
                State::Elsewhere(future) => return future.as_mut().poll(context),
                State::Over => return Poll::Ready(Ok(over())),
            }
        }
    }
}

/// For a call that is asked again after its answer: there is no second one.
fn over() -> Response {
    Status::new(Code::Internal, "the call is over").into_http()
}

/// What came behind the first frame.
type Came = Option<Result<Frame<Bytes>, Status>>;

impl Reading {
    /// Reads on until the call is over, or something came that is not plain.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Came> {
        loop {
            if self.message.is_some() && self.body.is_end_stream() {
                return Poll::Ready(None);
            }
            let came = ready!(Pin::new(&mut self.body).poll_frame(context));
            match came {
                Some(Ok(frame)) if frame.is_data() && self.message.is_none() => {
                    self.message = frame.into_data().ok();
                }
                other => return Poll::Ready(other),
            }
        }
    }

    /// Answers, or hands the call on.
    fn answer(mut self, came: Came) -> Result<Response, Boxed> {
        let message = self.message.clone();
        let plain = message.as_ref().filter(|_| came.is_none()).and_then(whole);
        let Some(view) = plain.and_then(decode) else { return Err(self.hand_on(came)) };
        if !Authorization::is_plain(&view) {
            return Err(self.hand_on(came));
        }
        // Whatever may refuse a caller stands here: the request is read, nothing is decided, and
        // `self.parts.extensions` tell of the connection.
        let metadata = MetadataMap::from_headers(mem::take(&mut self.parts.headers));
        let mut out = BytesMut::new();
        out.put_bytes(0, PREFIX);
        match self.service.authorization.answer_plain(view, &metadata, &mut out) {
            Ok(None) => Ok(written(out)),
            Ok(Some(record)) => Err(Box::pin(async move {
                Ok(record.await.map_or_else(Status::into_http, |()| written(out)))
            })),
            Err(status) => Ok(status.into_http()),
        }
    }

    /// Gives the generated code the call as it came.
    fn hand_on(mut self, came: Came) -> Boxed {
        let first = self.message.map(|data| Ok(Frame::data(data)));
        let body = Body::new(Replayed { frames: [first, came], rest: self.body });
        self.service.generated.call(Request::from_parts(self.parts, body))
    }
}

/// The message of a frame that holds one, uncompressed, and nothing else.
fn whole(frame: &Bytes) -> Option<&[u8]> {
    let (prefix, message) = frame.split_first_chunk::<PREFIX>()?;
    let [0, length @ ..] = prefix else { return None };
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (message.len() == length).then_some(message)
}

/// The answer: a message behind its prefix, and the status behind it.
fn written(mut out: BytesMut) -> Response {
    let length = out.len().saturating_sub(PREFIX);
    // An answer is far shorter than four gigabytes.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    if let Some((prefix, _)) = out.split_first_chunk_mut::<PREFIX>() {
        let [_, a, b, c, d] = prefix;
        [*a, *b, *c, *d] = length.to_be_bytes();
    }
    let mut response = Response::new(Body::new(Message(Some(out.freeze()), true)));
    response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    response
}

/// A body of one message and the status OK.
struct Message(Option<Bytes>, bool);

impl http_body::Body for Message {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(message) = self.0.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        if !mem::take(&mut self.1) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none() && !self.1
    }
}

/// A body of which something was read already.
struct Replayed {
    frames: [Came; 2],
    rest: Body,
}

impl http_body::Body for Replayed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        for frame in &mut self.frames {
            if let Some(read) = frame.take() {
                return Poll::Ready(Some(read));
            }
        }
        Pin::new(&mut self.rest).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.frames.iter().all(Option::is_none) && self.rest.is_end_stream()
    }
}

//! `Authorize` and `BatchAuthorize` without generated code in between: the request is read where it
//! lies, and the answer is written in one piece.
//!
//! Only the plain call is answered here: one uncompressed message, whole, that asks for no
//! reasoning and waits for nothing. Whatever else comes is handed, with all that was read of it, to
//! the generated code, which so decides what is wrong with it.

use std::convert::Infallible;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body as _, Frame};
use smallvec::SmallVec;
use tonic::body::Body;
use tonic::metadata::{GRPC_CONTENT_TYPE, MetadataMap};
use tonic::{Code, Status};
use tower::Service as _;

use super::arrival::Arriving;
use super::authorization::Authorization;
use super::batch::{BATCH, Batched};
use super::peer::Peer;
use crate::wire::proto::decode::{BatchView, decode, decode_batch};
use crate::wire::proto::view::View;
use crate::wire::v1;
use crate::wire::v1::authorization_service_server::AuthorizationServiceServer;

type Request = http::Request<Arriving>;
type Response = http::Response<Body>;

/// The paths of the methods, and how they all begin.
const SERVICE: &str = "/keyward.v1.AuthorizationService/";
const AUTHORIZE: &str = "/keyward.v1.AuthorizationService/Authorize";
const BATCH_AUTHORIZE: &str = "/keyward.v1.AuthorizationService/BatchAuthorize";

/// The header that says how messages are compressed.
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Bytes before a message: whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

/// `AuthorizationService`: the generated one, but for the plain calls.
#[derive(Clone)]
pub(super) struct InPlace(Arc<Inner>);

/// What all calls share.
struct Inner {
    authorization: Authorization,
    generated: AuthorizationServiceServer<Authorization>,
    message_bytes: usize,
}

impl InPlace {
    /// Answers as `authorization` does; messages have at most `message_bytes`.
    pub(super) fn new(authorization: Authorization, message_bytes: usize) -> Self {
        let generated = AuthorizationServiceServer::new(authorization.clone());
        let generated = generated.max_decoding_message_size(message_bytes);
        Self(Arc::new(Inner { authorization, generated, message_bytes }))
    }
}

impl InPlace {
    /// Whether a path is of this service.
    pub(super) fn has(path: &str) -> bool {
        path.starts_with(SERVICE)
    }

    /// Answers a call of `peer`.
    pub(super) fn call(&self, request: Request, peer: &Peer) -> Answering {
        let method = match request.uri().path() {
            AUTHORIZE => Method::One,
            BATCH_AUTHORIZE => Method::Batch,
            _ => return Answering(State::Elsewhere(self.generated(request.map(Body::new), peer))),
        };
        if request.headers().contains_key(ENCODING) {
            return Answering(State::Elsewhere(self.generated(request.map(Body::new), peer)));
        }
        let (service, peer, frames) = (self.clone(), peer.clone(), Frames::new());
        Answering(State::Reading(Reading { service, method, request, peer, frames }))
    }

    /// Has the generated code answer.
    fn generated(&self, mut request: http::Request<Body>, peer: &Peer) -> Boxed {
        request.extensions_mut().insert(peer.clone());
        self.0.generated.clone().call(request)
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

/// What is asked.
#[derive(Clone, Copy)]
enum Method {
    One,
    Batch,
}

/// Frames of a message; most have one.
type Frames = SmallVec<[Bytes; 1]>;

struct Reading {
    service: InPlace,
    method: Method,
    request: Request,
    peer: Peer,
    /// The frames that came.
    frames: Frames,
}

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.0 {
                State::Reading(reading) => {
                    let came = ready!(reading.poll(context));
                    self.0 = match reading.answer(&came) {
                        Some(Ok(response)) => {
                            self.0 = State::Over;
                            return Poll::Ready(Ok(response));
                        }
                        Some(Err(later)) => State::Elsewhere(later),
                        None => match mem::replace(&mut self.0, State::Over) {
                            State::Reading(reading) => State::Elsewhere(reading.hand_on(came)),
                            other => other,
                        },
                    };
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

/// What came behind the frames.
type Came = Option<Result<Frame<Bytes>, Status>>;

impl Reading {
    /// Reads on until the call is over, or something came that is not plain.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Came> {
        loop {
            let body = self.request.body_mut();
            if !self.frames.is_empty() && body.is_end_stream() {
                return Poll::Ready(None);
            }
            let came = ready!(Pin::new(body).poll_frame(context));
            match came {
                Some(Ok(frame)) if self.takes(&frame) => {
                    self.frames.extend(frame.into_data().ok());
                }
                other => return Poll::Ready(other),
            }
        }
    }

    /// Whether a frame may belong to a plain message.
    fn takes(&self, frame: &Frame<Bytes>) -> bool {
        let Some(data) = frame.data_ref() else { return false };
        match self.method {
            Method::One => self.frames.is_empty(),
            Method::Batch => {
                let length: usize = self.frames.iter().map(Bytes::len).sum();
                length + data.len() <= PREFIX + self.service.0.message_bytes
            }
        }
    }

    /// Answers; `None` where the call is not plain, and is to be handed on.
    fn answer(&mut self, came: &Came) -> Option<Result<Response, Boxed>> {
        let read = match &*self.frames {
            [frame] => frame.clone(),
            frames => frames.concat().into(),
        };
        let fits = |message: &&[u8]| message.len() <= self.service.0.message_bytes;
        let message = whole(&read).filter(fits).filter(|_| came.is_none())?;
        let authorization = &self.service.0.authorization;
        match self.method {
            Method::One => {
                let mut view = decode(message)?;
                Authorization::is_plain(&view).then(|| {
                    let metadata = MetadataMap::from_headers(mem::take(self.request.headers_mut()));
                    one(authorization, &mut view, &metadata, &self.peer)
                })
            }
            Method::Batch => {
                let read = decode_batch(message, BATCH)?;
                let plain = read.requests.iter().all(Authorization::is_plain);
                let mode = v1::StopMode::try_from(read.stop_mode).ok()?;
                (plain && read.consistency.is_none()).then(|| {
                    let metadata = MetadataMap::from_headers(mem::take(self.request.headers_mut()));
                    batch(authorization, read, mode, (&metadata, &self.peer))
                })
            }
        }
    }

    /// Gives the generated code the call as it came.
    fn hand_on(self, came: Came) -> Boxed {
        let frames = self.frames.into_iter();
        let request = self.request.map(|rest| Body::new(Replayed { frames, came, rest }));
        self.service.generated(request, &self.peer)
    }
}

fn one(
    authorization: &Authorization,
    view: &mut View<'_>,
    metadata: &MetadataMap,
    peer: &Peer,
) -> Result<Response, Boxed> {
    // An answer is about so long.
    let mut out = Vec::with_capacity(PREFIX + 320);
    out.resize(PREFIX, 0);
    match authorization.answer_plain(view, metadata, peer, &mut out) {
        Ok(None) => Ok(written(out)),
        Ok(Some(record)) => Err(Box::pin(async move {
            Ok(record.await.map_or_else(Status::into_http, |()| written(out)))
        })),
        Err(status) => Ok(status.into_http()),
    }
}

fn batch(
    authorization: &Authorization,
    batch: BatchView<'_>,
    stop_mode: v1::StopMode,
    told: (&MetadataMap, &Peer),
) -> Result<Response, Boxed> {
    // An answer is about so long.
    let mut out = Vec::with_capacity(PREFIX + 320 * batch.requests.len());
    out.resize(PREFIX, 0);
    match authorization.batch_plain(batch, stop_mode, told, out) {
        Ok(Batched::Now(out)) => Ok(written(out)),
        Ok(Batched::Later(out)) => Err(Box::pin(async move { Ok(written(out.await)) })),
        Err(status) => Ok(status.into_http()),
    }
}

/// The message of bytes that are one, uncompressed, and nothing else.
fn whole(read: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = read.split_first_chunk::<PREFIX>()?;
    let [0, length @ ..] = prefix else { return None };
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (message.len() == length).then_some(message)
}

/// The answer: a message behind its prefix, and the status behind it.
fn written(mut out: Vec<u8>) -> Response {
    let length = out.len().saturating_sub(PREFIX);
    // An answer is far shorter than four gigabytes.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    if let Some((prefix, _)) = out.split_first_chunk_mut::<PREFIX>() {
        let [_, a, b, c, d] = prefix;
        [*a, *b, *c, *d] = length.to_be_bytes();
    }
    let mut response = Response::new(Body::new(Message(Some(out.into()), true)));
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
    frames: smallvec::IntoIter<[Bytes; 1]>,
    came: Came,
    rest: Arriving,
}

impl http_body::Body for Replayed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(data) = self.frames.next() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(came) = self.came.take() {
            return Poll::Ready(Some(came));
        }
        Pin::new(&mut self.rest).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.frames.len() == 0 && self.came.is_none() && self.rest.is_end_stream()
    }
}

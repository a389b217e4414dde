//! Which service answers a call: what is asked most goes there without a router in between.

use futures_util::future::Either;
use tonic::body::Body;
use tonic::codegen::http::Request;
use tonic::service::Routes;
use tower::Service;

use super::arrival::Arriving;
use super::in_place::{Answering, InPlace};
use super::peer::Peer;

/// The services of a listener.
#[derive(Clone)]
pub(super) struct Answers {
    authorization: InPlace,
    others: Routes,
}

/// An answer, once it is there.
pub(super) type Answered = Either<Answering, <Routes as Service<Request<Body>>>::Future>;

impl Answers {
    /// `AuthorizationService`, and all others.
    pub(super) fn new(authorization: InPlace, others: Routes) -> Self {
        Self { authorization, others: others.prepare() }
    }

    /// Answers a call of `peer`.
    pub(super) fn call(&self, request: Request<Arriving>, peer: &Peer) -> Answered {
        if InPlace::has(request.uri().path()) {
            return Either::Left(self.authorization.call(request, peer));
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        Either::Right(self.others.clone().call(request))
    }
}

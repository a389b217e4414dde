//! A tower layer that asks Keyward before what is behind it is called.
//!
//! Fail-closed: only an answer with `DECISION_ALLOWED` lets a request through. A denial, another
//! status than OK, no connection, no answer in time, a decision that this client does not know: all of
//! them are refusals, and what is behind the layer never hears of the request.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::keyward::authorization_service_client::AuthorizationServiceClient;
use crate::keyward::{AuthorizeRequest, AuthorizeResponse, Decision};

/// A request that Keyward can be asked about.
pub trait Question {
    /// May this be done?
    fn question(&self) -> AuthorizeRequest;
}

/// A request that Keyward has allowed. The layer alone makes one.
#[derive(Debug)]
pub struct Allowed<R> {
    request: R,
    key_arn: String,
}

impl<R> Allowed<R> {
    /// The request, and the ARN of the key that was decided on. An alias may point elsewhere by now:
    /// what was allowed is this key.
    pub fn into_parts(self) -> (R, String) {
        (self.request, self.key_arn)
    }
}

/// Asks before each request.
#[derive(Clone, Debug)]
pub struct EnforceLayer {
    keyward: AuthorizationServiceClient<Channel>,
    patience: Duration,
}

impl EnforceLayer {
    /// Asks over a connection to Keyward. `patience`: how long an answer may take, the connection
    /// included.
    pub fn new(channel: Channel, patience: Duration) -> Self {
        Self { keyward: AuthorizationServiceClient::new(channel), patience }
    }
}

impl<S> Layer<S> for EnforceLayer {
    type Service = Enforce<S>;

    fn layer(&self, inner: S) -> Enforce<S> {
        Enforce { keyward: self.keyward.clone(), patience: self.patience, inner }
    }
}

/// A service that is reached by what Keyward allows.
#[derive(Clone, Debug)]
pub struct Enforce<S> {
    keyward: AuthorizationServiceClient<Channel>,
    patience: Duration,
    inner: S,
}

impl<S, R> Service<R> for Enforce<S>
where
    R: Question + Send + 'static,
    S: Service<Allowed<R>, Error = Status> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Status>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (mut keyward, patience) = (self.keyward.clone(), self.patience);
        // The one that was polled is the one that is ready.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(async move {
            let mut question = tonic::Request::new(request.question());
            question.set_timeout(patience); // for Keyward; the next line is for ourselves
            let answer = match tokio::time::timeout(patience, keyward.authorize(question)).await {
                Ok(Ok(answer)) => answer.into_inner(),
                Ok(Err(status)) => return Err(unanswered(&status)),
                Err(_) => return Err(Status::unavailable("not authorized: no answer in time")),
            };
            let key_arn = allowed(answer)?;
            inner.call(Allowed { request, key_arn }).await
        })
    }
}

/// The key that the operation is allowed with.
fn allowed(answer: AuthorizeResponse) -> Result<String, Status> {
    match Decision::try_from(answer.decision) {
        Ok(Decision::Allowed) => Ok(answer.key_arn),
        Ok(Decision::KeyState) => Err(Status::failed_precondition(answer.message)),
        Ok(Decision::ExplicitDeny | Decision::ImplicitDeny) => {
            Err(Status::permission_denied(answer.message))
        }
        Ok(Decision::Unspecified) | Err(_) => {
            Err(Status::permission_denied("not authorized: a decision that is not known here"))
        }
    }
}

/// A question without an answer. The caller learns whether trying again is of use, and no more.
fn unanswered(status: &Status) -> Status {
    match status.code() {
        // A client of tonic ends a call whose time is over with CANCELLED.
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Cancelled => {
            Status::unavailable("not authorized: the policy decision point gives no answer")
        }
        Code::InvalidArgument => Status::invalid_argument(status.message()),
        _ => Status::permission_denied("not authorized: the policy decision point refuses"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, allowed, unanswered};
    use crate::keyward::AuthorizeResponse;

    #[test]
    fn only_the_one_decision_that_allows_allows() {
        for decision in -1..100 {
            let answer = AuthorizeResponse { decision, ..AuthorizeResponse::default() };
            assert_eq!(allowed(answer).is_ok(), decision == 1, "{decision}");
        }
    }

    #[test]
    fn no_status_is_an_answer_not_even_ok() {
        for code in 0..17 {
            let status = tonic::Status::new(Code::from(code), "");
            assert_ne!(unanswered(&status).code(), Code::Ok, "{code}");
        }
    }
}

//! The HTTP listener: `/metrics`, `/livez`, `/readyz`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::listener::Listener;
use crate::telemetry::Telemetry;

/// Connections at once; others wait to be accepted.
const CONNECTIONS: usize = 64;

/// A connection that asks nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(30);

/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;

/// Whether the service is ready; else the reason.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Serves for as long as it is polled.
pub async fn serve(listener: Listener, telemetry: Telemetry, ready: Ready) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let (telemetry, ready) = (telemetry.clone(), Arc::clone(&ready));
        let accepted = match &listener {
            Listener::Tcp(listener) => {
                listener.accept().await.map(|(stream, _)| spawn(stream, telemetry, ready, permit))
            }
            Listener::Unix(listener, _) => {
                listener.accept().await.map(|(stream, _)| spawn(stream, telemetry, ready, permit))
            }
        };
        if accepted.is_err() {
            // Out of file descriptors, or the peer is gone already: others get a turn first.
            tokio::task::yield_now().await;
        }
    }
}

fn spawn(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    telemetry: Telemetry,
    ready: Ready,
    permit: OwnedSemaphorePermit,
) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), &telemetry, &ready);
        async move { Ok::<_, Infallible>(response) }
    });
    tokio::spawn(async move {
        // A connection that fails is the peer's matter.
        let _ = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), answer)
            .await;
        drop(permit);
    });
}

fn answer(
    method: &Method,
    path: &str,
    telemetry: &Telemetry,
    ready: &Ready,
) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET alone\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/livez" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => match ready() {
            Ok(()) => text(StatusCode::OK, "ok\n".to_owned()),
            Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason + "\n"),
        },
        "/metrics" => {
            let mut response = text(StatusCode::OK, telemetry.prometheus());
            let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, format);
            response
        }
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /livez and /readyz\n".to_owned()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

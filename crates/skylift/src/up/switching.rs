//! Requests for a WebSocket, to the API of this process.
//!
//! Whoever agrees to one takes over its connection. The client's is the edge's, so the API is given one of its own, in memory:
//! HTTP on it, as on any other, whose end the edge joins to the client's.

use axum::body::Body;
use axum::response::IntoResponse;
use http::header::UPGRADE;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use skylift_api::ApiError;
use skylift_edge::EdgeBody;
use tokio::io::DuplexStream;
use tower_service::Service;

/// How many bytes lie between the two ends, each way.
const BETWEEN: usize = 64 << 10;

/// Whether a request asks for a WebSocket: the one protocol that is spoken besides.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The answer, with what becomes of its connection among its extensions.
pub(super) async fn ask(router: axum::Router, mut request: Request<Body>) -> Response<EdgeBody> {
    let (near, far) = tokio::io::duplex(BETWEEN);
    // What is no header does not travel by itself; what becomes of the client's connection is the edge's.
    let mut extensions = std::mem::take(request.extensions_mut());
    extensions.remove::<OnUpgrade>();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let mut router = router.clone();
        request.extensions_mut().extend(extensions.clone());
        async move { router.call(request.map(Body::new)).await }
    });
    let serving =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service).with_upgrades();
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::debug!(%error, "a connection within the process ended");
        }
    });
    match send(near, request).await {
        Ok(response) => response.map(EdgeBody::other),
        Err(error) => ApiError::internal(&error).into_response().map(EdgeBody::other),
    }
}

async fn send(near: DuplexStream, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection within the process ended");
        }
    });
    sender.send_request(request).await
}

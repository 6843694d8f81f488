//! WebSockets to the control plane: its answer of 101, and the connection behind it.

use std::time::Duration;

use http::{HeaderMap, Response, StatusCode};
use tokio::time::timeout;

use crate::body::EdgeBody;
use crate::page::{Page, respond};
use crate::websocket::{FarEnd, Handshake, Switch};

/// How long the control plane's side may take to be a connection once it was agreed to.
const SWITCHED_WITHIN: Duration = Duration::from_secs(5);

/// The answer for the client. Where a WebSocket was asked for and the control plane agrees to it, its side of it is offered; whatever else
/// speaks of another protocol is no answer.
pub(super) async fn give(mut response: Response<EdgeBody>, asked: Option<(&Handshake, &Switch)>) -> Response<EdgeBody> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let met = asked.filter(|(handshake, _)| handshake.is_met(response.status(), response.headers()));
    let Some((_, switch)) = met else { return no_answer() };
    match timeout(SWITCHED_WITHIN, hyper::upgrade::on(&mut response)).await {
        Ok(Ok(stream)) => switch.offer(FarEnd { stream, in_flight: None }),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a WebSocket to the control plane did not begin");
            return no_answer();
        }
        Err(_) => return no_answer(),
    }
    let mut headers = response.into_parts().0.headers;
    Handshake::confirm(&mut headers);
    respond(StatusCode::SWITCHING_PROTOCOLS, headers, EdgeBody::empty())
}

fn no_answer() -> Response<EdgeBody> {
    Page::bad_content().respond(&HeaderMap::new())
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::Empty;

    use super::*;

    #[tokio::test]
    async fn a_protocol_that_nobody_asked_for_is_no_answer() {
        let answer = |status: u16, accept: &'static str| {
            let answer =
                Response::builder().status(status).header("connection", "upgrade").header("upgrade", "websocket");
            answer.header("sec-websocket-accept", accept).body(EdgeBody::empty()).unwrap()
        };
        let asked = Request::get("/").header("connection", "upgrade").header("upgrade", "websocket");
        let asked =
            asked.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==").body(Empty::<bytes::Bytes>::new()).unwrap();
        let handshake = Handshake::of(&asked).unwrap().unwrap();
        let switch = Switch::default();
        assert_eq!(give(answer(101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), None).await.status(), StatusCode::BAD_GATEWAY);
        let other = give(answer(101, "another"), Some((&handshake, &switch))).await;
        assert_eq!(other.status(), StatusCode::BAD_GATEWAY);
        // Agreed to, but with no connection behind it.
        let empty = give(answer(101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), Some((&handshake, &switch))).await;
        assert_eq!(empty.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(give(answer(403, ""), Some((&handshake, &switch))).await.status(), StatusCode::FORBIDDEN);
    }
}

//! The HTTP proxy that a guest's proxy variables name: `CONNECT host:port`, and `GET http://host/path`.
//!
//! One request for each connection. Refusals are answered with 403 and a sentence that says why.

mod exchange;
mod head;
mod wire;

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::gateway::Way;
use crate::host::Target;
use crate::refusal::Refusal;
use crate::relay::chain;
use crate::resolve::DialError;
use crate::splice::{Metered, splice};
use head::{InvalidHead, Request};
use wire::{Received, read_head, say};

/// A guest's heads are small; npm's and pip's are under a tenth of this.
const REQUEST_HEAD_MAX: usize = 16 * 1024;

/// Serves one connection of the guest.
pub(crate) async fn serve(way: &Way, mut guest: TcpStream) {
    let received = match timeout(way.exit.limits.head, read_head(&mut guest, REQUEST_HEAD_MAX)).await {
        Err(_) => return say(guest, 408, "the request did not come in time").await,
        Ok(Err(error)) => return tracing::debug!(%error, "read a guest's request"),
        Ok(Ok(Received::Nothing)) => return,
        Ok(Ok(Received::TooMuch)) => return say(guest, 431, "the head of the request is too large").await,
        Ok(Ok(Received::Head { head, rest })) => (head, rest),
    };
    let (head, rest) = received;
    match head::parse_request(&head) {
        Ok(Request::Tunnel { host, port }) => {
            if let Some((_, outer)) = open(way, &mut guest, host, port).await {
                tunnel(way, guest, outer, &rest).await;
            }
        }
        Ok(Request::Exchange(request)) => {
            if let Some((target, outer)) = open(way, &mut guest, request.host, request.port).await {
                exchange::serve(way, guest, outer, &request, &target, rest).await;
            }
        }
        Err(error @ InvalidHead::Chunked) => say(guest, 411, &error.to_string()).await,
        Err(error) => say(guest, 400, &error.to_string()).await,
    }
}

/// A connection to `host`; where there is none, the guest has been told why.
async fn open(way: &Way, guest: &mut TcpStream, host: &str, port: u16) -> Option<(Target, Metered)> {
    let opened = match Target::parse(host) {
        Ok(target) => way.exit.open(&target, port).await.map(|outer| (target, outer)),
        Err(error) => Err(Refusal::of_spelling(host, Some(port), error, way.exit.policy.get().setting).into()),
    };
    let error = match opened {
        Ok((target, outer)) => {
            way.passed(&target, port);
            return Some((target, Metered::new(outer, Arc::clone(&way.tally))));
        }
        Err(error) => error,
    };
    let status = match &error {
        DialError::Refused(_) => 403,
        DialError::Timeout { .. } => 504,
        DialError::OwnAddresses(_)
        | DialError::Spelling { .. }
        | DialError::Resolve { .. }
        | DialError::NoAddress { .. }
        | DialError::Connect { .. } => 502,
    };
    let text = chain(&error);
    if let DialError::Refused(refusal) = error {
        way.refused(refusal);
    }
    wire::answer(guest, status, &text).await;
    None
}

async fn tunnel(way: &Way, mut guest: TcpStream, mut outer: Metered, early: &[u8]) {
    let idle = way.exit.limits.idle;
    let opened = async {
        guest.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        // Some programs greet the server before they were told that they may.
        outer.write_all(early).await
    };
    let carried = match timeout(idle, opened).await {
        Ok(Ok(())) => splice(guest, outer, idle).await,
        Ok(Err(error)) => Err(error),
        Err(late) => Err(late.into()),
    };
    if let Err(error) = carried {
        tracing::debug!(%error, "carry a guest's tunnel");
    }
}

//! One request and its answer over plain HTTP, both heads written anew.

use std::future::pending;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::net::TcpStream;

use super::head::{Exchange, parse_response};
use super::wire::{Received, answer, read_head_after, say_goodbye};
use crate::gateway::Way;
use crate::host::Target;
use crate::splice::Metered;

const RESPONSE_HEAD_MAX: usize = 64 * 1024;

/// Interim answers before the final one.
const INTERIM_MAX: usize = 8;

/// Sends the request to `outer` and its answer to `guest`. `early` is what came behind the request's head.
pub(super) async fn serve(
    way: &Way,
    mut guest: TcpStream,
    outer: Metered,
    request: &Exchange<'_>,
    target: &Target,
    early: Vec<u8>,
) {
    let authority = if request.port == 80 { target.to_string() } else { format!("{target}:{}", request.port) };
    let head = request.write(&authority);
    let pulse = outer.pulse();
    let mut answered = false;
    let work = async {
        let (from_guest, to_guest) = guest.split();
        let (from_outer, to_outer) = split(outer);
        let sending = async {
            let sent = send(&head, early, request.body_length, from_guest, to_outer).await;
            if let Err(error) = sent {
                // The answer may come nevertheless, as when a server refuses a large body early.
                tracing::debug!(%error, "send a guest's request");
            }
            // Our side stays open: some servers take an early end for a lost client.
            pending::<()>().await
        };
        tokio::select! {
            received = receive(request.method, from_outer, to_guest, &mut answered) => received,
            () = sending => Ok(()),
        }
    };
    let done = pulse.watch(way.exit.limits.idle, work).await;
    match done {
        Ok(()) => say_goodbye(&mut guest).await,
        Err(error) if answered => tracing::debug!(%error, %target, "carry a guest's exchange"),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            answer(&mut guest, 504, &format!("{authority} did not answer in time")).await;
        }
        Err(error) => answer(&mut guest, 502, &format!("{authority}: {error}")).await,
    }
}

async fn send(
    head: &[u8],
    early: Vec<u8>,
    body_length: u64,
    from_guest: impl AsyncRead + Unpin,
    mut to_outer: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    to_outer.write_all(head).await?;
    // Nothing behind this one request goes out: the next may be meant for another host.
    copy(&mut early.as_slice().chain(from_guest).take(body_length), &mut to_outer).await?;
    Ok(())
}

async fn receive(
    method: &str,
    mut from_outer: impl AsyncRead + Unpin,
    mut to_guest: impl AsyncWrite + Unpin,
    answered: &mut bool,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    for _ in 0..INTERIM_MAX {
        let (head, rest) = match read_head_after(&mut from_outer, &mut bytes, RESPONSE_HEAD_MAX).await? {
            Received::Head { head, rest } => (head, rest),
            Received::Nothing => return Err(io::Error::other("the server ended without an answer")),
            Received::TooMuch => return Err(io::Error::other("the head of the answer is too large")),
        };
        let response = parse_response(&head).map_err(io::Error::other)?;
        if response.status == 101 {
            return Err(io::Error::other("the server changes to another protocol, which nobody asked for"));
        }
        *answered = true;
        to_guest.write_all(&response.write()).await?;
        if response.is_interim() {
            bytes = rest;
            continue;
        }
        let limit = response.body_length(method).unwrap_or(u64::MAX);
        copy(&mut rest.as_slice().chain(from_outer).take(limit), &mut to_guest).await?;
        return Ok(());
    }
    Err(io::Error::other("the server sends no final answer"))
}

//! Event streams, and how they break.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde::Serialize;
use skylift_client::follow::Numbered;

use super::{Answer, DeploymentState, Seen, State};

/// What comes after `Last-Event-ID`, or the tail; then the end, unless the deployment never ends or the script says
/// that the stream breaks.
pub(super) fn sse<T: Numbered + Serialize>(state: &State, seen: &Seen, items: &[T]) -> Answer {
    let query = seen.path.split_once('?').map_or("", |(_, query)| query);
    let asked = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let after: u64 = seen.header("last-event-id").map_or(0, |id| id.parse().unwrap());
    let tail = asked("tail").map_or(0, |tail| (items.len() as u64).saturating_sub(tail.parse().unwrap()));
    let text = |item: &T| {
        let data = serde_json::to_string(item).unwrap();
        format!("id: {}\nevent: x\ndata: {data}\n\n", item.seq() + state.script.id_shift)
    };
    let mut events: Vec<Result<String, std::io::Error>> =
        items.iter().filter(|item| item.seq() > after.max(tail)).map(text).map(Ok).collect();
    let broken_before = state.seen.iter().filter(|other| other.path == seen.path).count() - 1;
    match state.script.breaks {
        Some((path, times, kept)) if seen.path.contains(path) && broken_before < times => {
            events.truncate(kept);
            events.push(Err(std::io::Error::other("broken on purpose")));
        }
        _ => events.push(Ok("event: end\ndata: {}\n\n".to_owned())),
    }
    let is_endless = state.script.ends == Some(DeploymentState::Queued) && asked("follow") != Some("false");
    if is_endless {
        events.pop();
    }
    // Between two events the connection gets a turn to send the first, so that a break comes after what is before it.
    let paced = stream::iter(events).then(|event| async move {
        tokio::task::yield_now().await;
        event.map(|text| Frame::data(Bytes::from(text)))
    });
    let rest = if is_endless { stream::pending().left_stream() } else { stream::empty().right_stream() };
    let body = StreamBody::new(paced.chain(rest)).boxed_unsync();
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

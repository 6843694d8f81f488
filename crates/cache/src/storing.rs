//! Whether an answer may be kept (RFC 9111, 3).

use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};

use crate::Millis;
use crate::ask::Ask;
use crate::freshness::{Freshness, directives_of, is_explicit, is_guessed};
use crate::stored::Stored;
use crate::tags::tags_of;
use crate::vary::Selecting;

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request says so.
    Request,
    /// The answer says so.
    Answer,
    /// It sets a cookie, which is for one visitor.
    Cookie,
    /// It fits no other request.
    Vary,
    /// Answers with such a status are not kept.
    Status,
    /// Nothing says that it may be, or it would never be used.
    Useless,
}

/// Statuses that a cache has to understand before it keeps them, and does.
const UNDERSTOOD: [u16; 14] = [200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501];

/// The answer as it would be kept, but for its body. `answer` has no fields of one connection any more.
pub fn storing(
    ask: &Ask,
    request: &HeaderMap,
    status: StatusCode,
    answer: &HeaderMap,
    (asked, received): (Millis, Millis),
) -> Result<Stored, Refusal> {
    let (directives, _) = directives_of(answer);
    if ask.directives.no_store || ask.is_head {
        return Err(Refusal::Request);
    }
    if directives.private || (directives.no_store && !directives.must_understand) {
        return Err(Refusal::Answer);
    }
    if answer.contains_key(SET_COOKIE) {
        return Err(Refusal::Cookie);
    }
    let partial = matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
    if partial || status.is_informational() || (directives.must_understand && !UNDERSTOOD.contains(&status.as_u16())) {
        return Err(Refusal::Status);
    }
    if !is_explicit(answer) && !directives.public && !is_guessed(status) {
        return Err(Refusal::Status);
    }
    let selecting = Selecting::of(request, answer).ok_or(Refusal::Vary)?;
    let freshness = Freshness::of(status, answer, asked, received);
    let stored =
        Stored { status, headers: answer.clone(), body: Bytes::new(), freshness, selecting, tags: tags_of(answer) };
    let is_of_use = freshness.is_fresh(received)
        || stored.can_be_asked_for()
        || freshness.while_refreshed.is_some()
        || freshness.on_error.is_some();
    if is_of_use { Ok(stored) } else { Err(Refusal::Useless) }
}

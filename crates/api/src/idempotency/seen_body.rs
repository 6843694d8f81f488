//! A body whose digest is known once it was read to its end, however large it is.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use skylift_model::Digest;
use skylift_model::digest::Hasher;

/// What was seen of a body.
#[derive(Debug)]
pub(super) struct Seen(Mutex<Progress>);

enum Progress {
    Reading(Hasher),
    Whole(Digest),
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reading(_) => f.write_str("Reading"),
            Self::Whole(digest) => write!(f, "Whole({digest})"),
        }
    }
}

/// The same body, and what is seen of it.
pub(super) fn watch(body: Body) -> (Body, Arc<Seen>) {
    let seen = Arc::new(Seen(Mutex::new(Progress::Reading(Hasher::new()))));
    if body.is_end_stream() {
        seen.end();
    }
    (Body::new(Watched { body, seen: Arc::clone(&seen) }), seen)
}

/// A body that was read, whoever looks at it afterwards.
pub(super) fn known(bytes: Bytes) -> (Body, Arc<Seen>) {
    let seen = Seen(Mutex::new(Progress::Whole(Digest::of(&bytes))));
    (Body::from(bytes), Arc::new(seen))
}

impl Seen {
    /// The digest of the whole body; `None` before it was read to its end.
    pub(super) fn digest(&self) -> Option<Digest> {
        match &*self.progress() {
            Progress::Reading(_) => None,
            Progress::Whole(digest) => Some(*digest),
        }
    }

    fn add(&self, bytes: &[u8]) {
        if let Progress::Reading(hasher) = &mut *self.progress() {
            hasher.update(bytes);
        }
    }

    fn end(&self) {
        let mut progress = self.progress();
        if let Progress::Reading(hasher) = &mut *progress {
            let whole = std::mem::replace(hasher, Hasher::new()).finish();
            *progress = Progress::Whole(whole);
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Watched {
    body: Body,
    seen: Arc<Seen>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.seen.add(data);
        }
        // A body that broke off was not read to its end, even if it says that nothing follows.
        if frame.is_none() || (matches!(frame, Some(Ok(_))) && self.body.is_end_stream()) {
            self.seen.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_digest_is_that_of_all_pieces_and_only_known_at_the_end() {
        let pieces = ["he", "", "llo"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
        let (mut body, seen) = watch(Body::from_stream(stream::iter(pieces)));
        body.frame().await.unwrap().unwrap();
        assert_eq!(seen.digest(), None);
        body.collect().await.unwrap();
        assert_eq!(seen.digest(), Some(Digest::of(b"hello")));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_has_no_digest() {
        let pieces = [Ok(Bytes::from("he")), Err(std::io::Error::other("gone"))];
        let (body, seen) = watch(Body::from_stream(stream::iter(pieces)));
        assert!(body.collect().await.is_err());
        assert_eq!(seen.digest(), None);
    }

    #[test]
    fn a_body_that_was_read_has_its_digest_though_nobody_looks_at_it() {
        assert_eq!(known(Bytes::from_static(b"hello")).1.digest(), Some(Digest::of(b"hello")));
    }

    #[test]
    fn no_body_is_read_to_its_end_from_the_start() {
        assert_eq!(watch(Body::empty()).1.digest(), Some(Digest::of(b"")));
    }
}

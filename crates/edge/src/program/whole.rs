//! Small answers are passed on whole or not at all: an instance that dies between the head and the end of one has not
//! answered, and where the request allows that, another is asked.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::timeout;

/// Up to this size an answer is small: as much as one that a request may be sent with once more.
pub(crate) const SMALL_BYTES_MAX: u64 = 64 << 10;
/// How long the rest of one may take. What takes longer is passed on as it comes.
pub(crate) const REST_WITHIN: Duration = Duration::from_secs(1);

/// What of a body is here before any of it is passed on. Most come in one piece, which is not copied.
enum Here {
    One(Bytes),
    Several(BytesMut),
}

/// Waits for the body of a small answer whose length is told, and returns what came of it: all, or what a slow one has
/// sent by then. Of any other answer nothing is read.
///
/// # Errors
/// Where it ended before its end.
pub(super) async fn read_small(body: &mut Incoming) -> hyper::Result<Bytes> {
    let mut here = Here::One(Bytes::new());
    if let Some(size @ 1..=SMALL_BYTES_MAX) = body.size_hint().exact() {
        // One that takes its time is a stream.
        timeout(REST_WITHIN, here.fill(body, size)).await.unwrap_or(Ok(()))?;
    }
    Ok(here.into_bytes())
}

impl Here {
    async fn fill(&mut self, body: &mut Incoming, size: u64) -> hyper::Result<()> {
        while self.len() < size {
            let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await else { break };
            if let Ok(data) = frame?.into_data() {
                self.add(data, size);
            }
        }
        Ok(())
    }

    fn len(&self) -> u64 {
        match self {
            Self::One(bytes) => bytes.len() as u64,
            Self::Several(bytes) => bytes.len() as u64,
        }
    }

    fn add(&mut self, data: Bytes, size: u64) {
        match self {
            Self::One(first) if first.is_empty() => *first = data,
            Self::One(first) => {
                let mut all = BytesMut::with_capacity(usize::try_from(size).unwrap_or(0));
                all.extend_from_slice(first);
                all.extend_from_slice(&data);
                *self = Self::Several(all);
            }
            Self::Several(all) => all.extend_from_slice(&data),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::One(bytes) => bytes,
            Self::Several(bytes) => bytes.freeze(),
        }
    }
}

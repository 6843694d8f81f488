//! An answer on its way out: counted, and within its limits.

use std::convert::Infallible;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, Stream, StreamExt, unfold};
use tokio::time::{Instant, timeout_at};

use crate::Trouble;
use crate::meter::Meter;
use crate::turns::Turn;

/// What passes, and what watches over it. To drop it is to end what answers, and to have it counted.
pub(crate) struct Passing {
    pub(crate) body: BoxStream<'static, Result<Bytes, Trouble>>,
    pub(crate) meter: Option<Meter>,
    pub(crate) bytes_max: u64,
    pub(crate) until: Instant,
    pub(crate) within: Duration,
    pub(crate) _turn: Turn,
}

impl Passing {
    /// The next piece; none at the end.
    async fn next(&mut self, passed: &mut u64) -> Result<Option<Bytes>, Trouble> {
        let next = timeout_at(self.until, self.body.next()).await.map_err(|_| Trouble::TooLong(self.within))?;
        let Some(bytes) = next.transpose()? else { return Ok(None) };
        *passed = passed.saturating_add(bytes.len() as u64);
        if *passed > self.bytes_max {
            return Err(Trouble::TooMuch(self.bytes_max));
        }
        if let Some(meter) = &mut self.meter {
            meter.see(&bytes);
        }
        Ok(Some(bytes))
    }

    /// All of it.
    pub(crate) async fn whole(mut self) -> Result<Bytes, Trouble> {
        let (mut all, mut passed) = (BytesMut::new(), 0);
        while let Some(bytes) = self.next(&mut passed).await? {
            all.extend_from_slice(&bytes);
        }
        if let Some(meter) = &mut self.meter {
            meter.is_whole();
        }
        Ok(all.freeze())
    }

    /// Piece by piece. What fails by then is said by the last line.
    pub(crate) fn pieces(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        unfold((Some(self), 0), |(passing, mut passed)| async move {
            let mut passing = passing?;
            match passing.next(&mut passed).await {
                Ok(Some(bytes)) => Some((Ok(bytes), (Some(passing), passed))),
                Ok(None) => None,
                Err(trouble) => {
                    tracing::warn!(%trouble, "an answer of the AI node did not come to its end");
                    Some((Ok(trouble.line()), (None, passed)))
                }
            }
        })
    }
}

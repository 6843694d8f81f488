//! An answer, made or on its way.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;

use crate::access::Recorded;

/// An answer. Small: whoever serves moves it about for every request, and most are made at once.
pub(crate) enum Answer {
    /// Made; `None` once it was taken.
    Now(Option<Box<Response<Recorded>>>),
    /// Something has to be waited for.
    Later(Pin<Box<dyn Future<Output = Response<Recorded>> + Send>>),
}

impl Future for Answer {
    type Output = Result<Response<Recorded>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(response) => match response.take() {
                Some(response) => Poll::Ready(Ok(*response)),
                None => Poll::Pending,
            },
            Self::Later(answer) => answer.as_mut().poll(cx).map(Ok),
        }
    }
}

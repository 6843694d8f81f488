//! The body of an answer.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::stream::FileStream;

/// Why a body ended early. The client sees a cut connection, never an answer that looks complete.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer of the edge or of the control plane.
pub struct EdgeBody(Kind);

enum Kind {
    Bytes(Option<Bytes>),
    File(FileStream),
    Several(VecDeque<EdgeBody>),
    Other(Pin<Box<dyn Body<Data = Bytes, Error = BodyError> + Send>>),
}

impl EdgeBody {
    /// No bytes.
    pub fn empty() -> Self {
        Self(Kind::Bytes(None))
    }

    /// Any body, such as the control plane's.
    pub fn other<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self(Kind::Other(Box::pin(Mapped(Box::pin(body)))))
    }

    /// One body after the other.
    pub(crate) fn several(bodies: impl IntoIterator<Item = Self>) -> Self {
        Self(Kind::Several(bodies.into_iter().filter(|body| !body.is_end_stream()).collect()))
    }

    /// All of a body that is in memory already.
    pub(crate) fn into_bytes(self) -> Option<Bytes> {
        match self.0 {
            Kind::Bytes(bytes) => Some(bytes.unwrap_or_default()),
            Kind::File(_) | Kind::Several(_) | Kind::Other(_) => None,
        }
    }

    pub(crate) fn file(stream: FileStream) -> Self {
        Self(Kind::File(stream))
    }
}

impl From<Bytes> for EdgeBody {
    fn from(bytes: Bytes) -> Self {
        Self(Kind::Bytes(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }
}

impl From<String> for EdgeBody {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl Body for EdgeBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().0 {
            Kind::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::File(stream) => {
                stream.poll_chunk(cx).map(|chunk| chunk.map(|c| c.map(Frame::data).map_err(Into::into)))
            }
            Kind::Several(bodies) => {
                while let Some(body) = bodies.front_mut() {
                    let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
                    if body.is_end_stream() {
                        bodies.pop_front();
                    }
                    if frame.is_some() {
                        return Poll::Ready(frame);
                    }
                }
                Poll::Ready(None)
            }
            Kind::Other(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Bytes(bytes) => bytes.is_none(),
            Kind::File(stream) => stream.remaining() == 0,
            Kind::Several(bodies) => bodies.is_empty(),
            Kind::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Bytes(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::File(stream) => SizeHint::with_exact(stream.remaining()),
            Kind::Several(bodies) => {
                SizeHint::with_exact(bodies.iter().map(|body| body.size_hint().exact().unwrap_or(0)).sum())
            }
            Kind::Other(body) => body.size_hint(),
        }
    }
}

/// A body whose errors are boxed.
struct Mapped<B>(Pin<Box<B>>);

impl<B> Body for Mapped<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.get_mut().0.as_mut().poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

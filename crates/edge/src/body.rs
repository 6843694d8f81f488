//! The body of an answer.

use std::pin::Pin;
use std::task::{Context, Poll};

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
            Kind::Other(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Bytes(bytes) => bytes.is_none(),
            Kind::File(stream) => stream.remaining() == 0,
            Kind::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Bytes(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::File(stream) => SizeHint::with_exact(stream.remaining()),
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

//! What answers: the seam between the HTTP interface and whatever thinks.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use serde_json::{Map, Value};

use crate::Trouble;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    Generate,
    Chat,
    Embed,
    /// The older form of the same, for one text.
    Embeddings,
    Show,
    Tags,
    Version,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Generate, Self::Chat, Self::Embed, Self::Embeddings, Self::Show, Self::Tags, Self::Version];

    /// Its address.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Generate => "/api/generate",
            Self::Chat => "/api/chat",
            Self::Embed => "/api/embed",
            Self::Embeddings => "/api/embeddings",
            Self::Show => "/api/show",
            Self::Tags => "/api/tags",
            Self::Version => "/api/version",
        }
    }

    /// Its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Chat => "chat",
            Self::Embed => "embed",
            Self::Embeddings => "embeddings",
            Self::Show => "show",
            Self::Tags => "tags",
            Self::Version => "version",
        }
    }

    /// Whether it is asked without a body.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Tags | Self::Version)
    }

    /// Whether a model works for it, so that it costs tokens.
    pub const fn is_work(self) -> bool {
        matches!(self, Self::Generate | Self::Chat | Self::Embed | Self::Embeddings)
    }
}

/// One question, its form checked.
#[derive(Clone, Debug)]
pub struct Ask {
    pub endpoint: Endpoint,
    /// The model's name as it was sent; empty where none is needed.
    pub model: String,
    /// The body as it was sent.
    pub body: Bytes,
    /// The same, read.
    pub fields: Map<String, Value>,
}

impl Ask {
    /// Whether the answer is wanted piece by piece, which is usual where there are pieces.
    pub fn is_streamed(&self) -> bool {
        let can = matches!(self.endpoint, Endpoint::Generate | Endpoint::Chat);
        can && self.fields.get("stream").and_then(Value::as_bool) != Some(false)
    }
}

/// How an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line, as soon as there is one.
    Lines,
    /// One JSON object.
    Whole,
}

/// An answer that has begun.
pub struct Answer {
    pub form: Form,
    /// To drop it is to end whatever makes it.
    pub body: BoxStream<'static, Result<Bytes, Trouble>>,
}

/// What answers questions.
pub trait Engine: Send + Sync {
    /// Begins to answer. To drop the future, or the answer, is to end the work.
    fn answer(&self, ask: Ask) -> BoxFuture<'_, Result<Answer, Trouble>>;
}

impl Answer {
    /// One object.
    pub(crate) fn whole(value: &Value) -> Self {
        let bytes = Bytes::from(value.to_string());
        Self { form: Form::Whole, body: Box::pin(futures_util::stream::iter([Ok(bytes)])) }
    }
}

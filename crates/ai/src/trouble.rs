//! Why there is no answer, in the words and the shape that clients of this interface know: `{"error": "…"}`.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;

/// Why a question is not answered, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("missing request body")]
    NoBody,
    #[error("{0}")]
    Malformed(String),
    #[error("model is required")]
    NoModel,
    #[error("model '{0}' not found")]
    UnknownModel(String),
    #[error("the request's body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the request's body did not come to its end")]
    CutShort,
    #[error("there is no such endpoint; there are {0}")]
    NoEndpoint(&'static str),
    #[error("this endpoint does not take this method")]
    Method,
    #[error("this request's key is not known")]
    NoKey,
    #[error("the AI node has as much to do as it takes; try again in a moment")]
    Busy,
    #[error("this key has {0} requests under way, as many as it may have; wait for one of them to end")]
    BusyKey(usize),
    #[error("this run may ask no more: {0}")]
    UsedUp(&'static str),
    #[error("only `{0}` answers here")]
    OtherHost(String),
    #[error("the AI server does not answer ({0}); look whether it runs and whether `[ai] upstream` is its address")]
    Away(String),
    #[error("the AI server was silent for {}; a model that is still being loaded may answer the next request", told(.0))]
    Silent(Duration),
    #[error("the answer took longer than {}; ask for less, such as by `num_predict`", told(.0))]
    TooLong(Duration),
    #[error("the answer is larger than {0} bytes; ask for less")]
    TooMuch(u64),
    #[error("the AI server broke off ({0}); ask again")]
    BrokeOff(String),
    #[error("the AI server failed with {status}: {message}")]
    Failed { status: u16, message: String },
    /// What the server itself says of a request that is not in order.
    #[error("{message}")]
    Refused { status: u16, message: String },
}

fn told(duration: &Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// How soon a busy node is asked again, in seconds.
const AGAIN_AFTER_S: u16 = 1;

impl Trouble {
    /// The status that goes with it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoBody | Self::Malformed(_) | Self::NoModel | Self::CutShort => StatusCode::BAD_REQUEST,
            Self::UnknownModel(_) | Self::NoEndpoint(_) => StatusCode::NOT_FOUND,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoKey => StatusCode::UNAUTHORIZED,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::BusyKey(_) | Self::UsedUp(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::OtherHost(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Silent(_) | Self::TooLong(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Away(_) | Self::TooMuch(_) | Self::BrokeOff(_) | Self::Failed { .. } => StatusCode::BAD_GATEWAY,
            Self::Refused { status, .. } => StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY),
        }
    }

    /// As the last line of an answer that has begun.
    pub(crate) fn line(&self) -> Bytes {
        Bytes::from(format!("{}\n", json!({ "error": self.to_string() })))
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(json!({ "error": self.to_string() }))).into_response();
        let headers = response.headers_mut();
        headers.insert("cache-control", HeaderValue::from_static("no-store"));
        if matches!(self, Self::Busy | Self::BusyKey(_)) {
            headers.insert("retry-after", HeaderValue::from(AGAIN_AFTER_S));
        }
        response
    }
}

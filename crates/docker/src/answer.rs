//! The engine's answer to one request; dropping it closes the connection.

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use crate::engine::EngineError;

/// The most that is read of an answer that is no stream: a list of containers has a few kilobytes for each.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// The most that is told of a refusal.
const COMPLAINT_CHARS_MAX: usize = 500;

pub(crate) struct Answer {
    response: Option<Response<Incoming>>,
    connection: JoinHandle<Result<(), hyper::Error>>,
}

#[derive(Deserialize)]
struct Complaint {
    message: String,
}

impl Answer {
    pub(crate) fn waiting(connection: JoinHandle<Result<(), hyper::Error>>) -> Self {
        Self { response: None, connection }
    }

    pub(crate) fn came(&mut self, response: Response<Incoming>) {
        self.response = Some(response);
    }

    /// The answer, unless it is a refusal.
    pub(crate) async fn checked(mut self) -> Result<Self, EngineError> {
        let status = self.response.as_ref().map(Response::status).unwrap_or_default();
        if status.is_success() {
            return Ok(self);
        }
        let text = self.text().await.unwrap_or_default();
        let complaint = serde_json::from_str(&text).map(|Complaint { message }| message).unwrap_or(text);
        // Some name a path of whatever length a tenant gave it.
        let message = complaint.chars().take(COMPLAINT_CHARS_MAX).collect();
        Err(EngineError::Refused { status, message })
    }

    /// The next piece of it, or `None` at its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, EngineError> {
        let Some(response) = &mut self.response else { return Ok(None) };
        while let Some(frame) = response.frame().await {
            if let Ok(data) = frame.map_err(EngineError::BrokenOff)?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    pub(crate) async fn text(&mut self) -> Result<String, EngineError> {
        let mut text = Vec::new();
        while let Some(piece) = self.next().await? {
            if text.len() + piece.len() > TEXT_BYTES_MAX {
                break;
            }
            text.extend_from_slice(&piece);
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    pub(crate) async fn json<T: DeserializeOwned>(mut self) -> Result<T, EngineError> {
        Ok(serde_json::from_str(&self.text().await?)?)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

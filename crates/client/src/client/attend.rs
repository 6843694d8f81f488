//! Runs that are talked to while they go on: two halves, so that neither waits for the other.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use ring::rand::{SecureRandom, SystemRandom};
use skylift_model::wire::{RunRequest, RunSent, RunTold};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::request::Call;
use crate::{Client, ClientError};

type Line = WebSocketStream<TokioIo<Upgraded>>;

/// What is told of a run.
pub struct Told {
    client: Client,
    line: SplitStream<Line>,
}

/// What is sent to a run. With both halves goes the run.
pub struct Sends {
    client: Client,
    line: SplitSink<Line, Message>,
}

impl Client {
    /// Has code run, and stays with it.
    pub async fn attend(&self, request: &RunRequest) -> Result<(Told, Sends), ClientError> {
        let mut key = [0; 16];
        SystemRandom::new().fill(&mut key).map_err(|_| self.protocol("no random numbers"))?;
        let call = Call::get("/v1/runs/connect").websocket(BASE64_STANDARD.encode(key));
        let response = self.send(call).await?;
        let stream = hyper::upgrade::on(response).await.map_err(|error| self.unreachable(error))?;
        let line = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Client, None).await;
        let (line, told) = line.split();
        let mut sends = Sends { client: self.clone(), line };
        // Wire types are plain structs with string keys: serialising them cannot fail.
        sends.text(serde_json::to_string(request).unwrap_or_default()).await?;
        Ok((Told { client: self.clone(), line: told }, sends))
    }
}

impl Told {
    /// What is told next. May be dropped and asked again: nothing is lost by that.
    pub async fn next(&mut self) -> Result<RunTold, ClientError> {
        loop {
            match self.line.next().await {
                Some(Ok(Message::Text(text))) => {
                    let told = serde_json::from_str(&text);
                    return told.map_err(|error| self.client.protocol(format!("JSON that does not fit: {error}")));
                }
                Some(Ok(Message::Close(_))) | None => {
                    return Err(self.client.unreachable("the connection ended before the run"));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.client.unreachable(error)),
            }
        }
    }
}

impl Sends {
    /// Sends something; waits where the run takes no more at the moment.
    pub async fn send(&mut self, sent: &RunSent) -> Result<(), ClientError> {
        self.text(serde_json::to_string(sent).unwrap_or_default()).await
    }

    async fn text(&mut self, text: String) -> Result<(), ClientError> {
        self.line.send(Message::text(text)).await.map_err(|error| self.client.unreachable(error))
    }
}

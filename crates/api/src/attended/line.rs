//! A WebSocket, and how long its client is waited for.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use tokio::time::timeout;

/// How long a client may take to take a message.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// How long it may take to say farewell, so that no reset overtakes ours.
const FAREWELL: Duration = Duration::from_secs(2);

/// The client has gone, or is as good as gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// How a connection is closed: a code of RFC 6455 §7.4, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Close(pub(crate) u16, pub(crate) &'static str);

/// What came first.
pub(crate) enum First {
    Text(String),
    /// Nothing in time.
    Late,
    Gone,
}

/// A connection.
pub(crate) struct Line(pub(crate) WebSocket);

impl Line {
    /// The first message, where it comes in time.
    pub(crate) async fn first(&mut self, within: Duration) -> First {
        let heard = async {
            loop {
                if let Some(text) = self.hear().await? {
                    return Ok::<_, Gone>(text);
                }
            }
        };
        match timeout(within, heard).await {
            Ok(Ok(text)) => First::Text(text),
            Ok(Err(Gone)) => First::Gone,
            Err(_) => First::Late,
        }
    }

    /// The next message; `None` for one that says nothing but that the client is there.
    pub(crate) async fn hear(&mut self) -> Result<Option<String>, Gone> {
        match self.0.recv().await {
            Some(Ok(Message::Text(text))) => Ok(Some(text.as_str().to_owned())),
            // Some clients send their text so; what is none is no JSON either.
            Some(Ok(Message::Binary(bytes))) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
            // Its own farewell is answered by the library.
            Some(Ok(Message::Close(_))) | None => Err(Gone),
            Some(Err(error)) => {
                tracing::debug!(%error, "a WebSocket broke");
                // Too long, or no WebSocket's frame.
                let _ = timeout(FAREWELL, self.close(Close(1009, "too long, or not a message"))).await;
                Err(Gone)
            }
        }
    }

    pub(crate) async fn say(&mut self, text: String) -> Result<(), Gone> {
        self.send(Message::text(text)).await
    }

    pub(crate) async fn say_all(&mut self, texts: Vec<String>) -> Result<(), Gone> {
        for text in texts {
            self.say(text).await?;
        }
        Ok(())
    }

    pub(crate) async fn ping(&mut self) -> Result<(), Gone> {
        self.send(Message::Ping(Default::default())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(TAKEN_WITHIN, self.0.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    async fn close(&mut self, Close(code, reason): Close) -> Result<(), Gone> {
        self.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await
    }

    /// Says the last, closes, and waits for the other side to do so.
    pub(crate) async fn part(mut self, texts: Vec<String>, close: Close) {
        let said = async {
            self.say_all(texts).await?;
            self.close(close).await
        };
        if said.await.is_ok() {
            let _ = timeout(FAREWELL, async { while let Some(Ok(_)) = self.0.recv().await {} }).await;
        }
    }
}

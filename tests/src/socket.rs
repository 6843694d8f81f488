//! A client of WebSockets that say JSON.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::wait::PATIENCE;

/// An open one.
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens one; else what was answered.
    pub async fn open(to: SocketAddr, host: &str, path: &str, fields: &[(&str, &str)]) -> Result<Self, (u16, String)> {
        let stream = TcpStream::connect(to).await.unwrap();
        let request = http_request(host, path, fields);
        match timeout(PATIENCE, tokio_tungstenite::client_async(request, stream)).await.expect("an answer in time") {
            Ok((stream, _)) => Ok(Self(stream)),
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8_lossy(&body).into_owned()))
            }
            Err(error) => panic!("no WebSocket: {error}"),
        }
    }

    /// Says something.
    pub async fn say(&mut self, value: &Value) {
        self.text(&value.to_string()).await;
    }

    /// Says it as it is.
    pub async fn text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// What is said next.
    pub async fn hear(&mut self) -> Value {
        loop {
            match self.next().await {
                Some(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("nothing is said, but {other:?}"),
            }
        }
    }

    /// Everything that is said until the other side closes, and how it does.
    pub async fn rest(mut self) -> (Vec<Value>, Option<(u16, String)>) {
        let mut said = Vec::new();
        loop {
            match self.next().await {
                Some(Message::Text(text)) => said.push(serde_json::from_str(&text).unwrap()),
                Some(Message::Close(close)) => {
                    return (said, close.map(|close| (close.code.into(), close.reason.to_string())));
                }
                Some(_) => {}
                None => return (said, None),
            }
        }
    }

    async fn next(&mut self) -> Option<Message> {
        timeout(PATIENCE, self.0.next()).await.expect("a message in time").map(Result::unwrap)
    }
}

fn http_request(
    host: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> tokio_tungstenite::tungstenite::handshake::client::Request {
    let mut request = tokio_tungstenite::tungstenite::http::Request::get(format!("ws://{host}{path}"))
        .header("host", host)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

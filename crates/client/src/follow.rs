//! A stream of numbered things over server-sent events, taken up again where a connection broke.
//!
//! ```text
//!           ┌───── broke, or the caller asks again ─────┐
//!           ▼                                           │
//!     connecting ──▶ reading ──▶ ended (by the server) ─┘
//!           │           └──────▶ over (`event: end`, or 204)
//!           └──▶ failed (refused, or unreachable for too long)
//! ```

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::time::Duration;

use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use skylift_model::wire::{Event, LogLine};

use crate::request::Call;
use crate::sse::{Frame, Parser};
use crate::{Client, ClientError};

/// A server sends a comment at least this often; silence means that the connection is dead.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long to wait before each attempt to take a broken stream up again: half a minute of a server's absence.
const RESUME_AFTER_MS: [u64; 14] = [0, 100, 250, 500, 1000, 2000, 3000, 3000, 3000, 3000, 3000, 3000, 3000, 3000];

/// Something with a place in its stream.
pub trait Numbered: DeserializeOwned {
    /// Its place, counted from 1; also the id of its server-sent event.
    fn seq(&self) -> u64;
}

impl Numbered for Event {
    fn seq(&self) -> u64 {
        self.seq
    }
}

impl Numbered for LogLine {
    fn seq(&self) -> u64 {
        self.seq
    }
}

/// A stream of events or log lines. Each comes once and in order, whatever happens to connections in between.
pub struct Follow<T> {
    client: Client,
    path: String,
    tail: Option<u64>,
    seen: Option<u64>,
    connection: Option<(Incoming, Parser)>,
    pending: VecDeque<Frame>,
    failures: usize,
    reached: bool,
    over: bool,
    item: PhantomData<fn() -> T>,
}

/// What came next on a connection.
enum Read {
    Frames,
    End,
    Broken(ClientError),
}

impl<T: Numbered> Follow<T> {
    pub(crate) fn new(client: Client, path: String) -> Self {
        let (pending, item) = (VecDeque::new(), PhantomData);
        Self {
            client,
            path,
            tail: None,
            seen: None,
            connection: None,
            pending,
            failures: 0,
            reached: false,
            over: false,
            item,
        }
    }

    /// Begins with the last `tail` ones.
    pub(crate) fn tail(mut self, tail: Option<u64>) -> Self {
        self.tail = tail;
        self
    }

    /// The next one; `None` where the server ended the stream. Unless [`Self::is_over`], asking again after that
    /// connects again and goes on after the last one seen.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            while let Some(frame) = self.pending.pop_front() {
                if let Some(item) = self.read_frame(&frame)? {
                    self.failures = 0;
                    return Ok(Some(item));
                }
            }
            if self.over {
                return Ok(None);
            }
            if self.connection.is_none()
                && let Err(error) = self.connect().await
            {
                self.wait_after(error).await?;
                continue;
            }
            match self.read().await? {
                Read::Frames => {}
                Read::End => return Ok(None),
                Read::Broken(error) => self.wait_after(error).await?,
            }
        }
    }

    /// Whether the server said that nothing more will ever come.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Everything up to the end of the stream.
    pub async fn collect(mut self) -> Result<Vec<T>, ClientError> {
        let mut items = Vec::new();
        while let Some(item) = self.next().await? {
            items.push(item);
        }
        Ok(items)
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        let call = Call::get(self.place()).accept("text/event-stream, application/json;q=0.5").last_event_id(self.seen);
        let response = self.client.send_once(&call).await?;
        self.reached = true;
        if response.status() == StatusCode::NO_CONTENT {
            self.over = true;
            return Ok(());
        }
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match media_type.split(';').next().unwrap_or_default().trim() {
            "text/event-stream" => self.connection = Some((response.into_body(), Parser::default())),
            "application/json" => {
                let body = response.into_body().collect().await.map_err(|error| self.client.unreachable(error))?;
                self.pending = self.document(&body.to_bytes())?;
                self.over = true;
            }
            other => return Err(self.client.protocol(format!("`{other}` where a stream of events was expected"))),
        }
        Ok(())
    }

    /// Where to connect. What came while the stream was broken must all be had: the tail only counts at first.
    fn place(&self) -> String {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        match self.tail.filter(|_| self.seen.is_none()) {
            Some(tail) => format!("{}{separator}tail={tail}", self.path),
            None => self.path.clone(),
        }
    }

    /// A log that does not grow may also be answered as one document.
    fn document(&self, body: &[u8]) -> Result<VecDeque<Frame>, ClientError> {
        #[derive(Deserialize)]
        struct Lines {
            lines: Vec<serde_json::Value>,
        }
        let lines: Lines = serde_json::from_slice(body).map_err(|error| self.client.protocol(error.to_string()))?;
        Ok(lines.lines.into_iter().map(|line| Frame { data: line.to_string(), ..Frame::default() }).collect())
    }

    async fn read(&mut self) -> Result<Read, ClientError> {
        let Some((body, parser)) = &mut self.connection else { return Ok(Read::Frames) };
        let broken = match tokio::time::timeout(SILENCE_MAX, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                let Ok(bytes) = frame.into_data() else { return Ok(Read::Frames) };
                let frames = parser.push(&bytes).map_err(|error| self.client.protocol(error.to_string()))?;
                self.pending.extend(frames);
                return Ok(Read::Frames);
            }
            Ok(None) => {
                self.connection = None;
                return Ok(Read::End);
            }
            Ok(Some(Err(error))) => self.client.unreachable(error),
            Err(_) => self.client.unreachable("the stream went silent"),
        };
        self.connection = None;
        Ok(Read::Broken(broken))
    }

    /// The item of a frame; `None` for one that was seen already or carries none.
    fn read_frame(&mut self, frame: &Frame) -> Result<Option<T>, ClientError> {
        match frame.event.as_str() {
            "end" => {
                (self.over, self.connection) = (true, None);
                return Ok(None);
            }
            "ping" => return Ok(None),
            _ => {}
        }
        let item: T = serde_json::from_str(&frame.data)
            .map_err(|error| self.client.protocol(format!("an event that does not fit: {error}")))?;
        if frame.id.as_ref().is_some_and(|id| id.parse() != Ok(item.seq())) {
            return Err(self.client.protocol("an event whose id is not its number"));
        }
        if self.seen.is_some_and(|seen| item.seq() <= seen) {
            return Ok(None);
        }
        self.seen = Some(item.seq());
        Ok(Some(item))
    }

    /// Waits before the next attempt, or gives up.
    async fn wait_after(&mut self, error: ClientError) -> Result<(), ClientError> {
        let is_away = error.is_connection() || matches!(error, ClientError::Api { status: 503, .. });
        // A server that was never reached is more likely a wrong address than one that restarts.
        let patience = if self.reached { RESUME_AFTER_MS.len() } else { 4 };
        let Some(wait) = RESUME_AFTER_MS.get(self.failures).filter(|_| is_away && self.failures < patience) else {
            return Err(error);
        };
        self.failures += 1;
        tokio::time::sleep(Duration::from_millis(*wait)).await;
        Ok(())
    }
}

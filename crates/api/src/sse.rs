//! Server-sent events: what is stored, then what comes, resumable by `Last-Event-ID`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Serialize;
use skylift_bus::{Message, Subscription};
use skylift_model::{DeploymentId, DeploymentState, InstanceState};
use skylift_store::{InstanceRow, StoreError};

use crate::attached::Client;
use crate::services::Services;

/// How often the store is looked at without a wake-up, and a comment keeps the connection alive.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How many lines are read at once.
const PAGE: u32 = 500;

/// What is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    Events,
    Logs,
    /// What one instance of the deployment prints, until it has ended.
    Instance(Box<InstanceRow>),
}

/// Where a stream begins and when it ends.
pub(crate) struct Range {
    /// The number of the last line or event the client has.
    pub(crate) after: u64,
    /// Whether it goes on until the deployment has settled, or ends with what is stored.
    pub(crate) follow: bool,
    /// Whether it goes on for as long as the deployment runs.
    pub(crate) running: bool,
}

struct Follower {
    services: Arc<Services>,
    subscription: Subscription,
    deployment: DeploymentId,
    what: Follow,
    range: Range,
    ready: VecDeque<Frame>,
    /// The client whose command it is, where it says so.
    _client: Option<Client>,
    /// Whether the edges were waited for.
    waited: bool,
    ended: bool,
}

/// The number that the client says it has seen.
pub(crate) fn last_event_id(headers: &HeaderMap) -> u64 {
    headers.get("last-event-id").and_then(|id| id.to_str().ok()?.trim().parse().ok()).unwrap_or(0)
}

/// A stream of a deployment's events or log lines, for the client whose command it may be. It closes after an `end` event once the deployment has settled.
pub(crate) fn stream(
    services: Arc<Services>,
    deployment: DeploymentId,
    what: Follow,
    range: Range,
    client: Option<Client>,
) -> Sse<impl Stream<Item = Result<Frame, Infallible>>> {
    // Subscribed before the first read, so that nothing falls between.
    let subscription = services.bus.subscribe();
    let follower = Follower {
        services,
        subscription,
        deployment,
        what,
        range,
        ready: VecDeque::new(),
        _client: client,
        waited: false,
        ended: false,
    };
    let frames = unfold(follower, |mut follower| async move {
        let frame = follower.next().await?;
        Some((Ok(frame), follower))
    });
    Sse::new(frames).keep_alive(KeepAlive::new().interval(LOOK_EVERY))
}

impl Follower {
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.ended {
                return None;
            }
            // The state is read before the lines: what was written before it settled is then among them.
            let settled = match self.settled().await {
                Ok(settled) => settled,
                Err(_) => return None,
            };
            let grew = self.read().await.ok()?;
            if grew {
                continue;
            }
            if settled || !self.range.follow {
                self.ended = true;
                return Some(Frame::default().event("end").data("{}"));
            }
            let mut stopping = self.services.stopping.clone();
            tokio::select! {
                () = self.wait() => {}
                // Without `end`: the client comes back, to this platform started again, with what it has seen.
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
    }

    /// Whether the deployment has settled; "live" only once every edge serves it.
    async fn settled(&mut self) -> Result<bool, StoreError> {
        if let Follow::Instance(row) = &self.what {
            return match self.services.store.instance(row.id.clone()).await {
                Ok(row) => Ok(row.state == InstanceState::Ended),
                Err(StoreError::NotFound(_)) => Ok(true),
                Err(error) => Err(error),
            };
        }
        let row = self.services.store.deployment(self.deployment.clone()).await?;
        if row.state == DeploymentState::Live && !self.waited {
            self.services.wait_until_served(&row).await?;
            self.waited = true;
        }
        Ok(row.state.is_settled() && !(self.range.running && row.runs && row.state == DeploymentState::Live))
    }

    async fn read(&mut self) -> Result<bool, StoreError> {
        let (store, id) = (&self.services.store, self.deployment.clone());
        match &self.what {
            Follow::Instance(row) => {
                let step = row.log_step().to_owned();
                for line in store.log_lines_of(id, step, self.range.after, PAGE).await? {
                    self.push(line.seq, "log", &line);
                }
            }
            Follow::Logs => {
                for line in store.log_lines(id, self.range.after, PAGE).await? {
                    self.push(line.seq, "log", &line);
                }
            }
            Follow::Events => {
                for event in store.events(id, self.range.after).await? {
                    self.push(event.seq, "state", &event);
                }
            }
        }
        Ok(!self.ready.is_empty())
    }

    fn push(&mut self, seq: u64, kind: &str, value: &impl Serialize) {
        self.range.after = seq;
        if let Ok(json) = serde_json::to_string(value) {
            self.ready.push_back(Frame::default().id(seq.to_string()).event(kind).data(json));
        }
    }

    async fn wait(&mut self) {
        let (id, what) = (&self.deployment, &self.what);
        let concerns = |message: &Message| match (message, what) {
            (Message::LogGrew(about) | Message::DeploymentChanged(about), _) => about == id,
            (Message::InstancesChanged(app), Follow::Instance(row)) => *app == row.app,
            _ => false,
        };
        let _ = tokio::time::timeout(LOOK_EVERY, self.subscription.wait_for(concerns)).await;
    }
}

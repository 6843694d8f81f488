//! A run's events: of one that is kept, from wherever the client was; of one that is streamed, as they come.

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
use skylift_model::run::{Ending, Job, RunState};
use skylift_model::wire::Code;
use skylift_model::{RunId, Timestamp, TokenId};
use skylift_queue::{Live, Printed, Seen};
use skylift_store::RunRow;
use tokio::sync::watch;

use super::pieces::{Position, Stage, frame, frames};
use super::view;
use crate::attended::Begun;
use crate::error::ApiError;
use crate::services::Services;

/// How often the row is looked at without a wake-up.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// What is told of a run that goes on.
#[derive(Serialize)]
struct Now<'a> {
    id: &'a RunId,
    state: RunState,
}

fn tell<S: Stream<Item = Result<Frame, Infallible>> + Send + 'static>(
    frames: S,
) -> Sse<impl Stream<Item = Result<Frame, Infallible>>> {
    Sse::new(frames).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// Where a client says that it was. Nowhere yet where it says nothing: so a browser says it that was told no id.
///
/// # Errors
/// For what was never an id of a run's events. To begin again would tell twice what was told; a browser takes 400 for the end.
pub(super) fn position(headers: &HeaderMap) -> Result<Position, ApiError> {
    let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) else { return Ok(Position::default()) };
    let position = id.to_str().ok().and_then(|id| Position::parse(id.trim()));
    position.ok_or_else(|| {
        let hint = "send the `id` of the last event that came, as it was; leave it out to have them all";
        ApiError::new(Code::BadRequest, "`Last-Event-ID` is no id of this stream's events", hint)
    })
}

/// Follows a run that is kept.
struct Follower {
    services: Arc<Services>,
    subscription: Subscription,
    id: RunId,
    of: Option<TokenId>,
    job: Job,
    position: Position,
    ready: VecDeque<Frame>,
    ended: bool,
}

/// The events of a run that is kept, from where the client was; they end with its end.
pub(super) fn follow(
    services: Arc<Services>,
    id: RunId,
    of: Option<TokenId>,
    job: Job,
    position: Position,
) -> Sse<impl Stream<Item = Result<Frame, Infallible>>> {
    let subscription = services.bus.subscribe();
    let (ready, ended) = (VecDeque::new(), false);
    let follower = Follower { services, subscription, id, of, job, position, ready, ended };
    tell(unfold(follower, |mut follower| async move { Some((Ok(follower.next().await?), follower)) }))
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
            // Looked for before the row: whatever ends between the two has a row that says so.
            let live = self.services.queue.live.find(&self.id).map(|live| (live.follow(), live));
            // The client comes back with what it has seen.
            let row = self.services.store.run(self.id.clone(), self.of.clone()).await.ok()?;
            self.look(&row, live.as_ref().map(|(_, live)| live.as_ref())).await?;
            if self.ready.is_empty() && !self.ended {
                let mut stopping = self.services.stopping.clone();
                tokio::select! {
                    () = self.wait(live) => {}
                    _ = stopping.wait_for(|stopping| *stopping) => return None,
                }
            }
        }
    }

    /// Tells what there is to tell.
    async fn look(&mut self, row: &RunRow, live: Option<&Live>) -> Option<()> {
        let encoding = self.job.encoding;
        if row.state.is_settled() {
            let ending = self.services.queue.ending(row).await.ok()?;
            if let Some(new) = ending.as_ref().and_then(|ending| rest(ending, self.position.seen)) {
                self.ready.extend(frames(&new, &mut self.position, encoding, true));
            }
            let run = view::kept(row, &self.job, ending);
            self.ready.push_back(frame(row.state.as_str(), &self.position.at(Stage::Settled), &run));
            self.ended = true;
            return Some(());
        }
        let new = live.map(|live| live.since(self.position.seen)).unwrap_or_default();
        // What prints runs, though its row may not say so yet.
        let runs = row.state == RunState::Running || new != Printed::default();
        let (stage, state) = if runs { (Stage::Running, RunState::Running) } else { (Stage::Queued, RunState::Queued) };
        // What waits again, because its worker vanished, was told to run.
        if stage > self.position.stage {
            let now = Now { id: &self.id, state };
            self.ready.push_back(frame(state.as_str(), &self.position.at(stage), &now));
        }
        self.ready.extend(frames(&new, &mut self.position, encoding, false));
        Some(())
    }

    async fn wait(&mut self, live: Option<(watch::Receiver<Seen>, Arc<Live>)>) {
        let id = &self.id;
        let concerns = |message: &Message| match message {
            Message::RunBegan(began) => began == id,
            Message::RunsSettled(ids) => ids.contains(id),
            _ => false,
        };
        // Since before what it printed was looked at.
        let grown = async {
            let Some((mut follow, _live)) = live else { return std::future::pending().await };
            let _ = follow.changed().await;
        };
        tokio::select! {
            () = self.subscription.wait_for(concerns) => {}
            () = grown => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// What a client has not seen of what a run printed that is over; none where there were several inputs, each with its own.
fn rest(ending: &Ending, seen: Seen) -> Option<Printed> {
    let [step] = ending.steps.as_slice() else { return None };
    let rest = |stream: &[u8], from: usize| stream.get(from..).unwrap_or_default().to_vec();
    Some(Printed { stdout: rest(&step.stdout, seen.stdout), stderr: rest(&step.stderr, seen.stderr) })
}

/// A run that goes on while its client listens; where that goes, so does the run. It goes on by itself: who takes nothing of it does not hold up its limits.
struct Streamed {
    job: Job,
    begun: Begun,
    follow: watch::Receiver<Seen>,
    position: Position,
    created_at: Timestamp,
    ready: VecDeque<Frame>,
    /// After it has ended.
    over: bool,
}

/// The events of a run that begins now.
pub(super) fn stream(
    job: Job,
    begun: Begun,
    created_at: Timestamp,
) -> Sse<impl Stream<Item = Result<Frame, Infallible>>> {
    let (position, ready) = (Position::default(), VecDeque::new());
    let follow = begun.live.follow();
    let streamed = Streamed { job, begun, follow, position, created_at, ready, over: false };
    tell(unfold(streamed, |mut streamed| async move { Some((Ok(streamed.next().await?), streamed)) }))
}

impl Streamed {
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.over {
                return None;
            }
            let ended = tokio::select! {
                biased;
                ended = self.begun.ended() => Some(ended),
                _ = self.follow.changed() => None,
            };
            match ended {
                None => self.heard(),
                Some(ended) => self.ended(ended),
            }
        }
    }

    fn began(&mut self) {
        let began = self.follow.borrow_and_update().began;
        if began && !self.position.seen.began {
            self.position.seen.began = true;
            let now = Now { id: &self.job.id, state: RunState::Running };
            self.ready.push_back(frame("running", &self.position.at(Stage::Running), &now));
        }
    }

    fn heard(&mut self) {
        self.began();
        let new = self.begun.live.since(self.position.seen);
        self.ready.extend(frames(&new, &mut self.position, self.job.encoding, false));
    }

    fn ended(&mut self, ended: Result<Ending, ApiError>) {
        self.over = true;
        // It may have been over before anybody looked.
        self.began();
        match ended {
            Ok(ending) => {
                let new = rest(&ending, self.position.seen).unwrap_or_default();
                self.ready.extend(frames(&new, &mut self.position, self.job.encoding, true));
                let run = view::ended(&self.job, ending, u64::MAX, self.created_at);
                self.ready.push_back(frame("done", &self.position.at(Stage::Settled), &run));
            }
            Err(error) => self.ready.push_back(frame("error", &self.position.at(Stage::Settled), error.body())),
        }
    }
}

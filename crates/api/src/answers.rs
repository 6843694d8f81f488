//! Answers of runs on their way to their clients: what each holds until it has been taken.
//!
//! ```text
//! handler: claims room, makes the answer ──Hold (extension)──▶ layer: tops the room up ──▶ Sending (body) ──its last piece──▶ let go
//! ```
//!
//! A client that reads nothing holds its key's place and the room that its answer takes. Whatever is let go of is so before the last
//! piece is on its way: who has all of an answer may ask for the next.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Body as _, Frame, SizeHint};
use skylift_model::run::{Ending, Step};
use skylift_model::wire::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::allowance::Turn;
use crate::error::ApiError;

/// How many bytes large answers of runs may have together, in this process, from when they are made until their clients have taken them: those
/// of eight runs that print as much as a run ever may.
const BUDGET_BYTES: u64 = 256 << 20;
/// How many bytes an answer may have that takes no room: as much waits in a connection anyway.
const SMALL_BYTES_MAX: u64 = 256 << 10;
/// Room is counted in these.
const UNIT_BYTES: u64 = 1 << 10;
/// How many bytes may wait for room that are there already, as what a run came to that has just ended. More are refused at once.
const WAITING_BYTES: u64 = 64 << 20;
/// How long an answer that is to be made waits for room.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many bytes are handed on at once.
const PIECE_BYTES: usize = 64 << 10;

/// Room for answers that wait for their clients. All clones are the same room.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    /// For what waits for that.
    waiting: Arc<Semaphore>,
    units: u32,
    patience: Duration,
}

/// What an answer takes of it.
pub(crate) type Room = Option<OwnedSemaphorePermit>;

impl Default for Budget {
    fn default() -> Self {
        Self::of(BUDGET_BYTES, PATIENCE)
    }
}

impl Budget {
    fn of(bytes: u64, patience: Duration) -> Self {
        let units = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX);
        let waiting = Arc::new(Semaphore::new((WAITING_BYTES / UNIT_BYTES) as usize));
        Self { waiting, free: Arc::new(Semaphore::new(units as usize)), units, patience }
    }

    /// Room for an answer of about so many bytes that is to be made; the largest of all has all of it for itself.
    ///
    /// # Errors
    /// 503 where there is none for a while.
    pub(crate) async fn claim(&self, bytes: u64) -> Result<Room, ApiError> {
        let Some(units) = self.units(bytes) else { return Ok(None) };
        let room = timeout(self.patience, self.free.clone().acquire_many_owned(units)).await;
        room.ok().and_then(Result::ok).map(Some).ok_or_else(no_room)
    }

    /// The same for what is in memory already while it waits.
    ///
    /// # Errors
    /// 503 where there is none for a while, or too much waits for it.
    pub(crate) async fn claim_for(&self, ending: &Ending) -> Result<Room, ApiError> {
        self.claim_held(bytes_of(ending)).await
    }

    async fn claim_held(&self, bytes: u64) -> Result<Room, ApiError> {
        if let Ok(room) = self.top_up(bytes, 0) {
            return Ok(room);
        }
        let units = self.units(bytes).unwrap_or_default();
        let _waits = self.waiting.try_acquire_many(units).map_err(|_| no_room())?;
        self.claim(bytes).await
    }

    /// What an answer of so many bytes takes beyond what was claimed for it. It is there, and is not kept waiting.
    fn top_up(&self, bytes: u64, claimed: u32) -> Result<Room, ApiError> {
        let missing = self.units(bytes).unwrap_or_default().saturating_sub(claimed);
        if missing == 0 {
            return Ok(None);
        }
        self.free.clone().try_acquire_many_owned(missing).map(Some).map_err(|_| no_room())
    }

    fn units(&self, bytes: u64) -> Option<u32> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        (bytes > SMALL_BYTES_MAX).then_some(units.min(self.units))
    }
}

fn no_room() -> ApiError {
    ApiError::new(
        Code::Unavailable,
        "too many large answers wait for their clients to read them",
        "try again in a moment; what a run with `async` or `ttl_s` came to can be asked for again",
    )
}

/// About how many bytes an answer has that tells a run's end: in base 64.
fn bytes_of(ending: &Ending) -> u64 {
    let step = |step: &Step| step.stdout.len() + step.stderr.len();
    let compiled = ending.compile.as_ref().map_or(0, |compiled| step(&compiled.step));
    let printed: usize = ending.steps.iter().map(step).sum();
    let files: usize = ending.files.iter().map(|taken| taken.file.bytes.len()).sum();
    (compiled + printed + files) as u64 * 4 / 3
}

/// What an answer holds until its last piece is on its way, or its connection gone.
#[derive(Clone, Default)]
pub(crate) struct Hold {
    _turn: Option<Arc<Turn>>,
    room: Option<Arc<OwnedSemaphorePermit>>,
}

impl Hold {
    pub(crate) fn new(turn: Option<Arc<Turn>>, room: Room) -> Self {
        Self { _turn: turn, room: room.map(Arc::new) }
    }

    /// An answer that holds this. It takes effect in [`layer`], outside of whatever reads answers.
    pub(crate) fn until_sent(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }
}

/// Around the endpoints of runs.
pub(crate) async fn layer(State(budget): State<Budget>, request: Request, next: Next) -> Response {
    hold(&budget, next.run(request).await).unwrap_or_else(IntoResponse::into_response)
}

/// The same around all endpoints, for those of runs.
pub(crate) async fn layer_of_runs(State(budget): State<Budget>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_of_runs = path == "/run" || path == "/v1/runs" || path.starts_with("/v1/runs/");
    if is_of_runs { layer(State(budget), request, next).await } else { next.run(request).await }
}

fn hold(budget: &Budget, mut response: Response) -> Result<Response, ApiError> {
    let hold = response.extensions_mut().remove::<Hold>().unwrap_or_default();
    let claimed = hold.room.as_ref().map_or(0, |room| u32::try_from(room.num_permits()).unwrap_or(u32::MAX));
    let more = budget.top_up(response.body().size_hint().lower(), claimed)?;
    Ok(response.map(|body| Body::new(Sending { body, rest: Bytes::new(), held: Some((hold, more)) })))
}

/// A body that goes out in pieces, so that no more of it waits in a connection than that takes, and holds something meanwhile.
struct Sending<T> {
    body: Body,
    /// Of what came of it last.
    rest: Bytes,
    held: Option<T>,
}

impl<T: Unpin> http_body::Body for Sending<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.held = None;
                    return Poll::Ready(None);
                }
            }
        }
        let length = self.rest.len().min(PIECE_BYTES);
        // A copy: a part of the whole would keep all of it in memory.
        let piece = Bytes::copy_from_slice(&self.rest.split_to(length));
        if self.rest.is_empty() {
            // Not an empty part of the whole either.
            self.rest = Bytes::new();
        }
        if self.is_end_stream() {
            self.held = None;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        // The greatest first: a least that is greater panics.
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(body.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
mod tests;

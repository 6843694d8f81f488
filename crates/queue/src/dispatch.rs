//! A worker: takes runs, has them run, writes what came of them, until it is told to stop.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use skylift_bus::{Message, Received};
use skylift_model::run::{Ending, Job};
use skylift_model::{RunId, chain};
use skylift_store::{StoreError, TakenRun};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::ahead::Pace;
use crate::begun::Begun;
use crate::duty::{Duty, Load};
use crate::live::Live;
use crate::settle::{self, Settled};
use crate::{Queue, document};

/// How long a run is held before that must be renewed.
const LEASE: Duration = Duration::from_secs(15);
const RENEW_EVERY: Duration = Duration::from_secs(4);
/// How often it is looked for runs without having been woken: messages may be lost, times to wait pass.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long what runs goes on once the worker has been told to stop; then it is given back.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// From when on a run takes long: what waits here for its place is for others, or is queued as before.
const STUCK_AFTER: Duration = Duration::from_secs(1);
/// What has ended and is not written yet.
const UNWRITTEN_MAX: usize = 256;

/// Why a run was not run to its end: not for what the code does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It could not be run, or not further; it is tried again some times.
    Fault(String),
    /// It was not begun, since its key may not have it begun now: as if nobody had taken it.
    HeldBack,
}

/// Who runs them.
pub trait Execute: Send + Sync {
    /// Runs a job to its end; to drop it is to end what runs. Whatever the code does is an ending. What it prints is told as it does;
    /// `taken` is the run.
    fn execute<'r>(&'r self, job: Job, taken: &'r TakenRun, live: Arc<Live>) -> BoxFuture<'r, Result<Ending, Failed>>;
}

/// A worker of the queue.
pub struct Dispatch {
    pub queue: Queue,
    pub execute: Arc<dyn Execute>,
    /// What it is called.
    pub name: String,
    /// How many it runs at the same time.
    pub at_once: usize,
    /// Where it tells how much it has to do.
    pub load: Arc<Load>,
    /// Whether it is to take any: may change at any time.
    pub duty: watch::Receiver<Duty>,
}

/// What the loop knows.
struct State {
    running: JoinSet<Over>,
    /// Those that run, how each is ended, and since when it runs.
    held: HashMap<RunId, Held>,
    /// Those that were taken and wait for one to end.
    ahead: VecDeque<TakenRun>,
    /// Those that were begun and are not noted yet.
    begun: Begun,
    pace: Pace,
    /// Whether there may be more to take.
    may_have_more: bool,
    /// Whether nobody said so: it is only looked now and then.
    only_looks: bool,
}

type Held = (TakenRun, AbortHandle, Instant);

impl State {
    /// Whether every place is taken by a run that takes long, whatever those before it took: what was taken ahead is others' then.
    fn is_stuck(&self, at_once: usize) -> bool {
        self.held.len() >= at_once && self.held.values().all(|(.., since)| since.elapsed() >= STUCK_AFTER)
    }
}

/// A run that is over here.
struct Over {
    taken: TakenRun,
    took: Duration,
    /// Written later, where it is to be.
    outcome: Result<Settled, Failed>,
}

type Taking = BoxFuture<'static, Result<Vec<TakenRun>, StoreError>>;

impl Dispatch {
    /// Works until told to stop; then what runs has a few seconds to end, and the rest is given back for others at once.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let (settled, unwritten) = mpsc::channel(UNWRITTEN_MAX);
        let writing = tokio::spawn(settle::write_all(self.queue.clone(), unwritten));
        let mut state = State {
            running: JoinSet::new(),
            held: HashMap::new(),
            ahead: VecDeque::new(),
            begun: Begun::default(),
            pace: Pace::default(),
            may_have_more: true,
            only_looks: true,
        };
        let mut heard = self.queue.bus.subscribe();
        let mut taking: Option<Taking> = None;
        let mut renew = tokio::time::interval(RENEW_EVERY);
        let mut look = tokio::time::interval(LOOK_EVERY);
        while !*stop.borrow() {
            let duty = *self.duty.borrow();
            if duty == Duty::GiveBack {
                self.give_all_back(&mut state).await;
            }
            self.begin(&mut state);
            self.load.running.store(state.running.len(), Ordering::Relaxed);
            self.load.ahead.store(state.ahead.len(), Ordering::Relaxed);
            if taking.is_none() && duty == Duty::Serve {
                taking = self.take(&mut state);
            }
            self.load.set_drains(taking.is_none() && duty != Duty::Serve);
            tokio::select! {
                Some(over) = state.running.join_next() => self.over(&mut state, over.ok(), &settled).await,
                taken = next(&mut taking) => {
                    taking = None;
                    taken_over(&mut state, taken);
                }
                received = heard.next() => match received {
                    Received::Message(Message::RunsReady) | Received::Missed => {
                        (state.may_have_more, state.only_looks) = (true, false);
                    }
                    Received::Message(Message::RunCancelled(id)) => self.end(&mut state, &id),
                    Received::Message(_) => {}
                    Received::Closed => break,
                },
                _ = renew.tick() => self.renew(&mut state).await,
                () = state.begun.is_due() => state.begun.note(&self.queue, |id| held(&state.held, id)),
                _ = look.tick() => {
                    if state.is_stuck(self.at_once) {
                        self.give_back(std::mem::take(&mut state.ahead).into()).await;
                    }
                    state.only_looks |= !state.may_have_more;
                    state.may_have_more = true;
                }
                Ok(()) = self.duty.changed() => {}
                () = told(&mut stop) => {}
            }
        }
        if let Some(Ok(taken)) = match taking {
            Some(taking) => Some(taking.await),
            None => None,
        } {
            state.ahead.extend(taken);
        }
        self.drain(state, &settled).await;
        drop(settled);
        let _ = writing.await;
    }

    /// Begins those that were taken, as many as may run.
    fn begin(&self, state: &mut State) {
        while state.running.len() < self.at_once
            && let Some(taken) = state.ahead.pop_front()
        {
            let (queue, execute) = (self.queue.clone(), self.execute.clone());
            let ending = state.running.spawn(run_one(queue, execute, taken.clone()));
            state.begun.add(taken.id.clone());
            state.held.insert(taken.id.clone(), (taken, ending, Instant::now()));
        }
    }

    /// Takes more, where there may be more and there is room.
    fn take(&self, state: &mut State) -> Option<Taking> {
        let ahead = if state.is_stuck(self.at_once) { 0 } else { state.pace.ahead(self.at_once) };
        let wanted = self.at_once + ahead;
        let there = state.running.len() + state.ahead.len();
        // Half a batch less is not worth a commit while there is something to do.
        let few = there < self.at_once || there * 2 <= wanted;
        if !state.may_have_more || !few || there >= wanted {
            return None;
        }
        let most = u32::try_from(wanted - there).unwrap_or(u32::MAX);
        state.may_have_more = false;
        let only_looks = std::mem::take(&mut state.only_looks);
        let (queue, name) = (self.queue.clone(), self.name.clone());
        Some(Box::pin(async move {
            if only_looks && !queue.store.runs_wait(queue.clock.now()).await? {
                return Ok(Vec::new());
            }
            queue.take(&name, most, LEASE).await
        }))
    }

    async fn over(&self, state: &mut State, over: Option<Over>, settled: &mpsc::Sender<Settled>) {
        // One that was ended because it was cancelled or lost has nothing to tell.
        let Some(Over { taken, took, outcome }) = over else { return };
        state.held.remove(&taken.id);
        match outcome {
            Ok(ended) => {
                state.pace.ended(took);
                self.load.count(took);
                // Whoever writes them is there until nobody sends any more.
                let _ = settled.send(ended).await;
            }
            Err(Failed::Fault(error)) => self.failed(taken, error).await,
            Err(Failed::HeldBack) => {
                self.queue.live.forget(&taken.id);
                // So that it is not taken again at once.
                self.queue.usage.write().await;
                self.give_back(vec![taken]).await;
            }
        }
    }

    async fn failed(&self, taken: TakenRun, error: String) {
        let id = taken.id.clone();
        tracing::error!(run = id.as_str(), attempt = taken.attempt, error, "a run could not be run");
        self.queue.live.forget(&id);
        match self.queue.fail(taken, error).await {
            Ok(true) => self.queue.bus.publish(Message::RunsSettled(vec![id])),
            Ok(false) | Err(StoreError::Fenced) => {}
            Err(error) => tracing::error!(error = chain(&error), run = id.as_str(), "a run is not put back"),
        }
    }

    /// What is held no more is ended: it was cancelled, or was taken by others.
    async fn renew(&self, state: &mut State) {
        let ahead = state.ahead.iter().cloned();
        let held: Vec<TakenRun> = state.held.values().map(|(taken, ..)| taken.clone()).chain(ahead).collect();
        if held.is_empty() {
            return;
        }
        let ids: Vec<RunId> = held.iter().map(|taken| taken.id.clone()).collect();
        match self.queue.renew(&self.name, held, LEASE).await {
            Ok(still) => {
                for (id, _) in ids.iter().zip(still).filter(|(_, still)| !still) {
                    self.end(state, id);
                }
            }
            Err(error) => tracing::error!(error = chain(&error), "runs cannot be held for longer"),
        }
    }

    fn end(&self, state: &mut State, id: &RunId) {
        if let Some((taken, ending, _)) = state.held.remove(id) {
            ending.abort();
            self.queue.live.forget(id);
            state.may_have_more |= taken.is_bounded;
        }
        state.ahead.retain(|taken| taken.id != *id);
        self.queue.forget(id);
    }

    async fn drain(&self, mut state: State, settled: &mpsc::Sender<Settled>) {
        self.give_back(std::mem::take(&mut state.ahead).into()).await;
        let ends = async {
            while let Some(over) = state.running.join_next().await {
                self.over(&mut state, over.ok(), settled).await;
            }
        };
        if tokio::time::timeout(ENDS_WITHIN, ends).await.is_err() {
            state.running.shutdown().await;
            self.give_back(state.held.into_values().map(|(taken, ..)| taken).collect()).await;
        }
    }

    /// Ends what runs and gives it back, for others to run it from its beginning.
    async fn give_all_back(&self, state: &mut State) {
        let ahead: Vec<TakenRun> = std::mem::take(&mut state.ahead).into();
        let held = std::mem::take(&mut state.held).into_values();
        let held: Vec<TakenRun> = held
            .map(|(taken, ending, _)| {
                ending.abort();
                self.queue.live.forget(&taken.id);
                taken
            })
            .collect();
        self.give_back(held.into_iter().chain(ahead).collect()).await;
    }

    async fn give_back(&self, taken: Vec<TakenRun>) {
        if taken.is_empty() {
            return;
        }
        tracing::info!(runs = taken.len(), "runs are given back");
        match self.queue.give_back(taken).await {
            Ok(()) => self.queue.bus.publish(Message::RunsReady),
            Err(error) => tracing::error!(error = chain(&error), "runs are not given back; their time ends"),
        }
    }
}

fn held(held: &HashMap<RunId, Held>, id: &RunId) -> Option<TakenRun> {
    held.get(id).map(|(taken, ..)| taken.clone())
}

async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What is being taken; never, where nothing is.
async fn next(taking: &mut Option<Taking>) -> Result<Vec<TakenRun>, StoreError> {
    match taking {
        Some(taking) => taking.await,
        None => std::future::pending().await,
    }
}

fn taken_over(state: &mut State, taken: Result<Vec<TakenRun>, StoreError>) {
    match taken {
        Ok(taken) => {
            // Where as many came as were asked for there may be more.
            state.may_have_more |= !taken.is_empty();
            state.ahead.extend(taken);
        }
        Err(error) => tracing::error!(error = chain(&error), "no runs can be taken"),
    }
}

async fn run_one(queue: Queue, execute: Arc<dyn Execute>, taken: TakenRun) -> Over {
    let began = Instant::now();
    // A panic is a fault of ours like any other: the attempt came to nothing.
    let outcome = AssertUnwindSafe(outcome(&queue, execute.as_ref(), &taken)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|_| Err(Failed::Fault("the worker failed".to_owned())));
    Over { outcome: outcome.map(|ended| (taken.clone(), ended)), taken, took: began.elapsed() }
}

async fn outcome(queue: &Queue, execute: &dyn Execute, taken: &TakenRun) -> Result<skylift_store::Ended, Failed> {
    let told = |error: crate::QueueError| Failed::Fault(chain(&error));
    let job: Job = document::read(&queue.blobs, &taken.job, "job").await.map_err(told)?;
    let live = queue.live.add(&taken.id, usize::try_from(job.limits.output_bytes).unwrap_or(usize::MAX));
    queue.bus.publish(Message::RunBegan(taken.id.clone()));
    let waited = queue.clock.now().since(taken.created_at);
    let mut ending = execute.execute(job, taken, live).await?;
    ending.waited_us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
    settle::ended(queue, &taken.id, &ending).await.map_err(told)
}

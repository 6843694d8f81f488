//! What a queue service knows of runs, kept in step with the rows: always after them, and never waited for but by who receives.
//!
//! One task tells the service what became of runs, in order and in batches. What it cannot tell is dropped: announcements are made again by
//! the sweep, and whatever else the service has not heard it finds out when a lease ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skylift_bus::{Bus, Message};
use skylift_model::{RunId, Timestamp, chain};
use skylift_store::{Standing, Store, StoreError, TakenRun};
use tokio::sync::mpsc;

use crate::service::{Notice, Received, Service, ServiceError};

/// What may wait to be told.
const ERRANDS_MAX: usize = 4096;
/// How many errands are done together.
const TOGETHER_MAX: usize = 128;
/// How often messages are asked for again after all of some were of no use.
const ROUNDS_MAX: usize = 16;

/// The service, and what this process has of it.
pub(crate) struct Hints {
    pub(crate) service: Arc<dyn Service>,
    /// By which delivery this process knows each run that it has.
    held: Mutex<HashMap<RunId, Received>>,
    errands: mpsc::Sender<Errand>,
    outage: Arc<Outage>,
}

/// Something that the service is to be told.
enum Errand {
    Announce(Vec<Notice>),
    Renew(String, Vec<Received>, Duration),
    Acknowledge(Vec<Received>),
    GiveBack(Vec<(Received, Duration)>),
}

/// One line in the log for each.
#[derive(Default)]
struct Outage(AtomicBool);

/// Who takes, when, and for how long.
#[derive(Clone)]
pub(crate) struct Take {
    pub(crate) who: String,
    pub(crate) most: u32,
    pub(crate) now: Timestamp,
    pub(crate) lease: Duration,
}

impl Hints {
    /// Starts to tell the service. Within a runtime.
    pub(crate) fn start(service: Arc<dyn Service>, bus: Bus) -> Self {
        let (errands, waiting) = mpsc::channel(ERRANDS_MAX);
        let outage = Arc::<Outage>::default();
        tokio::spawn(tell_all(service.clone(), bus, waiting, outage.clone()));
        Self { service, held: Mutex::default(), errands, outage }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<RunId, Received>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, errand: Errand) {
        // Where too much waits, or the process ends, it is dropped.
        let _ = self.errands.try_send(errand);
    }

    pub(crate) fn announce(&self, notices: Vec<Notice>) {
        self.tell(Errand::Announce(notices));
    }

    /// Takes as many runs as there are messages; which ones, the rows say. While it does not answer, the rows say themselves which is next.
    pub(crate) async fn take(&self, store: &Store, take: Take) -> Result<Vec<TakenRun>, StoreError> {
        let most = usize::try_from(take.most).unwrap_or(usize::MAX);
        for _ in 0..ROUNDS_MAX {
            let received = match self.service.receive(&take.who, most, take.lease).await {
                Ok(received) => received,
                Err(error) => {
                    self.outage.noticed(&error);
                    return store.take_runs(take.who, take.most, take.now, take.lease).await;
                }
            };
            self.outage.is_over();
            if received.is_empty() {
                break;
            }
            let taken = self.take_received(store, &take, received).await?;
            if !taken.is_empty() {
                return Ok(taken);
            }
        }
        // Its message has come already where its key held a run back; by now that may let it begin.
        if store.runs_may_be_held_back(take.now).await? {
            return store.take_runs(take.who, take.most, take.now, take.lease).await;
        }
        Ok(Vec::new())
    }

    async fn take_received(
        &self,
        store: &Store,
        take: &Take,
        received: Vec<Received>,
    ) -> Result<Vec<TakenRun>, StoreError> {
        let named = received.iter().map(|received| received.id.clone()).collect();
        let became = match store.take_runs_by_messages(take.who.clone(), named, take.now, take.lease).await {
            Ok(became) => became,
            Err(error) => {
                self.tell(Errand::GiveBack(received.into_iter().map(|received| (received, Duration::ZERO)).collect()));
                return Err(error);
            }
        };
        let (mut taken, mut over, mut later) = (Vec::new(), Vec::new(), Vec::new());
        for (message, run) in became.taken {
            if let Some(Received { receipt, .. }) = received.get(message) {
                // From here on the message is this run's, whichever one it named.
                self.held().insert(run.id.clone(), Received { id: run.id.clone(), receipt: receipt.clone() });
            }
            taken.push(run);
        }
        for (message, standing) in became.left {
            let Some(received) = received.get(message).cloned() else { continue };
            match standing {
                Standing::Over => over.push(received),
                Standing::Later(then) => later.push((received, then.since(take.now) + Duration::from_millis(1))),
            }
        }
        if !over.is_empty() {
            self.tell(Errand::Acknowledge(over));
        }
        if !later.is_empty() {
            self.tell(Errand::GiveBack(later));
        }
        Ok(taken)
    }

    /// After their rows were.
    pub(crate) fn renew(&self, who: &str, ids: &[RunId], lease: Duration) {
        let held: Vec<Received> = ids.iter().filter_map(|id| self.held().get(id).cloned()).collect();
        if !held.is_empty() {
            self.tell(Errand::Renew(who.to_owned(), held, lease));
        }
    }

    /// They have settled.
    pub(crate) fn acknowledge(&self, ids: &[RunId]) {
        let held: Vec<Received> = ids.iter().filter_map(|id| self.held().remove(id)).collect();
        if !held.is_empty() {
            self.tell(Errand::Acknowledge(held));
        }
    }

    /// Others may have them, after so long.
    pub(crate) fn give_back(&self, ids: &[RunId], after: Duration) {
        let held: Vec<_> = ids.iter().filter_map(|id| Some((self.held().remove(id)?, after))).collect();
        if !held.is_empty() {
            self.tell(Errand::GiveBack(held));
        }
    }

    /// It was cancelled, or another has it: its messages find their end when they are received.
    pub(crate) fn forget(&self, id: &RunId) {
        self.held().remove(id);
    }
}

async fn tell_all(service: Arc<dyn Service>, bus: Bus, mut errands: mpsc::Receiver<Errand>, outage: Arc<Outage>) {
    let mut batch = Vec::with_capacity(TOGETHER_MAX);
    while errands.recv_many(&mut batch, TOGETHER_MAX).await > 0 {
        let mut may_be_received = false;
        for errand in together(std::mem::take(&mut batch)) {
            may_be_received |= matches!(errand, Errand::Announce(_) | Errand::GiveBack(_));
            match tell(service.as_ref(), &errand).await {
                Ok(()) => outage.is_over(),
                Err(error) => outage.noticed(&error),
            }
        }
        // Also where it was not told: whoever asks takes them by their rows.
        if may_be_received {
            bus.publish(Message::RunsReady);
        }
    }
}

async fn tell(service: &dyn Service, errand: &Errand) -> Result<(), ServiceError> {
    match errand {
        Errand::Announce(notices) => service.announce(notices).await,
        Errand::Renew(who, held, lease) => service.renew(who, held, *lease).await,
        Errand::Acknowledge(held) => service.acknowledge(held).await,
        Errand::GiveBack(held) => service.give_back(held).await,
    }
}

/// The same in fewer: neighbours that are of one kind become one.
fn together(errands: Vec<Errand>) -> Vec<Errand> {
    let mut fewer: Vec<Errand> = Vec::new();
    for errand in errands {
        match (fewer.last_mut(), errand) {
            (Some(Errand::Announce(all)), Errand::Announce(more)) => all.extend(more),
            (Some(Errand::Acknowledge(all)), Errand::Acknowledge(more)) => all.extend(more),
            (Some(Errand::GiveBack(all)), Errand::GiveBack(more)) => all.extend(more),
            (_, errand) => fewer.push(errand),
        }
    }
    fewer
}

impl Outage {
    fn noticed(&self, error: &ServiceError) {
        if !self.0.swap(true, Ordering::AcqRel) {
            tracing::warn!(error = chain(error), "the queue of runs is away; workers go by the rows until it is back");
        }
    }

    fn is_over(&self) {
        if self.0.load(Ordering::Acquire) && self.0.swap(false, Ordering::AcqRel) {
            tracing::info!("the queue of runs is back");
        }
    }
}

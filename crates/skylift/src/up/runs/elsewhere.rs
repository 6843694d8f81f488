//! Runs of a process that has no worker: they go by the queue to those that have.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use skylift_api::{Along, ApiError, Asked, Runs};
use skylift_model::run::{Ending, Job, LimitsKnown, RunState};
use skylift_model::wire::{Code, Language, PackageSet, WorkerTold};
use skylift_model::{RunId, chain};
use skylift_queue::{Order, Queue, Waiting};
use skylift_run::{RunMetrics, Runner};
use skylift_store::Once;

/// How long such a run is kept once its end was told.
const KEPT: Duration = Duration::from_secs(60);
/// How long what workers tell is believed without looking again.
const LANGUAGES_LAST: Duration = Duration::from_secs(2);

/// Runs by workers elsewhere.
pub(crate) struct Elsewhere {
    queue: Queue,
    waiting: Waiting,
    limits: LimitsKnown,
    metrics: Arc<RunMetrics>,
    known: Mutex<Option<(Instant, Vec<Language>)>>,
}

impl Elsewhere {
    pub(crate) fn new(queue: Queue, waiting: Waiting, limits: LimitsKnown, metrics: Arc<RunMetrics>) -> Self {
        Self { queue, waiting, limits, metrics, known: Mutex::default() }
    }

    async fn look(&self) -> Vec<Language> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, known)) = known.filter(|(at, _)| at.elapsed() < LANGUAGES_LAST) {
            return known;
        }
        let mut languages = BTreeMap::<String, Language>::new();
        match self.queue.store.workers().await {
            Ok(rows) => {
                let now = self.queue.clock.now();
                for row in rows.iter().filter(|row| now.since(row.at) < WorkerTold::LOST_AFTER) {
                    let told = serde_json::from_str::<WorkerTold>(&row.told).map(|told| told.languages);
                    for language in told.unwrap_or_default() {
                        match languages.get_mut(&language.name) {
                            Some(known) => add_sets(known, language.package_sets),
                            None => drop(languages.insert(language.name.clone(), language)),
                        }
                    }
                }
            }
            Err(error) => tracing::warn!(error = chain(&error), "which workers there are is not known"),
        }
        let languages: Vec<Language> = languages.into_values().collect();
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), languages.clone()));
        languages
    }

    async fn run_there(&self, job: &Job, asked: Asked<'_>) -> Result<Ending, ApiError> {
        let waiter = self.waiting.wait_for(&job.id);
        let order = Order::new(job.clone(), asked.priority, KEPT);
        let mut ends = EndsWith { queue: &self.queue, id: Some(job.id.clone()) };
        self.queue.add(asked.token, vec![order], Once::default()).await?;
        let settled = waiter.settled().await;
        ends.id = None;
        let row = settled.ok_or_else(|| {
            ApiError::new(Code::Unavailable, "the platform is being stopped", "send it again in a moment")
        })?;
        match (row.state, self.queue.ending(&row).await?) {
            (_, Some(ending)) => {
                self.metrics.ended(&job.language, asked.token, &ending);
                Ok(ending)
            }
            (RunState::Cancelled, _) => {
                Err(ApiError::new(Code::Conflict, "the run was cancelled", "send it again where that was a mistake"))
            }
            _ => Err(ApiError::internal(&std::io::Error::other(row.error.unwrap_or_default()))),
        }
    }
}

/// Sets that another worker has as well are told as the first one has them.
fn add_sets(known: &mut Language, others: Vec<PackageSet>) {
    for set in others {
        if !known.package_sets.iter().any(|own| own.name == set.name) {
            known.package_sets.push(set);
        }
    }
}

/// A run that is cancelled where nobody waits for it any more.
struct EndsWith<'q> {
    queue: &'q Queue,
    id: Option<RunId>,
}

impl Drop for EndsWith<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let queue = self.queue.clone();
        tokio::spawn(async move {
            if let Err(error) = queue.cancel(id.clone(), None, Once::default()).await {
                tracing::debug!(run = id.as_str(), error = chain(&error), "a run that nobody waits for goes on");
            }
        });
    }
}

impl Runs for Elsewhere {
    fn languages(&self) -> BoxFuture<'_, Vec<Language>> {
        Box::pin(self.look())
    }

    fn language<'r>(&'r self, name: &'r str) -> BoxFuture<'r, Option<Language>> {
        Box::pin(async move { self.look().await.into_iter().find(|language| language.is_called(name)) })
    }

    fn program_of(&self, name: &str) -> Option<(String, String)> {
        skylift_run::program_of(name)
    }

    fn limits(&self) -> LimitsKnown {
        self.limits
    }

    fn is_glob(&self, text: &str) -> bool {
        Runner::is_glob(text)
    }

    fn hears(&self) -> bool {
        false
    }

    fn run<'r>(&'r self, job: &'r Job, asked: Asked<'r>, _: Along) -> BoxFuture<'r, Result<Ending, ApiError>> {
        Box::pin(self.run_there(job, asked))
    }
}

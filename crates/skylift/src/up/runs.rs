//! Code that is sent is run by this process, where it has the role, and else by one that has.

mod bill;
mod callbacks;
mod elsewhere;
mod here;
mod lately;
mod packages;
mod processes;
mod queue;
mod scaling;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use skylift_api::{Along, ApiError, Asked, Runs, processor_time_used_up};
use skylift_build::packages::PackageSets;
use skylift_model::chain;
use skylift_model::run::{Ending, Job, LimitsKnown, Step};
use skylift_model::wire::{Code, Language, TunerTold};
use skylift_queue::{Execute, Failed, Live, Usage};
use skylift_run::{
    Attached, Catalogue, Headers, Kept, Listener, Models, Programs, RunError, RunMetrics, Runner, Stream,
};
use skylift_sandbox::InitFile;
use skylift_store::TakenRun;
use tokio::sync::OnceCell;

use crate::config::Config;

use bill::{Bill, Key, Running};
pub(crate) use callbacks::{deliveries, may_be_told};
pub(crate) use elsewhere::Elsewhere;
pub(crate) use here::Here;
use processes::WorkerProcesses;
pub(crate) use queue::queue;
pub(crate) use scaling::scaler;
use worker::RunWorker;

/// Where what is kept of runs lies.
#[derive(Clone, Debug)]
pub(crate) struct RunFolders {
    /// What was compiled.
    pub(crate) programs: PathBuf,
    /// What compilers have made of their own headers. Emptied at the start.
    pub(crate) headers: PathBuf,
}

/// Runs on this machine. Which languages are here is found out when somebody first asks.
pub(crate) struct OwnRuns {
    limits: LimitsKnown,
    at_once: usize,
    init: Option<InitFile>,
    /// Where what is kept of runs lies.
    folders: RunFolders,
    compiled_bytes_max: u64,
    pool_bytes_max: Option<u64>,
    models: Arc<dyn Models>,
    packages: Arc<PackageSets>,
    runner: OnceCell<Arc<Runner>>,
    metrics: Arc<RunMetrics>,
    usage: Usage,
}

impl OwnRuns {
    pub(crate) fn new(
        config: &Config,
        init: Option<InitFile>,
        folders: RunFolders,
        (models, packages): (Arc<dyn Models>, Arc<PackageSets>),
        (metrics, usage): (Arc<RunMetrics>, Usage),
    ) -> Self {
        let (limits, at_once) = (config.runs.limits(), config.runs.at_once());
        let (compiled_bytes_max, pool_bytes_max) = (config.runs.compiled_bytes_max(), config.runs.pool_bytes_max);
        Self {
            limits,
            at_once,
            init,
            folders,
            compiled_bytes_max,
            pool_bytes_max,
            models,
            packages,
            runner: OnceCell::new(),
            metrics,
            usage,
        }
    }

    async fn runner(&self) -> &Arc<Runner> {
        let look = async || {
            let (init, folders) = (self.init.clone(), self.folders.clone());
            let (bytes_max, pool_bytes_max) = (self.compiled_bytes_max, self.pool_bytes_max);
            let looked = tokio::task::spawn_blocking(move || {
                (Catalogue::look(init.as_ref()), folders.open(bytes_max, pool_bytes_max))
            });
            let (catalogue, kept) = looked.await.unwrap_or_default();
            let runner = Runner::new(catalogue, self.limits, self.init.clone(), (self.at_once, kept));
            runner.set_models(self.models.clone());
            runner.set_packages(Arc::new(packages::Shown(self.packages.clone())));
            runner
        };
        self.runner.get_or_init(look).await
    }

    /// What can be run here, where somebody has asked before.
    fn languages_known(&self) -> Vec<Language> {
        self.runner.get().map(|runner| self.told(runner)).unwrap_or_default()
    }

    fn told(&self, runner: &Runner) -> Vec<Language> {
        runner.catalogue().told().into_iter().map(|language| self.complete(runner, language)).collect()
    }

    /// With what is not the same all the time.
    fn complete(&self, runner: &Runner, language: Language) -> Language {
        let (package_sets, start) = (self.packages.told(&language.name), runner.start_of(&language.name));
        Language { package_sets, start, ..language }
    }

    /// How many runs this process runs, those of clients that wait included.
    fn running(&self) -> usize {
        self.runner.get().map_or(0, |runner| runner.running())
    }

    /// How warm languages are kept here, where anything was run.
    fn tuned(&self) -> Option<TunerTold> {
        self.runner.get()?.tuned()
    }

    async fn run_here(&self, job: &Job, key: Key<'_>, mut attached: Attached) -> Result<Ending, RunError> {
        let bill = Arc::new(Bill::of(key, self.usage.clone(), attached.spent.clone()));
        attached.purse = Some(bill.clone());
        // Before what is waited for: whoever waits no more pays for what was used by then.
        let running = Running::begin(&self.metrics, bill);
        let ended = self.runner().await.run(job, attached).await;
        match &ended {
            Ok(ending) => {
                running.end();
                self.metrics.ended(&job.language, key.token, ending);
            }
            Err(RunError::UsedUp) => {}
            Err(_) => self.metrics.failed(&job.language),
        }
        ended
    }
}

/// Hears a run for those who follow it.
struct Hears(Arc<Live>);

impl Listener for Hears {
    fn compiled(&self, step: &Step) {
        self.0.compiled(step);
    }

    fn began(&self) {
        self.0.began();
    }

    fn printed(&self, stream: Stream, bytes: &[u8]) {
        self.0.heard(stream == Stream::Stdout, bytes);
    }
}

/// What is missing is told; what is our fault is not.
fn refused(error: &RunError) -> ApiError {
    match error {
        RunError::NoPackages(why) => {
            let hint = "it is tried again; `GET /v1/languages` tells how far its sets are";
            ApiError::new(Code::Unavailable, why.clone(), hint)
        }
        other => ApiError::internal(other),
    }
}

fn heard_by(live: Arc<Live>) -> Arc<dyn Listener> {
    Arc::new(Hears(live))
}

impl Runs for OwnRuns {
    fn languages(&self) -> BoxFuture<'_, Vec<Language>> {
        Box::pin(async { self.told(self.runner().await) })
    }

    fn language<'r>(&'r self, name: &'r str) -> BoxFuture<'r, Option<Language>> {
        Box::pin(async move {
            let runner = self.runner().await;
            runner.catalogue().find(name).map(|found| self.complete(runner, found.clone()))
        })
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
        true
    }

    fn run<'r>(&'r self, job: &'r Job, asked: Asked<'r>, along: Along) -> BoxFuture<'r, Result<Ending, ApiError>> {
        let Along { live, stdin, signals } = along;
        let attached = Attached { listener: live.map(heard_by), stdin, signals, ..Attached::default() };
        let key = Key { token: asked.token, is_bounded: asked.cpu_s_per_day.is_some() };
        Box::pin(async move {
            let ended = self.run_here(job, key, attached).await;
            ended.map_err(|error| match (error, asked.cpu_s_per_day) {
                (RunError::UsedUp, Some(most)) => processor_time_used_up(most, self.usage.now()),
                (error, _) => refused(&error),
            })
        })
    }
}

impl Execute for OwnRuns {
    fn execute<'r>(&'r self, job: Job, taken: &'r TakenRun, live: Arc<Live>) -> BoxFuture<'r, Result<Ending, Failed>> {
        let attached = Attached { listener: Some(heard_by(live)), ..Attached::default() };
        let (key, spent) = (Key { token: &taken.token, is_bounded: taken.is_bounded }, attached.spent.clone());
        Box::pin(async move {
            self.run_here(&job, key, attached).await.map_err(|error| match error {
                // It was taken ahead, and others of its key have used up the day since.
                RunError::UsedUp if spent.us() == 0 => Failed::HeldBack,
                error => Failed::Fault(chain(&error)),
            })
        })
    }
}

impl RunFolders {
    /// What cannot be opened is done without.
    fn open(&self, compiled_bytes_max: u64, pool_bytes_max: Option<u64>) -> Kept {
        let programs = Programs::open(&self.programs, compiled_bytes_max);
        let programs = programs.inspect_err(|error| tracing::warn!(%error, "compiled programs are not kept"));
        let headers = Headers::open(&self.headers);
        let headers = headers.inspect_err(|error| tracing::warn!(%error, "headers are read for each compiler"));
        Kept { programs: programs.ok(), headers: headers.ok(), pool_bytes_max }
    }
}

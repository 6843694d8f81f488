//! Code that is sent is run by this process, where it has the role, and else by one that has.

mod elsewhere;
mod worker;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use skylift_api::{Along, ApiError, Asked, Runs};
use skylift_model::chain;
use skylift_model::run::{Ending, Job, LimitsKnown, Step};
use skylift_model::wire::Language;
use skylift_queue::{Execute, Failed, Live};
use skylift_run::{Attached, Catalogue, Listener, RunError, Runner, Stream};
use skylift_sandbox::InitFile;
use tokio::sync::OnceCell;

use crate::config::Config;

pub(crate) use elsewhere::Elsewhere;
pub(crate) use worker::RunWorker;

/// Runs on this machine. Which languages are here is found out when somebody first asks.
pub(crate) struct OwnRuns {
    limits: LimitsKnown,
    at_once: usize,
    init: Option<InitFile>,
    runner: OnceCell<Arc<Runner>>,
}

impl OwnRuns {
    pub(crate) fn new(config: &Config, init: Option<InitFile>) -> Self {
        Self { limits: config.runs.limits(), at_once: config.runs.at_once(), init, runner: OnceCell::new() }
    }

    async fn runner(&self) -> &Arc<Runner> {
        let look = async || {
            let init = self.init.clone();
            let looked = tokio::task::spawn_blocking(move || Catalogue::look(init.as_ref())).await;
            Runner::new(looked.unwrap_or_default(), self.limits, self.init.clone(), self.at_once)
        };
        self.runner.get_or_init(look).await
    }

    /// What can be run here, where somebody has asked before.
    fn languages_known(&self) -> Vec<Language> {
        self.runner.get().map(|runner| runner.catalogue().told()).unwrap_or_default()
    }

    async fn run_here(&self, job: &Job, attached: Attached) -> Result<Ending, RunError> {
        self.runner().await.run(job, attached).await
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

fn heard_by(live: Arc<Live>) -> Arc<dyn Listener> {
    Arc::new(Hears(live))
}

impl Runs for OwnRuns {
    fn languages(&self) -> BoxFuture<'_, Vec<Language>> {
        Box::pin(async { self.runner().await.catalogue().told() })
    }

    fn language<'r>(&'r self, name: &'r str) -> BoxFuture<'r, Option<Language>> {
        Box::pin(async move { self.runner().await.catalogue().find(name).cloned() })
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

    fn run<'r>(&'r self, job: &'r Job, _: Asked<'r>, along: Along) -> BoxFuture<'r, Result<Ending, ApiError>> {
        let Along { live, stdin, signals } = along;
        let attached = Attached { listener: live.map(heard_by), stdin, signals };
        Box::pin(async move { self.run_here(job, attached).await.map_err(|error| ApiError::internal(&error)) })
    }
}

impl Execute for OwnRuns {
    fn execute(&self, job: Job, live: Arc<Live>) -> BoxFuture<'_, Result<Ending, Failed>> {
        let attached = Attached { listener: Some(heard_by(live)), ..Attached::default() };
        Box::pin(async move { self.run_here(&job, attached).await.map_err(|error| Failed(chain(&error))) })
    }
}

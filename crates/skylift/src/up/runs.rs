//! Code that is sent is run by this process, where it has the role.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use skylift_api::{ApiError, Runs};
use skylift_model::run::{Ending, Job, LimitsKnown};
use skylift_model::wire::Language;
use skylift_run::{Catalogue, Runner};
use skylift_sandbox::InitFile;
use tokio::sync::OnceCell;

use crate::config::Config;

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

    fn run<'r>(&'r self, job: &'r Job) -> BoxFuture<'r, Result<Ending, ApiError>> {
        Box::pin(async move { self.runner().await.run(job).await.map_err(|error| ApiError::internal(&error)) })
    }
}

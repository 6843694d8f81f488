//! Runs of code, and what it can be written in.

use skylift_model::RunId;
use skylift_model::run::LimitsKnown;
use skylift_model::wire::{LanguageList, Run, RunBrief, RunList, RunRequest};

use crate::request::Call;
use crate::{Client, ClientError};

impl Client {
    /// Runs code once: with its verdict, or, where it is only to be queued, as it waits.
    pub async fn run_code(&self, request: &RunRequest) -> Result<Run, ClientError> {
        self.json(Call::post("/v1/runs").json(request)).await
    }

    /// Runs that are kept, the newest first; only those in one state, such as `dead`, where it is given.
    pub async fn runs(&self, state: Option<&str>, limit: u32) -> Result<RunList, ClientError> {
        let state = state.map_or(String::new(), |state| format!("&state={}", super::files::encoded(state)));
        self.json(Call::get(format!("/v1/runs?limit={limit}{state}"))).await
    }

    /// A run that is kept, with what it printed in base 64, however it was asked for.
    pub async fn run(&self, id: &RunId) -> Result<Run, ClientError> {
        self.json(Call::get(format!("/v1/runs/{id}?encoding=base64"))).await
    }

    /// Ends a run that has not settled.
    pub async fn cancel_run(&self, id: &RunId) -> Result<RunBrief, ClientError> {
        self.json(Call::post(format!("/v1/runs/{id}/cancel"))).await
    }

    /// Queues a run again that was given up.
    pub async fn redrive_run(&self, id: &RunId) -> Result<RunBrief, ClientError> {
        self.json(Call::post(format!("/v1/runs/{id}/redrive"))).await
    }

    /// What code can be written in.
    pub async fn languages(&self) -> Result<LanguageList, ClientError> {
        self.json(Call::get("/v1/languages")).await
    }

    /// What a run may use.
    pub async fn limits(&self) -> Result<LimitsKnown, ClientError> {
        self.json(Call::get("/v1/limits")).await
    }
}

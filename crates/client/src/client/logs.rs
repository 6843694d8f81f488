//! Events and logs: streams that are taken up again where they broke.

use skylift_model::wire::{Event, LogLine};
use skylift_model::{AppName, DeploymentId};

use crate::follow::Follow;
use crate::{Client, ClientError};

/// Whether a log is read as it is, or waited on for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// What is there.
    No,
    /// What is there and what comes.
    Yes,
}

impl Client {
    /// What happens to a deployment, from its beginning.
    pub fn events(&self, id: &DeploymentId) -> Follow<Event> {
        Follow::new(self.clone(), format!("/v1/deployments/{id}/events"))
    }

    /// The build log of a deployment, from its beginning and as it grows.
    pub fn logs(&self, id: &DeploymentId) -> Follow<LogLine> {
        Follow::new(self.clone(), format!("/v1/deployments/{id}/logs"))
    }

    /// The last `tail` lines of a deployment's log, and what comes after them.
    pub fn logs_from(&self, id: &DeploymentId, tail: Option<u64>) -> Follow<LogLine> {
        Follow::new(self.clone(), log_path(&format!("/v1/deployments/{id}/logs"), tail, Wait::Yes))
    }

    /// The log of a deployment as it is at this moment; its last `tail` lines.
    pub async fn log_lines(&self, id: &DeploymentId, tail: Option<u64>) -> Result<Vec<LogLine>, ClientError> {
        Follow::new(self.clone(), log_path(&format!("/v1/deployments/{id}/logs"), tail, Wait::No)).collect().await
    }

    /// The log of an app's newest deployment as it is at this moment; its last `tail` lines.
    pub async fn app_log_lines(&self, app: &AppName, tail: Option<u64>) -> Result<Vec<LogLine>, ClientError> {
        Follow::new(self.clone(), log_path(&format!("/v1/apps/{app}/logs"), tail, Wait::No)).collect().await
    }
}

fn log_path(path: &str, tail: Option<u64>, wait: Wait) -> String {
    let follow = match wait {
        Wait::No => "false",
        Wait::Yes => "true",
    };
    let tail = tail.map(|count| format!("&tail={count}")).unwrap_or_default();
    format!("{path}?follow={follow}{tail}")
}

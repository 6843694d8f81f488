//! An app or one of its deployments, on the command line.

use std::str::FromStr;

use skylift_model::id::InvalidId;
use skylift_model::name::InvalidName;
use skylift_model::{AppName, DeploymentId};

/// What is meant: a deployment, or the one of an app that the command says.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Deployment(DeploymentId),
    App(AppName),
}

impl FromStr for Target {
    type Err = String;

    /// No app's name starts like a deployment's id.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with(DeploymentId::PREFIX) {
            return text.parse().map(Self::Deployment).map_err(|error: InvalidId| error.to_string());
        }
        text.parse().map(Self::App).map_err(|error: InvalidName| error.to_string())
    }
}

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::program::WEB;
use crate::{DeploymentId, InstanceId, InstanceState, Timestamp};

/// One running copy of an app, or one that has ended lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Instance {
    /// Its id; also the step of its lines in the deployment's log.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: InstanceId,
    /// The deployment it runs.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub deployment: DeploymentId,
    /// The line of the Procfile that it runs: `web` answers requests.
    #[serde(default = "web")]
    pub process: String,
    /// The number of the template that it was started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<u64>,
    /// The node it runs on.
    pub node: String,
    /// Where it is in its life.
    pub state: InstanceState,
    /// Since when checks say that it does not answer as it should; it is asked only where too few others are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub unhealthy_since: Option<Timestamp>,
    /// When it was asked for.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it first answered; of another process than `web`, when it had lived for a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub ready_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub ended_at: Option<Timestamp>,
    /// Why it ended, where it was not told to; while it starts, what keeps it from being ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The code that its process exited with, where it was not told to end; as shells tell it, also where it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// `GET /v1/apps/{app}/instances`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstanceList {
    /// How many there should be of `web`.
    pub wanted: u32,
    /// What is missing for those that are to be started, such as `needs 512 MiB, the node has 200 MiB left of 2 GiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// How many there should be of each other process of what is live.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub processes: BTreeMap<String, u32>,
    /// Processes that end again and again, and are started ever more slowly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crash_looping: Vec<CrashLoop>,
    /// Those that run, oldest first; then the last that ended, newest first.
    pub instances: Vec<Instance>,
}

/// A process that ends again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CrashLoop {
    /// Which, such as `web`.
    pub process: String,
    /// The deployment that it is of: what is live.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub deployment: DeploymentId,
    /// How often it ended within ten minutes.
    pub ends: u32,
    /// Why it did the last time.
    pub reason: String,
    /// When that was.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub last_at: Timestamp,
    /// When it is started again, where that is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub next_start_at: Option<Timestamp>,
}

impl CrashLoop {
    /// In words: `crash-looping, next start in 4 s; last: exited with code 3`.
    pub fn text(&self, now: Timestamp) -> String {
        let next = match self.next_start_at {
            Some(at) if at > now => format!("next start in {} s", at.since(now).as_millis().div_ceil(1000)),
            Some(_) | None => "started again".to_owned(),
        };
        format!("crash-looping, {next}; last: {}", self.reason)
    }
}

/// `POST /v1/apps/{app}/run`: a command that runs once, as an instance of what is live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunCommand {
    /// A program and its arguments; one word alone is a line for a shell.
    pub command: Vec<String>,
}

/// `POST /v1/apps/{app}/restart`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Restarted {
    /// Instances from before then are replaced.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
}

/// `PUT /v1/apps/{app}/instances`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetInstances {
    /// How many there should be, 0 to 100.
    pub wanted: u32,
    /// Of which process; `web` where none is named.
    #[serde(default = "web")]
    pub process: String,
}

fn web() -> String {
    WEB.to_owned()
}

//! How many instances an app has, who decides that, and why.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What an owner says about how many instances an app has. `GET` and `PUT /v1/apps/{app}/scaling`.
///
/// Of several measures, more instances come where any asks for them, and fewer where all agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Scaling {
    /// Never fewer; with 0 an app that nobody asks sleeps, and the next request wakes it.
    pub min: u32,
    /// Never more, 1 to 100.
    pub max: u32,
    /// Mean use of processor that is aimed at, in percent of what an instance may use.
    pub cpu: Option<u32>,
    /// Requests at a time for each instance that are aimed at, those that wait included.
    pub in_flight: Option<u32>,
    /// Requests a second for each instance that are aimed at.
    pub rps: Option<u32>,
    /// Fewer only down to the most that was wanted in this time, in seconds.
    pub hold_seconds: u32,
    /// With `min` 0: how long nobody may have asked before the last instance goes, in seconds.
    pub idle_seconds: u32,
}

impl Scaling {
    /// How many instances an app must have while it is awake: others give their room where another app lacks its own.
    pub fn least(&self) -> u32 {
        self.min.max(1)
    }
}

impl Default for Scaling {
    fn default() -> Self {
        Self { min: 1, max: 10, cpu: Some(50), in_flight: None, rps: None, hold_seconds: 90, idle_seconds: 90 }
    }
}

/// A change of how many instances an app should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScalingStep {
    /// When it was decided.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// How many there should have been before.
    pub from: u32,
    /// How many there should be since.
    pub to: u32,
    /// Why, in words.
    pub reason: String,
}

/// `GET /v1/apps/{app}/scaling/explain`: why an app has as many instances as it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScalingExplained {
    /// What its owner says.
    pub scaling: Scaling,
    /// Whether its owner has stopped it.
    pub stopped: bool,
    /// How many instances there should be.
    pub wanted: u32,
    /// What is missing for those that are to be started, such as `needs 512 MiB, the node has 200 MiB left of 2 GiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// What was decided last; absent where nothing was, or whoever decides did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<ScalingNow>,
    /// The latest changes, newest first.
    pub steps: Vec<ScalingStep>,
}

/// The latest decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScalingNow {
    /// Why there should be as many, in words.
    pub reason: String,
    /// Instances that answer.
    pub ready: u32,
    /// Instances that start.
    pub starting: u32,
    /// Mean use of processor, in percent of what an instance may use; absent where it was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Requests that wait for an instance; absent where it was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<f64>,
    /// Requests that instances have; absent where it was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<f64>,
    /// Requests a second; absent where it was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rps: Option<f64>,
    /// What each measure says.
    pub answers: Vec<ScalingAnswer>,
}

/// What one measure says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScalingAnswer {
    /// Which measure.
    pub law: String,
    /// How many instances it asks for; absent where it sees nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wants: Option<u32>,
    /// Why, in words.
    pub why: String,
}

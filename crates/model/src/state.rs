//! The life of a deployment.
//!
//! ```text
//!            ┌───────────▶ superseded (a newer deploy of the app was queued first)
//!            │
//!  queued ───┼──▶ building ──▶ deploying ──▶ live ◀──▶ previous
//!            │       │             │
//!            │       ├─────────────┼───▶ failed
//!            └───────┴─────────────┴───▶ cancelled
//! ```
//!
//! A deployment that failed because its job was given up can be replayed: it is queued or deploying once more.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a deployment is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum DeploymentState {
    /// Waits for a builder.
    Queued,
    /// A builder fetches, plans and builds it.
    Building,
    /// Its artifact is set; traffic is about to be moved to it.
    Deploying,
    /// The app's address leads to it.
    Live,
    /// It was live once and can be rolled back to while it is kept.
    Previous,
    /// It ended without an artifact that could go live; the reason is stored.
    Failed,
    /// Somebody cancelled it before it was live.
    Cancelled,
    /// A newer deployment of the app was queued before this one's build began.
    Superseded,
}

impl DeploymentState {
    /// Every state, in the order of the drawing.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Building,
        Self::Deploying,
        Self::Live,
        Self::Previous,
        Self::Failed,
        Self::Cancelled,
        Self::Superseded,
    ];

    /// Whether a deployment may go from this state to `next` in one step.
    pub const fn may_become(self, next: Self) -> bool {
        use DeploymentState::{Building, Cancelled, Deploying, Failed, Live, Previous, Queued, Superseded};
        matches!(
            (self, next),
            (Queued, Building | Cancelled | Superseded | Failed)
                | (Building, Deploying | Failed | Cancelled | Queued)
                | (Deploying, Live | Failed | Cancelled)
                | (Live, Previous)
                | (Previous, Live)
                | (Failed, Queued | Deploying)
        )
    }

    /// Whether work on it is over: it is served, was served, or never will be.
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Queued | Self::Building | Self::Deploying)
    }

    /// The state's name, as in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Building => "building",
            Self::Deploying => "deploying",
            Self::Live => "live",
            Self::Previous => "previous",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl fmt::Display for DeploymentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_deployment_never_moves_again_unless_it_is_replayed() {
        use DeploymentState::{Cancelled, Deploying, Failed, Queued, Superseded};
        for ended in [Cancelled, Superseded] {
            assert!(DeploymentState::ALL.iter().all(|next| !ended.may_become(*next)), "{ended}");
        }
        let replayed: Vec<_> = DeploymentState::ALL.into_iter().filter(|next| Failed.may_become(*next)).collect();
        assert_eq!(replayed, [Queued, Deploying]);
    }

    #[test]
    fn only_a_deployment_with_an_artifact_can_become_live() {
        use DeploymentState::{Deploying, Live, Previous};
        let before: Vec<_> = DeploymentState::ALL.into_iter().filter(|state| state.may_become(Live)).collect();
        assert_eq!(before, [Deploying, Previous]);
    }

    #[test]
    fn names_lead_back_to_their_states() {
        for state in DeploymentState::ALL {
            assert_eq!(DeploymentState::from_name(state.as_str()), Some(state));
        }
    }
}

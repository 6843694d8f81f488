//! The life of an instance.
//!
//! ```text
//!  starting ──▶ ready ──▶ draining ──▶ stopping ──▶ ended
//!      │          │           │                      ▲
//!      └──────────┴───────────┴──────────────────────┘ (it ended by itself, or its node is gone)
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// Its worker is to start it, or has, and it has not answered yet.
    Starting,
    /// It answers.
    Ready,
    /// It gets nothing new and finishes what it has.
    Draining,
    /// Its worker is to stop it, or does.
    Stopping,
    /// It runs no longer; the reason is stored.
    Ended,
}

impl InstanceState {
    /// Every state, in the order of the drawing.
    pub const ALL: [Self; 5] = [Self::Starting, Self::Ready, Self::Draining, Self::Stopping, Self::Ended];

    /// Whether an instance may go from this state to `next` in one step.
    pub const fn may_become(self, next: Self) -> bool {
        use InstanceState::{Draining, Ended, Ready, Starting, Stopping};
        matches!(
            (self, next),
            (Starting, Ready | Stopping | Ended)
                | (Ready, Draining | Stopping | Ended)
                | (Draining, Stopping | Ended)
                | (Stopping, Ended)
        )
    }

    /// The state's name, as in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_instance_never_runs_again_and_any_may_end() {
        assert!(InstanceState::ALL.iter().all(|next| !InstanceState::Ended.may_become(*next)));
        let others = InstanceState::ALL.into_iter().filter(|state| *state != InstanceState::Ended);
        assert!(others.clone().all(|state| state.may_become(InstanceState::Ended)));
        assert!(others.clone().all(|state| !state.may_become(InstanceState::Starting)));
    }

    #[test]
    fn names_lead_back_to_their_states() {
        for state in InstanceState::ALL {
            assert_eq!(InstanceState::from_name(state.as_str()), Some(state));
        }
    }
}

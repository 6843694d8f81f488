//! How a deployment that runs takes the place of the one that is live: `[rollout]` of `skylift.toml`.
//!
//! ```text
//!  going ◀──resume── paused        going, paused ──promote──▶ promoted
//!    │  └────pause─────▶             any of the three ──▶ live, or aborted
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

/// How new instances come, and requests to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// A few at a time; one of the old ones goes for each that answers.
    #[default]
    Rolling,
    /// Beside the old ones, with a share of the requests that grows step by step.
    Canary,
    /// All beside the old ones, then all requests at once.
    BlueGreen,
}

/// `[rollout]`: how a deployment is rolled out. Carried with it, as everything that its source says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct RolloutSettings {
    /// How new instances come, and requests to them.
    pub strategy: Strategy,
    /// Rolling: how many more instances than wanted there may be.
    pub max_surge: u32,
    /// Rolling: how long it is waited after an instance has answered before the next one is started.
    pub pause_between_seconds: u32,
    /// Canary: the shares of the app's requests that the new version has one after the other, in percent. All of them follow.
    pub steps: Vec<u8>,
    /// Canary: how long each step lasts.
    pub step_seconds: u32,
    /// Blue/green: whether requests are switched as soon as all instances answer; else it waits for its owner.
    pub auto_promote: bool,
    /// Canary: whether it ends by itself where the new version does worse than the old one.
    pub auto_abort: bool,
    /// Canary: with fewer answers in a step nothing is concluded from them.
    pub min_requests: u32,
    /// Canary: how many more of 100 answers may fail than of the old version's.
    pub error_percent: u8,
    /// Canary: how many times as long as the old version's slowest tenth the new one's may take.
    pub latency_factor: u32,
    /// How long what has gone live may be taken back by itself, where it does not last; 0 for never.
    pub trial_seconds: u32,
}

impl Default for RolloutSettings {
    fn default() -> Self {
        Self {
            strategy: Strategy::Rolling,
            max_surge: 1,
            pause_between_seconds: 0,
            steps: vec![10, 50],
            step_seconds: 60,
            auto_promote: true,
            auto_abort: true,
            min_requests: 20,
            error_percent: 2,
            latency_factor: 3,
            trial_seconds: 30,
        }
    }
}

impl RolloutSettings {
    /// Whether it is what nobody has to say.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a rollout is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum RolloutState {
    /// Under way.
    Going,
    /// Its owner holds it where it is.
    Paused,
    /// Its owner wants all requests there as soon as its instances can take them.
    Promoted,
    /// All requests go to the new version.
    Live,
    /// All requests went back to the old one; the reason is stored.
    Aborted,
}

impl RolloutState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Going, Self::Paused, Self::Promoted, Self::Live, Self::Aborted];

    /// The state's name, as in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Going => "going",
            Self::Paused => "paused",
            Self::Promoted => "promoted",
            Self::Live => "live",
            Self::Aborted => "aborted",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether it is over.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Live | Self::Aborted)
    }
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 3] = [Self::Rolling, Self::Canary, Self::BlueGreen];

    /// Its name, as in `skylift.toml`, the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::Canary => "canary",
            Self::BlueGreen => "blue_green",
        }
    }

    /// The strategy of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.as_str() == name)
    }

    /// Whether all old instances serve on until the new ones take over.
    pub const fn is_side_by_side(self) -> bool {
        !matches!(self, Self::Rolling)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for RolloutState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_what_they_name() {
        for state in RolloutState::ALL {
            assert_eq!(RolloutState::from_name(state.as_str()), Some(state));
        }
        for strategy in Strategy::ALL {
            assert_eq!(Strategy::from_name(strategy.as_str()), Some(strategy));
            assert_eq!(serde_json::to_value(strategy).ok(), Some(strategy.as_str().into()));
        }
    }
}

//! How far a deployment is on its way to being live, and how that is told.

use skylift_model::AppName;
use skylift_model::rollout::RolloutState;
use skylift_store::{RolloutRow, STEP};

use crate::fleet::Rollout;
use crate::judge::Verdict;

/// How far a deployment is on its way to being live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its release command runs.
    Releasing,
    /// Its instances come up.
    Starting,
    /// It has so many percent of the requests.
    Canary(u16),
    /// Some of its answers failed, and there are too few to tell.
    Doubtful(String),
    /// Its instances answer; its owner says when they are asked.
    Waiting,
    /// Its owner holds it.
    Paused,
    /// It may have that share of the requests.
    Share(Box<RolloutRow>, u16),
    /// All that are wanted answer.
    Ready,
    /// It never will be: which step failed, and why.
    Failed(&'static str, String),
    /// It never will be: what its node has too little of, in words.
    NoRoom(String),
}

impl Stage {
    /// What is told of it where somebody follows.
    pub(super) fn words(&self, app: &AppName) -> String {
        match self {
            Self::Releasing => "running the release command".to_owned(),
            Self::Canary(hundredths) => {
                format!("canary: {} % of the requests go to the new version", f64::from(*hundredths) / 100.0)
            }
            Self::Doubtful(why) => format!("canary: waiting, {why}"),
            Self::Waiting => format!(
                "blue_green: all instances answer at the deployment's own address; `skylift rollout {app} promote` has \
                 them take over"
            ),
            Self::Paused => format!("paused; `skylift rollout {app} resume` goes on"),
            Self::Starting | Self::Share(..) | Self::Ready | Self::Failed(..) | Self::NoRoom(_) => {
                "starting instances".to_owned()
            }
        }
    }

    /// What is planned, as whoever rolls out sees it.
    pub(super) fn of(next: &Rollout, rollout: Option<&RolloutRow>, verdict: &Verdict) -> Self {
        let state = rollout.map(|rollout| rollout.state);
        match (next, rollout, verdict) {
            (Rollout::Ready | Rollout::None, _, _) => Self::Ready,
            (Rollout::Failed(why), _, Verdict::Abort(_)) => Self::Failed(STEP, why.clone()),
            (Rollout::Failed(why), _, _) => Self::Failed("start", why.clone()),
            (Rollout::Share(share), Some(rollout), _) => Self::Share(Box::new(rollout.clone()), *share),
            _ if state == Some(RolloutState::Paused) => Self::Paused,
            (Rollout::Waiting, _, _) => Self::Waiting,
            (_, Some(rollout), Verdict::Wait(why)) if rollout.share > 0 => Self::Doubtful(why.clone()),
            (_, Some(rollout), _) if rollout.share > 0 => Self::Canary(rollout.share),
            _ => Self::Starting,
        }
    }
}

//! Whether an app has instances, and what keeps it from having any.

use skylift_client::{Client, ClientError};
use skylift_model::AppName;
use skylift_model::wire::ScalingExplained;

/// Whether an app has instances, as far as its owner and its load say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing of it is live.
    Undeployed,
    /// What is live is files.
    Site,
    /// Its owner stopped it.
    Stopped,
    /// Nobody asks it, and it may have none.
    Asleep,
    /// It is to have some.
    Runs,
}

impl Standing {
    /// Asks the server.
    pub(super) async fn of(client: &Client, app: &AppName) -> Result<Self, ClientError> {
        let Some(live) = client.app(app).await?.live else { return Ok(Self::Undeployed) };
        if client.deployment(&live).await?.plan.is_some_and(|plan| plan.kind.is_static()) {
            return Ok(Self::Site);
        }
        Ok(Self::scaled(&client.explain_scaling(app).await?))
    }

    /// Of an app that runs.
    fn scaled(explained: &ScalingExplained) -> Self {
        match (explained.stopped, explained.wanted) {
            (true, _) => Self::Stopped,
            (false, 0) => Self::Asleep,
            (false, _) => Self::Runs,
        }
    }

    /// Why it has no instance; `None` where it is to have some.
    pub(super) fn why_none(self, app: &AppName) -> Option<String> {
        match self {
            Self::Undeployed => Some(format!("nothing of {app} is live; `skylift deploy --app {app}` changes that")),
            Self::Site => Some(format!("{app} is a site and has no instances")),
            Self::Stopped => Some(format!("{app} is stopped; `skylift scale {app} 1` starts it")),
            Self::Asleep => Some(format!("{app} sleeps; the next request starts it")),
            Self::Runs => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::wire::Scaling;

    use super::*;

    #[test]
    fn what_was_stopped_does_not_sleep() {
        let scaled = |stopped, wanted| {
            let (scaling, steps) = (Scaling::default(), Vec::new());
            Standing::scaled(&ScalingExplained { scaling, stopped, wanted, waits_for: None, now: None, steps })
        };
        // Whatever scaling would want of it.
        assert_eq!([scaled(true, 0), scaled(true, 2)], [Standing::Stopped; 2]);
        assert_eq!([scaled(false, 0), scaled(false, 2)], [Standing::Asleep, Standing::Runs]);
    }
}

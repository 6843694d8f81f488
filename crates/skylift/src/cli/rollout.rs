//! `skylift rollout`: how far a new version is, and what its owner says to that.

use clap::{Args, ValueEnum};
use skylift_model::AppName;
use skylift_model::rollout::{RolloutState, Strategy};
use skylift_model::wire::Rollout;

use super::Context;
use super::clean::clean;
use super::output::say;
use super::problem::Problem;
use super::quantity::{ago, count, now};

/// Show how far the new version of an app is on its way to all requests; hold it, let it go on, finish it, take it back
#[derive(Args)]
pub(crate) struct RolloutArgs {
    /// The app
    app: AppName,
    /// What is to be done
    #[arg(value_enum, default_value_t = Act::Status)]
    act: Act,
}

/// What can be done with a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Act {
    /// Show how it stands
    Status,
    /// Hold it where it is
    Pause,
    /// Let it go on; the step it is in begins anew
    Resume,
    /// All requests to the new version as soon as there are instances for them
    Promote,
    /// All requests back to the old version
    Abort,
}

pub(super) async fn run(args: RolloutArgs, context: &Context) -> Result<(), Problem> {
    let (client, app) = (context.client()?, &args.app);
    let (how, told) = match args.act {
        Act::Status => return context.output.result(&client.rollout(app).await?, whole),
        Act::Pause => ("pause", "held where it is"),
        Act::Resume => ("resume", "going on"),
        Act::Promote => ("promote", "getting all requests as soon as there are instances for them"),
        Act::Abort => ("abort", "aborted; what was live before has all requests"),
    };
    let rollout = client.steer_rollout(app, how).await?;
    say(&format!("the rollout of {} is {told}", rollout.deployment));
    context.output.result(&rollout, whole)
}

fn whole(rollout: &Rollout) -> String {
    let Rollout { deployment, strategy, wanted, ready, old_ready, .. } = rollout;
    let mut text = format!("{deployment} {strategy}: {}\n", stands(rollout));
    match rollout.state {
        RolloutState::Live | RolloutState::Aborted => {
            let at = rollout.ended_at.unwrap_or(rollout.began_at);
            text.push_str(&format!("over, {}", ago(at, now())));
        }
        _ => text.push_str(&format!(
            "{ready} of {} of the new version answer, {old_ready} of the old",
            count(u64::from(*wanted), "instance")
        )),
    }
    text
}

fn stands(rollout: &Rollout) -> String {
    let share = match rollout.share_percent {
        0 => "no requests yet".to_owned(),
        percent => format!("{percent} % of the requests"),
    };
    let settings = &rollout.settings;
    match (rollout.state, rollout.strategy) {
        (RolloutState::Live, _) => clean(rollout.reason.as_deref().unwrap_or("all requests")).to_string(),
        (RolloutState::Aborted, _) => clean(rollout.reason.as_deref().unwrap_or("aborted")).to_string(),
        (state, Strategy::Canary) => {
            let of = settings.steps.len();
            let held = if state == RolloutState::Going { String::new() } else { format!(" ({state})") };
            let since = rollout.step_at.map(|at| format!(", since {}", ago(at, now()))).unwrap_or_default();
            format!("{share}, step {} of {of}{held}{since}", rollout.step)
        }
        (RolloutState::Going, Strategy::BlueGreen) if !settings.auto_promote && rollout.ready >= rollout.wanted => {
            format!("{share}; `skylift rollout {} promote` has it take over", rollout.app)
        }
        (state, _) => state.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::rollout::RolloutSettings;
    use skylift_model::{DeploymentId, Timestamp};

    use super::*;

    fn rollout(strategy: Strategy, state: RolloutState) -> Rollout {
        let began_at = Timestamp::from_millis(0);
        Rollout {
            app: "shop".parse().unwrap(),
            deployment: DeploymentId::new(began_at, 0),
            old: None,
            strategy,
            state,
            step: 1,
            share_percent: 10,
            step_at: None,
            settings: RolloutSettings { auto_promote: false, ..RolloutSettings::default() },
            wanted: 2,
            ready: 2,
            old_ready: 2,
            began_at,
            ended_at: None,
            reason: Some("rollout aborted: 12.0 % of 150 answers failed".to_owned()),
        }
    }

    #[test]
    fn it_says_how_far_it_is_and_what_is_waited_for() {
        let told = |strategy, state| whole(&rollout(strategy, state));
        assert_eq!(
            told(Strategy::Canary, RolloutState::Paused),
            "d-000000000000000000 canary: 10 % of the requests, step 1 of 2 (paused)\n2 of 2 instances of the new version \
             answer, 2 of the old"
                .replace("d-000000000000000000", rollout(Strategy::Canary, RolloutState::Paused).deployment.as_str())
        );
        assert!(told(Strategy::BlueGreen, RolloutState::Going).contains("`skylift rollout shop promote`"));
        assert!(told(Strategy::Rolling, RolloutState::Live).contains("rolling: rollout aborted"), "taken back");
        let live = Rollout { reason: None, ..rollout(Strategy::Rolling, RolloutState::Live) };
        assert!(whole(&live).contains("rolling: all requests\nover, "));
        assert!(told(Strategy::Canary, RolloutState::Aborted).contains("canary: rollout aborted: 12.0 % of 150"));
    }
}

//! `skylift rollback`: makes an earlier deployment live again.

use clap::Args;
use skylift_model::{AppName, DeploymentId, DeploymentState};

use super::Context;
use super::output::say;
use super::problem::Problem;

/// Make an earlier deployment live again, with the variables it had
#[derive(Args)]
pub(crate) struct RollbackArgs {
    /// The app
    app: AppName,
    /// The deployment to go back to; what was live before where none is given
    deployment: Option<DeploymentId>,
}

pub(super) async fn run(args: RollbackArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    let before = client.env(&args.app).await?;
    let deployment = client.roll_back(&args.app, args.deployment.as_ref()).await?;
    say(&format!("{} is {}", deployment.id, deployment.state));
    if client.env(&args.app).await?.version != before.version {
        say(&format!(
            "note: the app's variables are again those of that deployment; what was set since is not in effect: `skylift env ls {}`",
            args.app
        ));
    }
    for coming in client.deployments(&args.app).await?.iter().filter(|other| is_on_its_way(other.state)) {
        say(&format!(
            "note: {id} is still {state} and goes live when it is done; `skylift cancel {id}` ends it",
            id = coming.id,
            state = coming.state
        ));
    }
    context.output.result(&deployment, |deployment| deployment.app_url.clone())
}

fn is_on_its_way(state: DeploymentState) -> bool {
    matches!(state, DeploymentState::Queued | DeploymentState::Building)
}

//! `skylift rollback`: makes an earlier deployment live again.

use clap::Args;
use skylift_model::{AppName, DeploymentId};

use super::Context;
use super::output::say;
use super::problem::Problem;

/// Make an earlier deployment live again
#[derive(Args)]
pub(crate) struct RollbackArgs {
    /// The app
    app: AppName,
    /// The deployment to go back to; what was live before where none is given
    deployment: Option<DeploymentId>,
}

pub(super) async fn run(args: RollbackArgs, context: &Context) -> Result<(), Problem> {
    let deployment = context.client()?.roll_back(&args.app, args.deployment.as_ref()).await?;
    say(&format!("{} is {}", deployment.id, deployment.state));
    context.output.result(&deployment, |deployment| deployment.app_url.clone())
}

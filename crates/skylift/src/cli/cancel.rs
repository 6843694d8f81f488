//! `skylift cancel`: stops a deployment that is not live yet.

use clap::Args;
use skylift_model::DeploymentId;

use super::Context;
use super::problem::Problem;

/// Stop a deployment that is not live yet
#[derive(Args)]
pub(crate) struct CancelArgs {
    /// The deployment
    deployment: DeploymentId,
}

pub(super) async fn run(args: CancelArgs, context: &Context) -> Result<(), Problem> {
    let deployment = context.client()?.cancel(&args.deployment).await?;
    context.output.result(&deployment, |deployment| format!("{} {}", deployment.id, deployment.state))
}

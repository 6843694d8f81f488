//! `skylift cancel`: stops a deployment that is not live yet.

use clap::Args;
use skylift_client::Client;
use skylift_model::{AppName, DeploymentId};

use super::Context;
use super::problem::Problem;
use super::target::Target;

/// Stop a deployment that is not live yet
#[derive(Args)]
pub(crate) struct CancelArgs {
    /// The deployment, or the app whose deployment under way is meant
    #[arg(value_name = "DEPLOYMENT|APP")]
    of: Target,
}

pub(super) async fn run(args: CancelArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    let id = match args.of {
        Target::Deployment(id) => id,
        Target::App(app) => under_way(&client, &app).await?,
    };
    let deployment = client.cancel(&id).await?;
    context.output.result(&deployment, |deployment| format!("{} {}", deployment.id, deployment.state))
}

/// The newest deployment of an app that has not ended.
async fn under_way(client: &Client, app: &AppName) -> Result<DeploymentId, Problem> {
    let deployments = client.deployments(app).await?;
    let under_way = deployments.into_iter().find(|deployment| !deployment.state.is_settled());
    under_way.map(|deployment| deployment.id).ok_or_else(|| Problem::NotFound {
        message: format!("{app} has no deployment under way"),
        hint: format!("`skylift deployments {app}` lists those it has"),
    })
}

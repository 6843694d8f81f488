//! `skylift rm`: deletes an app, after its name was said twice.

use clap::Args;
use serde::Serialize;
use skylift_model::AppName;

use super::Context;
use super::confirm::confirm;
use super::problem::Problem;

/// Delete an app with its deployments, files and variables
#[derive(Args)]
pub(crate) struct RmArgs {
    /// The app
    app: AppName,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Also what it keeps in volumes and databases
    #[arg(long)]
    with_data: bool,
}

#[derive(Serialize)]
struct Removed {
    removed: AppName,
}

pub(super) async fn run(args: RmArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    if !args.yes {
        client.app(&args.app).await?;
        let what = if args.with_data { "deployments and data" } else { "deployments" };
        confirm(args.app.as_str(), &format!("deletes {} with all its {what}", args.app))?;
    }
    if args.with_data {
        client.delete_app_with_data(&args.app).await?;
    } else {
        client.delete_app(&args.app).await?;
    }
    context.output.result(&Removed { removed: args.app }, |removed| format!("removed {}", removed.removed))
}

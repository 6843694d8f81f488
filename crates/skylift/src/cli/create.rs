//! `skylift create`: an app without a deployment.

use clap::Args;
use skylift_model::AppName;

use super::Context;
use super::output::say;
use super::problem::Problem;

/// Make an app without deploying, so that its variables can be set first
#[derive(Args)]
pub(crate) struct CreateArgs {
    /// The app's name
    #[arg(value_name = "NAME")]
    app: AppName,
}

pub(super) async fn run(args: CreateArgs, context: &Context) -> Result<(), Problem> {
    let app = context.client()?.create_app(&args.app).await?;
    let name = &app.name;
    say(&format!("created {name}; `skylift env set {name} NAME=VALUE`, then `skylift deploy --app {name}`"));
    context.output.result(&app, |app| app.url.clone())
}
